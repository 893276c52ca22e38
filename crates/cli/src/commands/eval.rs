//! `tlora eval`.

use std::path::Path;

use serde_json::{Value, json};
use tlora_checkpoint::write_file_atomically;
use tlora_format::Adapter;
use tlora_model::Sampling;
use tlora_train::evaluate::{Evaluation, Result as EvaluationResult, Task, Verifiers, evaluate};
use tlora_train::{NativeRollouts, Policy, Prompter, Rollouts, RunConfig};

use super::train::{percent, settings_of, tasks, use_threads};
use crate::arguments::EvalOptions;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::explain::{output, training};
use crate::failure::Failure;
use crate::terminal::{print, print_json};
use crate::{adapter_file, base};

pub(crate) fn run(options: &EvalOptions) -> Result<Exit, Failure> {
    let config = settings_of(options.config.as_deref(), &options.settings)?;
    let environment = Environment::new(&options.cache, &options.run)?;
    use_threads(&environment);
    let checkpoint = base::open(&options.base.base, &environment.bar)?;
    let adapter = match &options.adapter {
        Some(path) => Some(one(path)?),
        None => None,
    };
    let policy = match adapter.clone() {
        Some(adapter) => Policy::load(&checkpoint, adapter, &environment.run(), |_| ()),
        None => Policy::base(&checkpoint, |_| ()),
    }
    .map_err(training)?;
    let verifiers = Verifiers::new(&config.reward.verifier).map_err(training)?;
    let prompter = Prompter::new(&config.prompt, &policy).map_err(training)?;
    let (tasks, sha256) = tasks(
        &options.data,
        options.limit,
        (&prompter, &verifiers),
        &environment.bar,
    )?;
    let mut rollouts = NativeRollouts::new(&policy, config.rollout.slots);
    let v = adapter.is_some().then(|| policy.initial_v());
    rollouts.publish(v.as_deref()).map_err(training)?;
    let mut done = Vec::new();
    for (kind, samples, sampling) in ways(options, &config, &prompter) {
        environment
            .bar
            .activity("evaluating", tasks.len() * samples);
        let mut drawn = (std::time::Instant::now(), 0);
        let found = evaluate(
            &policy,
            &mut rollouts,
            &verifiers,
            &tasks,
            (samples, &sampling),
            &mut |tokens| {
                drawn.1 += tokens;
                environment.bar.tokens(drawn.1, drawn.0.elapsed());
            },
        )
        .map_err(training)?;
        done.push((kind, samples, found));
    }
    drop(environment);
    if let Some(path) = &options.output {
        let lines = lines(&tasks, &done);
        write_file_atomically(path, lines.as_bytes(), false).map_err(output)?;
    }
    if options.json {
        let results: Vec<Value> = done
            .iter()
            .map(|(kind, samples, found)| {
                json!({ "kind": kind, "samples": samples, "result": found.result() })
            })
            .collect();
        return print_json(&json!({
            "version": 1, "base": options.base.base, "adapter": options.adapter, "problems": tasks.len(), "data_sha256": sha256,
            "prompt": prompter.digest(), "verifier": verifiers.strict.id(),
            "lenient_verifier": verifiers.lenient.as_ref().map(|verifier| verifier.id()), "results": results,
        }));
    }
    print(|out| {
        for (kind, samples, found) in &done {
            show(out, kind, *samples, &found.result())?;
        }
        Ok(())
    })
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
