//! `tlora verify`.

mod inputs;
mod lock;
mod weights;

use std::io::Write;
use std::time::SystemTime;

use fs_err::OpenOptions;
use tlora_checkpoint::write_file_atomically;
use tlora_provenance::{Date, Evidence, Report, Verdict, verify};

pub(crate) use inputs::{AdapterFile, Trust};
pub(crate) use lock::LockFile;

use crate::arguments::{ReportFormat, VerifyOptions};
use crate::environment::Environment;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain;
use crate::failure::Failure;
use crate::report::{Subject, render, step_summary};
use crate::terminal::{note, print};

pub(crate) fn run(options: &VerifyOptions) -> Result<Exit, Failure> {
    let trust = Trust::read(&options.trust)?;
    let file = AdapterFile::read(&options.adapter)?;
    let bundles = trust.bundles(&options.adapter)?;
    let lock = options.lock.as_deref().map(LockFile::read).transpose()?;
    let pinned_as = lock
        .as_ref()
        .map(|lock| lock.path_of(&options.adapter))
        .transpose()?;
    let elsewhere = match (&options.base, &file.adapter) {
        (Some(base), Ok(adapter)) => {
            let environment = Environment::new(&options.cache, &options.run)?;
            let weights = weights::Weights {
                base,
                merged: options.merged.as_deref(),
                file: &options.adapter,
            };
            weights.findings(adapter, trust.policy.as_ref(), &environment)?
        }
        _ => Vec::new(),
    };
    // An entry that is about to be written is not looked at before.
    let pinned = lock
        .as_ref()
        .zip(pinned_as.as_deref())
        .filter(|_| !options.write_lock);
    let report = verify(Evidence {
        bytes: &file.bytes,
        whole: file.whole,
        adapter: &file.adapter,
        policy: trust.policy.as_ref(),
        bundles: &bundles,
        lock: pinned.map(|(lock, path)| (&lock.lock, path)),
        today: Date::of(SystemTime::now()),
        #[cfg(feature = "keyless")]
        root: &trust.root,
        elsewhere,
    });
    show(options, &report)?;
    let exit = match report.verdict() {
        Verdict::Pass => Exit::Done,
        Verdict::Fail => Exit::No,
        Verdict::Inconclusive => Exit::Inconclusive,
    };
    match (lock, pinned_as, file.adapter) {
        (Some(lock), Some(path), Ok(adapter)) if options.write_lock && exit == Exit::Done => {
            lock.write(&path, &report, &adapter)?;
        }
        _ => {}
    }
    Ok(exit)
}

fn show(options: &VerifyOptions, report: &Report) -> Result<(), Failure> {
    let subject = Subject {
        report,
        adapter: options.adapter.display().to_string(),
        policy: options
            .trust
            .policy
            .as_ref()
            .map(|path| path.display().to_string()),
    };
    let text = render(&subject, options.format);
    if options.format == ReportFormat::Github {
        append_summary(&step_summary(&subject))?;
    }
    let Some(output) = &options.output else {
        print(|out| out.write_all(text.as_bytes()))?;
        return Ok(());
    };
    write_file_atomically(output, text.as_bytes(), options.force).map_err(explain::output)?;
    if !options.run.quiet {
        let verdict = report.verdict().name();
        note(format_args!(
            "{verdict}: wrote the report {}",
            Untrusted(output.display())
        ));
    }
    Ok(())
}

/// Appends to the summary of a step of GitHub Actions, if this is one.
fn append_summary(text: &str) -> Result<(), Failure> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let append = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(text.as_bytes())
    };
    append().map_err(|error| Failure::unknown("cannot write the step summary").caused_by(error))
}
