//! Small random models, and what is computed with them.

use serde::Serialize;
use tlora_grpo::Mismatch;
use tlora_model::{
    Compute, Decoder, Family, Generator, Learner, ModelConfig, ModelError, Projections,
    PromptGroup, RandomModel, Request, RopeScaling, RunSizes, Sample, Sampling,
};

use super::{MemoryUse, Subject};

/// Completions of each prompt.
pub(super) type Samples = Vec<Vec<Sample>>;

/// How many models there are.
pub(super) const SHAPES: usize = 4;

/// The temperature of samples that are left to chance.
pub(super) const WARM: f64 = 0.9;

/// All samples of [`PROMPTS`] at once.
pub(super) const SLOTS: usize = PROMPTS.len() * SAMPLES;

/// Samples of a prompt.
const SAMPLES: usize = 4;

/// Tokens of a completion: more than a device draws between two looks at them.
const TOKENS: usize = 12;

/// Prompts of several lengths.
const PROMPTS: [&[u32]; 3] = [
    &[3, 1, 4, 1, 5],
    &[1],
    &[5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2],
];

/// What steers the models.
const V: [f64; 3] = [0.3, -0.2, 0.1];

/// What the sampler and the learner say of the same tokens.
#[derive(Debug, Serialize)]
pub(crate) struct Agreement {
    pub(crate) arithmetic: &'static str,
    #[serde(flatten)]
    pub(crate) mismatch: Mismatch,
}

/// What families differ in: keys that heads share, norms of heads, windows, biases, an output head of its own.
fn config(shape: usize) -> ModelConfig {
    let plain = ModelConfig {
        family: Family::Qwen2,
        hidden: 64,
        intermediate: 96,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        vocabulary: 128,
        norm_epsilon: 1e-6,
        rope_theta: 1e4,
        rope_scaling: RopeScaling::None,
        max_positions: 64,
        sliding_window: None,
        first_window_layer: 0,
        qkv_bias: true,
        output_bias: false,
        mlp_bias: false,
        head_norms: false,
        tied: true,
    };
    match shape {
        0 => plain,
        1 => ModelConfig {
            head_norms: true,
            qkv_bias: false,
            ..plain
        },
        2 => ModelConfig {
            sliding_window: Some(5),
            first_window_layer: 1,
            ..plain
        },
        _ => ModelConfig {
            kv_heads: 4,
            tied: false,
            mlp_bias: true,
            vocabulary: 101,
            ..plain
        },
    }
}

fn model(compute: &Compute, shape: usize) -> Result<(Decoder, Projections), ModelError> {
    let model = RandomModel {
        config: config(shape),
        rank: 2,
        u: V.len(),
        seed: 1,
    };
    model.make(compute.clone(), |_| ())
}

/// After each token of the longest prompt.
pub(super) fn logits(compute: &Compute, shape: usize) -> Result<Vec<f64>, ModelError> {
    let (decoder, projections) = model(compute, shape)?;
    let logits = decoder.sequence_logits(PROMPTS[2], Some(&projections.steering(&V)))?;
    Ok(logits.into_iter().map(f64::from).collect())
}

/// Of v, for completions that share their prompts.
pub(super) fn gradient(compute: &Compute, shape: usize) -> Result<Vec<f64>, ModelError> {
    let (decoder, projections) = model(compute, shape)?;
    gradient_of(&decoder, &projections)
}

fn groups() -> [PromptGroup<'static>; PROMPTS.len()] {
    const COMPLETIONS: [&[u32]; 4] = [&[2, 7, 1, 8], &[2], &[8, 1, 8, 2, 8, 4, 5], &[9, 0, 4]];
    PROMPTS.map(|prompt| PromptGroup {
        prompt,
        completions: COMPLETIONS.to_vec(),
    })
}

fn gradient_of(decoder: &Decoder, projections: &Projections) -> Result<Vec<f64>, ModelError> {
    let learner = Learner::new(decoder, projections);
    let steering = projections.steering(&V);
    let (_, gradient) = learner.gradient(&groups(), &steering, WARM, |scores| {
        // Of both signs, as advantages are.
        let sign = |row: usize| if row.is_multiple_of(2) { 1.0 } else { -0.7 };
        scores
            .iter()
            .enumerate()
            .map(|(row, scores)| vec![sign(row); scores.len()])
            .collect()
    })?;
    Ok(learner.v_gradient(&gradient))
}

