//! A converted adapter without the source's v, P and sharing: each module has the R on its exact basis that comes nearest
//! to the source's ΔW.

use tlora_basis::{BasisCheck, Factors};
use tlora_checkpoint::Checkpoint;
use tlora_format::{AdapterFields, Precision, ProjectionKind, Rounding, SigmaSide};
use tlora_rebuild::{BasisNote, share_out};

use crate::ConvertError;
use crate::assemble;
use crate::compare::Job;
use crate::draft::{Draft, DraftModule, padded};
use crate::rebuilt::{Plan, Rebuilt};
use crate::residual::{dot, multiply};
use crate::spelling::{Order, spell};

const PLAN: Plan = Plan::Exact {
    side: SigmaSide::Left,
    rounding: Rounding::None,
};

impl Draft {
    /// The same modules, each with a group and an R of its own, in the order that is shortest to write down.
    pub(crate) fn flattened(mut self, base: &Checkpoint) -> Self {
        let names: Vec<String> = self
            .modules
            .iter()
            .map(|module| module.weight.name.clone())
            .collect();
        let (targets, order) = spell(base, &names, Order::Free);
        let place =
            |module: &DraftModule| order.iter().position(|name| *name == module.weight.name);
        self.modules.sort_by_cached_key(place);
        let rank = self.rank();
        Self {
            targets,
            group_count: u32::try_from(names.len()).unwrap_or(u32::MAX),
            n_tie: 1,
            u: u16::try_from(rank * rank).unwrap_or(u16::MAX),
            v: Vec::new(),
            precision: Precision::F32,
            projection: ProjectionKind::Standard,
            ..self
        }
    }
}

/// The fields of a flattened draft.
pub(crate) fn flatten(job: &Job<'_>) -> Result<(AdapterFields, Vec<BasisNote>), ConvertError> {
    let (bases, notes) = job.bases()?;
    job.start();
    let numbered: Vec<(usize, &DraftModule)> = job.draft.modules.iter().enumerate().collect();
    let mut done = share_out(&numbered, job.threads(), |&(number, module), _: &mut ()| {
        let exact = job
            .pool
            .install(|| Rebuilt::new(job.base, &module.weight, PLAN, &bases))?;
        let r = nearest(&job.stored(module)?, &exact.factors, module);
        job.run.progress.advance(module.weight.tensor.bytes);
        Ok::<_, ConvertError>((number, r))
    })?;
    done.sort_by_key(|&(number, _)| number);
    let rank = job.draft.rank();
    let squares = done
        .iter()
        .zip(&job.draft.modules)
        .flat_map(|((_, r), module)| padded(r, module.weight.rank, rank));
    let mut check = BasisCheck::new();
    for module in &job.draft.modules {
        check.exact(&module.weight.name, &bases[&module.weight]);
    }
    let mut fields = assemble::flattened(job.draft, &squares.collect::<Vec<_>>())?;
    fields.basis_check = check.finish();
    Ok((fields, notes))
}

/// The R with UΣ·R·Vᵀ nearest to scale·B·R·A: Σ⁻²·(UΣ)ᵀ·B · scale·R · A·V, for the columns of UΣ and V are orthogonal.
fn nearest(stored: &Factors, exact: &Factors, module: &DraftModule) -> Vec<f64> {
    let (rank, columns) = (stored.rank, stored.columns);
    let column =
        |b: &[f64], c: usize| -> Vec<f64> { b.iter().skip(c).step_by(rank).copied().collect() };
    let row = |a: &'_ [f64], c: usize| a[c * columns..][..columns].to_vec();
    let square = |entry: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..rank * rank)
            .map(|i| entry(i / rank, i % rank))
            .collect()
    };
    let left = square(&|j, c| {
        let us = column(&exact.b, j);
        let norm = dot(&us, &us);
        if norm == 0.0 {
            0.0
        } else {
            module.scale * dot(&us, &column(&stored.b, c)) / norm
        }
    });
    let right = square(&|d, k| dot(&row(&stored.a, d), &row(&exact.a, k)));
    multiply(&multiply(&left, &module.r, rank), &right, rank)
}
