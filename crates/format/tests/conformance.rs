//! `spec/vectors/adapter` against this reader: one test a file, and one that files and rules cover each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use tlora_format::{Adapter, layout};

mod common;
use common::facts::facts;
use common::vector::{Vector, vectors};

fn main() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec");
    let files = vectors(&spec.join("vectors/adapter"));
    let mut trials: Vec<Trial> = files
        .iter()
        .cloned()
        .map(|(name, path)| Trial::test(format!("vector::{name}"), move || check(&path)))
        .collect();
    trials.push(Trial::test(
        "every_rule_has_a_vector_and_every_vector_a_rule",
        move || coverage(&spec, &files),
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check(path: &Path) -> Result<(), Failed> {
    let vector = Vector::read(path)?;
    match Adapter::parse(&vector.bytes) {
        Ok(adapter) => accepted(&vector, &adapter),
        Err(error) => {
            same(
                "expect",
                vector.value("expect")?,
                &error.class().to_string(),
            )
            .map_err(|wrong| format!("{wrong}: {error}"))?;
            same("rule", vector.value("rule")?, error.rule())
                .map_err(|wrong| format!("{wrong}: {error}"))?;
            // As text: an error that holds a NaN does not equal itself.
            let found = layout(&vector.bytes).err().map(|error| error.to_string());
            Ok(same(
                "error of the layout",
                &error.to_string(),
                &found.unwrap_or_default(),
            )?)
        }
    }
}

fn accepted(vector: &Vector, adapter: &Adapter) -> Result<(), Failed> {
    same("expect", vector.value("expect")?, "ok")?;
    if vector.optional("rule").is_some() {
        return Err("a file to accept names a broken rule".into());
    }
    let facts = facts(adapter, &vector.bytes);
    for (key, wanted) in &vector.values {
        match (facts.get(key.as_str()), key.as_str()) {
            (Some(found), _) => same(key, wanted, found)?,
            (None, "expect" | "comment" | "sha256") => {}
            (None, _) => return Err(format!("the vector has an unknown key {key}").into()),
        }
    }
    if adapter.to_bytes() != vector.bytes {
        return Err("written again, the adapter has other bytes".into());
    }
    let rebuilt = Adapter::new(adapter.clone().into_fields())?;
    if &rebuilt != adapter {
        return Err("built again from its fields, the adapter differs".into());
    }
    covers(vector)
}

/// The layout goes through the file without gap or overlap.
fn covers(vector: &Vector) -> Result<(), Failed> {
    let mut end = 0;
    for field in layout(&vector.bytes)? {
        if field.offset != end || field.length == 0 {
            return Err(format!("{field:?} does not begin at {end} or is empty").into());
        }
        end += field.length;
    }
    Ok(same(
        "end of the layout",
        &vector.bytes.len().to_string(),
        &end.to_string(),
    )?)
}

fn coverage(spec: &Path, files: &[(String, PathBuf)]) -> Result<(), Failed> {
    let text = fs_err::read_to_string(spec.join("tlora.md"))?;
    let defined: BTreeSet<String> = text.lines().filter_map(rule_id).collect();
    let mut broken = BTreeSet::new();
    for (_, path) in files {
        broken.extend(Vector::read(path)?.optional("rule").map(str::to_owned));
    }
    let without: Vec<_> = defined.difference(&broken).collect();
    let unknown: Vec<_> = broken.difference(&defined).collect();
    if defined.is_empty() || !without.is_empty() || !unknown.is_empty() {
        return Err(format!(
            "rules without a vector: {without:?}; vectors of no rule: {unknown:?}"
        )
        .into());
    }
    Ok(())
}

/// The id that a line of the specification defines: `- **R7** ...`.
fn rule_id(line: &str) -> Option<String> {
    let id = line.strip_prefix("- **R")?.split_once("**")?.0;
    Some(format!("R{id}"))
}

fn same(what: &str, wanted: &str, found: &str) -> Result<(), String> {
    if wanted == found {
        Ok(())
    } else {
        Err(format!("{what} is {found}; expected {wanted}"))
    }
}
