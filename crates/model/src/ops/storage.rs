//! Between arrays in this machine's memory and the slices that the kernels work on.

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, Layout, Shape, Storage, Tensor, WithDType,
};
use std::cell::RefCell;
use tlora_kernels::Float;

use super::array::Array;
use crate::error::{ModelError, Result};

/// An element type of both the tensors and the kernels: f32, and f64 for checks.
pub(crate) trait Element: Float + WithDType {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
    fn of(number: f64) -> Self;
    fn wide(self) -> f64;
}

impl Element for f32 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(slice) => Some(slice),
            _ => None,
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rounding that is wanted"
    )]
    fn of(number: f64) -> Self {
        number as Self
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(slice) => Some(slice),
            _ => None,
        }
    }
    fn of(number: f64) -> Self {
        number
    }
    fn wide(self) -> f64 {
        self
    }
}

/// Runs `body` with `T` as the element type of a tensor.
macro_rules! with_element {
    ($dtype:expr, $operation:literal, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err(crate::error::ModelError::NotImplemented {
                operation: $operation,
                found: format!("tensors of {other:?}"),
            }),
        }
    };
}
pub(crate) use with_element;

/// Reads an array.
pub(crate) fn read<T: Element, R>(
    array: &Array,
    operation: &'static str,
    body: impl FnOnce(&[T]) -> R,
) -> Result<R> {
    let tensor = array.host(operation)?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(not_implemented(operation, tensor));
    };
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| ModelError::NotImplemented {
            operation,
            found: "a tensor that is not contiguous".to_owned(),
        })?;
    Ok(body(&storage.as_slice::<T>()?[start..end]))
}

/// Changes an array.
pub(crate) fn change<T: Element, R>(
    array: &Array,
    operation: &'static str,
    body: impl FnOnce(&mut [T]) -> R,
) -> Result<R> {
    let tensor = array.host(operation)?;
    let change = Change {
        operation,
        body: RefCell::new(Some(body)),
        result: RefCell::new(None),
        element: std::marker::PhantomData::<T>,
    };
    tensor.inplace_op1(&change)?;
    change
        .result
        .into_inner()
        .ok_or_else(|| not_implemented(operation, tensor))
}

/// A closure as one of candle's operations in place.
struct Change<T, R, F> {
    operation: &'static str,
    body: RefCell<Option<F>>,
    result: RefCell<Option<R>>,
    element: std::marker::PhantomData<T>,
}

impl<T: Element, R, F: FnOnce(&mut [T]) -> R> InplaceOp1 for Change<T, R, F> {
    fn name(&self) -> &'static str {
        self.operation
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let range = layout.contiguous_offsets();
        if let (Some(slice), Some((start, end)), Some(body)) =
            (T::slice_mut(storage), range, self.body.take())
        {
            *self.result.borrow_mut() = Some(body(&mut slice[start..end]));
        }
        Ok(())
    }
}

/// A new array in this machine's memory.
pub(crate) fn array<T: Element>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Array> {
    let tensor = Tensor::from_vec(values, shape.into(), &Device::Cpu)?;
    Ok(Array::Host(tensor))
}

/// Numbers as an array of some type.
pub(crate) fn array_of(values: &[f64], shape: impl Into<Shape>, dtype: DType) -> Result<Array> {
    with_element!(dtype, "a constant", T => array::<T>(values.iter().map(|&x| T::of(x)).collect(), shape))
}

fn not_implemented(operation: &'static str, tensor: &Tensor) -> ModelError {
    ModelError::NotImplemented {
        operation,
        found: format!(
            "{:?} tensors on {:?}",
            tensor.dtype(),
            tensor.device().location()
        ),
    }
}
