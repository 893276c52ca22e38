//! Equality of expressions by their values at fixed points.
//!
//! No algebra: two expressions are one if they agree at eight points or more and disagree at none. The points lie in two
//! ranges, (0, 1) and (-6, 6), at fractions of square roots, so that no identity holds there by chance. Where the gold
//! expression is real the prediction has to be real and the same.

use std::collections::{BTreeMap, BTreeSet};

use num_traits::ToPrimitive;

use super::approx::Approx;
use super::exact;
use super::literal::Literal;
use super::tree::{Function, Tree};

const POINTS: u32 = 24;
const WANTED: u32 = 8;
/// Their square roots' multiples have fractions that are spread evenly and independently.
const PRIMES: [u8; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

type Values = BTreeMap<String, Approx>;

/// Whether the expressions have the same values.
pub(crate) fn same(gold: &Tree, prediction: &Tree) -> bool {
    let Some(names) = Names::of(gold, prediction) else {
        return false;
    };
    let mut agreements = 0;
    for point in 0..names.points() {
        let values = names.at(point);
        match judge(
            eval(gold, &values),
            eval(prediction, &values),
            names.imaginary,
        ) {
            Some(true) => agreements += 1,
            Some(false) => return false,
            None => {}
        }
    }
    agreements >= names.wanted()
}

/// The value of an expression without variables, if it is real and known to many digits.
pub(crate) fn real(tree: &Tree) -> Option<f64> {
    let mut names = BTreeSet::new();
    tree.variables(&mut names);
    let value = eval(tree, &Values::new()).filter(|_| names.is_empty())?;
    (value.is_real() && !value.is_vague()).then_some(value.re)
}

/// Whether one difference is a fixed multiple of the other, not zero, and positive if `positive`: whether they are
/// sides of the same equation.
pub(crate) fn proportional(gold: &Tree, prediction: &Tree, positive: bool) -> bool {
    let Some(names) = Names::of(gold, prediction) else {
        return false;
    };
    let (mut first, mut agreements) = (None, 0);
    for point in 0..names.points() {
        let values = names.at(point);
        let ratio = eval(gold, &values)
            .zip(eval(prediction, &values))
            .and_then(|(gold, prediction)| prediction.div(gold))
            .filter(|ratio| !ratio.is_vague());
        let Some(ratio) = ratio else { continue };
        let first = *first.get_or_insert(ratio);
        if !ratio.is_real()
            || ratio.modulus() <= ratio.err
            || !ratio.agrees(first)
            || (positive && ratio.re < 0.0)
        {
            return false;
        }
        agreements += 1;
    }
    !names.free.is_empty() && names.same_variables && agreements >= WANTED
}

/// Whether the values agree; nothing if that cannot be told at this point.
fn judge(gold: Option<Approx>, prediction: Option<Approx>, imaginary: bool) -> Option<bool> {
    let gold = gold.filter(|gold| !gold.is_vague())?;
    let Some(prediction) = prediction else {
        return Some(false);
    };
    if prediction.is_vague() {
        return None;
    }
    if gold.agrees(prediction) {
        return Some(true);
    }
    (imaginary || gold.is_real()).then_some(false)
}

/// The variables of both sides.
struct Names {
    /// Those that take values.
    free: BTreeSet<String>,
    /// Whether both sides have the same ones.
    same_variables: bool,
    /// Whether i is the imaginary unit.
    imaginary: bool,
    /// Whether j is written for i on one side.
    j_is_i: bool,
}

impl Names {
    /// Nothing if there are more variables than primes. i is the imaginary unit unless j occurs beside it, as in a vector;
    /// j is i where only the other side has i.
    fn of(gold: &Tree, prediction: &Tree) -> Option<Self> {
        let (mut in_gold, mut in_prediction) = (BTreeSet::new(), BTreeSet::new());
        gold.variables(&mut in_gold);
        prediction.variables(&mut in_prediction);
        let has = |names: &BTreeSet<String>, name: &str| names.contains(name);
        let vector = |names| has(names, "i") && has(names, "j");
        let other = |one, two| has(one, "i") && !has(one, "j") && has(two, "j") && !has(two, "i");
        let j_is_i = other(&in_gold, &in_prediction) || other(&in_prediction, &in_gold);
        let imaginary = !vector(&in_gold)
            && !vector(&in_prediction)
            && (has(&in_gold, "i") || has(&in_prediction, "i"));
        let same_variables = in_gold == in_prediction;
        let free: BTreeSet<String> = in_gold
            .union(&in_prediction)
            .filter(|name| !(imaginary && name.as_str() == "i" || j_is_i && name.as_str() == "j"))
            .cloned()
            .collect();
        (free.len() <= PRIMES.len()).then_some(Self {
            free,
            same_variables,
            imaginary,
            j_is_i,
        })
    }

    fn points(&self) -> u32 {
        if self.free.is_empty() { 1 } else { POINTS }
    }

    fn wanted(&self) -> u32 {
        if self.free.is_empty() { 1 } else { WANTED }
    }

    fn at(&self, point: u32) -> Values {
        let step = f64::from(point + 1);
        let mut values: Values = self
            .free
            .iter()
            .zip(PRIMES)
            .map(|(name, prime)| {
                let root = libm::sqrt(f64::from(prime));
                let fraction = step * root - libm::floor(step * root);
                let value = if point < POINTS / 2 {
                    fraction
                } else {
                    12.0 * fraction - 6.0
                };
                (name.clone(), Approx::real(value))
            })
            .collect();
        if self.imaginary {
            values.insert("i".to_owned(), Approx::I);
        }
        if self.j_is_i {
            values.insert("j".to_owned(), Approx::I);
        }
        values
    }
}

fn eval(tree: &Tree, values: &Values) -> Option<Approx> {
    match tree {
        Tree::Number(literal) => number(literal),
        Tree::Pi => Some(Approx::PI),
        Tree::Euler => Some(Approx::E),
        Tree::Variable(name) => values.get(name).copied(),
        Tree::Sum(terms) => terms
            .iter()
            .try_fold(Approx::ZERO, |sum, (negative, term)| {
                let term = eval(term, values)?;
                sum.add(if *negative { term.neg() } else { term })
            }),
        Tree::Product(factors) => {
            factors
                .iter()
                .try_fold(Approx::ONE, |product, (divides, factor)| {
                    let factor = eval(factor, values)?;
                    if *divides {
                        product.div(factor)
                    } else {
                        product.mul(factor)
                    }
                })
        }
        Tree::Power(base, exponent) => power(eval(base, values)?, exponent, values),
        Tree::Root(degree, inside) => eval(inside, values)?.root(*degree),
        Tree::Call(function, inside) => call(*function, tree, eval(inside, values)?),
        Tree::Log(base, of) => eval(of, values)?.ln()?.div(eval(base, values)?.ln()?),
        Tree::Binomial(all, some) => match exact::value(tree) {
            Some(value) => value.to_f64().map(Approx::rounded),
            None => {
                let mixed = eval(all, values)?.add(eval(some, values)?.mul(Approx::PI)?)?;
                unknown("binom", mixed)
            }
        },
        Tree::Unknown(name, inside) => unknown(name, eval(inside, values)?),
    }
}

/// The nearest f64, without an error if it is a whole number that f64 has exactly.
fn number(literal: &Literal) -> Option<Approx> {
    let nearest = literal
        .value
        .to_f64()
        .filter(|nearest| nearest.is_finite())?;
    let exact = literal.value.is_integer() && nearest.abs() < 9e15;
    Some(if exact {
        Approx::real(nearest)
    } else {
        Approx::rounded(nearest)
    })
}

/// Whole exponents multiply and odd denominators have a real root; anything else is the principal power.
fn power(base: Approx, exponent: &Tree, values: &Values) -> Option<Approx> {
    if let Some(exponent) = exact::value(exponent)
        && let Some(over) = exponent.numer().to_i32().filter(|over| over.abs() <= 4_096)
        && let Some(under) = exponent.denom().to_u32().filter(|under| *under <= 64)
    {
        if over == 0 {
            return (base.modulus() > base.err).then_some(Approx::ONE);
        }
        let root = if under == 1 { base } else { base.root(under)? };
        return root.powi(over);
    }
    base.pow(eval(exponent, values)?)
}

fn call(function: Function, tree: &Tree, x: Approx) -> Option<Approx> {
    match function {
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tan => x.sin()?.div(x.cos()?),
        Function::Sec => x.cos()?.recip(),
        Function::Csc => x.sin()?.recip(),
        Function::Cot => x.cos()?.div(x.sin()?),
        Function::Asin => x.asin(),
        Function::Acos => x.acos(),
        Function::Atan => x.atan(),
        Function::Sinh => x.sinh(),
        Function::Cosh => x.cosh(),
        Function::Tanh => x.sinh()?.div(x.cosh()?),
        Function::Ln => x.ln(),
        Function::Exp => x.exp(),
        Function::Abs => x.abs(),
        Function::Floor => x.floor(),
        Function::Ceil => x.neg().floor().map(Approx::neg),
        Function::Factorial => match exact::value(tree) {
            Some(value) => value
                .to_f64()
                .filter(|value| value.is_finite())
                .map(Approx::rounded),
            None => unknown("!", x),
        },
        Function::Degrees => x.mul(Approx::PI)?.div(Approx::real(180.0)),
    }
}

/// A function of which nothing is known: some wave by its name, so that it is the same for the same argument only.
fn unknown(name: &str, x: Approx) -> Option<Approx> {
    let phase = name
        .bytes()
        .fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 1_009);
    let shifted = x.add(Approx::real(f64::from(phase) / 1_009.0))?;
    shifted.sin()?.add(shifted.mul(Approx::real(0.125))?)
}
