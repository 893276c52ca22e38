//! The sections between v and the checksum: spec §3, R18 to R21.

use crate::codes::{BasisCode, ProjectionCode, TyingCode};
use crate::cursor::Cursor;
use crate::header::{CHECKSUM_LENGTH, HEADER_LENGTH, Header};
use crate::{ParseError, Rounding};

pub(crate) const TARGETS: u8 = 1;
pub(crate) const GROUP_MAP: u8 = 2;
pub(crate) const MODULE_RANKS: u8 = 3;
pub(crate) const MODULE_SCALES: u8 = 4;
pub(crate) const TRANSPOSED: u8 = 5;
pub(crate) const SIGNS: u8 = 6;
pub(crate) const RSVD: u8 = 7;
pub(crate) const FACTORS: u8 = 8;
pub(crate) const PROJECTIONS: u8 = 9;
pub(crate) const CORRECTIONS: u8 = 10;
pub(crate) const TEXT: u8 = 128;
const FIRST_ANCILLARY: u8 = 128;

/// Type and length of a section.
pub(crate) const SECTION_HEADER_LENGTH: u64 = 5;
/// R21: everything but v, factors, projections and corrections.
pub(crate) const SIZE_LIMIT: u64 = 65_536;

/// A section whose content is as yet unread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) kind: u8,
    /// Where its type is.
    pub(crate) offset: usize,
    pub(crate) content: Cursor<'a>,
}

/// Checks R18 to R21 in their order.
pub(crate) fn split<'a>(
    header: &Header,
    cursor: Cursor<'a>,
) -> Result<Vec<Section<'a>>, ParseError> {
    let sections = frame(header, cursor)?;
    let unknown = |section: &&Section<'_>| {
        section.kind < FIRST_ANCILLARY && !(TARGETS..=CORRECTIONS).contains(&section.kind)
    };
    if let Some(&Section { kind, offset, .. }) = sections.iter().find(unknown) {
        return Err(ParseError::UnknownSection {
            offset,
            found: kind,
        });
    }
    check_presence(header, &sections)?;
    check_size(&sections)?;
    Ok(sections)
}

/// R18.
fn frame<'a>(header: &Header, mut cursor: Cursor<'a>) -> Result<Vec<Section<'a>>, ParseError> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    while cursor.left() > 0 {
        let section = next_section(&mut cursor)?;
        // Types ascend, so there are never more than 256 sections to hold.
        if let Some(previous) = sections
            .last()
            .filter(|previous| previous.kind >= section.kind)
        {
            return Err(ParseError::SectionOrder {
                offset: section.offset,
                found: section.kind,
                previous: previous.kind,
            });
        }
        sections.push(section);
    }
    if sections.len() != usize::from(header.sections) {
        return Err(ParseError::SectionCount {
            found: sections.len(),
            declared: header.sections,
        });
    }
    Ok(sections)
}

fn next_section<'a>(cursor: &mut Cursor<'a>) -> Result<Section<'a>, ParseError> {
    let (offset, found) = (cursor.offset(), cursor.left());
    let truncated = |wanted| ParseError::TruncatedSection {
        offset,
        found,
        wanted,
    };
    let (Some(kind), Some(length)) = (cursor.u8(), cursor.u32()) else {
        return Err(truncated(SECTION_HEADER_LENGTH));
    };
    let start = cursor.offset();
    let content = usize::try_from(length)
        .ok()
        .and_then(|length| cursor.take(length));
    let too_long = || truncated(SECTION_HEADER_LENGTH.saturating_add(u64::from(length)));
    Ok(Section {
        kind,
        offset,
        content: Cursor::new(content.ok_or_else(too_long)?, start),
    })
}

/// R20.
fn check_presence(header: &Header, sections: &[Section<'_>]) -> Result<(), ParseError> {
    use Presence::{Allowed, Needed};
    let rules = [
        (TARGETS, "targets", Needed(header.target_set == 0), 20),
        (
            GROUP_MAP,
            "group map",
            Needed(header.tying == TyingCode::Explicit),
            19,
        ),
        (RSVD, "rsvd", Needed(header.basis == BasisCode::Rsvd), 14),
        (
            FACTORS,
            "factors",
            Needed(header.basis == BasisCode::Explicit),
            14,
        ),
        (
            PROJECTIONS,
            "projections",
            Needed(header.projection == ProjectionCode::Explicit),
            16,
        ),
        (
            CORRECTIONS,
            "corrections",
            Allowed(header.basis_rounding != Rounding::None),
            15,
        ),
        (
            SIGNS,
            "signs",
            Allowed(header.basis != BasisCode::Explicit),
            14,
        ),
    ];
    for (kind, section, presence, offset) in rules {
        let is_there = sections.iter().any(|section| section.kind == kind);
        let field = field_at(offset);
        match presence {
            Needed(true) if !is_there => {
                return Err(ParseError::MissingSection {
                    section,
                    field,
                    offset,
                });
            }
            Needed(false) | Allowed(false) if is_there => {
                return Err(ParseError::UnexpectedSection {
                    section,
                    field,
                    offset,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a section may, or must, be there.
#[derive(Clone, Copy)]
enum Presence {
    /// Exactly if true.
    Needed(bool),
    /// Only if true.
    Allowed(bool),
}

/// The header field that a section depends on.
const fn field_at(offset: usize) -> &'static str {
    match offset {
        14 => "the basis kind",
        15 => "the basis rounding",
        16 => "the projection kind",
        19 => "the tying scheme",
        _ => "the target set",
    }
}

/// R21.
fn check_size(sections: &[Section<'_>]) -> Result<(), ParseError> {
    let counted = sections
        .iter()
        .filter(|section| !matches!(section.kind, FACTORS | PROJECTIONS | CORRECTIONS));
    let bytes = counted
        .map(|section| in_64_bits(section.content.left()).saturating_add(SECTION_HEADER_LENGTH));
    let found = bytes.fold(
        in_64_bits(HEADER_LENGTH.saturating_add(CHECKSUM_LENGTH)),
        u64::saturating_add,
    );
    if found <= SIZE_LIMIT {
        Ok(())
    } else {
        Err(ParseError::Size { found })
    }
}

/// A length in memory as one in a file; no machine's exceeds 64 bits.
pub(crate) fn in_64_bits(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
