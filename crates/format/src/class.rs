//! Which rule of the specification an error is about, and the rule's failure class.

use std::fmt;

use crate::ParseError;

/// The failure class of a rule: the word that the specification prints beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// Not a `.tlora` file.
    Magic,
    /// Bytes are missing.
    Truncated,
    /// A version that this reader does not know.
    Version,
    /// The bytes changed after they were written.
    Checksum,
    /// A flag that this reader does not know.
    Flags,
    /// A byte has a value that is not listed.
    Enumeration,
    /// A number is outside its range.
    Range,
    /// Groups and modules do not fit together.
    Tying,
    /// A float that may not stand there.
    Value,
    /// A field is set that is not used.
    Unused,
    /// The sections are not those that the header calls for, or not well formed.
    Section,
    /// The file is larger than any adapter of its kind.
    Size,
    /// The names of targets or modules.
    Names,
    /// A second way to write what has a shorter one.
    Canonical,
    /// Embedded factors or projections.
    Factors,
    /// Corrections of a rounded basis.
    Corrections,
    /// Free text.
    Text,
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Magic => "magic",
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::Checksum => "checksum",
            Self::Flags => "flags",
            Self::Enumeration => "enumeration",
            Self::Range => "range",
            Self::Tying => "tying",
            Self::Value => "value",
            Self::Unused => "unused",
            Self::Section => "section",
            Self::Size => "size",
            Self::Names => "names",
            Self::Canonical => "canonical",
            Self::Factors => "factors",
            Self::Corrections => "corrections",
            Self::Text => "text",
        })
    }
}

/// Rule and class of an error, one row a rule of the specification.
pub(crate) const fn place(error: &ParseError) -> (&'static str, FailureClass) {
    use crate::PerModule as P;
    use FailureClass as C;
    use ParseError as E;
    match error {
        E::Magic { .. } => ("R1", C::Magic),
        E::TooShort { .. } => ("R2", C::Truncated),
        E::Version { .. } => ("R3", C::Version),
        E::Checksum { .. } => ("R4", C::Checksum),
        E::Flags { .. } => ("R5", C::Flags),
        E::Enumeration { .. } => ("R6", C::Enumeration),
        E::Rank { .. } => ("R7", C::Range),
        E::ZeroU | E::StandardU { .. } => ("R8", C::Range),
        E::ModuleCount { .. } | E::GroupCount { .. } => ("R9", C::Range),
        E::TooManyValues { .. } => ("R10", C::Range),
        E::TieCount { .. } => ("R11", C::Tying),
        E::StructuredSingleGroup => ("R12", C::Tying),
        E::Scale { .. } => ("R13", C::Value),
        E::Unused { .. } => ("R14", C::Unused),
        E::TargetSet { .. } => ("R15", C::Range),
        E::TruncatedValues { .. } => ("R16", C::Truncated),
        E::Value { .. } => ("R17", C::Value),
        E::TruncatedSection { .. } | E::SectionOrder { .. } | E::SectionCount { .. } => {
            ("R18", C::Section)
        }
        E::UnknownSection { .. } => ("R19", C::Section),
        E::MissingSection { .. } | E::UnexpectedSection { .. } => ("R20", C::Section),
        E::Size { .. } => ("R21", C::Size),
        E::TargetsMode { .. } | E::TargetsCount { .. } | E::TargetsLength { .. } => {
            ("R22", C::Names)
        }
        E::TargetName { .. } => ("R23", C::Names),
        E::OverlappingTargets { .. } => ("R24", C::Names),
        E::StandardTargets { .. } => ("R25", C::Names),
        E::StructuredModules { .. } => ("R26", C::Names),
        E::GroupMapLength { .. }
        | E::GroupMapValue { .. }
        | E::GroupMapCount { .. }
        | E::GroupMapTiled { .. } => ("R27", C::Tying),
        E::PerModuleLength {
            section: P::Ranks, ..
        }
        | E::ModuleRank { .. }
        | E::ModuleRanksSpread { .. } => ("R28", C::Canonical),
        E::PerModuleLength {
            section: P::Scales, ..
        }
        | E::ModuleScale { .. }
        | E::EqualModuleScales { .. }
        | E::ScaleBesideModuleScales { .. } => ("R29", C::Canonical),
        E::PerModuleLength {
            section: P::Transposed | P::Signs,
            ..
        }
        | E::NoBitSet { .. }
        | E::Padding { .. }
        | E::SignBeyondRank { .. } => ("R30", C::Canonical),
        E::RsvdLength { .. } | E::RsvdValue { .. } => ("R31", C::Section),
        E::FactorsEnumeration { .. }
        | E::SharedRanks { .. }
        | E::EmptyFactor { .. }
        | E::FactorsLength { .. }
        | E::FactorsValue { .. } => ("R32", C::Factors),
        E::NoText { .. }
        | E::TextKey { .. }
        | E::TextLength { .. }
        | E::EmptyText { .. }
        | E::TextEncoding { .. } => ("R33", C::Text),
        E::TextCharacter { .. } => ("R34", C::Text),
        E::NoCorrections { .. }
        | E::CorrectionNumber { .. }
        | E::CorrectionStart { .. }
        | E::CorrectionDirection { .. }
        | E::CorrectionTooFar { .. } => ("R35", C::Corrections),
    }
}
