//! Whether the lists of some fields have the lengths that the counts give them, and fit the file's length fields.
//!
//! The reader's rules cannot see this, for a list of the wrong length makes other bytes, not wrong ones.

use crate::{
    AdapterFields, BasisKind, ParseError, Precision, ProjectionKind, TargetModules, Tying,
};

/// Why fields are not an adapter that a file can hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAdapter {
    /// A list does not have the length that the counts give it.
    #[error("{list} has {found} entries; expected {wanted}")]
    Length {
        /// Which list.
        list: &'static str,
        /// Its length.
        found: usize,
        /// The length it must have.
        wanted: u64,
    },
    /// A list, name or text is longer than its length field can say.
    #[error("{list} has {found} bytes or entries; expected at most {largest}")]
    TooLong {
        /// Which one.
        list: &'static str,
        /// Its length.
        found: u64,
        /// The most it may have.
        largest: u64,
    },
    /// A type that is no unknown ancillary section.
    #[error("an unknown section has type {found}; expected 129 to 255")]
    UnknownType {
        /// The type.
        found: u8,
    },
    /// A bit pattern does not fit a 16-bit precision.
    #[error("a bit pattern of {list} is {found:#x}; expected at most 0xffff for {precision}")]
    Pattern {
        /// Which list.
        list: &'static str,
        /// The pattern.
        found: u32,
        /// The precision.
        precision: Precision,
    },
    /// A correction that no file can hold.
    #[error(
        "entry {entry} is corrected by {steps} steps; expected steps, and ascending entries from {least} to 2^63 - 2"
    )]
    Correction {
        /// Number of the entry.
        entry: u64,
        /// Its steps.
        steps: i64,
        /// The least entry that may follow the one before.
        least: u64,
    },
    /// A rule of the format is broken; offsets are those of the file that the fields would make.
    #[error("the fields break rule {} of the format", .0.rule())]
    Rule(#[from] ParseError),
    /// The fields say something that a file cannot, and that no other variant names.
    #[error("the fields and the file they make differ; expected fields that the file can say")]
    Ambiguous,
}

/// The most bytes or entries that a u8, u16 and u32 can count.
const U8: u64 = 0xFF;
const U16: u64 = 0xFFFF;
const U32: u64 = 0xFFFF_FFFF;

/// Checks every length that the writer relies on.
pub(crate) fn check(fields: &AdapterFields) -> Result<(), InvalidAdapter> {
    let modules = u64::from(fields.module_count);
    let values = u64::from(fields.group_count).saturating_mul(u64::from(fields.u));
    length("v", fields.v.len(), values)?;
    patterns("v", fields.precision, &fields.v)?;
    if let Tying::Explicit(map) = &fields.tying {
        length("the group map", map.len(), modules)?;
    }
    names(&fields.targets)?;
    per_module(fields, modules)?;
    if let BasisKind::Explicit { precision, factors } = &fields.basis {
        check_factors(fields, *precision, factors)?;
    }
    if let ProjectionKind::Explicit {
        precision,
        shared,
        values,
    } = &fields.projection
    {
        length(
            "the projections",
            values.len(),
            projection_values(fields, *shared),
        )?;
        patterns("the projections", *precision, values)?;
        at_most(
            "the projections",
            bytes_of(*precision, values.len()).saturating_add(2),
            U32,
        )?;
    }
    fields
        .text
        .values()
        .try_for_each(|text| at_most("a text", count(text.len()), U16))?;
    unknown(fields)
}

fn per_module(fields: &AdapterFields, modules: u64) -> Result<(), InvalidAdapter> {
    let sign_bits = modules.saturating_mul(u64::from(fields.rank.saturating_sub(1)));
    let lists = [
        (
            "the module ranks",
            fields.module_ranks.as_ref().map(Vec::len),
            modules,
        ),
        (
            "the module scales",
            fields.module_scales.as_ref().map(Vec::len),
            modules,
        ),
        (
            "transposed",
            fields.transposed.as_ref().map(Vec::len),
            modules,
        ),
        ("the signs", fields.signs.as_ref().map(Vec::len), sign_bits),
    ];
    let present = lists
        .into_iter()
        .filter_map(|(list, found, wanted)| Some((list, found?, wanted)));
    present
        .into_iter()
        .try_for_each(|(list, found, wanted)| length(list, found, wanted))
}

fn names(targets: &TargetModules) -> Result<(), InvalidAdapter> {
    let (TargetModules::Suffixes(names) | TargetModules::Modules(names)) = targets;
    at_most("the targets", count(names.len()), U32)?;
    names
        .iter()
        .try_for_each(|name| at_most("a target's name", count(name.len()), U8))
}

fn check_factors(
    fields: &AdapterFields,
    precision: Precision,
    factors: &[crate::Factors],
) -> Result<(), InvalidAdapter> {
    length("the factors", factors.len(), u64::from(fields.module_count))?;
    let mut size = 1_u64;
    for (module, pair) in factors.iter().enumerate() {
        let rank = u64::from(fields.rank_of(module));
        length(
            "B",
            pair.b.len(),
            u64::from(pair.out_features).saturating_mul(rank),
        )?;
        length(
            "A",
            pair.a.len(),
            u64::from(pair.in_features).saturating_mul(rank),
        )?;
        patterns("B", precision, &pair.b)?;
        patterns("A", precision, &pair.a)?;
        let values =
            bytes_of(precision, pair.b.len()).saturating_add(bytes_of(precision, pair.a.len()));
        size = size.saturating_add(values).saturating_add(8);
    }
    at_most("the factors section", size, U32)
}

/// Number of values of a projections section.
fn projection_values(fields: &AdapterFields, shared: bool) -> u64 {
    let square = |rank: u8| u64::from(rank).saturating_mul(u64::from(rank));
    let entries = match &fields.module_ranks {
        _ if shared => square(fields.rank),
        None => square(fields.rank).saturating_mul(u64::from(fields.module_count)),
        Some(ranks) => ranks
            .iter()
            .map(|&rank| square(rank))
            .fold(0, u64::saturating_add),
    };
    entries.saturating_mul(u64::from(fields.u))
}

fn unknown(fields: &AdapterFields) -> Result<(), InvalidAdapter> {
    for (&found, content) in &fields.unknown {
        if found <= crate::section::TEXT {
            return Err(InvalidAdapter::UnknownType { found });
        }
        at_most("an unknown section", count(content.len()), U32)?;
    }
    Ok(())
}

fn length(list: &'static str, found: usize, wanted: u64) -> Result<(), InvalidAdapter> {
    if count(found) == wanted {
        Ok(())
    } else {
        Err(InvalidAdapter::Length {
            list,
            found,
            wanted,
        })
    }
}

fn at_most(list: &'static str, found: u64, largest: u64) -> Result<(), InvalidAdapter> {
    if found <= largest {
        Ok(())
    } else {
        Err(InvalidAdapter::TooLong {
            list,
            found,
            largest,
        })
    }
}

fn patterns(list: &'static str, precision: Precision, bits: &[u32]) -> Result<(), InvalidAdapter> {
    let fits = |&&found: &&u32| precision == Precision::F32 || found <= 0xFFFF;
    bits.iter()
        .find(|bits| !fits(bits))
        .map_or(Ok(()), |&found| {
            Err(InvalidAdapter::Pattern {
                list,
                found,
                precision,
            })
        })
}

fn bytes_of(precision: Precision, values: usize) -> u64 {
    count(values).saturating_mul(count(precision.size()))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
