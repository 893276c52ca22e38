//! What samples depend on, and that the learner says the same of them as the sampler did.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use tlora_format::SigmaSide;
use tlora_merge::Groups;
use tlora_model::{Compute, Generator, Learner, PromptGroup, Request, Sample, Sampling, Steering};

use support::{adapted, adapter, checkpoint, numbers, sampling};

const PROMPTS: [&[u32]; 5] = [
    &[3, 1, 4],
    &[1],
    &[5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2],
    &[7, 7],
    &[1, 2, 3, 4, 5],
];

fn requests(order: &[usize], samples: usize) -> Vec<Request<'static>> {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    order
        .iter()
        .map(|&i| Request {
            id: NAMES[i],
            prompt: PROMPTS[i],
            samples,
            adapter: 0,
        })
        .collect()
}

fn bits(samples: &[Sample]) -> Vec<(Vec<u32>, Vec<u32>, bool)> {
    samples
        .iter()
        .map(|s| {
            (
                s.tokens.clone(),
                s.log_probs.iter().map(|x| x.to_bits()).collect(),
                s.truncated,
            )
        })
        .collect()
}

#[test]
fn a_sample_does_not_depend_on_what_else_is_in_the_batch() {
    for case in ["qwen2", "mistral-window", "qwen3"] {
        let checkpoint = checkpoint(case);
        let adapter = adapter(&checkpoint, 3, Groups::One, SigmaSide::Left);
        let (decoder, projections) = adapted(&checkpoint, &adapter, Compute::F32);
        let steering = projections.steering(&numbers(3, 0.3));
        let generate = |slots, order: &[usize], threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                Generator::new(&decoder, slots)
                    .generate(&requests(order, 6), &sampling(), Some(&steering), |_| ())
                    .unwrap()
            })
        };
        let order = [0, 1, 2, 3, 4];
        let expected = generate(64, &order, 1);
        assert!(expected.iter().flatten().any(|s| s.truncated));
        assert!(expected.iter().flatten().any(|s| !s.truncated));
        for (slots, threads) in [(1, 1), (3, 2), (7, 3), (30, 2)] {
            let found = generate(slots, &order, threads);
            for (a, b) in expected.iter().zip(&found) {
                assert_eq!(bits(a), bits(b), "{case}, {slots} slots");
            }
        }
        let reversed = generate(4, &[4, 3, 2, 1, 0], 2);
        for (a, b) in expected.iter().zip(reversed.iter().rev()) {
            assert_eq!(bits(a), bits(b), "{case}, another order");
        }
    }
}

/// Adapters that share a batch: each request's samples are those that its adapter draws alone.
#[test]
fn several_adapters_in_a_batch_are_what_each_is_alone() {
    let checkpoint = checkpoint("qwen2");
    let adapter = adapter(&checkpoint, 3, Groups::Untied, SigmaSide::Left);
    let (decoder, projections) = adapted(&checkpoint, &adapter, Compute::F32);
    let count = projections.values();
    let all = [vec![0.0; count], numbers(count, 0.3), numbers(count, -0.5)];
    let generate = |requests: &[Request<'_>], steering: &Steering| {
        Generator::new(&decoder, 7)
            .generate(requests, &sampling(), Some(steering), |_| ())
            .unwrap()
    };
    let mut mixed = requests(&[0, 1, 2, 3, 4, 0, 1, 2, 0], 3);
    for (request, adapter) in mixed.iter_mut().zip([0, 1, 2].into_iter().cycle()) {
        request.adapter = adapter;
    }
    // The same prompt and random numbers under all three adapters, at 0, 5 and 8.
    mixed[8].adapter = 1;
    let together = projections.steerings(all.iter().map(Vec::as_slice));
    let found = generate(&mixed, &together);
    assert_ne!(
        bits(&found[0]),
        bits(&found[5]),
        "adapters that do nothing prove nothing"
    );
    assert_ne!(bits(&found[5]), bits(&found[8]));
    for (request, found) in mixed.iter().zip(&found) {
        let alone = projections.steering(&all[request.adapter as usize]);
        let request = Request {
            adapter: 0,
            ..*request
        };
        let expected = generate(&[request], &alone);
        assert_eq!(bits(&expected[0]), bits(found));
    }
    mixed[4].adapter = 3;
    let refused =
        Generator::new(&decoder, 7).generate(&mixed, &sampling(), Some(&together), |_| ());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the adapter of a request is 3 for e")
    );
}

