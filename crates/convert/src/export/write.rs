//! `adapter_model.safetensors`: laid out first, then filled by the threads as they get to it.

use fs_err::File;
use tlora_checkpoint::{Dtype, OutputDirectory, ShardLayout, write_all_at};
use tlora_format::Precision;

use super::ExportError;

/// The name of the file.
const FILE: &str = "adapter_model.safetensors";
/// Values that are written at once.
const LOT: usize = 1 << 16;

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) name: String,
    shape: Vec<u64>,
}

impl Tensor {
    pub(super) fn new(name: String, shape: &[usize]) -> Self {
        let shape = shape.iter().map(|&side| side as u64).collect();
        Self { name, shape }
    }
}

/// The file, and where each tensor goes.
pub(super) struct TensorFile {
    file: File,
    layout: ShardLayout,
    precision: Precision,
}

/// Where tensors of this type go.
///
/// # Errors
/// They cannot be laid out.
pub(super) fn layout(tensors: &[Tensor], precision: Precision) -> Result<ShardLayout, ExportError> {
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::Bf16 => Dtype::Bf16,
        Precision::F16 => Dtype::F16,
    };
    let tensors = tensors.iter();
    let tensors = tensors.map(|tensor| (tensor.name.as_str(), dtype, tensor.shape.as_slice()));
    Ok(ShardLayout::new(tensors)?)
}

impl TensorFile {
    /// Creates the file with its header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn create(
        directory: &OutputDirectory,
        layout: ShardLayout,
        precision: Precision,
    ) -> Result<Self, ExportError> {
        let file = directory.create_file(FILE, layout.file_len())?;
        write_all_at(&file, layout.header(), 0)?;
        Ok(Self {
            file,
            layout,
            precision,
        })
    }

    /// Writes a whole tensor, rounded to the type of the file.
    ///
    /// # Errors
    /// A value is too large for the type, or writing fails.
    pub(super) fn write(
        &self,
        tensor: &Tensor,
        values: impl Iterator<Item = f64>,
    ) -> Result<(), ExportError> {
        let slot = self.layout.slots()[&tensor.name];
        let mut values = (0_u64..).zip(values).peekable();
        let (mut offset, mut bytes) = (slot.offset, Vec::new());
        while values.peek().is_some() {
            bytes.clear();
            for (index, value) in values.by_ref().take(LOT) {
                let bits = self.precision.round(value);
                if !self.precision.is_finite(bits) {
                    return Err(ExportError::TooLarge {
                        tensor: tensor.name.clone(),
                        index,
                        value,
                        dtype: self.precision,
                    });
                }
                let all = bits.to_le_bytes();
                bytes.extend(all.iter().take(self.precision.size()));
            }
            write_all_at(&self.file, &bytes, offset)?;
            offset += bytes.len() as u64;
        }
        debug_assert_eq!(offset, slot.offset + slot.bytes, "{}", tensor.name);
        Ok(())
    }
}
