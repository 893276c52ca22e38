//! `config.toml`: every setting with the value it had.

use serde_json::{Map, Number, Value};

use super::RunError;
use super::files::Whole;

/// The configuration as JSON. Dates become text.
pub(super) fn parse(file: &Whole) -> Result<Map<String, Value>, RunError> {
    let text = std::str::from_utf8(&file.bytes)
        .ok()
        .ok_or(RunError::Config(None))?;
    let table: toml::Table =
        toml::from_str(text).map_err(|error| RunError::Config(Some(Box::new(error))))?;
    object(table)
}

fn object(table: toml::Table) -> Result<Map<String, Value>, RunError> {
    table
        .into_iter()
        .map(|(key, value)| Ok((key, json(value)?)))
        .collect()
}

fn json(value: toml::Value) -> Result<Value, RunError> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Float(number) => match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => return Err(not_finite(number)),
        },
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => Value::Object(object(table)?),
    })
}

fn not_finite(number: f64) -> RunError {
    RunError::Field {
        file: "config.toml".to_owned(),
        field: "a number",
        found: number.to_string(),
        wanted: "a finite number",
    }
}
