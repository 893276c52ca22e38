//! Whether a prediction is the gold answer, by what both of them are.

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use super::exact;
use super::form::{Form, Link, Relation, Value, form};
use super::lex::lex;
use super::literal::rounded;
use super::numeric;
use super::token::{Lexeme, Token, has_words, key};
use super::tree::Tree;

/// Whether `prediction` is the answer `gold`. Both are LaTeX or plain text, without their surroundings.
pub(crate) fn equal(gold: &str, prediction: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let (gold, prediction) = (gold.trim(), prediction.trim());
    if gold.is_empty() || prediction.is_empty() {
        return false;
    }
    if gold == prediction || gold.len() > 8 && squeezed(gold) == squeezed(prediction) {
        return true;
    }
    // 1,234 is one number or two: the same reading has to fit both sides.
    let commas = gold.contains(',') || prediction.contains(',');
    read(gold, prediction, true) || commas && read(gold, prediction, false)
}

fn read(gold: &str, prediction: &str, thousands: bool) -> bool {
    let (Some(gold), Some(prediction)) = (lex(gold, thousands), lex(prediction, thousands)) else { return false };
    let (gold_key, prediction_key) = (key(&gold), key(&prediction));
    if gold_key.is_empty() || prediction_key.is_empty() {
        return false;
    }
    let prose = has_words(&gold) && gold_key.to_lowercase() == prediction_key.to_lowercase();
    if gold_key == prediction_key || prose || same_choice(&gold_key, &prediction_key) {
        return true;
    }
    // A letter can be a unit only where the gold answer has no letters.
    let letters = !gold.iter().any(|lexeme: &Lexeme| matches!(lexeme.token, Token::Letter(_)));
    same(&form(&gold, false), &form(&prediction, letters))
}

/// `(B)`, `B.` and `b` for the choice B.
fn same_choice(gold: &str, prediction: &str) -> bool {
    let choice = |text: &str| {
        let mut letters = text.trim_start_matches('(').trim_end_matches([')', '.', ':']).chars();
        letters.next().filter(|letter| letter.is_ascii_alphabetic() && letters.next().is_none())
    };
    let Some(gold) = choice(gold).filter(|letter| ('A'..='J').contains(letter)) else { return false };
    choice(prediction).is_some_and(|letter| letter.eq_ignore_ascii_case(&gold))
}

fn same(gold: &Form, prediction: &Form) -> bool {
    match (gold, prediction) {
        (Form::Chain(gold), Form::Chain(prediction)) => same_chains(gold, prediction),
        (Form::Chain(links), other) => same_chain_and(links, other, |answer| same(answer, other)),
        (other, Form::Chain(links)) => {
            same_chain_and(links, other, |answer| same(other, answer))
                || calculated(links).is_some_and(|answer| same(other, answer))
        }
        (Form::Words { key: gold, prose }, Form::Words { key: prediction, .. }) => {
            gold == prediction || *prose && gold.to_lowercase() == prediction.to_lowercase()
        }
        (Form::Value(gold), Form::Value(prediction)) => same_values(gold, prediction),
        (Form::Ratio(gold), Form::Ratio(prediction)) => same_ratios(gold, prediction),
        (Form::Ratio(parts), Form::Value(value)) | (Form::Value(value), Form::Ratio(parts)) => is_quotient(parts, value),
        (
            Form::Bracketed { open: open_a, close: close_a, items: a },
            Form::Bracketed { open: open_b, close: close_b, items: b },
        ) => open_a == open_b && close_a == close_b && in_order(a, b),
        (Form::Matrix { kind: kind_a, rows: a }, Form::Matrix { kind: kind_b, rows: b }) => {
            kind_a == kind_b && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| in_order(a, b))
        }
        (Form::Reals, other) | (other, Form::Reals) => *other == Form::Reals || is_real_line(other),
        _ => same_collections(gold, prediction).unwrap_or_else(|| gold == prediction),
    }
}

fn in_order(gold: &[Form], prediction: &[Form]) -> bool {
    gold.len() == prediction.len() && gold.iter().zip(prediction).all(|(gold, prediction)| same(gold, prediction))
}

/// Each of either is one of the other.
fn in_any_order(gold: &[Form], prediction: &[Form]) -> bool {
    gold.iter().all(|gold| prediction.iter().any(|prediction| same(gold, prediction)))
        && prediction.iter().all(|prediction| gold.iter().any(|gold| same(gold, prediction)))
}

