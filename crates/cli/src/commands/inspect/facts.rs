//! What a file says, ready to be shown or written as JSON. docs/json.md describes the fields.

use std::collections::BTreeMap;

use serde::Serialize;
use tlora_format::{
    Adapter, BasisKind, Precision, ProjectionKind, Rounding, SeedRule, SigmaSide, TargetModules,
    TextKey, Tying,
};
use tlora_rebuild::{RNorm, r_norms};

/// Everything in a file.
#[derive(Serialize)]
pub(super) struct Facts {
    pub(super) file: FileFacts,
    pub(super) base: String,
    pub(super) rank: u8,
    pub(super) u: u16,
    pub(super) precision: &'static str,
    pub(super) modules: u32,
    pub(super) targets: TargetFacts,
    pub(super) tying: TyingFacts,
    /// Of an exact basis; the other kinds have none.
    pub(super) sigma_side: Option<&'static str>,
    pub(super) scale: f32,
    pub(super) basis: BasisFacts,
    pub(super) projections: ProjectionFacts,
    /// Which per-module sections there are.
    pub(super) sections: Vec<&'static str>,
    pub(super) text: BTreeMap<&'static str, String>,
    pub(super) groups: Vec<GroupFacts>,
}

#[derive(Serialize)]
pub(super) struct FileFacts {
    pub(super) format: &'static str,
    pub(super) bytes: usize,
    pub(super) blake3: String,
}

