//! Everything that a file carries instead of naming how to rebuild it: rsvd parameters, factors and projections, spec
//! §4.4 and §4.5, R31 and R32.

use crate::codes::Code;
use crate::cursor::Cursor;
use crate::header::Header;
use crate::{BasisKind, Factors, ParseError, Precision, ProjectionKind, values};

const MOST_RSVD: u16 = 100;

/// Reads the rsvd section, R31.
pub(crate) fn parse_rsvd(mut content: Cursor<'_>) -> Result<BasisKind, ParseError> {
    let (offset, found) = (content.offset(), content.left());
    let wrong = ParseError::RsvdLength { offset, found };
    let (Some(seed), Some(n_iter), Some(oversample), 0) =
        (content.u32(), content.u16(), content.u16(), content.left())
    else {
        return Err(wrong);
    };
    for (field, past_start, found) in [("n_iter", 4, n_iter), ("oversample", 6, oversample)] {
        if found > MOST_RSVD {
            return Err(ParseError::RsvdValue {
                field,
                offset: offset.saturating_add(past_start),
                found,
            });
        }
    }
    Ok(BasisKind::Rsvd {
        seed,
        n_iter,
        oversample,
    })
}

/// Reads the factors section, R32.
pub(crate) fn parse_factors(
    header: &Header,
    ranks: Option<&[u8]>,
    content: Cursor<'_>,
) -> Result<BasisKind, ParseError> {
    let mut reader = Values::start("factors", content)?;
    let mut factors = Vec::new();
    for (module, rank) in module_ranks(header, ranks).enumerate() {
        factors.push(reader.pair(module, rank)?);
    }
    reader.end()?;
    Ok(BasisKind::Explicit {
        precision: reader.precision,
        factors,
    })
}

/// Reads the projections section, R32.
pub(crate) fn parse_projections(
    header: &Header,
    ranks: Option<&[u8]>,
    content: Cursor<'_>,
) -> Result<ProjectionKind, ParseError> {
    let mut reader = Values::start("projections", content)?;
    let offset = reader.content.offset();
    let shared = match reader.content.u8().ok_or_else(|| reader.later())? {
        0 => false,
        1 => true,
        found => {
            return Err(ParseError::FactorsEnumeration {
                field: "the shared byte",
                offset,
                found,
                largest: 1,
            });
        }
    };
    if shared && ranks.is_some() {
        return Err(ParseError::SharedRanks { offset });
    }
    let sets = if shared { 1 } else { usize::MAX };
    let squares = module_ranks(header, ranks)
        .take(sets)
        .map(|rank| u64::from(rank).saturating_mul(u64::from(rank)));
    let count = squares
        .fold(0, u64::saturating_add)
        .saturating_mul(u64::from(header.u));
    let values = reader.values(count)?;
    reader.end()?;
    Ok(ProjectionKind::Explicit {
        precision: reader.precision,
        shared,
        values,
    })
}

/// The rank that the file gives each module.
fn module_ranks<'a>(
    header: &Header,
    ranks: Option<&'a [u8]>,
) -> impl Iterator<Item = u8> + use<'a> {
    let rank = header.rank;
    let rank_of = move |module: usize| {
        ranks
            .and_then(|ranks| ranks.get(module))
            .copied()
            .unwrap_or(rank)
    };
    (0..header.modules)
        .zip(0..)
        .map(move |(_, module)| rank_of(module))
}

/// A section of values that begins with their type.
struct Values<'a> {
    section: &'static str,
    precision: Precision,
    content: Cursor<'a>,
    end: usize,
}

impl<'a> Values<'a> {
    fn start(section: &'static str, mut content: Cursor<'a>) -> Result<Self, ParseError> {
        let offset = content.offset();
        let end = offset.saturating_add(content.left());
        let later = ParseError::FactorsLength {
            section,
            found: end,
            wanted: "later".to_owned(),
        };
        let found = content.u8().ok_or(later)?;
        let largest = Precision::largest();
        let unlisted = ParseError::FactorsEnumeration {
            field: "the dtype",
            offset,
            found,
            largest,
        };
        Ok(Self {
            section,
            precision: Precision::from_code(found).ok_or(unlisted)?,
            content,
            end,
        })
    }

    /// The next module's sizes, B and A.
    fn pair(&mut self, module: usize, rank: u8) -> Result<Factors, ParseError> {
        let offset = self.content.offset();
        let (Some(out_features), Some(in_features)) = (self.content.u32(), self.content.u32())
        else {
            return Err(self.later());
        };
        if out_features == 0 || in_features == 0 {
            return Err(ParseError::EmptyFactor {
                module,
                offset,
                out_features,
                in_features,
            });
        }
        let b = self.values(u64::from(out_features).saturating_mul(u64::from(rank)))?;
        let a = self.values(u64::from(in_features).saturating_mul(u64::from(rank)))?;
        Ok(Factors {
            out_features,
            in_features,
            b,
            a,
        })
    }

    /// The next `count` values; nothing is allocated before their bytes are known to be there.
    fn values(&mut self, count: u64) -> Result<Vec<u32>, ParseError> {
        let offset = self.content.offset();
        let length = count
            .checked_mul(values::bytes(self.precision))
            .and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = length
            .and_then(|length| self.content.take(length))
            .ok_or_else(|| self.later())?;
        let patterns = values::unpack(self.precision, bytes);
        match values::first_forbidden(self.precision, &patterns) {
            None => Ok(patterns),
            Some((index, found)) => {
                let offset = offset.saturating_add(index.saturating_mul(self.precision.size()));
                Err(ParseError::FactorsValue { offset, found })
            }
        }
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.content.left() == 0 {
            return Ok(());
        }
        let wanted = format!("at {}", self.content.offset());
        Err(ParseError::FactorsLength {
            section: self.section,
            found: self.end,
            wanted,
        })
    }

    fn later(&self) -> ParseError {
        ParseError::FactorsLength {
            section: self.section,
            found: self.end,
            wanted: "later".to_owned(),
        }
    }
}

/// The content of the rsvd section.
pub(crate) fn write_rsvd(seed: u32, n_iter: u16, oversample: u16) -> Vec<u8> {
    [
        &seed.to_le_bytes()[..],
        &n_iter.to_le_bytes(),
        &oversample.to_le_bytes(),
    ]
    .concat()
}

/// The content of the factors section.
pub(crate) fn write_factors(precision: Precision, factors: &[Factors]) -> Vec<u8> {
    let mut out = vec![precision.code()];
    for pair in factors {
        out.extend(pair.out_features.to_le_bytes());
        out.extend(pair.in_features.to_le_bytes());
        values::pack_into(&mut out, precision, &pair.b);
        values::pack_into(&mut out, precision, &pair.a);
    }
    out
}

/// The content of the projections section.
pub(crate) fn write_projections(precision: Precision, shared: bool, patterns: &[u32]) -> Vec<u8> {
    let mut out = vec![precision.code(), u8::from(shared)];
    values::pack_into(&mut out, precision, patterns);
    out
}
