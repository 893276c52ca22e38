//! Lines of a run directory as tags and numbers.

use serde_json::Value;

/// The numbers of a line of metrics.jsonl: `train/reward`, and those of an inner object under its name, `mismatch/k3`. What is
/// no finite number is left out, and so are `version` and `step`.
#[must_use]
pub fn metric_scalars(line: &Value) -> Vec<(String, f32)> {
    let mut found = Vec::new();
    let fields = line.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| !matches!(name.as_str(), "version" | "step")) {
        match value {
            Value::Object(inner) => {
                for (inner, value) in inner {
                    push(&mut found, format!("{name}/{inner}"), value);
                }
            }
            value => push(&mut found, format!("train/{name}"), value),
        }
    }
    found
}

#[expect(clippy::cast_possible_truncation, reason = "an event has an f32")]
fn push(found: &mut Vec<(String, f32)>, tag: String, value: &Value) {
    let number = value.as_f64().map(|number| number as f32);
    found.extend(
        number
            .filter(|number| number.is_finite())
            .map(|number| (tag, number)),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_flattened() {
        let line = json!({
            "version": 1, "step": 3, "reward": 0.5, "kl": null, "tokens": 12, "huge": 1e300, "name": "x",
            "mismatch": {"k3": 0.25, "max": null},
        });
        let expected = [
            ("train/reward", 0.5),
            ("train/tokens", 12.0),
            ("mismatch/k3", 0.25),
        ];
        let expected = expected.map(|(tag, value)| (tag.to_owned(), value));
        assert_eq!(metric_scalars(&line), expected);
        assert!(metric_scalars(&json!([1])).is_empty());
    }
}
