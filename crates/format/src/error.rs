//! Why bytes are not a `.tlora` file: one variant or more for each rule of the specification.

use crate::class::FailureClass;

/// The first rule of the format that some bytes break. Offsets are in bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// R1
    #[error("the file begins with {found:02x?}, not with the magic 89 74 6c 6f 72 61 0d 0a")]
    Magic {
        /// Up to eight bytes.
        found: Vec<u8>,
    },
    /// R2
    #[error("the file has {found} bytes; the shortest adapter has 98")]
    TooShort {
        /// Length of the file.
        found: usize,
    },
    /// R3
    #[error("the file has format version {major}.{minor}; this reader knows 1.0")]
    Version {
        /// Byte 8.
        major: u8,
        /// Byte 9.
        minor: u8,
    },
    /// R4
    #[error(
        "the checksum in the last 8 bytes is {found:016x}, that of the content is {computed:016x}"
    )]
    Checksum {
        /// The stored bytes, read as a big-endian number.
        found: u64,
        /// What they should be.
        computed: u64,
    },
    /// R5
    #[error("the flags (offset 10) are {found:#04x}; expected 0")]
    Flags {
        /// Byte 10.
        found: u8,
    },
    /// R6
    #[error("{field} (offset {offset}) is {found}; expected 0 to {largest}")]
    Enumeration {
        /// The header field.
        field: &'static str,
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u8,
        /// The largest value it may have.
        largest: u8,
    },
    /// R7
    #[error("the rank (offset 12) is {found}; expected 1 to {largest}")]
    Rank {
        /// Its value.
        found: u8,
        /// 64 for an exact basis, else 255.
        largest: u8,
    },
    /// R8
    #[error("u (offset 22) is 0; expected at least 1")]
    ZeroU,
    /// R8
    #[error(
        "u (offset 22) is {found}; standard projections of rank {rank} need the square of the rank"
    )]
    StandardU {
        /// Its value.
        found: u16,
        /// The rank.
        rank: u8,
    },
    /// R9
    #[error("the number of modules (offset 24) is {found}; expected 1 to 1048576")]
    ModuleCount {
        /// N.
        found: u32,
    },
    /// R9
    #[error(
        "the number of groups (offset 28) is {found}; expected 1 to the number of modules, {modules}"
    )]
    GroupCount {
        /// G.
        found: u32,
        /// N.
        modules: u32,
    },
    /// R10
    #[error("{groups} groups of {u} values are {found} values; expected at most 16777216", found = u64::from(*groups).saturating_mul(u64::from(*u)))]
    TooManyValues {
        /// G.
        groups: u32,
        /// u.
        u: u16,
    },
    /// R11
    #[error("n_tie (offset 32) is {found}; {modules} modules in {groups} groups need {wanted}")]
    TieCount {
        /// Its value.
        found: u32,
        /// N.
        modules: u32,
        /// G.
        groups: u32,
        /// What values it may have.
        wanted: &'static str,
    },
    /// R12
    #[error("structured tying with one group; expected tiled, which says the same")]
    StructuredSingleGroup,
    /// R13
    #[error("the scale (offset 36) is {found:?}; expected a finite number other than 0")]
    Scale {
        /// Its value.
        found: f32,
    },
    /// R14
    #[error(
        "{field} (offset {offset}) is {found}, but the adapter's kind does not use it; expected 0"
    )]
    Unused {
        /// The header field.
        field: &'static str,
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u64,
    },
    /// R15
    #[error("the target set (offset 20) is {found:#04x}; bit 7 must be 0")]
    TargetSet {
        /// Its value.
        found: u8,
    },
    /// R16
    #[error("v takes {wanted} bytes from offset 88, but {found} are left before the checksum")]
    TruncatedValues {
        /// Bytes before the checksum.
        found: usize,
        /// Size of v.
        wanted: u64,
    },
    /// R17
    #[error(
        "value {index} of v (offset {offset}) is {found:?}; expected a finite number other than -0"
    )]
    Value {
        /// Its position in v, over all groups.
        index: usize,
        /// Where it is.
        offset: usize,
        /// Its value.
        found: f64,
    },
    /// R18
    #[error(
        "the section at offset {offset} needs {wanted} bytes, but {found} are left before the checksum"
    )]
    TruncatedSection {
        /// Where the section begins.
        offset: usize,
        /// Bytes before the checksum.
        found: usize,
        /// Size of the section, or 5 if not even its type and length are there.
        wanted: u64,
    },
    /// R18
    #[error(
        "the section at offset {offset} has type {found} after type {previous}; expected ascending types"
    )]
    SectionOrder {
        /// Where the section begins.
        offset: usize,
        /// Its type.
        found: u8,
        /// The type before.
        previous: u8,
    },
    /// R18
    #[error("the file has {found} sections; its header (offset 21) says {declared}")]
    SectionCount {
        /// Sections between v and the checksum.
        found: usize,
        /// Byte 21.
        declared: u8,
    },
    /// R19
    #[error(
        "the section at offset {offset} has the critical type {found}, which this reader does not know; expected 1 to 10"
    )]
    UnknownSection {
        /// Where the section begins.
        offset: usize,
        /// Its type.
        found: u8,
    },
    /// R20
    #[error("there is no {section} section, which {field} (offset {offset}) calls for")]
    MissingSection {
        /// Name of the section.
        section: &'static str,
        /// The header field that needs it.
        field: &'static str,
        /// Where that field is.
        offset: usize,
    },
    /// R20
    #[error("there is a {section} section, which {field} (offset {offset}) does not call for")]
    UnexpectedSection {
        /// Name of the section.
        section: &'static str,
        /// The header field that does not need it.
        field: &'static str,
        /// Where that field is.
        offset: usize,
    },
    /// R21
    #[error(
        "the file has {found} bytes besides v, factors, projections and corrections; expected at most 65536"
    )]
    Size {
        /// Their number.
        found: u64,
    },
    /// R22
    #[error("the mode of the targets (offset {offset}) is {found}; expected 0 or 1")]
    TargetsMode {
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u8,
    },
    /// R22
    #[error("the targets (offset {offset}) have {found} names; expected {wanted}")]
    TargetsCount {
        /// Where the count is.
        offset: usize,
        /// Its value.
        found: u32,
        /// The counts that are allowed.
        wanted: String,
    },
    /// R22
    #[error("the targets section ends at offset {found}; its content ends {wanted}")]
    TargetsLength {
        /// End of the section.
        found: usize,
        /// Where its last name ends.
        wanted: String,
    },
    /// R23
    #[error(
        "target {index} (offset {offset}) is {found:?}; expected printable ASCII without spaces, its dots single and inside"
    )]
    TargetName {
        /// Its position among the names.
        index: usize,
        /// Where the name is.
        offset: usize,
        /// The name, lossily.
        found: String,
    },
    /// R24
    #[error(
        "target {found:?} is also selected by target {other:?}; expected each module to be selected once"
    )]
    OverlappingTargets {
        /// A name.
        found: String,
        /// The same name, or one that it ends with.
        other: String,
    },
    /// R25
    #[error(
        "the targets section (offset {offset}) lists standard targets only; expected the target set {mask:#04x} instead"
    )]
    StandardTargets {
        /// Where the content begins.
        offset: usize,
        /// The mask that says the same.
        mask: u8,
    },
    /// R26
    #[error(
        "tying is structured, but the targets section (offset {offset}) lists modules; expected targets to sort by"
    )]
    StructuredModules {
        /// Where the content begins.
        offset: usize,
    },
    /// R27
    #[error("the group map (offset {offset}) has {found} bytes; expected {wanted}, 2 a module")]
    GroupMapLength {
        /// Where the content begins.
        offset: usize,
        /// Its length.
        found: usize,
        /// 2·N.
        wanted: u64,
    },
    /// R27
    #[error(
        "module {module} is in group {found} (offset {offset}); expected a group below {wanted}"
    )]
    GroupMapValue {
        /// Number of the module.
        module: usize,
        /// Where its group is.
        offset: usize,
        /// Its group.
        found: u16,
        /// The number of groups, or one more than the groups so far: new groups come in ascending order.
        wanted: u32,
    },
    /// R27
    #[error("the group map (offset {offset}) has {found} groups; expected all {wanted}")]
    GroupMapCount {
        /// Where the content begins.
        offset: usize,
        /// Groups that occur.
        found: u32,
        /// G.
        wanted: u32,
    },
    /// R27
    #[error(
        "the group map (offset {offset}) is tiled with n_tie {n_tie}; expected the tiled scheme, which says the same"
    )]
    GroupMapTiled {
        /// Where the content begins.
        offset: usize,
        /// The n_tie that says the same.
        n_tie: u32,
    },
    /// R28, R29, R30
    #[error(
        "the {section} section (offset {offset}) has {found} bytes; expected {wanted} for {modules} modules"
    )]
    PerModuleLength {
        /// Which section.
        section: PerModule,
        /// Where the content begins.
        offset: usize,
        /// Its length.
        found: usize,
        /// The length it must have.
        wanted: u64,
        /// N.
        modules: u32,
    },
    /// R28
    #[error("the rank of module {module} (offset {offset}) is {found}; expected 1 to {largest}")]
    ModuleRank {
        /// Number of the module.
        module: usize,
        /// Where its rank is.
        offset: usize,
        /// Its rank.
        found: u8,
        /// r.
        largest: u8,
    },
    /// R28
    #[error(
        "the module ranks (offset {offset}) are {least} to {largest}; expected at least one equal to r = {rank} and one less"
    )]
    ModuleRanksSpread {
        /// Where the content begins.
        offset: usize,
        /// The least rank.
        least: u8,
        /// The largest rank.
        largest: u8,
        /// r.
        rank: u8,
    },
    /// R29
    #[error(
        "the scale of module {module} (offset {offset}) is {found:?}; expected a finite number other than 0"
    )]
    ModuleScale {
        /// Number of the module.
        module: usize,
        /// Where its scale is.
        offset: usize,
        /// Its scale.
        found: f32,
    },
    /// R29
    #[error(
        "all module scales (offset {offset}) are {found:?}; expected the header's scale, which says the same"
    )]
    EqualModuleScales {
        /// Where the content begins.
        offset: usize,
        /// The one scale.
        found: f32,
    },
    /// R29
    #[error("the scale (offset 36) is {found:?} beside module scales; expected 1")]
    ScaleBesideModuleScales {
        /// The header's scale.
        found: f32,
    },
    /// R30
    #[error(
        "no bit of the {section} section (offset {offset}) is set; expected no section, which says the same"
    )]
    NoBitSet {
        /// Which section.
        section: PerModule,
        /// Where the content begins.
        offset: usize,
    },
    /// R30
    #[error(
        "the last byte of the {section} section (offset {offset}) is {found:#04x}; expected 0 in the padding bits"
    )]
    Padding {
        /// Which section.
        section: PerModule,
        /// Where the byte is.
        offset: usize,
        /// Its value.
        found: u8,
    },
    /// R30
    #[error(
        "the signs (offset {offset}) negate column {column} of module {module}, which has rank {rank}; expected a column below the rank"
    )]
    SignBeyondRank {
        /// Where the content begins.
        offset: usize,
        /// Number of the module.
        module: usize,
        /// Number of the column.
        column: usize,
        /// Rank of the module.
        rank: u8,
    },
    /// R31
    #[error("the rsvd section (offset {offset}) has {found} bytes; expected 8")]
    RsvdLength {
        /// Where the content begins.
        offset: usize,
        /// Its length.
        found: usize,
    },
    /// R31
    #[error("{field} of the rsvd section (offset {offset}) is {found}; expected at most 100")]
    RsvdValue {
        /// `n_iter` or `oversample`.
        field: &'static str,
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u16,
    },
    /// R32
    #[error("{field} (offset {offset}) is {found}; expected 0 to {largest}")]
    FactorsEnumeration {
        /// dtype or shared.
        field: &'static str,
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u8,
        /// The largest value it may have.
        largest: u8,
    },
    /// R32
    #[error(
        "the projections (offset {offset}) are shared by modules of different rank; expected one set a module"
    )]
    SharedRanks {
        /// Where the shared byte is.
        offset: usize,
    },
    /// R32
    #[error(
        "module {module} (offset {offset}) is {out_features} x {in_features}; expected sizes of at least 1"
    )]
    EmptyFactor {
        /// Number of the module.
        module: usize,
        /// Where the sizes are.
        offset: usize,
        /// Rows of W.
        out_features: u32,
        /// Columns of W.
        in_features: u32,
    },
    /// R32
    #[error("the {section} section ends at offset {found}; its content ends {wanted}")]
    FactorsLength {
        /// factors or projections.
        section: &'static str,
        /// End of the section.
        found: usize,
        /// Where its content ends.
        wanted: String,
    },
    /// R32
    #[error("the value at offset {offset} is {found:?}; expected a finite number other than -0")]
    FactorsValue {
        /// Where it is.
        offset: usize,
        /// Its value.
        found: f64,
    },
    /// R33
    #[error("the text section (offset {offset}) is empty; expected at least one text")]
    NoText {
        /// Where the content begins.
        offset: usize,
    },
    /// R33
    #[error(
        "the text key at offset {offset} is {found}; expected {least} to 5, in ascending order"
    )]
    TextKey {
        /// Where it is.
        offset: usize,
        /// Its value.
        found: u8,
        /// One more than the key before.
        least: u8,
    },
    /// R33
    #[error("the text at offset {offset} needs {wanted} bytes, but the section has {found} more")]
    TextLength {
        /// Where its key is.
        offset: usize,
        /// Bytes to the end of the section.
        found: usize,
        /// Size of the entry, or 3 if not even its key and length are there.
        wanted: usize,
    },
    /// R33
    #[error("the text at offset {offset} is empty; expected at least one byte")]
    EmptyText {
        /// Where its key is.
        offset: usize,
    },
    /// R33
    #[error("the text at offset {offset} is not UTF-8 from offset {invalid_from}")]
    TextEncoding {
        /// Where its key is.
        offset: usize,
        /// The first byte that is not UTF-8.
        invalid_from: usize,
    },
    /// R34
    #[error("the text at offset {offset} has the character U+{:04X}, which can hide or reorder what is shown", u32::from(*found))]
    TextCharacter {
        /// Where its key is.
        offset: usize,
        /// The character.
        found: char,
    },
    /// R35
    #[error("the corrections section (offset {offset}) is empty; expected at least one correction")]
    NoCorrections {
        /// Where the content begins.
        offset: usize,
    },
    /// R35
    #[error(
        "the correction at offset {offset} is no number; expected LEB128 of at most 64 bits in as few bytes as it takes"
    )]
    CorrectionNumber {
        /// Where it begins.
        offset: usize,
    },
    /// R35
    #[error(
        "the first correction (offset {offset}) does not move; expected it to move to an entry"
    )]
    CorrectionStart {
        /// Where it is.
        offset: usize,
    },
    /// R35
    #[error(
        "the correction at offset {offset} takes back a step of the same entry; expected one more in the same direction"
    )]
    CorrectionDirection {
        /// Where it is.
        offset: usize,
    },
    /// R35
    #[error(
        "the correction at offset {offset} moves beyond entry 2^63 - 2; expected entries up to there"
    )]
    CorrectionTooFar {
        /// Where it is.
        offset: usize,
    },
}

/// The sections with an entry for each module (spec §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerModule {
    /// Type 3.
    Ranks,
    /// Type 4.
    Scales,
    /// Type 5.
    Transposed,
    /// Type 6.
    Signs,
}

impl std::fmt::Display for PerModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ranks => "module ranks",
            Self::Scales => "module scales",
            Self::Transposed => "transposed",
            Self::Signs => "signs",
        })
    }
}

impl ParseError {
    /// The id of the broken rule, as in `R7`.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        crate::class::place(self).0
    }

    /// The failure class of the broken rule.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        crate::class::place(self).1
    }
}
