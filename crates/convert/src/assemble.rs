//! The parts of an adapter put together as the fields of a file.

use std::collections::BTreeMap;

use tlora_basis::{Factors, Rsvd};
use tlora_format::{
    AdapterFields, BaseDigest, BasisKind, Correction, Corrections, NotFinite, Precision,
    ProjectionKind, Rounding, SigmaSide, Tying,
};

use crate::ConvertError;
use crate::compare::Compared;
use crate::draft::{Draft, DraftModule, padded};
use crate::rebuilt::Plan;
use crate::values::fits;

/// The fields of a draft whose basis is rebuilt.
pub(crate) fn rebuilt(
    draft: &Draft,
    plan: Plan,
    compared: &[Compared],
) -> Result<AdapterFields, ConvertError> {
    let rank = draft.rank();
    // Nothing is shared then, and the signs go into R.
    let folded = draft.projection == ProjectionKind::Standard;
    let v = if folded {
        folded_v(draft, compared)
    } else {
        draft.v.clone()
    };
    let signs = compared.iter().flat_map(|one| {
        one.matched
            .relative_signs()
            .chain(std::iter::repeat(false))
            .take(rank.saturating_sub(1))
    });
    let mut fields = common(draft, &v)?;
    (fields.basis, fields.sigma_side, fields.basis_rounding) = match plan {
        Plan::Exact { side, rounding } => (BasisKind::Exact, side, rounding),
        Plan::Rsvd(Rsvd {
            seed,
            n_iter,
            oversample,
        }) => (
            BasisKind::Rsvd {
                seed,
                n_iter,
                oversample,
            },
            SigmaSide::Left,
            Rounding::None,
        ),
    };
    fields.signs = (!folded).then(|| signs.collect());
    fields.corrections = corrections(draft, compared)?;
    Ok(fields)
}

/// The fields of a draft with its own factors, one pair a module in module order.
pub(crate) fn embedded(draft: &Draft, factors: &[Factors]) -> Result<AdapterFields, ConvertError> {
    let holds = |precision| {
        factors
            .iter()
            .all(|pair| fits(&pair.b, precision) && fits(&pair.a, precision))
    };
    let narrowest = [Precision::Bf16, Precision::F16]
        .into_iter()
        .find(|&precision| holds(precision));
    let stored = narrowest.unwrap_or(Precision::F32);
    let bits = |values: &[f64]| values.iter().map(|&value| stored.round(value)).collect();
    let pairs = factors.iter().map(|pair| tlora_format::Factors {
        out_features: u32::try_from(pair.rows).unwrap_or(u32::MAX),
        in_features: u32::try_from(pair.columns).unwrap_or(u32::MAX),
        b: bits(&pair.b),
        a: bits(&pair.a),
    });
    let mut fields = common(draft, &draft.v)?;
    fields.basis = BasisKind::Explicit {
        precision: stored,
        factors: pairs.collect(),
    };
    Ok(fields)
}

/// The fields of a draft with these R, which hold its scales too, on the left of an exact basis.
pub(crate) fn flattened(draft: &Draft, v: &[f64]) -> Result<AdapterFields, ConvertError> {
    let mut fields = common(draft, v)?;
    fields.module_scales = None;
    Ok(fields)
}

fn common(draft: &Draft, v: &[f64]) -> Result<AdapterFields, NotFinite> {
    let ranks = draft
        .modules
        .iter()
        .map(|module| u8::try_from(module.weight.rank).unwrap_or(u8::MAX));
    Ok(AdapterFields {
        precision: draft.precision,
        v: draft.precision.pack(v)?,
        rank: u8::try_from(draft.rank()).unwrap_or(u8::MAX),
        u: draft.u,
        module_count: u32::try_from(draft.modules.len()).unwrap_or(u32::MAX),
        group_count: draft.group_count,
        n_tie: if draft.group_count == 1 {
            u32::try_from(draft.modules.len()).unwrap_or(u32::MAX)
        } else {
            draft.n_tie
        },
        tying: Tying::Tiled,
        targets: draft.targets.clone(),
        sigma_side: SigmaSide::Left,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: draft.projection.clone(),
        scale: 1.0,
        base: BaseDigest([0; 32]),
        basis_check: [0; 8],
        module_ranks: Some(ranks.collect()),
        module_scales: Some(
            draft
                .modules
                .iter()
                .map(|module| nearest(module.scale))
                .collect(),
        ),
        transposed: Some(
            draft
                .modules
                .iter()
                .map(|module| module.weight.transposed)
                .collect(),
        ),
        signs: None,
        corrections: Corrections::default(),
        text: BTreeMap::new(),
        unknown: BTreeMap::new(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the file has scales as binary32"
)]
const fn nearest(scale: f64) -> f32 {
    scale as f32
}

/// D·R·D of every module, in the square of the file's rank.
fn folded_v(draft: &Draft, compared: &[Compared]) -> Vec<f64> {
    let rank = draft.rank();
    let square = |(module, one): (&DraftModule, &Compared)| {
        padded(&one.matched.turned(&module.r), module.weight.rank, rank)
    };
    draft
        .modules
        .iter()
        .zip(compared)
        .flat_map(square)
        .collect()
}

/// The corrections of all modules, numbered through.
fn corrections(draft: &Draft, compared: &[Compared]) -> Result<Corrections, ConvertError> {
    let mut first = 0;
    let mut all = Vec::new();
    for (module, one) in draft.modules.iter().zip(compared) {
        let own = one.corrections.iter();
        all.extend(own.map(|&Correction { entry, steps }| Correction {
            entry: first + entry,
            steps,
        }));
        let weight = &module.weight;
        first += weight.rank as u64 * (weight.out_features as u64 + weight.in_features as u64);
    }
    Ok(Corrections::new(all)?)
}
