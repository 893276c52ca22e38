//! The decoder on a device, which is emulated here: the kernels of the GPU, compiled for this machine, and everything that is
//! between them and the decoder. Expected is what this machine says in binary64, which other tests compare with transformers
//! and torch, on models with the widths of heads that real ones have.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use tlora_cuda::{Device, Storage};
use tlora_model::{
    Compute, Decoder, Generator, Learner, ModelConfig, Projections, PromptGroup, Request, RunSizes,
    Sample, Sampling,
};

use support::{adapted, checkpoint, numbers, partial_adapter, random, sampling, small};

fn device(storage: Storage) -> Compute {
    Compute::Cuda {
        device: Device::emulated(),
        storage,
    }
}

/// Heads that share keys, norms of heads, windows, an output head of its own, a vocabulary that is no multiple of anything.
fn models() -> [(&'static str, ModelConfig); 4] {
    let plain = ModelConfig {
        hidden: 48,
        intermediate: 72,
        layers: 3,
        heads: 6,
        head_dim: 12,
        vocabulary: 101,
        rope_theta: 1e4,
        tied: true,
        ..small()
    };
    let with = |change: fn(&mut ModelConfig)| {
        let mut config = plain.clone();
        change(&mut config);
        config
    };
    [
        (
            "head norms",
            with(|c| (c.head_norms, c.qkv_bias) = (true, false)),
        ),
        (
            "a window",
            with(|c| (c.sliding_window, c.first_window_layer) = (Some(5), 1)),
        ),
        (
            "no shared keys",
            with(|c| (c.kv_heads, c.tied, c.mlp_bias) = (6, false, true)),
        ),
        ("plain", plain),
    ]
}

fn made(config: &ModelConfig, compute: Compute) -> (Decoder, Projections) {
    random(config.clone(), 1).make(compute, |_| ()).unwrap()
}

/// After the tokens of the longest prompt, under an adapter.
fn logits(config: &ModelConfig, compute: Compute) -> Vec<f32> {
    let (decoder, projections) = made(config, compute);
    let steering = projections.steering(&[0.3, -0.2, 0.1]);
    decoder
        .sequence_logits(PROMPTS[2], Some(&steering))
        .unwrap()
}

const PROMPTS: [&[u32]; 3] = [
    &[3, 1, 4, 1, 5],
    &[1],
    &[5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2],
];

fn groups(completions: &[Vec<Vec<u32>>]) -> Vec<PromptGroup<'_>> {
    PROMPTS
        .iter()
        .zip(completions)
        .map(|(prompt, completions)| PromptGroup {
            prompt,
            completions: completions.iter().map(Vec::as_slice).collect(),
        })
        .collect()
}

/// Shared prompts, windows and head norms, several completions: scores and gradients of v against binary64 here.
#[test]
fn groups_that_share_prompts_have_the_gradient_of_this_machine() {
    let completions = [
        vec![
            vec![2, 7, 1, 8],
            vec![2],
            vec![8, 1, 8, 2, 8, 4, 5, 9, 0, 4],
        ],
        vec![vec![6, 6, 6, 2, 0, 7, 0, 1, 5]],
        vec![vec![1, 4], vec![4, 1, 4, 2, 1]],
    ];
    let tokens = completions.iter().flatten().flatten().count();
    for (case, config) in models() {
        let results = [Compute::F64, device(Storage::F32)].map(|compute| {
            let (decoder, projections) = made(&config, compute);
            let v = numbers(projections.values(), 0.3);
            let learner = Learner::new(&decoder, &projections);
            let (scores, gradient) = learner
                .gradient(
                    &groups(&completions),
                    &projections.steering(&v),
                    0.8,
                    |scores| {
                        let mut weights = numbers(tokens, 1.0).into_iter();
                        let weighted = scores
                            .iter()
                            .map(|s| weights.by_ref().take(s.len()).collect());
                        weighted.collect()
                    },
                )
                .unwrap();
            (scores.concat(), learner.v_gradient(&gradient))
        });
        let [(expected_scores, expected), (scores, gradient)] = results;
        for (found, wanted) in scores.iter().zip(&expected_scores) {
            assert!(
                (found.log_prob - wanted.log_prob).abs() < 2e-5,
                "{case}: {found:?} {wanted:?}"
            );
            assert!(
                (found.entropy - wanted.entropy).abs() < 2e-5,
                "{case}: {found:?} {wanted:?}"
            );
        }
        let size = expected.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        for (found, wanted) in gradient.iter().zip(&expected) {
            assert!(
                (found - wanted).abs() < 1e-4 * size,
                "{case}: {found} and {wanted}"
            );
        }
    }
}

fn sampled(decoder: &Decoder, sampling: &Sampling, slots: usize) -> Vec<Vec<Sample>> {
    let requests = PROMPTS.map(|prompt| Request {
        id: "a prompt",
        prompt,
        samples: 4,
        adapter: 0,
    });
    Generator::new(decoder, slots)
        .generate(&requests, sampling, None, |_| ())
        .unwrap()
}

