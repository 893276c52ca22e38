//! Where the projections of a TinyLoRA adapter come from, and what order of the modules they show.

use std::collections::BTreeMap;

use tlora_basis::{torch_projections, torch_seed};
use tlora_format::{Precision, ProjectionKind, Rounding, SeedRule};
use tlora_rebuild::ModuleWeight;

use crate::draws::{self, Agreement, Stored};
use crate::spelling::Order;
use crate::values::fits;

/// The stored projections, by the name of the module in the base; empty if they are not in the file.
pub(crate) type StoredProjections = BTreeMap<String, Vec<f64>>;

/// The modules in the order of their numbers, and their projections.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbering {
    /// Names in the base.
    pub(crate) names: Vec<String>,
    /// Whether anything depends on this order.
    pub(crate) order: Order,
    pub(crate) draws: Draws,
}

/// How to get the projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draws {
    /// From torch's generator.
    Torch {
        seed: u64,
        rule: SeedRule,
        rounding: Rounding,
    },
    /// They are the source's own, which no seed is known for.
    Stored,
}

/// What is known before the projections are looked at.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// The rank of each module, by its name in the base.
    pub(crate) modules: BTreeMap<&'a str, usize>,
    /// The order of `named_modules()`, if the family is known.
    pub(crate) expected: Option<Vec<String>>,
    /// The `projection_seed` of the settings.
    pub(crate) seed: u64,
    /// Number of groups.
    pub(crate) group_count: u32,
    /// One more than the largest number that a module of the base can have.
    pub(crate) limit: u64,
}

/// Finds the seed and the order; none if the order is needed and nothing shows it.
pub(crate) fn recover(known: &Known<'_>, stored: &StoredProjections) -> Option<Numbering> {
    let rounding = draws::rounding(stored.values().map(Vec::as_slice));
    let of = |name: &str| {
        let &rank = known.modules.get(name)?;
        let values = stored.get(name)?;
        Some(Stored { rank, values })
    };
    let all = |names: &[String]| {
        names
            .iter()
            .map(|name| of(name))
            .collect::<Option<Vec<_>>>()
    };
    let torch = |seed, rule| Draws::Torch {
        seed,
        rule,
        rounding,
    };
    if let Some(names) = &known.expected {
        let agreed = numbered_agreement(&all(names)?, known.seed, rounding);
        if agreed > Agreement::None {
            let draws = if agreed == Agreement::Exact {
                torch(known.seed, SeedRule::PerModule)
            } else {
                Draws::Stored
            };
            return Some(Numbering {
                names: names.clone(),
                order: Order::Fixed,
                draws,
            });
        }
    }
    let names: Vec<String> = known.modules.keys().map(|&name| name.to_owned()).collect();
    let unordered = all(&names)?;
    if let Some(seed) = draws::shared_seed(&unordered, known.seed, rounding) {
        return in_expected_order(known, names, torch(seed, SeedRule::Shared));
    }
    if let Some((numbers, agreed)) = draws::numbers(&unordered, known.seed, known.limit, rounding) {
        let mut order: Vec<(u64, String)> =
            numbers.into_iter().zip(names.iter().cloned()).collect();
        order.sort_unstable();
        let first = order.first().map_or(0, |&(number, _)| number);
        if (first..)
            .zip(&order)
            .all(|(wanted, &(number, _))| wanted == number)
        {
            let seed = known.seed.wrapping_add(first);
            let draws = if agreed == Agreement::Exact {
                torch(seed, SeedRule::PerModule)
            } else {
                Draws::Stored
            };
            let names = order.into_iter().map(|(_, name)| name).collect();
            return Some(Numbering {
                names,
                order: Order::Fixed,
                draws,
            });
        }
    }
    in_expected_order(known, names, Draws::Stored)
}

/// Projections that do not show the order: it is the family's, or does not matter to a single group.
fn in_expected_order(known: &Known<'_>, names: Vec<String>, draws: Draws) -> Option<Numbering> {
    if known.group_count == 1 {
        return Some(Numbering {
            names,
            order: Order::Free,
            draws,
        });
    }
    let names = known.expected.clone()?;
    Some(Numbering {
        names,
        order: Order::Fixed,
        draws,
    })
}

fn numbered_agreement(stored: &[Stored<'_>], seed: u64, rounding: Rounding) -> Agreement {
    let each = (0..)
        .zip(stored)
        .map(|(number, &stored)| draws::agreement(stored, seed.wrapping_add(number), rounding));
    each.min().unwrap_or(Agreement::None)
}

impl Draws {
    /// The projections of a module, u · rank · rank values.
    pub(crate) fn of_module(
        self,
        number: u32,
        weight: &ModuleWeight,
        u: usize,
        stored: &StoredProjections,
    ) -> Vec<f64> {
        match self {
            Self::Torch {
                seed,
                rule,
                rounding,
            } => {
                let own = torch_seed(seed, rule, number as usize);
                torch_projections(own, u, weight.rank, rounding).collect()
            }
            Self::Stored => stored.get(&weight.name).cloned().unwrap_or_default(),
        }
    }

    /// What the file says, for modules in this order.
    pub(crate) fn kind(self, names: &[String], stored: &StoredProjections) -> ProjectionKind {
        match self {
            Self::Torch {
                seed,
                rule,
                rounding,
            } => ProjectionKind::Torch {
                seed,
                seed_rule: rule,
                rounding,
            },
            Self::Stored => explicit(names, stored),
        }
    }
}

/// The values themselves, in the narrowest type that holds them, and once if they are all equal.
fn explicit(names: &[String], stored: &StoredProjections) -> ProjectionKind {
    let each = || names.iter().filter_map(|name| stored.get(name));
    let precision = [Precision::Bf16, Precision::F16]
        .into_iter()
        .find(|&precision| each().all(|values| fits(values, precision)))
        .unwrap_or(Precision::F32);
    let shared = each().zip(each().skip(1)).all(|(one, next)| one == next);
    let values = each().take(if shared { 1 } else { usize::MAX }).flatten();
    ProjectionKind::Explicit {
        precision,
        shared,
        values: values.map(|&value| precision.round(value)).collect(),
    }
}
