//! A configuration from layers: a preset, a file, then single settings, each over the ones before. Values are replaced whole; a
//! section is not a value.

use std::ops::Range;

use toml::de::DeTable;
use toml::{Spanned, Table, Value};

use super::keys::{self, KEYS, Key, SECTIONS, Wanted};
use super::{ConfigError, RunConfig};

/// A configuration from the text of a preset, the text of a file, and settings `section.key=value`; checked.
///
/// # Errors
/// A layer is not TOML, or has a key that is not known or a value that the key may not have.
pub fn layered(
    preset: Option<&str>,
    file: Option<&str>,
    settings: &[String],
) -> Result<RunConfig, ConfigError> {
    let mut table = Table::new();
    for text in preset.into_iter().chain(file) {
        merge(&mut table, parse(text)?);
    }
    for setting in settings {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| ConfigError::Setting {
                found: setting.clone(),
            })?;
        set(&mut table, key.trim(), value.trim())?;
    }
    RunConfig::from_table(table)
}

/// The table of a text, with known keys and values of their types.
///
/// # Errors
/// The text is not TOML, or has a key that is not known or a value of another type, with the line.
pub fn parse(text: &str) -> Result<Table, ConfigError> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let at = |error: &toml::de::Error| error.span().map_or(1, |span| line(span.start));
    let syntax = |error: &toml::de::Error| ConfigError::Syntax {
        line: at(error),
        message: error.message().to_owned(),
    };
    let document = DeTable::parse(text).map_err(|error| syntax(&error))?;
    let places = places(document.get_ref()).map_err(|unknown| ConfigError::UnknownKey {
        line: Some(line(unknown.at)),
        nearest: keys::nearest(&unknown.key),
        key: unknown.key,
    })?;
    if let Err(error) = toml::from_str::<RunConfig>(text) {
        let start = error.span().unwrap_or_default().start;
        let holds = |(_, range): &&(String, Range<usize>)| range.contains(&start);
        let key = places.iter().find(holds).map(|(key, _)| key.clone());
        return Err(key.map_or_else(
            || syntax(&error),
            |key| ConfigError::Type {
                line: Some(at(&error)),
                key,
                message: error.message().to_owned(),
            },
        ));
    }
    toml::from_str(text).map_err(|error| syntax(&error))
}

/// A key that is not known, and where it stands.
struct Unknown {
    key: String,
    at: usize,
}

/// The keys of a document, each with the place of its value.
fn places(document: &DeTable<'_>) -> Result<Vec<(String, Range<usize>)>, Unknown> {
    let mut places = Vec::new();
    for (name, value) in document.iter() {
        let is_section = SECTIONS
            .iter()
            .any(|(section, _)| section == name.get_ref());
        match value.get_ref().as_table() {
            Some(table) if is_section => {
                for (key, value) in table.iter() {
                    places.push(place(
                        &format!("{}.{}", name.get_ref(), key.get_ref()),
                        key,
                        value,
                    )?);
                }
            }
            None if is_section => places.push((name.get_ref().to_string(), value.span())),
            _ => places.push(place(name.get_ref(), name, value)?),
        }
    }
    Ok(places)
}

fn place<K, V>(
    path: &str,
    key: &Spanned<K>,
    value: &Spanned<V>,
) -> Result<(String, Range<usize>), Unknown> {
    if keys::find(path).is_none() {
        return Err(Unknown {
            key: path.to_owned(),
            at: key.span().start,
        });
    }
    Ok((path.to_owned(), value.span()))
}

