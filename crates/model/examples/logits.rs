//! Logits and greedy continuations of given prompts, for comparisons with other programs.
//!
//!     cargo run --release -p tlora-model --example logits -- MODEL PROMPTS.json OUT
//!
//! PROMPTS.json is `{"prompts": [[token, …], …], "max_new": N}`. Writes OUT.f32, the little-endian logits after every token of
//! every prompt, and OUT.json, `{"greedy": [[token, …], …]}`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program for developers"
)]

use serde::Deserialize;
use tlora_checkpoint::Checkpoint;
use tlora_model::{Compute, Decoder, Generator, Request, Sampling};

#[derive(Deserialize)]
struct Prompts {
    prompts: Vec<Vec<u32>>,
    max_new: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompts, out] = arguments.as_slice() else {
        panic!("wanted: MODEL PROMPTS.json OUT")
    };
    let prompts: Prompts = serde_json::from_slice(&fs_err::read(prompts).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(model).unwrap();
    let decoder = Decoder::load(&checkpoint, Compute::F32, |_| ()).unwrap();
    let mut logits = Vec::new();
    for prompt in &prompts.prompts {
        let of_prompt = decoder.sequence_logits(prompt, None).unwrap();
        logits.extend(of_prompt.iter().flat_map(|x| x.to_le_bytes()));
    }
    fs_err::write(format!("{out}.f32"), logits).unwrap();
    let requests: Vec<Request<'_>> = prompts
        .prompts
        .iter()
        .map(|prompt| Request {
            id: "",
            prompt,
            samples: 1,
            adapter: 0,
        })
        .collect();
    // No stop tokens: the continuations are compared in full.
    let sampling = Sampling::greedy(prompts.max_new, Vec::new());
    let samples = Generator::new(&decoder, 4)
        .generate(&requests, &sampling, None, |_| ())
        .unwrap();
    let greedy: Vec<&[u32]> = samples.iter().map(|s| s[0].tokens.as_slice()).collect();
    let json = serde_json::json!({ "greedy": greedy });
    fs_err::write(format!("{out}.json"), json.to_string()).unwrap();
}
