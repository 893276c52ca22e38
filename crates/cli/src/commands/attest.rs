//! `tlora attest`, and the statements that `tlora sign` signs.

use std::path::Path;

use serde_json::{Map, Value};
use tlora_checkpoint::write_file_atomically;
use tlora_format::Adapter;
use tlora_provenance::{
    RunDirectory, RunError, SLSA_PROVENANCE, Statement, Subject, file_predicate, run_predicate,
};

use crate::adapter_file;
use crate::arguments::AttestOptions;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::output;
use crate::failure::Failure;
use crate::terminal::{note, print};

pub(crate) fn run(options: &AttestOptions) -> Result<Exit, Failure> {
    let adapter = adapter_file::read(&options.adapter)?;
    let predicate = predicate(&adapter, options.run.as_deref())?;
    let text = if options.predicate_only {
        format!("{:#}\n", Value::Object(predicate))
    } else {
        let statement = Statement::new(
            subject(&options.adapter, &adapter)?,
            SLSA_PROVENANCE,
            predicate,
        );
        format!("{}\n", statement.to_json())
    };
    let Some(path) = &options.output else {
        return print(|out| out.write_all(text.as_bytes()));
    };
    write_file_atomically(path, text.as_bytes(), options.force).map_err(output)?;
    note(format_args!(
        "wrote {}, not signed",
        Untrusted(path.display())
    ));
    Ok(Exit::Done)
}

/// The file as a statement names it. An adapter has one byte string, so its bytes need not be read again.
pub(crate) fn subject(path: &Path, adapter: &Adapter) -> Result<Subject, Failure> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(Subject::of_bytes(name, &adapter.to_bytes())),
        None => Err(
            Failure::unknown(format!("{} is not a name in UTF-8", path.display()))
                .hint("a statement names the file: rename it"),
        ),
    }
}

/// What the run says, or else the file.
pub(crate) fn predicate(
    adapter: &Adapter,
    run: Option<&Path>,
) -> Result<Map<String, Value>, Failure> {
    let Some(run) = run else {
        return Ok(file_predicate(adapter));
    };
    RunDirectory::read(run)
        .and_then(|directory| run_predicate(adapter, &directory))
        .map_err(|error| explain(run, error))
}

fn explain(run: &Path, error: RunError) -> Failure {
    let run = run.display();
    match &error {
        RunError::Io(_) | RunError::NotAFile(_) => {
            Failure::unknown(format!("{run} cannot be read as a run directory"))
                .caused_by(error)
                .hint("docs/run-directory.md says which files a run directory has")
        }
        RunError::OtherBase { .. } | RunError::OtherV { .. } => {
            Failure::no(format!("{run} is not the run that made this adapter")).caused_by(error)
        }
        _ => Failure::no(format!("{run} is not a valid run directory")).caused_by(error),
    }
}
