//! `config.json` of the families that the decoder runs, as transformers 4 and 5 write it.

use serde_json::{Map, Value};
use tlora_checkpoint::Config;

use crate::error::{ModelError, Result};

/// Which decoder: they differ in a few places only, which are fields of [`ModelConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Qwen2 and Qwen2.5: biases on q, k and v.
    Qwen2,
    /// Qwen3: a norm on each head of q and k.
    Qwen3,
    /// Llama 2, 3 and what has their architecture.
    Llama,
    /// Mistral: Llama with a sliding window.
    Mistral,
}

/// How the angles of the rotary embedding grow with the position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not scaled.
    None,
    /// All frequencies divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided, high ones kept, those between interpolated.
    Llama3 {
        /// What low frequencies are divided by.
        factor: f64,
        /// Wavelengths above the old context over this are low.
        low_freq_factor: f64,
        /// Wavelengths below the old context over this are high.
        high_freq_factor: f64,
        /// The context that the model was trained with first.
        original_context: f64,
    },
}

/// The sizes and settings of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Which family.
    pub family: Family,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens.
    pub vocabulary: usize,
    /// ε of the norms.
    pub norm_epsilon: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Scaling of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// The longest sequence that the model was made for.
    pub max_positions: usize,
    /// Keys that a query attends to, itself included, if that is limited.
    pub sliding_window: Option<usize>,
    /// Layers before this one attend to everything.
    pub first_window_layer: usize,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether o has a bias.
    pub output_bias: bool,
    /// Whether gate, up and down have biases.
    pub mlp_bias: bool,
    /// Whether each head of q and k is normalised.
    pub head_norms: bool,
    /// Whether the output head is the embedding.
    pub tied: bool,
}

impl ModelConfig {
    /// Reads the settings of a checkpoint.
    ///
    /// # Errors
    /// The family has no decoder here, or a setting is missing or not implemented.
    pub fn read(config: &Config) -> Result<Self> {
        let settings = Settings(config.members());
        let family = family(config)?;
        settings.only("hidden_act", &["silu"])?;
        let (hidden, heads) = (
            settings.count("hidden_size")?,
            settings.count("num_attention_heads")?,
        );
        let head_dim = match settings.optional_count("head_dim")? {
            Some(width) => width,
            // transformers' default of Qwen3, whatever the other sizes.
            None if family == Family::Qwen3 => 128,
            None if hidden % heads == 0 => hidden / heads,
            None => return Err(settings.wrong("hidden_size", "a multiple of num_attention_heads")),
        };
        if head_dim % 2 != 0 {
            return Err(settings.wrong("head_dim", "an even number"));
        }
        let kv_heads = settings
            .optional_count("num_key_value_heads")?
            .unwrap_or(match family {
                // transformers' defaults where the key is absent.
                Family::Llama => heads,
                Family::Mistral => 8,
                Family::Qwen2 | Family::Qwen3 => 32,
            });
        if heads % kv_heads != 0 {
            return Err(settings.wrong("num_key_value_heads", "a divisor of num_attention_heads"));
        }
        let layers = settings.count("num_hidden_layers")?;
        let max_positions = settings.count("max_position_embeddings")?;
        let (sliding_window, first_window_layer) = window(&settings, family, layers)?;
        settings.ensure_layer_types(layers, sliding_window.map(|_| first_window_layer))?;
        let attention_bias = family != Family::Mistral && settings.flag("attention_bias");
        Ok(Self {
            family,
            hidden,
            intermediate: settings.count("intermediate_size")?,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocabulary: settings.count("vocab_size")?,
            norm_epsilon: settings.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: settings.rope_theta()?,
            rope_scaling: settings.rope_scaling(max_positions)?,
            max_positions,
            sliding_window,
            first_window_layer,
            qkv_bias: family == Family::Qwen2 || attention_bias,
            output_bias: family != Family::Qwen2 && attention_bias,
            mlp_bias: family == Family::Llama && settings.flag("mlp_bias"),
            head_norms: family == Family::Qwen3,
            // transformers' default for all four families when the key is absent.
            tied: settings.flag("tie_word_embeddings"),
        })
    }

