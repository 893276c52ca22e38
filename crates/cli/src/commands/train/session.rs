//! One run, from its configuration to its adapter.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, Precision};
use tlora_rebuild::Run;
use tlora_train::config::EngineSetting;
use tlora_train::evaluate::Verifiers;
use tlora_train::{
    Both, Ending, Finished, NativeRollouts, Policy, Prompter, Rollouts, RunConfig, RunDirectory,
    State, TrainError, Trainer,
};

use super::events::Events;
use super::problems::Problems;
use super::show::Detail;
use super::{files, memory, policy, show};
use crate::commands::report;
use crate::device::{self, Chosen};
use crate::environment::Environment;
use crate::explain::training;
use crate::failure::Failure;
use crate::terminal::warn;
use crate::{base, engine};

/// What a run is started with.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a RunConfig,
    /// The run directory.
    pub(crate) output: &'a Path,
    /// Whether to go on from its newest checkpoint.
    pub(crate) resume: bool,
    pub(crate) environment: &'a Environment,
    /// What is said on the way.
    pub(crate) detail: Detail,
}

/// What a run left.
pub(crate) struct Left {
    pub(crate) adapter: PathBuf,
    pub(crate) finished: Finished,
    bytes: usize,
    digest: String,
}

impl Left {
    /// As `result.json` has it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "version": 1,
            "bytes": self.bytes, "step": self.finished.step, "v": self.finished.v,
            "ending": match self.finished.ending {
                Ending::Complete => "complete",
                Ending::Patience => "patience",
                Ending::Interrupted => "interrupted",
            },
            "digest": self.digest,
        })
    }
}

/// Everything of a run but its directory.
struct Parts<'a> {
    checkpoint: &'a Checkpoint,
    policy: &'a Policy,
    /// What computes it, if that is not this machine.
    arithmetic: Option<&'a str>,
    verifiers: &'a Verifiers,
    prompter: &'a Prompter<'a>,
    problems: &'a Problems,
    /// The configuration with every key.
    resolved: &'a str,
}

