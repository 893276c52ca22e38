//! How long a file may be, from its first bytes: so that a reader of files never reads more than an adapter can need.

use std::io::{self, Read};

use crate::codes::{BasisCode, Code, ProjectionCode};
use crate::cursor::Cursor;
use crate::header::{HEADER_LENGTH, SHORTEST, check_magic, check_version};
use crate::section::{SECTION_HEADER_LENGTH, SIZE_LIMIT};
use crate::{Adapter, ParseError, Rounding};

/// The most bytes that a file with this beginning can have without breaking R21: 65,536 and v, and 4 GiB for factors,
/// projections and corrections each, if the header says that they are, or may be, there.
///
/// `start` is the first 88 bytes of the file, or more. The other fields are not judged here, since the specification's
/// order wants the checksum judged before them: [`Adapter::parse`] does it.
///
/// # Errors
/// If the bytes break R1 or R3, or are fewer than 88 (R2).
pub fn size_limit(start: &[u8]) -> Result<u64, ParseError> {
    check_magic(start)?;
    let too_short = ParseError::TooShort { found: start.len() };
    let header = start
        .get(..HEADER_LENGTH)
        .ok_or_else(|| too_short.clone())?;
    check_version(header)?;
    sizes(header).ok_or(too_short)
}

fn sizes(header: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(header, 0);
    cursor.take(11)?;
    let [precision, _, _, basis, basis_rounding, projection] = cursor.array()?;
    cursor.take(5)?;
    let u = u64::from(cursor.u16()?);
    cursor.take(4)?;
    let groups = u64::from(cursor.u32()?);
    // Numbers that break R10 must not raise the limit beyond what R10 allows.
    let values = groups.saturating_mul(u).min(1 << 24);
    let value_size = if precision == 0 { 4 } else { 2 };
    let largest_section = SECTION_HEADER_LENGTH.saturating_add(u64::from(u32::MAX));
    let factors = if basis == BasisCode::Explicit.code() {
        largest_section
    } else {
        0
    };
    let projections = if projection == ProjectionCode::Explicit.code() {
        largest_section
    } else {
        0
    };
    let corrections = if basis_rounding == Rounding::None.code() {
        0
    } else {
        largest_section
    };
    let parts = [
        values.saturating_mul(value_size),
        factors,
        projections,
        corrections,
    ];
    Some(parts.into_iter().fold(SIZE_LIMIT, u64::saturating_add))
}

/// Why no adapter came out of a reader.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes could not be read.
    #[error("the adapter could not be read")]
    Io(#[from] io::Error),
    /// The bytes are not an adapter.
    #[error("the bytes are not an adapter")]
    Parse(#[from] ParseError),
}

impl Adapter {
    /// Reads to the end, but never more than [`size_limit`] allows: a file longer than that breaks R21.
    ///
    /// # Errors
    /// If reading fails, or as [`Adapter::parse`].
    pub fn read_from(mut reader: impl Read) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        read_up_to(
            &mut reader,
            u64::try_from(SHORTEST).unwrap_or(u64::MAX),
            &mut bytes,
        )?;
        // R2 comes before R3.
        if bytes.len() < SHORTEST {
            return Ok(Self::parse(&bytes)?);
        }
        let limit = size_limit(&bytes)?;
        read_up_to(&mut reader, limit.saturating_add(1), &mut bytes)?;
        match u64::try_from(bytes.len()) {
            Ok(length) if length <= limit => Ok(Self::parse(&bytes)?),
            _ => Err(ParseError::Size {
                found: SIZE_LIMIT.saturating_add(1),
            }
            .into()),
        }
    }
}

/// Reads until `bytes` has `limit` bytes or nothing is left.
fn read_up_to(reader: &mut impl Read, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let left = limit.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    reader.take(left).read_to_end(bytes).map(drop)
}
