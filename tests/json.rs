//! docs/json.md lists every field that the commands write.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{Scratch, training};

/// The names of all members, at any depth.
fn member_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                names.insert(name.clone());
                member_names(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| member_names(value, names)),
        _ => {}
    }
}

#[test]
fn the_document_names_every_field() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    training::problems(&scratch.path(""));
    let arguments: [&[&str]; 9] = [
        &["digest", "base", "--files", "--json"],
        &[
            "inspect",
            "adapter.tlora",
            "--base",
            "base",
            "--bytes",
            "--json",
        ],
        &["merge", "base", "adapter.tlora", "-o", "out", "--json"],
        &[
            "export",
            "adapter.tlora",
            "--base",
            "base",
            "--format",
            "peft-tinylora",
            "-o",
            "tinylora",
            "--json",
        ],
        &[
            "convert",
            concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/crates/convert/tests/golden/peft-qwen2-f32-tied/checkpoint"
            ),
            "--base",
            concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/crates/convert/tests/golden/bases/qwen2-f32"
            ),
            "-o",
            "converted.tlora",
            "--precision",
            "bf16",
            "--json",
        ],
        &["doctor", "--json"],
        &["train", "run.toml", "-o", "run", "--json"],
        &[
            "sweep", "run.toml", "--vary", "seed=1,2", "-o", "sweep", "--json",
        ],
        &[
            "eval",
            training::BASE,
            "--adapter",
            "run/adapter.tlora",
            "--data",
            "eval.jsonl",
            "--config",
            "run.toml",
            "--samples",
            "2",
            "--json",
        ],
    ];
    let document =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    for arguments in arguments {
        let json: Value = serde_json::from_str(&scratch.done(arguments).stdout).unwrap();
        assert_eq!(json["version"], 1);
        let mut names = BTreeSet::new();
        member_names(&json, &mut names);
        for name in names {
            let mentioned = [format!("`{name}`"), format!(".{name}`")]
                .iter()
                .any(|text| document.contains(text));
            assert!(
                mentioned,
                "docs/json.md does not mention {name} of {arguments:?}"
            );
        }
    }
}

#[test]
fn the_record_beside_the_weights_is_what_is_printed() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let printed = scratch
        .done(&["merge", "base", "adapter.tlora", "-o", "out", "--json"])
        .stdout;
    assert_eq!(
        printed,
        fs_err::read_to_string(scratch.path("out/tlora-merge.json")).unwrap()
    );
}
