//! The checks that need the weights: of the base, and of what should be base + adapter.

use std::path::{Path, PathBuf};

use tlora_checkpoint::{Checkpoint, CheckpointError};
use tlora_format::{Adapter, BaseDigest};
use tlora_merge::{Agreement, Compared, MergeError, Strengths, compare, measure};
use tlora_provenance::{Check, Finding, Policy};
use tlora_rebuild::RebuildError;

use crate::base;
use crate::environment::{Environment, warn_about};
use crate::exit::Exit;
use crate::explain::Subject;
use crate::failure::Failure;

/// Differing tensors and files that are listed; the rest is counted.
const LISTED: usize = 8;

/// Where the weights are.
pub(super) struct Weights<'a> {
    pub(super) base: &'a str,
    pub(super) merged: Option<&'a Path>,
    /// The adapter's file, for messages.
    pub(super) file: &'a PathBuf,
}

/// The checks that need the base, and those that need the merged checkpoint too.
const OF_BASE: [Check; 4] = [
    Check::BaseDigest,
    Check::Modules,
    Check::Basis,
    Check::Strength,
];
const OF_MERGED: [Check; 4] = [Check::Equal, Check::Files, Check::Effect, Check::Untouched];

impl Weights<'_> {
    /// What the base and the merged checkpoint say; of every check that they were given for.
    pub(super) fn findings(
        &self,
        adapter: &Adapter,
        policy: Option<&Policy>,
        environment: &Environment,
    ) -> Result<Vec<Finding>, Failure> {
        let mut findings = self.reached(adapter, policy, environment)?;
        let merged = OF_MERGED.into_iter().filter(|_| self.merged.is_some());
        for check in OF_BASE.into_iter().chain(merged) {
            if !findings.iter().any(|finding| finding.check == check) {
                let message = "not reached, since another check did not pass";
                findings.push(Finding::skipped(check, message));
            }
        }
        Ok(findings)
    }

    /// The findings up to the first check that makes the others impossible.
    fn reached(
        &self,
        adapter: &Adapter,
        policy: Option<&Policy>,
        environment: &Environment,
    ) -> Result<Vec<Finding>, Failure> {
        let checkpoint = match base::open(self.base, &environment.bar) {
            Ok(checkpoint) => checkpoint,
            Err(failure) => return Ok(vec![failure.into_finding(Check::BaseDigest)?]),
        };
        let merged = match self.merged.map(|path| self.open_merged(path)).transpose()? {
            Some(Ok(merged)) => Some(merged),
            Some(Err(finding)) => return Ok(vec![finding]),
            None => None,
        };
        let (found, equivalent) = match apply(&checkpoint, adapter, merged.as_ref(), environment) {
            Err(MergeError::Rebuild(RebuildError::WrongBase { found, .. }))
                if is_equivalent(policy, adapter, &found) =>
            {
                // The policy vouches for this being the same model, stored differently.
                (
                    apply(
                        &checkpoint,
                        &rebased(adapter, found)?,
                        merged.as_ref(),
                        environment,
                    ),
                    true,
                )
            }
            other => (other, false),
        };
        match found {
            Ok(applied) => Ok(self.applied(&applied, policy, equivalent)),
            Err(error) => self.refused(error),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            base: self.base,
            adapters: std::slice::from_ref(self.file),
        }
    }

    fn open_merged(&self, path: &Path) -> Result<Result<Checkpoint, Finding>, Failure> {
        let shown = path.display().to_string();
        match Checkpoint::open(path) {
            Ok(merged) => Ok(Ok(merged)),
            Err(error) => {
                let subject = Subject {
                    base: &shown,
                    adapters: &[],
                };
                subject
                    .checkpoint(error)
                    .into_finding(Check::Equal)
                    .map(Err)
            }
        }
    }

    fn applied(
        &self,
        applied: &Applied,
        policy: Option<&Policy>,
        equivalent: bool,
    ) -> Vec<Finding> {
        let digest = if equivalent {
            "another digest than the adapter's base, which the policy lists as the same model"
        } else {
            Check::BaseDigest.meaning()
        };
        let mut findings = vec![
            Finding::pass(Check::BaseDigest, digest),
            Finding::pass(
                Check::Modules,
                format!("all {} modules", applied.strengths().total.modules),
            ),
            Finding::pass(Check::Basis, Check::Basis.meaning()),
            strength(applied.strengths(), policy),
        ];
        if let Applied::Compared(compared) = applied {
            findings.extend(merged(compared));
        }
        findings
    }

    /// What an error means for the checks. One that is about this machine is none of a check.
    fn refused(&self, error: MergeError) -> Result<Vec<Finding>, Failure> {
        use RebuildError as R;
        let MergeError::Rebuild(rebuild) = error else {
            return Err(self.subject().explain(error));
        };
        let (passed, check): (&[Check], Check) = match &rebuild {
            R::WrongBase { .. } => (&[], Check::BaseDigest),
            R::Modules { .. } => (&[Check::BaseDigest], Check::Modules),
            R::BasisCheck { .. } => (&[Check::BaseDigest, Check::Modules], Check::Basis),
            R::Checkpoint(CheckpointError::Changed(_)) => {
                return Err(self.subject().rebuild(rebuild));
            }
            R::Checkpoint(CheckpointError::Module(_)) => (&[], Check::Modules),
            R::Checkpoint(_) => (&[], Check::BaseDigest),
            R::Numeric { .. } if self.merged.is_some() && rebuild.is_not_representable() => {
                (&[], Check::Equal)
            }
            _ => (&[], Check::Basis),
        };
        let pass = |check: &Check| Finding::pass(*check, check.meaning());
        let mut findings: Vec<Finding> = passed.iter().map(pass).collect();
        findings.push(self.subject().rebuild(rebuild).into_finding(check)?);
        Ok(findings)
    }
}

