//! Where samples come from: one trait, so that a server can take the place of the engine in this process.

use serde_json::Value;
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

/// What an engine says while it samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard<'a> {
    /// So many tokens more were drawn.
    Tokens(usize),
    /// The samples of the prompt of this number are all there, while others are still drawn. An engine may leave this out.
    Group(usize, &'a [Sample]),
}

/// An engine that samples under the newest published v.
pub trait Rollouts {
    /// Samples are drawn under this v from now on, which is that of `version`: the number of steps that made it. `None` is the
    /// base without an adapter. A version that is published already changes nothing.
    ///
    /// # Errors
    /// The engine did not take it.
    fn publish(&mut self, version: u64, v: Option<&[f32]>) -> Result<(), TrainError>;

    /// So many samples of each prompt, in the order of the prompts.
    ///
    /// # Errors
    /// A prompt is too long, or the engine failed.
    fn generate(
        &mut self,
        prompts: &[&Prompt],
        samples: usize,
        sampling: &Sampling,
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Vec<Vec<Sample>>, TrainError>;

    /// What the engine has to tell of the time since the last call, for `timing.jsonl`; null if it is nothing.
    fn timing(&mut self) -> Value {
        Value::Null
    }
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
    fn publish(&mut self, _version: u64, v: Option<&[f32]>) -> Result<(), TrainError> {
        self.steering = v.map(|v| self.policy.steering(v));
        Ok(())
    }

    fn generate(
        &mut self,
        prompts: &[&Prompt],
        samples: usize,
        sampling: &Sampling,
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Vec<Vec<Sample>>, TrainError> {
        let requests: Vec<Request<'_>> = prompts
            .iter()
            .map(|prompt| Request {
                id: &prompt.id,
                prompt: &prompt.tokens,
                samples,
                adapter: 0,
            })
            .collect();
        let generator = Generator::new(&self.policy.decoder, self.slots);
        let drawn = |tokens| heard(Heard::Tokens(tokens));
        Ok(generator.generate(&requests, sampling, self.steering.as_ref(), drawn)?)
    }
}
