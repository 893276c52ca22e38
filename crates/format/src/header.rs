//! The fixed header and v: spec §2, R1 to R17.

use crate::codes::{BasisCode, Code, ProjectionCode, TyingCode};
use crate::cursor::Cursor;
use crate::{BaseDigest, ParseError, Precision, Rounding, SeedRule, SigmaSide, values};

/// The first eight bytes of a file.
pub const MAGIC: [u8; 8] = *b"\x89tlora\r\n";
/// Length of the header; v begins here.
pub const HEADER_LENGTH: usize = 88;
/// Length of the checksum at the end.
pub(crate) const CHECKSUM_LENGTH: usize = 8;
/// A header, two bytes of v, and the checksum.
pub(crate) const SHORTEST: usize = 98;
pub(crate) const MOST_MODULES: u32 = 1 << 20;
const MOST_VALUES: u64 = 1 << 24;
const LARGEST_EXACT_RANK: u8 = 64;

/// The header's fields that are left once the constants are checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) precision: Precision,
    pub(crate) rank: u8,
    pub(crate) sigma_side: SigmaSide,
    pub(crate) basis: BasisCode,
    pub(crate) basis_rounding: Rounding,
    pub(crate) projection: ProjectionCode,
    pub(crate) seed_rule: SeedRule,
    pub(crate) projection_rounding: Rounding,
    pub(crate) tying: TyingCode,
    pub(crate) target_set: u8,
    pub(crate) sections: u8,
    pub(crate) u: u16,
    pub(crate) modules: u32,
    pub(crate) groups: u32,
    pub(crate) n_tie: u32,
    pub(crate) scale: f32,
    pub(crate) seed: u64,
    pub(crate) base: BaseDigest,
    pub(crate) basis_check: [u8; 8],
}

/// What R1 to R17 leave of a file.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) header: Header,
    /// G·u bit patterns.
    pub(crate) v: Vec<u32>,
    /// The bytes between v and the checksum, as yet unread.
    pub(crate) sections: Cursor<'a>,
}

/// Checks R1 to R17 in their order.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened<'_>, ParseError> {
    let too_short = ParseError::TooShort { found: bytes.len() };
    check_magic(bytes)?;
    if bytes.len() < SHORTEST {
        return Err(too_short);
    }
    check_version(bytes)?;
    let body = check_checksum(bytes)?;
    let mut cursor = Cursor::new(body, 0);
    let header = read_header(&mut cursor).ok_or(too_short)??;
    check_ranges(&header)?;
    check_tying(&header)?;
    check_scale_and_unused(&header)?;
    let v = read_v(&header, &mut cursor)?;
    Ok(Opened {
        header,
        v,
        sections: cursor,
    })
}

/// R1.
pub(crate) fn check_magic(bytes: &[u8]) -> Result<(), ParseError> {
    let start = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if MAGIC.starts_with(start) {
        Ok(())
    } else {
        Err(ParseError::Magic {
            found: start.to_vec(),
        })
    }
}

/// R3.
pub(crate) fn check_version(bytes: &[u8]) -> Result<(), ParseError> {
    match bytes.get(8..10) {
        Some(&[major, minor]) if (major, minor) != (1, 0) => {
            Err(ParseError::Version { major, minor })
        }
        _ => Ok(()),
    }
}

/// R4; returns what the checksum covers.
fn check_checksum(bytes: &[u8]) -> Result<&[u8], ParseError> {
    let Some((body, stored)) = bytes.split_last_chunk::<CHECKSUM_LENGTH>() else {
        return Err(ParseError::TooShort { found: bytes.len() });
    };
    let (found, computed) = (
        u64::from_be_bytes(*stored),
        u64::from_be_bytes(checksum(body)),
    );
    if found == computed {
        Ok(body)
    } else {
        Err(ParseError::Checksum { found, computed })
    }
}

/// The first 8 bytes of BLAKE3 of everything before the checksum.
pub(crate) fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(body).as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// R5 and R6; `None` only if there are fewer than 88 bytes.
fn read_header(cursor: &mut Cursor<'_>) -> Option<Result<Header, ParseError>> {
    cursor.take(10)?;
    let flags = cursor.u8()?;
    let [precision, rank, codes @ .., target_set, sections] = cursor.array::<11>()?;
    let rest = Rest::read(cursor)?;
    Some(if flags == 0 {
        decode(precision, rank, codes, (target_set, sections), rest)
    } else {
        Err(ParseError::Flags { found: flags })
    })
}

/// The header from offset 22 on, where any bit pattern is a value.
struct Rest {
    u: u16,
    modules: u32,
    groups: u32,
    n_tie: u32,
    scale: f32,
    seed: u64,
    base: [u8; 32],
    basis_check: [u8; 8],
}

impl Rest {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            u: cursor.u16()?,
            modules: cursor.u32()?,
            groups: cursor.u32()?,
            n_tie: cursor.u32()?,
            scale: f32::from_bits(cursor.u32()?),
            seed: cursor.u64()?,
            base: cursor.array()?,
            basis_check: cursor.array()?,
        })
    }
}

