//! `tlora report`.

use std::path::{Path, PathBuf};

use tlora_checkpoint::write_file_atomically;
use tlora_report::{ReportError, Run, page};

use crate::arguments::ReportOptions;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::output;
use crate::failure::Failure;
use crate::terminal::note;

/// The name of the page in a run directory.
const PAGE: &str = "report.html";

pub(crate) fn run(options: &ReportOptions) -> Result<Exit, Failure> {
    if options.output.is_some() && options.runs.len() > 1 {
        return Err(Failure::unknown(format!(
            "{} runs do not go into one file",
            options.runs.len()
        ))
        .hint("leave --output away: each page is written into its run directory"));
    }
    for run in &options.runs {
        let path = match &options.output {
            Some(path) => path.clone(),
            None => run.join(PAGE),
        };
        write(run, &path, options.output.is_none() || options.force)?;
        note(format_args!("wrote {}", Untrusted(path.display())));
    }
    Ok(Exit::Done)
}

/// The page of a run, in its directory.
pub(super) fn of_run(run: &Path) -> Result<PathBuf, Failure> {
    let path = run.join(PAGE);
    write(run, &path, true)?;
    Ok(path)
}

fn write(run: &Path, path: &Path, force: bool) -> Result<(), Failure> {
    let read = Run::read(run).map_err(|error| explained(run, error))?;
    write_file_atomically(path, page(&read).as_bytes(), force).map_err(output)
}

/// Why a run cannot be shown.
pub(super) fn explained(run: &Path, error: ReportError) -> Failure {
    let failure = match &error {
        ReportError::Io(_) => Failure::unknown(format!("{} cannot be read", run.display())),
        _ => Failure::no(format!("{} is not as a training leaves it", run.display())),
    };
    failure
        .caused_by(error)
        .hint("a run directory is what `tlora train -o DIR` leaves")
}
