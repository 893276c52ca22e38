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
    /// The adapter needs arithmetic that is not defined yet (spec §6.8, §7).
    #[error("the adapter has {0}, whose arithmetic the specification does not define yet")]
    Unsupported(Undefined),
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

/// What the specification leaves open in version 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undefined {
    /// Basis kind rsvd.
    RsvdBasis,
    /// Basis kind explicit.
    ExplicitBasis,
    /// A rounded basis.
    BasisRounding,
    /// Projection kind torch.
    TorchProjections,
}

impl std::fmt::Display for Undefined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RsvdBasis => "basis kind rsvd",
            Self::ExplicitBasis => "basis kind explicit",
            Self::BasisRounding => "a basis rounding",
            Self::TorchProjections => "projection kind torch",
        })
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