/// R6: `codes` are the bytes 13 to 19.
fn decode(
    precision: u8,
    rank: u8,
    codes: [u8; 7],
    (target_set, sections): (u8, u8),
    rest: Rest,
) -> Result<Header, ParseError> {
    let [
        sigma_side,
        basis,
        basis_rounding,
        projection,
        seed_rule,
        projection_rounding,
        tying,
    ] = codes;
    Ok(Header {
        precision: listed("the precision of v", 11, precision)?,
        rank,
        sigma_side: listed("the sigma side", 13, sigma_side)?,
        basis: listed("the basis kind", 14, basis)?,
        basis_rounding: listed("the basis rounding", 15, basis_rounding)?,
        projection: listed("the projection kind", 16, projection)?,
        seed_rule: listed("the projection seed rule", 17, seed_rule)?,
        projection_rounding: listed("the projection rounding", 18, projection_rounding)?,
        tying: listed("the tying scheme", 19, tying)?,
        target_set,
        sections,
        u: rest.u,
        modules: rest.modules,
        groups: rest.groups,
        n_tie: rest.n_tie,
        scale: rest.scale,
        seed: rest.seed,
        base: BaseDigest(rest.base),
        basis_check: rest.basis_check,
    })
}

fn listed<T: Code>(field: &'static str, offset: usize, found: u8) -> Result<T, ParseError> {
    T::from_code(found).ok_or(ParseError::Enumeration {
        field,
        offset,
        found,
        largest: T::largest(),
    })
}

/// R7 to R10.
fn check_ranges(header: &Header) -> Result<(), ParseError> {
    let &Header {
        rank,
        u,
        modules,
        groups,
        ..
    } = header;
    let largest = if header.basis == BasisCode::Exact {
        LARGEST_EXACT_RANK
    } else {
        u8::MAX
    };
    if rank == 0 || rank > largest {
        return Err(ParseError::Rank {
            found: rank,
            largest,
        });
    }
    if u == 0 {
        return Err(ParseError::ZeroU);
    }
    if header.projection == ProjectionCode::Standard
        && u16::from(rank).checked_mul(u16::from(rank)) != Some(u)
    {
        return Err(ParseError::StandardU { found: u, rank });
    }
    if !(1..=MOST_MODULES).contains(&modules) {
        return Err(ParseError::ModuleCount { found: modules });
    }
    if !(1..=modules).contains(&groups) {
        return Err(ParseError::GroupCount {
            found: groups,
            modules,
        });
    }
    if value_count(header) > MOST_VALUES {
        return Err(ParseError::TooManyValues { groups, u });
    }
    Ok(())
}

/// R11 and R12.
fn check_tying(header: &Header) -> Result<(), ParseError> {
    let &Header {
        modules,
        groups,
        n_tie,
        tying,
        ..
    } = header;
    let wrong = |wanted| {
        Err(ParseError::TieCount {
            found: n_tie,
            modules,
            groups,
            wanted,
        })
    };
    if tying == TyingCode::Explicit {
        return if n_tie == 0 {
            Ok(())
        } else {
            wrong("0, for their map is explicit")
        };
    }
    let before_last = u64::from(groups.saturating_sub(1)).saturating_mul(u64::from(n_tie));
    if n_tie == 0 || before_last >= u64::from(modules) {
        return wrong("at least 1, and a module for every group");
    }
    if groups == 1 && n_tie != modules {
        return wrong("the number of modules");
    }
    if tying == TyingCode::Structured && groups == 1 {
        return Err(ParseError::StructuredSingleGroup);
    }
    Ok(())
}

/// R13 to R15.
fn check_scale_and_unused(header: &Header) -> Result<(), ParseError> {
    if !is_scale(header.scale) {
        return Err(ParseError::Scale {
            found: header.scale,
        });
    }
    let exact_basis = header.basis == BasisCode::Exact;
    let rounded_basis = exact_basis && header.sigma_side == SigmaSide::Split;
    let seeded = matches!(
        header.projection,
        ProjectionCode::Native | ProjectionCode::Torch
    );
    let torch = header.projection == ProjectionCode::Torch;
    let fields = [
        (
            exact_basis,
            "the sigma side",
            13,
            u64::from(header.sigma_side.code()),
        ),
        (
            rounded_basis,
            "the basis rounding",
            15,
            u64::from(header.basis_rounding.code()),
        ),
        (
            torch,
            "the projection seed rule",
            17,
            u64::from(header.seed_rule.code()),
        ),
        (
            torch,
            "the projection rounding",
            18,
            u64::from(header.projection_rounding.code()),
        ),
        (seeded, "the projection seed", 40, header.seed),
    ];
    for (used, field, offset, found) in fields {
        if !used && found != 0 {
            return Err(ParseError::Unused {
                field,
                offset,
                found,
            });
        }
    }
    if header.target_set & 0x80 != 0 {
        return Err(ParseError::TargetSet {
            found: header.target_set,
        });
    }
    Ok(())
}

/// Whether a number may be a scale: finite and neither +0 nor −0.
pub(crate) fn is_scale(scale: f32) -> bool {
    scale.is_finite() && scale != 0.0
}

/// R16 and R17.
fn read_v(header: &Header, cursor: &mut Cursor<'_>) -> Result<Vec<u32>, ParseError> {
    let (offset, found) = (cursor.offset(), cursor.left());
    let wanted = value_count(header).saturating_mul(values::bytes(header.precision));
    let truncated = ParseError::TruncatedValues { found, wanted };
    let length = usize::try_from(wanted).unwrap_or(usize::MAX);
    let v = values::unpack(header.precision, cursor.take(length).ok_or(truncated)?);
    match values::first_forbidden(header.precision, &v) {
        None => Ok(v),
        Some((index, found)) => {
            let offset = offset.saturating_add(index.saturating_mul(header.precision.size()));
            Err(ParseError::Value {
                index,
                offset,
                found,
            })
        }
    }
}

/// G·u.
fn value_count(header: &Header) -> u64 {
    u64::from(header.groups).saturating_mul(u64::from(header.u))
}
