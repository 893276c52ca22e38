//! Numbers where they are computed with: in this machine's memory, or on a device.

use candle_core::{DType, Shape, Tensor};

#[cfg(feature = "cuda")]
use super::device::{DeviceArray, RoundedRows};
use crate::error::Result;

/// A matrix, or a vector.
#[derive(Debug)]
pub(crate) enum Array {
    /// Contiguous, f32 or f64.
    Host(Tensor),
    /// f32.
    #[cfg(feature = "cuda")]
    Device(DeviceArray),
    /// bf16, for a product and nothing else.
    #[cfg(feature = "cuda")]
    Rounded(RoundedRows),
}

/// Lets the device do it if the array is there; what follows is for arrays of this machine.
macro_rules! on_device {
    ($array:expr, $there:ident => $body:expr) => {
        #[cfg(feature = "cuda")]
        if let $crate::ops::array::Array::Device($there) = $array {
            return $body;
        }
    };
}
pub(crate) use on_device;

impl Array {
    /// The tensor of an array in this machine's memory.
    #[cfg_attr(
        not(feature = "cuda"),
        expect(
            unused_variables,
            clippy::unnecessary_wraps,
            reason = "all arrays are here"
        )
    )]
    pub(crate) fn host(&self, operation: &'static str) -> Result<&Tensor> {
        match self {
            Self::Host(tensor) => Ok(tensor),
            #[cfg(feature = "cuda")]
            Self::Device(_) | Self::Rounded(_) => Err(elsewhere(operation)),
        }
    }

    /// The array on the device.
    #[cfg(feature = "cuda")]
    pub(crate) fn device(&self, operation: &'static str) -> Result<&DeviceArray> {
        match self {
            Self::Host(_) | Self::Rounded(_) => Err(elsewhere(operation)),
            Self::Device(array) => Ok(array),
        }
    }

    /// The array on the device, to change it.
    #[cfg(feature = "cuda")]
    pub(crate) fn device_mut(&mut self, operation: &'static str) -> Result<&mut DeviceArray> {
        match self {
            Self::Host(_) | Self::Rounded(_) => Err(elsewhere(operation)),
            Self::Device(array) => Ok(array),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Host(tensor) => tensor.dtype(),
            #[cfg(feature = "cuda")]
            Self::Device(_) => DType::F32,
            #[cfg(feature = "cuda")]
            Self::Rounded(_) => DType::BF16,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Host(tensor) => tensor.shape().clone(),
            #[cfg(feature = "cuda")]
            Self::Device(array) => (array.rows(), array.columns).into(),
            #[cfg(feature = "cuda")]
            Self::Rounded(rows) => (rows.count(), rows.columns).into(),
        }
    }

    pub(crate) fn elem_count(&self) -> usize {
        match self {
            Self::Host(tensor) => tensor.elem_count(),
            #[cfg(feature = "cuda")]
            Self::Device(array) => array.buffer.len(),
            #[cfg(feature = "cuda")]
            Self::Rounded(rows) => rows.buffer.len(),
        }
    }

    /// Elements of a row.
    pub(crate) fn columns(&self) -> usize {
        match self {
            Self::Host(tensor) => tensor.dims().last().copied().unwrap_or(1),
            #[cfg(feature = "cuda")]
            Self::Device(array) => array.columns,
            #[cfg(feature = "cuda")]
            Self::Rounded(rows) => rows.columns,
        }
    }

    /// Some adjacent rows.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Result<Self> {
        on_device!(self, array => array.slice(start, len).map(Self::Device));
        Ok(Self::Host(self.host("slice")?.narrow(0, start, len)?))
    }

    /// The rows of all, one after another.
    pub(crate) fn cat(parts: Vec<Self>) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if let Some(Self::Device(_)) = parts.first() {
            let parts = parts.iter().map(|part| part.device("cat"));
            return DeviceArray::cat(&parts.collect::<Result<Vec<_>>>()?).map(Self::Device);
        }
        let tensors: Vec<Tensor> = parts
            .into_iter()
            .map(|part| part.host("cat").cloned())
            .collect::<Result<_>>()?;
        Ok(Self::Host(Tensor::cat(&tensors, 0)?))
    }
}

#[cfg(feature = "cuda")]
fn elsewhere(operation: &'static str) -> crate::error::ModelError {
    crate::error::ModelError::NotImplemented {
        operation,
        found: "arrays in two places".to_owned(),
    }
}
