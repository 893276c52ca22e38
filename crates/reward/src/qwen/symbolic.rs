//! The original's `symbolic_equal`, by values instead of algebra.
//!
//! The original reads both answers with SymPy's `parse_latex`, or as Python where that fails, or leaves them text. It
//! asks whether the difference simplifies to zero, and whether two constants are within a relative 1e-4.

use std::collections::BTreeSet;

use super::equal::close;
use super::grammar::{self, Parsed};
use crate::math::numeric;
use crate::math::tree::Tree;

/// Longer answers are text.
const MAX_LENGTH: usize = 600;

/// Whether the answers are the same expression, relation, set or text.
pub(super) fn equal(prediction: &str, gold: &str) -> bool {
    match (read(prediction), read(gold)) {
        (Read::Parsed(found), Read::Parsed(wanted)) => same(&found, &wanted),
        (found, wanted) => found == wanted,
    }
}

#[derive(Debug, PartialEq)]
enum Read {
    Parsed(Parsed),
    /// A set as Python writes it.
    Set(BTreeSet<String>),
    Text(String),
}

fn read(text: &str) -> Read {
    let parsed = (text.len() <= MAX_LENGTH)
        .then(|| grammar::parse(&text.replace("\\\\", "\\")).or_else(|| grammar::parse(text)))
        .flatten();
    match (parsed, set(text)) {
        (Some(parsed), _) => Read::Parsed(parsed),
        (None, Some(set)) => Read::Set(set),
        (None, None) => Read::Text(text.to_owned()),
    }
}

fn set(text: &str) -> Option<BTreeSet<String>> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let plain =
        |character: char| character.is_ascii_alphanumeric() || ",.+-*/ ".contains(character);
    let items = || inside.split(',').map(str::trim);
    let whole = inside.chars().all(plain) && items().all(|item| !item.is_empty());
    whole.then(|| items().map(str::to_owned).collect())
}

fn same(found: &Parsed, wanted: &Parsed) -> bool {
    match (found, wanted) {
        (Parsed::Expression(found), Parsed::Expression(wanted)) => same_values(found, wanted),
        // Which relation it is does not matter to the original.
        (Parsed::Relation(left, right), Parsed::Relation(gold_left, gold_right)) => {
            let found = left.clone().minus(right.clone());
            let wanted = gold_left.clone().minus(gold_right.clone());
            numeric::same(&wanted, &found) || numeric::same(&wanted, &found.negated())
        }
        _ => false,
    }
}

fn same_values(found: &Tree, wanted: &Tree) -> bool {
    if found == wanted || numeric::same(wanted, found) {
        return true;
    }
    let constants = (is_known(found) && is_known(wanted))
        .then(|| numeric::real(found).zip(numeric::real(wanted)))
        .flatten();
    constants.is_some_and(|(found, wanted)| close(found, wanted))
}

/// Whether there are no functions in it that nothing is known about.
fn is_known(tree: &Tree) -> bool {
    match tree {
        Tree::Number(_) | Tree::Pi | Tree::Euler | Tree::Variable(_) => true,
        Tree::Sum(parts) | Tree::Product(parts) => parts.iter().all(|(_, part)| is_known(part)),
        Tree::Power(one, two) | Tree::Log(one, two) | Tree::Binomial(one, two) => {
            is_known(one) && is_known(two)
        }
        Tree::Root(_, part) | Tree::Call(_, part) => is_known(part),
        Tree::Unknown(..) => false,
    }
}
