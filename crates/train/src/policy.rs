//! The model that is trained: a frozen decoder, the factors of an adapter, and the tokenizer.

use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, Precision};
use tlora_model::{Compute, Decoder, Projections, Steering, Tokenizer};
use tlora_rebuild::Run;

use crate::TrainError;

/// A base with an adapter whose v is still open.
#[derive(Debug)]
pub struct Policy {
    /// The frozen model.
    pub decoder: Decoder,
    /// How v steers it.
    pub projections: Projections,
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// Everything of the adapter but v; none for a base alone.
    template: Option<Adapter>,
}

impl Policy {
    /// Loads a base for an adapter, to run where `compute` says. `loaded` hears how many layers are there.
    ///
    /// # Errors
    /// The base cannot be run, or the adapter is for another one.
    pub fn load(
        checkpoint: &Checkpoint,
        adapter: Adapter,
        compute: Compute,
        run: &Run<'_>,
        loaded: impl FnMut(usize),
    ) -> Result<Self, TrainError> {
        let tokenizer = Tokenizer::read(checkpoint)?;
        let (decoder, projections) =
            Decoder::load_adapted(checkpoint, &adapter, compute, run, loaded)?;
        Ok(Self {
            decoder,
            projections,
            tokenizer,
            template: Some(adapter),
        })
    }

    /// Loads a base alone, to evaluate it.
    ///
    /// # Errors
    /// The base cannot be run.
    pub fn base(
        checkpoint: &Checkpoint,
        compute: Compute,
        loaded: impl FnMut(usize),
    ) -> Result<Self, TrainError> {
        Ok(Self {
            tokenizer: Tokenizer::read(checkpoint)?,
            decoder: Decoder::load(checkpoint, compute, loaded)?,
            projections: Projections::default(),
            template: None,
        })
    }

    /// What v does to each module.
    #[must_use]
    pub fn steering(&self, v: &[f32]) -> Steering {
        let v: Vec<f64> = v.iter().copied().map(f64::from).collect();
        self.projections.steering(&v)
    }

    /// The adapter with this v, rounded to its precision.
    ///
    /// # Errors
    /// A value is not finite at that precision, or the policy is a base alone.
    pub fn adapter(&self, v: &[f32], precision: Precision) -> Result<Adapter, TrainError> {
        let values: Vec<f64> = v.iter().copied().map(f64::from).collect();
        let template = self.template.clone().ok_or_else(|| TrainError::Setting {
            key: "the adapter".to_owned(),
            found: "none".to_owned(),
            wanted: "a policy that was loaded with one".to_owned(),
        })?;
        let mut fields = template.into_fields();
        fields.precision = precision;
        fields.v = precision
            .pack(&values)
            .map_err(|source| TrainError::Diverged {
                what: "v",
                found: source.to_string(),
            })?;
        Ok(Adapter::new(fields)?)
    }
}

/// All v of an adapter, group by group, as they are trained.
#[must_use]
pub fn trained_values(adapter: &Adapter) -> Vec<f32> {
    let groups = 0..adapter.group_count;
    let values = groups.filter_map(|group| adapter.v(group)).flatten();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the master copy of v is f32"
    )]
    values.map(|value| value as f32).collect()
}
