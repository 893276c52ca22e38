//! The size of R for each group, as far as the file alone tells it: |scale|·‖R‖ bounds ‖ΔW‖ / ‖W‖ (spec §8).

use tlora_basis::r_norm;
use tlora_format::{Adapter, ProjectionKind, TargetModules, Tying, groups};

use crate::plan::r_matrix;

/// Values of projections that are drawn for these numbers, at most.
const MOST_DRAWN: u64 = 1 << 24;

/// ‖R‖_F of the modules of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RNorm {
    /// No module of the group has a larger one, whatever its sizes in the base, which may clip its rank.
    Largest(f64),
    /// The root mean square over all projections that the generator may draw. Which ones it draws depends on the names of
    /// the modules, and these only the base knows.
    Expected(f64),
    /// The file alone does not tell.
    Unknown,
}

impl RNorm {
    /// The number, if there is one.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Largest(norm) | Self::Expected(norm) => Some(norm),
            Self::Unknown => None,
        }
    }
}

/// ‖R‖_F for each group.
#[must_use]
pub fn r_norms(adapter: &Adapter) -> Vec<RNorm> {
    match (&adapter.projection, &adapter.targets) {
        // torch draws by the number of a module, not by its name.
        (ProjectionKind::Torch { .. }, _) if tells_groups(adapter) && is_quick(adapter) => {
            by_module(adapter, Ranks::Clipped, |_| "")
        }
        (ProjectionKind::Standard | ProjectionKind::Explicit { shared: true, .. }, _) => {
            // The same R for all modules of a group, but for those of a smaller rank, which lose rows and columns of it.
            let rank = usize::from(adapter.rank);
            every_group(adapter, |group| {
                RNorm::Largest(r_norm(&r_matrix(adapter, 0, group, "", rank)))
            })
        }
        (ProjectionKind::Native { .. }, TargetModules::Modules(names)) if is_quick(adapter) => {
            by_module(adapter, Ranks::Clipped, |number| {
                names.get(number).map_or("", String::as_str)
            })
        }
        (ProjectionKind::Explicit { .. }, _) if tells_groups(adapter) => {
            by_module(adapter, Ranks::AsStored, |_| "")
        }
        (ProjectionKind::Explicit { .. }, _) => every_group(adapter, |_| RNorm::Unknown),
        (ProjectionKind::Native { .. } | ProjectionKind::Torch { .. }, _) => {
            every_group(adapter, |group| RNorm::Expected(expected(adapter, group)))
        }
    }
}

/// The ranks that a module may have in the base.
#[derive(Clone, Copy, PartialEq)]
enum Ranks {
    /// Its own; stored projections apply to no other.
    AsStored,
    /// Its own or, where a side is shorter, a smaller one, for which other projections are drawn.
    Clipped,
}

fn every_group(adapter: &Adapter, norm: impl Fn(u32) -> RNorm) -> Vec<RNorm> {
    (0..adapter.group_count).map(norm).collect()
}

/// Whether the group of a module does not depend on its target, which only the base shows.
fn tells_groups(adapter: &Adapter) -> bool {
    adapter.tying != Tying::Structured
}

/// Whether drawing all projections takes a moment at most: a file may ask for terabytes of them.
fn is_quick(adapter: &Adapter) -> bool {
    let (rank, u) = (u64::from(adapter.rank), u64::from(adapter.u));
    u64::from(adapter.module_count).saturating_mul(rank * rank * rank * u) <= MOST_DRAWN
}

fn by_module<'a>(adapter: &Adapter, ranks: Ranks, name: impl Fn(usize) -> &'a str) -> Vec<RNorm> {
    let count = usize::try_from(adapter.module_count).unwrap_or(usize::MAX);
    let positions = vec![0; count];
    let Ok(groups) = groups(adapter, &positions) else {
        return every_group(adapter, |_| RNorm::Unknown);
    };
    let mut largest = every_group(adapter, |_| RNorm::Largest(0.0));
    for (number, group) in groups.into_iter().enumerate() {
        let found = norm(adapter, number, group, name(number), ranks);
        if let Some(RNorm::Largest(norm)) = usize::try_from(group)
            .ok()
            .and_then(|group| largest.get_mut(group))
        {
            *norm = norm.max(found);
        }
    }
    largest
}

fn norm(adapter: &Adapter, number: usize, group: u32, name: &str, ranks: Ranks) -> f64 {
    let own = usize::from(adapter.module_rank(number));
    let smallest = if ranks == Ranks::Clipped { 1 } else { own };
    (smallest..=own)
        .map(|rank| r_norm(&r_matrix(adapter, number, group, name, rank)))
        .fold(0.0, f64::max)
}

/// Native entries have mean 0 and variance 1/r, so that E‖R‖² = r²·‖v‖²/r.
fn expected(adapter: &Adapter, group: u32) -> f64 {
    let squares = adapter.v(group).map(|v| v.map(|v| v * v).sum::<f64>());
    (f64::from(adapter.rank) * squares.unwrap_or_default()).sqrt()
}
