//! vLLM servers as an engine: each version of the weights is written, sent, and shown to have arrived before a sample is drawn under it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use tlora_model::{Sample, Sampling};
use tlora_train::config::VllmSettings;
use tlora_train::{Heard, Prompt, Rollouts, TrainError};
use tlora_vllm::{Fleet, Need, Probe, Published, SyncPath, SyncProof, Version, sample_seed};

use super::error::{EngineError, failed};
use super::fleet_settings;
use super::proof::{Learner, Trial, mean_difference};
use super::telling::{Telling, problems};
use super::weights::{Weights, remove};
use crate::escape::Untrusted;
use crate::terminal::{note, warn};

/// What the servers are wanted for.
pub(crate) struct Job<'a> {
    /// How versions become directories; none samples the base alone.
    pub(crate) weights: Option<Weights<'a>>,
    /// The rank of the adapters.
    pub(crate) rank: u8,
    /// The learner to compare with; without one, servers only have to change what they say.
    pub(crate) learner: Option<Learner<'a>>,
    /// Tokens of a fixed text.
    pub(crate) probe: Vec<u32>,
    /// Whether log-probabilities have to be those of a distribution other than the model's own.
    pub(crate) processed: bool,
    pub(crate) quiet: bool,
}

/// Servers that sample.
pub(crate) struct VllmRollouts<'a> {
    fleet: Fleet,
    job: Job<'a>,
    keep: usize,
    published: Option<u64>,
    /// The merged checkpoint that servers have, and the one before.
    merged: Vec<PathBuf>,
    /// What each server said under the base, where there is no learner.
    base: BTreeMap<String, Vec<f32>>,
    telling: Telling,
}

impl<'a> VllmRollouts<'a> {
    /// Finds out what the servers are, and that weights reach them.
    pub(crate) fn connect(settings: &VllmSettings, job: Job<'a>) -> Result<Self, TrainError> {
        let name = fresh_name();
        let need = Need {
            adapter_rank: job.weights.as_ref().map(|_| u64::from(job.rank)),
            merged: true,
            processed: job.processed,
            token: job.probe.first().copied().unwrap_or_default(),
        };
        let (fleet, Probe { line, .. }) =
            Fleet::connect(&fleet_settings(settings, name.clone()), &need).map_err(failed)?;
        if !job.quiet {
            note(format_args!("servers           {}", Untrusted(line)));
        }
        let mut servers = Self {
            fleet,
            job,
            keep: settings.keep,
            published: None,
            merged: Vec::new(),
            base: BTreeMap::new(),
            telling: Telling::default(),
        };
        if let Some(weights) = &servers.job.weights {
            weights.make_directory()?;
        }
        servers.meet(settings.tolerance == 0.0)?;
        if servers.fleet.path() == SyncPath::Adapter {
            let trial = fleet_settings(settings, format!("{name}-trial"));
            let (fleet, _) = Fleet::connect(&trial, &need).map_err(failed)?;
            servers.trial(fleet)?;
        }
        Ok(servers)
    }

    /// The servers have the learner's base.
    fn meet(&mut self, measured: bool) -> Result<(), TrainError> {
        if self.fleet.path() == SyncPath::Fixed {
            return Ok(());
        }
        let scores = self.fleet.score_base(&self.job.probe).map_err(failed)?;
        let Some(learner) = &mut self.job.learner else {
            self.base = scores.into_iter().collect();
            return Ok(());
        };
        let mut most = 0.0_f32;
        for (url, scores) in &scores {
            most = most.max(learner.meet(url, scores, measured).map_err(failed)?);
        }
        if !self.job.quiet {
            note(format_args!(
                "agreement         servers and learner are {most:.1e} nats apart on the base, and may move {:.1e} apart",
                learner.tolerance()
            ));
        }
        Ok(())
    }

    /// An adapter that moves the learner for certain has to move the servers, before anything is trained on it.
    fn trial(&self, mut fleet: Fleet) -> Result<(), TrainError> {
        let (Some(learner), Some(weights)) = (&self.job.learner, &self.job.weights) else {
            return Ok(());
        };
        let Some(Trial { v, scores }) = learner.trial()? else {
            return Ok(());
        };
        publish(&mut fleet, weights, 0, &v)?;
        let proof = SyncProof {
            before: Version::Base,
            after: Version::Step(0),
            tokens: learner.probe(),
            learner_before: learner.base(),
            learner_after: &scores,
            // The size of the trial is not that of training: what matters is that it moves, and in the same way.
            tolerance: learner
                .tolerance()
                .max(mean_difference(learner.base(), &scores) / 2.0),
        };
        let checked = fleet.verify_sync(&proof);
        problems(&fleet.close().problems);
        checked.map(drop).map_err(failed)
    }

    fn send(&mut self, version: u64, v: &[f32]) -> Result<(Published, f64), TrainError> {
        let Some(weights) = &self.job.weights else {
            return Err(failed(std::io::Error::other(
                "there are no weights to send",
            )));
        };
        if self.fleet.path() != SyncPath::Merged {
            return publish(&mut self.fleet, weights, version, v);
        }
        let begun = Instant::now();
        let directory = weights.merged(&format!("merged-v{version}"), v)?;
        let written = begun.elapsed().as_secs_f64();
        // Even if some server refuses it, others may have it.
        self.merged.push(directory.path().to_owned());
        let published = self.fleet.reload(version, &directory).map_err(failed)?;
        Ok((published, written))
    }

