//! The size of R for each group, as far as the file alone tells it: |scale|·‖R‖ bounds ‖ΔW‖ / ‖W‖ (spec §8).

use tlora_basis::r_norm;
use tlora_format::{Adapter, ProjectionKind, TargetModules, groups};

use crate::plan::r_matrix;

/// ‖R‖_F of the modules of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RNorm {
    /// The largest of the group.
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
        (ProjectionKind::Torch { .. }, _) => every_group(adapter, |_| RNorm::Unknown),
        (ProjectionKind::Standard | ProjectionKind::Explicit { shared: true, .. }, _) => {
            // The same R for all modules of a group, but for those that lose rows and columns of it.
            every_group(adapter, |group| RNorm::Largest(norm(adapter, 0, group, "")))
        }
        (_, TargetModules::Modules(names)) => by_module(adapter, names),
        (ProjectionKind::Explicit { .. }, _) => every_group(adapter, |_| RNorm::Unknown),
        (ProjectionKind::Native { .. }, _) => {
            every_group(adapter, |group| RNorm::Expected(expected(adapter, group)))
        }
    }
}

fn every_group(adapter: &Adapter, norm: impl Fn(u32) -> RNorm) -> Vec<RNorm> {
    (0..adapter.group_count).map(norm).collect()
}

fn by_module(adapter: &Adapter, names: &[String]) -> Vec<RNorm> {
    let positions: Vec<usize> = (0..names.len()).collect();
    let Ok(groups) = groups(adapter, &positions) else {
        return every_group(adapter, |_| RNorm::Unknown);
    };
    let mut largest = every_group(adapter, |_| RNorm::Largest(0.0));
    for (number, (name, group)) in names.iter().zip(groups).enumerate() {
        let found = norm(adapter, number, group, name);
        if let Some(RNorm::Largest(norm)) = usize::try_from(group)
            .ok()
            .and_then(|group| largest.get_mut(group))
        {
            *norm = norm.max(found);
        }
    }
    largest
}

fn norm(adapter: &Adapter, number: usize, group: u32, name: &str) -> f64 {
    r_norm(&r_matrix(
        adapter,
        number,
        group,
        name,
        usize::from(adapter.module_rank(number)),
    ))
}

/// Native entries have mean 0 and variance 1/r, so that E‖R‖² = r²·‖v‖²/r.
fn expected(adapter: &Adapter, group: u32) -> f64 {
    let squares = adapter.v(group).map(|v| v.map(|v| v * v).sum::<f64>());
    (f64::from(adapter.rank) * squares.unwrap_or_default()).sqrt()
}
