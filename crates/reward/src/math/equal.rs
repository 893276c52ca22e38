//! Whether a prediction is the gold answer, by what both of them are.

use super::form::Form;
use super::lex::lex;
use super::read::form;
use super::relations::{assigned, calculated, same_chain_and, same_chains};
use super::token::{Lexeme, Token, has_words, key};
use super::values::{is_quotient, same_ratios, same_values};

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
    let (Some(gold), Some(prediction)) = (lex(gold, thousands), lex(prediction, thousands)) else {
        return false;
    };
    let (gold_key, prediction_key) = (key(&gold), key(&prediction));
    if gold_key.is_empty() || prediction_key.is_empty() {
        return false;
    }
    let prose = has_words(&gold) && gold_key.to_lowercase() == prediction_key.to_lowercase();
    if gold_key == prediction_key || prose || same_choice(&gold_key, &prediction_key) {
        return true;
    }
    // A letter can be a unit only where the gold answer has no letters.
    let letters = !gold
        .iter()
        .any(|lexeme: &Lexeme| matches!(lexeme.token, Token::Letter(_)));
    same(&form(&gold, false), &form(&prediction, letters))
}

/// `(B)`, `B.` and `b` for the choice B.
fn same_choice(gold: &str, prediction: &str) -> bool {
    let choice = |text: &str| {
        let mut letters = text
            .trim_start_matches('(')
            .trim_end_matches([')', '.', ':'])
            .chars();
        letters
            .next()
            .filter(|letter| letter.is_ascii_alphabetic() && letters.next().is_none())
    };
    let Some(gold) = choice(gold).filter(|letter| ('A'..='J').contains(letter)) else {
        return false;
    };
    choice(prediction).is_some_and(|letter| letter.eq_ignore_ascii_case(&gold))
}

pub(super) fn same(gold: &Form, prediction: &Form) -> bool {
    match (gold, prediction) {
        (Form::Chain(gold), Form::Chain(prediction)) => same_chains(gold, prediction),
        (Form::Chain(links), other) => same_chain_and(links, other, |answer| same(answer, other)),
        (other, Form::Chain(links)) => {
            same_chain_and(links, other, |answer| same(other, answer))
                || calculated(links).is_some_and(|answer| same(other, answer))
        }
        (Form::Words { key: gold, prose }, Form::Words { key: other, .. }) => {
            gold == other || *prose && gold.to_lowercase() == other.to_lowercase()
        }
        (Form::Value(gold), Form::Value(prediction)) => same_values(gold, prediction),
        (Form::Ratio(gold), Form::Ratio(prediction)) => same_ratios(gold, prediction),
        (Form::Ratio(parts), Form::Value(value)) | (Form::Value(value), Form::Ratio(parts)) => {
            is_quotient(parts, value)
        }
        (
            Form::Bracketed { open, close, items },
            Form::Bracketed {
                open: o,
                close: c,
                items: others,
            },
        ) => open == o && close == c && in_order(items, others),
        (
            Form::Matrix { kind, rows },
            Form::Matrix {
                kind: other,
                rows: others,
            },
        ) => {
            kind == other
                && rows.len() == others.len()
                && rows.iter().zip(others).all(|(a, b)| in_order(a, b))
        }
        (Form::Reals, other) | (other, Form::Reals) => *other == Form::Reals || is_real_line(other),
        _ => same_collections(gold, prediction).unwrap_or_else(|| gold == prediction),
    }
}

pub(super) fn in_order(gold: &[Form], prediction: &[Form]) -> bool {
    gold.len() == prediction.len()
        && gold
            .iter()
            .zip(prediction)
            .all(|(gold, prediction)| same(gold, prediction))
}

/// Each of either is one of the other.
fn in_any_order(gold: &[Form], prediction: &[Form]) -> bool {
    gold.iter()
        .all(|gold| prediction.iter().any(|prediction| same(gold, prediction)))
        && prediction
            .iter()
            .all(|prediction| gold.iter().any(|gold| same(gold, prediction)))
}

/// Lists, sets and unions; nothing if one of the two is none.
fn same_collections(gold: &Form, prediction: &Form) -> Option<bool> {
    if matches!(gold, Form::Union(_)) || matches!(prediction, Form::Union(_)) {
        return Some(in_any_order(intervals(gold)?, intervals(prediction)?));
    }
    let ((gold, free_a), (prediction, free_b)) = (items(gold)?, items(prediction)?);
    let named = |forms: &[Form]| {
        forms
            .iter()
            .all(|form| matches!(form, Form::Chain(links) if assigned(links).is_some()))
    };
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
        Form::List {
            items,
            unordered: true,
        } if items.iter().all(|item| matches!(item, Form::Chain(_))) => Some(items),
        _ => None,
    }
}

fn is_real_line(form: &Form) -> bool {
    let Form::Bracketed {
        open: '(',
        close: ')',
        items,
    } = form
    else {
        return false;
    };
    matches!(
        items.as_slice(),
        [
            Form::Infinity { negative: true },
            Form::Infinity { negative: false }
        ]
    )
}
