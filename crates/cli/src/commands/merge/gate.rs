//! `tlora merge --policy`: what the policy says about the adapters, before anything of the base is read.

use std::path::Path;
use std::time::SystemTime;

use tlora_format::Adapter;
use tlora_merge::{Approval, ApprovalRecord};
use tlora_provenance::{Check, Date, Evidence, Finding, Group, Outcome, Policy, Report, verify};

use crate::arguments::MergeOptions;
use crate::commands::verify::{AdapterFile, LockFile, Trust};
use crate::exit::Exit;
use crate::explain::not_an_adapter;
use crate::failure::Failure;

/// Reads the adapters, once, and judges them.
pub(super) fn approve(
    options: &MergeOptions,
    path: &Path,
) -> Result<(Vec<Adapter>, Approval), Failure> {
    let trust = Trust::read(&options.trust)?;
    let Some(policy) = &trust.policy else {
        return Err(Failure::unknown("there is no policy"));
    };
    let lock = options.lock.as_deref().map(LockFile::read).transpose()?;
    let (mut adapters, mut signers) = (Vec::new(), Vec::new());
    for file in &options.adapters {
        let (adapter, report) = judge(&trust, policy, lock.as_ref(), file)?;
        refuse(&report, file, path)?;
        adapters.push(adapter);
        signers.push(report.signers);
    }
    let record = ApprovalRecord {
        sha256: policy.sha256.clone(),
        signers,
    };
    Ok((
        adapters,
        Approval {
            record,
            max_delta_ratio: policy.limits.max_delta_ratio,
        },
    ))
}

fn judge(
    trust: &Trust,
    policy: &Policy,
    lock: Option<&LockFile>,
    file: &Path,
) -> Result<(Adapter, Report), Failure> {
    let AdapterFile {
        bytes,
        whole,
        adapter,
    } = AdapterFile::read(file)?;
    let bundles = trust.bundles(file)?;
    let pinned_as = lock.map(|lock| lock.path_of(file)).transpose()?;
    let report = verify(Evidence {
        bytes: &bytes,
        whole,
        adapter: &adapter,
        policy: Some(policy),
        bundles: &bundles,
        lock: lock.map(|lock| &lock.lock).zip(pinned_as.as_deref()),
        today: Date::of(SystemTime::now()),
        #[cfg(feature = "keyless")]
        root: &trust.root,
        elsewhere: Vec::new(),
    });
    let adapter = adapter.map_err(|error| not_an_adapter(file, error))?;
    Ok((adapter, report))
}

/// Ends the merge if a check failed, or one is inconclusive that the merge itself does not make.
fn refuse(report: &Report, file: &Path, policy: &Path) -> Result<(), Failure> {
    let stands_against = |finding: &&Finding| match finding.outcome {
        Outcome::Fail => true,
        Outcome::Inconclusive => !is_made_by_merging(finding.check),
        Outcome::Pass | Outcome::Skipped => false,
    };
    let against: Vec<&Finding> = report.findings.iter().filter(stands_against).collect();
    if against.is_empty() {
        return Ok(());
    }
    let failed = against
        .iter()
        .any(|finding| finding.outcome == Outcome::Fail);
    let exit = if failed { Exit::No } else { Exit::Inconclusive };
    let message = format!(
        "the policy {} does not allow {} to be merged",
        policy.display(),
        file.display()
    );
    let failure = against
        .iter()
        .fold(Failure::new(exit, message), |failure, finding| {
            failure.fact(
                format!("{} {}", finding.check, finding.outcome),
                &finding.message,
            )
        });
    Err(failure
        .hint("`tlora verify` with the same policy says more; nothing was read of the base model"))
}

/// A merge compares the digest of the base, rebuilds the basis and measures the update, and its output is base + adapter.
fn is_made_by_merging(check: Check) -> bool {
    check == Check::Bound
        || check == Check::Strength
        || matches!(check, Check::BaseDigest | Check::Modules | Check::Basis)
        || check.group() == Group::Merged
}
