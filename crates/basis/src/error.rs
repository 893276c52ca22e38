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
    /// The rank is not one of the kind of basis.
    #[error("rank {rank} is outside 1 to {largest}")]
    Rank {
        /// The rank asked for.
        rank: usize,
        /// 64 for an exact basis; for rsvd the smaller side of the weight, at most 255.
        largest: usize,
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
    /// A factor, or a basis to make one of, has another size than its weight (spec §6.8).
    #[error("the factor {factor} needs {rows} × {columns} values, found {found}")]
    FactorSize {
        /// `B`, `A` or `V`.
        factor: &'static str,
        /// Rows of the factor.
        rows: usize,
        /// Columns of the factor.
        columns: usize,
        /// Its values.
        found: usize,
    },
    /// An update is for weights of another width.
    #[error("the update is for {found} columns, the weight has {wanted}")]
    UpdateColumns {
        /// Columns of the weight.
        wanted: usize,
        /// Columns of the update.
        found: usize,
    },
    /// An update's factor B ends before the rows to be merged.
    #[error("{wanted} rows are to be merged from row {first}, but the factor B has {found} rows")]
    UpdateRows {
        /// Number of the first row.
        first: usize,
        /// How many rows.
        wanted: usize,
        /// Rows of B.
        found: usize,
    },
    /// A rounded factor has a value that is not finite (spec §6.10).
    #[error(
        "row {row}, column {column} of the factor {factor} is too large for the type that the basis is rounded to"
    )]
    RoundingOverflow {
        /// `B` or `A`.
        factor: &'static str,
        /// Row of the factor.
        row: usize,
        /// Column of the factor.
        column: usize,
    },
    /// A correction does not fit the factors that it is for (spec §6.10).
    #[error(
        "entry {entry} of the {entries} in B and A cannot be corrected by {steps} steps; expected one that exists, and to stay between zero and infinity"
    )]
    Correction {
        /// Number of the entry within the module.
        entry: u64,
        /// The steps.
        steps: i64,
        /// How many entries there are.
        entries: u64,
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
