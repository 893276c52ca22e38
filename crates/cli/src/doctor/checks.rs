//! The checks, each with its bound and where that is from.

use tlora_model::{Compute, ModelError};

use super::models::{self, SHAPES, Samples};
use super::{Check, Subject};

/// One check, or the same in several arithmetics.
type Found = Result<Vec<Check>, ModelError>;

type Examination = fn(&Subject) -> Found;

/// All checks, by the name of the first result of each.
pub(super) const ALL: [(&str, Examination); 7] = [
    ("logits", logits),
    ("logits-bf16", logits_of_halves),
    ("gradient", gradient),
    ("greedy", greedy),
    ("sampler-learner", sampler_and_learner),
    ("packing", packing),
    ("repeat", repeat),
];

/// Sums of f32 in any order are off by some 1e-7 of their terms; two layers make 1e-6 of it. TF32, which has 10 bits, would make
/// 1e-3.
pub(super) fn logits(subject: &Subject) -> Found {
    let worst = over_shapes(|shape| {
        let (found, wanted) = both(subject, |compute| models::logits(compute, shape))?;
        Ok(largest_difference(&found, &wanted) / largest(&wanted))
    })?;
    Ok(vec![Check::new(
        "logits",
        "f32 against f64 of this machine, of the largest logit",
        worst,
        1e-4,
    )])
}

/// A product rounds its input to bf16, by 2⁻⁹ of each element at most: a sum of many is off by about 2⁻¹⁰ of its root mean
/// square. Six products of a layer, in two layers and the head, add up like the root of their number: 0.4 %, and twice that for
/// the residual stream that they stand in. Weights are bf16 to begin with.
fn logits_of_halves(subject: &Subject) -> Found {
    let Some(half) = &subject.half else {
        return Ok(Vec::new());
    };
    let worst = over_shapes(|shape| {
        let (found, wanted) = (
            models::logits(half, shape)?,
            models::logits(&Compute::F64, shape)?,
        );
        Ok(root_mean_square(&found, &wanted))
    })?;
    Ok(vec![Check::new(
        "logits-bf16",
        "bf16 against f64 of this machine, root mean square",
        worst,
        1e-2,
    )])
}

/// The bound on f32 of the trainer; the gradient in bf16 has the error of the logits, and that of the way back, in sums that
/// cancel: ten times as much.
pub(super) fn gradient(subject: &Subject) -> Found {
    let compared = |compute: &Compute| {
        over_shapes(|shape| {
            let found = models::gradient(compute, shape)?;
            let wanted = models::gradient(&Compute::F64, shape)?;
            Ok(largest_difference(&found, &wanted) / largest(&wanted))
        })
    };
    let what = "of v against f64 of this machine, of its largest number";
    let mut checks = vec![Check::new(
        "gradient",
        what,
        compared(&subject.single)?,
        1e-3,
    )];
    if let Some(half) = &subject.half {
        checks.push(Check::new("gradient-bf16", what, compared(half)?, 1e-1));
    }
    Ok(checks)
}

/// The most probable token is another one only where two logits are closer than f32 can tell, which these models' are not.
fn greedy(subject: &Subject) -> Found {
    let other = over_shapes(|shape| {
        let (found, wanted) = (
            models::samples(&subject.single, shape, 0.0, models::SLOTS)?,
            models::samples(&Compute::F32, shape, 0.0, models::SLOTS)?,
        );
        Ok(unlike(&found, &wanted))
    })?;
    Ok(vec![Check::new(
        "greedy",
        "completions other than those of this machine",
        other,
        0.0,
    )])
}

/// This machine computes a token in one order, whatever is computed beside it. A GPU's products have other orders for other
/// numbers of rows: the error of a log-probability is that of two logits. In bf16 a sum that comes out on the other side of the
/// middle between two bf16 moves one element of a row by 2⁻⁸ of it, and a logit by some thousandths of its size.
fn sampler_and_learner(subject: &Subject) -> Found {
    let bound = if subject.is_here() { 0.0 } else { 2e-5 };
    let what = "log-probabilities, the largest difference in nats";
    // Not from `Mismatch`, which leaves out what is not finite.
    let of = |compute: &Compute| {
        over_shapes(|shape| {
            let (learner, sampler): (Vec<f64>, Vec<f64>) =
                models::pairs(compute, shape)?.into_iter().unzip();
            Ok(largest_difference(&learner, &sampler))
        })
    };
    let mut checks = vec![Check::new(
        "sampler-learner",
        what,
        of(&subject.single)?,
        bound,
    )];
    if let Some(half) = &subject.half {
        checks.push(Check::new("sampler-learner-bf16", what, of(half)?, 1e-2));
    }
    Ok(checks)
}

/// What is sampled depends on the seed, and not on what else is sampled at the same time.
fn packing(subject: &Subject) -> Found {
    let other = over_shapes(|shape| {
        let all = models::samples(&subject.single, shape, models::WARM, models::SLOTS)?;
        let few = models::samples(&subject.single, shape, models::WARM, 3)?;
        Ok(if subject.is_here() {
            f64::from(u8::from(all != few))
        } else {
            unlike(&all, &few)
        })
    })?;
    Ok(vec![Check::new(
        "packing",
        "completions that change with the number of samples at once",
        other,
        0.0,
    )])
}

/// Nothing depends on which thread is done first: neither here, with one thread or all, nor on a GPU.
fn repeat(subject: &Subject) -> Found {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let other = over_shapes(|shape| {
        let first = models::gradient(&subject.single, shape)?;
        let again = || models::gradient(&subject.single, shape);
        let second = match &one {
            Ok(one) => one.install(again),
            Err(_) => again(),
        }?;
        let pairs = first.iter().zip(&second);
        let other = pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        Ok(count(other))
    })?;
    Ok(vec![Check::new(
        "repeat",
        "numbers of a gradient with other bits when computed again, on one thread",
        other,
        0.0,
    )])
}

/// The worst of all shapes; what is not a number is worst.
fn over_shapes(check: impl Fn(usize) -> Result<f64, ModelError>) -> Result<f64, ModelError> {
    (0..SHAPES).try_fold(0.0, |worst, shape| Ok(worse(worst, check(shape)?)))
}

/// The same on the subject and in f64 here.
fn both<T>(
    subject: &Subject,
    of: impl Fn(&Compute) -> Result<T, ModelError>,
) -> Result<(T, T), ModelError> {
    Ok((of(&subject.single)?, of(&Compute::F64)?))
}

fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, worse)
}

/// The larger one; what is not a number is larger than any, wherever it comes.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Of the difference, as a share of that of `wanted`.
fn root_mean_square(found: &[f64], wanted: &[f64]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |sum, x| sum + x * x);
    let error = square(&mut found.iter().zip(wanted).map(|(a, b)| a - b));
    (error / square(&mut wanted.iter().copied())).sqrt()
}

/// Completions with other tokens.
fn unlike(a: &Samples, b: &Samples) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    count(pairs.filter(|(a, b)| a.tokens != b.tokens).count())
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_worst_wherever_it_comes() {
        for at in 0..3 {
            let mut found = [0.5, 1.0, 2.0];
            found[at] = f64::NAN;
            assert!(largest_difference(&found, &[0.5, 1.5, 2.0]).is_nan());
            assert!(
                over_shapes(|shape| Ok(if shape == at { f64::NAN } else { 1.0 }))
                    .unwrap()
                    .is_nan()
            );
        }
        assert_eq!(largest_difference(&[0.5, 1.0, 2.0], &[0.5, 1.5, 1.75]), 0.5);
    }
}
