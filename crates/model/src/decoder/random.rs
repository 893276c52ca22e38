//! Models of a given shape with random weights, for benchmarks of shapes whose checkpoints are not at hand.
//!
//! Time and memory do not depend on the values, as long as they stay finite: projections are as small as those of a model
//! before its training, norms are 1.

use half::bf16;
use tlora_basis::Factors;

use super::load::{ModuleFactors, Stored, Weights, load};
use super::{Compute, Decoder};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::steering::Projections;

/// A model that is made in memory: bf16 weights, and an adapter on all seven projections of every layer, all of them tied.
#[derive(Debug, Clone)]
pub struct RandomModel {
    /// The shape.
    pub config: ModelConfig,
    /// Rank of the adapter.
    pub rank: usize,
    /// Numbers of the adapter.
    pub u: usize,
    /// The same seed gives the same model.
    pub seed: u64,
}

/// The standard deviation of weights before a training.
const DEVIATION: f64 = 0.02;

/// Weights are uniform up to this.
const LARGEST: f32 = 0.034_641;

impl RandomModel {
    /// Makes the model. `loaded` hears how many layers are there.
    ///
    /// # Errors
    /// A device has not so much memory; on this machine none that a shape which [`ModelConfig::read`] accepts could cause.
    pub fn make(
        &self,
        compute: Compute,
        loaded: impl FnMut(usize),
    ) -> Result<(Decoder, Projections)> {
        let modules = self.modules();
        let size = self.u * self.rank * self.rank;
        let p = |name: &String| self.numbers(&format!("{name}.P"), size, 1.0);
        let p = modules.iter().map(|(name, ..)| p(name)).collect();
        let mut factors = ModuleFactors::new();
        for (number, (name, rows, columns)) in modules.into_iter().enumerate() {
            let pair = Factors {
                rows,
                columns,
                rank: self.rank,
                b: self.numbers(&format!("{name}.B"), rows * self.rank, DEVIATION),
                a: self.numbers(&format!("{name}.A"), columns * self.rank, unit(columns)),
            };
            factors.insert(name, (number, pair));
        }
        let decoder = load(self, self.config.clone(), compute, factors, loaded)?;
        Ok((decoder, Projections::tied(self.u, self.rank, p)))
    }

    /// The names, outputs and inputs of all projections.
    fn modules(&self) -> Vec<(String, usize, usize)> {
        let config = &self.config;
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let (q, kv) = (
            config.heads * config.head_dim,
            config.kv_heads * config.head_dim,
        );
        let of_layer = [
            ("self_attn.q_proj", q, hidden),
            ("self_attn.k_proj", kv, hidden),
            ("self_attn.v_proj", kv, hidden),
            ("self_attn.o_proj", hidden, q),
            ("mlp.gate_proj", intermediate, hidden),
            ("mlp.up_proj", intermediate, hidden),
            ("mlp.down_proj", hidden, intermediate),
        ];
        let name = |layer, name| format!("model.layers.{layer}.{name}");
        (0..config.layers)
            .flat_map(|layer| {
                of_layer.map(|(part, rows, columns)| (name(layer, part), rows, columns))
            })
            .collect()
    }

    /// Numbers that belong to a name.
    fn bits(&self, name: &str, count: usize) -> Vec<u16> {
        let mut hasher = blake3::Hasher::new_derive_key("tlora 2026-11 random model v1");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(name.as_bytes());
        let mut bytes = vec![0; 2 * count];
        hasher.finalize_xof().fill(&mut bytes);
        let value = |pair: [u8; 2]| f32::from(i16::from_le_bytes(pair)) / 32768.0 * LARGEST;
        let pairs = bytes.as_chunks().0.iter();
        pairs
            .map(|&pair| bf16::from_f32(value(pair)).to_bits())
            .collect()
    }

    fn numbers(&self, name: &str, count: usize, deviation: f64) -> Vec<f64> {
        let bits = self.bits(name, count).into_iter();
        bits.map(|bits| bf16::from_bits(bits).to_f64() / DEVIATION * deviation)
            .collect()
    }
}

/// The deviation of the numbers of a row of length 1, as rows of singular vectors are.
#[expect(clippy::cast_precision_loss, reason = "a width of a matrix")]
fn unit(columns: usize) -> f64 {
    1.0 / (columns as f64).sqrt()
}

impl Weights for RandomModel {
    fn read(&self, name: &str, shape: &[usize]) -> Result<Stored> {
        let count = shape.iter().product();
        Ok(Stored::Bf16(if name.ends_with("norm.weight") {
            vec![bf16::ONE.to_bits(); count]
        } else {
            self.bits(name, count)
        }))
    }
}
