//! `provenance.json`: what went into a run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tlora_format::BaseDigest;

use super::RunError;
use super::files::Whole;
use crate::encoding::from_hex;
use crate::json;

const FILE: &str = "provenance.json";

/// What went into a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) tool: Tool,
    pub(crate) code: Source,
    pub(crate) base: Base,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) container: Option<Container>,
    pub(crate) seeds: BTreeMap<String, u64>,
    pub(crate) adapter_step: Option<u64>,
    pub(crate) started: Option<String>,
    pub(crate) finished: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) id: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) tmd1: BaseDigest,
    pub(crate) files: Vec<BaseFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    tool: Tool,
    code: Source,
    base: WireBase,
    datasets: Vec<Dataset>,
    container: Option<Container>,
    #[serde(default)]
    seeds: BTreeMap<String, u64>,
    adapter_step: Option<u64>,
    started: Option<String>,
    finished: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireBase {
    id: Option<String>,
    commit: Option<String>,
    tmd1: String,
    files: Vec<BaseFile>,
}

/// The program that trained.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The code of the run: rewards, prompts, scripts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) commit: String,
}

/// A file of the base.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaseFile {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// A dataset that was trained on or evaluated with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) uri: Option<String>,
    pub(crate) sha256: String,
}

/// The image that the run was in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Container {
    pub(crate) uri: String,
    pub(crate) sha256: String,
}

impl Facts {
    pub(super) fn parse(file: &Whole) -> Result<Self, RunError> {
        let wire = json::parse(&file.bytes).and_then(json::typed);
        let wire: Wire = wire.map_err(|source| RunError::Document {
            file: FILE.to_owned(),
            source,
        })?;
        check(&wire)?;
        let tmd1 = wire.base.tmd1.parse().ok();
        let tmd1 = tmd1.ok_or_else(|| {
            wrong(
                "base.tmd1",
                &wire.base.tmd1,
                "tmd1: and 64 hexadecimal digits",
            )
        })?;
        Ok(Self {
            tool: wire.tool,
            code: wire.code,
            base: Base {
                id: wire.base.id,
                commit: wire.base.commit,
                tmd1,
                files: wire.base.files,
            },
            datasets: wire.datasets,
            container: wire.container,
            seeds: wire.seeds,
            adapter_step: wire.adapter_step,
            started: wire.started,
            finished: wire.finished,
        })
    }
}

fn check(wire: &Wire) -> Result<(), RunError> {
    if wire.version != 1 {
        return Err(wrong("version", &wire.version.to_string(), "1"));
    }
    commit("code.commit", &wire.code.commit)?;
    wire.base
        .commit
        .iter()
        .try_for_each(|text| commit("base.commit", text))?;
    wire.base
        .files
        .iter()
        .try_for_each(|file| sha256("base.files[].sha256", &file.sha256))?;
    wire.datasets
        .iter()
        .try_for_each(|set| sha256("datasets[].sha256", &set.sha256))?;
    wire.container
        .iter()
        .try_for_each(|image| sha256("container.sha256", &image.sha256))?;
    wire.started
        .iter()
        .try_for_each(|time| timestamp("started", time))?;
    wire.finished
        .iter()
        .try_for_each(|time| timestamp("finished", time))?;
    distinct("the dataset", wire.datasets.iter().map(|set| &set.name))?;
    distinct(
        "the file of the base",
        wire.base.files.iter().map(|file| &file.name),
    )
}

fn commit(field: &'static str, text: &str) -> Result<(), RunError> {
    match from_hex(text) {
        Some(bytes) if bytes.len() == 20 || bytes.len() == 32 => Ok(()),
        _ => Err(wrong(
            field,
            text,
            "a commit in full, 40 or 64 lower-case hexadecimal digits",
        )),
    }
}

fn sha256(field: &'static str, text: &str) -> Result<(), RunError> {
    match from_hex(text) {
        Some(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(wrong(field, text, "64 lower-case hexadecimal digits")),
    }
}

/// `2026-11-22T20:15:00Z`: the one form that needs no reader of times.
fn timestamp(field: &'static str, text: &str) -> Result<(), RunError> {
    let pattern = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern)
            .all(|(byte, &wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
    if fits {
        Ok(())
    } else {
        Err(wrong(field, text, "a time such as 2026-11-22T20:15:00Z"))
    }
}

fn distinct<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), RunError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(wrong("name", name, "a name"));
        }
        if !seen.insert(name) {
            return Err(RunError::Twice {
                file: FILE.to_owned(),
                what,
                name: name.clone(),
            });
        }
    }
    Ok(())
}

fn wrong(field: &'static str, found: &str, wanted: &'static str) -> RunError {
    RunError::Field {
        file: FILE.to_owned(),
        field,
        found: found.to_owned(),
        wanted,
    }
}
