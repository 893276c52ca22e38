//! How fast the native engine samples: `benches/generate_vs_transformers.py` compares it.
//!
//!     cargo run --release -p tlora-model --example bench_generate -- MODEL --batch 16 --prompt 32 --new 64 [--threads N]
//!
//! Prints JSON: `decode` and `total` tokens a second, and the seconds until all prompts are computed. Prompts start one after the other,
//! while those before them are decoded, so `decode` counts the steps in which all samples run and no prompt is computed. Tokens are drawn
//! greedily from prompts of arbitrary tokens, all different, and no token stops.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use std::time::Instant;

use tlora_checkpoint::Checkpoint;
use tlora_model::{Compute, Decoder, Generator, Request, Sampling};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().unwrap())
    };
    let (batch, prompt) = (number("--batch", 16), number("--prompt", 32));
    let (new, threads) = (number("--new", 64), number("--threads", 0));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .unwrap();
    let checkpoint = Checkpoint::open(&arguments[0]).unwrap();
    let decoder = Decoder::load(&checkpoint, Compute::F32, |_| ()).unwrap();
    let token = |row: usize, at: usize| u32::try_from(1000 + (row * 131 + at * 17) % 5000).unwrap();
    let prompts: Vec<Vec<u32>> = (0..batch)
        .map(|row| (0..prompt).map(|at| token(row, at)).collect())
        .collect();
    let requests: Vec<Request<'_>> = prompts
        .iter()
        .map(|prompt| Request {
            id: "",
            prompt,
            samples: 1,
            adapter: 0,
        })
        .collect();
    let sampling = Sampling::greedy(new, Vec::new());
    let start = Instant::now();
    let (mut drawn, mut prompts, mut before) = (0, 0.0, 0.0);
    let (mut decoded, mut decoding) = (0, 0.0);
    Generator::new(&decoder, batch)
        .generate(&requests, &sampling, None, |tokens| {
            let now = start.elapsed().as_secs_f64();
            drawn += tokens;
            if tokens >= batch && prompts > 0.0 {
                decoded += tokens;
                decoding += now - before;
            } else if tokens >= batch {
                prompts = now;
            }
            before = now;
        })
        .unwrap();
    let total = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
    let rate = |tokens: usize, seconds: f64| tokens as f64 / seconds;
    let json = serde_json::json!({
        "decode": rate(decoded, decoding), "total": rate(drawn, total), "prompt_seconds": prompts,
    });
    println!("{json}");
}