/// The adapter, applied to its base.
enum Applied {
    Measured(Strengths),
    Compared(Box<Compared>),
}

impl Applied {
    const fn strengths(&self) -> &Strengths {
        match self {
            Self::Measured(strengths) => strengths,
            Self::Compared(compared) => &compared.strengths,
        }
    }
}

fn apply(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    merged: Option<&Checkpoint>,
    environment: &Environment,
) -> Result<Applied, MergeError> {
    let run = environment.run();
    if let Some(merged) = merged {
        let compared = compare(checkpoint, std::slice::from_ref(adapter), merged, &run)?;
        warn_about(&compared.notes);
        return Ok(Applied::Compared(Box::new(compared)));
    }
    let measured = measure(checkpoint, adapter, &run)?;
    warn_about(&measured.notes);
    // The size of the update does not depend on the type, and f32 holds all.
    let strengths = measured.by_dtype.into_iter().flatten().next_back();
    Ok(Applied::Measured(strengths.unwrap_or_default()))
}

fn is_equivalent(policy: Option<&Policy>, adapter: &Adapter, found: &BaseDigest) -> bool {
    policy.is_some_and(|policy| {
        policy
            .equivalents(&adapter.base)
            .iter()
            .any(|base| base.tmd1 == *found)
    })
}

/// The same adapter for another base. Its basis check still tells whether its weights are the same.
fn rebased(adapter: &Adapter, base: BaseDigest) -> Result<Adapter, Failure> {
    let mut fields = adapter.clone().into_fields();
    fields.base = base;
    Adapter::new(fields).map_err(|error| {
        Failure::unknown("the adapter cannot be applied to the equivalent base").caused_by(error)
    })
}

/// TL-BASE-4.
fn strength(strengths: &Strengths, policy: Option<&Policy>) -> Finding {
    let check = Check::Strength;
    let Some((module, largest)) = &strengths.largest else {
        return Finding::inconclusive(check, "the update could not be measured");
    };
    let most = policy.and_then(|policy| policy.limits.max_delta_ratio);
    let limit = most.map_or_else(
        || "no limit".to_owned(),
        |most| format!("the policy allows {most}"),
    );
    let message = format!("‖ΔW‖ / ‖W‖ is at most {largest:.4}, in {module}; {limit}");
    // A ratio that is no number is within no limit.
    if most.is_none_or(|most| *largest <= most) {
        Finding::pass(check, message)
    } else {
        Finding::fail(check, message)
    }
}

