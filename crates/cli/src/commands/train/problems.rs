//! The problems of a run, with their prompts.

use std::path::Path;

use tlora_train::evaluate::{Task, Verifiers};
use tlora_train::{Prompter, RunConfig, TrainError, data};

use crate::base;
use crate::escape::Untrusted;
use crate::explain::training;
use crate::failure::Failure;
use crate::progress::Bar;
use crate::terminal::{note, warn};

/// The problems of a run, with their prompts.
pub(super) struct Problems {
    pub(super) train: Vec<Task>,
    pub(super) eval: Vec<Task>,
    /// Name, path and SHA-256 of the files.
    pub(super) files: Vec<(&'static str, String)>,
}

impl Problems {
    pub(super) fn read(
        config: &RunConfig,
        prompter: &Prompter<'_>,
        verifiers: &Verifiers,
        bar: &Bar,
    ) -> Result<Self, Failure> {
        let data = &config.data;
        let (train, digest) = tasks(&data.train, data.train_limit, (prompter, verifiers), bar)?;
        let mut problems = Self {
            train: short_enough(train, data.max_prompt_tokens)?,
            eval: Vec::new(),
            files: vec![("train", digest)],
        };
        if !data.eval.as_os_str().is_empty() {
            let (eval, digest) = tasks(&data.eval, data.eval_limit, (prompter, verifiers), bar)?;
            problems.eval = eval;
            problems.files.push(("eval", digest));
        }
        Ok(problems)
    }
}

/// The problems of a file with their prompts, and the SHA-256 of the file.
pub(crate) fn tasks(
    path: &Path,
    limit: usize,
    (prompter, verifiers): (&Prompter<'_>, &Verifiers),
    bar: &Bar,
) -> Result<(Vec<Task>, String), Failure> {
    let local = base::data(path, bar)?;
    let problems = data::read(&local, limit, &verifiers.all()).map_err(training)?;
    if !problems.ignored.is_empty() {
        let keys: Vec<&str> = problems.ignored.keys().map(String::as_str).collect();
        note(format_args!(
            "{}: keys that are not used: {}",
            Untrusted(path.display()),
            Untrusted(keys.join(", "))
        ));
    }
    let task = |problem: data::Problem| {
        let prompt = prompter.prompt(&problem)?;
        Ok::<_, TrainError>(Task { problem, prompt })
    };
    let tasks = problems.problems.into_iter().map(task);
    let tasks = tasks.collect::<Result<Vec<_>, _>>().map_err(training)?;
    Ok((tasks, problems.sha256))
}

/// Without prompts that are too long.
fn short_enough(tasks: Vec<Task>, limit: usize) -> Result<Vec<Task>, Failure> {
    if limit == 0 {
        return Ok(tasks);
    }
    let before = tasks.len();
    let kept: Vec<Task> = tasks
        .into_iter()
        .filter(|task| task.prompt.tokens.len() <= limit)
        .collect();
    if kept.len() < before {
        warn(format_args!(
            "{} of {before} prompts have more than {limit} tokens (data.max_prompt_tokens) and are left out",
            before - kept.len()
        ));
    }
    if kept.is_empty() {
        return Err(Failure::unknown(format!(
            "no prompt has at most {limit} tokens, the value of data.max_prompt_tokens"
        )));
    }
    Ok(kept)
}
