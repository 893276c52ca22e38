//! Text to tokens and back, and the model's chat template.
//!
//! Nothing is added silently: no beginning-of-sequence token unless the template writes it or the caller asks for it.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use tlora_checkpoint::{Checkpoint, read_json_object};

use crate::error::{ModelError, Result};

const FILE: &str = "tokenizer.json";
const TEMPLATE: &str = "chat_template.jinja";
/// Larger ones are not tokenizers of public models.
const MAX_BYTES: u64 = 200_000_000;

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

impl Message {
    /// A message.
    #[must_use]
    pub fn new(role: &str, content: &str) -> Self {
        Self {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }
}

/// The tokenizer of a checkpoint.
#[derive(Debug)]
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
    template: Option<String>,
    special: Map<String, Json>,
    stop: Vec<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, the chat template, and the tokens that end a text.
    ///
    /// # Errors
    /// A file is missing or not valid.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let dir = checkpoint.dir();
        let bytes = bounded(&dir.join(FILE)).map_err(|error| ModelError::Tokenizer {
            reason: error.to_string(),
        })?;
        let tokenizer =
            tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| ModelError::Tokenizer {
                reason: error.to_string(),
            })?;
        let settings = read_json_object(dir, "tokenizer_config.json")?.unwrap_or_default();
        let template = match bounded(&dir.join(TEMPLATE)) {
            Ok(bytes) => Some(String::from_utf8(bytes).map_err(template_error)?),
            Err(_) => settings_template(&settings),
        };
        Ok(Self {
            stop: stop_tokens(checkpoint, &tokenizer, &settings)?,
            tokenizer,
            template,
            special: special_tokens(&settings),
        })
    }

    /// The tokens of a text as it is; special tokens that are spelled out in it count as such.
    ///
    /// # Errors
    /// The tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, false);
        let encoding = encoding.map_err(|error| ModelError::Tokenizer {
            reason: error.to_string(),
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens, without special ones.
    ///
    /// # Errors
    /// The tokenizer refuses.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let text = self.tokenizer.decode(tokens, true);
        text.map_err(|error| ModelError::Tokenizer {
            reason: error.to_string(),
        })
    }

    /// The number of a token, by its text.
    #[must_use]
    pub fn token(&self, text: &str) -> Option<u32> {
        self.tokenizer.token_to_id(text)
    }

    /// The tokens that end a text: those of generation_config.json, else of config.json, else of tokenizer_config.json.
    #[must_use]
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stop
    }

    /// The token that ends a text of the model: `eos_token` of tokenizer_config.json, else the first of the stop tokens.
    #[must_use]
    pub fn end_token(&self) -> Option<u32> {
        let text = self.special.get("eos_token").and_then(Json::as_str);
        let token = text.and_then(|text| self.token(text));
        token.or_else(|| self.stop.first().copied())
    }

    /// The chat template, if there is one.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// A chat as text, up to where the assistant begins.
    ///
    /// # Errors
    /// There is no template, it is not valid, or it refuses the messages.
    pub fn chat(&self, messages: &[Message]) -> Result<String> {
        let template = self.template.as_deref().ok_or_else(|| {
            template_error("neither chat_template.jinja nor tokenizer_config.json has one")
        })?;
        let mut environment = environment()?;
        environment
            .add_template("chat", template)
            .map_err(template_error)?;
        let (special, messages) = (
            Value::from(Serde(&self.special)),
            Value::from(Serde(messages)),
        );
        let context = minijinja::context! { messages, add_generation_prompt => true, ..special };
        let template = environment.get_template("chat").map_err(template_error)?;
        template.render(context).map_err(template_error)
    }
}

/// Jinja as transformers sets it up.
fn environment() -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().map_err(template_error)?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> std::result::Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    Ok(environment)
}

fn template_error(error: impl ToString) -> ModelError {
    ModelError::ChatTemplate {
        reason: error.to_string(),
    }
}

/// `chat_template` of tokenizer_config.json: a text, or a list of named ones.
fn settings_template(settings: &Map<String, Json>) -> Option<String> {
    match settings.get("chat_template")? {
        Json::String(text) => Some(text.clone()),
        Json::Array(named) => named
            .iter()
            .find(|entry| entry["name"] == "default")
            .and_then(|entry| entry["template"].as_str())
            .map(str::to_owned),
        _ => None,
    }
}

/// bos_token and the like, which templates may write.
fn special_tokens(settings: &Map<String, Json>) -> Map<String, Json> {
    let names = ["bos_token", "eos_token", "pad_token", "unk_token"];
    names
        .into_iter()
        .filter_map(|name| {
            Some((
                name.to_owned(),
                Json::from(token_text(settings.get(name)?)?),
            ))
        })
        .collect()
}

/// A token's text, which is a string or stands in an object.
fn token_text(value: &Json) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

fn stop_tokens(
    checkpoint: &Checkpoint,
    tokenizer: &tokenizers::Tokenizer,
    settings: &Map<String, Json>,
) -> Result<Vec<u32>> {
    let generation = read_json_object(checkpoint.dir(), "generation_config.json")?;
    let config = checkpoint.config()?;
    let listed = generation
        .as_ref()
        .and_then(|members| members.get("eos_token_id"))
        .or_else(|| config.members().get("eos_token_id"));
    let mut stop = listed.map_or_else(Vec::new, numbers);
    if stop.is_empty() {
        let text = settings.get("eos_token").and_then(token_text);
        stop.extend(text.and_then(|text| tokenizer.token_to_id(text)));
    }
    stop.sort_unstable();
    stop.dedup();
    Ok(stop)
}

/// One number, or a list of them.
fn numbers(value: &Json) -> Vec<u32> {
    let one = |value: &Json| u32::try_from(value.as_u64()?).ok();
    match value {
        Json::Array(list) => list.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A regular file that is not absurdly large.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(std::io::Error::other(format!(
            "{} is no regular file of at most {MAX_BYTES} bytes",
            path.display()
        )));
    }
    fs_err::read(path)
}
