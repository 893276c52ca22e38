//! Presets, files and single settings, each over the ones before; and the resolved copy of what came out.

use toml::{Table, Value};

use super::RunConfig;
use crate::TrainError;

/// The presets, by name.
pub const PRESETS: [(&str, &str); 3] = [
    (
        "paper-gsm8k",
        include_str!("../../presets/paper-gsm8k.toml"),
    ),
    ("paper-math", include_str!("../../presets/paper-math.toml")),
    ("tiny", include_str!("../../presets/tiny.toml")),
];

/// The text of a preset.
///
/// # Errors
/// There is none of this name.
pub fn preset(name: &str) -> Result<&'static str, TrainError> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, text)| *text)
        .ok_or_else(|| TrainError::Preset {
            name: name.to_owned(),
            known: PRESETS.map(|(name, _)| name).join(", "),
        })
}

/// A configuration from layers: a preset, a file, then single settings `table.key=value`, each over the ones before.
///
/// # Errors
/// A layer is not valid TOML, or the whole has an unknown key or a value out of range.
pub fn layered(
    preset: Option<&str>,
    file: Option<&str>,
    settings: &[String],
) -> Result<RunConfig, TrainError> {
    let mut table = Table::new();
    for text in preset.into_iter().chain(file) {
        // Alone first, so that a mistake is shown with its line.
        drop(toml::from_str::<RunConfig>(text).map_err(Box::new)?);
        merge(&mut table, toml::from_str(text).map_err(Box::new)?);
    }
    for setting in settings {
        set(&mut table, setting)?;
    }
    correct_servers(&mut table);
    let config: RunConfig = table.try_into().map_err(Box::new)?;
    config.check()?;
    Ok(config)
}

/// Servers round otherwise than the learner, so their samples are corrected for it unless a layer says how.
fn correct_servers(table: &mut Table) {
    let engine = table
        .get("rollout")
        .and_then(|rollout| rollout.get("engine"));
    if engine.and_then(Value::as_str) != Some("vllm") {
        return;
    }
    let loss = table
        .entry("loss".to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(loss) = loss {
        loss.entry("correction".to_owned())
            .or_insert_with(|| Value::String("token_truncate".to_owned()));
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            // A verifier is one thing: its options are those of its kind.
            (Some(Value::Table(old)), Value::Table(new)) if key != "verifier" => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// Sets `table.key=value`; the value is TOML, or else a text.
fn set(table: &mut Table, setting: &str) -> Result<(), TrainError> {
    let wrong = |wanted: &str| TrainError::Setting {
        key: "--set".to_owned(),
        found: setting.to_owned(),
        wanted: wanted.to_owned(),
    };
    let (path, text) = setting
        .split_once('=')
        .ok_or_else(|| wrong("KEY=VALUE, such as optimizer.lr=1e-4"))?;
    let text = text.trim();
    let value = toml::from_str::<Table>(&format!("x = {text}"))
        .ok()
        .and_then(|mut table| table.remove("x"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        let entry = at
            .entry(key.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        at = entry
            .as_table_mut()
            .ok_or_else(|| wrong("keys of tables before the last one"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

impl RunConfig {
    /// The whole configuration with every default, as TOML.
    ///
    /// # Errors
    /// A value has no TOML.
    pub fn resolved(&self) -> Result<String, TrainError> {
        toml::to_string(self).map_err(|error| TrainError::Setting {
            key: "the configuration".to_owned(),
            found: error.to_string(),
            wanted: "values that TOML has".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use tlora_grpo::Correction;
    use tlora_reward::VerifierSettings;

    use super::*;

    #[test]
    fn the_resolved_copy_is_the_configuration_again() {
        for (name, text) in PRESETS {
            let config = layered(Some(text), None, &[]).unwrap();
            let again: RunConfig = toml::from_str(&config.resolved().unwrap()).unwrap();
            assert_eq!(again, config, "{name}");
        }
    }

    #[test]
    fn later_layers_win_and_verifiers_are_replaced_whole() {
        let preset = "[optimizer]\nlr = 1.0\nclip = 2.0\n[reward.verifier]\nkind = \"gsm8k\"\nmode = \"hash\"";
        let file = "[optimizer]\nlr = 3.0\n[reward]\nverifier = { kind = \"number\" }";
        let set = [
            "optimizer.clip=4".to_owned(),
            "prompt.text=Q: {question}".to_owned(),
        ];
        let config = layered(Some(preset), Some(file), &set).unwrap();
        assert_eq!((config.optimizer.lr, config.optimizer.clip), (3.0, 4.0));
        assert_eq!(config.prompt.text, "Q: {question}");
        assert!(matches!(
            config.reward.verifier,
            VerifierSettings::Number(_)
        ));
    }

    #[test]
    fn servers_are_corrected_for_unless_a_layer_says_otherwise() {
        let of = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
            layered(None, None, &settings)
        };
        let servers = "rollout.vllm.servers=[\"http://a\"]";
        let correction = |settings: &[&str]| of(settings).unwrap().loss.correction;
        assert_eq!(correction(&[]), Correction::None);
        assert_eq!(
            correction(&["rollout.engine=vllm", servers]),
            Correction::TokenTruncate
        );
        assert_eq!(
            correction(&["rollout.engine=vllm", servers, "loss.correction=none"]),
            Correction::None
        );
        for wrong in [&["rollout.engine=vllm"][..], &[servers]] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.starts_with("rollout.vllm.servers"), "{error}");
        }
    }

    #[test]
    fn the_same_run_on_other_servers() {
        let on = |url: &str| {
            let servers = format!("rollout.vllm.servers=[\"{url}\"]");
            layered(None, None, &["rollout.engine=vllm".to_owned(), servers]).unwrap()
        };
        assert_ne!(on("http://a"), on("http://b"));
        assert_eq!(
            on("http://a").without_places(),
            on("http://b").without_places()
        );
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line() {
        let error = layered(None, Some("seed = 1\n[rollout]\ntemprature = 1"), &[]).unwrap_err();
        let TrainError::Config(source) = error else {
            panic!("{error}")
        };
        let text = source.to_string();
        assert!(
            text.contains("line 3") && text.contains("temprature"),
            "{text}"
        );
    }

    #[test]
    fn every_key_is_in_the_documentation() {
        let page =
            fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/train.md"))
                .unwrap();
        let mut config = RunConfig::default();
        // Those that are absent by default.
        config.prompt.system = Some(String::new());
        (config.loss.delta, config.loss.dual_clip) = (Some(1.0), Some(1.0));
        let table: Table = toml::from_str(&config.resolved().unwrap()).unwrap();
        ensure_documented(&page, "", &table);
    }

    /// Each key of a table is named, or else each key within it.
    fn ensure_documented(page: &str, prefix: &str, table: &Table) {
        for (key, value) in table {
            let full = format!("{prefix}{key}");
            match value {
                _ if page.contains(&format!("`{full}`")) => {}
                Value::Table(section) => ensure_documented(page, &format!("{full}."), section),
                _ => panic!("{full} is not in docs/train.md"),
            }
        }
    }
}
