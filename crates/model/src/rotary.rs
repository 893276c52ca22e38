//! The tables of the rotary embedding.
//!
//! Always binary32, whatever the type of the weights: a bf16 table is off by 0.1 at position 1,000. The frequencies and
//! angles are rounded where transformers rounds them.

use std::collections::BTreeMap;

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
        let half = self.frequencies.len();
        let size = positions.len() * half;
        let (mut cos, mut sin) = (Vec::with_capacity(size), Vec::with_capacity(size));
        // Samples of one prompt stand at the same position, and a sine costs more than a copy.
        let mut known = BTreeMap::new();
        for (row, &position) in positions.iter().enumerate() {
            let first = *known.entry(position).or_insert(row);
            if first < row {
                cos.extend_from_within(first * half..(first + 1) * half);
                sin.extend_from_within(first * half..(first + 1) * half);
            } else {
                self.turn(position, &mut cos, &mut sin);
            }
        }
        (cos, sin)
    }

    /// Adds the row of a position.
    fn turn(&self, position: usize, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions that come again have the rows that they had.
    #[test]
    fn rows_depend_on_their_position_only() {
        let rotary = Rotary {
            frequencies: vec![1.0, 0.25, 0.01],
        };
        let (cos, sin) = rotary.tables(&[5, 0, 5, 7, 0]);
        for (row, position) in [5, 0, 5, 7, 0].into_iter().enumerate() {
            let (c, s) = rotary.tables(&[position]);
            assert_eq!(cos[3 * row..][..3], c);
            assert_eq!(sin[3 * row..][..3], s);
        }
        assert_eq!((cos[3], sin[3]), (1.0, 0.0));
        assert_ne!(cos[..3], cos[9..12]);
    }
}
