//! `tlora train` as a command: the same bytes twice, the same bytes after being killed, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::training::{BASE, assert_same, files, log, run, small_run, succeed, train};

#[test]
fn two_runs_leave_the_same_bytes_whatever_the_threads() {
    let at = small_run();
    succeed(at.path(), &["run.toml", "-o", "first", "--threads", "1"]);
    succeed(at.path(), &["run.toml", "-o", "second", "--threads", "3"]);
    assert_same(&at.path().join("first"), &at.path().join("second"));
    let metrics = fs_err::read_to_string(at.path().join("first/metrics.jsonl")).unwrap();
    let metrics: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(metrics.len(), 10);
    for line in &metrics {
        assert!(
            line["v_change"].as_f64().unwrap() > 0.0,
            "v did not move: {line}"
        );
        // The sampler and the learner are one model with one order of operations.
        assert!(
            line["ratio_min"].as_f64().unwrap() > 0.5 && line["kl"].as_f64().unwrap() > 0.0,
            "{line}"
        );
    }
    assert_eq!(metrics[0]["version"], 1);
    let evaluations = fs_err::read_to_string(at.path().join("first/evaluations.jsonl")).unwrap();
    // At steps 0, 4, 8 and 10, greedy and sampled, strict and lenient.
    assert_eq!(evaluations.lines().count(), 16);
}

/// Bytes of the logs of a run, which grow with every step and evaluation.
fn size(run: &Path) -> u64 {
    let logs = ["metrics.jsonl", "samples.jsonl", "evaluations.jsonl"];
    let bytes = |log| fs_err::metadata(run.join(log)).map_or(0, |log| log.len());
    logs.map(bytes).iter().sum()
}

#[test]
fn a_run_that_is_killed_and_resumed_leaves_the_bytes_of_one_that_was_not() {
    let at = small_run();
    succeed(at.path(), &["run.toml", "-o", "whole"]);
    let all = size(&at.path().join("whole"));
    let mut kills = 0;
    // Seeded points of what a whole run writes, whatever time it takes; most resumed runs are killed again.
    let mut seed = 7_u64;
    for round in 0..6 {
        let name = format!("killed-{round}");
        let killed = at.path().join(&name);
        for attempt in 0..40 {
            let resumable = killed.join("checkpoints").exists()
                && fs_err::read_dir(killed.join("checkpoints"))
                    .unwrap()
                    .any(|entry| entry.unwrap().path().join("state.json").exists());
            if killed.exists() && !resumable {
                fs_err::remove_dir_all(&killed).unwrap();
            }
            let mut arguments = vec!["-o", &name];
            arguments.push(if resumable { "--resume" } else { "run.toml" });
            let mut child = train(at.path(), &arguments)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // The last attempts are left alone, so that every run ends.
            if attempt < 4 {
                let left = all.saturating_sub(size(&killed));
                let point = size(&killed) + ((left * (seed >> 40)) >> 24);
                while size(&killed) < point && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_micros(500));
                }
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    kills += 1;
                }
            }
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            assert!(attempt < 39 && status.code().is_none(), "{name}: {status}");
        }
        assert_same(&at.path().join("whole"), &killed);
    }
    assert!(kills >= 5, "{kills} kills only");
}

#[test]
fn fine_tuning_makes_the_solutions_likelier() {
    let at = small_run();
    let problem = |i: usize| {
        format!(
            "{{\"question\": \"Ann has {i} eggs and sells 2.\", \"answer\": \"{i}-2={}\\n#### {}\"}}\n",
            i - 2,
            i - 2
        )
    };
    let lines: String = (11..15).map(problem).collect();
    fs_err::write(at.path().join("solved.jsonl"), lines).unwrap();
    let settings = [
        "method=sft",
        "loss.beta=0",
        "adapter.init=0",
        "update.updates_per_step=1",
        "rollout.max_new_tokens=16",
        "optimizer.lr=5e-3",
        "reward.verifier={kind=\"gsm8k\"}",
    ];
    let mut arguments = vec!["run.toml", "-o", "sft", "--train", "solved.jsonl"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    // Problems of the held-out file are no more than evaluated.
    succeed(at.path(), &arguments);
    // Every step has the same four solutions, so the mean log-probability has no noise in it.
    let log_probs: Vec<f64> = log(&at.path().join("sft"), "metrics.jsonl")
        .iter()
        .map(|line| line["log_prob"].as_f64().unwrap())
        .collect();
    assert!(
        log_probs.last().unwrap() - log_probs[0] > 0.01,
        "{log_probs:?}"
    );
    let samples = log(&at.path().join("sft"), "samples.jsonl");
    assert_eq!(samples.len(), 4 * 10);
    for sample in samples {
        let completion = sample["completion"].as_str().unwrap();
        assert!(
            completion.contains("-2=") && sample["strict"] == 1.0,
            "{sample}"
        );
    }
    arguments.extend(["--set", "rollout.resample=1"]);
    arguments[2] = "refused";
    let output = run(at.path(), &arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("rollout.resample"), "{text}");
}

#[test]
#[cfg(unix)]
fn an_interruption_finishes_the_step_and_saves() {
    let at = small_run();
    let settings = ["--set", "steps=40", "--set", "checkpoint.every=1000"];
    succeed(
        at.path(),
        &[&["run.toml", "-o", "whole"], &settings[..]].concat(),
    );
    let mut child = train(
        at.path(),
        &[&["run.toml", "-o", "stopped"], &settings[..]].concat(),
    )
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    let metrics = at.path().join("stopped/metrics.jsonl");
    while !fs_err::read_to_string(&metrics).is_ok_and(|text| text.lines().count() >= 3) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(2));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    let result: serde_json::Value =
        serde_json::from_slice(&fs_err::read(at.path().join("stopped/result.json")).unwrap())
            .unwrap();
    assert_eq!(result["ending"], "interrupted");
    // No checkpoint was due; the one that it goes on from is of the step that was finished.
    let step = result["step"].as_u64().unwrap();
    assert!((3..40).contains(&step), "{step}");
    assert_eq!(
        log(&at.path().join("stopped"), "metrics.jsonl").len() as u64,
        step
    );
    assert!(
        at.path()
            .join(format!("stopped/checkpoints/step-{step}/state.json"))
            .exists()
    );
    succeed(at.path(), &["-o", "stopped", "--resume"]);
    fs_err::remove_dir_all(at.path().join("whole/checkpoints")).unwrap();
    fs_err::remove_dir_all(at.path().join("stopped/checkpoints")).unwrap();
    assert_same(&at.path().join("whole"), &at.path().join("stopped"));
}

