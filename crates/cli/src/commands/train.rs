//! `tlora train`.

mod files;
mod memory;
mod show;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tlora_checkpoint::Checkpoint;
use tlora_format::{SigmaSide, TargetModules};
use tlora_merge::{Groups, Recipe, create};
use tlora_train::config::{self, AdapterSettings, SigmaSideSetting};
use tlora_train::evaluate::{Task, Verifiers};
use tlora_train::{
    Ending, Finished, NativeRollouts, Policy, Prompter, RunConfig, RunDirectory, State, TrainError,
    Trainer, data,
};

use crate::arguments::{SettingOptions, TrainOptions};
use crate::base;
use crate::environment::{Environment, warn_about};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::{Subject, training};
use crate::failure::Failure;
use crate::input;
use crate::terminal::{note, print, print_json, warn};

pub(crate) use show::percent;

/// The most bytes of a configuration.
const MAX_CONFIG: u64 = 1 << 20;

pub(crate) fn run(options: &TrainOptions) -> Result<Exit, Failure> {
    let config = resolve(options)?;
    let state = if options.resume {
        Some(newest(&options.output)?)
    } else {
        None
    };
    let environment = Environment::new(&options.cache, &options.run)?;
    use_threads(&environment);
    let checkpoint = base::open(&config.model.base, &environment.bar)?;
    let policy = load(&config, &checkpoint, &environment)?;
    let verifiers = Verifiers::new(&config.reward.verifier).map_err(training)?;
    let prompter = Prompter::new(&config.prompt, &policy).map_err(training)?;
    let mut problems = Problems::read(&config, &prompter, &verifiers)?;
    let plan = memory::plan(&config, &policy, &problems.train);
    if !options.run.quiet {
        show::start(&config, &policy, &problems, &plan);
    }
    memory::ensure_fits(&plan)?;
    let resolved = config.resolved().map_err(training)?;
    if options.dry_run {
        return print(|out| write!(out, "{resolved}"));
    }
    let identity = identity(&resolved, &problems, &prompter);
    let mut directory = open(options, &resolved, state.as_ref(), &identity)?;
    files::provenance(&directory, &checkpoint, &config, &problems)?;
    let stop = interruption();
    let observer = show::Steps::new(config.steps, options.run.quiet);
    let mut rollouts = NativeRollouts::new(&policy, config.rollout.slots);
    let finished = Trainer {
        config: &config,
        policy: &policy,
        prompter: &prompter,
        rollouts: &mut rollouts,
        verifiers: &verifiers,
        train: &problems.train,
        eval: &problems.eval,
        observer: &observer,
        stop: &stop,
    }
    .run(&mut directory, &identity, state.as_ref())
    .map_err(|error| failed(error, &options.output))?;
    problems.train.clear();
    finish(options, &config, &policy, &directory, &finished)
}

/// The configuration of preset, file and options.
fn resolve(options: &TrainOptions) -> Result<RunConfig, Failure> {
    let mut settings = options.settings.settings.clone();
    let text = |key: &str, value: &str| format!("{key}={}", toml_text(value));
    settings.extend(options.base.as_deref().map(|base| text("model.base", base)));
    for (key, path) in [("data.train", &options.train), ("data.eval", &options.eval)] {
        settings.extend(
            path.as_deref()
                .map(|path| text(key, &path.to_string_lossy())),
        );
    }
    let from_directory = options.output.join("config.toml");
    let file = match &options.config {
        None if options.resume => Some(from_directory.as_path()),
        file => file.as_deref(),
    };
    let config = layered(file, &options.settings.preset, &settings)?;
    for (key, is_empty, option) in [
        ("model.base", config.model.base.is_empty(), "--base"),
        (
            "data.train",
            config.data.train.as_os_str().is_empty(),
            "--train",
        ),
    ] {
        if is_empty {
            return Err(Failure::unknown(format!("{key} is not set"))
                .hint(format!("set it in the configuration, or by {option}")));
        }
    }
    Ok(config)
}

/// A text as a TOML string.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The configuration of a file, a preset and single settings.
pub(super) fn layered(
    file: Option<&Path>,
    preset: &Option<String>,
    settings: &[String],
) -> Result<RunConfig, Failure> {
    let text = match file {
        None => None,
        Some(path) => {
            let bytes = input::read(path, MAX_CONFIG).map_err(|error| {
                Failure::unknown("the configuration cannot be read").caused_by(error)
            })?;
            Some(String::from_utf8(bytes).map_err(|error| {
                Failure::unknown(format!("{} is not UTF-8", path.display())).caused_by(error)
            })?)
        }
    };
    let preset = match preset {
        None => None,
        Some(name) => Some(config::preset(name).map_err(training)?),
    };
    config::layered(preset, text.as_deref(), settings).map_err(training)
}

pub(super) fn settings_of(
    file: Option<&Path>,
    options: &SettingOptions,
) -> Result<RunConfig, Failure> {
    layered(file, &options.preset, &options.settings)
}

