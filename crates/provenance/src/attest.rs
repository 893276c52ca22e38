//! What is said about an adapter: SLSA provenance v1, from the file alone or from the run that made it.
//!
//! docs/provenance-statements.md shows both. They have no times and paths of this machine, so equal inputs give equal
//! statements.

use serde_json::{Map, Value, json};
use tlora_format::{Adapter, BaseDigest, Precision, ProjectionKind};

use crate::encoding::to_hex;
use crate::json::{self, JsonError};
use crate::run_directory::{Evaluation, Facts, RunDirectory, RunError};

/// The predicate type of statements about how a file was made.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What kind of build the file alone tells about.
const FILE_BUILD: &str = "https://github.com/tlora/tlora/buildtypes/file/v1";
/// What kind of build a run directory tells about.
const RUN_BUILD: &str = "https://github.com/tlora/tlora/buildtypes/run/v1";
/// Whoever signs answers for the place where it was built; there is none that vouches for itself.
const BUILDER: &str = "https://github.com/tlora/tlora/builders/unverified/v1";

/// The predicate that says what the file says, and that the signer stands by it.
#[must_use]
pub fn file_predicate(adapter: &Adapter) -> Map<String, Value> {
    let base = json!({"name": "base", "digest": {"tmd1": digits(&adapter.base)}});
    predicate(
        json!({
            "buildType": FILE_BUILD,
            "externalParameters": {"adapter": parameters(adapter)},
            "resolvedDependencies": [base],
        }),
        json!({"builder": {"id": BUILDER}}),
    )
}

/// The predicate that says how a run made the adapter.
///
/// # Errors
/// If the adapter is for another base than the run had, or does not hold the numbers that the run ended with.
pub fn run_predicate(
    adapter: &Adapter,
    run: &RunDirectory,
) -> Result<Map<String, Value>, RunError> {
    run.check_made(adapter)?;
    let facts = &run.facts;
    let tool = Map::from_iter([(
        facts.tool.name.clone(),
        Value::from(facts.tool.version.clone()),
    )]);
    let mut details =
        json!({"builder": {"id": BUILDER, "version": tool}, "byproducts": byproducts(run)});
    let times = [
        ("startedOn", &facts.started),
        ("finishedOn", &facts.finished),
    ];
    for (name, time) in times
        .into_iter()
        .filter_map(|(name, time)| Some((name, time.as_ref()?)))
    {
        details["metadata"][name] = time.as_str().into();
    }
    Ok(predicate(
        json!({
            "buildType": RUN_BUILD,
            "externalParameters": {
                "adapter": parameters(adapter),
                "config": run.config,
                "seeds": facts.seeds,
            },
            "resolvedDependencies": dependencies(facts),
        }),
        details,
    ))
}

/// A predicate that somebody else wrote, a JSON object.
///
/// # Errors
/// If it is none, or has a key twice.
pub fn parse_predicate(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    json::typed(json::parse(bytes)?)
}

fn predicate(definition: Value, details: Value) -> Map<String, Value> {
    Map::from_iter([
        ("buildDefinition".to_owned(), definition),
        ("runDetails".to_owned(), details),
    ])
}

fn parameters(adapter: &Adapter) -> Value {
    let precision = match adapter.precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::F16 => "f16",
    };
    let seed = match &adapter.projection {
        ProjectionKind::Native { seed } | ProjectionKind::Torch { seed, .. } => Some(*seed),
        ProjectionKind::Standard | ProjectionKind::Explicit { .. } => None,
    };
    let mut parameters = json!({
        "rank": adapter.rank,
        "u": adapter.u,
        "modules": adapter.module_count,
        "groups": adapter.group_count,
        "precision": precision,
        "scale": adapter.scale,
    });
    if let Some(seed) = seed {
        parameters["seed"] = seed.into();
    }
    parameters
}

fn dependencies(facts: &Facts) -> Vec<Value> {
    let base = &facts.base;
    let mut digest = json!({"tmd1": digits(&base.tmd1)});
    if let Some(commit) = &base.commit {
        digest["gitCommit"] = commit.as_str().into();
    }
    let mut entry = json!({"name": "base", "digest": digest});
    if let Some(id) = &base.id {
        entry["uri"] = base_uri(id, base.commit.as_deref()).into();
    }
    let mut dependencies = vec![entry];
    dependencies.extend(base.files.iter().map(|file| {
        json!({"name": format!("base-file/{}", file.name), "digest": {"sha256": file.sha256}})
    }));
    dependencies.extend(facts.datasets.iter().map(|set| {
        let mut entry =
            json!({"name": format!("dataset/{}", set.name), "digest": {"sha256": set.sha256}});
        if let Some(uri) = &set.uri {
            entry["uri"] = uri.as_str().into();
        }
        entry
    }));
    let code = &facts.code;
    dependencies
        .push(json!({"name": "code", "uri": code.uri, "digest": {"gitCommit": code.commit}}));
    dependencies.extend(facts.container.iter().map(
        |image| json!({"name": "container", "uri": image.uri, "digest": {"sha256": image.sha256}}),
    ));
    dependencies
}

/// A package URL, as the specification of those has it for models of the hub.
fn base_uri(id: &str, commit: Option<&str>) -> String {
    match commit {
        Some(commit) => format!("pkg:huggingface/{id}@{commit}"),
        None => format!("pkg:huggingface/{id}"),
    }
}

/// The files of the run, and the results of the step that the adapter has.
fn byproducts(run: &RunDirectory) -> Vec<Value> {
    let step = run.steps.step;
    let mut byproducts: Vec<Value> = run
        .files
        .iter()
        .map(|(name, sha256)| {
            let mut entry = json!({"name": name, "digest": {"sha256": to_hex(sha256)}});
            if name == "steps.jsonl" {
                let (last, head) = (run.steps.last, to_hex(&run.steps.head));
                entry["annotations"] = json!({"steps": last, "adapterStep": step, "head": head});
            }
            entry
        })
        .collect();
    let of_step = run.evaluations.iter().filter(|result| result.step == step);
    byproducts.extend(of_step.map(|result| evaluation(result, &run.evaluations)));
    byproducts
}

/// A result, with that of step 0 beside it: the gain is what training did.
fn evaluation(result: &Evaluation, all: &[Evaluation]) -> Value {
    let mut annotations =
        json!({"score": result.score, "items": result.items, "step": result.step});
    let untrained = all
        .iter()
        .find(|other| other.name == result.name && other.step == 0);
    if let Some(untrained) = untrained.filter(|_| result.step != 0) {
        annotations["untrainedScore"] = untrained.score.into();
    }
    if let Some(dataset) = &result.dataset {
        annotations["dataset"] = dataset.as_str().into();
    }
    let mut entry = json!({"name": format!("eval/{}", result.name), "annotations": annotations});
    if let Some(sha256) = &result.records_sha256 {
        entry["digest"] = json!({"sha256": to_hex(sha256)});
    }
    entry
}

fn digits(base: &BaseDigest) -> String {
    to_hex(&base.0)
}
