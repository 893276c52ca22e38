//! What a conversion did, as data.

use serde::Serialize;
use tlora_format::{Adapter, BasisKind, Corrections, ProjectionKind, Rounding, SeedRule};

use crate::ConvertError;
use crate::source::{Source, Tensors};

/// The report of a conversion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was read.
    pub source: SourceReport,
    /// What became of the basis.
    pub basis: BasisReport,
    /// What became of the projections.
    pub projections: ProjectionReport,
    /// How near the result is.
    pub residual: ResidualReport,
    /// What a reader should know.
    pub notes: Vec<Note>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// What kind of adapter it is.
    pub kind: SourceKind,
    /// `peft_version` of its settings.
    pub peft_version: Option<String>,
    /// Size of its file of tensors.
    pub bytes: u64,
}

/// What kind of adapter a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SourceKind {
    /// TinyLoRA of PEFT.
    PeftTinylora,
    /// LoRA-XS.
    LoraXs,
}

/// What became of the basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BasisReport {
    /// Where it comes from.
    pub kind: BasisOrigin,
    /// `none`, `bf16` or `f16`.
    pub rounding: &'static str,
    /// Columns that are negated.
    pub negated_columns: u64,
    /// Entries that are corrected.
    pub corrected_entries: u64,
    /// Bytes of the file that this takes.
    pub correction_bytes: usize,
}

/// Where the basis of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BasisOrigin {
    /// The exact basis, rebuilt from the base.
    Exact,
    /// scikit-learn's randomised one, rebuilt from the base.
    Rsvd,
    /// The source's own factors, in the file.
    Explicit,
}

/// What became of the projections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionReport {
    /// Where they come from.
    pub kind: ProjectionOrigin,
    /// The seed that draws them again.
    pub seed: Option<u64>,
    /// Whether they were compared, bit for bit, with stored ones.
    pub compared: bool,
}

/// Where the projections of the result come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProjectionOrigin {
    /// torch's generator, with a seed for each module.
    TorchPerModule,
    /// torch's generator, with one seed for all modules.
    TorchShared,
    /// R itself is trained.
    Standard,
    /// The source's own, in the file.
    Explicit,
}

/// How near the result is to the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResidualReport {
    /// The largest residual that was allowed.
    pub limit: f64,
    /// The module that differs most; its residual is the largest.
    pub largest: ModuleReport,
    /// Every module, in module order.
    pub modules: Vec<ModuleReport>,
}

/// How near one module is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleReport {
    /// The module.
    pub name: String,
    /// ‖ΔW − ΔW'‖ / ‖ΔW‖, with v as it is in the file.
    pub residual: f64,
    /// The same with v as it is in the source, if it was rounded to a narrower type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual_with_rounding_of_v: Option<f64>,
}

/// Something to know about a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Note {
    /// A tensor of the source that the base has, or that means nothing.
    Ignored {
        /// The tensor.
        tensor: String,
    },
    /// The projections are not in the source, and were drawn from its seed unseen.
    ProjectionsNotStored,
    /// The projections are the source's own: no seed draws them bit for bit.
    ProjectionsEmbedded,
    /// The factors are the source's own: they could not be rebuilt from the base.
    FactorsEmbedded {
        /// The module that differs most from what was rebuilt.
        module: String,
    },
}

impl Report {
    pub(crate) fn source(source: &Source) -> Result<SourceReport, ConvertError> {
        Ok(SourceReport {
            kind: match source.tensors {
                Tensors::TinyLora { .. } => SourceKind::PeftTinylora,
                Tensors::LoraXs(_) => SourceKind::LoraXs,
            },
            peft_version: source.config.optional("peft_version")?,
            bytes: source
                .file
                .shards()
                .iter()
                .map(tlora_checkpoint::Shard::len)
                .sum(),
        })
    }

    pub(crate) fn basis(adapter: &Adapter) -> BasisReport {
        BasisReport {
            kind: match adapter.basis {
                BasisKind::Exact => BasisOrigin::Exact,
                BasisKind::Rsvd { .. } => BasisOrigin::Rsvd,
                BasisKind::Explicit { .. } => BasisOrigin::Explicit,
            },
            rounding: match adapter.basis_rounding {
                Rounding::None => "none",
                Rounding::Bf16 => "bf16",
                Rounding::F16 => "f16",
            },
            negated_columns: count(adapter.signs.iter().flatten().filter(|&&negated| negated)),
            corrected_entries: count(adapter.corrections.iter()),
            correction_bytes: correction_bytes(adapter),
        }
    }

    pub(crate) fn projections(adapter: &Adapter, source: &Source) -> ProjectionReport {
        let (kind, seed) = match adapter.projection {
            ProjectionKind::Torch {
                seed,
                seed_rule: SeedRule::PerModule,
                ..
            } => (ProjectionOrigin::TorchPerModule, Some(seed)),
            ProjectionKind::Torch {
                seed,
                seed_rule: SeedRule::Shared,
                ..
            } => (ProjectionOrigin::TorchShared, Some(seed)),
            ProjectionKind::Explicit { .. } => (ProjectionOrigin::Explicit, None),
            ProjectionKind::Standard | ProjectionKind::Native { .. } => {
                (ProjectionOrigin::Standard, None)
            }
        };
        ProjectionReport {
            compared: seed.is_some() && source.has_projections(),
            kind,
            seed,
        }
    }

    /// The notes that the adapter and its source give.
    pub(crate) fn notes(adapter: &Adapter, source: &Source) -> Vec<Note> {
        let mut notes = Vec::new();
        match (&source.tensors, &adapter.projection) {
            (_, ProjectionKind::Explicit { .. }) => notes.push(Note::ProjectionsEmbedded),
            (Tensors::TinyLora { .. }, _) if !source.has_projections() => {
                notes.push(Note::ProjectionsNotStored);
            }
            _ => {}
        }
        notes.extend(source.ignored.iter().map(|tensor| Note::Ignored {
            tensor: tensor.clone(),
        }));
        notes
    }
}

/// How many there are.
fn count(items: impl Iterator) -> u64 {
    items.fold(0, |count, _| count + 1)
}

/// The length of the corrections section.
fn correction_bytes(adapter: &Adapter) -> usize {
    let mut without = adapter.clone().into_fields();
    without.corrections = Corrections::default();
    let shorter = Adapter::new(without).map_or(0, |without| without.to_bytes().len());
    adapter.to_bytes().len().saturating_sub(shorter)
}