    /// The window of a layer, if it has one.
    #[must_use]
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window
            .filter(|_| layer >= self.first_window_layer)
    }
}

fn family(config: &Config) -> Result<Family> {
    match config.model_type() {
        Some("qwen2") => Ok(Family::Qwen2),
        Some("qwen3") => Ok(Family::Qwen3),
        Some("llama") => Ok(Family::Llama),
        Some("mistral") => Ok(Family::Mistral),
        other => Err(ModelError::Family {
            found: other.unwrap_or("absent").to_owned(),
        }),
    }
}

/// The window, and the first layer that has it. Qwen counts layers, and uses the window only if `use_sliding_window` says so.
fn window(
    settings: &Settings<'_>,
    family: Family,
    layers: usize,
) -> Result<(Option<usize>, usize)> {
    let size = settings.optional_count("sliding_window")?;
    match family {
        Family::Llama => Ok((None, 0)),
        // transformers' default is 4096 where the key is absent, and no window where it is null.
        Family::Mistral if !settings.0.contains_key("sliding_window") => Ok((Some(4096), 0)),
        Family::Mistral => Ok((size, 0)),
        Family::Qwen2 | Family::Qwen3 if !settings.flag("use_sliding_window") => Ok((None, 0)),
        Family::Qwen2 | Family::Qwen3 => {
            let first = settings.optional_count("max_window_layers")?;
            Ok((size, first.unwrap_or(28).min(layers)))
        }
    }
}

/// The members of config.json, read with their names in the errors.
struct Settings<'a>(&'a Map<String, Value>);

