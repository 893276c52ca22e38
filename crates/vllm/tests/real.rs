//! The client against real servers, which a test does not start: `TLORA_TEST_VLLM_URLS` has their addresses (with commas), all with the
//! same base in f32 and `--enable-lora`, and `TLORA_TEST_VLLM_ADAPTER` the directory of an adapter that changes it. Without them it does nothing.

use std::env;
use std::path::Path;

use fs_err as fs;
use tlora_vllm::{
    Connect, Fleet, FleetSettings, Need, Prompt, Sampling, SyncProof, Version, sample_seed,
    write_versioned,
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
    let copy = |path: &Path| {
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(Path::new(&adapter).join(name), path.join(name))?;
        }
        Ok::<(), std::io::Error>(())
    };
    for step in 1..=4 {
        let directory = write_versioned(place.path(), &settings.name, step, copy).unwrap();
        eprintln!("{:?}", fleet.publish(step, &directory).unwrap());
        eprintln!("{:?}", fleet.retire(2));
    }
    let base = fleet.score(Version::Base, &PROBE).unwrap();
    let moved = fleet.score(Version::Step(4), &PROBE).unwrap();
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
    let same = |left: &[u32], right: &[u32]| left == right;
    let equal = generated
        .samples
        .iter()
        .flatten()
        .zip(again.samples.iter().flatten());
    let equal = equal
        .filter(|(left, right)| same(&left.tokens, &right.tokens))
        .count();
    eprintln!("{equal} of 16 samples have the same tokens the second time");
    if processed {
        return;
    }
    // A sample is scored with what it was drawn with.
    let sample = &generated.samples[3][0];
    let whole = [prompts[3].tokens.clone(), sample.tokens.clone()].concat();
    let scores = fleet.score(fleet.current(), &whole).unwrap();
    let pairs = sample
        .log_probs
        .iter()
        .zip(&scores[prompts[3].tokens.len() - 1..]);
    let worst = pairs
        .map(|(left, right)| (left - right).abs())
        .fold(0.0, f32::max);
    eprintln!("drawn and scored differ by {worst} at most");
    assert!(worst < 1e-3);
}
