//! Why a configuration cannot be used.

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// A key that there is not.
    #[error("{}there is no key {key}{}", at(*line), nearest.map(|key| format!(", did you mean {key}?")).unwrap_or_default())]
    UnknownKey {
        /// The line, from 1; none for a single setting.
        line: Option<usize>,
        /// The key, with its section.
        key: String,
        /// The key that is spelt most alike, if one is at all.
        nearest: Option<&'static str>,
    },
    /// A value of another type than the key has.
    #[error("{}{key}: {message}", at(*line))]
    Type {
        /// The line, from 1; none for a single setting.
        line: Option<usize>,
        /// The key, with its section.
        key: String,
        /// What the TOML reader says.
        message: String,
    },
    /// A value that the key may not have.
    #[error("{key} is {found}, wanted {wanted}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// Its value, as in TOML.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// A single setting that is not KEY=VALUE.
    #[error("{found:?} is not KEY=VALUE, such as optimizer.lr=1e-4")]
    Setting {
        /// What was given.
        found: String,
    },
    /// There is no preset of this name.
    #[error("there is no preset {name:?}; there are {known}")]
    Preset {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The configuration has no TOML: a number beyond what TOML can write.
    #[error("the configuration cannot be written as TOML: {message}")]
    Unwritable {
        /// What the TOML writer says.
        message: String,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: "))
        .unwrap_or_default()
}
