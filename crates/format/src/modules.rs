//! The sections with an entry for each module: spec §4.2 and §4.3, R27 to R30.

use crate::cursor::Cursor;
use crate::header::{Header, is_scale};
use crate::section::in_64_bits;
use crate::{ParseError, PerModule};

/// Reads the group map, R27.
pub(crate) fn parse_group_map(
    header: &Header,
    content: Cursor<'_>,
) -> Result<Vec<u16>, ParseError> {
    let (offset, found) = (content.offset(), content.left());
    let wanted = u64::from(header.modules).saturating_mul(2);
    if in_64_bits(found) != wanted {
        return Err(ParseError::GroupMapLength {
            offset,
            found,
            wanted,
        });
    }
    let map = words(content);
    let mut groups_so_far = 0_u32;
    for (module, &group) in map.iter().enumerate() {
        // First occurrences ascend without a gap exactly if each group is one seen before, or the next new one.
        let wanted = groups_so_far.saturating_add(1).min(header.groups);
        if u32::from(group) >= wanted {
            let offset = offset.saturating_add(module.saturating_mul(2));
            return Err(ParseError::GroupMapValue {
                module,
                offset,
                found: group,
                wanted,
            });
        }
        groups_so_far = groups_so_far.max(u32::from(group).saturating_add(1));
    }
    if groups_so_far != header.groups {
        return Err(ParseError::GroupMapCount {
            offset,
            found: groups_so_far,
            wanted: header.groups,
        });
    }
    match tiled_n_tie(&map, header.groups) {
        Some(n_tie) => Err(ParseError::GroupMapTiled { offset, n_tie }),
        None => Ok(map),
    }
}

fn words(mut content: Cursor<'_>) -> Vec<u16> {
    std::iter::from_fn(|| content.u16()).collect()
}

/// The n_tie with which tiled tying gives the same map, if there is one. Every group below `groups` occurs.
pub(crate) fn tiled_n_tie(map: &[u16], groups: u32) -> Option<u32> {
    // The first run is group 0's; with one group it is everything.
    let run = map.iter().take_while(|&&group| group == 0).count();
    let n_tie = u32::try_from(run).ok().filter(|&n_tie| n_tie > 0)?;
    let last = groups.saturating_sub(1);
    let mut tiled =
        (0_u32..).map(|module| module.checked_div(n_tie).map_or(0, |group| group.min(last)));
    map.iter()
        .all(|&group| tiled.next() == Some(u32::from(group)))
        .then_some(n_tie)
}

/// Reads module ranks, R28.
pub(crate) fn parse_ranks(header: &Header, mut content: Cursor<'_>) -> Result<Vec<u8>, ParseError> {
    let offset = content.offset();
    let ranks = exactly(
        PerModule::Ranks,
        header,
        &mut content,
        u64::from(header.modules),
    )?;
    let wrong = |&(_, &rank): &(usize, &u8)| rank == 0 || rank > header.rank;
    if let Some((module, &found)) = ranks.iter().enumerate().find(wrong) {
        let offset = offset.saturating_add(module);
        return Err(ParseError::ModuleRank {
            module,
            offset,
            found,
            largest: header.rank,
        });
    }
    let (least, largest) = ranks.iter().fold((u8::MAX, 0), |(least, largest), &rank| {
        (least.min(rank), largest.max(rank))
    });
    if largest != header.rank || least == header.rank {
        return Err(ParseError::ModuleRanksSpread {
            offset,
            least,
            largest,
            rank: header.rank,
        });
    }
    Ok(ranks.to_vec())
}

