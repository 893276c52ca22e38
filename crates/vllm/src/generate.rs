//! Samples of many prompts from many servers: plain threads, each with one request at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::schedule::Schedule;
use crate::worker::{Event, Shared, State};
use crate::{Fleet, Sample, Sampling, ServerError, Version};

/// Of a thread that does one request at a time.
const STACK: usize = 1 << 20;

/// A prompt and the seeds of its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Names the problem in errors.
    pub id: String,
    /// The prompt as tokens.
    pub tokens: Vec<u32>,
    /// One for each sample, all different and below 2⁶³; see [`sample_seed`](crate::sample_seed).
    pub seeds: Vec<u64>,
}

/// What one server did in a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Throughput {
    /// Its address.
    pub url: String,
    /// Tokens that it drew.
    pub tokens: usize,
    /// Samples that it drew.
    pub samples: usize,
    /// Requests that were made, the repeated ones included.
    pub requests: usize,
    /// Requests that were repeated.
    pub retries: usize,
    /// Seconds from the beginning of the step to its last sample.
    pub seconds: f64,
    /// Why it was given up during the step.
    pub lost: Option<String>,
}

/// The samples of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// For each prompt, one for each seed, in their order.
    pub samples: Vec<Vec<Sample>>,
    /// What they were drawn under.
    pub version: Version,
    /// What each server did; this differs between runs.
    pub servers: Vec<Throughput>,
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// No server has what is asked for.
    #[error("no server has {version}; publish it first{}", said(.faults))]
    NoVersion {
        /// What is asked for.
        version: Version,
        /// The servers that were lost before.
        faults: Vec<String>,
    },
    /// All servers are gone. The step is to be kept and done again.
    #[error(
        "no vLLM server is left; nothing of the run is lost: start the servers again, then resume it{}",
        said(.faults)
    )]
    AllDown {
        /// What each said last.
        faults: Vec<String>,
    },
    /// A server answers with what cannot be used, as the others would.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Log-probabilities would be those of another distribution than the sampled one.
    #[error(
        "with temperature, top_p or top_k the log-probabilities have to be those that were sampled from: \
         start the servers with --logprobs-mode processed_logprobs"
    )]
    Raw,
    /// A prompt leaves no room for its completion.
    #[error(
        "the prompt of {id:?} has {found} tokens; with {new} new ones that is more than the servers' {limit} (--max-model-len)"
    )]
    TooLong {
        /// The problem.
        id: String,
        /// Tokens of its prompt.
        found: usize,
        /// Tokens of a completion at most.
        new: usize,
        /// Tokens that a server holds for a sample.
        limit: usize,
    },
    /// A prompt has no tokens, or seeds that are equal or too large.
    #[error("the prompt of {id:?} has no tokens, or seeds that are equal or not below 2^63")]
    Prompt {
        /// The problem.
        id: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread for requests")]
    Thread(#[source] io::Error),
    /// The threads ended before all was done.
    #[error("the threads for requests ended too early")]
    Ended,
}

fn said(faults: &[String]) -> String {
    faults.iter().map(|fault| format!("; {fault}")).collect()
}

impl Fleet {
    /// One sample for each seed of each prompt. `on_group` hears the samples of a prompt as soon as there are all, in any order of prompts.
    ///
    /// Servers that break down are given up until the next [`publish`](Self::publish); what they had not drawn is drawn by the others.
    ///
    /// # Errors
    /// [`GenerateError::AllDown`] when none is left. Answers that cannot be used end the step at once; requests
    /// that are under way then end by themselves.
    pub fn generate(
        &mut self,
        prompts: &[Prompt],
        sampling: &Sampling,
        version: Version,
        on_group: &mut dyn FnMut(usize, &[Sample]),
    ) -> Result<Generated, GenerateError> {
        self.check(prompts, sampling)?;
        let models: Vec<Option<String>> = self
            .members
            .iter()
            .map(|member| {
                self.model_at(member, version)
                    .filter(|_| member.lost.is_none())
            })
            .collect();
        if models.iter().all(Option::is_none) {
            let faults: Vec<String> = self.lost().map(ToString::to_string).collect();
            return Err(if faults.len() == self.members.len() {
                GenerateError::AllDown { faults }
            } else {
                GenerateError::NoVersion { version, faults }
            });
        }
        let shared = self.share(prompts, sampling, &models);
        let (send, receive) = channel();
        let started = self.start(&shared, &models, &send);
        drop(send);
        let collected = started.and_then(|()| collect(&shared.prompts, &receive, on_group));
        let servers = self.finish(&shared);
        match collected {
            Ok(samples) => Ok(Generated {
                samples,
                version,
                servers,
            }),
            Err(GenerateError::AllDown { .. }) => Err(GenerateError::AllDown {
                faults: self.lost().map(ToString::to_string).collect(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Ends the threads, and enters what became of the servers.
    fn finish(&mut self, shared: &Shared) -> Vec<Throughput> {
        let mut state = shared.lock();
        state.stop = true;
        shared.changed.notify_all();
        let mut servers = std::mem::take(&mut state.throughput);
        let lost = std::mem::take(&mut state.lost);
        drop(state);
        for (place, fault) in lost {
            if let Some(record) = servers.get_mut(place) {
                record.lost = Some(fault.to_string());
            }
            if let Some(member) = self.members.get_mut(place) {
                member.lost = Some(fault);
            }
        }
        servers
    }

    fn check(&self, prompts: &[Prompt], sampling: &Sampling) -> Result<(), GenerateError> {
        if sampling.needs_processed() && !self.processed {
            return Err(GenerateError::Raw);
        }
        let new = sampling.max_new_tokens;
        for prompt in prompts {
            let id = || prompt.id.clone();
            let seeds: BTreeSet<u64> = prompt
                .seeds
                .iter()
                .copied()
                .filter(|seed| *seed < 1 << 63)
                .collect();
            if prompt.tokens.is_empty() || seeds.len() != prompt.seeds.len() {
                return Err(GenerateError::Prompt { id: id() });
            }
            let found = prompt.tokens.len();
            if let Some(limit) = self
                .max_model_len
                .filter(|limit| found.saturating_add(new) > *limit)
            {
                return Err(GenerateError::TooLong {
                    id: id(),
                    found,
                    new,
                    limit,
                });
            }
        }
        Ok(())
    }

    fn share(
        &self,
        prompts: &[Prompt],
        sampling: &Sampling,
        models: &[Option<String>],
    ) -> Arc<Shared> {
        let usable: Vec<bool> = models.iter().map(Option::is_some).collect();
        let sizes = prompts.iter().map(|prompt| prompt.seeds.len()).collect();
        let throughput = self.members.iter().map(|member| Throughput {
            url: member.server.url().to_owned(),
            ..Throughput::default()
        });
        Arc::new(Shared {
            prompts: prompts.to_vec(),
            sampling: sampling.clone(),
            begun: Instant::now(),
            state: Mutex::new(State {
                schedule: Schedule::new(sizes, &usable, self.concurrency),
                throughput: throughput.collect(),
                lost: BTreeMap::new(),
                stop: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Threads that end by themselves: a step that has failed does not wait for requests that are under way.
    fn start(
        &self,
        shared: &Arc<Shared>,
        models: &[Option<String>],
        events: &Sender<Event>,
    ) -> Result<(), GenerateError> {
        let samples: usize = shared.prompts.iter().map(|prompt| prompt.seeds.len()).sum();
        for (place, (member, model)) in self.members.iter().zip(models).enumerate() {
            let Some(model) = model else { continue };
            for _ in 0..self.concurrency.min(samples) {
                let (shared, server) = (Arc::clone(shared), Arc::clone(&member.server));
                let (model, events) = (model.clone(), events.clone());
                thread::Builder::new()
                    .name("vllm".to_owned())
                    .stack_size(STACK)
                    .spawn(move || shared.work(&server, place, &model, &events))
                    .map_err(GenerateError::Thread)?;
            }
        }
        Ok(())
    }
}

/// All samples in their order, each exactly once.
fn collect(
    prompts: &[Prompt],
    events: &Receiver<Event>,
    on_group: &mut dyn FnMut(usize, &[Sample]),
) -> Result<Vec<Vec<Sample>>, GenerateError> {
    let mut drawn: Vec<BTreeMap<usize, Sample>> = vec![BTreeMap::new(); prompts.len()];
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); prompts.len()];
    let mut left = prompts
        .iter()
        .filter(|prompt| !prompt.seeds.is_empty())
        .count();
    while left > 0 {
        let (job, sample) = match events.recv() {
            Ok(Event::Drawn(job, sample)) => (job, sample),
            Ok(Event::Fatal(error)) => return Err(error.into()),
            Ok(Event::AllDown) => return Err(GenerateError::AllDown { faults: Vec::new() }),
            Err(_ended) => return Err(GenerateError::Ended),
        };
        let (Some(group), Some(place), Some(prompt)) = (
            drawn.get_mut(job.group),
            samples.get_mut(job.group),
            prompts.get(job.group),
        ) else {
            return Err(GenerateError::Ended);
        };
        group.insert(job.sample, sample);
        if group.len() < prompt.seeds.len() {
            continue;
        }
        *place = std::mem::take(group).into_values().collect();
        on_group(job.group, place);
        left -= 1;
    }
    Ok(samples)
}
