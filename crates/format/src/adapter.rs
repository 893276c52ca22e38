//! What a `.tlora` file says, as types. Field by field as in `spec/tlora.md` §2-§4.

use std::collections::BTreeMap;
use std::ops::Deref;

use crate::{BaseDigest, Corrections, InvalidAdapter, ParseError, Precision, TargetModules};

/// Everything that a file says, with no promise that it makes sense together: what one fills in to build an [`Adapter`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFields {
    /// The type that v is stored in.
    pub precision: Precision,
    /// v, group by group, as `group_count · u` bit patterns of `precision`; [`Precision::pack`] makes them.
    pub v: Vec<u32>,
    /// The rank r.
    pub rank: u8,
    /// Number of trained values of a group.
    pub u: u16,
    /// Number of modules, N.
    pub module_count: u32,
    /// Number of groups, G.
    pub group_count: u32,
    /// Modules of a group, for tiled and structured tying (spec §5.3); 0 for an explicit map.
    pub n_tie: u32,
    /// How modules share v.
    pub tying: Tying,
    /// Which modules of the base are adapted.
    pub targets: TargetModules,
    /// Where the singular values stand; [`SigmaSide::Left`] if the basis is rsvd or explicit.
    pub sigma_side: SigmaSide,
    /// Where U, Σ and V come from.
    pub basis: BasisKind,
    /// Rounding of the basis; none unless the basis is exact and the sigma side split (spec §6.10).
    pub basis_rounding: Rounding,
    /// Where the P come from.
    pub projection: ProjectionKind,
    /// Factor of ΔW; 1 if there are module scales.
    pub scale: f32,
    /// The base that the adapter applies to.
    pub base: BaseDigest,
    /// Digest of the rebuilt basis (spec §6.7).
    pub basis_check: [u8; 8],
    /// Rank of each module, if they differ (spec §4.3).
    pub module_ranks: Option<Vec<u8>>,
    /// Scale of each module, if they differ.
    pub module_scales: Option<Vec<f32>>,
    /// Whether the checkpoint stores a module's weight as in × out; absent if it does so for none.
    pub transposed: Option<Vec<bool>>,
    /// Whether a column of V is negated before use: r − 1 entries a module, for the columns 1 … r − 1; absent if none is.
    /// With a basis of factors it is column c of B and row c of A; explicit factors have no signs.
    pub signs: Option<Vec<bool>>,
    /// Which entries of a rounded basis are rounded otherwise (spec §4.6); none without a basis rounding.
    pub corrections: Corrections,
    /// Free text (spec §4.7).
    pub text: BTreeMap<TextKey, String>,
    /// Ancillary sections of types that this version does not know, by type (129 … 255), verbatim.
    pub unknown: BTreeMap<u8, Vec<u8>>,
}

impl AdapterFields {
    /// The content of the factors section, of which spec §6.7 makes the basis check of an explicit basis; none for the
    /// other kinds.
    #[must_use]
    pub fn factors_content(&self) -> Option<Vec<u8>> {
        match &self.basis {
            BasisKind::Explicit { precision, factors } => {
                Some(crate::explicit::write_factors(*precision, factors))
            }
            BasisKind::Exact | BasisKind::Rsvd { .. } => None,
        }
    }

    pub(crate) fn rank_of(&self, module: usize) -> u8 {
        self.module_ranks
            .as_ref()
            .and_then(|ranks| ranks.get(module))
            .copied()
            .unwrap_or(self.rank)
    }
}

/// An adapter that a file can hold, and in the one form that the file has for it.
///
/// It reads like its [`AdapterFields`] and cannot be changed in place: take [`Adapter::into_fields`], change those and
/// call [`Adapter::new`] again.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter(AdapterFields);

impl Deref for Adapter {
    type Target = AdapterFields;

    fn deref(&self) -> &AdapterFields {
        &self.0
    }
}

impl Adapter {
    /// Checks the fields against every rule of the format, after bringing them into the form that the file wants:
    /// −0 becomes +0, and what says nothing goes (equal module ranks or scales, all-false bits, a map that is tiled).
    ///
    /// # Errors
    /// If a list has the wrong length, or a rule of the format is broken.
    pub fn new(mut fields: AdapterFields) -> Result<Self, InvalidAdapter> {
        crate::fit::check(&fields)?;
        crate::canonical::canonicalize(&mut fields);
        // One set of rules, the reader's: what it takes, and takes for the same adapter, is valid.
        let read_back = crate::parse::fields(&crate::write::bytes(&fields))?;
        if read_back == fields {
            Ok(Self(fields))
        } else {
            Err(InvalidAdapter::Ambiguous)
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// The first rule of the format that the bytes break, in the specification's order.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        crate::parse::fields(bytes).map(Self)
    }

    /// The file. `parse` of it gives this adapter again, and no other bytes do.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::write::bytes(&self.0)
    }

