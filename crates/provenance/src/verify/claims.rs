//! What the signers of an adapter say about how it was made: SLSA provenance v1. Claims, which somebody answers for, and
//! no proof.

use serde_json::Value;
use tlora_format::{Adapter, BaseDigest};

use super::signatures::{Judged, Valid};
use crate::{Check, Finding, Policy, Statement};

/// The predicate type that counts. There is no older one to fall back to.
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// TL-CLM-1 to TL-CLM-4.
pub(super) fn findings(
    policy: &Policy,
    judged: &Judged<'_>,
    adapter: Option<&Adapter>,
) -> Vec<Finding> {
    let statements: Vec<&Valid<'_>> = judged
        .counting()
        .filter(|valid| valid.statement.predicate_type == PROVENANCE)
        .collect();
    let required = policy.requires(crate::Group::Provenance);
    let Some(first) = statements.first() else {
        return if required {
            missing(policy)
        } else {
            Vec::new()
        };
    };
    let mut findings = vec![Finding::pass(
        Check::Provenance,
        format!("stated by {:?}", first.signer.name),
    )];
    let statements: Vec<&Statement> = statements.iter().map(|valid| valid.statement).collect();
    if !policy.claims.required.is_empty() {
        findings.push(claims(policy, &statements));
    }
    if !policy.claims.min.is_empty() {
        findings.push(minima(policy, &statements));
    }
    findings.extend(adapter.map(|adapter| agreement(policy, &statements, adapter, required)));
    findings
}

/// Without a statement no claim is made either.
fn missing(policy: &Policy) -> Vec<Finding> {
    let message = "no signer of the policy has stated how the file was made";
    let checks = [
        (Check::Provenance, true),
        (Check::Claims, !policy.claims.required.is_empty()),
        (Check::Minima, !policy.claims.min.is_empty()),
    ];
    let wanted = checks.into_iter().filter(|(_, wanted)| *wanted);
    wanted
        .map(|(check, _)| Finding::fail(check, message))
        .collect()
}

fn claims(policy: &Policy, statements: &[&Statement]) -> Finding {
    let check = Check::Claims;
    let is_made = |name: &str| {
        statements
            .iter()
            .any(|statement| claim(statement, name).is_some())
    };
    let missing: Vec<&str> = policy
        .claims
        .required
        .iter()
        .map(String::as_str)
        .filter(|name| !is_made(name))
        .collect();
    if missing.is_empty() {
        return Finding::pass(
            check,
            format!("all {} claims are made", policy.claims.required.len()),
        );
    }
    Finding::fail(
        check,
        format!("claims that are not made: {}", missing.join(", ")),
    )
}

/// Where several statements claim a result, the lowest counts.
fn minima(policy: &Policy, statements: &[&Statement]) -> Finding {
    let check = Check::Minima;
    let mut faults = Vec::new();
    for (name, least) in &policy.claims.min {
        let found: Vec<Value> = statements
            .iter()
            .filter_map(|statement| claim(statement, name))
            .collect();
        if found.is_empty() {
            faults.push((name, "is not claimed".to_owned()));
        }
        for value in found {
            match value.as_f64() {
                Some(number) if number >= *least => {}
                Some(number) => faults.push((
                    name,
                    format!("{number} is claimed; the policy wants {least}"),
                )),
                None => faults.push((name, "is claimed, and is no number".to_owned())),
            }
        }
    }
    if faults.is_empty() {
        return Finding::pass(check, "all claimed results reach the minima");
    }
    let finding = Finding::fail(check, "claimed results do not reach the minima");
    faults
        .into_iter()
        .fold(finding, |finding, (name, fault)| finding.fact(name, fault))
}

/// A statement need not name a base. If it names one, it is the one that the file names.
fn agreement(
    policy: &Policy,
    statements: &[&Statement],
    adapter: &Adapter,
    required: bool,
) -> Finding {
    let check = Check::Agreement;
    let mut named = false;
    for statement in statements {
        let found: Vec<BaseDigest> = base_digests(statement);
        if !found.is_empty() && !found.contains(&adapter.base) {
            return Finding::fail(check, "the statement names another base than the file")
                .fact("base digest in the adapter", adapter.base)
                .fact("base digest in the statement", found[0]);
        }
        named |= !found.is_empty();
    }
    let commits = policy.equivalents(&adapter.base);
    let commits = commits
        .iter()
        .filter(|base| base.tmd1 == adapter.base)
        .filter_map(|base| base.commit.as_ref());
    for commit in commits {
        let is_named = |statement: &&Statement| {
            claim(statement, "base.commit")
                .as_ref()
                .and_then(Value::as_str)
                == Some(commit)
        };
        if required && !statements.iter().any(is_named) {
            return Finding::fail(
                check,
                "the statement does not name the commit of the base that the policy wants",
            )
            .fact("commit in the policy", commit);
        }
        named = true;
    }
    if named {
        Finding::pass(check, "the statement names the base that the file names")
    } else {
        Finding::skipped(check, "the statement names no base by its tmd1")
    }
}

