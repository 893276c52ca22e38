//! What the program is built with beside its code: the bundled model, compressed, and the commit for the records of a training.

use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use lzma_rust2::{LzmaOptions, LzmaWriter};

/// What `tlora quickstart` lays out: a model, and what it is trained on.
const TINY_BASE: [&str; 10] = [
    "config.json",
    "generation_config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "train.toml",
    "train.jsonl",
    "test.jsonl",
];

fn main() -> Result<(), Error> {
    bundle()?;
    commit();
    Ok(())
}

/// Writes an array of the names and the compressed contents of the bundled files, as an expression.
fn bundle() -> Result<(), Error> {
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.ok_or(Error::other("OUT_DIR is not set"))?;
    let mut array = "[\n".to_owned();
    for name in TINY_BASE {
        let source = Path::new("examples/tiny-base").join(name);
        println!("cargo::rerun-if-changed={}", source.display());
        let compressed = out.join(name);
        fs_err::write(&compressed, compress(&fs_err::read(source)?)?)?;
        array += &format!("({name:?}, include_bytes!({compressed:?}).as_slice()),\n");
    }
    fs_err::write(out.join("tiny-base.rs"), array + "]\n")
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    // Weights are of two bytes, of which one is much alike from weight to weight.
    let options = LzmaOptions {
        lc: 3,
        lp: 1,
        pb: 1,
        ..LzmaOptions::with_preset(9)
    };
    let mut writer = LzmaWriter::new_use_header(Vec::new(), &options, Some(bytes.len() as u64))?;
    writer.write_all(bytes)?;
    writer.finish()
}

/// None where there is no repository.
fn commit() {
    // HEAD names a branch, and its log grows with every commit and checkout.
    for file in [".git/HEAD", ".git/logs/HEAD"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=TLORA_COMMIT");
    if std::env::var_os("TLORA_COMMIT").is_some() {
        return;
    }
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let Ok(output) = output.as_ref().map_err(drop) else {
        return;
    };
    let commit = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && commit.trim().len() == 40 {
        println!("cargo::rustc-env=TLORA_COMMIT={}", commit.trim());
    }
}
