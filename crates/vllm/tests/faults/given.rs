//! What a server of the test draws and scores, and what the tests ask it for.

use std::time::Duration;

use serde_json::{Value, json};
use tlora_vllm::{Connect, Fleet, FleetSettings, Need, Prompt, Sample, Sampling, sample_seed};

use crate::mock::{Mock, Setup};

/// What a server of the test draws: it depends on the prompt and the seed alone.
pub(crate) fn foretold(prompt: &[u32], seed: u64, most: usize) -> Sample {
    let truncated = seed.is_multiple_of(3);
    let first = u32::try_from(seed % 1000).unwrap();
    let mut tokens =
        vec![first + prompt.iter().sum::<u32>(); if truncated { most } else { most / 2 }];
    if !truncated {
        tokens.push(2);
    }
    let log_probs = (0..tokens.len()).map(|place| if place % 2 == 0 { -0.25 } else { -1.5 });
    Sample {
        log_probs: log_probs.collect(),
        tokens,
        truncated,
    }
}

/// −1 for each token under the base; an adapter of step n adds n/4 to each.
pub(crate) fn score(step: u64, silent: bool) -> f32 {
    let step = if silent {
        0.0
    } else {
        f32::from(u8::try_from(step).unwrap())
    };
    -4.0 + step / 4.0
}

pub(crate) fn scored(model: &str, prompt: &[u32], setup: &Setup) -> String {
    let step = model
        .rsplit_once("-v")
        .map_or(0, |(_, step)| step.parse().unwrap());
    let value = score(step, setup.silent);
    let entries = prompt.iter().enumerate().map(|(place, token)| match place {
        0 => Value::Null,
        _ => json!({token.to_string(): {"logprob": value, "rank": 1, "decoded_token": "…"}}),
    });
    let choice = json!({
        "index": 0, "text": "…", "token_ids": [1], "prompt_token_ids": prompt, "finish_reason": "length",
        "logprobs": null, "prompt_logprobs": entries.collect::<Vec<_>>(),
    });
    json!({"model": model, "choices": [choice], "usage": {"completion_tokens": 1}}).to_string()
}

pub(crate) fn connect() -> Connect {
    Connect {
        retries: 2,
        pause: Duration::from_millis(5),
        sample_timeout: Duration::from_secs(30),
        control_timeout: Duration::from_secs(30),
        ..Connect::default()
    }
}

pub(crate) fn settings(mocks: &[&Mock]) -> FleetSettings {
    FleetSettings {
        servers: mocks.iter().map(|mock| mock.url.clone()).collect(),
        model: None,
        name: "run".to_owned(),
        concurrency: 4,
        connect: connect(),
    }
}

pub(crate) fn need() -> Need {
    Need {
        adapter_rank: Some(2),
        merged: false,
        processed: false,
        token: 5,
    }
}

pub(crate) fn fleet(mocks: &[&Mock]) -> Fleet {
    Fleet::connect(&settings(mocks), &need()).unwrap().0
}

pub(crate) fn sampling() -> Sampling {
    Sampling {
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        max_new_tokens: 6,
        stop: vec![2],
        scored: true,
    }
}

pub(crate) fn prompts(count: u32, samples: u64) -> Vec<Prompt> {
    let prompt = |number: u32| {
        let id = format!("problem {number}");
        Prompt {
            tokens: vec![7, 100 + number],
            seeds: (0..samples)
                .map(|sample| sample_seed(42, 1, &id, sample))
                .collect(),
            id,
        }
    };
    (0..count).map(prompt).collect()
}

/// What all of the prompts have to have got.
pub(crate) fn all(prompts: &[Prompt]) -> Vec<Vec<Sample>> {
    let samples = |prompt: &Prompt| {
        let seeds = prompt.seeds.iter();
        seeds
            .map(|&seed| foretold(&prompt.tokens, seed, 6))
            .collect()
    };
    prompts.iter().map(samples).collect()
}