fn base_digests(statement: &Statement) -> Vec<BaseDigest> {
    let digests = dependencies(statement).filter_map(|entry| entry["digest"]["tmd1"].as_str());
    // What is no digest is a digest of nothing: it agrees with no file.
    digests
        .map(|digits| {
            format!("tmd1:{digits}")
                .parse()
                .unwrap_or(BaseDigest([0; 32]))
        })
        .collect()
}

/// What a statement claims under a name, as docs/provenance.md lists them: `config.…`, `seeds.…`, `adapter.…`, `eval.NAME`, and `digest`, `commit`
/// or `tmd1` of what went in.
#[must_use]
pub fn claim(statement: &Statement, name: &str) -> Option<Value> {
    let (first, rest) = name.split_once('.')?;
    match first {
        "config" | "seeds" | "adapter" => {
            let mut value = statement
                .predicate
                .get("buildDefinition")?
                .get("externalParameters")?
                .get(first)?;
            for key in rest.split('.') {
                value = value.get(key)?;
            }
            Some(value.clone()).filter(|value| !value.is_null())
        }
        "eval" => {
            let byproducts = statement
                .predicate
                .get("runDetails")?
                .get("byproducts")?
                .as_array()?;
            let name = format!("eval/{rest}");
            let mut results = byproducts.iter().filter(|entry| entry["name"] == *name);
            let score = results.next()?["annotations"]["score"].clone();
            // Two results of one name are none.
            (results.next().is_none() && score.is_number()).then_some(score)
        }
        _ => of_dependency(statement, first, rest),
    }
}

/// A digest that every dependency of a name has: `dataset` is the one of that name, and all whose names begin with
/// `dataset/`.
fn of_dependency(statement: &Statement, kind: &str, what: &str) -> Option<Value> {
    let algorithm = match what {
        "digest" => "sha256",
        "commit" => "gitCommit",
        other => other,
    };
    let is_of_kind = |name: &str| {
        name.strip_prefix(kind)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut digests = dependencies(statement)
        .filter(|entry| entry["name"].as_str().is_some_and(is_of_kind))
        .map(|entry| {
            entry["digest"][algorithm]
                .as_str()
                .filter(|digest| !digest.is_empty())
        });
    let first = digests.next()??;
    digests.all(|digest| digest.is_some()).then(|| first.into())
}

fn dependencies(statement: &Statement) -> impl Iterator<Item = &Value> {
    let definition = statement.predicate.get("buildDefinition");
    let list = definition.and_then(|definition| definition["resolvedDependencies"].as_array());
    list.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::Subject;

    fn statement() -> Statement {
        let predicate = json!({
            "buildDefinition": {
                "externalParameters": {"config": {"seed": 7, "optimizer": {"lr": 0.1}}},
                "resolvedDependencies": [
                    {"name": "base", "digest": {"tmd1": "aa".repeat(32), "gitCommit": "bb".repeat(20)}},
                    {"name": "dataset/gsm8k", "digest": {"sha256": "cc".repeat(32)}},
                    {"name": "dataset/math", "digest": {"sha256": "dd".repeat(32)}},
                    {"name": "datasets", "digest": {}},
                    {"name": "code", "digest": {}},
                ],
            },
            "runDetails": {"byproducts": [
                {"name": "eval/gsm8k", "annotations": {"score": 0.875}},
                {"name": "eval/twice", "annotations": {"score": 1}},
                {"name": "eval/twice", "annotations": {"score": 0}},
                {"name": "eval/word", "annotations": {"score": "0.9"}},
            ]},
        });
        let predicate: Map<String, Value> = serde_json::from_value(predicate).unwrap();
        Statement::new(Subject::new("a", &[0; 32]), PROVENANCE, predicate)
    }

    #[test]
    fn finds_claims_where_the_documentation_says() {
        let statement = statement();
        let found = |name| claim(&statement, name);
        assert_eq!(found("config.seed"), Some(json!(7)));
        assert_eq!(found("config.optimizer.lr"), Some(json!(0.1)));
        assert_eq!(found("base.tmd1"), Some(json!("aa".repeat(32))));
        assert_eq!(found("base.commit"), Some(json!("bb".repeat(20))));
        assert_eq!(found("dataset.digest"), Some(json!("cc".repeat(32))));
        assert_eq!(found("eval.gsm8k"), Some(json!(0.875)));
    }

    #[test]
    fn what_is_incomplete_ambiguous_or_no_number_is_no_claim() {
        let statement = statement();
        for name in [
            "config.missing",
            "code.commit",
            "datasets.digest",
            "eval.twice",
            "eval.word",
            "eval.gsm",
            "seed",
        ] {
            assert_eq!(claim(&statement, name), None, "{name}");
        }
    }
}
