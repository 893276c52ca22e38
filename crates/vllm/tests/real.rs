//! The client against real servers, which a test does not start: `TLORA_TEST_VLLM_URLS` has their addresses (with commas), all with the
//! same base in f32 and `--enable-lora`, and `TLORA_TEST_VLLM_ADAPTER` the directory of an adapter that changes it. Without them it does nothing.
//! More, if they are set: `TLORA_TEST_VLLM_PROCESSED` for servers with processed log-probabilities; `TLORA_TEST_VLLM_KILL`, a command that
//! ends one of several servers and is run in the middle of a step; `TLORA_TEST_VLLM_MERGED_URLS`, servers in developer mode without adapters, with
//! `TLORA_TEST_VLLM_BASE` and `TLORA_TEST_VLLM_MERGED`, the checkpoint that they have and one that takes its place.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use fs_err as fs;
use tlora_vllm::{
    Connect, Fleet, FleetSettings, MergedDirectory, Need, Prompt, Sampling, SyncProof, Version,
    sample_seed,
};

const PROBE: [u32; 12] = [
    504, 3575, 282, 4649, 314, 7042, 28, 284, 260, 3575, 282, 314,
];

#[test]
fn real_servers_are_probed_published_to_and_sampled() {
    let (Ok(urls), Ok(adapter)) = (
        env::var("TLORA_TEST_VLLM_URLS"),
        env::var("TLORA_TEST_VLLM_ADAPTER"),
    ) else {
        return;
    };
    let processed = env::var("TLORA_TEST_VLLM_PROCESSED").is_ok();
    let settings = FleetSettings {
        servers: urls.split(',').map(ToOwned::to_owned).collect(),
        model: None,
        name: format!("test-{}", std::process::id()),
        concurrency: 8,
        connect: Connect::default(),
    };
    let mut need = Need {
        adapter_rank: Some(2),
        merged: true,
        processed,
        token: PROBE[0],
    };
    let (mut fleet, probe) = Fleet::connect(&settings, &need).unwrap();
    eprintln!("{}\n{:#?}", probe.line, probe.servers);
    if !processed {
        need.processed = true;
        eprintln!("{}", Fleet::connect(&settings, &need).unwrap_err());
    }

    let place = tempfile::tempdir_in(env::temp_dir()).unwrap();
    for step in 1..=4 {
        let directory = place.path().join(fleet.model_of(step));
        fs::create_dir(&directory).unwrap();
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(Path::new(&adapter).join(name), directory.join(name)).unwrap();
        }
        eprintln!("{:?}", fleet.publish(step, &directory).unwrap());
        eprintln!("{:?}", fleet.retire(2));
    }
    let base = first(&fleet, Version::Base, &PROBE);
    let moved = first(&fleet, Version::Step(4), &PROBE);
    let proof = SyncProof {
        before: Version::Base,
        after: Version::Step(4),
        tokens: &PROBE,
        learner_before: &base,
        learner_after: &moved,
        tolerance: 1e-3,
    };
    let checks = fleet.verify_sync(&proof).unwrap();
    eprintln!("{checks:?}");
    assert!(checks.iter().all(|check| check.decided));
    let unmoved = SyncProof {
        before: Version::Step(3),
        ..proof
    };
    eprintln!("{}", fleet.verify_sync(&unmoved).unwrap_err());

    let prompts: Vec<Prompt> = (1..=4)
        .map(|length| {
            let id = format!("problem {length}");
            Prompt {
                tokens: PROBE[..length].to_vec(),
                seeds: (0..4)
                    .map(|sample| sample_seed(42, 1, &id, sample))
                    .collect(),
                id,
            }
        })
        .collect();
    let sampling = Sampling {
        temperature: if processed { 0.7 } else { 1.0 },
        top_p: 1.0,
        top_k: 0,
        max_new_tokens: 12,
        stop: vec![0, 2],
        scored: true,
    };
    let generated = fleet
        .generate(&prompts, &sampling, fleet.current(), &mut |_, _| {})
        .unwrap();
    eprintln!("{:?}\n{:?}", generated.samples[0][0], generated.servers);
    let again = fleet
        .generate(&prompts, &sampling, fleet.current(), &mut |_, _| {})
        .unwrap();
    let equal = generated
        .samples
        .iter()
        .flatten()
        .zip(again.samples.iter().flatten());
    let equal = equal
        .filter(|(left, right)| left.tokens == right.tokens)
        .count();
    eprintln!("{equal} of 16 samples have the same tokens the second time");
    if processed {
        return;
    }
    // A sample is scored with what it was drawn with.
    let mut worst = 0.0_f32;
    for (prompt, samples) in prompts.iter().zip(&generated.samples) {
        let sample = &samples[0];
        let whole = [prompt.tokens.clone(), sample.tokens.clone()].concat();
        let scores = first(&fleet, fleet.current(), &whole);
        let scores = &scores[prompt.tokens.len() - 1..];
        assert_eq!(scores.len(), sample.log_probs.len());
        let pairs = sample.log_probs.iter().zip(scores);
        worst = pairs
            .map(|(left, right)| (left - right).abs())
            .fold(worst, f32::max);
    }
    eprintln!("drawn and scored differ by {worst} at most");
    assert!(worst < 1e-3);
    if let Ok(command) = env::var("TLORA_TEST_VLLM_KILL") {
        kill(&mut fleet, &prompts, &sampling, command);
    }
}

