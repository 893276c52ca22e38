//! The shortest list of targets that names given modules, in their order where it matters.

use std::collections::BTreeSet;

use tlora_checkpoint::{Checkpoint, modules};
use tlora_format::{STANDARD_TARGETS, TargetModules};

/// The most targets of a list (spec R22).
const MOST: usize = 255;

/// Whether the numbers of the modules mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Groups or projections depend on it.
    Fixed,
    /// Nothing does.
    Free,
}

/// The targets, and the modules in the order that they give.
///
/// Tried are the last parts of the names, the last two, and so on; a list that selects anything else, or selects it in
/// another order, is passed over. What is left is the list of full names.
pub(crate) fn spell(
    base: &Checkpoint,
    names: &[String],
    order: Order,
) -> (TargetModules, Vec<String>) {
    let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for suffixes in candidates(names, order) {
        let targets = TargetModules::Suffixes(suffixes);
        // An error here means a target of something that is no module; the full names then have their own.
        let Ok(selected) = modules(base, &targets) else {
            continue;
        };
        let selected: Vec<String> = selected.into_iter().map(|module| module.name).collect();
        let same = match order {
            Order::Fixed => selected == names,
            Order::Free => {
                selected.len() == names.len()
                    && selected.iter().all(|name| wanted.contains(name.as_str()))
            }
        };
        if same {
            return (targets, selected);
        }
    }
    (TargetModules::Modules(names.to_vec()), names.to_vec())
}

/// Lists of targets, the shortest first.
fn candidates(names: &[String], order: Order) -> Vec<Vec<String>> {
    let mut candidates = Vec::new();
    for parts in 1..=3 {
        let mut suffixes = distinct(names.iter().map(|name| last_parts(name, parts)));
        if order == Order::Free && parts == 1 {
            let standard =
                |suffix: &String| STANDARD_TARGETS.iter().position(|target| target == suffix);
            suffixes.sort_by_key(|suffix| standard(suffix).unwrap_or(STANDARD_TARGETS.len()));
        }
        if suffixes.len() <= MOST && !overlap(&suffixes) {
            candidates.push(suffixes);
        }
    }
    candidates
}

/// Whether one is the end of another (spec R24).
fn overlap(suffixes: &[String]) -> bool {
    let ends = |suffix: &String, other: &String| {
        let before = suffix.strip_suffix(other.as_str());
        before.is_some_and(|before| before.ends_with('.'))
    };
    suffixes
        .iter()
        .any(|suffix| suffixes.iter().any(|other| ends(suffix, other)))
}

/// Each once, in the order of first occurrence.
fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items
        .filter(|&item| seen.insert(item))
        .map(str::to_owned)
        .collect()
}

/// The last `parts` parts of a name, or all of it.
fn last_parts(name: &str, parts: usize) -> &str {
    let dot = name.rmatch_indices('.').nth(parts.saturating_sub(1));
    dot.map_or(name, |(dot, _)| {
        name.get(dot.saturating_add(1)..).unwrap_or(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_last_parts_of_a_name() {
        let shown = [1, 2, 3, 9].map(|parts| last_parts("h.0.attn.c_proj", parts));
        assert_eq!(
            shown,
            ["c_proj", "attn.c_proj", "0.attn.c_proj", "h.0.attn.c_proj"]
        );
    }

    #[test]
    fn a_free_order_becomes_that_of_the_standard_targets() {
        let names = ["l.0.o_proj", "l.0.q_proj", "l.1.o_proj"].map(str::to_owned);
        assert_eq!(candidates(&names, Order::Free)[0], ["q_proj", "o_proj"]);
        assert_eq!(candidates(&names, Order::Fixed)[0], ["o_proj", "q_proj"]);
    }
}
