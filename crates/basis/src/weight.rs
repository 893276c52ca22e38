//! A weight matrix as the checkpoint stores it: bytes, shape and type.

use crate::BasisError;

/// The floating-point types that a weight may be stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// The upper 16 bits of a binary32.
    Bf16,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

impl WeightDtype {
    /// Bytes of one weight.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// A matrix of `rows` (out) × `columns` (in) weights, row-major, little-endian. It may also be a
/// run of rows of a larger matrix.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    dtype: WeightDtype,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
}

impl<'a> Weight<'a> {
    /// Views `bytes` as a matrix.
    ///
    /// # Errors
    /// [`BasisError::WrongSize`] unless `bytes` has exactly `rows · columns` weights.
    pub fn new(
        dtype: WeightDtype,
        rows: usize,
        columns: usize,
        bytes: &'a [u8],
    ) -> Result<Self, BasisError> {
        let wanted = rows as u128 * columns as u128 * dtype.size() as u128;
        if wanted != bytes.len() as u128 {
            return Err(BasisError::WrongSize {
                rows,
                columns,
                wanted,
                found: bytes.len(),
            });
        }
        Ok(Self {
            dtype,
            rows,
            columns,
            bytes,
        })
    }

    /// The type of one weight.
    #[must_use]
    pub const fn dtype(&self) -> WeightDtype {
        self.dtype
    }

    /// Number of rows (out features).
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (in features).
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// The rows from `start` to `end`; both at most [`Self::rows`].
    #[must_use]
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let row = self.columns * self.dtype.size();
        Self {
            rows: end - start,
            bytes: &self.bytes[start * row..end * row],
            ..*self
        }
    }

    /// The bytes of row `i`.
    pub(crate) fn row(&self, i: usize) -> &'a [u8] {
        let row = self.columns * self.dtype.size();
        &self.bytes[i * row..(i + 1) * row]
    }
}
