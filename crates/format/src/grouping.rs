//! Which module is in which group: spec §5.3, and the rules by which the paper and PEFT choose the groups.

use std::num::NonZeroU32;

use crate::{Adapter, Tying};

/// The two numbers that tiled and structured tying are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// Number of groups, G.
    pub group_count: u32,
    /// Modules of a group; the last group has those that are left.
    pub n_tie: u32,
}

/// The paper's rule: ⌊N / n_tie⌋ groups, at least one, the last of which takes the rest. 196 modules with n_tie 15 are
/// 13 groups, the last of 16.
#[must_use]
pub fn paper_grouping(module_count: NonZeroU32, n_tie: NonZeroU32) -> Grouping {
    // A quotient by at least 1 never overflows.
    match module_count.get().checked_div(n_tie.get()) {
        None | Some(0 | 1) => Grouping {
            group_count: 1,
            n_tie: module_count.get(),
        },
        Some(group_count) => Grouping {
            group_count,
            n_tie: n_tie.get(),
        },
    }
}

/// PEFT's rule: the number of groups is given (at most one a module), and n_tie is ⌊N / G⌋.
#[must_use]
pub fn peft_grouping(module_count: NonZeroU32, group_count: NonZeroU32) -> Grouping {
    let group_count = group_count.min(module_count).get();
    Grouping {
        group_count,
        n_tie: module_count.get().checked_div(group_count).unwrap_or(1),
    }
}

/// A list with an entry for each module has too many or too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} modules were given; the adapter has {wanted}")]
#[non_exhaustive]
pub struct WrongModuleCount {
    /// Modules in the list.
    pub found: usize,
    /// N.
    pub wanted: u32,
}

/// The group of each module, in module order (spec §5.3). `target_positions` gives for each module the position of the
/// target that selected it ([`crate::TargetModules::position`]); only structured tying looks at it.
///
/// # Errors
/// If `target_positions` does not have one entry a module.
pub fn groups(adapter: &Adapter, target_positions: &[usize]) -> Result<Vec<u32>, WrongModuleCount> {
    let wrong = WrongModuleCount {
        found: target_positions.len(),
        wanted: adapter.module_count,
    };
    if u32::try_from(target_positions.len()) != Ok(adapter.module_count) {
        return Err(wrong);
    }
    let tiled = || (0..adapter.module_count).map(|module| run_of(adapter, module));
    Ok(match &adapter.tying {
        Tying::Tiled => tiled().collect(),
        Tying::Structured => in_target_order(target_positions, tiled()),
        Tying::Explicit(map) => map.iter().map(|&group| u32::from(group)).collect(),
    })
}

/// min(⌊number / n_tie⌋, G − 1).
fn run_of(adapter: &Adapter, number: u32) -> u32 {
    let last = adapter.group_count.saturating_sub(1);
    number
        .checked_div(adapter.n_tie)
        .map_or(0, |run| run.min(last))
}

/// Deals out groups to the modules sorted by target, then module number.
fn in_target_order(target_positions: &[usize], groups: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut order: Vec<(usize, usize)> = target_positions.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut dealt: Vec<(usize, u32)> = order
        .into_iter()
        .map(|(_, module)| module)
        .zip(groups)
        .collect();
    dealt.sort_unstable();
    dealt.into_iter().map(|(_, group)| group).collect()
}