/// Lists, sets and unions; nothing if one of the two is none.
fn same_collections(gold: &Form, prediction: &Form) -> Option<bool> {
    if matches!(gold, Form::Union(_)) || matches!(prediction, Form::Union(_)) {
        return Some(in_any_order(intervals(gold)?, intervals(prediction)?));
    }
    let ((gold, free_a), (prediction, free_b)) = (items(gold)?, items(prediction)?);
    let named = |forms: &[Form]| forms.iter().all(|form| matches!(form, Form::Chain(links) if assigned(links).is_some()));
    if free_a || free_b || named(gold) && named(prediction) {
        return Some(in_any_order(gold, prediction));
    }
    Some(in_order(gold, prediction))
}

/// The items, and whether their order is free.
fn items(form: &Form) -> Option<(&[Form], bool)> {
    match form {
        Form::Set(items) => Some((items, true)),
        Form::List { items, unordered } => Some((items, *unordered)),
        _ => None,
    }
}

/// The parts of a union, also if it is written as inequalities with `or`.
fn intervals(form: &Form) -> Option<&[Form]> {
    match form {
        Form::Union(parts) => Some(parts),
        Form::List { items, unordered: true } if items.iter().all(|item| matches!(item, Form::Chain(_))) => Some(items),
        _ => None,
    }
}

fn is_real_line(form: &Form) -> bool {
    let Form::Bracketed { open: '(', close: ')', items } = form else { return false };
    matches!(items.as_slice(), [Form::Infinity { negative: true }, Form::Infinity { negative: false }])
}

/// What is named in `x = …`, and what it is.
fn assigned(links: &[Link]) -> Option<(&str, &Form)> {
    let equations = links.iter().all(|link| matches!(link.relation, None | Some(Relation::Equal)));
    let (first, last) = (links.first()?, links.last()?);
    if !equations {
        return None;
    }
    match (&first.name, &last.name) {
        (Some(name), _) => Some((name, &last.form)),
        (None, Some(name)) if links.len() == 2 => Some((name, &first.form)),
        _ => None,
    }
}

/// The result of `3 × 4 = 12`, if every step is right.
fn calculated(links: &[Link]) -> Option<&Form> {
    let answer = &links.last()?.form;
    let right = links.iter().all(|link| {
        matches!(link.relation, None | Some(Relation::Equal))
            && matches!(&link.form, Form::Value(value) if exact::value(&value.tree).is_some())
            && same(answer, &link.form)
    });
    right.then_some(answer)
}

/// The answer of an assignment by `is_same`, or an inequality as an interval.
fn same_chain_and(links: &[Link], other: &Form, is_same: impl Fn(&Form) -> bool) -> bool {
    if let Some((_, answer)) = assigned(links) {
        return is_same(answer);
    }
    matches!(other, Form::Bracketed { .. }) && interval(links).is_some_and(|(_, interval)| is_same(&interval))
}

fn same_chains(gold: &[Link], prediction: &[Link]) -> bool {
    if let (Some((name, gold)), Some((other, prediction))) = (assigned(gold), assigned(prediction))
        && name == other
    {
        return same(gold, prediction);
    }
    if let (Some((name, gold)), Some((other, prediction))) = (interval(gold), interval(prediction)) {
        return name == other && same(&gold, &prediction);
    }
    let (Some((relation, gold)), Some((other, prediction))) = (difference(gold), difference(prediction)) else {
        return false;
    };
    let signed = matches!(relation, Relation::Less | Relation::AtMost);
    relation == other && numeric::proportional(&gold, &prediction, signed)
}

/// The one relation, written with < or ≤, and right minus left.
fn difference(links: &[Link]) -> Option<(Relation, Tree)> {
    let [left, right] = links else { return None };
    let (Form::Value(a), Form::Value(b)) = (&left.form, &right.form) else { return None };
    let (a, b) = (a.tree.clone(), b.tree.clone());
    Some(match left.relation? {
        Relation::Greater => (Relation::Less, a.minus(b)),
        Relation::AtLeast => (Relation::AtMost, a.minus(b)),
        relation => (relation, b.minus(a)),
    })
}

