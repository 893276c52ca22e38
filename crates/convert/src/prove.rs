//! The finished bytes, read again and rebuilt as any reader would, against the source's own tensors.

use std::slice;

use tlora_basis::factored_core;
use tlora_format::{Adapter, InvalidAdapter};
use tlora_rebuild::{AdaptedModule, Prepared, plan, prepare, share_out};

use crate::ConvertError;
use crate::compare::{Job, exceeds};
use crate::draft::DraftModule;
use crate::report::ModuleReport;
use crate::residual::{Product, relative};

impl Job<'_> {
    /// How near each module of the file is to the source, in module order.
    pub(crate) fn prove(&self, bytes: &[u8]) -> Result<Vec<ModuleReport>, ConvertError> {
        let adapter = Adapter::parse(bytes).map_err(InvalidAdapter::from)?;
        let plans = vec![plan(self.base, &adapter)?];
        let prepared = prepare(self.base, slice::from_ref(&adapter), plans, self.run)?;
        self.start();
        let planned = prepared.plans.iter().flatten();
        let pairs: Vec<(&AdaptedModule, &DraftModule)> = planned.zip(&self.draft.modules).collect();
        let mut proved = share_out(&pairs, self.threads(), |&(module, drafted), _: &mut ()| {
            let report = self.prove_one(&prepared, module, drafted)?;
            self.run.progress.advance(module.weight.tensor.bytes);
            Ok::<_, ConvertError>((module.number, report))
        })?;
        proved.sort_by_key(|&(number, _)| number);
        Ok(proved.into_iter().map(|(_, report)| report).collect())
    }

    fn prove_one(
        &self,
        prepared: &Prepared<'_>,
        module: &AdaptedModule,
        drafted: &DraftModule,
    ) -> Result<ModuleReport, ConvertError> {
        let stored = self.stored(drafted)?;
        let rebuilt = prepared.factors(0, module, prepared.adapters[0].sigma_side)?;
        let middle = factored_core(module.scale, &module.r, &module.negated);
        let found = Product {
            b: &rebuilt.b,
            middle: &middle,
            a: &rebuilt.a,
            rank: rebuilt.rank,
        };
        let against = |r: &[f64]| {
            let scaled: Vec<f64> = r.iter().map(|entry| drafted.scale * entry).collect();
            let wanted = Product {
                b: &stored.b,
                middle: &scaled,
                a: &stored.a,
                rank: stored.rank,
            };
            relative(&wanted, &found)
        };
        Ok(ModuleReport {
            name: module.weight.name.clone(),
            residual: against(&drafted.r),
            residual_with_rounding_of_v: drafted.unrounded_r.as_deref().map(against),
        })
    }
}

/// The module that differs most.
///
/// # Errors
/// If it is not within the limit.
pub(crate) fn largest(modules: &[ModuleReport], limit: f64) -> Result<ModuleReport, ConvertError> {
    let nothing = || ModuleReport {
        name: String::new(),
        residual: 0.0,
        residual_with_rounding_of_v: None,
    };
    let largest = modules
        .iter()
        .max_by(|a, b| a.residual.total_cmp(&b.residual));
    let largest = largest.cloned().unwrap_or_else(nothing);
    if exceeds(largest.residual, limit) {
        return Err(ConvertError::Residual {
            module: largest.name,
            residual: largest.residual,
            limit,
        });
    }
    Ok(largest)
}
