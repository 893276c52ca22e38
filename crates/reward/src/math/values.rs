//! Numbers, with their units and percent signs, and ratios of numbers.

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use super::equal::in_order;
use super::exact;
use super::form::{Form, Value};
use super::literal::rounded;
use super::numeric;
use super::tree::Tree;

/// Units have to be the same where both have one. A percentage is right as it is written and as the number that it is.
pub(super) fn same_values(gold: &Value, prediction: &Value) -> bool {
    if gold.unit.is_some() && prediction.unit.is_some() && gold.unit != prediction.unit {
        return false;
    }
    if same_numbers(&gold.tree, &prediction.tree) {
        return true;
    }
    let meant = |value: &Value| {
        if value.percent {
            value.tree.clone().hundredth()
        } else {
            value.tree.clone()
        }
    };
    gold.percent != prediction.percent && same_numbers(&meant(gold), &meant(prediction))
}

fn same_numbers(gold: &Tree, prediction: &Tree) -> bool {
    match (exact::value(gold), exact::value(prediction)) {
        (Some(exact_gold), Some(exact_prediction)) => {
            exact_gold == exact_prediction
                || rounds_to(gold, &exact_gold, prediction, &exact_prediction)
        }
        _ => numeric::same(gold, prediction),
    }
}

/// Whether both are written with a point, the prediction with more places, and it rounds to the gold answer.
fn rounds_to(
    gold: &Tree,
    gold_value: &BigRational,
    prediction: &Tree,
    value: &BigRational,
) -> bool {
    match (last_place(gold), last_place(prediction)) {
        (Some(place), Some(finer)) => finer < place && rounded(value, place) == *gold_value,
        _ => false,
    }
}

/// The power of ten of the last digit of a decimal, also of `3.83\times10^{35}`.
fn last_place(tree: &Tree) -> Option<i32> {
    match tree {
        Tree::Number(literal) => literal.last_place,
        Tree::Sum(terms) => match terms.as_slice() {
            [(_, term)] => last_place(term),
            _ => None,
        },
        Tree::Product(factors) => match factors.as_slice() {
            [
                (false, Tree::Number(mantissa)),
                (false, Tree::Power(ten, exponent)),
            ] => {
                let is_ten = matches!(&**ten, Tree::Number(ten) if ten.raw == "10");
                let exponent = exact::value(exponent)
                    .filter(BigRational::is_integer)?
                    .to_i32()?;
                mantissa
                    .last_place
                    .filter(|_| is_ten)?
                    .checked_add(exponent)
            }
            _ => None,
        },
        _ => None,
    }
}

fn rational(form: &Form) -> Option<BigRational> {
    let Form::Value(value) = form else {
        return None;
    };
    exact::value(&value.tree).filter(|number| !number.is_zero())
}

/// Part by part, or with a common factor if neither looks like a time of day.
pub(super) fn same_ratios(gold: &[Form], prediction: &[Form]) -> bool {
    if in_order(gold, prediction) {
        return true;
    }
    if gold.len() != prediction.len() || is_clock(gold) || is_clock(prediction) {
        return false;
    }
    let factors: Option<Vec<BigRational>> = gold
        .iter()
        .zip(prediction)
        .map(|(gold, prediction)| Some(rational(gold)? / rational(prediction)?))
        .collect();
    factors.is_some_and(|factors| factors.windows(2).all(|pair| pair.first() == pair.last()))
}

pub(super) fn is_quotient(parts: &[Form], value: &Value) -> bool {
    let [over, under] = parts else { return false };
    let quotient = rational(over)
        .zip(rational(under))
        .map(|(over, under)| over / under);
    !is_clock(parts) && quotient.is_some() && quotient == exact::value(&value.tree)
}

/// `2:30`: hours, and minutes of two digits.
fn is_clock(parts: &[Form]) -> bool {
    let minutes = parts
        .get(1)
        .and_then(rational)
        .and_then(|minutes| minutes.to_u32());
    minutes.is_some_and(|minutes| (10..60).contains(&minutes))
}
