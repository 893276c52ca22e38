//! What v does to each module, and what the loss says back: matrices R and ∂L/∂R.

use tlora_format::Adapter;
use tlora_rebuild::AdaptedModule;

/// scale · R of every adapted module, for one v or for several that a batch may mix.
#[derive(Debug, Clone)]
pub struct Steering {
    /// Adapter by adapter, of each the modules.
    adapters: Vec<Vec<Vec<f64>>>,
    /// The same on a device, from its first use there on.
    #[cfg(feature = "cuda")]
    on_device: std::sync::Arc<std::sync::OnceLock<crate::ops::device::linear::DeviceSteering>>,
}

impl PartialEq for Steering {
    fn eq(&self, other: &Self) -> bool {
        self.adapters == other.adapters
    }
}

impl Steering {
    fn new(adapters: Vec<Vec<Vec<f64>>>) -> Self {
        Self {
            adapters,
            #[cfg(feature = "cuda")]
            on_device: std::sync::Arc::default(),
        }
    }

    /// How many adapters there are to choose from.
    #[must_use]
    pub const fn adapters(&self) -> usize {
        self.adapters.len()
    }

    /// scale · R of a module of the first adapter, rank × rank, row-major.
    pub(crate) fn matrix(&self, module: usize) -> &[f64] {
        &self.adapters[0][module]
    }

    /// scale · R of a module of every adapter.
    pub(crate) fn matrices(&self, module: usize) -> impl Iterator<Item = &[f64]> {
        self.adapters.iter().map(move |adapter| &*adapter[module])
    }

    /// Everything, adapter by adapter.
    #[cfg(feature = "cuda")]
    pub(crate) fn all(&self) -> &[Vec<Vec<f64>>] {
        &self.adapters
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn on_device(
        &self,
    ) -> &std::sync::OnceLock<crate::ops::device::linear::DeviceSteering> {
        &self.on_device
    }
}

/// ∂L/∂(scale · R) of every adapted module, summed over tokens in binary64.
#[derive(Debug, Clone, PartialEq)]
pub struct RGradient(Vec<Vec<f64>>);

impl RGradient {
    pub(crate) fn matrix_mut(&mut self, module: usize) -> &mut [f64] {
        &mut self.0[module]
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn matrices(&self) -> &[Vec<f64>] {
        &self.0
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn matrices_mut(&mut self) -> &mut [Vec<f64>] {
        &mut self.0
    }

    /// Adds another one, module by module.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            sum.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
    }
}

/// How v becomes the R of each module: the fixed projections, the scales and the groups.
///
/// The default is that of no adapter.
#[derive(Debug, Clone, Default)]
pub struct Projections {
    modules: Vec<ModuleProjections>,
    u: usize,
    groups: usize,
}

#[derive(Debug, Clone)]
struct ModuleProjections {
    rank: usize,
    group: usize,
    scale: f64,
    /// P, u · rank · rank.
    p: Vec<f64>,
    /// −1 where the column of B and the row of A are negated, else 1; B and A are kept as they are.
    signs: Vec<f64>,
}

impl Projections {
    /// The projections of an adapter's modules.
    #[must_use]
    pub fn new(adapter: &Adapter, modules: &[AdaptedModule]) -> Self {
        let one = |module: &AdaptedModule| ModuleProjections {
            rank: module.weight.rank,
            group: module.group as usize,
            scale: f64::from(module.scale),
            p: module.projections(adapter).collect(),
            signs: module
                .negated
                .iter()
                .map(|&negated| if negated { -1.0 } else { 1.0 })
                .collect(),
        };
        Self {
            modules: modules.iter().map(one).collect(),
            u: usize::from(adapter.u),
            groups: adapter.group_count as usize,
        }
    }

    /// One group of modules of one rank with these P, u · rank · rank numbers each.
    pub(crate) fn tied(u: usize, rank: usize, modules: Vec<Vec<f64>>) -> Self {
        let one = |p| ModuleProjections {
            rank,
            group: 0,
            scale: 1.0,
            p,
            signs: vec![1.0; rank],
        };
        Self {
            modules: modules.into_iter().map(one).collect(),
            u,
            groups: 1,
        }
    }

    /// How many numbers v has.
    #[must_use]
    pub const fn values(&self) -> usize {
        self.u * self.groups
    }

    /// scale · R of every module for a v of [`Self::values`] numbers, group by group.
    #[must_use]
    pub fn steering(&self, v: &[f64]) -> Steering {
        Steering::new(vec![self.matrices(v)])
    }

    /// The same for several v, at least one, the adapters 0, 1 and so on of a batch that mixes them: they share the weights and their
    /// factors, and a token is computed with its own R.
    #[must_use]
    pub fn steerings<'v>(&self, all: impl IntoIterator<Item = &'v [f64]>) -> Steering {
        Steering::new(all.into_iter().map(|v| self.matrices(v)).collect())
    }

    fn matrices(&self, v: &[f64]) -> Vec<Vec<f64>> {
        let r = |module: &ModuleProjections| {
            let v = &v[module.group * self.u..][..self.u];
            let r = tlora_basis::combine(v, module.p.iter().copied(), module.rank);
            module.signed(r)
        };
        self.modules.iter().map(r).collect()
    }

    /// No gradient yet.
    #[must_use]
    pub fn no_gradient(&self) -> RGradient {
        RGradient(
            self.modules
                .iter()
                .map(|module| vec![0.0; module.rank * module.rank])
                .collect(),
        )
    }

    /// ∂L/∂v, group by group: the inner products of P and ∂L/∂R, summed over the modules of a group in their order.
    #[must_use]
    pub fn gradient(&self, gradient: &RGradient) -> Vec<f64> {
        let mut v = vec![0.0; self.values()];
        for (module, r) in self.modules.iter().zip(&gradient.0) {
            let r = module.signed(r.clone());
            let projections = module.p.chunks_exact((module.rank * module.rank).max(1));
            for (v, p) in v[module.group * self.u..].iter_mut().zip(projections) {
                *v += p.iter().zip(&r).fold(0.0, |sum, (p, r)| sum + p * r);
            }
        }
        v
    }
}

impl ModuleProjections {
    /// scale · S·R·S, where S has the signs: linear, and its own transpose.
    fn signed(&self, mut r: Vec<f64>) -> Vec<f64> {
        for (row, sign) in r.chunks_exact_mut(self.rank.max(1)).zip(&self.signs) {
            for (r, other) in row.iter_mut().zip(&self.signs) {
                *r *= self.scale * sign * other;
            }
        }
        r
    }
}
