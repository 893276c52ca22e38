//! `config.json` of a merged checkpoint, when its weights have another type than the base's.
//!
//! Loaders convert the weights to the type that it names. Without this change they would round an f32 merge to bf16 again.

use serde_json::{Map, Value};
use tlora_basis::WeightDtype;

/// The key of older and of newer versions of transformers.
const KEYS: [&str; 2] = ["torch_dtype", "dtype"];

/// The configuration with the type set wherever it names one, in the configurations of parts of the model too.
pub(crate) fn with_dtype(mut config: Map<String, Value>, dtype: WeightDtype) -> Vec<u8> {
    if !set(&mut config, dtype) {
        config.insert(KEYS[0].to_owned(), name(dtype).into());
    }
    format!("{:#}\n", Value::Object(config)).into_bytes()
}

/// Whether a type was named at this level.
fn set(config: &mut Map<String, Value>, dtype: WeightDtype) -> bool {
    let mut named = false;
    for (key, value) in config.iter_mut() {
        match value {
            Value::String(_) | Value::Null if KEYS.contains(&key.as_str()) => {
                *value = name(dtype).into();
                named = true;
            }
            Value::Object(part) if key.ends_with("_config") => {
                set(part, dtype);
            }
            _ => {}
        }
    }
    named
}

/// torch's name of a type.
const fn name(dtype: WeightDtype) -> &'static str {
    match dtype {
        WeightDtype::Bf16 => "bfloat16",
        WeightDtype::F16 => "float16",
        WeightDtype::F32 => "float32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(config: &str) -> Value {
        let bytes = with_dtype(serde_json::from_str(config).unwrap(), WeightDtype::F32);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn sets_the_type_under_either_name_and_in_parts() {
        let config = r#"{"a": 1, "dtype": "bfloat16", "text_config": {"torch_dtype": "bfloat16", "b": [1e-6]}}"#;
        let expected = r#"{"a": 1, "dtype": "float32", "text_config": {"torch_dtype": "float32", "b": [1e-6]}}"#;
        assert_eq!(
            rewritten(config),
            serde_json::from_str::<Value>(expected).unwrap()
        );
    }

    #[test]
    fn adds_the_type_where_none_is_named() {
        assert_eq!(
            rewritten(r#"{"a": 1}"#),
            serde_json::json!({"a": 1, "torch_dtype": "float32"})
        );
    }
}
