//! From a problem to the tokens of its prompt.

use tlora_model::{Message, Sample, Tokenizer};

use crate::TrainError;
use crate::config::PromptSettings;
use crate::data::{Problem, hexadecimal};
use crate::rollouts::Prompt;

/// How problems become prompts, with everything resolved.
#[derive(Debug)]
pub struct Prompter<'a> {
    settings: &'a PromptSettings,
    tokenizer: &'a Tokenizer,
    /// Tokens that end a completion.
    pub stop: Vec<u32>,
}

impl<'a> Prompter<'a> {
    /// A prompter for a model's tokenizer.
    ///
    /// # Errors
    /// A stop text is not one token of the tokenizer.
    pub fn new(settings: &'a PromptSettings, tokenizer: &'a Tokenizer) -> Result<Self, TrainError> {
        let mut stop = tokenizer.stop_tokens().to_vec();
        for text in &settings.stop {
            let found = match tokenizer.token(text) {
                Some(token) => Some(token),
                None => match tokenizer.encode(text)?.as_slice() {
                    [token] => Some(*token),
                    _ => None,
                },
            };
            stop.push(found.ok_or_else(|| TrainError::Setting {
                key: "prompt.stop".to_owned(),
                found: format!("{text:?}"),
                wanted: "texts that are one token each".to_owned(),
            })?);
        }
        stop.sort_unstable();
        stop.dedup();
        Ok(Self {
            settings,
            tokenizer,
            stop,
        })
    }

    /// The whole prompt as text.
    ///
    /// # Errors
    /// The chat template refuses.
    pub fn text(&self, question: &str) -> Result<String, TrainError> {
        let text = self.settings.text.replace("{question}", question);
        if !self.settings.chat {
            return Ok(text);
        }
        let system = self.settings.system.iter();
        let mut messages: Vec<Message> = system.map(|text| Message::new("system", text)).collect();
        messages.push(Message::new("user", &text));
        Ok(self.tokenizer.chat(&messages)?)
    }

    /// The prompt of a problem.
    ///
    /// # Errors
    /// The chat template or the tokenizer refuses.
    pub fn prompt(&self, problem: &Problem) -> Result<Prompt, TrainError> {
        Ok(Prompt {
            id: problem.id.clone(),
            tokens: self.tokenizer.encode(&self.text(&problem.question)?)?,
        })
    }

    /// The solution of a problem as a completion: its tokens and the one that ends a text.
    ///
    /// # Errors
    /// The tokenizer refuses.
    pub fn solution(&self, problem: &Problem, limit: usize) -> Result<Sample, TrainError> {
        let mut tokens = self.tokenizer.encode(&problem.solution)?;
        tokens.extend(self.tokenizer.end_token());
        let truncated = tokens.len() > limit;
        tokens.truncate(limit);
        Ok(Sample {
            tokens,
            log_probs: Vec::new(),
            truncated,
        })
    }

    /// BLAKE3 of everything that prompts depend on but the questions.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("tlora 2026-11 prompt v1");
        let template = self.tokenizer.chat_template().unwrap_or_default();
        let stop: Vec<String> = self.stop.iter().map(ToString::to_string).collect();
        let system = self.settings.system.as_deref().unwrap_or("\0");
        let chat = if self.settings.chat { template } else { "\0" };
        for part in [chat, system, &self.settings.text, &stop.join(",")] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hexadecimal(hasher.finalize().as_bytes())
    }
}
