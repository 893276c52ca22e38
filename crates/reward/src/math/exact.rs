//! Exact values of expressions that are rational numbers.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::tree::{Function, Tree};

/// Numerators and denominators beyond are left to the numeric comparison.
const MAX_BITS: u64 = 4_096;
/// The factorial of the largest number below fits.
const MAX_FACTORIAL: u32 = 450;

/// The value if it is rational, is found without algebra and is of a reasonable size.
pub(crate) fn value(tree: &Tree) -> Option<BigRational> {
    let value = match tree {
        Tree::Number(literal) => literal.value.clone(),
        Tree::Sum(terms) => sum(terms)?,
        Tree::Product(factors) => product(factors)?,
        Tree::Power(base, exponent) => power(&value(base)?, &value(exponent)?)?,
        Tree::Root(degree, inside) => root(*degree, &value(inside)?)?,
        Tree::Call(function, inside) => call(*function, &value(inside)?)?,
        Tree::Binomial(all, some) => binomial(&value(all)?, &value(some)?)?,
        Tree::Pi | Tree::Euler | Tree::Variable(_) | Tree::Log(..) | Tree::Unknown(..) => {
            return None;
        }
    };
    bounded(value)
}

fn bounded(value: BigRational) -> Option<BigRational> {
    (value.numer().bits() <= MAX_BITS && value.denom().bits() <= MAX_BITS).then_some(value)
}

fn sum(terms: &[(bool, Tree)]) -> Option<BigRational> {
    terms
        .iter()
        .try_fold(BigRational::zero(), |sum, (negative, term)| {
            let term = value(term)?;
            bounded(if *negative { sum - term } else { sum + term })
        })
}

fn product(factors: &[(bool, Tree)]) -> Option<BigRational> {
    factors
        .iter()
        .try_fold(BigRational::one(), |product, (divides, factor)| {
            let factor = value(factor)?;
            if *divides && factor.is_zero() {
                return None;
            }
            bounded(if *divides {
                product / factor
            } else {
                product * factor
            })
        })
}

fn power(base: &BigRational, exponent: &BigRational) -> Option<BigRational> {
    if !exponent.is_integer() {
        let degree = exponent.denom().to_u32().filter(|degree| *degree <= 64)?;
        return power(
            &root(degree, base)?,
            &BigRational::from(exponent.numer().clone()),
        );
    }
    if base.is_zero() {
        return exponent.is_positive().then(BigRational::zero);
    }
    if base.is_one() {
        return Some(BigRational::one());
    }
    let exponent = exponent.to_integer().to_i32()?;
    let bits = base
        .numer()
        .bits()
        .max(base.denom().bits())
        .saturating_sub(1)
        .max(1);
    if bits.saturating_mul(u64::from(exponent.unsigned_abs())) > MAX_BITS {
        return None;
    }
    Some(Pow::pow(base.clone(), exponent))
}

/// Only if numerator and denominator are powers of that degree.
fn root(degree: u32, of: &BigRational) -> Option<BigRational> {
    if of.is_negative() && degree.is_multiple_of(2) {
        return None;
    }
    let exact = |part: &BigInt| {
        let root = part.nth_root(degree);
        (Pow::pow(&root, degree) == *part).then_some(root)
    };
    Some(BigRational::new(exact(of.numer())?, exact(of.denom())?))
}

fn call(function: Function, of: &BigRational) -> Option<BigRational> {
    match function {
        Function::Abs => Some(of.abs()),
        Function::Floor => Some(of.floor()),
        Function::Ceil => Some(of.ceil()),
        Function::Factorial => {
            let number = whole(of)?;
            Some(BigRational::from(
                (2..=number).fold(BigInt::one(), |product, factor| product * factor),
            ))
        }
        _ => None,
    }
}

fn whole(value: &BigRational) -> Option<u32> {
    value
        .is_integer()
        .then(|| value.to_integer().to_u32())
        .flatten()
        .filter(|number| *number <= MAX_FACTORIAL)
}

fn binomial(all: &BigRational, some: &BigRational) -> Option<BigRational> {
    let (all, some) = (whole(all)?, whole(some)?);
    if some > all {
        return Some(BigRational::zero());
    }
    Some(BigRational::from(
        (0..some).fold(BigInt::one(), |product, step| {
            product * (all - step) / (step + 1)
        }),
    ))
}
