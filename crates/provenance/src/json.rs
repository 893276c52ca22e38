//! JSON read so that two readers cannot see two different documents: a key that stands twice in an object is an error.
//!
//! `serde_json` alone keeps the last of two equal keys in a [`Value`]; other readers keep the first.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// Why JSON was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON, or nested too deeply.
    #[error("not JSON")]
    Syntax(#[source] serde_json::Error),
    /// An object has a key twice.
    #[error("the key {0:?} stands twice in an object")]
    DuplicateKey(String),
    /// A field is missing, unknown, or of another type.
    #[error("a field is missing, unknown or of another type")]
    Fields(#[source] serde_json::Error),
}

/// Reads a document. It is nested at most 127 levels deep, and no object has a key twice.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let duplicate = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Unique(&duplicate)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| match duplicate.into_inner() {
        Some(key) => JsonError::DuplicateKey(key),
        None => JsonError::Syntax(error),
    })
}

/// The document as a type that says which fields there are.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    serde_json::from_value(value).map_err(JsonError::Fields)
}

/// Builds a [`Value`], and leaves a key that it met twice in its cell.
#[derive(Clone, Copy)]
struct Unique<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let error = de::Error::custom("duplicate key");
                *self.0.borrow_mut() = Some(key);
                return Err(error);
            }
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{JsonError, parse};

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a": [1, -2, 0.5, null, true, "x\u0041"], "b": {"a": {}}}"#;
        let expected = json!({"a": [1, -2, 0.5, null, true, "xA"], "b": {"a": {}}});
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn rejects_a_key_that_stands_twice_at_any_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            assert!(
                matches!(parse(text.as_bytes()), Err(JsonError::DuplicateKey(key)) if key == "a")
            );
        }
    }

    #[test]
    fn rejects_trailing_text_and_deep_nesting() {
        let deep = "[".repeat(100_000);
        for text in ["{} {}", "{}x", "", deep.as_str()] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::Syntax(_))));
        }
    }
}
