//! From fields to bytes. Total: whether the result is a file that says the same is [`crate::Adapter::new`]'s question,
//! which asks `fit` before and the reader after.

use crate::codes::Code;
use crate::header::{MAGIC, checksum};
use crate::{AdapterFields, BasisKind, ProjectionKind, Rounding, SeedRule, Tying};
use crate::{explicit, modules, section, targets, text, values};

/// The file.
pub(crate) fn bytes(fields: &AdapterFields) -> Vec<u8> {
    let sections = sections(fields);
    let mut out = header(fields, sections.len());
    values::pack_into(&mut out, fields.precision, &fields.v);
    for (kind, content) in sections {
        out.push(kind);
        out.extend(
            u32::try_from(content.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        out.extend(content);
    }
    out.extend(checksum(&out));
    out
}

fn header(fields: &AdapterFields, sections: usize) -> Vec<u8> {
    let (seed, rule, rounding) = projection(&fields.projection);
    let mut out = MAGIC.to_vec();
    out.extend([
        1,
        0,
        0,
        fields.precision.code(),
        fields.rank,
        fields.sigma_side.code(),
        fields.basis.which().code(),
    ]);
    out.extend([
        fields.basis_rounding.code(),
        fields.projection.which().code(),
        rule.code(),
        rounding.code(),
        fields.tying.which().code(),
    ]);
    out.extend([
        fields.targets.mask(),
        u8::try_from(sections).unwrap_or(u8::MAX),
    ]);
    out.extend(fields.u.to_le_bytes());
    out.extend(fields.module_count.to_le_bytes());
    out.extend(fields.group_count.to_le_bytes());
    out.extend(fields.n_tie.to_le_bytes());
    out.extend(fields.scale.to_le_bytes());
    out.extend(seed.to_le_bytes());
    out.extend(fields.base.0);
    out.extend(fields.basis_check);
    out
}

/// Seed, seed rule and rounding; those that the kind does not use are 0 in the file.
const fn projection(projection: &ProjectionKind) -> (u64, SeedRule, Rounding) {
    match *projection {
        ProjectionKind::Native { seed } => (seed, SeedRule::PerModule, Rounding::None),
        ProjectionKind::Torch {
            seed,
            seed_rule,
            rounding,
        } => (seed, seed_rule, rounding),
        ProjectionKind::Standard | ProjectionKind::Explicit { .. } => {
            (0, SeedRule::PerModule, Rounding::None)
        }
    }
}

/// Types and contents, ascending.
fn sections(fields: &AdapterFields) -> Vec<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    if fields.targets.mask() == 0 {
        out.push((section::TARGETS, targets::write(&fields.targets)));
    }
    if let Tying::Explicit(map) = &fields.tying {
        out.push((
            section::GROUP_MAP,
            map.iter().flat_map(|group| group.to_le_bytes()).collect(),
        ));
    }
    if let Some(ranks) = &fields.module_ranks {
        out.push((section::MODULE_RANKS, ranks.clone()));
    }
    if let Some(scales) = &fields.module_scales {
        out.push((
            section::MODULE_SCALES,
            scales
                .iter()
                .flat_map(|scale| scale.to_le_bytes())
                .collect(),
        ));
    }
    if let Some(bits) = &fields.transposed {
        out.push((section::TRANSPOSED, modules::write_bits(bits)));
    }
    if let Some(bits) = &fields.signs {
        out.push((section::SIGNS, modules::write_bits(bits)));
    }
    match &fields.basis {
        BasisKind::Exact => {}
        &BasisKind::Rsvd {
            seed,
            n_iter,
            oversample,
        } => {
            out.push((
                section::RSVD,
                explicit::write_rsvd(seed, n_iter, oversample),
            ));
        }
        BasisKind::Explicit { precision, factors } => {
            out.push((
                section::FACTORS,
                explicit::write_factors(*precision, factors),
            ));
        }
    }
    if let ProjectionKind::Explicit {
        precision,
        shared,
        values,
    } = &fields.projection
    {
        out.push((
            section::PROJECTIONS,
            explicit::write_projections(*precision, *shared, values),
        ));
    }
    if !fields.corrections.is_empty() {
        out.push((section::CORRECTIONS, fields.corrections.bytes().to_vec()));
    }
    if !fields.text.is_empty() {
        out.push((section::TEXT, text::write(&fields.text)));
    }
    out.extend(
        fields
            .unknown
            .iter()
            .map(|(&kind, content)| (kind, content.clone())),
    );
    out
}
