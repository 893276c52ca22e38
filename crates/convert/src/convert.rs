//! From a source directory and a base to a file and its report.

use std::path::Path;

use tlora_basis::BasisCheck;
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, AdapterFields, Rounding, SigmaSide};
use tlora_rebuild::{BasisNote, RebuildError, Run, digest};

use crate::assemble;
use crate::compare::Job;
use crate::draft::Origin;
use crate::flatten::flatten;
use crate::prove::largest;
use crate::rebuilt::Plan;
use crate::report::{Note, Report, ResidualReport};
use crate::source::{Source, Tensors};
use crate::{ConvertError, ConvertOptions, lora_xs, tinylora};

/// A converted adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The adapter.
    pub adapter: Adapter,
    /// The file that was proved.
    pub bytes: Vec<u8>,
    /// What was done.
    pub report: Report,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
}

/// Converts the adapter in `dir`, a directory with `adapter_model.safetensors`, for its base model. Nothing is written.
///
/// # Errors
/// Whatever is wrong with the source or the base, or that the two do not belong together; see [`ConvertError`].
pub fn convert(
    dir: &Path,
    base: &Checkpoint,
    options: &ConvertOptions,
    run: &Run<'_>,
) -> Result<Converted, ConvertError> {
    let source = Source::open(dir)?;
    let draft = match &source.tensors {
        Tensors::TinyLora { modules, v } => {
            tinylora::draft(&source, modules, v, base, options.precision)?
        }
        Tensors::LoraXs(modules) => lora_xs::draft(&source, dir, modules, base, options.precision)?,
    };
    let draft = if options.flatten {
        draft.flattened(base)
    } else {
        draft
    };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(run.threads.get());
    let job = Job {
        digest: digest(base, run)?.digest,
        pool: &threads.build().map_err(RebuildError::from)?,
        source: &source,
        draft: &draft,
        base,
        run,
    };
    let made = make(&job, options)?;
    let (adapter, bytes) = finish(&job, made.fields)?;
    let modules = job.prove(&bytes)?;
    base.ensure_unchanged().map_err(RebuildError::from)?;
    source
        .file
        .ensure_unchanged()
        .map_err(ConvertError::Source)?;
    let (limit, largest) = (made.limit, largest(&modules, made.limit)?);
    let embedded = made.embedded.map(|module| Note::FactorsEmbedded { module });
    let report = Report {
        basis: Report::basis(&adapter),
        projections: Report::projections(&adapter, &source),
        residual: ResidualReport {
            limit,
            largest,
            modules,
        },
        notes: embedded
            .into_iter()
            .chain(Report::notes(&adapter, &source))
            .collect(),
        source: Report::source(&source)?,
    };
    Ok(Converted {
        adapter,
        bytes,
        report,
        notes: made.notes,
    })
}

/// Fields that lack the digest of the base.
struct Made {
    fields: AdapterFields,
    limit: f64,
    notes: Vec<BasisNote>,
    /// The module because of which the factors are in the file.
    embedded: Option<String>,
}

fn make(job: &Job<'_>, options: &ConvertOptions) -> Result<Made, ConvertError> {
    let limit = options.limit(job.draft.origin.rounding());
    if options.flatten {
        let (fields, notes) = flatten(job)?;
        let embedded = None;
        return Ok(Made {
            fields,
            limit,
            notes,
            embedded,
        });
    }
    let (plan, other) = plans(job.draft.origin, options.rounding);
    let mismatch = match attempt(job, plan, limit)? {
        Ok(made) => return Ok(made),
        Err(mismatch) => mismatch,
    };
    if let Some(other) = other
        && let Ok(made) = attempt(job, other, limit)?
    {
        return Ok(made);
    }
    if options.embed_basis {
        embed(job, options, mismatch)
    } else {
        Err(mismatch)
    }
}

/// How the factors of the source can have been made.
const fn plans(origin: Origin, follow_rounding: bool) -> (Plan, Option<Plan>) {
    match origin {
        Origin::Peft(rounding) => {
            let rounding = if follow_rounding {
                rounding
            } else {
                Rounding::None
            };
            let side = SigmaSide::Split;
            (Plan::Exact { side, rounding }, None)
        }
        Origin::Sklearn(rsvd) => {
            // A later branch of LoRA-XS has an exact SVD.
            let exact = Plan::Exact {
                side: SigmaSide::Right,
                rounding: Rounding::None,
            };
            (Plan::Rsvd(rsvd), Some(exact))
        }
    }
}

/// Rebuilds by a plan; the inner error says how the source differs.
fn attempt(
    job: &Job<'_>,
    plan: Plan,
    limit: f64,
) -> Result<Result<Made, ConvertError>, ConvertError> {
    let comparison = job.compare(plan, limit)?;
    if let Err(mismatch) = comparison.judge(job.draft, limit) {
        return Ok(Err(mismatch));
    }
    let mut fields = assemble::rebuilt(job.draft, plan, &comparison.modules)?;
    fields.basis_check = comparison.basis_check;
    let (notes, embedded) = (comparison.notes, None);
    Ok(Ok(Made {
        fields,
        limit,
        notes,
        embedded,
    }))
}

/// The source's own factors, because of a mismatch.
fn embed(
    job: &Job<'_>,
    options: &ConvertOptions,
    mismatch: ConvertError,
) -> Result<Made, ConvertError> {
    let factors = job.draft.modules.iter().map(|module| job.stored(module));
    let fields = assemble::embedded(job.draft, &factors.collect::<Result<Vec<_>, _>>()?)?;
    let (ConvertError::OtherBasis { module, .. } | ConvertError::Residual { module, .. }) =
        mismatch
    else {
        return Err(mismatch);
    };
    Ok(Made {
        fields,
        limit: options.embedded_limit(),
        notes: Vec::new(),
        embedded: Some(module),
    })
}

/// The adapter with the digest of its base, and its bytes.
fn finish(job: &Job<'_>, mut fields: AdapterFields) -> Result<(Adapter, Vec<u8>), ConvertError> {
    fields.base = job.digest;
    let mut adapter = Adapter::new(fields)?;
    if let Some(content) = adapter.factors_content() {
        let mut fields = adapter.into_fields();
        fields.basis_check = BasisCheck::of_factors(&content);
        adapter = Adapter::new(fields)?;
    }
    let bytes = adapter.to_bytes();
    Ok((adapter, bytes))
}