impl Settings<'_> {
    fn wrong(&self, key: &'static str, wanted: &'static str) -> ModelError {
        let found = self
            .0
            .get(key)
            .map_or("absent".to_owned(), Value::to_string);
        ModelError::Config { key, found, wanted }
    }

    fn optional_count(&self, key: &'static str) -> Result<Option<usize>> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
                .filter(|count| (1..=1 << 28).contains(count))
                .map(Some)
                .ok_or_else(|| self.wrong(key, "a whole number from 1 on")),
        }
    }

    fn count(&self, key: &'static str) -> Result<usize> {
        self.optional_count(key)?
            .ok_or_else(|| self.wrong(key, "a whole number from 1 on"))
    }

    fn number(&self, key: &'static str) -> Result<Option<f64>> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite() && *number > 0.0)
                .map(Some)
                .ok_or_else(|| self.wrong(key, "a positive number")),
        }
    }

    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn only(&self, key: &'static str, allowed: &[&str]) -> Result<()> {
        match self.0.get(key).and_then(Value::as_str) {
            Some(value) if allowed.contains(&value) => Ok(()),
            None if !self.0.contains_key(key) => Ok(()),
            _ => Err(self.wrong(key, "silu")),
        }
    }

    /// transformers 5 lists what each layer attends to, and follows that list: it has to agree with the window settings.
    fn ensure_layer_types(&self, layers: usize, first_window: Option<usize>) -> Result<()> {
        let Some(types) = self.0.get("layer_types").and_then(Value::as_array) else {
            return Ok(());
        };
        let windowed = |layer: usize| first_window.is_some_and(|first| layer >= first);
        let expected = (0..layers).map(|layer| match windowed(layer) {
            true => "sliding_attention",
            false => "full_attention",
        });
        if types.iter().map(Value::as_str).eq(expected.map(Some)) {
            return Ok(());
        }
        Err(self.wrong(
            "layer_types",
            "what sliding_window and max_window_layers say",
        ))
    }

    /// `rope_parameters` of transformers 5, or `rope_scaling` of 4.
    fn rope(&self) -> Option<&Map<String, Value>> {
        ["rope_parameters", "rope_scaling"]
            .into_iter()
            .find_map(|key| self.0.get(key).and_then(Value::as_object))
    }

    /// transformers 5 keeps it in `rope_parameters`, and there a missing one is an error; the first Llama 2 files have none
    /// at all, and transformers then takes 10,000.
    fn rope_theta(&self) -> Result<f64> {
        let nested = self.rope().map(Settings);
        let nested = match &nested {
            Some(rope) => rope.number("rope_theta")?,
            None => None,
        };
        match (nested, self.number("rope_theta")?) {
            (Some(theta), _) | (None, Some(theta)) => Ok(theta),
            (None, None) if self.0.contains_key("rope_parameters") => {
                Err(self.wrong("rope_theta", "a positive number"))
            }
            (None, None) => Ok(10_000.0),
        }
    }

    fn rope_scaling(&self, max_positions: usize) -> Result<RopeScaling> {
        let Some(members) = self.rope() else {
            return Ok(RopeScaling::None);
        };
        let rope = Settings(members);
        let kind = ["rope_type", "type"]
            .into_iter()
            .find_map(|key| members.get(key).and_then(Value::as_str));
        let needed = |key| {
            rope.number(key)?
                .ok_or_else(|| rope.wrong(key, "a positive number"))
        };
        match kind {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear {
                factor: needed("factor")?,
            }),
            Some("llama3") => Ok(RopeScaling::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                #[expect(clippy::cast_precision_loss, reason = "at most 2^28")]
                original_context: rope
                    .number("original_max_position_embeddings")?
                    .unwrap_or(max_positions as f64),
            }),
            Some(_) => Err(rope.wrong("rope_type", "default, linear or llama3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(changes: &Value) -> Result<ModelConfig> {
        let mut members = json!({
            "model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3,
            "max_position_embeddings": 99, "intermediate_size": 80, "vocab_size": 50, "rope_theta": 1e4, "hidden_act": "silu",
        });
        for (key, value) in changes.as_object().unwrap() {
            members[key] = value.clone();
        }
        ModelConfig::read(&Config::from(members.as_object().unwrap().clone()))
    }

    #[test]
    fn absent_keys_have_the_defaults_of_transformers() {
        let qwen3 = read(&json!({ "model_type": "qwen3" })).unwrap();
        assert_eq!(qwen3.head_dim, 128);
        let mistral = json!({ "model_type": "mistral", "attention_bias": true });
        let mistral = read(&mistral).unwrap();
        assert_eq!(
            (mistral.sliding_window, mistral.qkv_bias),
            (Some(4096), false)
        );
        let none = json!({ "model_type": "mistral", "sliding_window": null });
        assert_eq!(read(&none).unwrap().sliding_window, None);
    }

    #[test]
    fn layer_types_that_contradict_the_window_are_refused() {
        let full = ["full_attention"; 3];
        assert!(read(&json!({ "layer_types": full })).is_ok());
        let window = json!({ "use_sliding_window": true, "sliding_window": 4, "max_window_layers": 1, "layer_types": full });
        let error = read(&window).unwrap_err();
        assert!(
            matches!(
                error,
                ModelError::Config {
                    key: "layer_types",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_implemented_is_named() {
        for (changes, key) in [
            (json!({ "hidden_act": "gelu" }), "hidden_act"),
            (
                json!({ "rope_scaling": { "rope_type": "yarn", "factor": 2.0 } }),
                "rope_type",
            ),
            (
                json!({ "rope_parameters": { "rope_type": "default" }, "rope_theta": null }),
                "rope_theta",
            ),
            (json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
            (json!({ "num_hidden_layers": 0 }), "num_hidden_layers"),
        ] {
            let error = read(&changes).unwrap_err();
            assert!(
                matches!(error, ModelError::Config { key: found, .. } if found == key),
                "{error}"
            );
        }
        assert!(matches!(
            read(&json!({ "model_type": "gpt2" })),
            Err(ModelError::Family { .. })
        ));
    }
}