/// The same random numbers choose the same tokens, unless two sums of probabilities are apart by no more than rounding.
#[test]
fn samples_are_those_of_this_machine() {
    let warm = sampling();
    let nucleus = Sampling {
        top_p: 0.8,
        top_k: 7,
        ..warm.clone()
    };
    for (case, config) in models() {
        let (here, _) = made(&config, Compute::F32);
        let (there, _) = made(&config, device(Storage::F32));
        for sampling in [&warm, &nucleus, &Sampling::greedy(12, vec![11])] {
            let expected = sampled(&here, sampling, 12).concat();
            for slots in [5, 12] {
                let found = sampled(&there, sampling, slots).concat();
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.tokens, expected.tokens, "{case} {sampling:?}");
                    assert_eq!(found.truncated, expected.truncated, "{case}");
                    let pairs = found.log_probs.iter().zip(&expected.log_probs);
                    let worst = pairs.fold(0.0, |worst: f32, (a, b)| worst.max((a - b).abs()));
                    assert!(worst < 2e-5, "{case}: log-probabilities differ by {worst}");
                }
            }
        }
    }
}

/// Where a product has modules with an adapter and modules without, and biases: logits and the gradient of v.
#[test]
fn an_adapter_of_some_modules_steers_them() {
    let checkpoint = checkpoint("qwen3-bias-old");
    let adapter = partial_adapter(&checkpoint, &["q_proj", "v_proj", "down_proj"]);
    let v = [0.9, -0.6, 0.3];
    let [here, there] = [Compute::F64, device(Storage::F32)].map(|compute| {
        let (decoder, projections) = adapted(&checkpoint, &adapter, compute);
        let steering = projections.steering(&v);
        let steered = decoder
            .sequence_logits(PROMPTS[2], Some(&steering))
            .unwrap();
        let plain = decoder.sequence_logits(PROMPTS[2], None).unwrap();
        assert_ne!(steered, plain);
        let completions = [
            vec![vec![2, 7, 1, 8]],
            vec![vec![2]],
            vec![vec![1, 4], vec![3]],
        ];
        let learner = Learner::new(&decoder, &projections);
        let (_, gradient) = learner
            .gradient(&groups(&completions), &steering, 1.0, |scores| {
                scores.iter().map(|s| vec![1.0; s.len()]).collect()
            })
            .unwrap();
        let logits: Vec<f64> = steered.into_iter().map(f64::from).collect();
        (logits, learner.v_gradient(&gradient))
    });
    for (what, here, there, bound) in [
        ("logits", &here.0, &there.0, 1e-5),
        ("the gradient", &here.1, &there.1, 1e-4),
    ] {
        let size = here.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for (found, wanted) in there.iter().zip(here) {
            assert!(
                (found - wanted).abs() < bound * size,
                "{what}: {found} and {wanted}"
            );
        }
    }
}

/// Adapters that share a batch, each with its own R: the samples of this machine.
#[test]
fn several_adapters_share_a_batch_there_too() {
    let (_, config) = &models()[3];
    let v: [[f64; 3]; 3] = [[0.0; 3], [0.9, -0.6, 0.3], [-0.7, 0.2, 0.8]];
    let requests = [0, 1, 2].map(|adapter| Request {
        id: "a prompt",
        prompt: PROMPTS[0],
        samples: 3,
        adapter,
    });
    let [here, there] = [Compute::F32, device(Storage::F32)].map(|compute| {
        let (decoder, projections) = made(config, compute);
        let steering = projections.steerings(v.iter().map(<[f64; 3]>::as_slice));
        Generator::new(&decoder, 7)
            .generate(&requests, &sampling(), Some(&steering), |_| ())
            .unwrap()
    });
    let log_probs = |samples: &[Sample]| {
        samples
            .iter()
            .flat_map(|s| s.log_probs.clone())
            .collect::<Vec<_>>()
    };
    assert_ne!(
        log_probs(&here[0]),
        log_probs(&here[1]),
        "adapters that do nothing prove nothing"
    );
    assert_ne!(log_probs(&here[1]), log_probs(&here[2]));
    for (here, there) in here.iter().zip(&there) {
        let tokens =
            |samples: &[Sample]| samples.iter().map(|s| s.tokens.clone()).collect::<Vec<_>>();
        assert_eq!(tokens(here), tokens(there));
        let pairs = log_probs(here).into_iter().zip(log_probs(there));
        let worst = pairs.fold(0.0, |worst: f32, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 2e-5, "log-probabilities differ by {worst}");
    }
}

