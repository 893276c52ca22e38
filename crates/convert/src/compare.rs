//! Every module rebuilt and compared with what the source stores.

use std::num::NonZero;

use tlora_basis::{BasisCheck, Factors};
use tlora_checkpoint::Checkpoint;
use tlora_format::{BaseDigest, Correction};
use tlora_rebuild::{Bases, BasisNote, RebuildError, Run, Stage, bases, share_out};

use crate::ConvertError;
use crate::draft::{Draft, DraftModule};
use crate::matching::{Match, OTHER, residual};
use crate::rebuilt::{Plan, Rebuilt};
use crate::source::Source;
use crate::{corrections, values};

/// Modules of a lot for each thread: their factors are held until they are hashed in order.
const LOT: usize = 2;

/// Bytes of weights that are held at once; one weight at least.
const BUDGET: u64 = 400 << 20;

/// What all steps of a conversion need.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Source,
    pub(crate) draft: &'a Draft,
    pub(crate) base: &'a Checkpoint,
    pub(crate) digest: BaseDigest,
    pub(crate) run: &'a Run<'a>,
    pub(crate) pool: &'a rayon::ThreadPool,
}

/// One module, rebuilt.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) matched: Match,
    /// ‖ΔW − ΔW'‖ / ‖ΔW‖, corrections included.
    pub(crate) residual: f64,
    /// Corrections, numbered from the module's first entry.
    pub(crate) corrections: Vec<Correction>,
}

/// All modules, rebuilt.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// In module order.
    pub(crate) modules: Vec<Compared>,
    pub(crate) basis_check: [u8; 8],
    pub(crate) notes: Vec<BasisNote>,
}

impl Job<'_> {
    /// The stored factors of a module.
    pub(crate) fn stored(&self, module: &DraftModule) -> Result<Factors, ConvertError> {
        let weight = &module.weight;
        let b = values::read(&self.source.file, &module.pair.b)?;
        let a = values::read(&self.source.file, &module.pair.a)?;
        let factors = Factors::new(weight.out_features, weight.in_features, weight.rank, b, a);
        Ok(factors.map_err(|source| RebuildError::Numeric {
            module: weight.name.clone(),
            source,
        })?)
    }

    /// The exact bases of all modules.
    pub(crate) fn bases(&self) -> Result<(Bases, Vec<BasisNote>), ConvertError> {
        let weights = self.draft.modules.iter().map(|module| &module.weight);
        Ok(bases(self.base, weights, &self.digest, self.run)?)
    }

    /// Rebuilds every module and compares it with the source. Where a rounded one misses the limit it is corrected.
    pub(crate) fn compare(&self, plan: Plan, limit: f64) -> Result<Comparison, ConvertError> {
        let (bases, notes) = match plan {
            Plan::Exact { .. } => self.bases()?,
            Plan::Rsvd(_) => (Bases::default(), Vec::new()),
        };
        self.start();
        let mut check = BasisCheck::new();
        let mut modules = Vec::new();
        for lot in self
            .draft
            .modules
            .chunks(self.threads().get().saturating_mul(LOT))
        {
            for (module, (factors, compared)) in
                lot.iter().zip(self.compare_lot(lot, plan, limit, &bases)?)
            {
                let name = &module.weight.name;
                match plan {
                    Plan::Exact { .. } => check.exact(name, &bases[&module.weight]),
                    Plan::Rsvd(_) => check.rsvd(name, &factors),
                }
                modules.push(compared);
            }
        }
        Ok(Comparison {
            modules,
            basis_check: check.finish(),
            notes,
        })
    }

    /// How many weights to work on at once: fewer than threads if they are large.
    pub(crate) fn threads(&self) -> NonZero<usize> {
        let sizes = self
            .draft
            .modules
            .iter()
            .map(|module| module.weight.tensor.bytes);
        let most = BUDGET / sizes.max().unwrap_or(1).max(1);
        let most = usize::try_from(most).ok().and_then(NonZero::new);
        most.unwrap_or(NonZero::<usize>::MIN).min(self.run.threads)
    }

    /// Begins a pass over the adapted weights.
    pub(crate) fn start(&self) {
        let total = self
            .draft
            .modules
            .iter()
            .map(|module| module.weight.tensor.bytes)
            .sum();
        self.run.progress.start(Stage::Compare, total);
    }

    fn compare_lot(
        &self,
        lot: &[DraftModule],
        plan: Plan,
        limit: f64,
        bases: &Bases,
    ) -> Result<Vec<(Factors, Compared)>, ConvertError> {
        let numbered: Vec<(usize, &DraftModule)> = lot.iter().enumerate().collect();
        let mut done = share_out(
            &numbered,
            self.run.threads,
            |&(number, module), _: &mut ()| {
                let rebuilt = self
                    .pool
                    .install(|| Rebuilt::new(self.base, &module.weight, plan, bases))?;
                let compared = self.compare_one(module, &rebuilt, limit)?;
                self.run.progress.advance(module.weight.tensor.bytes);
                Ok::<_, ConvertError>((number, rebuilt.factors, compared))
            },
        )?;
        done.sort_by_key(|&(number, ..)| number);
        Ok(done
            .into_iter()
            .map(|(_, factors, compared)| (factors, compared))
            .collect())
    }

    fn compare_one(
        &self,
        module: &DraftModule,
        rebuilt: &Rebuilt,
        limit: f64,
    ) -> Result<Compared, ConvertError> {
        let stored = self.stored(module)?;
        let matched = Match::new(&stored, &rebuilt.factors);
        let plain = Compared {
            residual: residual(&stored, &rebuilt.factors, &matched, &module.r),
            matched,
            corrections: Vec::new(),
        };
        let (Some(rounded), true) = (
            &rebuilt.rounded,
            plain.residual > limit && plain.matched.difference <= OTHER,
        ) else {
            return Ok(plain);
        };
        let Compared { matched, .. } = plain;
        // Half of the limit: what is printed then stays clear of it.
        let chosen = corrections::choose(&stored, rounded, &matched, &module.r, limit / 2.0);
        let (corrections, residual) = chosen.map_err(|source| RebuildError::Numeric {
            module: module.weight.name.clone(),
            source,
        })?;
        Ok(Compared {
            matched,
            residual,
            corrections,
        })
    }
}

impl Comparison {
    /// Whether the rebuilt factors are the source's.
    ///
    /// # Errors
    /// With the module that differs most: another basis, or one that is not near enough.
    pub(crate) fn judge(&self, draft: &Draft, limit: f64) -> Result<(), ConvertError> {
        let named = || {
            draft
                .modules
                .iter()
                .map(|module| &module.weight.name)
                .zip(&self.modules)
        };
        let others = named()
            .filter(|(_, one)| exceeds(one.matched.difference, OTHER))
            .count();
        let most_different =
            named().max_by(|(_, a), (_, b)| a.matched.difference.total_cmp(&b.matched.difference));
        if let Some((module, one)) = most_different.filter(|_| others > 0) {
            return Err(ConvertError::OtherBasis {
                module: module.clone(),
                column: one.matched.column,
                difference: one.matched.difference,
                modules: others,
            });
        }
        let worst = named().max_by(|(_, a), (_, b)| a.residual.total_cmp(&b.residual));
        match worst.filter(|(_, one)| exceeds(one.residual, limit)) {
            Some((module, one)) => Err(ConvertError::Residual {
                module: module.clone(),
                residual: one.residual,
                limit,
            }),
            None => Ok(()),
        }
    }
}

/// Whether a value is above a limit, or no number at all.
pub(crate) fn exceeds(value: f64, limit: f64) -> bool {
    value.is_nan() || value > limit
}