impl Session<'_> {
    /// Loads everything, says what would be done, and gives the configuration with every key.
    pub(crate) fn dry_run(&self) -> Result<String, Failure> {
        let chosen = device::choose(&self.config.model)?;
        self.prepared(&chosen, |parts| Ok(parts.resolved.to_owned()))
    }

    /// Trains to the end, or until `stop` is set.
    pub(crate) fn train(&self, stop: &AtomicBool) -> Result<Left, Failure> {
        self.train_on(&device::choose(&self.config.model)?, stop)
    }

    fn train_on(&self, chosen: &Chosen, stop: &AtomicBool) -> Result<Left, Failure> {
        let state = match self.resume {
            true => Some(newest(self.output)?),
            false => None,
        };
        self.prepared(chosen, |parts| self.trained(parts, state.as_ref(), stop))
    }

    fn prepared<T>(
        &self,
        chosen: &Chosen,
        work: impl FnOnce(&Parts<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let config = self.config;
        let checkpoint = base::open(&config.model.base, &self.environment.bar)?;
        let compute = chosen.compute.clone();
        let policy = policy::load(config, &checkpoint, compute, self.environment)?;
        let verifiers = Verifiers::new(&config.reward.verifier).map_err(training)?;
        let prompter = Prompter::new(&config.prompt, &policy.tokenizer).map_err(training)?;
        let problems = Problems::read(config, &prompter, &verifiers, &self.environment.bar)?;
        let plan = memory::plan(config, &policy, &problems.train);
        if self.detail == Detail::Steps {
            show::start(config, chosen, (&policy, &plan), &problems);
        }
        memory::ensure_fits(&plan, &chosen.compute)?;
        work(&Parts {
            checkpoint: &checkpoint,
            policy: &policy,
            arithmetic: chosen.arithmetic.as_deref(),
            verifiers: &verifiers,
            prompter: &prompter,
            problems: &problems,
            resolved: &config.resolved().map_err(training)?,
        })
    }

    fn trained(
        &self,
        parts: &Parts<'_>,
        state: Option<&State>,
        stop: &AtomicBool,
    ) -> Result<Left, Failure> {
        let identity = identity(self.config, parts)?;
        let mut directory = self.open(parts.resolved, state, &identity)?;
        files::provenance(&directory, parts.checkpoint, self.config, parts.problems)?;
        let steps = show::Steps::new(self.config.steps, self.detail);
        let events = Events::new(self.output, state.map_or(0, |state| state.step + 1))?;
        let observer = Both(&steps, &events);
        let adapter = |v: &[f32]| parts.policy.adapter(v, Precision::F32);
        let mut rollouts = self.rollouts(parts, &adapter).map_err(|error| {
            if state.is_none() {
                // Nothing was done in the directory that was made above; the next try can have its name.
                fs_err::remove_dir_all(self.output).ok();
            }
            training(error)
        })?;
        let finished = Trainer {
            config: self.config,
            policy: parts.policy,
            prompter: parts.prompter,
            rollouts: &mut *rollouts,
            verifiers: parts.verifiers,
            train: &parts.problems.train,
            eval: &parts.problems.eval,
            observer: &observer,
            stop,
        }
        .run(&mut directory, &identity, state)
        .map_err(|error| failed(error, self.output))?;
        // Servers are left as they were before anything else can fail.
        drop(rollouts);
        self.finish(parts.policy, &directory, finished)
    }

    fn rollouts<'a>(
        &'a self,
        parts: &'a Parts<'_>,
        adapter: &'a dyn Fn(&[f32]) -> Result<Adapter, TrainError>,
    ) -> Result<Box<dyn Rollouts + 'a>, TrainError> {
        let (config, rollout) = (self.config, &self.config.rollout);
        if rollout.engine == EngineSetting::Native {
            return Ok(Box::new(NativeRollouts::new(parts.policy, rollout.slots)));
        }
        let directory = match rollout.vllm.directory.as_os_str().is_empty() {
            true => self.output.join("published"),
            false => rollout.vllm.directory.clone(),
        };
        let probe = engine::probe(&parts.problems.train);
        let job = engine::Job {
            weights: Some(engine::Weights {
                checkpoint: parts.checkpoint,
                base: &config.model.base,
                run: Run {
                    progress: &(),
                    ..self.environment.run()
                },
                directory,
                adapter,
            }),
            rank: config.adapter.rank,
            learner: Some(engine::Learner::new(
                parts.policy,
                probe.clone(),
                rollout.vllm.tolerance,
            )?),
            probe,
            processed: rollout.temperature != 1.0 || rollout.top_p < 1.0 || rollout.top_k > 0,
            quiet: self.detail != Detail::Steps,
        };
        Ok(Box::new(engine::VllmRollouts::connect(&rollout.vllm, job)?))
    }

    fn open(
        &self,
        resolved: &str,
        state: Option<&State>,
        identity: &str,
    ) -> Result<RunDirectory, Failure> {
        let Some(state) = state else {
            return RunDirectory::create(self.output, resolved).map_err(training);
        };
        if state.run != identity {
            return Err(Failure::no(format!(
                "the checkpoint in {} is of another run",
                self.output.display()
            ))
            .hint("settings, data, prompts and the device have to be those that it began with; leave RUN.toml and --set away to resume with them"));
        }
        RunDirectory::resume(self.output, &state.logs).map_err(training)
    }

    fn finish(
        &self,
        policy: &Policy,
        directory: &RunDirectory,
        finished: Finished,
    ) -> Result<Left, Failure> {
        let precision = tlora_train::precision(self.config.adapter.precision);
        let adapter = policy.adapter(&finished.v, precision).map_err(training)?;
        let bytes = adapter.to_bytes();
        directory.file("adapter.tlora", &bytes).map_err(training)?;
        files::adapter_step(directory, finished.step)?;
        let left = Left {
            adapter: directory.path().join("adapter.tlora"),
            finished,
            bytes: bytes.len(),
            digest: tlora_train::digest(&bytes),
        };
        files::result(directory, &left.json())?;
        if self.detail != Detail::Nothing {
            show::end(&left.adapter, left.bytes, &left.finished);
        }
        match report::of_run(self.output) {
            Ok(page) if self.detail != Detail::Nothing => show::page(&page),
            Ok(_) => {}
            // The run is done, whatever becomes of its picture.
            Err(failure) => warn(format_args!(
                "no page was written: {}",
                failure.into_parts().0
            )),
        }
        Ok(left)
    }
}

fn newest(directory: &Path) -> Result<State, Failure> {
    State::newest(directory).map_err(training)?.ok_or_else(|| {
        Failure::unknown(format!(
            "{} has no checkpoint to go on from",
            directory.display()
        ))
        .hint("start the run without --resume")
    })
}

