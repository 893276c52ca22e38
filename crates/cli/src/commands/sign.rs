//! `tlora sign`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tlora_checkpoint::write_file_atomically;
use tlora_format::Adapter;
use tlora_provenance::oms::{self, OmsError};
use tlora_provenance::{
    Bundle, PrivateKey, SLSA_PROVENANCE, Statement, Subject, parse_predicate, sign,
};

use crate::arguments::SignOptions;
use crate::commands::attest;
use crate::commands::init::ensure_vacant;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::output;
use crate::failure::Failure;
use crate::terminal::note;
use crate::{adapter_file, input, key_file};

/// The most bytes of a predicate: a bundle has to hold it.
const PREDICATE_LIMIT: u64 = 1 << 20;

pub(crate) fn run(options: &SignOptions) -> Result<Exit, Failure> {
    let adapter = adapter_file::read(&options.adapter)?;
    let key = key_file::read(&options.key, &options.passphrase)?;
    let subject = attest::subject(&options.adapter, &adapter)?;
    let mut files = Vec::new();
    if let Some(path) = &options.oms {
        let path = path
            .clone()
            .unwrap_or_else(|| with_suffix(&options.adapter, ".sig"));
        files.push((path, model_signature(&options.key, &key, &subject)?));
    }
    let statement = Statement::new(subject, SLSA_PROVENANCE, predicate(options, &adapter)?);
    let path = options.output.clone();
    let path = path.unwrap_or_else(|| with_suffix(&options.adapter, ".sigstore.json"));
    files.push((path, sign(&statement, &key)));
    // All of them, before any is written.
    for (path, text) in &files {
        ensure_vacant(path, options.force)?;
        ensure_readable(text)?;
    }
    let public = key.public_key();
    for (path, text) in &files {
        write_file_atomically(path, text.as_bytes(), options.force).map_err(output)?;
        let (path, kind) = (Untrusted(path.display()), public.key_type().name());
        note(format_args!(
            "wrote {path}, signed with the {kind} key {}",
            public.fingerprint()
        ));
    }
    Ok(Exit::Done)
}

fn predicate(options: &SignOptions, adapter: &Adapter) -> Result<Map<String, Value>, Failure> {
    let Some(path) = &options.predicate else {
        return attest::predicate(adapter, options.run.as_deref());
    };
    let bytes = input::read(path, PREDICATE_LIMIT)
        .map_err(|error| Failure::unknown("the predicate cannot be read").caused_by(error))?;
    parse_predicate(&bytes).map_err(|error| {
        Failure::no(format!(
            "{} is not a predicate, a JSON object",
            path.display()
        ))
        .caused_by(error)
    })
}

/// What is longer, no verifier of ours takes.
fn ensure_readable(bundle: &str) -> Result<(), Failure> {
    let (found, limit) = (bundle.len(), Bundle::SIZE_LIMIT);
    if found <= limit {
        return Ok(());
    }
    Err(Failure::no(format!(
        "the bundle would have {found} bytes; at most {limit} are read"
    ))
    .hint("leave the details in files, and their digests in the predicate"))
}

fn model_signature(path: &Path, key: &PrivateKey, subject: &Subject) -> Result<String, Failure> {
    let sha256 = subject.sha256().unwrap_or_default();
    oms::sign(&subject.name, &sha256, key).map_err(|error| {
        let failure = Failure::unknown(format!("{} cannot sign for --oms", path.display()));
        match &error {
            OmsError::Key { .. } => failure.hint("`tlora keygen --type p256` makes a key that can"),
            _ => failure,
        }
        .caused_by(error)
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
