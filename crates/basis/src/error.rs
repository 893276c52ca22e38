//! What can go wrong with one matrix. The caller knows its name and adds it.

/// Why a basis or a merge could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BasisError {
    /// A weight is NaN or infinite (spec §6.2).
    #[error("row {row} of the weight has a NaN or an infinity")]
    NonFinite {
        /// The first such row.
        row: usize,
    },
    /// The iteration did not converge (spec §6.5, §6.6).
    #[error("the singular vectors did not converge after {passes} passes over the weight")]
    NoConvergence {
        /// Passes made.
        passes: u32,
    },
    /// The rank is outside 1 … 64.
    #[error("rank {rank} is outside 1 to 64")]
    Rank {
        /// The rank asked for.
        rank: usize,
    },
    /// The bytes do not make up the matrix.
    #[error("a {rows} × {columns} weight needs {wanted} bytes, found {found}")]
    WrongSize {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
        /// Bytes that rows and columns ask for.
        wanted: u128,
        /// Bytes given.
        found: usize,
    },
    /// A merged weight is too large for the output type (spec §8).
    #[error("the merged weight at row {row}, column {column} is too large for the output type")]
    NotRepresentable {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        column: usize,
    },
    /// This machine does not compute as IEEE 754 asks (spec §6.1).
    #[error(
        "this process does not follow IEEE 754 arithmetic ({what}); results would differ from other machines"
    )]
    Arithmetic {
        /// The check that failed.
        what: &'static str,
    },
}

impl BasisError {
    /// The same error for rows that stand `start` rows further down in the whole weight.
    #[must_use]
    pub fn moved_down(self, start: usize) -> Self {
        match self {
            Self::NonFinite { row } => Self::NonFinite { row: start + row },
            Self::NotRepresentable { row, column } => Self::NotRepresentable {
                row: start + row,
                column,
            },
            other => other,
        }
    }
}
