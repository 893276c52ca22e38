//! `tlora sweep` as a command: the runs are those of `tlora train`, what is done is not done again, and the table is of what they left.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use support::training::{assert_same, command, files, log, small_run, succeed};

const ARGUMENTS: [&str; 9] = [
    "run.toml",
    "--vary",
    "adapter.u,adapter.groups=1:1,2:3",
    "--vary",
    "seed=1,2",
    "--set",
    "steps=2",
    "-o",
    "sweep",
];

#[test]
fn its_runs_are_those_of_train_and_are_made_once() {
    let at = small_run();
    let sweep = |more: &[&str]| {
        let arguments = [&ARGUMENTS[..], more].concat();
        let output = command(at.path(), "sweep", &arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(sweep(&["--dry-run"]).matches("new").count(), 4);
    assert!(!at.path().join("sweep").exists());
    let first = sweep(&["--json"]);
    let alone = [
        "run.toml",
        "-o",
        "alone",
        "--set",
        "adapter.u=2",
        "--set",
        "adapter.groups=3",
        "--set",
        "seed=2",
        "--set",
        "steps=2",
    ];
    succeed(at.path(), &alone);
    let directory = at.path().join("sweep");
    let third = directory.join("u=2,groups=3,seed=2");
    assert_same(&at.path().join("alone"), &third);
    // One that was interrupted after its checkpoint, one before.
    let before = files(&directory);
    fs_err::remove_file(third.join("result.json")).unwrap();
    fs_err::remove_file(third.join("adapter.tlora")).unwrap();
    let early = directory.join("u=1,groups=1,seed=1");
    fs_err::remove_file(early.join("result.json")).unwrap();
    fs_err::remove_dir_all(early.join("checkpoints")).unwrap();
    let listed = sweep(&["--dry-run"]);
    let words = ["new", "finished", "finished", "interrupted"];
    for (line, word) in listed.lines().zip(words) {
        assert!(line.starts_with(word), "{listed}");
    }
    assert_eq!(first, sweep(&["--json"]));
    let after = files(&directory);
    // A run that goes on has one more file for TensorBoard.
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        let names = files.keys().cloned();
        names
            .filter(|name| !name.to_string_lossy().contains("tensorboard"))
            .collect()
    };
    assert_eq!(names(&before), names(&after));
    assert!(first == fs_err::read_to_string(directory.join("sweep.json")).unwrap());
    assert!(
        sweep(&["--dry-run"])
            .lines()
            .all(|line| line.starts_with("finished"))
    );
    check_the_table(&directory, &serde_json::from_str(&first).unwrap());
    let page = fs_err::read_to_string(directory.join("sweep.html")).unwrap();
    for name in ["u=1,groups=1,seed=1", "u=2,groups=3,seed=2"] {
        assert!(page.contains(name), "{name} is not in the page");
    }
    let shown = sweep(&[]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    let csv = fs_err::read_to_string(directory.join("sweep.csv")).unwrap();
    // Four runs, greedy and sampled, strict and lenient, and the names of the columns.
    assert_eq!(csv.lines().count(), 17);
    assert!(
        csv.contains("\"u=2,groups=3,seed=2\",2,3,2,6,complete,greedy-strict,6,"),
        "{csv}"
    );
}

/// The means are those of the logs.
fn check_the_table(directory: &std::path::Path, json: &Value) {
    assert_eq!(json["groups"].as_array().unwrap().len(), 2);
    assert_eq!(json["groups"][0]["seeds"], 2);
    let parameters: Vec<&Value> = json["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["parameters"])
        .collect();
    assert_eq!(parameters, [1, 1, 6, 6]);
    let last = |name: &str, score: &str| {
        let lines = log(&directory.join(name), "evaluations.jsonl");
        let line = lines.iter().rfind(|line| line["name"] == score).unwrap();
        assert_eq!(line["step"], 2);
        line["score"].as_f64().unwrap()
    };
    for (number, score) in [
        "greedy-strict",
        "greedy-lenient",
        "sampled-strict",
        "sampled-lenient",
    ]
    .iter()
    .enumerate()
    {
        let values = [1, 2].map(|seed| last(&format!("u=2,groups=3,seed={seed}"), score));
        let found = &json["groups"][1]["scores"][number];
        assert_eq!(found["name"], *score);
        let (mean, half) = ((values[0] + values[1]) / 2.0, (values[0] - values[1]) / 2.0);
        assert!((found["after"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
        // Of two values the sample deviation is their difference by the root of 2.
        let deviation = (2.0 * half * half).sqrt();
        assert!((found["after"]["deviation"].as_f64().unwrap() - deviation).abs() < 1e-12);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_the_first_run() {
    let at = small_run();
    for (vary, wanted) in [
        (&["--vary", "seed"][..], "KEY=V1,V2"),
        (&["--vary", "optimizer.rl=1,2"], "rl"),
        (&["--vary", "rollout.temperature=1,0"], "temperature=0"),
        (&["--vary", "seed=1", "--vary", "seed=2"], "varied twice"),
        (
            &["--vary", "adapter.u,adapter.groups=1"],
            "1 values for 2 names",
        ),
    ] {
        let arguments = [&["run.toml", "-o", "out"], vary].concat();
        let output = command(at.path(), "sweep", &arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{vary:?}: {text}");
        assert!(text.contains(wanted), "{vary:?}: {text}");
        assert!(!at.path().join("out").exists(), "{vary:?}");
    }
    // Another sweep's run of the same name is not taken for one of this.
    let sweep = |steps: &str| {
        let arguments = ["run.toml", "-o", "out", "--vary", "seed=1", "--set", steps];
        command(at.path(), "sweep", &arguments).output().unwrap()
    };
    assert!(sweep("steps=1").status.success());
    let before = files(&at.path().join("out"));
    let output = sweep("steps=2");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("other settings"), "{text}");
    assert!(before == files(&at.path().join("out")), "a run was changed");
}

#[test]
fn a_run_that_fails_says_why_and_the_others_go_on() {
    let at = small_run();
    // The KL of one update is more than the second value and less than the third.
    let arguments = [
        "run.toml",
        "-o",
        "sweep",
        "--vary",
        "guard.max_kl=0,1e-12,1e9",
        "--set",
        "steps=1",
        "--json",
    ];
    let output = command(at.path(), "sweep", &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let endings = [0, 1, 2].map(|run| json["runs"][run]["ending"].clone());
    assert_eq!(endings, ["complete", "failed", "complete"]);
    let page = fs_err::read_to_string(at.path().join("sweep/sweep.html")).unwrap();
    assert_eq!(page.matches("failed: training diverged").count(), 1);
}
