//! The tables of the rotary embedding.
//!
//! Always binary32, whatever the type of the weights: a bf16 table is off by 0.1 at position 1,000. The frequencies and
//! angles are rounded where transformers rounds them.

use crate::config::{ModelConfig, RopeScaling};

/// The frequencies of a model: angle = position · frequency.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    frequencies: Vec<f32>,
}

impl Rotary {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let width = config.head_dim;
        let frequency = |pair: usize| {
            #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
            let exponent = (2 * pair) as f64 / width as f64;
            scaled(
                1.0 / libm::pow(config.rope_theta, exponent),
                config.rope_scaling,
            )
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the rounding that is wanted"
        )]
        let frequencies = (0..width / 2).map(|pair| frequency(pair) as f32).collect();
        Self { frequencies }
    }

    /// cos and sin for these positions, each `positions` × `head_dim / 2`.
    pub(crate) fn tables(&self, positions: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let size = positions.len() * self.frequencies.len();
        let (mut cos, mut sin) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for &position in positions {
            for &frequency in &self.frequencies {
                #[expect(clippy::cast_precision_loss, reason = "as transformers does")]
                let angle = f64::from(position as f32 * frequency);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the rounding that is wanted"
                )]
                let (c, s) = (libm::cos(angle) as f32, libm::sin(angle) as f32);
                cos.push(c);
                sin.push(s);
            }
        }
        (cos, sin)
    }
}

fn scaled(frequency: f64, scaling: RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context,
        } => {
            let wavelength = 2.0 * std::f64::consts::PI / frequency;
            if wavelength < original_context / high_freq_factor {
                frequency
            } else if wavelength > original_context / low_freq_factor {
                frequency / factor
            } else {
                let smooth = (original_context / wavelength - low_freq_factor)
                    / (high_freq_factor - low_freq_factor);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}
