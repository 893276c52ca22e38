//! `tlora digest`.

use std::io::{self, Write};

use serde::Serialize;
use tlora_checkpoint::tmd1::Digested;
use tlora_checkpoint::{
    Checkpoint, DigestedFiles, FileDigest, HubSnapshot, TensorInfo, digest_files, hexadecimal,
};
use tlora_rebuild::{Stage, digest};

use crate::arguments::{CacheOptions, DigestOptions};
use crate::base;
use crate::environment::Environment;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::Subject;
use crate::failure::Failure;
use crate::terminal::{print, print_json};

/// The version of the JSON's form; see docs/json.md.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct DigestJson<'a> {
    version: u32,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<HubJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileJson<'a>>>,
    tensors: Vec<TensorJson<'a>>,
}

#[derive(Serialize)]
struct HubJson<'a> {
    repository: &'a str,
    commit: &'a str,
}

#[derive(Serialize)]
struct FileJson<'a> {
    name: &'a str,
    bytes: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<&'a str>,
}

#[derive(Serialize)]
struct TensorJson<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [u64],
    bytes: u64,
    leaf: String,
}

pub(crate) fn run(options: &DigestOptions) -> Result<Exit, Failure> {
    let environment = Environment::new(&CacheOptions::default(), &options.run)?;
    let base = options.base.base.as_str();
    let checkpoint = base::open(base, &environment.bar)?;
    let found = find(&checkpoint, options, &environment)?;
    drop(environment);
    if options.json {
        print_json(&json(&checkpoint, &found))
    } else {
        print(|out| text(out, &found))
    }
}

/// What was asked for of a checkpoint.
struct Found {
    digested: Digested,
    files: Option<Vec<FileDigest>>,
    hub: Option<HubSnapshot>,
}

fn find(
    checkpoint: &Checkpoint,
    options: &DigestOptions,
    environment: &Environment,
) -> Result<Found, Failure> {
    let subject = Subject {
        base: &options.base.base,
        adapters: &[],
    };
    if !options.files {
        let hub = HubSnapshot::of(checkpoint.dir());
        return Ok(Found {
            hub: hub.map_err(|error| subject.checkpoint(error.into()))?,
            files: None,
            digested: digest(checkpoint, &environment.run())
                .map_err(|error| subject.explain(error.into()))?,
        });
    }
    let run = environment.run();
    let shards = checkpoint.shards().iter();
    run.progress
        .start(Stage::Digest, shards.map(|shard| shard.len()).sum());
    let DigestedFiles {
        digested,
        files,
        hub,
        ..
    } = digest_files(checkpoint, run.threads, &|bytes| {
        run.progress.advance(bytes);
    })
    .map_err(|error| subject.checkpoint(error))?;
    Ok(Found {
        digested,
        files: Some(files),
        hub,
    })
}

/// The lines of files are those of `sha256sum`.
fn text(out: &mut dyn Write, found: &Found) -> io::Result<()> {
    writeln!(out, "{}", found.digested.digest)?;
    let Some(files) = &found.files else {
        return Ok(());
    };
    if let Some(HubSnapshot {
        repository, commit, ..
    }) = &found.hub
    {
        writeln!(out, "hub:{}@{commit}", Untrusted(repository))?;
    }
    for FileDigest { name, sha256, .. } in files {
        writeln!(out, "{}  {}", hexadecimal(sha256), Untrusted(name))?;
    }
    Ok(())
}

fn json<'a>(checkpoint: &'a Checkpoint, found: &'a Found) -> DigestJson<'a> {
    let hub = found.hub.as_ref().map(|hub| HubJson {
        repository: &hub.repository,
        commit: &hub.commit,
    });
    let file = |file: &'a FileDigest| FileJson {
        name: &file.name,
        bytes: file.bytes,
        sha256: hexadecimal(&file.sha256),
        blob: file.blob.as_deref(),
    };
    let tensor = |(tensor, leaf): (&'a TensorInfo, &[u8; 32])| TensorJson {
        name: &tensor.name,
        dtype: tensor.dtype.name(),
        shape: &tensor.shape,
        bytes: tensor.bytes,
        leaf: hexadecimal(leaf),
    };
    let tensors = checkpoint.tensors().values();
    DigestJson {
        version: VERSION,
        digest: found.digested.digest.to_string(),
        hub,
        files: found
            .files
            .as_ref()
            .map(|files| files.iter().map(file).collect()),
        tensors: tensors
            .zip(found.digested.leaves.values())
            .map(tensor)
            .collect(),
    }
}
