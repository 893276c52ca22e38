//! How fast the gradient of v is: `benches/train_vs_torch.py` compares it.
//!
//!     cargo run --release -p tlora-model --example bench_update -- MODEL --sequences 4 --tokens 128 --repeats 5 [--threads N]
//!
//! Prints JSON: the median seconds of a forward and backward pass, tokens, the loss, and the peak of the resident memory.
//! The sequences have no common prompt; the first token of each is its prompt. r = 2, u = 13, one group, as in the paper.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Instant;

use tlora_checkpoint::Checkpoint;
use tlora_format::{Precision, SigmaSide};
use tlora_merge::{Groups, Recipe, create};
use tlora_model::{Compute, Decoder, Learner, PromptGroup};
use tlora_rebuild::{Cache, Run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().unwrap())
    };
    let (sequences, tokens) = (number("--sequences", 4), number("--tokens", 128));
    let (repeats, threads) = (number("--repeats", 5), number("--threads", 0));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .unwrap();
    let checkpoint = Checkpoint::open(&arguments[0]).unwrap();
    let cache = Cache::open(None);
    let run = Run {
        threads: NonZero::new(2).unwrap(),
        cache: cache.as_ref(),
        progress: &(),
    };
    let recipe = Recipe {
        rank: 2,
        u: 13,
        groups: Groups::One,
        structured: false,
        targets: None,
        precision: Precision::F32,
        seed: 42,
        sigma_side: SigmaSide::Left,
        scale: 1.0,
        v: None,
        text: BTreeMap::new(),
    };
    let adapter = create(&checkpoint, &recipe, &run).unwrap().adapter;
    let (decoder, projections) =
        Decoder::load_adapted(&checkpoint, &adapter, Compute::F32, &run, |_| ()).unwrap();
    let learner = Learner::new(&decoder, &projections);
    let steering = projections.steering(&[0.01; 13]);
    let token = |row: usize, at: usize| u32::try_from(1000 + (row * 131 + at * 17) % 5000).unwrap();
    let ids: Vec<Vec<u32>> = (0..sequences)
        .map(|row| (0..tokens).map(|at| token(row, at)).collect())
        .collect();
    let groups: Vec<PromptGroup<'_>> = ids
        .iter()
        .map(|ids| PromptGroup {
            prompt: &ids[..1],
            completions: vec![&ids[1..]],
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
    let weight = -1.0 / (sequences * (tokens - 1)) as f64;
    let (mut seconds, mut loss) = (Vec::new(), 0.0);
    for _ in 0..repeats {
        let start = Instant::now();
        let (scores, gradient) = learner
            .gradient(&groups, &steering, 1.0, |scores| {
                scores.iter().map(|s| vec![weight; s.len()]).collect()
            })
            .unwrap();
        std::hint::black_box(learner.v_gradient(&gradient));
        seconds.push(start.elapsed().as_secs_f64());
        loss = scores.concat().iter().map(|s| weight * s.log_prob).sum();
    }
    seconds.sort_by(f64::total_cmp);
    let json = serde_json::json!({
        "seconds": seconds[repeats / 2], "tokens": sequences * tokens, "loss": loss, "peak_rss_kb": peak_kb(),
        "weights_bytes": decoder.bytes(),
    });
    println!("{json}");
}

/// The peak of the resident memory, where /proc says it.
fn peak_kb() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
