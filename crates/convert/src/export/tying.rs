//! How PEFT groups modules: `weight_tying`, and vectors numbered by group.

use std::collections::BTreeSet;

use super::ExportedTying;
use crate::tying::group_count;

/// PEFT's groups for an adapter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PeftTying {
    pub(super) weight_tying: f64,
    /// The adapter's group whose v is each of PEFT's vectors.
    pub(super) vectors: Vec<u32>,
    as_in_adapter: bool,
}

impl PeftTying {
    /// From the group of each module, in PEFT's order.
    ///
    /// PEFT makes max(1, round(N · (1 − weight_tying))) groups of ⌊N / groups⌋ neighbours, the last of which has the rest.
    /// What is not of that form is untied.
    pub(super) fn new(groups: &[u32]) -> Self {
        let mut seen = BTreeSet::new();
        let first = groups.iter().copied().filter(|&group| seen.insert(group));
        let vectors: Vec<u32> = first.collect();
        let (count, modules) = (vectors.len().max(1), groups.len());
        let size = modules.checked_div(count).unwrap_or(0).max(1);
        let of = |module: usize| vectors.get((module / size).min(count - 1));
        let tiled = (0..)
            .zip(groups)
            .all(|(module, group)| of(module) == Some(group));
        match weight_tying(modules, count).filter(|_| tiled) {
            Some(weight_tying) => Self {
                weight_tying,
                vectors,
                as_in_adapter: true,
            },
            None => Self {
                weight_tying: 0.0,
                vectors: groups.to_vec(),
                as_in_adapter: false,
            },
        }
    }

    pub(super) const fn exported(&self) -> ExportedTying {
        ExportedTying {
            weight_tying: self.weight_tying,
            vectors: self.vectors.len(),
            as_in_adapter: self.as_in_adapter,
        }
    }
}

/// A ratio that PEFT makes `groups` groups of.
fn weight_tying(modules: usize, groups: usize) -> Option<f64> {
    let (modules, groups) = (u32::try_from(modules).ok()?, u32::try_from(groups).ok()?);
    let ratio = match groups {
        1 => 1.0,
        _ => 1.0 - f64::from(groups) / f64::from(modules),
    };
    (group_count(modules, ratio) == groups).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups as PEFT's `_create_and_replace` computes them.
    fn peft(modules: u32, weight_tying: f64) -> Vec<u32> {
        let groups = group_count(modules, weight_tying);
        let size = (modules / groups).max(1);
        (0..modules)
            .map(|module| (module / size).min(groups - 1))
            .collect()
    }

    #[test]
    fn every_number_of_groups_has_a_ratio() {
        for modules in 1..=300 {
            for groups in 1..=modules {
                let size = modules / groups;
                let wanted: Vec<u32> = (0..modules)
                    .map(|module| (module / size).min(groups - 1))
                    .collect();
                let tying = PeftTying::new(&wanted);
                assert!(tying.as_in_adapter, "{groups} of {modules}");
                assert_eq!(peft(modules, tying.weight_tying), wanted);
            }
        }
    }

    #[test]
    fn groups_may_have_other_numbers() {
        let tying = PeftTying::new(&[2, 2, 0, 0, 1, 1, 1]);
        assert!(tying.as_in_adapter);
        assert_eq!(tying.vectors, [2, 0, 1]);
    }

    #[test]
    fn what_is_not_tiled_is_untied() {
        // Structured, and tiled with a last group that is short.
        for groups in [
            [0, 1, 0, 1].as_slice(),
            &[0, 0, 0, 1],
            &[0, 0, 0, 1, 1, 1, 2],
        ] {
            let tying = PeftTying::new(groups);
            assert!(!tying.as_in_adapter);
            assert_eq!(
                (tying.weight_tying, tying.vectors.as_slice()),
                (0.0, groups)
            );
        }
    }
}
