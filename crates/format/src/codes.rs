//! The numbers that stand for the variants in a file: one list a type, for reader, writer and layout.

use std::fmt;

use crate::{BasisKind, Precision, ProjectionKind, Rounding, SeedRule, SigmaSide, TextKey, Tying};

/// A type whose variants are stored as consecutive numbers from `FIRST`.
pub(crate) trait Code: Copy + PartialEq + 'static {
    /// The number of the first variant.
    const FIRST: u8 = 0;
    /// The variants with their names, in the order of their numbers.
    const VARIANTS: &'static [(Self, &'static str)];

    /// The variant with this number.
    fn from_code(code: u8) -> Option<Self> {
        let index = usize::from(code.checked_sub(Self::FIRST)?);
        Self::VARIANTS.get(index).map(|(variant, _)| *variant)
    }

    /// The number of this variant.
    fn code(self) -> u8 {
        let numbered = (Self::FIRST..).zip(Self::VARIANTS);
        numbered
            .into_iter()
            .find(|(_, (variant, _))| *variant == self)
            .map_or(u8::MAX, |(code, _)| code)
    }

    /// The specification's word for this variant.
    fn word(self) -> &'static str {
        Self::VARIANTS
            .iter()
            .find(|(variant, _)| *variant == self)
            .map_or("", |(_, word)| word)
    }

    /// The largest number.
    fn largest() -> u8 {
        (Self::FIRST..)
            .zip(Self::VARIANTS)
            .last()
            .map_or(Self::FIRST, |(code, _)| code)
    }
}

impl Code for Precision {
    const VARIANTS: &'static [(Self, &'static str)] =
        &[(Self::F32, "f32"), (Self::Bf16, "bf16"), (Self::F16, "f16")];
}

impl Code for SigmaSide {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::Left, "left"),
        (Self::Split, "split"),
        (Self::Right, "right"),
    ];
}

impl Code for Rounding {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::None, "none"),
        (Self::Bf16, "bf16"),
        (Self::F16, "f16"),
    ];
}

impl Code for SeedRule {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::PerModule, "seed + module number"),
        (Self::Shared, "one seed for all"),
    ];
}

impl Code for TextKey {
    const FIRST: u8 = 1;
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::Name, "name"),
        (Self::Description, "description"),
        (Self::Licence, "licence"),
        (Self::BaseModel, "base model"),
        (Self::TrainingSummary, "training summary"),
    ];
}

/// [`crate::BasisKind`] without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BasisCode {
    Exact,
    Rsvd,
    Explicit,
}

impl Code for BasisCode {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::Exact, "exact"),
        (Self::Rsvd, "rsvd"),
        (Self::Explicit, "explicit"),
    ];
}

/// [`crate::ProjectionKind`] without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProjectionCode {
    Native,
    Torch,
    Standard,
    Explicit,
}

impl Code for ProjectionCode {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::Native, "native"),
        (Self::Torch, "torch"),
        (Self::Standard, "standard"),
        (Self::Explicit, "explicit"),
    ];
}

/// [`crate::Tying`] without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TyingCode {
    Tiled,
    Structured,
    Explicit,
}

impl Code for TyingCode {
    const VARIANTS: &'static [(Self, &'static str)] = &[
        (Self::Tiled, "tiled"),
        (Self::Structured, "structured"),
        (Self::Explicit, "explicit map"),
    ];
}

impl BasisKind {
    /// The variant without its values.
    pub(crate) const fn which(&self) -> BasisCode {
        match self {
            Self::Exact => BasisCode::Exact,
            Self::Rsvd { .. } => BasisCode::Rsvd,
            Self::Explicit { .. } => BasisCode::Explicit,
        }
    }
}

impl ProjectionKind {
    /// The variant without its values.
    pub(crate) const fn which(&self) -> ProjectionCode {
        match self {
            Self::Native { .. } => ProjectionCode::Native,
            Self::Torch { .. } => ProjectionCode::Torch,
            Self::Standard => ProjectionCode::Standard,
            Self::Explicit { .. } => ProjectionCode::Explicit,
        }
    }
}

impl Tying {
    /// The variant without its values.
    pub(crate) const fn which(&self) -> TyingCode {
        match self {
            Self::Tiled => TyingCode::Tiled,
            Self::Structured => TyingCode::Structured,
            Self::Explicit(_) => TyingCode::Explicit,
        }
    }
}

/// Shows a variant by the specification's word.
macro_rules! display_word {
    ($($shown:ty: $word:expr),+ $(,)?) => {$(
        impl fmt::Display for $shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let word: fn(&Self) -> &'static str = $word;
                f.pad(word(self))
            }
        }
    )+};
}

display_word! {
    Precision: |variant| variant.word(),
    SigmaSide: |variant| variant.word(),
    Rounding: |variant| variant.word(),
    SeedRule: |variant| variant.word(),
    TextKey: |variant| variant.word(),
    BasisKind: |kind| kind.which().word(),
    ProjectionKind: |kind| kind.which().word(),
    Tying: |tying| tying.which().word(),
}
