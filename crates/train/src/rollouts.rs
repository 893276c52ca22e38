//! Where samples come from: one trait, so that a server can take the place of the engine in this process.

use tlora_model::{Generator, Request, Sample, Sampling, Steering};

use crate::{Policy, TrainError};

/// A prompt as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Names the problem; the random numbers of its samples depend on it.
    pub id: String,
    /// The tokens.
    pub tokens: Vec<u32>,
}

/// An engine that samples under the newest published v.
pub trait Rollouts {
    /// What the engine is called in records.
    fn name(&self) -> &'static str;

    /// Samples are drawn under this v from now on. `None` is the base without an adapter.
    ///
    /// # Errors
    /// The engine did not take it.
    fn publish(&mut self, v: Option<&[f32]>) -> Result<(), TrainError>;

    /// So many samples of each prompt, in the order of the prompts. `drawn` hears how many tokens each step drew.
    ///
    /// # Errors
    /// A prompt is too long, or the engine failed.
    fn generate(
        &mut self,
        prompts: &[&Prompt],
        samples: usize,
        sampling: &Sampling,
        drawn: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, TrainError>;
}

/// The engine in this process, on the learner's own weights: there is nothing to merge and nothing to send.
#[derive(Debug)]
pub struct NativeRollouts<'a> {
    policy: &'a Policy,
    slots: usize,
    steering: Option<Steering>,
}

impl<'a> NativeRollouts<'a> {
    /// An engine that runs so many samples at once, under the base until a v is published.
    #[must_use]
    pub const fn new(policy: &'a Policy, slots: usize) -> Self {
        Self {
            policy,
            slots,
            steering: None,
        }
    }
}

impl Rollouts for NativeRollouts<'_> {
    fn name(&self) -> &'static str {
        "native"
    }

    fn publish(&mut self, v: Option<&[f32]>) -> Result<(), TrainError> {
        self.steering = v.map(|v| self.policy.steering(v));
        Ok(())
    }

    fn generate(
        &mut self,
        prompts: &[&Prompt],
        samples: usize,
        sampling: &Sampling,
        drawn: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, TrainError> {
        let requests: Vec<Request<'_>> = prompts
            .iter()
            .map(|prompt| Request {
                id: &prompt.id,
                prompt: &prompt.tokens,
                samples,
            })
            .collect();
        let generator = Generator::new(&self.policy.decoder, self.slots);
        Ok(generator.generate(&requests, sampling, self.steering.as_ref(), drawn)?)
    }
}
