//! Golden models, and adapters for them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, Precision, SigmaSide, TargetModules};
use tlora_merge::{Groups, Recipe, create};
use tlora_model::{
    Compute, Decoder, Family, ModelConfig, Projections, RandomModel, RopeScaling, Sampling,
};
use tlora_rebuild::Run;

/// Names of the golden cases that begin so.
pub fn cases(prefix: &str) -> Vec<String> {
    let entries = fs_err::read_dir(golden()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix) && golden().join(name).is_dir())
        .collect();
    names.sort();
    names
}

pub fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub fn checkpoint(case: &str) -> Checkpoint {
    Checkpoint::open(golden().join(case)).unwrap()
}

pub fn run() -> Run<'static> {
    Run {
        threads: NonZero::new(2).unwrap(),
        cache: None,
        progress: &(),
    }
}

pub fn adapter(checkpoint: &Checkpoint, u: u16, groups: Groups, sigma_side: SigmaSide) -> Adapter {
    adapter_of(checkpoint, None, u, groups, sigma_side)
}

/// An adapter of some modules, by the ends of their names.
pub fn partial_adapter(checkpoint: &Checkpoint, modules: &[&str]) -> Adapter {
    let modules = modules.iter().map(|&name| name.to_owned()).collect();
    let targets = Some(TargetModules::Suffixes(modules));
    adapter_of(checkpoint, targets, 3, Groups::One, SigmaSide::Left)
}

fn adapter_of(
    checkpoint: &Checkpoint,
    targets: Option<TargetModules>,
    u: u16,
    groups: Groups,
    sigma_side: SigmaSide,
) -> Adapter {
    let recipe = Recipe {
        rank: 2,
        u,
        groups,
        structured: false,
        targets,
        precision: Precision::F32,
        seed: 42,
        sigma_side,
        scale: 1.5,
        v: None,
        text: BTreeMap::new(),
    };
    create(checkpoint, &recipe, &run()).unwrap().adapter
}

pub fn adapted(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    compute: Compute,
) -> (Decoder, Projections) {
    Decoder::load_adapted(checkpoint, adapter, compute, &run(), |_| ()).unwrap()
}

/// A small Qwen2 whose heads are as wide as a device wants them, a multiple of 4.
pub fn small() -> ModelConfig {
    ModelConfig {
        family: Family::Qwen2,
        hidden: 64,
        intermediate: 96,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        vocabulary: 96,
        norm_epsilon: 1e-6,
        rope_theta: 1e6,
        rope_scaling: RopeScaling::None,
        max_positions: 64,
        sliding_window: None,
        first_window_layer: 0,
        qkv_bias: true,
        output_bias: false,
        mlp_bias: false,
        head_norms: false,
        tied: false,
    }
}

/// Random weights in a shape, and three numbers that steer them.
pub fn random(config: ModelConfig, seed: u64) -> RandomModel {
    RandomModel {
        config,
        rank: 2,
        u: 3,
        seed,
    }
}

/// Drawing where one token of about 30 stops, so that some samples are cut off and some are not.
pub fn sampling() -> Sampling {
    Sampling {
        temperature: 0.9,
        top_p: 1.0,
        top_k: 0,
        max_new_tokens: 12,
        stop: vec![11, 12, 13],
        seed: 5,
        step: 3,
    }
}

/// Numbers that look random and are the same everywhere.
pub fn numbers(count: usize, size: f64) -> Vec<f64> {
    (0..count)
        .map(|i| {
            let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            size * (bits as f64 / (1_u64 << 23) as f64 - 1.0)
        })
        .collect()
}
