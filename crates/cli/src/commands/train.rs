//! `tlora train`.

mod events;
mod files;
mod interruption;
mod memory;
mod policy;
mod problems;
mod session;
mod settings;
mod show;

use crate::arguments::TrainOptions;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::{print, print_json};

pub(crate) use interruption::flag;
pub(crate) use problems::tasks;
pub(crate) use session::Session;
pub(crate) use settings::{resolve, settings_of};
pub(crate) use show::{Detail, percent};

pub(crate) fn run(options: &TrainOptions) -> Result<Exit, Failure> {
    // A run that goes on has its settings in its directory.
    let kept = options.resume.then(|| options.output.join("config.toml"));
    let config = resolve(&options.configuration, kept.as_deref(), &[])?;
    let environment = Environment::new(&options.cache, &options.run)?;
    use_threads(&environment);
    let session = Session {
        config: &config,
        output: &options.output,
        resume: options.resume,
        environment: &environment,
        detail: match options.run.quiet {
            true => Detail::Nothing,
            false => Detail::Steps,
        },
    };
    if options.dry_run {
        let resolved = session.dry_run()?;
        return print(|out| write!(out, "{resolved}"));
    }
    let left = session.train(flag())?;
    if options.json {
        let mut json = left.json();
        json["adapter"] = left.adapter.to_string_lossy().into();
        return print_json(&json);
    }
    Ok(Exit::Done)
}

/// All computation of this process on so many threads.
pub(crate) fn use_threads(environment: &Environment) {
    let threads = environment.run().threads.get();
    // A second call, of another command in the same process, has nothing left to say.
    let _already = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
}