/// What a checkpoint has to agree with: every setting but where servers are, the data, the prompts and the arithmetic.
fn identity(config: &RunConfig, parts: &Parts<'_>) -> Result<String, Failure> {
    let mut text = config.without_places().resolved().map_err(training)?;
    for (name, digest) in &parts.problems.files {
        text.push_str(&format!("{name} {digest}\n"));
    }
    text.push_str(&parts.prompter.digest());
    if let Some(arithmetic) = parts.arithmetic {
        text.push_str(&format!("\narithmetic {arithmetic}\n"));
    }
    Ok(tlora_train::digest(text.as_bytes()))
}

fn failed(error: TrainError, directory: &Path) -> Failure {
    let diverged = matches!(error, TrainError::Diverged { .. });
    let away = matches!(error, TrainError::Rollouts(_));
    let failure = training(error).fact("run directory", directory.display().to_string());
    if away {
        failure.hint("nothing of the run is lost: `tlora train --resume -o DIR` goes on from the step before")
    } else if diverged {
        failure
            .hint("a smaller optimizer.lr, or a checkpoint from before; the logs say when it began")
    } else {
        failure
    }
}

/// A run on the kernels of a GPU, which are emulated, beside one on this machine.
#[cfg(test)]
#[cfg(feature = "cuda")]
mod tests {
    use std::path::Path;

    use tlora_cuda::{Device, Storage};
    use tlora_model::Compute;

    use super::*;
    use crate::arguments::{CacheOptions, ConfigurationOptions, RunOptions, SettingOptions};
    use crate::commands::train::resolve;

    /// Two small steps on solutions, and an evaluation.
    fn config() -> RunConfig {
        let settings = [
            "method=sft",
            "steps=2",
            "adapter.groups=3",
            "rollout.prompts_per_step=2",
            "evaluation.max_new_tokens=10",
            "evaluation.every=0",
            "evaluation.samples=0",
            "data.train_limit=4",
            "data.eval_limit=2",
        ];
        let options = ConfigurationOptions {
            config: Some("examples/tiny-base/train.toml".into()),
            settings: SettingOptions {
                preset: None,
                settings: settings.map(str::to_owned).to_vec(),
                device: None,
                engine: None,
                vllm_urls: Vec::new(),
            },
            base: None,
            train: None,
            eval: None,
        };
        resolve(&options, None, &[]).unwrap()
    }

    fn run(at: &Path, name: &str, compute: Compute) -> (Vec<f32>, String) {
        let cache = CacheOptions {
            no_cache: false,
            cache_dir: Some(at.join("cache")),
        };
        let quiet = RunOptions {
            threads: Some(2),
            quiet: true,
        };
        let environment = Environment::new(&cache, &quiet).unwrap();
        let (config, output) = (config(), at.join(name));
        let session = Session {
            config: &config,
            output: &output,
            resume: false,
            environment: &environment,
            detail: Detail::Nothing,
        };
        let chosen = Chosen {
            compute,
            text: String::new(),
            arithmetic: None,
        };
        let left = session.train_on(&chosen, &AtomicBool::new(false)).unwrap();
        let log = |name: &str| fs_err::read_to_string(output.join(name)).unwrap();
        let logs = log("metrics.jsonl") + &log("evaluations.jsonl");
        (left.finished.v, logs)
    }

    #[test]
    fn a_run_on_a_device_trains_what_a_run_here_trains() {
        let at = tempfile::tempdir().unwrap();
        let there = |storage| Compute::Cuda {
            device: Device::emulated(),
            storage,
        };
        let (expected, _) = run(at.path(), "here", Compute::F32);
        let (single, logs) = run(at.path(), "f32", there(Storage::F32));
        let (again, same_logs) = run(at.path(), "again", there(Storage::F32));
        let (half, _) = run(at.path(), "bf16", there(Storage::Bf16));
        assert_eq!(single, again);
        assert_eq!(logs, same_logs);
        let size = expected.iter().fold(0.0, |size: f32, v| size.max(v.abs()));
        assert!(size > 1e-3, "v did not move: {expected:?}");
        // The first step of Adam goes by the sign of the gradient, later ones by its size: f32 is off in the last digits of that,
        // bf16 in the second.
        for (found, bound) in [(&single, 1e-3), (&half, 0.1)] {
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= bound * size,
                    "{found} {expected}"
                );
            }
        }
        assert_ne!(half, expected);
    }
}
