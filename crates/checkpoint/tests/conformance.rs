//! `spec/vectors/checkpoint` against this reader: one test a file, and one that files and rules cover each other.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use tlora_checkpoint::{Checkpoint, CheckpointError, tmd1};

fn main() -> Result<(), Box<dyn Error>> {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec");
    let mut files = Vec::new();
    for entry in fs_err::read_dir(spec.join("vectors/checkpoint"))? {
        files.push(entry?.path());
    }
    files.sort();
    let mut trials: Vec<Trial> = files.iter().cloned().map(trial).collect();
    let name = "every_rule_has_a_vector_and_every_vector_a_rule";
    trials.push(Trial::test(name, move || coverage(&spec, &files)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

fn trial(path: PathBuf) -> Trial {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Trial::test(format!("vector::{name}"), move || {
        check(&Vector::read(&path)?)
    })
}

struct Vector {
    values: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Result<Self, Failed> {
        let file = fs_err::read(path)?;
        let end = file
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .ok_or("no empty line")?;
        let values = str::from_utf8(&file[..end])?.lines().map(|line| {
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| format!("not `key: value`: {line}"))?;
            Ok((key.to_owned(), value.to_owned()))
        });
        Ok(Self {
            values: values.collect::<Result<_, Failed>>()?,
            bytes: file[end + 2..].to_vec(),
        })
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

fn check(vector: &Vector) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    fs_err::write(dir.path().join("model.safetensors"), &vector.bytes)?;
    let (expect, rule, tmd1) = match Checkpoint::open(dir.path()) {
        Ok(checkpoint) => (
            "ok",
            None,
            Some(
                tmd1::digest(&checkpoint, NonZero::<usize>::MIN, &|_| ())?
                    .digest
                    .to_string(),
            ),
        ),
        Err(CheckpointError::Header { fault, .. }) => (fault.rule().1, Some(fault.rule().0), None),
        Err(error) => return Err(error.into()),
    };
    same("expect", vector.value("expect"), Some(expect))?;
    same("rule", vector.value("rule"), rule)?;
    same(
        "tmd1",
        vector.value("tmd1"),
        tmd1.as_deref()
            .map(|digest| digest.trim_start_matches("tmd1:")),
    )
}

fn same(what: &str, wanted: Option<&str>, found: Option<&str>) -> Result<(), Failed> {
    if wanted.map(|wanted| wanted.trim_start_matches("tmd1:")) == found {
        Ok(())
    } else {
        Err(format!("{what} is {found:?}; the vector says {wanted:?}").into())
    }
}

fn coverage(spec: &Path, files: &[PathBuf]) -> Result<(), Failed> {
    let text = fs_err::read_to_string(spec.join("tlora.md"))?;
    let defined: BTreeSet<String> = text.lines().filter_map(rule_id).collect();
    let mut broken = BTreeSet::new();
    for path in files {
        broken.extend(Vector::read(path)?.value("rule").map(str::to_owned));
    }
    if defined.is_empty() || defined != broken {
        return Err(format!(
            "the specification has the rules {defined:?}; the vectors break {broken:?}"
        )
        .into());
    }
    Ok(())
}

/// The id that a line of the specification defines: `- **C7** ...`.
fn rule_id(line: &str) -> Option<String> {
    let id = line.strip_prefix("- **C")?.split_once("**")?.0;
    Some(format!("C{id}"))
}