/// The name and the interval of `x < 2`, `2 > x` or `1 ≤ x < 2`.
fn interval(links: &[Link]) -> Option<(&str, Form)> {
    // Turned round if need be, so that all of them rise.
    let relation = |link: &Link| link.relation;
    let rises = links.iter().filter_map(relation).all(|found| matches!(found, Relation::Less | Relation::AtMost));
    let falls = links.iter().filter_map(relation).all(|found| matches!(found, Relation::Greater | Relation::AtLeast));
    if !(rises || falls) {
        return None;
    }
    let mut sides: Vec<&Link> = links.iter().collect();
    let mut strict: Vec<bool> =
        links.iter().filter_map(relation).map(|found| matches!(found, Relation::Less | Relation::Greater)).collect();
    if falls {
        sides.reverse();
        strict.reverse();
    }
    let (low, name, high) = match sides.as_slice() {
        [one, two] if one.name.is_some() => (None, one, Some(two)),
        [one, two] if two.name.is_some() => (Some(one), two, None),
        [one, two, three] if two.name.is_some() => (Some(one), two, Some(three)),
        _ => return None,
    };
    let end = |link: Option<&&Link>, negative| link.map_or(Form::Infinity { negative }, |link| link.form.clone());
    let items = vec![end(low, true), end(high, false)];
    let open = if low.is_none() || strict.first() == Some(&true) { '(' } else { '[' };
    let close = if high.is_none() || strict.last() == Some(&true) { ')' } else { ']' };
    Some((name.name.as_deref()?, Form::Bracketed { open, close, items }))
}

/// Units have to be the same where both have one. A percentage is right as it is written and as the number that it is.
fn same_values(gold: &Value, prediction: &Value) -> bool {
    if gold.unit.is_some() && prediction.unit.is_some() && gold.unit != prediction.unit {
        return false;
    }
    if same_numbers(&gold.tree, &prediction.tree) {
        return true;
    }
    let meant = |value: &Value| if value.percent { value.tree.clone().hundredth() } else { value.tree.clone() };
    gold.percent != prediction.percent && same_numbers(&meant(gold), &meant(prediction))
}

fn same_numbers(gold: &Tree, prediction: &Tree) -> bool {
    match (exact::value(gold), exact::value(prediction)) {
        (Some(exact_gold), Some(exact_prediction)) => {
            exact_gold == exact_prediction || rounds_to(gold, &exact_gold, prediction, &exact_prediction)
        }
        _ => numeric::same(gold, prediction),
    }
}

/// Whether both are written with a point, the prediction with more places, and it rounds to the gold answer.
fn rounds_to(gold: &Tree, gold_value: &BigRational, prediction: &Tree, value: &BigRational) -> bool {
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
            [(false, Tree::Number(mantissa)), (false, Tree::Power(ten, exponent))] => {
                let is_ten = matches!(&**ten, Tree::Number(ten) if ten.raw == "10");
                let exponent = exact::value(exponent).filter(BigRational::is_integer)?.to_i32()?;
                mantissa.last_place.filter(|_| is_ten)?.checked_add(exponent)
            }
            _ => None,
        },
        _ => None,
    }
}

fn rational(form: &Form) -> Option<BigRational> {
    let Form::Value(value) = form else { return None };
    exact::value(&value.tree).filter(|number| !number.is_zero())
}

/// Part by part, or with a common factor if neither looks like a time of day.
fn same_ratios(gold: &[Form], prediction: &[Form]) -> bool {
    if in_order(gold, prediction) {
        return true;
    }
    if gold.len() != prediction.len() || is_clock(gold) || is_clock(prediction) {
        return false;
    }
    let factors: Option<Vec<BigRational>> =
        gold.iter().zip(prediction).map(|(gold, prediction)| Some(rational(gold)? / rational(prediction)?)).collect();
    factors.is_some_and(|factors| factors.windows(2).all(|pair| pair.first() == pair.last()))
}

fn is_quotient(parts: &[Form], value: &Value) -> bool {
    let [over, under] = parts else { return false };
    let quotient = rational(over).zip(rational(under)).map(|(over, under)| over / under);
    !is_clock(parts) && quotient.is_some() && quotient == exact::value(&value.tree)
}

/// `2:30`: hours, and minutes of two digits.
fn is_clock(parts: &[Form]) -> bool {
    let minutes = parts.get(1).and_then(rational).and_then(|minutes| minutes.to_u32());
    minutes.is_some_and(|minutes| (10..60).contains(&minutes))
}