#[test]
fn the_learner_gives_the_log_probabilities_of_the_sampler_bit_for_bit() {
    for case in ["qwen2-bf16", "llama3", "mistral-window"] {
        let checkpoint = checkpoint(case);
        let adapter = adapter(&checkpoint, 2, Groups::Untied, SigmaSide::Split);
        let (decoder, projections) = adapted(&checkpoint, &adapter, Compute::F32);
        let steering = projections.steering(&numbers(projections.values(), 0.2));
        let requests = requests(&[0, 2, 4], 4);
        let samples = Generator::new(&decoder, 5)
            .generate(&requests, &sampling(), Some(&steering), |_| ())
            .unwrap();
        let groups: Vec<PromptGroup<'_>> = requests
            .iter()
            .zip(&samples)
            .map(|(request, samples)| PromptGroup {
                prompt: request.prompt,
                completions: samples.iter().map(|s| &*s.tokens).collect(),
            })
            .collect();
        let scores = Learner::new(&decoder, &projections)
            .scores(&groups, Some(&steering), sampling().temperature)
            .unwrap();
        for (sample, scores) in samples.iter().flatten().zip(&scores) {
            let sampler: Vec<f64> = sample.log_probs.iter().map(|&x| f64::from(x)).collect();
            let learner: Vec<f64> = scores.iter().map(|s| s.log_prob).collect();
            assert_eq!(sampler, learner, "{case}");
        }
    }
}

#[test]
fn top_k_of_one_is_greedy_and_certain() {
    let checkpoint = checkpoint("qwen2");
    let decoder = tlora_model::Decoder::load(&checkpoint, Compute::F32, |_| ()).unwrap();
    let generator = Generator::new(&decoder, 4);
    let generate = |sampling: &Sampling| {
        generator
            .generate(&requests(&[0, 2], 2), sampling, None, |_| ())
            .unwrap()
    };
    let first = generate(&Sampling {
        top_k: 1,
        ..sampling()
    });
    let greedy = generate(&Sampling::greedy(12, sampling().stop));
    for (a, b) in first.iter().flatten().zip(greedy.iter().flatten()) {
        assert_eq!(a.tokens, b.tokens);
        // Only one token is left: its renormalised log-probability is 0.
        assert!(
            a.log_probs.iter().all(|x| x.abs() < 1e-6),
            "{:?}",
            a.log_probs
        );
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let checkpoint = checkpoint("qwen2");
    let decoder = tlora_model::Decoder::load(&checkpoint, Compute::F32, |_| ()).unwrap();
    let count = 4000;
    let one = Sampling {
        max_new_tokens: 1,
        ..sampling()
    };
    let samples = Generator::new(&decoder, 64)
        .generate(&requests(&[0], count), &one, None, |_| ())
        .unwrap();
    let logits = decoder.sequence_logits(PROMPTS[0], None).unwrap();
    let last = &logits[logits.len() - decoder.config().vocabulary..];
    let weights: Vec<f64> = last.iter().map(|&x| (f64::from(x) / 0.9).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut squared = 0.0;
    for (token, weight) in weights.iter().enumerate() {
        let expected = count as f64 * weight / total;
        let found = samples[0]
            .iter()
            .filter(|s| s.tokens[0] as usize == token)
            .count() as f64;
        squared += (found - expected).powi(2) / expected;
    }
    // Chi-squared with one degree of freedom less than tokens: its mean and five standard deviations.
    let freedom = (weights.len() - 1) as f64;
    assert!(
        squared < freedom + 5.0 * (2.0 * freedom).sqrt(),
        "{squared}"
    );
}
