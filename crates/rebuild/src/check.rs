//! The basis checks of adapters, compared with what was rebuilt (spec §6.7).

use tlora_basis::{BasisCheck, Factors};
use tlora_format::SigmaSide;

use crate::module_basis::Kind;
use crate::{Prepared, RebuildError, Run, Stage, share_out};

/// Bytes of factors that are kept for the run; those beyond are computed again.
const KEPT: usize = 256 << 20;
/// Modules of a lot for each thread: the records are hashed in order, so that a lot's factors are held.
const LOT: usize = 4;

/// Compares the check of every adapter.
///
/// # Errors
/// [`RebuildError::BasisCheck`], or a weight without a basis.
pub(crate) fn ensure_checks(
    prepared: &mut Prepared<'_>,
    run: &Run<'_>,
) -> Result<(), RebuildError> {
    for number in 0..prepared.adapters.len() {
        let expected = prepared.adapters[number].basis_check;
        let found = check(prepared, number, run)?;
        if found != expected {
            return Err(RebuildError::BasisCheck {
                adapter: number,
                expected,
                found,
            });
        }
    }
    Ok(())
}

fn check(
    prepared: &mut Prepared<'_>,
    number: usize,
    run: &Run<'_>,
) -> Result<[u8; 8], RebuildError> {
    let adapter = &prepared.adapters[number];
    match Kind::of(adapter) {
        Kind::Exact | Kind::Rounded(_) => {
            let mut check = BasisCheck::new();
            for module in &prepared.plans[number] {
                check.exact(&module.weight.name, &prepared.bases[&module.weight]);
            }
            Ok(check.finish())
        }
        Kind::Explicit(..) => Ok(BasisCheck::of_factors(
            &adapter.factors_content().unwrap_or_default(),
        )),
        Kind::Rsvd(_) => rsvd_check(prepared, number, run),
    }
}

fn rsvd_check(
    prepared: &mut Prepared<'_>,
    number: usize,
    run: &Run<'_>,
) -> Result<[u8; 8], RebuildError> {
    let mut check = BasisCheck::new();
    let (mut kept, mut bytes) = (Vec::new(), 0);
    let modules = &prepared.plans[number];
    let total = modules.iter().map(|module| module.weight.tensor.bytes);
    run.progress.start(Stage::Bases, total.sum());
    for lot in modules.chunks(run.threads.get() * LOT) {
        let mut computed = share_out(lot, run.threads, |module, _: &mut ()| {
            let factors = prepared
                .factors(number, module, SigmaSide::Left)?
                .into_owned();
            run.progress.advance(module.weight.tensor.bytes);
            Ok::<_, RebuildError>((module.number, factors))
        })?;
        computed.sort_by_key(|(module, _)| *module);
        for ((module, factors), planned) in computed.into_iter().zip(lot) {
            check.rsvd(&planned.weight.name, &factors);
            bytes += size(&factors);
            if bytes <= KEPT {
                kept.push(((number, module), factors));
            }
        }
    }
    prepared.kept.extend(kept);
    Ok(check.finish())
}

const fn size(factors: &Factors) -> usize {
    (factors.b.len() + factors.a.len()) * size_of::<f64>()
}