/// Lays a table over another.
pub fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        let is_section = SECTIONS.iter().any(|(section, _)| *section == key);
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if is_section => old.extend(new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// Sets one key, as `optimizer.lr`, or a part of a key that is a table, as `reward.strict.kind`. Texts need no quotes.
///
/// # Errors
/// The key is not known, or the value has another type than the key.
pub fn set(table: &mut Table, path: &str, text: &str) -> Result<(), ConfigError> {
    let (key, inner) = key_and_inner(path)?;
    let mut value = value(key.wanted, text, !inner.is_empty());
    for name in inner.rsplit('.').filter(|name| !name.is_empty()) {
        value = Value::Table(Table::from_iter([(name.to_owned(), value)]));
    }
    let (section, name) = key.path.split_once('.').unwrap_or(("", key.path));
    let entry = if section.is_empty() {
        table.entry(name)
    } else {
        match table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()))
        {
            Value::Table(section) => section.entry(name),
            _ => return Err(mistyped(key.path, "its section is not a table")),
        }
    };
    let slot = entry.or_insert_with(|| Value::Boolean(false));
    lay(slot, value);
    let wanted = slot.clone();
    fits(key, wanted)
}

/// The key that a path begins with, and what follows it.
fn key_and_inner(path: &str) -> Result<(&'static Key, &str), ConfigError> {
    let begins = |key: &&Key| {
        let rest = path.strip_prefix(key.path);
        let table = matches!(key.wanted, Wanted::Other(_));
        rest.is_some_and(|rest| rest.is_empty() || (table && rest.starts_with('.')))
    };
    let key = KEYS
        .iter()
        .find(begins)
        .ok_or_else(|| ConfigError::UnknownKey {
            line: None,
            key: path.to_owned(),
            nearest: keys::nearest(path),
        })?;
    let inner = path.strip_prefix(key.path).unwrap_or_default();
    Ok((key, inner.strip_prefix('.').unwrap_or_default()))
}

/// A value from a text: TOML, but for texts without quotes.
fn value(wanted: Wanted, text: &str, is_part: bool) -> Value {
    let plain = || Value::String(text.to_owned());
    let is_text = matches!(wanted, Wanted::Text | Wanted::Choice(_)) && !is_part;
    if is_text && !text.starts_with(['"', '\'']) {
        return plain();
    }
    let parsed = toml::from_str::<Table>(&format!("x = {text}")).ok();
    let only = parsed.filter(|table| table.len() == 1);
    let value = only
        .and_then(|mut table| table.remove("x"))
        .unwrap_or_else(plain);
    match value {
        Value::String(text) if wanted == Wanted::Texts => Value::Array(vec![Value::String(text)]),
        value => value,
    }
}

/// Puts a value in the place of another, or into it if both are tables.
fn lay(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Table(old), Value::Table(new)) => {
            for (key, value) in new {
                lay(old.entry(key).or_insert(Value::Boolean(false)), value);
            }
        }
        (slot, value) => *slot = value,
    }
}

/// Whether a value has the type of its key.
fn fits(key: &Key, value: Value) -> Result<(), ConfigError> {
    let (section, name) = key.path.split_once('.').unwrap_or(("", key.path));
    let mut table = Table::from_iter([(name.to_owned(), value)]);
    if !section.is_empty() {
        table = Table::from_iter([(section.to_owned(), Value::Table(table))]);
    }
    let read = table.try_into::<RunConfig>();
    read.map(drop)
        .map_err(|error| mistyped(key.path, error.message()))
}

fn mistyped(key: &str, message: &str) -> ConfigError {
    ConfigError::Type {
        line: None,
        key: key.to_owned(),
        message: message.to_owned(),
    }
}

impl RunConfig {
    /// The configuration of a table; what it does not have is as by default.
    ///
    /// # Errors
    /// A key that is not known, or a value that its key may not have.
    pub fn from_table(table: Table) -> Result<Self, ConfigError> {
        for (name, value) in &table {
            match value {
                Value::Table(section) if !name.is_empty() => {
                    for (key, value) in section {
                        fits(key_and_inner(&format!("{name}.{key}"))?.0, value.clone())?;
                    }
                }
                value => fits(key_and_inner(name)?.0, value.clone())?,
            }
        }
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| mistyped("the configuration", error.message()))?;
        config.check()?;
        Ok(config)
    }
}
