//! The weight of a module, as the basis room wants it: out × in.

use tlora_basis::{BasisError, Weight, WeightDtype};
use tlora_checkpoint::{Checkpoint, Dtype, Module, ModuleError, TensorInfo};

use crate::RebuildError;

/// A module of the base and the rank that it is adapted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleWeight {
    /// The name of the weight without `.weight`.
    pub name: String,
    /// Where the weight is.
    pub tensor: TensorInfo,
    /// The type of the weight.
    pub dtype: WeightDtype,
    /// Rows of W.
    pub out_features: usize,
    /// Columns of W.
    pub in_features: usize,
    /// Whether the checkpoint stores Wᵀ.
    pub transposed: bool,
    /// min(the adapter's rank for it, out, in), or the former alone where the factors are in the file (spec §5.2).
    pub rank: usize,
}

impl ModuleWeight {
    /// A module of a checkpoint, with its rank clipped to its sizes.
    ///
    /// # Errors
    /// The weight is not of a floating-point type, or larger than this machine can address.
    pub fn new(module: Module, transposed: bool, rank: u8) -> Result<Self, RebuildError> {
        let module = if transposed {
            module.stored_transposed()
        } else {
            module
        };
        let Module {
            name,
            tensor,
            out_features,
            in_features,
            ..
        } = module;
        let Some(dtype) = weight_dtype(tensor.dtype) else {
            return Err(Self::unusable(ModuleError::Dtype {
                module: name,
                dtype: tensor.dtype,
            }));
        };
        let (Ok(out_features), Ok(in_features)) =
            (usize::try_from(out_features), usize::try_from(in_features))
        else {
            return Err(Self::unusable(ModuleError::NotAMatrix {
                module: name,
                shape: tensor.shape,
            }));
        };
        let rank = usize::from(rank).min(out_features).min(in_features);
        Ok(Self {
            name,
            tensor,
            dtype,
            out_features,
            in_features,
            transposed,
            rank,
        })
    }

    fn unusable(error: ModuleError) -> RebuildError {
        RebuildError::Checkpoint(error.into())
    }

    /// Reads the whole weight, row-major out × in.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>, RebuildError> {
        let mut stored = vec![0; self.out_features * self.in_features * self.dtype.size()];
        checkpoint.read_at(&self.tensor, 0, &mut stored)?;
        Ok(if self.transposed {
            transpose(&stored, self.in_features, self.dtype.size())
        } else {
            stored
        })
    }

    /// Reads some rows after the others, and gives the number of the first and the bytes of each lot to `take`. A weight
    /// that is stored transposed is held whole.
    ///
    /// # Errors
    /// If it cannot be read, or `take` fails.
    pub fn read_rows(
        &self,
        checkpoint: &Checkpoint,
        rows: usize,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), RebuildError>,
    ) -> Result<(), RebuildError> {
        let row_bytes = self.in_features * self.dtype.size();
        if self.transposed {
            let bytes = self.read(checkpoint)?;
            let mut lots = (0..).step_by(rows).zip(bytes.chunks(rows * row_bytes));
            return lots.try_for_each(|(first, lot)| take(first, lot));
        }
        let mut bytes = Vec::new();
        for first in (0..self.out_features).step_by(rows) {
            let lot = rows.min(self.out_features - first);
            bytes.resize(lot * row_bytes, 0);
            checkpoint.read_at(&self.tensor, (first * row_bytes) as u64, &mut bytes)?;
            take(first, &bytes)?;
        }
        Ok(())
    }

    /// Views bytes as rows of this weight.
    ///
    /// # Errors
    /// The bytes are not whole rows.
    pub fn rows<'a>(&self, bytes: &'a [u8]) -> Result<Weight<'a>, RebuildError> {
        let rows = bytes.len() / (self.in_features * self.dtype.size());
        Weight::new(self.dtype, rows, self.in_features, bytes)
            .map_err(|source| self.fault(source, 0))
    }

    /// Adds the module's name to what is wrong with rows that begin at `first_row`.
    #[must_use]
    pub fn fault(&self, source: BasisError, first_row: usize) -> RebuildError {
        RebuildError::Numeric {
            module: self.name.clone(),
            source: source.moved_down(first_row),
        }
    }
}

/// The transposed of a row-major matrix with `rows` rows of elements of `size` bytes.
#[must_use]
pub fn transpose(bytes: &[u8], rows: usize, size: usize) -> Vec<u8> {
    let columns = bytes.len() / (rows * size).max(1);
    let mut transposed = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let start = (row * columns + column) * size;
            transposed.extend_from_slice(&bytes[start..start + size]);
        }
    }
    transposed
}

/// The floating-point type of a module's weight.
pub(crate) const fn weight_dtype(dtype: Dtype) -> Option<WeightDtype> {
    match dtype {
        Dtype::Bf16 => Some(WeightDtype::Bf16),
        Dtype::F16 => Some(WeightDtype::F16),
        Dtype::F32 => Some(WeightDtype::F32),
        _ => None,
    }
}

/// The type of a tensor that has weights of this type.
#[must_use]
pub const fn tensor_dtype(dtype: WeightDtype) -> Dtype {
    match dtype {
        WeightDtype::Bf16 => Dtype::Bf16,
        WeightDtype::F16 => Dtype::F16,
        WeightDtype::F32 => Dtype::F32,
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn transposes_rows_of_two_byte_elements() {
        // [[1, 2, 3], [4, 5, 6]] becomes [[1, 4], [2, 5], [3, 6]].
        let bytes = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0];
        assert_eq!(
            transpose(&bytes, 2, 2),
            [1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6, 0]
        );
    }
}