/// Completions of all prompts, so many at once.
pub(super) fn samples(
    compute: &Compute,
    shape: usize,
    temperature: f64,
    slots: usize,
) -> Result<Samples, ModelError> {
    let (decoder, projections) = model(compute, shape)?;
    sampled(&decoder, &projections, temperature, slots)
}

fn sampled(
    decoder: &Decoder,
    projections: &Projections,
    temperature: f64,
    slots: usize,
) -> Result<Samples, ModelError> {
    let sampling = Sampling {
        temperature,
        seed: 5,
        ..Sampling::greedy(TOKENS, vec![11, 12, 13])
    };
    let requests = PROMPTS.map(|prompt| Request {
        id: "doctor",
        prompt,
        samples: SAMPLES,
        adapter: 0,
    });
    let steering = projections.steering(&V);
    Generator::new(decoder, slots).generate(&requests, &sampling, Some(&steering), |_| ())
}

/// Log-probabilities of the same tokens by learner and sampler.
pub(super) fn pairs(compute: &Compute, shape: usize) -> Result<Vec<(f64, f64)>, ModelError> {
    let (decoder, projections) = model(compute, shape)?;
    let samples = sampled(&decoder, &projections, WARM, 5)?;
    let groups: Vec<PromptGroup<'_>> = PROMPTS
        .iter()
        .zip(&samples)
        .map(|(prompt, samples)| PromptGroup {
            prompt,
            completions: samples.iter().map(|sample| &*sample.tokens).collect(),
        })
        .collect();
    let steering = projections.steering(&V);
    let learner = Learner::new(&decoder, &projections);
    let scores = learner.scores(&groups, Some(&steering), WARM)?;
    let learner = scores.iter().flatten().map(|score| score.log_prob);
    let sampler = samples.iter().flatten().flat_map(|s| &s.log_probs);
    Ok(learner.zip(sampler.map(|&x| f64::from(x))).collect())
}

/// Over all models, in each arithmetic.
pub(super) fn agreements(subject: &Subject) -> Result<Vec<Agreement>, ModelError> {
    let of = |arithmetic, compute: &Compute| {
        let mut all = Vec::new();
        for shape in 0..SHAPES {
            all.extend(pairs(compute, shape)?);
        }
        let mismatch = Mismatch::of(all);
        Ok::<_, ModelError>(Agreement {
            arithmetic,
            mismatch,
        })
    };
    let mut agreements = vec![of("float32", &subject.single)?];
    if let Some(half) = &subject.half {
        agreements.push(of("bfloat16", half)?);
    }
    Ok(agreements)
}

/// What sampling and a gradient take.
pub(super) fn memory(subject: &Subject) -> Result<MemoryUse, ModelError> {
    let compute = subject.half.as_ref().unwrap_or(&subject.single);
    let free = device_memory(compute, true)?.map(|(free, _)| free);
    let (decoder, projections) = model(compute, 0)?;
    sampled(&decoder, &projections, 0.0, SLOTS)?;
    gradient_of(&decoder, &projections)?;
    let longest = PROMPTS.iter().map(|prompt| prompt.len()).max();
    let plan = decoder.memory_plan(RunSizes {
        slots: SLOTS,
        prompt: longest.unwrap_or(1),
        completion: TOKENS,
        samples: SAMPLES,
        micro_batch: groups().iter().map(PromptGroup::tokens).sum(),
    });
    Ok(MemoryUse {
        planned: plan.peak(),
        peak: device_memory(compute, false)?.map(|(_, peak)| peak),
        free,
    })
}

/// Free bytes of a device, and the most that was held since the peak was forgotten.
fn device_memory(compute: &Compute, forget: bool) -> Result<Option<(usize, usize)>, ModelError> {
    #[cfg(feature = "cuda")]
    if let Compute::Cuda { device, .. } = compute {
        if forget {
            device.forget_peak();
        }
        let memory = device.memory()?;
        return Ok(Some((memory.free, memory.peak)));
    }
    let (_, _) = (compute, forget);
    Ok(None)
}