/// Reads module scales, R29.
pub(crate) fn parse_scales(
    header: &Header,
    mut content: Cursor<'_>,
) -> Result<Vec<f32>, ParseError> {
    let offset = content.offset();
    let wanted = u64::from(header.modules).saturating_mul(4);
    let bytes = exactly(PerModule::Scales, header, &mut content, wanted)?;
    let scales: Vec<f32> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| f32::from_le_bytes(chunk))
        .collect();
    if let Some((module, &found)) = scales
        .iter()
        .enumerate()
        .find(|&(_, &scale)| !is_scale(scale))
    {
        let offset = offset.saturating_add(module.saturating_mul(4));
        return Err(ParseError::ModuleScale {
            module,
            offset,
            found,
        });
    }
    if let Some(&found) = all_equal(&scales) {
        return Err(ParseError::EqualModuleScales { offset, found });
    }
    if header.scale.to_bits() != 1.0_f32.to_bits() {
        return Err(ParseError::ScaleBesideModuleScales {
            found: header.scale,
        });
    }
    Ok(scales)
}

/// The one value of a list, if it has only one.
pub(crate) fn all_equal<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.first()
        .filter(|first| list.iter().all(|item| item == *first))
}

/// Reads the transposed section, R30.
pub(crate) fn parse_transposed(
    header: &Header,
    content: Cursor<'_>,
) -> Result<Vec<bool>, ParseError> {
    parse_bits(
        PerModule::Transposed,
        header,
        content,
        u64::from(header.modules),
    )
}

/// Reads the signs, R30.
pub(crate) fn parse_signs(
    header: &Header,
    ranks: Option<&[u8]>,
    content: Cursor<'_>,
) -> Result<Vec<bool>, ParseError> {
    let offset = content.offset();
    let width = usize::from(header.rank).saturating_sub(1);
    let count = u64::from(header.modules).saturating_mul(in_64_bits(width));
    let bits = parse_bits(PerModule::Signs, header, content, count)?;
    // Width 0 has no bit that could be set, so it does not come this far.
    let rows = bits.chunks(width.max(1));
    for (module, (row, &rank)) in rows.zip(ranks.unwrap_or_default()).enumerate() {
        let beyond = row
            .iter()
            .enumerate()
            .skip(usize::from(rank).saturating_sub(1))
            .find(|(_, bit)| **bit);
        if let Some((bit, _)) = beyond {
            return Err(ParseError::SignBeyondRank {
                offset,
                module,
                column: bit.saturating_add(1),
                rank,
            });
        }
    }
    Ok(bits)
}

/// Bits, least significant first.
fn parse_bits(
    section: PerModule,
    header: &Header,
    mut content: Cursor<'_>,
    count: u64,
) -> Result<Vec<bool>, ParseError> {
    let offset = content.offset();
    let bytes = exactly(section, header, &mut content, count.div_ceil(8))?;
    if bytes.iter().all(|&byte| byte == 0) {
        return Err(ParseError::NoBitSet { section, offset });
    }
    let mut bits: Vec<bool> = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
        .collect();
    let padding = bits.split_off(usize::try_from(count).unwrap_or(bits.len()).min(bits.len()));
    if padding.contains(&true) {
        let last = offset.saturating_add(bytes.len()).saturating_sub(1);
        return Err(ParseError::Padding {
            section,
            offset: last,
            found: bytes.last().copied().unwrap_or(0),
        });
    }
    Ok(bits)
}

/// The whole content, if it has the wanted length.
fn exactly<'a>(
    section: PerModule,
    header: &Header,
    content: &mut Cursor<'a>,
    wanted: u64,
) -> Result<&'a [u8], ParseError> {
    let (offset, found) = (content.offset(), content.left());
    let wrong = ParseError::PerModuleLength {
        section,
        offset,
        found,
        wanted,
        modules: header.modules,
    };
    if in_64_bits(found) == wanted {
        content.take(found).ok_or(wrong)
    } else {
        Err(wrong)
    }
}

/// Bits as a section holds them.
pub(crate) fn write_bits(bits: &[bool]) -> Vec<u8> {
    let byte = |chunk: &[bool]| {
        chunk
            .iter()
            .rev()
            .fold(0, |byte, &bit| byte << 1 | u8::from(bit))
    };
    bits.chunks(8).map(byte).collect()
}
