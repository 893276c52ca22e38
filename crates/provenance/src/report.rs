//! What a verification found: a finding for every check, and what follows from all of them.

use std::collections::BTreeMap;

use crate::{Check, Outcome, Policy};

/// How one check came out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// How it came out.
    pub outcome: Outcome,
    /// Whether it was asked for, by a policy or by what was given.
    pub required: bool,
    /// Why, in one line. It can hold text that others wrote, and begins with words of this program.
    pub message: String,
    /// Details: a name and a value each.
    pub facts: Vec<(String, String)>,
}

impl Finding {
    /// A finding; whether it is required is known when the report is complete.
    #[must_use]
    pub fn new(check: Check, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            required: false,
            message: message.into(),
            facts: Vec::new(),
        }
    }

    /// The check holds.
    #[must_use]
    pub fn pass(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Pass, message)
    }

    /// The check does not hold.
    #[must_use]
    pub fn fail(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Fail, message)
    }

    /// The check was not asked for, or another one decides.
    #[must_use]
    pub fn skipped(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, message)
    }

    /// The check could not be made.
    #[must_use]
    pub fn inconclusive(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Inconclusive, message)
    }

    /// Adds a detail.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.push((name.into(), value.to_string()));
        self
    }
}

/// What follows from all findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was asked for holds.
    Pass,
    /// Something does not hold.
    Fail,
    /// Nothing failed, and something that was asked for could not be found out.
    Inconclusive,
}

impl Verdict {
    /// Its word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// SHA-256 of the adapter's file, 64 hexadecimal digits; none if it has more bytes than an adapter, which were not read.
    pub sha256: Option<String>,
    /// The bytes that were read.
    pub bytes: usize,
    /// SHA-256 of the policy file, if there is one.
    pub policy: Option<String>,
    /// The names of the policy's signers whose signatures count.
    pub signers: Vec<String>,
    /// One finding a check, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Puts a finding for every check together. A check that nothing was found for is skipped; if the policy requires it, it
    /// is inconclusive, and so is one that was skipped though it is required.
    pub(crate) fn complete(
        sha256: Option<String>,
        bytes: usize,
        policy: Option<&Policy>,
        signers: Vec<String>,
        findings: Vec<Finding>,
    ) -> Self {
        let mut found: BTreeMap<Check, Finding> = findings
            .into_iter()
            .map(|finding| (finding.check, finding))
            .collect();
        let finding = |check: Check| {
            let required = check.is_required(policy);
            let mut finding = found
                .remove(&check)
                .unwrap_or_else(|| Finding::skipped(check, check.not_asked_for(required)));
            finding.required = required || finding.outcome != Outcome::Skipped;
            if required && finding.outcome == Outcome::Skipped {
                finding.outcome = Outcome::Inconclusive;
            }
            finding
        };
        Self {
            sha256,
            bytes,
            policy: policy.map(|policy| policy.sha256.clone()),
            signers,
            findings: Check::ALL.into_iter().map(finding).collect(),
        }
    }

    /// What follows from the findings.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |outcome| {
            self.findings
                .iter()
                .any(|finding| finding.outcome == outcome)
        };
        if any(Outcome::Fail) {
            Verdict::Fail
        } else if any(Outcome::Inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Pass
        }
    }

    /// How many checks came out like this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.outcome == outcome)
            .count()
    }

    /// The finding of a check.
    #[must_use]
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

impl Check {
    /// Whether a policy asks for this check. Without a policy only the form of the file is asked for.
    #[must_use]
    pub fn is_required(self, policy: Option<&Policy>) -> bool {
        let Some(policy) = policy else {
            return self == Self::Canonical;
        };
        match self {
            Self::Canonical => true,
            Self::Size => policy.limits.max_params.is_some(),
            // One of the two bounds the update; what the file alone does not prove the base decides.
            Self::Bound => policy.limits.max_delta_ratio.is_some(),
            Self::Strength => false,
            Self::Seed => policy.limits.seed == crate::SeedRule::Canonical,
            Self::ListedBase => !policy.bases.is_empty(),
            Self::Denied => !policy.deny.is_empty(),
            Self::Claims => !policy.claims.required.is_empty(),
            Self::Minima => !policy.claims.min.is_empty(),
            // A statement need not name the base, unless a claim says so.
            Self::Agreement => false,
            _ => policy.requires(self.group()),
        }
    }

    /// Why nothing was found for a check.
    const fn not_asked_for(self, required: bool) -> &'static str {
        match (self.group(), required) {
            (crate::Group::Base, true) => "the policy requires it; give --base",
            (crate::Group::Merged, true) => "the policy requires it; give --base and --merged",
            (crate::Group::Lock, true) => "the policy requires it; give --lock",
            (crate::Group::Base, false) => "no --base",
            (crate::Group::Merged, false) => "no --merged",
            (crate::Group::Lock, false) => "no --lock",
            _ => "not asked for",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        Report::complete(None, 0, None, Vec::new(), findings)
    }

    #[test]
    fn one_failure_outweighs_everything_else() {
        let findings = vec![
            Finding::pass(Check::Canonical, ""),
            Finding::inconclusive(Check::BaseDigest, ""),
            Finding::fail(Check::Files, ""),
        ];
        assert_eq!(report(findings).verdict(), Verdict::Fail);
    }

    #[test]
    fn what_could_not_be_found_out_is_no_pass() {
        let findings = vec![
            Finding::pass(Check::Canonical, ""),
            Finding::inconclusive(Check::BaseDigest, ""),
        ];
        assert_eq!(report(findings).verdict(), Verdict::Inconclusive);
        // The form of the file is always asked for.
        assert_eq!(report(Vec::new()).verdict(), Verdict::Inconclusive);
    }

    #[test]
    fn every_check_is_reported_once_and_in_order() {
        let report = report(vec![
            Finding::pass(Check::Lock, ""),
            Finding::pass(Check::Canonical, ""),
        ]);
        let checks: Vec<_> = report
            .findings
            .iter()
            .map(|finding| finding.check)
            .collect();
        assert_eq!(checks, Check::ALL);
        assert_eq!(
            (report.count(Outcome::Pass), report.count(Outcome::Skipped)),
            (2, 19)
        );
    }
}
