//! Shapes of Qwen2.5, and what a token of them costs.

use clap::ValueEnum;
use tlora_model::{Family, ModelConfig, RopeScaling};

/// A published size of Qwen2.5, or one that is made in a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Two layers, to see that everything runs
    Tiny,
    /// Qwen2.5-0.5B
    #[value(name = "0.5b")]
    Half,
    /// Qwen2.5-1.5B
    #[value(name = "1.5b")]
    OneAndHalf,
    /// Qwen2.5-7B
    #[value(name = "7b")]
    Seven,
}

impl Shape {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// As in the `config.json` of the hub.
    pub(crate) fn config(self) -> ModelConfig {
        let (hidden, intermediate, layers, heads, kv_heads, vocabulary, tied) = match self {
            Self::Tiny => (64, 160, 2, 4, 2, 512, true),
            Self::Half => (896, 4864, 24, 14, 2, 151_936, true),
            Self::OneAndHalf => (1536, 8960, 28, 12, 2, 151_936, true),
            Self::Seven => (3584, 18_944, 28, 28, 4, 152_064, false),
        };
        ModelConfig {
            family: Family::Qwen2,
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim: hidden / heads,
            vocabulary,
            norm_epsilon: 1e-6,
            rope_theta: 1e6,
            rope_scaling: RopeScaling::None,
            max_positions: 32_768,
            sliding_window: None,
            first_window_layer: 0,
            qkv_bias: true,
            output_bias: false,
            mlp_bias: false,
            head_norms: false,
            tied,
        }
    }
}

/// Weights of the seven projections of all layers.
pub(crate) fn projections(config: &ModelConfig) -> f64 {
    let width = config.head_dim * (2 * config.heads + 2 * config.kv_heads);
    number(config.layers * config.hidden * (width + 3 * config.intermediate))
}

/// Weights of the output head.
pub(crate) fn head(config: &ModelConfig) -> f64 {
    number(config.vocabulary * config.hidden)
}

/// Bytes of the keys and values of one token, each number of which has `bytes`.
pub(crate) fn cache_bytes(config: &ModelConfig, bytes: usize) -> f64 {
    number(config.layers * 2 * config.kv_heads * config.head_dim * bytes)
}

/// Floating-point operations of all heads for one token that attends to so many keys.
pub(crate) fn attention(config: &ModelConfig, keys: f64) -> f64 {
    4.0 * keys * number(config.layers * config.heads * config.head_dim)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
pub(crate) const fn number(count: usize) -> f64 {
    count as f64
}
