//! A configuration as text: the copy that a run leaves, and the reference for people.

use std::fmt::Write;

use toml::{Table, Value};

use super::keys::{self, KEYS, Key, SECTIONS};
use super::{ConfigError, RunConfig};

impl RunConfig {
    /// The whole configuration as a table, defaults included.
    ///
    /// # Errors
    /// A number is beyond what TOML can write.
    pub fn table(&self) -> Result<Table, ConfigError> {
        Table::try_from(self).map_err(|error| ConfigError::Unwritable {
            message: error.to_string(),
        })
    }

    /// The whole configuration as TOML, defaults included, each key under what it means and may be. Read back it is the same.
    ///
    /// # Errors
    /// A number is beyond what TOML can write.
    pub fn resolved(&self) -> Result<String, ConfigError> {
        let table = self.table()?;
        let mut text = String::from("# Every setting of a run. This file alone repeats it.\n");
        for (section, about) in SECTIONS {
            if !section.is_empty() {
                push(&mut text, format_args!("\n# {about}.\n[{section}]\n"));
            }
            for key in of(section) {
                let (name, value) = (name(key), shown(&table, key));
                let (meaning, wanted) = (key.meaning, key.wanted);
                push(
                    &mut text,
                    format_args!("# {meaning} ({wanted})\n{name} = {value}\n"),
                );
            }
        }
        Ok(text)
    }
}

/// The reference of all keys, as Markdown: what docs/train-config.md ends with.
///
/// # Errors
/// None with the defaults that there are.
pub fn reference() -> Result<String, ConfigError> {
    let table = RunConfig::default().table()?;
    let mut text = String::new();
    for (section, about) in SECTIONS {
        let heading = match section {
            "" => about.to_owned(),
            section => format!("`[{section}]`\n\n{about}."),
        };
        push(
            &mut text,
            format_args!(
                "## {heading}\n\n| key | default | may be | meaning |\n|---|---|---|---|\n"
            ),
        );
        for key in of(section) {
            let (name, value) = (name(key), shown(&table, key));
            let (wanted, meaning) = (key.wanted, key.meaning);
            push(
                &mut text,
                format_args!("| `{name}` | `{value}` | {wanted} | {meaning} |\n"),
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

/// The keys of a section.
fn of(section: &str) -> impl Iterator<Item = &'static Key> {
    let here =
        move |key: &&Key| key.path.rsplit_once('.').map_or("", |(section, _)| section) == section;
    KEYS.iter().filter(here)
}

/// The value of a key as TOML. Small numbers have an exponent, as people write them.
fn shown(table: &Table, key: &Key) -> String {
    match keys::value(table, key.path) {
        Some(Value::Float(number)) => format!("{number:?}"),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn name(key: &Key) -> &'static str {
    key.path.rsplit_once('.').map_or(key.path, |(_, name)| name)
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = text.write_fmt(arguments);
}