/// What the first server says.
fn first(fleet: &Fleet, version: Version, tokens: &[u32]) -> Vec<f32> {
    fleet.scores(version, tokens).unwrap().swap_remove(0).1
}

/// One server ends while it samples.
fn kill(fleet: &mut Fleet, prompts: &[Prompt], sampling: &Sampling, command: String) {
    let sampling = Sampling {
        max_new_tokens: 64,
        ..sampling.clone()
    };
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        Command::new("sh").args(["-c", &command]).status().unwrap();
    });
    let generated = fleet
        .generate(prompts, &sampling, fleet.current(), &mut |_, _| {})
        .unwrap();
    killer.join().unwrap();
    eprintln!("{:?}", generated.servers);
    assert_eq!(fleet.lost().count(), 1);
    assert!(generated.samples.iter().all(|samples| samples.len() == 4));
    let alive = fleet
        .generate(prompts, &sampling, fleet.current(), &mut |_, _| {})
        .unwrap();
    let same = generated
        .samples
        .iter()
        .flatten()
        .zip(alive.samples.iter().flatten());
    let same = same
        .filter(|(left, right)| left.tokens == right.tokens)
        .count();
    eprintln!("{same} of 16 samples have the same tokens where one server draws all");
}

#[test]
fn real_servers_reload_a_merged_checkpoint() {
    let variables = ["URLS", "BASE", "MERGED"].map(|name| match name {
        "URLS" => env::var("TLORA_TEST_VLLM_MERGED_URLS"),
        name => env::var(format!("TLORA_TEST_VLLM_{name}")),
    });
    let [Ok(urls), Ok(base), Ok(merged)] = variables else {
        return;
    };
    let settings = FleetSettings {
        servers: urls.split(',').map(ToOwned::to_owned).collect(),
        model: None,
        name: "test".to_owned(),
        concurrency: 8,
        connect: Connect::default(),
    };
    let mut need = Need {
        adapter_rank: Some(2),
        merged: false,
        processed: false,
        token: PROBE[0],
    };
    eprintln!("{}", Fleet::connect(&settings, &need).unwrap_err());
    need.merged = true;
    let (mut fleet, probe) = Fleet::connect(&settings, &need).unwrap();
    eprintln!("{}", probe.line);
    let before = first(&fleet, Version::Base, &PROBE);
    let directory = MergedDirectory::verify(Path::new(&merged), Path::new(&base)).unwrap();
    eprintln!("{:?}", fleet.reload(1, &directory).unwrap());
    let after = first(&fleet, Version::Step(1), &PROBE);
    assert_ne!(before, after);
    let directory = MergedDirectory::verify(Path::new(&base), Path::new(&base)).unwrap();
    fleet.reload(2, &directory).unwrap();
    assert_eq!(before, first(&fleet, Version::Step(2), &PROBE));
}
