//! How large an update is, and how much of it the rounding to the output dtype keeps.

use std::ops::AddAssign;

use tlora_basis::MergeStatistics;

/// Sums over the elements of one or more modules.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Strength {
    /// How many modules these are.
    pub modules: u64,
    weight_squared: f64,
    delta_squared: f64,
    kept: f64,
}

impl Strength {
    /// Of one module.
    #[must_use]
    pub const fn of_module(sums: &MergeStatistics) -> Self {
        let &MergeStatistics {
            weight_squared,
            delta_squared,
            kept,
            ..
        } = sums;
        Self {
            modules: 1,
            weight_squared,
            delta_squared,
            kept,
        }
    }

    /// ‖ΔW‖_F as asked for, before rounding.
    #[must_use]
    pub fn nominal(&self) -> f64 {
        self.delta_squared.sqrt()
    }

    /// ‖ΔW‖_F / ‖W‖_F; 0 for a weight of zeros.
    #[must_use]
    pub fn relative(&self) -> f64 {
        if self.weight_squared > 0.0 {
            (self.delta_squared / self.weight_squared).sqrt()
        } else {
            0.0
        }
    }

    /// ⟨round(W + ΔW) − W, ΔW⟩ / ⟨ΔW, ΔW⟩: 1 if the rounding changes nothing, 0 if it undoes the update. There is none
    /// where ΔW is zero.
    #[must_use]
    pub fn kept_fraction(&self) -> Option<f64> {
        (self.delta_squared > 0.0).then(|| self.kept / self.delta_squared)
    }

    /// The part of ‖ΔW‖_F that is left along ΔW after rounding.
    #[must_use]
    pub fn kept(&self) -> f64 {
        self.kept_fraction()
            .map_or(0.0, |fraction| fraction * self.nominal())
    }
}

impl AddAssign for Strength {
    fn add_assign(&mut self, other: Self) {
        self.modules += other.modules;
        self.weight_squared += other.weight_squared;
        self.delta_squared += other.delta_squared;
        self.kept += other.kept;
    }
}

/// The strength of an update for each type of module, and in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strengths {
    /// By the last part of the module's name (`q_proj`), in the order in which the types first occur.
    pub by_type: Vec<(String, Strength)>,
    /// Over all modules.
    pub total: Strength,
    /// The module with the largest ‖ΔW‖ / ‖W‖, and that number; the first of several.
    pub largest: Option<(String, f64)>,
}

impl Strengths {
    /// Sums up modules, given by name in module order, so that the sums do not depend on who computed them when.
    pub fn sum<'a>(modules: impl IntoIterator<Item = (&'a str, Strength)>) -> Self {
        let mut strengths = Self::default();
        for (name, strength) in modules {
            let kind = module_type(name);
            let relative = strength.relative();
            // What is no number is larger than any: a limit on it must not hold.
            let is_larger = |(_, largest): &(String, f64)| relative > *largest || relative.is_nan();
            if strengths.largest.as_ref().is_none_or(is_larger) {
                strengths.largest = Some((name.to_owned(), relative));
            }
            strengths.total += strength;
            match strengths
                .by_type
                .iter_mut()
                .find(|(known, _)| known == kind)
            {
                Some((_, sum)) => *sum += strength,
                None => strengths.by_type.push((kind.to_owned(), strength)),
            }
        }
        strengths
    }
}

/// The last part of a module's name.
pub(crate) fn module_type(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength(weight_squared: f64, delta_squared: f64, kept: f64) -> Strength {
        Strength {
            modules: 1,
            weight_squared,
            delta_squared,
            kept,
        }
    }

    #[test]
    fn sums_by_type_in_the_order_of_first_occurrence() {
        let modules = [
            ("l.0.q", strength(4.0, 1.0, 0.5)),
            ("l.0.down", strength(1.0, 0.0, 0.0)),
            ("l.1.q", strength(12.0, 3.0, 2.5)),
        ];
        let sums = Strengths::sum(modules);
        let types: Vec<_> = sums
            .by_type
            .iter()
            .map(|(name, s)| (name.as_str(), s.modules, s.nominal()))
            .collect();
        assert_eq!(types, [("q", 2, 2.0), ("down", 1, 0.0)]);
        assert_eq!(sums.by_type[0].1.relative(), 0.5);
        assert_eq!(sums.by_type[0].1.kept_fraction(), Some(0.75));
        assert_eq!(sums.total.modules, 3);
        assert_eq!(sums.largest, Some(("l.0.q".to_owned(), 0.5)));
    }

    #[test]
    fn a_zero_update_has_no_kept_fraction() {
        assert_eq!(strength(4.0, 0.0, 0.0).kept_fraction(), None);
        assert_eq!(strength(0.0, 0.0, 0.0).relative(), 0.0);
    }
}
