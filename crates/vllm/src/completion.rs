//! `/v1/completions`: the request with every field that the server would else take from the model's `generation_config.json`,
//! and the checks of its answer.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Fault;

/// How completions are sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 takes the most probable token.
    pub temperature: f64,
    /// Only the most probable tokens that together have this probability; 1 is all.
    pub top_p: f64,
    /// Only so many of the most probable tokens; 0 is all.
    pub top_k: usize,
    /// Tokens of a completion at most, the stop token included.
    pub max_new_tokens: usize,
    /// Tokens that end a completion; they are part of it. None leaves it to the server.
    pub stop: Vec<u32>,
    /// Whether log-probabilities will be used. They must be those of the distribution that was sampled then.
    pub scored: bool,
}

impl Sampling {
    /// Whether log-probabilities are used, and tokens drawn from another distribution than the model's: then they have to be the
    /// processed ones (`--logprobs-mode processed_logprobs`).
    #[must_use]
    pub fn needs_processed(&self) -> bool {
        self.scored
            && self.temperature > 0.0
            && (self.temperature != 1.0 || self.top_p < 1.0 || self.top_k > 0)
    }
}

/// A completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its tokens, with the stop token if it came to one.
    pub tokens: Vec<u32>,
    /// The log-probability that each was drawn with.
    pub log_probs: Vec<f32>,
    /// Whether it ended because it was long enough, and not with a stop token.
    pub truncated: bool,
}

/// One sample of one prompt.
pub(crate) fn request(model: &str, prompt: &[u32], sampling: &Sampling, seed: u64) -> Value {
    let top_k = match sampling.top_k {
        0 => json!(-1),
        k => json!(k),
    };
    json!({
        "model": model,
        "prompt": prompt,
        "n": 1,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": top_k,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": seed,
        "stop_token_ids": sampling.stop,
        // The tokens above and no others, whatever the server's generation_config.json has.
        "ignore_eos": !sampling.stop.is_empty(),
        "logprobs": 0,
        "return_token_ids": true,
        "stream": false,
    })
}

/// The log-probabilities of a given sequence, and one token that nobody wants.
pub(crate) fn score_request(model: &str, tokens: &[u32]) -> Value {
    json!({
        "model": model,
        "prompt": tokens,
        "n": 1,
        "max_tokens": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": 0,
        "prompt_logprobs": 0,
        "return_token_ids": true,
        "stream": false,
    })
}

#[derive(Deserialize)]
struct Completion {
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: usize,
}

#[derive(Deserialize)]
struct Choice {
    token_ids: Option<Vec<u32>>,
    prompt_token_ids: Option<Vec<u32>>,
    finish_reason: Option<String>,
    logprobs: Option<LogProbs>,
    prompt_logprobs: Option<Vec<Option<BTreeMap<String, Entry>>>>,
}

#[derive(Deserialize)]
struct LogProbs {
    token_logprobs: Vec<Option<f32>>,
}

#[derive(Deserialize)]
struct Entry {
    logprob: Option<f32>,
}

/// The one choice of an answer that is to this request.
fn choice(
    path: &str,
    body: &[u8],
    model: &str,
    prompt: &[u32],
) -> Result<(Choice, Option<usize>), Fault> {
    let mut answer: Completion = serde_json::from_slice(body).map_err(|error| Fault::Json {
        path: path.to_owned(),
        tries: 1,
        text: error.to_string(),
    })?;
    if answer.model != model {
        return Err(Fault::WrongModel {
            found: answer.model,
            wanted: model.to_owned(),
        });
    }
    let found = answer.choices.len();
    let Some(choice) = answer.choices.pop().filter(|_| found == 1) else {
        return Err(Fault::Choices { found });
    };
    let echoed = choice.prompt_token_ids.as_ref().ok_or(Fault::NoTokenIds)?;
    if echoed != prompt {
        return Err(Fault::PromptChanged {
            found: echoed.len(),
            wanted: prompt.len(),
        });
    }
    Ok((choice, answer.usage.map(|usage| usage.completion_tokens)))
}

/// The sample of an answer to [`request`].
pub(crate) fn sample(
    path: &str,
    body: &[u8],
    model: &str,
    prompt: &[u32],
    sampling: &Sampling,
) -> Result<Sample, Fault> {
    let (choice, counted) = choice(path, body, model, prompt)?;
    let truncated = match choice.finish_reason.as_deref() {
        Some("length") => true,
        Some("stop") => false,
        _ => {
            return Err(Fault::Finish {
                reason: choice.finish_reason,
            });
        }
    };
    let tokens = choice.token_ids.ok_or(Fault::NoTokenIds)?;
    let given = choice.logprobs.ok_or(Fault::NoLogProbs)?.token_logprobs;
    let (count, most) = (tokens.len(), sampling.max_new_tokens);
    let counted = counted.unwrap_or(count);
    if count == 0 || count != given.len() || count != counted || count > most {
        return Err(Fault::TokenCount {
            tokens: count,
            log_probs: given.len(),
            counted,
            most,
        });
    }
    if truncated && count < most {
        return Err(Fault::CutEarly {
            found: count,
            wanted: most,
        });
    }
    let found = tokens.last().copied();
    if !truncated
        && !sampling.stop.is_empty()
        && !found.is_some_and(|last| sampling.stop.contains(&last))
    {
        return Err(Fault::StopToken { found });
    }
    let log_probs = given.into_iter().enumerate();
    let log_probs: Result<Vec<f32>, Fault> = log_probs
        .map(|(place, value)| log_prob(value, place + 1, count))
        .collect();
    Ok(Sample {
        tokens,
        log_probs: log_probs?,
        truncated,
    })
}

/// The log-probabilities of an answer to [`score_request`], of all tokens but the first.
pub(crate) fn scores(
    path: &str,
    body: &[u8],
    model: &str,
    tokens: &[u32],
) -> Result<Vec<f32>, Fault> {
    let (choice, _) = choice(path, body, model, tokens)?;
    let entries = choice.prompt_logprobs.ok_or(Fault::NoLogProbs)?;
    if entries.len() != tokens.len() {
        return Err(Fault::TokenCount {
            tokens: tokens.len(),
            log_probs: entries.len(),
            counted: tokens.len(),
            most: tokens.len(),
        });
    }
    let pairs = entries.into_iter().zip(tokens).enumerate().skip(1);
    pairs
        .map(|(place, (entry, token))| {
            let entry = entry
                .as_ref()
                .and_then(|entry| entry.get(&token.to_string()));
            log_prob(
                entry.and_then(|entry| entry.logprob),
                place + 1,
                tokens.len(),
            )
        })
        .collect()
}

fn log_prob(value: Option<f32>, place: usize, count: usize) -> Result<f32, Fault> {
    // Rounding in the server can leave one a little above 0.
    value
        .filter(|value| value.is_finite() && *value <= 1e-3)
        .ok_or_else(|| Fault::LogProb {
            place,
            count,
            value: value.map_or_else(|| "none".to_owned(), |value| value.to_string()),
        })
}
