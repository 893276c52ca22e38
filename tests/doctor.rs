//! `tlora doctor` as a command, on the processor.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use serde_json::Value;
use support::Scratch;

/// What a user attaches to a report: the machine, and every check with its number and bound.
#[test]
fn this_machine_is_well_and_says_so() {
    let scratch = Scratch::new();
    let text = scratch.done(&["doctor", "--device", "cpu"]).stdout;
    let json = scratch
        .done(&["doctor", "--device", "cpu", "--json"])
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["holds"], true);
    assert_eq!(json["device"], "CPU, float32");
    assert!(text.contains(json["instructions"].as_str().unwrap()));
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "logits",
            "gradient",
            "greedy",
            "sampler-learner",
            "packing",
            "repeat"
        ]
    );
    for check in checks {
        assert!(check["found"].as_f64().unwrap() <= check["bound"].as_f64().unwrap());
        assert!(
            text.contains(&format!("ok      {}", check["name"].as_str().unwrap())),
            "{text}"
        );
    }
    // f32 was compared with something that it is not.
    assert!(
        checks[0]["found"].as_f64().unwrap() > 0.0 && checks[1]["found"].as_f64().unwrap() > 0.0
    );
    assert!(json["mismatch"][0]["tokens"].as_u64().unwrap() > 100);
    assert!(!text.contains("file") && !text.contains(scratch.path("").to_str().unwrap()));
}

/// Without a GPU that can be used, `auto` is the processor, and `cuda` is an error that says what is missing.
#[test]
fn a_gpu_that_is_not_there_is_an_error_only_where_it_is_asked_for() {
    let scratch = Scratch::new();
    assert!(
        scratch
            .done(&["doctor"])
            .stdout
            .contains("device         CPU, float32")
    );
    let commands: [&[&str]; 2] = [
        &["doctor", "--device", "cuda"],
        &["train", "run.toml", "--device", "cuda", "-o", "run"],
    ];
    support::training::problems(&scratch.path(""));
    for command in commands {
        let ended = scratch.tlora(command);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("model.device is cuda"), "{ended:?}");
        assert!(ended.stderr.contains("hint: "), "{ended:?}");
    }
    assert!(!scratch.path("run").exists());
    let halves = [
        "train",
        "run.toml",
        "--set",
        "model.dtype=bfloat16",
        "-o",
        "run",
    ];
    let ended = scratch.tlora(&halves);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("model.dtype is bfloat16"),
        "{ended:?}"
    );
}
