//! Which entries of rounded factors to correct, so that as few as possible bring ΔW within a limit.
//!
//! PEFT rounds singular vectors that LAPACK computed in single precision. About one entry in three hundred lies so near
//! to a rounding boundary that the exact vector is rounded the other way.

use tlora_basis::{BasisError, Difference, Factors, RoundedFactors};
use tlora_format::Correction;

use crate::matching::{Match, residual};
use crate::residual::frobenius;

/// The most steps of a correction, each of which takes a byte. An entry that needs more is so small that it does not matter.
const MOST_STEPS: i64 = 1024;

/// The corrections of one module after which the residual is at most `wanted`, or all that there are.
///
/// # Errors
/// If the factors have another shape.
pub(crate) fn choose(
    stored: &Factors,
    rounded: &RoundedFactors,
    matched: &Match,
    r: &[f64],
    wanted: f64,
) -> Result<(Vec<Correction>, f64), BasisError> {
    let (b, a) = turned_bits(stored, rounded, matched);
    let ranked = by_effect(rounded, &rounded.differences(&b, &a)?, matched, r);
    let after = |count: usize| {
        let chosen = first(&ranked, count);
        let mut corrected = rounded.clone();
        corrected.correct(chosen.iter().copied())?;
        Ok::<_, BasisError>((
            residual(stored, &corrected.to_factors(), matched, r),
            chosen,
        ))
    };
    // The residual falls with the count but for noise; the smallest count that is found is taken as it is.
    let (mut too_few, mut enough) = (0, ranked.len());
    while too_few < enough {
        let middle = usize::midpoint(too_few, enough);
        if after(middle)?.0 <= wanted {
            enough = middle;
        } else {
            too_few = middle + 1;
        }
    }
    let (residual, chosen) = after(enough)?;
    Ok((chosen, residual))
}

/// The first ones, by entry.
fn first(ranked: &[Correction], count: usize) -> Vec<Correction> {
    let mut chosen = ranked[..count].to_vec();
    chosen.sort_unstable_by_key(|correction| correction.entry);
    chosen
}

/// The stored factors in the rebuilt ones' orientation, as bit patterns of their type, which holds them exactly.
fn turned_bits(
    stored: &Factors,
    rounded: &RoundedFactors,
    matched: &Match,
) -> (Vec<u16>, Vec<u16>) {
    let (rank, columns) = (stored.rank, stored.columns);
    let bits = |value: f64, column: usize| {
        rounded.dtype.round(if matched.negated[column] {
            -value
        } else {
            value
        })
    };
    let b = stored
        .b
        .iter()
        .enumerate()
        .map(|(i, &value)| bits(value, i % rank));
    let a = stored
        .a
        .iter()
        .enumerate()
        .map(|(i, &value)| bits(value, i / columns));
    (b.collect(), a.collect())
}

/// The corrections that can be made; first those that move ΔW most for the bytes that they take.
fn by_effect(
    rounded: &RoundedFactors,
    differences: &[Difference],
    matched: &Match,
    r: &[f64],
) -> Vec<Correction> {
    let factors = rounded.to_factors();
    let weights = Weights::new(&factors, &matched.turned(r));
    let mut ranked: Vec<(f64, Correction)> = differences
        .iter()
        .filter_map(|&Difference { entry, steps }| {
            let correction = Correction {
                entry,
                steps: steps.filter(|steps| steps.abs() <= MOST_STEPS)?,
            };
            Some((weights.effect(rounded, correction)?, correction))
        })
        .collect();
    ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    ranked
        .into_iter()
        .map(|(_, correction)| correction)
        .collect()
}

/// By how much ΔW moves with an entry of each column of B, and of each row of A.
struct Weights {
    of_b: Vec<f64>,
    of_a: Vec<f64>,
}

