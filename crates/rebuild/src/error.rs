//! Why an adapter cannot be rebuilt on a base.

use tlora_basis::BasisError;
use tlora_checkpoint::{CheckpointError, ModuleError};
use tlora_format::BaseDigest;

use crate::known_bases::Difference;

/// Why an adapter and a base do not come together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The adapter was made for another base model.
    #[error("the adapter was made for another base model")]
    WrongBase {
        /// The adapter's number among those given, from 0.
        adapter: usize,
        /// The base digest in the adapter.
        expected: BaseDigest,
        /// The digest of the base given.
        found: BaseDigest,
        /// What differs between the two, as far as it is known.
        differing: Box<Difference>,
    },
    /// The adapter says by its digest that this is its base, and its modules are not in it.
    #[error("the base has not the modules that the adapter steers")]
    Modules {
        /// The adapter's number among those given, from 0.
        adapter: usize,
        /// What is missing.
        source: ModuleError,
    },
    /// The basis was rebuilt, and is not the one that the adapter was made with.
    #[error("the rebuilt basis is not the adapter's: its check is {found}, expected {expected}", found = Hex(found), expected = Hex(expected))]
    BasisCheck {
        /// The adapter's number among those given, from 0.
        adapter: usize,
        /// The check in the adapter.
        expected: [u8; 8],
        /// The check of the rebuilt basis.
        found: [u8; 8],
    },
    /// A module's weight has no basis, or its merged weight no representation.
    #[error("the weight of {module} cannot be used")]
    Numeric {
        /// The module.
        module: String,
        /// Why.
        source: BasisError,
    },
    /// A module is smaller than the projections that the adapter brings for it (spec §4.5).
    #[error("{module} is {out_features} × {in_features}, too small for projections of rank {rank}")]
    SmallerThanProjections {
        /// The module.
        module: String,
        /// Rows of its weight.
        out_features: usize,
        /// Columns of its weight.
        in_features: usize,
        /// The rank of the stored projections.
        rank: u8,
    },
    /// The factors that the adapter brings for a module are those of another size (spec §6.8).
    #[error("{module} is {out_features} × {in_features}, and the factors in the file are those of {} × {}", stored.0, stored.1)]
    FactorSize {
        /// The module.
        module: String,
        /// Rows of its weight.
        out_features: usize,
        /// Columns of its weight.
        in_features: usize,
        /// Rows and columns by the file.
        stored: (u32, u32),
    },
    /// The adapter corrects an entry that its factors do not have (spec §6.10).
    #[error("entry {entry} of the rounded factors is corrected, and there are {entries}")]
    Corrections {
        /// The last entry that is corrected.
        entry: u64,
        /// How many there are.
        entries: u64,
    },
    /// The base cannot be read, or is not valid.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The threads could not be started.
    #[error("the worker threads could not be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl RebuildError {
    /// Whether a merged weight is too large for the output type.
    #[must_use]
    pub const fn is_not_representable(&self) -> bool {
        matches!(
            self,
            Self::Numeric {
                source: BasisError::NotRepresentable { .. },
                ..
            }
        )
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
