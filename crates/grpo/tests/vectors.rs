//! Every case of `vectors/grpo_vectors.json`: what TRL and verl computed, to 1e-9.

#![expect(
    clippy::panic,
    reason = "a case with a setting that is not known is a mistake of this test"
)]

use std::collections::BTreeMap;

use serde::Deserialize;
use tlora_grpo::{
    AdvantageScale, Correction, Denominators, KlKind, LossKind, LossSettings, Mismatch, RatioLevel,
    Sequence, advantages, loss,
};

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Vectors {
    inputs: BTreeMap<String, Input>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Input {
    group_size: usize,
    rewards: Vec<f64>,
    lengths: Vec<usize>,
    truncated: Vec<bool>,
    logp_new: Vec<Vec<f64>>,
    logp_old: Vec<Vec<f64>>,
    logp_ref: Vec<Vec<f64>>,
    logp_sampling: Vec<Vec<Option<f64>>>,
    off_policy: bool,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
    config: Config,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    loss_type: Option<String>,
    loss_agg_mode: Option<String>,
    beta: f64,
    eps_low: f64,
    eps_high: f64,
    delta: Option<f64>,
    is_level: String,
    kl_is_correction: bool,
    tis_mode: Option<String>,
    tis_level: Option<String>,
    tis_cap: Option<f64>,
    tis_min: Option<f64>,
    scale_rewards: String,
    norm_adv_by_std: bool,
    mask_truncated: bool,
    max_completion_length: usize,
    accum: usize,
    adv_eps: f64,
    clip_ratio_c: Option<f64>,
    kl_type: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            loss_type: None,
            loss_agg_mode: None,
            beta: 0.0,
            eps_low: 0.2,
            eps_high: 0.2,
            delta: None,
            is_level: "token".to_owned(),
            kl_is_correction: false,
            tis_mode: None,
            tis_level: None,
            tis_cap: None,
            tis_min: None,
            scale_rewards: "group".to_owned(),
            norm_adv_by_std: true,
            mask_truncated: false,
            max_completion_length: 8,
            accum: 1,
            adv_eps: 1e-4,
            clip_ratio_c: None,
            kl_type: None,
        }
    }
}

#[derive(Deserialize)]
struct Expected {
    advantages: Vec<f64>,
    per_token_loss: Option<Vec<Vec<f64>>>,
    loss: f64,
    grad_logp_new: Vec<Vec<f64>>,
    num_items_in_batch: Option<f64>,
    metrics: BTreeMap<String, f64>,
}

impl Config {
    fn kind(&self) -> LossKind {
        match (self.loss_type.as_deref(), self.loss_agg_mode.as_deref()) {
            (Some("grpo"), _) => LossKind::Grpo,
            (Some("dr_grpo"), _) => LossKind::DrGrpo,
            (Some("dapo"), _) | (_, Some("token-mean")) => LossKind::Dapo,
            (Some("bnpo"), _) => LossKind::Bnpo,
            (Some("cispo"), _) => LossKind::Cispo,
            (_, Some("seq-mean-token-mean")) => LossKind::SeqMeanTokenMean,
            (_, Some("seq-mean-token-sum")) => LossKind::SeqMeanTokenSum,
            (_, Some("seq-mean-token-sum-norm")) => LossKind::SeqMeanTokenSumNorm,
            other => panic!("{other:?}"),
        }
    }

    fn settings(&self) -> LossSettings {
        LossSettings {
            kind: self.kind(),
            ratio: if self.is_level == "sequence" {
                RatioLevel::Sequence
            } else {
                RatioLevel::Token
            },
            eps_low: self.eps_low,
            eps_high: self.eps_high,
            delta: self.delta,
            dual_clip: self.clip_ratio_c,
            beta: self.beta,
            kl: match self.kl_type.as_deref() {
                Some("k1") => KlKind::K1,
                Some("abs") => KlKind::Abs,
                _ => KlKind::K3,
            },
            kl_ratio: self.kl_is_correction,
            clamp: self.loss_agg_mode.is_some(),
            correction: match (self.tis_mode.as_deref(), self.tis_level.as_deref()) {
                (Some("token_truncate"), _) | (_, Some("token")) => Correction::TokenTruncate,
                (Some("token_mask"), _) => Correction::TokenMask,
                (Some("sequence_truncate"), _) => Correction::SequenceTruncate,
                (Some("sequence_mask"), _) => Correction::SequenceMask,
                (None, None) => Correction::None,
                other => panic!("{other:?}"),
            },
            correction_cap: self.tis_cap.unwrap_or(2.0),
            correction_min: self.tis_min.unwrap_or(0.0),
        }
    }

    fn scale(&self) -> AdvantageScale {
        match self.scale_rewards.as_str() {
            _ if !self.norm_adv_by_std => AdvantageScale::None,
            "group" => AdvantageScale::Group,
            "batch" => AdvantageScale::Batch,
            "none" => AdvantageScale::None,
            other => panic!("{other}"),
        }
    }
}

fn close(a: f64, b: f64, what: &str, case: &str) {
    assert!(
        (a - b).abs() <= TOLERANCE,
        "{case}: {what} is {a}, wanted {b}"
    );
}

#[test]
fn every_case_of_trl_and_verl() {
    let vectors: Vectors = serde_json::from_slice(
        &fs_err::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/grpo_vectors.json"
        ))
        .unwrap(),
    )
    .unwrap();
    for case in &vectors.cases {
        check(case, &vectors.inputs[&case.input]);
    }
    assert_eq!(vectors.cases.len(), 112);
    println!("{} cases", vectors.cases.len());
}

