//! `tlora eval`.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tlora_checkpoint::{Checkpoint, write_file_atomically};
use tlora_format::Adapter;
use tlora_model::{Sampling, Tokenizer};
use tlora_rebuild::Run;
use tlora_train::config::EngineSetting;
use tlora_train::evaluate::{Evaluation, Result as EvaluationResult, Task, Verifiers, evaluate};
use tlora_train::{
    NativeRollouts, Policy, Prompter, Rollouts, RunConfig, TrainError, trained_values,
};

use super::train::{percent, settings_of, tasks, use_threads};
use crate::arguments::EvalOptions;
use crate::environment::Environment;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::{output, training};
use crate::failure::Failure;
use crate::terminal::{note, print, print_json};
use crate::{adapter_file, base, device, engine};

pub(crate) fn run(options: &EvalOptions) -> Result<Exit, Failure> {
    let config = settings_of(options.config.as_deref(), &options.settings)?;
    let environment = Environment::new(&options.cache, &options.run)?;
    use_threads(&environment);
    let checkpoint = base::open(&options.base.base, &environment.bar)?;
    let adapter = match &options.adapter {
        Some(path) => Some(one(path)?),
        None => None,
    };
    let subject = Evaluated {
        options,
        config: &config,
        environment: &environment,
        checkpoint: &checkpoint,
        adapter,
    };
    let done = match config.rollout.engine {
        EngineSetting::Native => subject.here()?,
        EngineSetting::Vllm => subject.on_servers()?,
    };
    drop(environment);
    let Done { tasks, answers, .. } = &done;
    if let Some(path) = &options.output {
        let lines = lines(tasks, answers);
        write_file_atomically(path, lines.as_bytes(), false).map_err(output)?;
    }
    if options.json {
        return print_json(&done.json(options));
    }
    print(|out| {
        for (kind, samples, found) in answers {
            show(out, kind, *samples, &found.result())?;
        }
        Ok(())
    })
}

/// A base, or a base with an adapter, and how it is asked.
struct Evaluated<'a> {
    options: &'a EvalOptions,
    config: &'a RunConfig,
    environment: &'a Environment,
    checkpoint: &'a Checkpoint,
    adapter: Option<Adapter>,
}

/// The answers of each way, and what they are answers to.
struct Done {
    tasks: Vec<Task>,
    answers: Vec<(&'static str, usize, Evaluation)>,
    data_sha256: String,
    prompt: String,
    verifier: String,
    lenient_verifier: Option<String>,
}

impl Evaluated<'_> {
    /// In this process.
    fn here(&self) -> Result<Done, Failure> {
        let chosen = device::choose(&self.config.model)?;
        if !self.options.run.quiet && chosen.arithmetic.is_some() {
            note(format_args!("device: {}", Untrusted(&chosen.text)));
        }
        let (compute, run) = (chosen.compute, self.environment.run());
        let policy = match self.adapter.clone() {
            Some(adapter) => Policy::load(self.checkpoint, adapter, compute, &run, |_| ()),
            None => Policy::base(self.checkpoint, compute, |_| ()),
        }
        .map_err(training)?;
        let v = self.adapter.as_ref().map(trained_values);
        self.answered(&policy.tokenizer, |_| {
            let mut native = NativeRollouts::new(&policy, self.config.rollout.slots);
            native.publish(0, v.as_deref())?;
            Ok(Box::new(native))
        })
    }

    /// By vLLM servers: nothing of the model is loaded here but its tokenizer.
    fn on_servers(&self) -> Result<Done, Failure> {
        let tokenizer = Tokenizer::read(self.checkpoint).map_err(|error| training(error.into()))?;
        let settings = &self.config.rollout.vllm;
        let temporary = readable_directory().map_err(|error| {
            Failure::unknown("there is no place for the adapter").caused_by(error)
        })?;
        let directory = match settings.directory.as_os_str().is_empty() {
            true => temporary.path().join("published"),
            false => settings.directory.clone(),
        };
        let v = self.adapter.as_ref().map(trained_values);
        let adapter = self.adapter.as_ref();
        let made = |_: &[f32]| adapter.cloned().ok_or_else(no_adapter);
        self.answered(&tokenizer, |tasks| {
            let weights = adapter.map(|_| engine::Weights {
                checkpoint: self.checkpoint,
                base: &self.options.base.base,
                run: Run {
                    progress: &(),
                    ..self.environment.run()
                },
                directory,
                adapter: &made,
            });
            let job = engine::Job {
                weights,
                rank: adapter.map_or(0, |adapter| adapter.rank),
                learner: None,
                probe: engine::probe(tasks),
                processed: false,
                quiet: self.options.run.quiet,
            };
            let mut servers = engine::VllmRollouts::connect(settings, job)?;
            servers.publish(0, v.as_deref())?;
            Ok(Box::new(servers))
        })
    }