/// TL-MRG-1 to TL-MRG-4.
fn merged(compared: &Compared) -> [Finding; 4] {
    [
        equal(compared),
        files(compared),
        effect(compared),
        untouched(&compared.untouched),
    ]
}

fn equal(compared: &Compared) -> Finding {
    let check = Check::Equal;
    let Agreement {
        compared: count,
        differing,
    } = &compared.adapted;
    match differing.first() {
        None if *count == 0 => Finding::fail(
            check,
            "none of the adapted tensors is there as a merge writes it",
        ),
        None => Finding::pass(
            check,
            format!("{count} adapted tensors are base + adapter, bit for bit"),
        )
        .fact("merged digest", compared.merged),
        Some(first) => {
            let how = compared
                .how
                .map_or_else(String::new, |how| format!(": {how}"));
            let message = format!(
                "{} of {count} adapted tensors differ; the first is {first}{how}",
                differing.len()
            );
            listed(
                Finding::fail(check, message),
                differing.iter().map(|name| ("differs", name.clone())),
            )
        }
    }
}

fn files(compared: &Compared) -> Finding {
    let check = Check::Files;
    let tensors = compared.layout.iter().map(|fault| {
        let what = match (&fault.expected, &fault.found) {
            (Some(expected), Some(found)) => {
                format!("{}: {found}, expected {expected}", fault.name)
            }
            (Some(_), None) => format!("{}: missing", fault.name),
            (None, _) => format!("{}: unexpected", fault.name),
        };
        ("tensor", what)
    });
    let files = compared
        .files
        .iter()
        .map(|file| ("file", format!("{}: {}", file.name, file.fault)));
    let count = compared.layout.len() + compared.files.len();
    if count == 0 {
        return Finding::pass(check, check.meaning());
    }
    let first = tensors
        .clone()
        .chain(files.clone())
        .next()
        .map_or_else(String::new, |(kind, what)| format!("{kind} {what}"));
    let message = format!(
        "tensors and files that are not as a merge writes them: {count}; the first is {first}"
    );
    listed(Finding::fail(check, message), tensors.chain(files))
}

fn effect(compared: &Compared) -> Finding {
    let check = Check::Effect;
    let (changed, count) = (compared.changed, compared.adapted.compared);
    match compared.strengths.total.kept_fraction() {
        None => Finding::fail(check, "the update is zero, so there is nothing to merge"),
        Some(_) if changed == 0 => {
            Finding::fail(check, "no adapted tensor differs from that of the base")
        }
        Some(kept) if kept <= 0.0 => Finding::fail(check, "rounding undid the whole update"),
        Some(kept) => Finding::pass(
            check,
            format!(
                "{changed} of {count} adapted tensors differ from those of the base; rounding kept {kept:.3} of the update"
            ),
        ),
    }
}

fn untouched(agreement: &Agreement) -> Finding {
    let check = Check::Untouched;
    let Agreement {
        compared,
        differing,
    } = agreement;
    match differing.first() {
        None => Finding::pass(
            check,
            format!("{compared} other tensors are those of the base"),
        ),
        Some(first) => {
            let message = format!(
                "{} of {compared} other tensors differ from those of the base; the first is {first}",
                differing.len()
            );
            listed(
                Finding::fail(check, message),
                differing.iter().map(|name| ("differs", name.clone())),
            )
        }
    }
}

/// Adds the first of several details, and the number of the others.
fn listed(mut finding: Finding, facts: impl Iterator<Item = (&'static str, String)>) -> Finding {
    let mut more = 0_usize;
    for (number, (name, value)) in facts.enumerate() {
        if number < LISTED {
            finding = finding.fact(name, value);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        finding.fact("and others", more)
    } else {
        finding
    }
}

impl Failure {
    /// The failure as the outcome of a check: it failed if the answer is no, and is inconclusive if the adapter or the
    /// base is of a kind that this program cannot judge.
    ///
    /// # Errors
    /// The failure itself, if it is about the command line or the machine.
    fn into_finding(self, check: Check) -> Result<Finding, Self> {
        if self.exit() != Exit::No {
            return Err(self);
        }
        let (message, facts) = self.into_parts();
        let finding = Finding::fail(check, message);
        Ok(facts
            .into_iter()
            .fold(finding, |finding, (name, value)| finding.fact(name, value)))
    }
}
