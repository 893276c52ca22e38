//! The checks of `tlora verify`: their stable ids, what each means, and how one can come out. docs/provenance.md has the same
//! table, which a test compares.

use std::fmt;

/// One check. Ids are never reused, and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// TL-FMT-1
    Canonical,
    /// TL-FMT-2
    Size,
    /// TL-FMT-3
    Bound,
    /// TL-FMT-4
    Seed,
    /// TL-BASE-1
    BaseDigest,
    /// TL-BASE-2
    Modules,
    /// TL-BASE-3
    Basis,
    /// TL-BASE-4
    Strength,
    /// TL-BASE-5
    ListedBase,
    /// TL-MRG-1
    Equal,
    /// TL-MRG-2
    Files,
    /// TL-MRG-3
    Effect,
    /// TL-MRG-4
    Untouched,
    /// TL-SIG-1
    Signature,
    /// TL-SIG-2
    Threshold,
    /// TL-SIG-3
    Denied,
    /// TL-CLM-1
    Provenance,
    /// TL-CLM-2
    Claims,
    /// TL-CLM-3
    Minima,
    /// TL-CLM-4
    Agreement,
    /// TL-LOCK-1
    Lock,
}

/// What a policy requires under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The file alone.
    Format,
    /// The file and its base.
    Base,
    /// The file, its base and a merged checkpoint.
    Merged,
    /// Who signed.
    Signature,
    /// What the signers say about the run.
    Provenance,
    /// What `tlora.lock` pins.
    Lock,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was checked, and holds.
    Pass,
    /// It was checked, and does not hold.
    Fail,
    /// It was not asked for.
    Skipped,
    /// It was asked for, and could not be found out.
    Inconclusive,
}

impl Check {
    /// All checks, in the order of a report.
    pub const ALL: [Self; 21] = [
        Self::Canonical,
        Self::Size,
        Self::Bound,
        Self::Seed,
        Self::BaseDigest,
        Self::Modules,
        Self::Basis,
        Self::Strength,
        Self::ListedBase,
        Self::Equal,
        Self::Files,
        Self::Effect,
        Self::Untouched,
        Self::Signature,
        Self::Threshold,
        Self::Denied,
        Self::Provenance,
        Self::Claims,
        Self::Minima,
        Self::Agreement,
        Self::Lock,
    ];

    /// The id, such as `TL-FMT-1`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.row().0
    }

    /// What holds if the check passes, in one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Canonical => (
                "TL-FMT-1",
                "the file is an adapter, in the one form that the format has for it",
            ),
            Self::Size => ("TL-FMT-2", "no more trained numbers than the policy allows"),
            Self::Bound => (
                "TL-FMT-3",
                "the file alone proves that the update is no larger than the policy allows",
            ),
            Self::Seed => (
                "TL-FMT-4",
                "the seed of the projections is one that the policy allows",
            ),
            Self::BaseDigest => (
                "TL-BASE-1",
                "the base has the digest that the adapter was made for",
            ),
            Self::Modules => (
                "TL-BASE-2",
                "the base has exactly the modules that the adapter steers, with sizes that fit",
            ),
            Self::Basis => (
                "TL-BASE-3",
                "the rebuilt basis is the one that the adapter was made with",
            ),
            Self::Strength => (
                "TL-BASE-4",
                "the update of this base is no larger than the policy allows",
            ),
            Self::ListedBase => (
                "TL-BASE-5",
                "the adapter was made for a base that the policy lists",
            ),
            Self::Equal => (
                "TL-MRG-1",
                "the adapted tensors are base + adapter, bit for bit",
            ),
            Self::Files => (
                "TL-MRG-2",
                "the merged directory has the tensors and files that a merge writes, and no others",
            ),
            Self::Effect => (
                "TL-MRG-3",
                "the merge had an effect: rounding did not undo the update",
            ),
            Self::Untouched => (
                "TL-MRG-4",
                "all other tensors are byte for byte those of the base",
            ),
            Self::Signature => ("TL-SIG-1", "a signer of the policy has signed this file"),
            Self::Threshold => (
                "TL-SIG-2",
                "as many distinct signers as the policy wants have, each within its dates",
            ),
            Self::Denied => (
                "TL-SIG-3",
                "neither the file nor a signer of it is on the policy's deny list",
            ),
            Self::Provenance => (
                "TL-CLM-1",
                "a signer of the policy has stated how the file was made (SLSA provenance v1)",
            ),
            Self::Claims => (
                "TL-CLM-2",
                "the statement makes every claim that the policy wants",
            ),
            Self::Minima => ("TL-CLM-3", "claimed results reach the minima of the policy"),
            Self::Agreement => (
                "TL-CLM-4",
                "the statement names the base and the adapter that the file has",
            ),
            Self::Lock => ("TL-LOCK-1", "the file is the one that tlora.lock pins"),
        }
    }

    /// The name under which a policy requires it.
    #[must_use]
    pub const fn group(self) -> Group {
        match self {
            Self::Canonical | Self::Size | Self::Bound | Self::Seed => Group::Format,
            Self::BaseDigest | Self::Modules | Self::Basis | Self::Strength | Self::ListedBase => {
                Group::Base
            }
            Self::Equal | Self::Files | Self::Effect | Self::Untouched => Group::Merged,
            Self::Signature | Self::Threshold | Self::Denied => Group::Signature,
            Self::Provenance | Self::Claims | Self::Minima | Self::Agreement => Group::Provenance,
            Self::Lock => Group::Lock,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Group {
    /// All groups, in the order of a report.
    pub const ALL: [Self; 6] = [
        Self::Format,
        Self::Base,
        Self::Merged,
        Self::Signature,
        Self::Provenance,
        Self::Lock,
    ];

    /// Its word in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Base => "base",
            Self::Merged => "merged",
            Self::Signature => "signature",
            Self::Provenance => "provenance",
            Self::Lock => "lock",
        }
    }

    /// The group of a word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

impl Outcome {
    /// Its word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_the_documentation_has_each_with_its_meaning() {
        let documented = include_str!("../../../docs/provenance.md");
        let ids: BTreeSet<_> = Check::ALL.map(Check::id).into();
        assert_eq!(ids.len(), Check::ALL.len());
        for check in Check::ALL {
            let row = format!(
                "| {} | {} | {} |",
                check.id(),
                check.group().name(),
                check.meaning()
            );
            assert!(documented.contains(&row), "docs/provenance.md lacks: {row}");
        }
    }

    #[test]
    fn a_group_is_found_by_its_name_only() {
        assert_eq!(Group::from_name("merged"), Some(Group::Merged));
        assert_eq!(Group::from_name("Merged"), None);
    }
}