#[test]
fn a_run_whose_kl_grows_too_large_ends_and_says_so() {
    let at = small_run();
    let output = run(
        at.path(),
        &["run.toml", "-o", "run", "--set", "guard.max_kl=1e-6"],
    );
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("guard.max_kl") && text.contains("optimizer.lr"),
        "{text}"
    );
    // The step that was too much is in the log, and no adapter was written.
    let metrics = log(&at.path().join("run"), "metrics.jsonl");
    assert!(metrics.last().unwrap()["kl"].as_f64().unwrap() > 1e-6);
    assert!(!at.path().join("run/adapter.tlora").exists());
    assert!(
        at.path()
            .join("run/checkpoints/step-0/adapter.tlora")
            .exists()
    );
}

#[test]
fn the_run_directory_can_be_attested() {
    let at = small_run();
    succeed(at.path(), &["run.toml", "-o", "run"]);
    let output = Command::new(env!("CARGO_BIN_EXE_tlora"))
        .args(["attest", "run/adapter.tlora", "--run", "run"])
        .current_dir(at.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // A build outside of a repository knows no commit, and says so.
    let unknown_commit = !at.path().join("run/provenance.json").exists();
    assert!(unknown_commit || output.status.success(), "{text}");
}

#[test]
fn what_cannot_be_right_is_refused_before_anything_is_written() {
    let at = small_run();
    for (arguments, wanted) in [
        (vec!["run.toml", "--set", "optimizer.rl=1"], "rl"),
        (
            vec!["run.toml", "--set", "rollout.temperature=0"],
            "rollout.temperature",
        ),
        (
            vec!["run.toml", "--set", "prompt.text=hello"],
            "prompt.text",
        ),
        (
            vec!["run.toml", "--set", "reward.verifier={kind=\"oracle\"}"],
            "oracle",
        ),
        (vec!["run.toml", "--preset", "none"], "paper-gsm8k"),
        (
            vec!["run.toml", "--train", "missing.jsonl"],
            "missing.jsonl",
        ),
        (vec!["run.toml", "--resume"], "no checkpoint"),
        (vec!["missing.toml"], "missing.toml"),
    ] {
        let output = run(at.path(), &[&arguments[..], &["-o", "out"]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(wanted), "{arguments:?}: {text}");
        assert!(!at.path().join("out").exists(), "{arguments:?}");
    }
    let bad = [
        ("{\"question\": \"q\"}", "answer"),
        ("{\"question\": \"q\", \"answer\": \"  \"}", "gold"),
        (
            "{\"id\": 1, \"question\": \"q\", \"answer\": \"2\"}\n{\"id\": 1, \"question\": \"r\", \"answer\": \"2\"}",
            "twice",
        ),
        ("not json", "line 1"),
        ("", "no problems"),
    ];
    for (lines, wanted) in bad {
        fs_err::write(at.path().join("bad.jsonl"), lines).unwrap();
        let output = run(
            at.path(),
            &["run.toml", "--train", "bad.jsonl", "-o", "out"],
        );
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{lines}: {text}");
        assert!(text.contains(wanted), "{lines}: {text}");
        assert!(!at.path().join("out").exists(), "{lines}");
    }
}

#[test]
fn another_run_is_not_resumed_and_an_existing_one_not_replaced() {
    let at = small_run();
    succeed(at.path(), &["run.toml", "-o", "run", "--set", "steps=2"]);
    let before = files(&at.path().join("run"));
    let again = run(at.path(), &["run.toml", "-o", "run"]);
    assert_eq!(again.status.code(), Some(2));
    let other = run(
        at.path(),
        &["run.toml", "-o", "run", "--resume", "--set", "seed=4"],
    );
    assert_eq!(other.status.code(), Some(1));
    assert!(
        before == files(&at.path().join("run")),
        "the run was changed"
    );
}

#[test]
fn an_evaluation_counts_strictly_and_leniently() {
    let at = small_run();
    let output = Command::new(env!("CARGO_BIN_EXE_tlora"))
        .args([
            "eval",
            BASE,
            "--data",
            "eval.jsonl",
            "--config",
            "run.toml",
            "--samples",
            "3",
            "--json",
            "-o",
            "items.jsonl",
        ])
        .env("CUDA_VISIBLE_DEVICES", "")
        .current_dir(at.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["problems"], 6);
    assert_eq!(found["results"][1]["samples"], 3);
    let items = fs_err::read_to_string(at.path().join("items.jsonl")).unwrap();
    // One greedy and three sampled completions of six problems.
    assert_eq!(items.lines().count(), 24);
    let right = items
        .lines()
        .filter(|line| line.contains("\"strict\":1.0") && line.contains("greedy"))
        .count();
    assert_eq!(
        found["results"][0]["result"]["strict"]["right"],
        right as f64
    );
}
