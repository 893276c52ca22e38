//! Equations and inequalities: what they assign, which interval they are, whether they say the same.

use super::equal::same;
use super::exact;
use super::form::{Form, Link, Relation};
use super::numeric;
use super::tree::Tree;

/// What is named in `x = …`, and what it is.
pub(super) fn assigned(links: &[Link]) -> Option<(&str, &Form)> {
    let equations = links
        .iter()
        .all(|link| matches!(link.relation, None | Some(Relation::Equal)));
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
pub(super) fn calculated(links: &[Link]) -> Option<&Form> {
    let answer = &links.last()?.form;
    let right = links.iter().all(|link| {
        matches!(link.relation, None | Some(Relation::Equal))
            && matches!(&link.form, Form::Value(value) if exact::value(&value.tree).is_some())
            && same(answer, &link.form)
    });
    right.then_some(answer)
}

/// The answer of an assignment by `is_same`, or an inequality as an interval.
pub(super) fn same_chain_and(
    links: &[Link],
    other: &Form,
    is_same: impl Fn(&Form) -> bool,
) -> bool {
    if let Some((_, answer)) = assigned(links) {
        return is_same(answer);
    }
    matches!(other, Form::Bracketed { .. })
        && interval(links).is_some_and(|(_, interval)| is_same(&interval))
}

pub(super) fn same_chains(gold: &[Link], prediction: &[Link]) -> bool {
    if let (Some((name, gold)), Some((other, prediction))) = (assigned(gold), assigned(prediction))
        && name == other
    {
        return same(gold, prediction);
    }
    if let (Some((name, gold)), Some((other, prediction))) = (interval(gold), interval(prediction))
    {
        return name == other && same(&gold, &prediction);
    }
    let (Some((relation, gold)), Some((other, prediction))) =
        (difference(gold), difference(prediction))
    else {
        return false;
    };
    let signed = matches!(relation, Relation::Less | Relation::AtMost);
    relation == other && numeric::proportional(&gold, &prediction, signed)
}

/// The one relation, written with < or ≤, and right minus left.
fn difference(links: &[Link]) -> Option<(Relation, Tree)> {
    let [left, right] = links else { return None };
    let (Form::Value(a), Form::Value(b)) = (&left.form, &right.form) else {
        return None;
    };
    let (a, b) = (a.tree.clone(), b.tree.clone());
    Some(match left.relation? {
        Relation::Greater => (Relation::Less, a.minus(b)),
        Relation::AtLeast => (Relation::AtMost, a.minus(b)),
        relation => (relation, b.minus(a)),
    })
}

/// The name and the interval of `x < 2`, `2 > x` or `1 ≤ x < 2`.
fn interval(links: &[Link]) -> Option<(&str, Form)> {
    let (sides, strict) = rising(links)?;
    let (low, name, high) = match sides.as_slice() {
        [one, two] if one.name.is_some() => (None, one, Some(two)),
        [one, two] if two.name.is_some() => (Some(one), two, None),
        [one, two, three] if two.name.is_some() => (Some(one), two, Some(three)),
        _ => return None,
    };
    let end = |link: Option<&&Link>, negative| {
        link.map_or(Form::Infinity { negative }, |link| link.form.clone())
    };
    let open = if low.is_none() || strict.first() == Some(&true) {
        '('
    } else {
        '['
    };
    let close = if high.is_none() || strict.last() == Some(&true) {
        ')'
    } else {
        ']'
    };
    let items = vec![end(low, true), end(high, false)];
    Some((
        name.name.as_deref()?,
        Form::Bracketed { open, close, items },
    ))
}

/// The sides from the lowest to the highest, and which of the relations between them exclude equality; nothing if they
/// do not all go the same way.
fn rising(links: &[Link]) -> Option<(Vec<&Link>, Vec<bool>)> {
    let relations: Vec<Relation> = links.iter().filter_map(|link| link.relation).collect();
    let rises = relations
        .iter()
        .all(|found| matches!(found, Relation::Less | Relation::AtMost));
    let falls = relations
        .iter()
        .all(|found| matches!(found, Relation::Greater | Relation::AtLeast));
    let mut sides: Vec<&Link> = links.iter().collect();
    let mut strict: Vec<bool> = relations
        .iter()
        .map(|found| matches!(found, Relation::Less | Relation::Greater))
        .collect();
    if falls {
        sides.reverse();
        strict.reverse();
    }
    (rises || falls).then_some((sides, strict))
}