impl Weights {
    fn new(factors: &Factors, middle: &[f64]) -> Self {
        let rank = factors.rank;
        let norms_b: Vec<f64> = (0..rank)
            .map(|c| {
                frobenius(
                    &factors
                        .b
                        .iter()
                        .skip(c)
                        .step_by(rank)
                        .copied()
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let norms_a: Vec<f64> = factors
            .a
            .chunks_exact(factors.columns)
            .map(frobenius)
            .collect();
        // The columns of B and the rows of A are nearly orthogonal, so the norms of combinations are those of their parts.
        let combine =
            |entries: &mut dyn Iterator<Item = f64>| frobenius(&entries.collect::<Vec<_>>());
        Self {
            of_b: (0..rank)
                .map(|j| combine(&mut (0..rank).map(|k| middle[j * rank + k] * norms_a[k])))
                .collect(),
            of_a: (0..rank)
                .map(|k| combine(&mut (0..rank).map(|j| middle[j * rank + k] * norms_b[j])))
                .collect(),
        }
    }

    /// How far a correction moves ΔW, for the root of the bytes that it takes: errors add up as squares, bytes do not.
    fn effect(&self, rounded: &RoundedFactors, correction: Correction) -> Option<f64> {
        let entry = usize::try_from(correction.entry).ok()?;
        let (bits, weight) = match entry.checked_sub(rounded.b.len()) {
            None => (rounded.b.get(entry)?, self.of_b[entry % rounded.rank]),
            Some(entry) => (rounded.a.get(entry)?, self.of_a[entry / rounded.columns]),
        };
        let magnitude = bits & 0x7FFF;
        let other = u16::try_from(i64::from(magnitude) + correction.steps).ok()?;
        let moved = rounded.dtype.value(magnitude) - rounded.dtype.value(other);
        let bytes = 1 + u16::try_from(correction.steps.unsigned_abs()).ok()?;
        Some(moved.abs() * weight / f64::from(bytes).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use tlora_basis::HalfDtype;

    use super::*;

    const ROWS: usize = 40;
    const COLUMNS: usize = 30;

    /// Factors of rank 2 whose numbers are between 1 and 2, so that every step is 2⁻⁷.
    fn rounded() -> RoundedFactors {
        let bits = |count: usize, step: usize| {
            let fraction = |i: usize| u16::try_from(i * step % 100).unwrap();
            (0..count).map(|i| 0x3F80 + 10 + fraction(i)).collect()
        };
        RoundedFactors {
            dtype: HalfDtype::Bf16,
            rows: ROWS,
            columns: COLUMNS,
            rank: 2,
            b: bits(ROWS * 2, 37),
            a: bits(2 * COLUMNS, 53),
        }
    }

    fn correction(entry: u64, steps: i64) -> Correction {
        Correction { entry, steps }
    }

    /// What a source stores that was rounded otherwise in three entries and has its second column negated.
    fn stored() -> Factors {
        let mut other = rounded();
        let changes = [(6, 1), (15, -2), (100, 1)];
        other
            .correct(changes.map(|(entry, steps)| correction(entry, steps)))
            .unwrap();
        let mut stored = other.to_factors();
        stored
            .b
            .iter_mut()
            .skip(1)
            .step_by(2)
            .for_each(|b| *b = -*b);
        stored.a[COLUMNS..].iter_mut().for_each(|a| *a = -*a);
        stored
    }

    #[test]
    fn all_corrections_make_the_factors_equal() {
        let (stored, rounded) = (stored(), rounded());
        let matched = Match::new(&stored, &rounded.to_factors());
        assert_eq!(matched.negated, [false, true]);
        let r = [0.5, -1.0, 2.0, 0.25];
        let (chosen, residual) = choose(&stored, &rounded, &matched, &r, 1e-12).unwrap();
        let wanted = [correction(6, 1), correction(15, -2), correction(100, 1)];
        assert_eq!(chosen, wanted);
        assert!(residual < 1e-14, "{residual}");
    }

    #[test]
    fn no_more_are_chosen_than_the_limit_needs() {
        let (stored, rounded) = (stored(), rounded());
        let matched = Match::new(&stored, &rounded.to_factors());
        let r = [0.5, -1.0, 2.0, 0.25];
        let count = |wanted| {
            let (chosen, residual) = choose(&stored, &rounded, &matched, &r, wanted).unwrap();
            assert!(residual <= wanted);
            chosen.len()
        };
        let none = residual(&stored, &rounded.to_factors(), &matched, &r);
        assert_eq!(count(none), 0);
        assert!((1..3).contains(&count(none * 0.8)));
        assert_eq!(count(1e-12), 3);
    }

    #[test]
    fn an_entry_of_the_other_sign_is_left_alone() {
        let rounded = rounded();
        let mut stored = rounded.to_factors();
        stored.b[4] = -stored.b[4];
        let matched = Match::new(&stored, &rounded.to_factors());
        let r = [1.0, 0.0, 0.0, 1.0];
        let (chosen, residual) = choose(&stored, &rounded, &matched, &r, 1e-12).unwrap();
        assert!(chosen.is_empty());
        assert!(residual > 1e-3);
    }
}