    /// Servers say under the new weights what the learner says.
    fn verify(&mut self, version: u64, v: &[f32]) -> Result<(), TrainError> {
        let after = Version::Step(version);
        let Some(learner) = &self.job.learner else {
            let scores = self.fleet.scores(after, &self.job.probe).map_err(failed)?;
            let moves = v.iter().any(|v| *v != 0.0);
            let unmoved = scores
                .into_iter()
                .find(|(url, scores)| moves && self.base.get(url) == Some(scores));
            return match unmoved {
                Some((url, _)) => Err(failed(EngineError::NoEffect { url })),
                None => Ok(()),
            };
        };
        let scores = learner.scores(Some(v))?;
        let proof = SyncProof {
            before: Version::Base,
            after,
            tokens: learner.probe(),
            learner_before: learner.base(),
            learner_after: &scores,
            tolerance: match self.fleet.path() {
                SyncPath::Merged => learner.tolerance_of_merged(&scores),
                SyncPath::Adapter | SyncPath::Fixed => learner.tolerance(),
            },
        };
        let before = self.fleet.lost().count();
        let checks = self.fleet.verify_sync(&proof).map_err(failed)?;
        if self.fleet.lost().count() > before {
            self.telling.lost(self.fleet.lost());
        }
        self.telling.checked(&checks);
        Ok(())
    }

    /// Versions that are no longer sampled go.
    fn clear(&mut self) {
        problems(&self.fleet.retire(self.keep).problems);
        while self.merged.len() > 2 {
            if let Err(problem) = remove(&self.merged.remove(0)) {
                problems(&[problem]);
            }
        }
    }
}

impl Rollouts for VllmRollouts<'_> {
    fn publish(&mut self, version: u64, v: Option<&[f32]>) -> Result<(), TrainError> {
        let Some(v) = v.filter(|_| self.published != Some(version)) else {
            return Ok(());
        };
        let (published, written) = self.send(version, v)?;
        self.published = Some(version);
        self.telling.published(version, &published, written);
        let verified = self.verify(version, v);
        self.clear();
        verified
    }

    fn generate(
        &mut self,
        prompts: &[&Prompt],
        samples: usize,
        sampling: &Sampling,
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Vec<Vec<Sample>>, TrainError> {
        let seeds = |id: &str| {
            let numbers = 0..samples as u64;
            numbers
                .map(|number| sample_seed(sampling.seed, sampling.step, id, number))
                .collect()
        };
        let requests: Vec<tlora_vllm::Prompt> = prompts
            .iter()
            .map(|prompt| tlora_vllm::Prompt {
                id: prompt.id.clone(),
                tokens: prompt.tokens.clone(),
                seeds: seeds(&prompt.id),
            })
            .collect();
        let sampling = tlora_vllm::Sampling {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            max_new_tokens: sampling.max_new_tokens,
            stop: sampling.stop.clone(),
            // Log-probabilities that have to be processed ones were asked for at the start; others are of evaluations, which use none.
            scored: self.job.processed,
        };
        let version = self.published.map_or(Version::Base, Version::Step);
        let mut on_group = |number: usize, drawn: &[tlora_vllm::Sample]| {
            let drawn: Vec<Sample> = drawn.iter().cloned().map(ours).collect();
            let tokens = drawn.iter().map(|sample| sample.tokens.len()).sum();
            heard(Heard::Tokens(tokens));
            heard(Heard::Group(number, &drawn));
        };
        let generated = self
            .fleet
            .generate(&requests, &sampling, version, &mut on_group)
            .map_err(failed)?;
        self.telling.generated(&generated.servers);
        let samples = generated.samples.into_iter();
        Ok(samples
            .map(|samples| samples.into_iter().map(ours).collect())
            .collect())
    }

    fn timing(&mut self) -> Value {
        self.telling.take()
    }
}

impl Drop for VllmRollouts<'_> {
    /// Servers outlive the run, and so would its adapters.
    fn drop(&mut self) {
        problems(&self.fleet.close().problems);
        if let Some(path) = self.merged.pop() {
            for old in &self.merged {
                // Only the last one is on the servers.
                problems(&Vec::from_iter(remove(old).err()));
            }
            warn(format_args!(
                "the servers still have the merged checkpoint {}, which is kept",
                Untrusted(path.display())
            ));
        }
        if let Some(weights) = &self.job.weights {
            weights.remove_directory();
        }
    }
}

/// Writes the adapter and loads it everywhere, or leaves nothing behind. Gives also the seconds of writing.
fn publish(
    fleet: &mut Fleet,
    weights: &Weights<'_>,
    version: u64,
    v: &[f32],
) -> Result<(Published, f64), TrainError> {
    let begun = Instant::now();
    let directory = weights.lora(&fleet.model_of(version), v)?;
    let written = begun.elapsed().as_secs_f64();
    match fleet.publish(version, &directory) {
        Ok(published) => Ok((published, written)),
        Err(error) => {
            // The fleet removes what it has published; no server kept this one.
            problems(&Vec::from_iter(remove(&directory).err()));
            Err(failed(error))
        }
    }
}

fn ours(sample: tlora_vllm::Sample) -> Sample {
    Sample {
        tokens: sample.tokens,
        log_probs: sample.log_probs,
        truncated: sample.truncated,
    }
}

/// Servers keep adapters, and prefixes computed under them, by name: a resumed run must not meet those of the run before.
fn fresh_name() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_nanos());
    let digest = tlora_train::digest(format!("{now} {}", std::process::id()).as_bytes());
    format!("tlora-{}", digest.get(..8).unwrap_or("run"))
}
