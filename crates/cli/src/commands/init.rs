//! `tlora init`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;
use tlora_checkpoint::{OutputError, write_file_atomically};
use tlora_format::{SigmaSide, TargetModules, TextKey};
use tlora_merge::{Groups, Recipe, create};

use crate::arguments::{
    InitOptions, SharingOption, SharingOptions, SigmaSideOption, TargetOptions, TextOptions,
    ValueOptions,
};
use crate::base;
use crate::environment::{Environment, warn_about};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::{Subject, output};
use crate::failure::Failure;
use crate::input;
use crate::terminal::note;

/// The most bytes of a file that an option names: a million modules of 60 letters.
const MAX_FILE: u64 = 1 << 26;

pub(crate) fn run(options: &InitOptions) -> Result<Exit, Failure> {
    let recipe = recipe(options)?;
    ensure_vacant(&options.output, options.force)?;
    let environment = Environment::new(&options.cache, &options.run)?;
    let base = options.base.base.as_str();
    let checkpoint = base::open(base, &environment.bar)?;
    let created = create(&checkpoint, &recipe, &environment.run());
    let created = created.map_err(|error| {
        Subject {
            base,
            adapters: &[],
        }
        .explain(error)
    })?;
    drop(environment);
    warn_about(&created.notes);
    let bytes = created.adapter.to_bytes();
    write_file_atomically(&options.output, &bytes, options.force).map_err(output)?;
    if !options.run.quiet {
        let (path, adapter) = (Untrusted(options.output.display()), &created.adapter);
        let modules = counted(adapter.module_count, "module");
        let (groups, numbers) = (
            counted(adapter.group_count, "group"),
            counted(adapter.u, "number"),
        );
        note(format_args!(
            "wrote {path}: {} bytes, {modules} in {groups} of {numbers}",
            bytes.len()
        ));
    }
    Ok(Exit::Done)
}

/// `1 group`, `13 groups`.
pub(crate) fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Before the work; the write at its end looks again.
pub(crate) fn ensure_vacant(path: &Path, force: bool) -> Result<(), Failure> {
    if !force && fs_err::symlink_metadata(path).is_ok() {
        return Err(output(OutputError::Exists(path.to_owned())));
    }
    match path.parent().filter(|parent| *parent != Path::new("")) {
        Some(parent) if !parent.is_dir() => Err(Failure::unknown(format!(
            "no directory {}",
            parent.display()
        ))),
        _ => Ok(()),
    }
}

fn recipe(options: &InitOptions) -> Result<Recipe, Failure> {
    Ok(Recipe {
        rank: options.rank,
        u: options.u,
        groups: groups(&options.sharing),
        structured: options.sharing.sharing == SharingOption::Structured,
        targets: targets(&options.targets)?,
        precision: options.precision.into(),
        seed: options.seed,
        sigma_side: match options.sigma_side {
            SigmaSideOption::Left => SigmaSide::Left,
            SigmaSideOption::Split => SigmaSide::Split,
            SigmaSideOption::Right => SigmaSide::Right,
        },
        scale: options.scale,
        v: values(&options.values)?,
        text: text(&options.text),
    })
}

fn groups(options: &SharingOptions) -> Groups {
    let non_zero = |number: Option<u32>| number.and_then(NonZeroU32::new);
    match (
        non_zero(options.n_tie),
        non_zero(options.groups),
        options.untied,
    ) {
        (Some(modules), _, _) => Groups::Tie(modules),
        (_, Some(count), _) => Groups::Count(count),
        (_, _, true) => Groups::Untied,
        _ => Groups::One,
    }
}

fn targets(options: &TargetOptions) -> Result<Option<TargetModules>, Failure> {
    let Some(path) = &options.modules_file else {
        return Ok(options.targets.clone().map(TargetModules::Suffixes));
    };
    let bytes = input::read(path, MAX_FILE).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::unknown(format!("{} is not UTF-8", path.display())).caused_by(error)
    })?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(Some(TargetModules::Modules(
        names.map(str::to_owned).collect(),
    )))
}

/// What a file with trained numbers may be.
#[derive(Deserialize)]
#[serde(untagged)]
enum ValuesFile {
    Flat(Vec<f64>),
    ByGroup(Vec<Vec<f64>>),
}

fn values(options: &ValueOptions) -> Result<Option<Vec<f64>>, Failure> {
    let Some(path) = &options.v_file else {
        return Ok(options.v.clone());
    };
    let bytes = input::read(path, MAX_FILE).map_err(unreadable)?;
    let file = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::unknown(format!(
            "{} is not a JSON list of numbers, or a list of such lists",
            path.display()
        ))
        .caused_by(error)
    })?;
    Ok(Some(match file {
        ValuesFile::Flat(values) => values,
        ValuesFile::ByGroup(groups) => groups.concat(),
    }))
}

fn text(options: &TextOptions) -> BTreeMap<TextKey, String> {
    let texts = [
        (TextKey::Name, &options.name),
        (TextKey::Description, &options.description),
        (TextKey::Licence, &options.licence),
        (TextKey::BaseModel, &options.base_name),
    ];
    texts
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.clone()?)))
        .collect()
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::unknown("a file named in the options cannot be read").caused_by(error)
}
