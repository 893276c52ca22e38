//! Which seed drew stored projections: from the values the seed, and with it the number of each module.

use std::collections::BTreeMap;

use tlora_basis::torch_projections;
use tlora_format::{Precision, Rounding};

use crate::values::fits;

/// The stored projections of one module: u · rank · rank values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) rank: usize,
    pub(crate) values: &'a [f64],
}

/// How near a drawn value is to the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Agreement {
    /// Another draw.
    None,
    /// The same draw on a processor whose logarithm or cosine differs in the last bits.
    Near,
    /// Every bit.
    Exact,
}

/// Seeds that peft 0.19 chose from: the setting plus a hash modulo this.
const HASHES: u64 = 10_000;
/// Values that are compared before all are drawn.
const FIRST: usize = 16;
/// By how much torch's own kernels differ for sixteen values and more.
const NEAR: f64 = 4e-6;

/// What the values of all modules are rounded to.
pub(crate) fn rounding<'a>(all: impl Iterator<Item = &'a [f64]> + Clone) -> Rounding {
    let holds = |precision| all.clone().all(|values| fits(values, precision));
    if holds(Precision::Bf16) {
        Rounding::Bf16
    } else if holds(Precision::F16) {
        Rounding::F16
    } else {
        Rounding::None
    }
}

/// Compares stored projections with those that torch draws from a seed.
pub(crate) fn agreement(stored: Stored<'_>, seed: u64, rounding: Rounding) -> Agreement {
    let u = stored.values.len() / (stored.rank * stored.rank);
    compare(
        stored.values,
        torch_projections(seed, u, stored.rank, rounding),
        rounding,
    )
}

fn compare(stored: &[f64], drawn: impl IntoIterator<Item = f64>, rounding: Rounding) -> Agreement {
    let mut worst = Agreement::Exact;
    for (&stored, drawn) in stored.iter().zip(drawn) {
        let slack = NEAR + drawn.abs() * step(rounding);
        if (stored - drawn).abs() > slack {
            return Agreement::None;
        }
        if stored != drawn {
            worst = Agreement::Near;
        }
    }
    worst
}

/// A step of a rounding, relative to the value.
const fn step(rounding: Rounding) -> f64 {
    match rounding {
        Rounding::None => 0.0,
        Rounding::Bf16 => 1.0 / 128.0,
        Rounding::F16 => 1.0 / 1024.0,
    }
}

/// The one seed that drew the projections of all modules, as in peft 0.19.
pub(crate) fn shared_seed(stored: &[Stored<'_>], first: u64, rounding: Rounding) -> Option<u64> {
    let agrees = |seed: u64| {
        move |&stored: &Stored<'_>| agreement(stored, seed, rounding) == Agreement::Exact
    };
    let mut seeds = (0..HASHES).map(|hash| first.wrapping_add(hash));
    seeds.find(|&seed| !stored.is_empty() && stored.iter().all(agrees(seed)))
}

/// The number of each module, below `limit`, if its projections are those of exactly one number.
pub(crate) fn numbers(
    stored: &[Stored<'_>],
    seed: u64,
    limit: u64,
    rounding: Rounding,
) -> Option<(Vec<u64>, Agreement)> {
    let mut beginnings: BTreeMap<(usize, usize), Vec<Vec<f64>>> = BTreeMap::new();
    let mut agreed = Agreement::Exact;
    let number = |one: &Stored<'_>| {
        let u = one.values.len() / (one.rank * one.rank);
        let first = |number: u64| {
            torch_projections(seed.wrapping_add(number), u, one.rank, rounding).take(FIRST)
        };
        let all = beginnings
            .entry((u, one.rank))
            .or_insert_with(|| (0..limit).map(|number| first(number).collect()).collect());
        let mut candidates = (0..limit).zip(all).filter_map(|(number, first)| {
            let may = compare(one.values, first.iter().copied(), rounding) > Agreement::None;
            let agreement = may.then(|| agreement(*one, seed.wrapping_add(number), rounding))?;
            (agreement > Agreement::None).then_some((number, agreement))
        });
        let (number, agreement) = candidates.next()?;
        agreed = agreed.min(agreement);
        candidates.next().is_none().then_some(number)
    };
    let numbers = stored.iter().map(number).collect::<Option<Vec<_>>>()?;
    Some((numbers, agreed))
}
