//! `tlora digest`.

use serde::Serialize;
use tlora_checkpoint::tmd1::Digested;
use tlora_checkpoint::{Checkpoint, TensorInfo};
use tlora_rebuild::digest;

use crate::arguments::{CacheOptions, DigestOptions};
use crate::base;
use crate::environment::Environment;
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
    tensors: Vec<TensorJson<'a>>,
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
    let digested = digest(&checkpoint, &environment.run());
    let digested = digested.map_err(|error| {
        Subject {
            base,
            adapters: &[],
        }
        .rebuild(error)
    })?;
    drop(environment);
    if options.json {
        print_json(&json(&checkpoint, &digested))
    } else {
        print(|out| writeln!(out, "{}", digested.digest))
    }
}

fn json<'a>(checkpoint: &'a Checkpoint, digested: &Digested) -> DigestJson<'a> {
    let tensor = |(tensor, leaf): (&'a TensorInfo, &[u8; 32])| TensorJson {
        name: &tensor.name,
        dtype: tensor.dtype.name(),
        shape: &tensor.shape,
        bytes: tensor.bytes,
        leaf: leaf.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let tensors = checkpoint
        .tensors()
        .values()
        .zip(digested.leaves.values())
        .map(tensor);
    DigestJson {
        version: VERSION,
        digest: digested.digest.to_string(),
        tensors: tensors.collect(),
    }
}
