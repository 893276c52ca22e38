//! From a question to the text of a prompt. A model's own chat template is applied where the model is known; here is what goes
//! into it.

use crate::config::{ConfigError, PromptSettings};

/// What stands for the question in a template.
pub const QUESTION: &str = "{question}";

/// SimpleRL's evaluation template, for models of the Qwen family: the whole prompt, tokens of the chat included
/// (hkust-nlp/simpleRL-reason, `utils.py`).
pub const QWEN_BOXED: &str = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{question}\n\
    Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n<|im_start|>assistant\n";

/// verl's GSM8K prompt: the user's turn (volcengine/verl, `examples/data_preprocess/gsm8k.py`).
pub const GSM8K_HASH: &str =
    "{question} Let's think step by step and output the final answer after \"####\".";

/// What `prompt.template` may be.
pub(crate) const WANTED: &str =
    "\"chat\", \"plain\", \"qwen-boxed\", \"gsm8k-hash\" or a text with {question} once";

/// How questions become prompts, resolved and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptTemplate {
    chat: bool,
    system: String,
    text: String,
    stop: Vec<String>,
}

/// A question as a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// Turns for the model's chat template, which opens the assistant's.
    Chat(Vec<Turn>),
    /// The whole prompt.
    Text(String),
}

/// A turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// `system` or `user`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

impl PromptTemplate {
    /// The template that the settings describe.
    ///
    /// # Errors
    /// A template that there is not, without the question or with it twice, or settings that it does not have.
    pub fn new(settings: &PromptSettings) -> Result<Self, ConfigError> {
        let around = |text: &str| format!("{}{text}{}", settings.prefix, settings.suffix);
        let (chat, text) = match settings.template.as_str() {
            "chat" => (true, around(QUESTION)),
            "plain" => (false, around(QUESTION)),
            "gsm8k-hash" => (true, GSM8K_HASH.to_owned()),
            "qwen-boxed" => (false, QWEN_BOXED.to_owned()),
            text => (false, text.to_owned()),
        };
        let value = |key, found: &str, wanted: &str| ConfigError::Value {
            key,
            found: format!("{found:?}"),
            wanted: wanted.to_owned(),
        };
        if text.matches(QUESTION).count() != 1 {
            return Err(value("prompt.template", &settings.template, WANTED));
        }
        let whole = !matches!(settings.template.as_str(), "chat" | "plain");
        for (key, text, none) in [
            ("prompt.system", &settings.system, !chat),
            ("prompt.prefix", &settings.prefix, whole),
            ("prompt.suffix", &settings.suffix, whole),
        ] {
            if none && !text.is_empty() {
                let wanted = format!("nothing with the template {:?}", settings.template);
                return Err(value(key, text, &wanted));
            }
        }
        if let Some(stop) = settings.stop.iter().find(|stop| stop.is_empty()) {
            return Err(value("prompt.stop", stop, "texts that are not empty"));
        }
        Ok(Self {
            chat,
            system: settings.system.clone(),
            text,
            stop: settings.stop.clone(),
        })
    }

    /// The prompt of a question. What looks like a template in the question stays as it is.
    #[must_use]
    pub fn render(&self, question: &str) -> Rendered {
        let content = self.text.replacen(QUESTION, question, 1);
        if !self.chat {
            return Rendered::Text(content);
        }
        let system = (!self.system.is_empty()).then(|| Turn {
            role: "system",
            content: self.system.clone(),
        });
        let user = Turn {
            role: "user",
            content,
        };
        Rendered::Chat(system.into_iter().chain([user]).collect())
    }

    /// Texts that end a completion, beside the model's own.
    #[must_use]
    pub fn stop(&self) -> &[String] {
        &self.stop
    }

    /// Whether prompts go through the model's chat template.
    #[must_use]
    pub const fn is_chat(&self) -> bool {
        self.chat
    }

    /// BLAKE3, in hexadecimal, of all that prompts depend on but the questions. `chat_template` is the model's; it counts only
    /// where it is used.
    #[must_use]
    pub fn digest(&self, chat_template: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("tlora 2026-11 prompt template v1");
        let kind = if self.chat { "chat" } else { "text" };
        let used = if self.chat { chat_template } else { "" };
        let parts = [kind, used, &self.system, &self.text];
        for part in parts
            .into_iter()
            .chain(self.stop.iter().map(String::as_str))
        {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}