    /// The fields, to change them.
    #[must_use]
    pub fn into_fields(self) -> AdapterFields {
        self.0
    }

    /// The trained vector of a group, u values; `None` if there is no such group.
    pub fn v(&self, group: u32) -> Option<impl ExactSizeIterator<Item = f64> + '_> {
        let index = usize::try_from(group).ok()?;
        let bits = self.v.chunks_exact(usize::from(self.u)).nth(index)?;
        Some(bits.iter().map(|&bits| self.precision.to_f64(bits)))
    }

    /// The rank that the file gives a module: its module rank, or r. The module's own sizes may lower it (spec §5.2).
    #[must_use]
    pub fn module_rank(&self, module: usize) -> u8 {
        self.rank_of(module)
    }

    /// The scale of a module.
    #[must_use]
    pub fn module_scale(&self, module: usize) -> f32 {
        self.module_scales
            .as_ref()
            .and_then(|scales| scales.get(module))
            .copied()
            .unwrap_or(self.scale)
    }

    /// Whether the checkpoint stores this module's weight as in × out.
    #[must_use]
    pub fn is_transposed(&self, module: usize) -> bool {
        self.transposed
            .as_ref()
            .and_then(|bits| bits.get(module))
            .copied()
            .unwrap_or(false)
    }

    /// Whether a column of this module's V is negated before use (spec §4.3).
    #[must_use]
    pub fn is_negated(&self, module: usize, column: usize) -> bool {
        let width = usize::from(self.rank).saturating_sub(1);
        let Some(bit) = column.checked_sub(1).filter(|&bit| bit < width) else {
            return false;
        };
        let index = module
            .checked_mul(width)
            .and_then(|start| start.checked_add(bit));
        self.signs
            .as_ref()
            .zip(index)
            .and_then(|(bits, index)| bits.get(index))
            .copied()
            .unwrap_or(false)
    }
}

/// Which modules share a trained vector (spec §5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tying {
    /// Runs of `n_tie` modules in module order.
    Tiled,
    /// Runs of `n_tie` modules, sorted by target first.
    Structured,
    /// The group of each module.
    Explicit(Vec<u16>),
}

/// Which side of R the singular values stand on (spec §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigmaSide {
    /// UΣ R Vᵀ, as in the paper.
    Left,
    /// U√Σ R √ΣVᵀ, as in PEFT.
    Split,
    /// U R ΣVᵀ, as in LoRA-XS.
    Right,
}

/// A rounding to a narrower type, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Values are used as computed.
    None,
    /// Rounded to bf16.
    Bf16,
    /// Rounded to f16.
    F16,
}

/// Where U, Σ and V come from (spec §6).
#[derive(Debug, Clone, PartialEq)]
pub enum BasisKind {
    /// The truncated SVD of spec §6.1-§6.6.
    Exact,
    /// scikit-learn's randomised SVD, as LoRA-XS uses it.
    Rsvd {
        /// Seed of numpy's legacy generator.
        seed: u32,
        /// Number of power iterations.
        n_iter: u16,
        /// Extra random vectors.
        oversample: u16,
    },
    /// The factors themselves, one pair a module, in module order.
    Explicit {
        /// The type the factors are stored in.
        precision: Precision,
        /// B and A of each module.
        factors: Vec<Factors>,
    },
}

/// One module's embedded factors: ΔW = scale·B·R·A (spec §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors {
    /// Rows of W.
    pub out_features: u32,
    /// Columns of W.
    pub in_features: u32,
    /// B, out × r, row-major, as bit patterns of the section's precision (16-bit ones zero-extended).
    pub b: Vec<u32>,
    /// A, r × in, likewise.
    pub a: Vec<u32>,
}

/// Where the projections P come from (spec §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectionKind {
    /// BLAKE3 of the seed and the module's name.
    Native {
        /// The seed.
        seed: u64,
    },
    /// torch's CPU generator.
    Torch {
        /// The seed.
        seed: u64,
        /// How the seed of a module is made from it.
        seed_rule: SeedRule,
        /// Rounding of the values drawn.
        rounding: Rounding,
    },
    /// u = r², each P a single 1, as in LoRA-XS.
    Standard,
    /// The values themselves.
    Explicit {
        /// The type they are stored in.
        precision: Precision,
        /// Whether all modules use the same u × r × r values.
        shared: bool,
        /// u × r × r values, row-major: once if shared, else module by module with the module's rank.
        values: Vec<u32>,
    },
}

/// How torch's generator is seeded for a module (spec §2, offset 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedRule {
    /// The seed plus the module's number.
    PerModule,
    /// One seed for all modules.
    Shared,
}

/// What a text entry is about (spec §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKey {
    /// A short name of the adapter.
    Name,
    /// What it does.
    Description,
    /// The licence it is under, best as an SPDX expression.
    Licence,
    /// The base model's name for people; the digest decides.
    BaseModel,
    /// How it was trained.
    TrainingSummary,
}