/// On a device the sampler and the learner compute a token's log-probability in batches of other sizes, so it may differ, but by
/// no more than rounding: logits are within 2e-6, and a difference of two of them is what a log-probability is made of. Also
/// with weights in bf16, where both round the same.
#[test]
fn the_learner_there_says_what_the_sampler_there_said() {
    for storage in [Storage::F32, Storage::Bf16] {
        for (case, config) in models() {
            let (decoder, projections) = made(&config, device(storage));
            let samples = sampled(&decoder, &sampling(), 5);
            let groups: Vec<PromptGroup<'_>> = PROMPTS
                .iter()
                .zip(&samples)
                .map(|(prompt, samples)| PromptGroup {
                    prompt,
                    completions: samples.iter().map(|s| &*s.tokens).collect(),
                })
                .collect();
            let scores = Learner::new(&decoder, &projections)
                .scores(&groups, None, sampling().temperature)
                .unwrap();
            let sampler = samples.iter().flatten().flat_map(|s| &s.log_probs);
            let learner = scores.iter().flatten().map(|s| s.log_prob);
            let worst = sampler.zip(learner).fold(0.0, |worst: f64, (a, b)| {
                worst.max((f64::from(*a) - b).abs())
            });
            assert!(worst < 2e-5, "{case} {storage:?}: {worst}");
        }
    }
}

/// With weights in bf16 the inputs of a product are rounded, by 2⁻⁹ of each at most: a sum of many is off by about 2⁻¹⁰ of its
/// root mean square. Six products of a layer, in three layers, add up like the root of their number.
#[test]
fn weights_in_bf16_move_logits_by_their_rounding() {
    for (case, config) in models() {
        let (found, wanted) = (
            logits(&config, device(Storage::Bf16)),
            logits(&config, Compute::F64),
        );
        let pairs = || {
            found
                .iter()
                .zip(&wanted)
                .map(|(&a, &b)| (f64::from(a), f64::from(b)))
        };
        let error: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
        let size: f64 = pairs().map(|(_, b)| b * b).sum();
        let relative = (error / size).sqrt();
        assert!(relative < 0.01, "{case}: off by {relative}");
        assert!(relative > 1e-5, "{case}: nothing was rounded: {relative}");
    }
}

#[test]
fn logits_are_those_of_this_machine() {
    for (case, config) in models() {
        let (found, wanted) = (
            logits(&config, device(Storage::F32)),
            logits(&config, Compute::F64),
        );
        assert_eq!(found.len(), wanted.len(), "{case}");
        let worst = found
            .iter()
            .zip(&wanted)
            .fold(0.0, |worst: f32, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 2e-6, "{case}: logits differ by {worst}");
    }
}

/// The plan that is printed before a run counts the buffers that live at once: within a tenth of what the device had to give, for
/// sampling and for an update, where keys, activations or logits are most of it.
#[test]
fn memory_is_what_the_plan_says() {
    let (logits, activations, inputs) = ((96, 2000, 2), (384, 96, 2), (64, 96, 8));
    let cases = [
        (Storage::F32, vec![activations]),
        (Storage::Bf16, vec![logits, activations, inputs]),
    ];
    for (storage, shapes) in cases {
        for (intermediate, vocabulary, layers) in shapes {
            let config = ModelConfig {
                hidden: 64,
                intermediate,
                vocabulary,
                layers,
                max_positions: 256,
                ..small()
            };
            let compute = device(storage);
            let Compute::Cuda { device, .. } = &compute else {
                panic!("not a device");
            };
            let (decoder, projections) = made(&config, compute.clone());
            let sizes = RunSizes {
                slots: 8,
                prompt: 13,
                completion: 20,
                samples: 4,
                micro_batch: 89,
            };
            let plan = decoder.memory_plan(sizes);
            let held = device.memory().unwrap().held;
            let peak = |planned: usize, phase: &str| {
                let peak = device.memory().unwrap().peak as f64;
                device.forget_peak();
                let planned = planned as f64;
                assert!(
                    (0.9..1.1).contains(&(planned / peak)),
                    "{storage:?} {config:?}: {phase} planned {planned}, held {peak}: {plan:?}"
                );
            };
            device.forget_peak();
            let requests: Vec<Request<'_>> = ["a", "b", "c"]
                .iter()
                .map(|id| Request {
                    id,
                    prompt: PROMPTS[2],
                    samples: 4,
                    adapter: 0,
                })
                .collect();
            let greedy = Sampling::greedy(20, Vec::new());
            let generator = Generator::new(&decoder, 8);
            drop(
                generator
                    .generate(&requests, &greedy, None, |_| ())
                    .unwrap(),
            );
            peak(held + plan.cache + plan.sampling, "sampling");
            let completion: Vec<u32> = (0..20).collect();
            let groups = [PromptGroup {
                prompt: PROMPTS[2],
                completions: vec![&completion; 4],
            }];
            assert_eq!(groups[0].tokens(), 89);
            let steering = projections.steering(&[0.3, -0.2, 0.1]);
            let gradient =
                Learner::new(&decoder, &projections).gradient(&groups, &steering, 1.0, |scores| {
                    scores.iter().map(|s| vec![1.0; s.len()]).collect()
                });
            drop(gradient.unwrap());
            let update = plan.layer_inputs + plan.layer.max(plan.head);
            peak(held + update, "the update");
        }
    }
}