/// All computation of this process on so many threads.
pub(super) fn use_threads(environment: &Environment) {
    let threads = environment.run().threads.get();
    // A second call, of another command in the same process, has nothing left to say.
    let _already = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
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

/// The model with a new adapter.
fn load(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    environment: &Environment,
) -> Result<Policy, Failure> {
    let created = create(checkpoint, &recipe(&config.adapter), &environment.run());
    let subject = Subject {
        base: &config.model.base,
        adapters: &[],
    };
    let created = created.map_err(|error| subject.explain(error))?;
    warn_about(&created.notes);
    Policy::load(checkpoint, created.adapter, &environment.run(), |_| ()).map_err(training)
}

fn recipe(settings: &AdapterSettings) -> Recipe {
    let groups = match (
        NonZeroU32::new(settings.n_tie),
        NonZeroU32::new(settings.groups),
    ) {
        (Some(modules), _) => Groups::Tie(modules),
        (None, Some(count)) => Groups::Count(count),
        (None, None) => Groups::Untied,
    };
    let targets =
        (!settings.targets.is_empty()).then(|| TargetModules::Suffixes(settings.targets.clone()));
    Recipe {
        rank: settings.rank,
        u: settings.u,
        groups,
        structured: settings.structured,
        targets,
        precision: tlora_train::precision(settings.precision),
        seed: settings.projection_seed,
        sigma_side: match settings.sigma_side {
            SigmaSideSetting::Left => SigmaSide::Left,
            SigmaSideSetting::Split => SigmaSide::Split,
            SigmaSideSetting::Right => SigmaSide::Right,
        },
        scale: settings.scale,
        v: None,
        text: std::collections::BTreeMap::new(),
    }
}

/// The problems of a run, with their prompts.
pub(super) struct Problems {
    pub(super) train: Vec<Task>,
    pub(super) eval: Vec<Task>,
    /// Name, path and SHA-256 of the files.
    pub(super) files: Vec<(&'static str, String)>,
}

impl Problems {
    fn read(
        config: &RunConfig,
        prompter: &Prompter<'_>,
        verifiers: &Verifiers,
    ) -> Result<Self, Failure> {
        let data = &config.data;
        let (train, digest) = tasks(&data.train, data.train_limit, prompter, verifiers)?;
        let mut problems = Self {
            train: short_enough(train, data.max_prompt_tokens)?,
            eval: Vec::new(),
            files: vec![("train", digest)],
        };
        if !data.eval.as_os_str().is_empty() {
            let (eval, digest) = tasks(&data.eval, data.eval_limit, prompter, verifiers)?;
            problems.eval = eval;
            problems.files.push(("eval", digest));
        }
        Ok(problems)
    }
}

/// The problems of a file with their prompts, and the SHA-256 of the file.
pub(super) fn tasks(
    path: &Path,
    limit: usize,
    prompter: &Prompter<'_>,
    verifiers: &Verifiers,
) -> Result<(Vec<Task>, String), Failure> {
    let problems = data::read(path, limit, &verifiers.all()).map_err(training)?;
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

/// What a checkpoint has to agree with: every setting but how long the run is, the data and the prompts.
fn identity(resolved: &str, problems: &Problems, prompter: &Prompter<'_>) -> String {
    let mut text = resolved.to_owned();
    for (name, digest) in &problems.files {
        text.push_str(&format!("{name} {digest}\n"));
    }
    text.push_str(&prompter.digest());
    tlora_train::digest(text.as_bytes())
}

fn open(
    options: &TrainOptions,
    resolved: &str,
    state: Option<&State>,
    identity: &str,
) -> Result<RunDirectory, Failure> {
    let Some(state) = state else {
        return RunDirectory::create(&options.output, resolved).map_err(training);
    };
    if state.run != identity {
        return Err(Failure::no(format!(
            "the checkpoint in {} is of another run",
            options.output.display()
        ))
        .hint("settings, data and prompts have to be those of config.toml; leave RUN.toml and --set away to resume with them"));
    }
    RunDirectory::resume(&options.output, &state.logs).map_err(training)
}

/// Set when the user wants the run to end.
fn interruption() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let installed = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            // The second time: at once. The last checkpoint is on the disk.
            crate::exit::interrupted();
        }
        note(format_args!("finishing this step; once more ends at once"));
    });
    if installed.is_err() {
        warn(format_args!("an interruption will end the run at once"));
    }
    stop
}

fn failed(error: TrainError, directory: &Path) -> Failure {
    let diverged = matches!(error, TrainError::Diverged { .. });
    let failure = training(error).fact("run directory", directory.display().to_string());
    if diverged {
        failure
            .hint("a smaller optimizer.lr, or a checkpoint from before; the logs say when it began")
    } else {
        failure
    }
}

fn finish(
    options: &TrainOptions,
    config: &RunConfig,
    policy: &Policy,
    directory: &RunDirectory,
    finished: &Finished,
) -> Result<Exit, Failure> {
    let precision = tlora_train::precision(config.adapter.precision);
    let adapter = policy.adapter(&finished.v, precision).map_err(training)?;
    let bytes = adapter.to_bytes();
    directory.file("adapter.tlora", &bytes).map_err(training)?;
    files::adapter_step(directory, finished.step)?;
    let path = directory.path().join("adapter.tlora");
    if !options.run.quiet {
        show::end(&path, bytes.len(), finished);
    }
    if options.json {
        return print_json(&json!({
            "adapter": path, "bytes": bytes.len(), "step": finished.step, "v": finished.v,
            "ending": match finished.ending {
                Ending::Complete => "complete",
                Ending::Patience => "patience",
                Ending::Interrupted => "interrupted",
            },
            "digest": tlora_train::digest(&bytes),
        }));
    }
    Ok(Exit::Done)
}
