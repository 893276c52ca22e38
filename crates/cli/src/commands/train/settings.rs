//! The configuration of a run, from a preset, a file and options.

use std::path::Path;

use serde_json::json;
use tlora_train::{RunConfig, config};

use crate::arguments::{ConfigurationOptions, DeviceOption, EngineOption, SettingOptions};
use crate::explain::training;
use crate::failure::Failure;
use crate::input;

/// The most bytes of a configuration.
const MAX_CONFIG: u64 = 1 << 20;

/// The configuration of preset, file (or `fallback`), options, and settings over them.
pub(crate) fn resolve(
    options: &ConfigurationOptions,
    fallback: Option<&Path>,
    over: &[String],
) -> Result<RunConfig, Failure> {
    let mut settings = single(&options.settings);
    let text = |key: &str, value: &str| format!("{key}={}", toml_text(value));
    settings.extend(options.base.as_deref().map(|base| text("model.base", base)));
    for (key, path) in [("data.train", &options.train), ("data.eval", &options.eval)] {
        settings.extend(
            path.as_deref()
                .map(|path| text(key, &path.to_string_lossy())),
        );
    }
    settings.extend_from_slice(over);
    let file = options.config.as_deref().or(fallback);
    complete(layered(file, &options.settings.preset, &settings)?)
}

/// A configuration that names a model and problems.
fn complete(config: RunConfig) -> Result<RunConfig, Failure> {
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

/// `--set`, and the options that set keys too.
fn single(options: &SettingOptions) -> Vec<String> {
    let mut settings = options.settings.clone();
    settings.extend(options.device.map(|device| {
        let word = match device {
            DeviceOption::Auto => "auto",
            DeviceOption::Cpu => "cpu",
            DeviceOption::Cuda => "cuda",
        };
        format!("model.device={word}")
    }));
    let servers = |urls: &[String]| format!("rollout.vllm.servers={}", json!(urls));
    match options.engine {
        Some(EngineOption::Native) => {
            settings.extend(["rollout.engine=native".to_owned(), servers(&[])]);
        }
        Some(EngineOption::Vllm) => settings.push("rollout.engine=vllm".to_owned()),
        None => {}
    }
    if !options.vllm_urls.is_empty() {
        settings.extend([
            "rollout.engine=vllm".to_owned(),
            servers(&options.vllm_urls),
        ]);
    }
    settings
}

/// A text as a TOML string.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The configuration of a file, a preset and single settings.
fn layered(
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

pub(crate) fn settings_of(
    file: Option<&Path>,
    options: &SettingOptions,
) -> Result<RunConfig, Failure> {
    layered(file, &options.preset, &single(options))
}