fn check(case: &Case, input: &Input) {
    let config = &case.config;
    let groups: Vec<Vec<Option<f64>>> = input
        .rewards
        .chunks(input.group_size)
        .map(|group| group.iter().copied().map(Some).collect())
        .collect();
    let advantages = advantages(&groups, config.scale(), config.adv_eps).values;
    for (a, b) in advantages.iter().zip(&case.expected.advantages) {
        close(*a, *b, "an advantage", &case.name);
    }
    let rows = |all: &[Vec<f64>]| -> Vec<Vec<f64>> {
        all.iter()
            .zip(&input.lengths)
            .map(|(row, &n)| row[..n].to_vec())
            .collect()
    };
    let (new, old, reference) = (
        rows(&input.logp_new),
        rows(&input.logp_old),
        rows(&input.logp_ref),
    );
    let sampler: Vec<Vec<f64>> = input
        .logp_sampling
        .iter()
        .zip(&input.lengths)
        .map(|(row, &n)| row[..n].iter().map(|x| x.unwrap_or(f64::NAN)).collect())
        .collect();
    let counts = |i: usize| !(config.mask_truncated && input.truncated[i]);
    let sequences: Vec<Sequence<'_>> = (0..new.len())
        .map(|i| Sequence {
            advantage: advantages[i],
            new: &new[i],
            old: input.off_policy.then_some(&old[i][..]),
            sampler: Some(&sampler[i]),
            reference: (config.beta > 0.0).then_some(&reference[i][..]),
            counts: counts(i),
        })
        .collect();
    let tokens_of = |range: std::ops::Range<usize>| -> usize {
        range.filter(|&i| counts(i)).map(|i| input.lengths[i]).sum()
    };
    let size = sequences.len() / config.accum;
    let tokens = tokens_of(0..sequences.len());
    if let Some(wanted) = case.expected.num_items_in_batch {
        close(tokens as f64, wanted, "the number of tokens", &case.name);
    }
    let max_tokens = match config.kind() {
        // verl takes the padded length of the batch.
        LossKind::SeqMeanTokenSumNorm => input.logp_new[0].len(),
        _ => config.max_completion_length,
    };
    let mut total = tlora_grpo::Loss::default();
    for (micro, part) in sequences.chunks(size).enumerate() {
        let update = Denominators {
            sequences: sequences.len(),
            counting: sequences.iter().filter(|s| s.counts).count(),
            tokens,
            micro_batches: config.accum,
            micro_tokens: tokens_of(micro * size..micro * size + part.len()),
            max_tokens,
        };
        let one = loss(part, &config.settings(), &update);
        total.value += one.value;
        total.gradient.extend(one.gradient);
        total.per_token.extend(one.per_token);
        total.metrics.add(&one.metrics);
    }
    close(total.value, case.expected.loss, "the loss", &case.name);
    for (i, (found, wanted)) in total
        .gradient
        .iter()
        .zip(&case.expected.grad_logp_new)
        .enumerate()
    {
        for (t, (a, b)) in found.iter().zip(wanted).enumerate() {
            close(
                *a,
                *b,
                &format!("the gradient of token {t} of completion {i}"),
                &case.name,
            );
        }
    }
    if let Some(wanted) = &case.expected.per_token_loss {
        for (i, (found, wanted)) in total.per_token.iter().zip(wanted).enumerate() {
            for (a, b) in found.iter().zip(wanted).filter(|_| counts(i)) {
                close(*a, *b, "a token's loss", &case.name);
            }
        }
    }
    // With several micro-batches TRL gives the mean of theirs, and of ratios of completions the share of completions.
    if config.accum == 1 && config.is_level == "token" {
        metrics(&total.metrics, case);
    }
    let pairs = sequences.iter().filter(|s| s.counts).flat_map(|s| {
        let old = s.old.unwrap_or(s.new).iter().copied();
        old.zip(s.sampler.into_iter().flatten().copied())
    });
    mismatch(&Mismatch::of(pairs), case);
}

/// The libraries write their metrics from f32.
fn reported(name: &str, found: f64, case: &Case) {
    if let Some(wanted) = case.expected.metrics.get(name) {
        assert!(
            (found - wanted).abs() < 1e-6,
            "{}: {name} is {found}, wanted {wanted}",
            case.name
        );
    }
}

fn metrics(metrics: &tlora_grpo::LossMetrics, case: &Case) {
    let share = |count: usize| count as f64 / metrics.tokens.max(1) as f64;
    let (low, high) = (share(metrics.clipped_low), share(metrics.clipped_high));
    reported("clip_ratio/low_mean", low, case);
    reported("clip_ratio/high_mean", high, case);
    reported("cispo_clip_ratio", high, case);
    reported("actor/pg_clipfrac", low + high, case);
    // TRL reports it times the ratio where its loss has it so; ours is the estimate itself.
    if !case.config.kl_is_correction {
        reported("kl", metrics.kl / metrics.tokens.max(1) as f64, case);
    }
}

fn mismatch(found: &Mismatch, case: &Case) {
    reported("sampling/sampling_logp_difference/max", found.max, case);
    // TRL counts a token that the sampler did not report as one without a difference; we leave it out.
    if case.input != "D" {
        reported("sampling/sampling_logp_difference/mean", found.mean, case);
    }
}