#[derive(Serialize)]
pub(super) struct TargetFacts {
    /// `suffixes` or `modules`.
    pub(super) mode: &'static str,
    pub(super) names: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct TyingFacts {
    /// `tiled`, `structured` or `explicit`.
    pub(super) scheme: &'static str,
    pub(super) groups: u32,
    pub(super) n_tie: u32,
}

#[derive(Serialize)]
pub(super) struct BasisFacts {
    /// `exact`, `rsvd` or `explicit`.
    pub(super) kind: &'static str,
    pub(super) rounding: &'static str,
    /// Entries of a rounded basis that are corrected.
    pub(super) corrections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rsvd: Option<RsvdFacts>,
    pub(super) check: String,
}

#[derive(Serialize)]
pub(super) struct RsvdFacts {
    pub(super) seed: u32,
    pub(super) n_iter: u16,
    pub(super) oversample: u16,
}

#[derive(Serialize)]
pub(super) struct ProjectionFacts {
    /// `native`, `torch`, `standard` or `explicit`.
    pub(super) kind: &'static str,
    pub(super) seed: Option<u64>,
    /// Of torch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed_rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rounding: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct GroupFacts {
    pub(super) v: Vec<f64>,
    pub(super) r_norm: Option<f64>,
    /// `largest` of the group's modules, `expected` over the projections, or `unknown`.
    pub(super) r_norm_kind: &'static str,
    /// |scale|·‖R‖, which bounds ‖ΔW‖ / ‖W‖ if `r_norm` is the largest.
    pub(super) relative_bound: Option<f64>,
}

impl Facts {
    pub(super) fn new(adapter: &Adapter, bytes: &[u8]) -> Self {
        Self {
            file: FileFacts {
                format: "1.0",
                bytes: bytes.len(),
                blake3: tlora_merge::file_digest(bytes),
            },
            base: adapter.base.to_string(),
            rank: adapter.rank,
            u: adapter.u,
            precision: precision(adapter.precision),
            modules: adapter.module_count,
            targets: TargetFacts::new(&adapter.targets),
            tying: TyingFacts {
                scheme: match adapter.tying {
                    Tying::Tiled => "tiled",
                    Tying::Structured => "structured",
                    Tying::Explicit(_) => "explicit",
                },
                groups: adapter.group_count,
                n_tie: adapter.n_tie,
            },
            sigma_side: sigma_side(adapter),
            scale: adapter.scale,
            basis: BasisFacts::new(adapter),
            projections: ProjectionFacts::new(&adapter.projection),
            sections: sections(adapter),
            text: adapter
                .text
                .iter()
                .map(|(key, text)| (text_key(*key), text.clone()))
                .collect(),
            groups: groups(adapter),
        }
    }
}

impl TargetFacts {
    fn new(targets: &TargetModules) -> Self {
        let (mode, names) = match targets {
            TargetModules::Suffixes(names) => ("suffixes", names),
            TargetModules::Modules(names) => ("modules", names),
        };
        Self {
            mode,
            names: names.clone(),
        }
    }
}

impl BasisFacts {
    fn new(adapter: &Adapter) -> Self {
        let (kind, rsvd) = match adapter.basis {
            BasisKind::Exact => ("exact", None),
            BasisKind::Explicit { .. } => ("explicit", None),
            BasisKind::Rsvd {
                seed,
                n_iter,
                oversample,
            } => {
                let facts = RsvdFacts {
                    seed,
                    n_iter,
                    oversample,
                };
                ("rsvd", Some(facts))
            }
        };
        let check = adapter.basis_check.iter();
        Self {
            kind,
            rounding: rounding(adapter.basis_rounding),
            corrections: adapter.corrections.iter().count(),
            rsvd,
            check: check.map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// Where Σ stands, if the basis has one.
fn sigma_side(adapter: &Adapter) -> Option<&'static str> {
    match (&adapter.basis, adapter.sigma_side) {
        (BasisKind::Rsvd { .. } | BasisKind::Explicit { .. }, _) => None,
        (BasisKind::Exact, SigmaSide::Left) => Some("left"),
        (BasisKind::Exact, SigmaSide::Split) => Some("split"),
        (BasisKind::Exact, SigmaSide::Right) => Some("right"),
    }
}

impl ProjectionFacts {
    fn new(projection: &ProjectionKind) -> Self {
        let plain = |kind, seed| Self {
            kind,
            seed,
            seed_rule: None,
            rounding: None,
        };
        match projection {
            ProjectionKind::Native { seed } => plain("native", Some(*seed)),
            ProjectionKind::Standard => plain("standard", None),
            ProjectionKind::Explicit { .. } => plain("explicit", None),
            ProjectionKind::Torch {
                seed,
                seed_rule,
                rounding: rounded,
            } => Self {
                kind: "torch",
                seed: Some(*seed),
                seed_rule: Some(match seed_rule {
                    SeedRule::PerModule => "per_module",
                    SeedRule::Shared => "shared",
                }),
                rounding: Some(rounding(*rounded)),
            },
        }
    }
}

fn groups(adapter: &Adapter) -> Vec<GroupFacts> {
    let scales = adapter
        .module_scales
        .as_deref()
        .unwrap_or(std::slice::from_ref(&adapter.scale));
    let scale = scales.iter().fold(0.0_f64, |largest, &scale| {
        largest.max(f64::from(scale).abs())
    });
    // Explicit factors may be of any size.
    let bounded = !matches!(adapter.basis, BasisKind::Explicit { .. });
    let group = |(number, norm): (u32, RNorm)| GroupFacts {
        v: adapter.v(number).map(Iterator::collect).unwrap_or_default(),
        r_norm: norm.value(),
        r_norm_kind: match norm {
            RNorm::Largest(_) => "largest",
            RNorm::Expected(_) => "expected",
            _ => "unknown",
        },
        relative_bound: norm.value().filter(|_| bounded).map(|norm| scale * norm),
    };
    (0..).zip(r_norms(adapter)).map(group).collect()
}

fn sections(adapter: &Adapter) -> Vec<&'static str> {
    let sections = [
        ("module ranks", adapter.module_ranks.is_some()),
        ("module scales", adapter.module_scales.is_some()),
        ("transposed", adapter.transposed.is_some()),
        ("signs", adapter.signs.is_some()),
    ];
    sections
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
}

const fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::F16 => "f16",
    }
}

const fn rounding(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::None => "none",
        Rounding::Bf16 => "bf16",
        Rounding::F16 => "f16",
    }
}

const fn text_key(key: TextKey) -> &'static str {
    match key {
        TextKey::Name => "name",
        TextKey::Description => "description",
        TextKey::Licence => "licence",
        TextKey::BaseModel => "base_model",
        TextKey::TrainingSummary => "training_summary",
    }
}
