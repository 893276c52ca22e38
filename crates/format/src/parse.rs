//! From bytes to fields: the rules in the order that the specification gives them.

use std::collections::BTreeMap;

use crate::codes::{ProjectionCode, TyingCode};
use crate::header::{self, Header, Opened};
use crate::section::{self, Section};
use crate::{
    AdapterFields, BasisKind, Corrections, ParseError, ProjectionKind, TargetModules, TextKey,
    Tying,
};
use crate::{corrections, explicit, modules, targets, text};

/// Reads a whole file.
pub(crate) fn fields(bytes: &[u8]) -> Result<AdapterFields, ParseError> {
    let Opened {
        header,
        v,
        sections,
    } = header::open(bytes)?;
    let mut contents = Contents::default();
    for section in section::split(&header, sections)? {
        contents.read(&header, &section)?;
    }
    Ok(assemble(&header, v, contents))
}

/// What the sections of a file say, as far as they have been read.
#[derive(Default)]
struct Contents {
    targets: Option<TargetModules>,
    group_map: Option<Vec<u16>>,
    module_ranks: Option<Vec<u8>>,
    module_scales: Option<Vec<f32>>,
    transposed: Option<Vec<bool>>,
    signs: Option<Vec<bool>>,
    basis: Option<BasisKind>,
    projection: Option<ProjectionKind>,
    corrections: Corrections,
    text: BTreeMap<TextKey, String>,
    unknown: BTreeMap<u8, Vec<u8>>,
}

impl Contents {
    /// Reads one section. Ranks precede all that depend on them, because types ascend.
    fn read(&mut self, header: &Header, section: &Section<'_>) -> Result<(), ParseError> {
        let mut content = section.content;
        let ranks = self.module_ranks.as_deref();
        match section.kind {
            section::TARGETS => self.targets = Some(targets::parse(header, content)?),
            section::GROUP_MAP => self.group_map = Some(modules::parse_group_map(header, content)?),
            section::MODULE_RANKS => {
                self.module_ranks = Some(modules::parse_ranks(header, content)?);
            }
            section::MODULE_SCALES => {
                self.module_scales = Some(modules::parse_scales(header, content)?);
            }
            section::TRANSPOSED => {
                self.transposed = Some(modules::parse_transposed(header, content)?);
            }
            section::SIGNS => self.signs = Some(modules::parse_signs(header, ranks, content)?),
            section::RSVD => self.basis = Some(explicit::parse_rsvd(content)?),
            section::FACTORS => self.basis = Some(explicit::parse_factors(header, ranks, content)?),
            section::PROJECTIONS => {
                self.projection = Some(explicit::parse_projections(header, ranks, content)?);
            }
            section::CORRECTIONS => self.corrections = corrections::parse(content)?,
            section::TEXT => self.text = text::parse(content)?,
            kind => {
                let bytes = content.take(content.left()).unwrap_or_default();
                self.unknown.insert(kind, bytes.to_vec());
            }
        }
        Ok(())
    }
}

/// Puts header and sections together. R20 has seen to it that what the header calls for is there.
fn assemble(header: &Header, v: Vec<u32>, contents: Contents) -> AdapterFields {
    AdapterFields {
        precision: header.precision,
        v,
        rank: header.rank,
        u: header.u,
        module_count: header.modules,
        group_count: header.groups,
        n_tie: header.n_tie,
        tying: match header.tying {
            TyingCode::Tiled => Tying::Tiled,
            TyingCode::Structured => Tying::Structured,
            TyingCode::Explicit => Tying::Explicit(contents.group_map.unwrap_or_default()),
        },
        targets: contents
            .targets
            .unwrap_or_else(|| TargetModules::from_mask(header.target_set)),
        sigma_side: header.sigma_side,
        basis: contents.basis.unwrap_or(BasisKind::Exact),
        basis_rounding: header.basis_rounding,
        projection: contents
            .projection
            .unwrap_or_else(|| seeded_projection(header)),
        scale: header.scale,
        base: header.base,
        basis_check: header.basis_check,
        module_ranks: contents.module_ranks,
        module_scales: contents.module_scales,
        transposed: contents.transposed,
        signs: contents.signs,
        corrections: contents.corrections,
        text: contents.text,
        unknown: contents.unknown,
    }
}

/// The projection of a file without a projections section.
const fn seeded_projection(header: &Header) -> ProjectionKind {
    let seed = header.seed;
    match header.projection {
        ProjectionCode::Torch => ProjectionKind::Torch {
            seed,
            seed_rule: header.seed_rule,
            rounding: header.projection_rounding,
        },
        ProjectionCode::Standard => ProjectionKind::Standard,
        ProjectionCode::Native | ProjectionCode::Explicit => ProjectionKind::Native { seed },
    }
}