    fn answered<'e>(
        &self,
        tokenizer: &Tokenizer,
        engine: impl FnOnce(&[Task]) -> Result<Box<dyn Rollouts + 'e>, TrainError>,
    ) -> Result<Done, Failure> {
        let verifiers = Verifiers::new(&self.config.reward.verifier).map_err(training)?;
        let prompter = Prompter::new(&self.config.prompt, tokenizer).map_err(training)?;
        let bar = &self.environment.bar;
        let (data, limit) = (&self.options.data, self.options.limit);
        let (tasks, data_sha256) = tasks(data, limit, (&prompter, &verifiers), bar)?;
        let mut rollouts = engine(&tasks).map_err(training)?;
        let mut answers = Vec::new();
        for (kind, samples, sampling) in ways(self.options, self.config, &prompter) {
            bar.activity("evaluating", tasks.len() * samples);
            let mut drawn = (std::time::Instant::now(), 0);
            let mut hear = |tokens| {
                drawn.1 += tokens;
                bar.tokens(drawn.1, drawn.0.elapsed());
            };
            let how = (samples, &sampling);
            let found = evaluate(
                tokenizer,
                &mut *rollouts,
                &verifiers,
                &tasks,
                how,
                &mut hear,
            );
            answers.push((kind, samples, found.map_err(training)?));
        }
        let lenient = verifiers.lenient.as_ref();
        Ok(Done {
            tasks,
            answers,
            data_sha256,
            prompt: prompter.digest(),
            verifier: verifiers.strict.id(),
            lenient_verifier: lenient.map(|verifier| verifier.id()),
        })
    }
}

impl Done {
    fn json(&self, options: &EvalOptions) -> Value {
        let results = self.answers.iter().map(|(kind, samples, found)| {
            json!({ "kind": kind, "samples": samples, "result": found.result() })
        });
        json!({
            "version": 1, "base": options.base.base, "adapter": options.adapter, "problems": self.tasks.len(),
            "data_sha256": self.data_sha256, "prompt": self.prompt, "verifier": self.verifier,
            "lenient_verifier": self.lenient_verifier, "results": results.collect::<Vec<_>>(),
        })
    }
}

/// A temporary directory that a server of another user can read too.
fn readable_directory() -> std::io::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("tlora-eval-").tempdir()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(directory.path(), readable)?;
    }
    Ok(directory)
}

fn no_adapter() -> TrainError {
    TrainError::Rollouts("there is no adapter to send".into())
}
fn one(path: &Path) -> Result<Adapter, Failure> {
    let mut adapters = adapter_file::read_all(&[path.to_owned()])?;
    adapters
        .pop()
        .ok_or_else(|| Failure::unknown("there is no adapter"))
}

/// Greedy, and if it is wanted sampled.
fn ways(
    options: &EvalOptions,
    config: &RunConfig,
    prompter: &Prompter<'_>,
) -> Vec<(&'static str, usize, Sampling)> {
    let greedy = Sampling::greedy(config.evaluation_tokens(), prompter.stop.clone());
    let mut ways = vec![("greedy", 1, greedy.clone())];
    if options.samples > 0 {
        let sampled = Sampling {
            temperature: config.evaluation.temperature,
            seed: config.seed,
            ..greedy
        };
        ways.push(("sampled", options.samples, sampled));
    }
    ways
}

fn show(
    out: &mut dyn std::io::Write,
    kind: &str,
    samples: usize,
    result: &EvaluationResult,
) -> std::io::Result<()> {
    writeln!(out, "{kind:<8}  strict    {}", percent(&result.strict))?;
    if let Some(lenient) = &result.lenient {
        writeln!(out, "{:<8}  lenient   {}", "", percent(lenient))?;
    }
    if samples > 1 {
        let name = format!("pass@{samples}");
        writeln!(out, "{:<8}  {name:<8}  {}", "", percent(&result.pass))?;
    }
    writeln!(
        out,
        "{:<8}  length    {:.1} tokens, {:.1} % cut off",
        "",
        result.tokens,
        100.0 * result.truncated
    )?;
    if result.unscorable > 0 {
        writeln!(
            out,
            "{:<8}  {} completions could not be scored",
            "", result.unscorable
        )?;
    }
    Ok(())
}

/// Every completion as a line of JSON.
fn lines(tasks: &[Task], done: &[(&str, usize, Evaluation)]) -> String {
    let mut lines = String::new();
    for (kind, _, found) in done {
        for (task, completions) in tasks.iter().zip(&found.completions) {
            for scored in completions {
                let line = json!({
                    "kind": kind, "id": task.problem.id, "question": task.problem.question, "gold": task.problem.answer,
                    "completion": scored.text, "extracted": scored.strict.extracted, "mode": scored.strict.mode,
                    "strict": scored.strict.reward, "lenient": scored.lenient.as_ref().and_then(|score| score.reward),
                    "lenient_mode": scored.lenient.as_ref().and_then(|score| score.mode.clone()),
                    "tokens": scored.tokens, "truncated": scored.truncated,
                });
                lines.push_str(&line.to_string());
                lines.push('\n');
            }
        }
    }
    lines
}
