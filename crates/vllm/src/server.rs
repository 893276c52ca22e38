//! One server: the requests that a trainer makes, and what their answers say.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::completion;
use crate::connection::{Answer, Connect, Connection};
use crate::{Fault, Sample, Sampling, ServerError};

const COMPLETIONS: &str = "/v1/completions";
const MODELS: &str = "/v1/models";
const LOAD: &str = "/v1/load_lora_adapter";
const UNLOAD: &str = "/v1/unload_lora_adapter";
/// The longest pause, in first pauses.
const LONGEST_PAUSE: u32 = 40;
/// Questions that should be answered at once.
const SHORT: Duration = Duration::from_secs(10);

/// A model or an adapter in the list of a server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelCard {
    /// What requests call it.
    pub id: String,
    /// Where it was loaded from.
    #[serde(default)]
    pub root: Option<String>,
    /// The model below an adapter; none for a model.
    #[serde(default)]
    pub parent: Option<String>,
    /// Tokens of a prompt and its completion at most.
    #[serde(default)]
    pub max_model_len: Option<usize>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<ModelCard>,
}

#[derive(Deserialize)]
struct VersionAnswer {
    version: String,
}

/// A vLLM server.
#[derive(Debug)]
pub struct Server {
    connection: Connection,
    connect: Connect,
}

impl Server {
    /// The server at an address such as `http://node7:8000`. Asks nothing yet.
    ///
    /// # Errors
    /// [`Fault::Url`], [`Fault::Key`].
    pub fn new(url: &str, connect: &Connect) -> Result<Self, ServerError> {
        Ok(Self {
            connection: Connection::new(url, connect.api_key_env.as_deref())?,
            connect: connect.clone(),
        })
    }

    /// The address, without what may be secret in it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.connection.shown
    }

    /// Asked once: whether it and its engine live.
    ///
    /// # Errors
    /// They do not.
    pub fn health(&self) -> Result<(), ServerError> {
        let asked = self.connection.succeed("/health", None, SHORT);
        asked.map(drop).map_err(|fault| self.error(fault))
    }

    /// What it calls its version; none where nobody knows, as with a router.
    ///
    /// # Errors
    /// It does not answer.
    pub fn version(&self) -> Result<Option<String>, ServerError> {
        let answer = self.get("/version")?;
        let parsed: Result<VersionAnswer, _> = serde_json::from_slice(&answer.body);
        Ok(parsed
            .ok()
            .filter(|_| answer.status == 200)
            .map(|answer| answer.version))
    }

    /// Its model under all of its names, then the adapters.
    ///
    /// # Errors
    /// It does not answer, or not with a list.
    pub fn models(&self) -> Result<Vec<ModelCard>, ServerError> {
        let timeout = self.connect.control_timeout;
        let models: Result<Models, Fault> = self.again(&mut 0, &|| true, || {
            let answer = self.connection.succeed(MODELS, None, timeout)?;
            parse(MODELS, &answer.body)
        });
        Ok(models.map_err(|fault| self.error(fault))?.data)
    }

    /// One sample of a prompt. Tried again where that can help.
    ///
    /// # Errors
    /// The server did not answer, refused, or answered with what is no sample of this prompt.
    pub fn sample(
        &self,
        model: &str,
        prompt: &[u32],
        sampling: &Sampling,
        seed: u64,
    ) -> Result<Sample, ServerError> {
        let sample = self.sample_while(model, prompt, sampling, seed, &mut 0, &|| true);
        sample.map_err(|fault| self.error(fault))
    }

    /// [`Self::sample`] that is tried again only while `going` says so, and counts the repetitions.
    pub(crate) fn sample_while(
        &self,
        model: &str,
        prompt: &[u32],
        sampling: &Sampling,
        seed: u64,
        retries: &mut u32,
        going: &dyn Fn() -> bool,
    ) -> Result<Sample, Fault> {
        let body = completion::request(model, prompt, sampling, seed);
        self.again(retries, going, || {
            let answer = self.complete(model, &body)?;
            completion::sample(COMPLETIONS, &answer.body, model, prompt, sampling)
        })
    }

    /// The log-probabilities of the tokens after the first, under the model itself.
    ///
    /// # Errors
    /// The server did not answer, refused, or answered with something else.
    pub fn score(&self, model: &str, tokens: &[u32]) -> Result<Vec<f32>, ServerError> {
        let body = completion::score_request(model, tokens);
        let scores = self.again(&mut 0, &|| true, || {
            let answer = self.complete(model, &body)?;
            completion::scores(COMPLETIONS, &answer.body, model, tokens)
        });
        scores.map_err(|fault| self.error(fault))
    }

    /// Loads an adapter from a directory that the server sees. Returns how often that was tried again: after a broken connection the
    /// server can say that the name is taken, by this very adapter.
    ///
    /// # Errors
    /// It refuses; the text says why (no `--enable-lora`, a rank above `--max-lora-rank`, no such directory, a name that is taken).
    pub fn load_adapter(&self, name: &str, directory: &Path) -> Result<u32, ServerError> {
        let mut retries = 0;
        let path = directory.to_str().ok_or_else(|| {
            self.error(Fault::Path {
                path: directory.display().to_string(),
            })
        })?;
        let body = json!({"lora_name": name, "lora_path": path, "load_inplace": false});
        // 500 is how it refuses an adapter, which another try does not change.
        let loaded = self.again(&mut retries, &|| true, || self.control(LOAD, &body, &[500]));
        let refused = loaded.map_err(|fault| self.error(fault))?;
        refused.map_or(Ok(retries), |fault| Err(self.error(fault)))
    }

    /// Unloads an adapter. Says whether there was one of this name.
    ///
    /// # Errors
    /// The server did not answer, or refused.
    pub fn unload_adapter(&self, name: &str) -> Result<bool, ServerError> {
        let body = json!({ "lora_name": name });
        let unloaded = self.again(&mut 0, &|| true, || self.control(UNLOAD, &body, &[404]));
        let refused = unloaded.map_err(|fault| self.error(fault))?;
        Ok(refused.is_none())
    }

    /// The answer to a GET, whatever its status.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, ServerError> {
        let timeout = self.connect.control_timeout;
        let answer = self.again(&mut 0, &|| true, || {
            self.connection.send(path, None, timeout)
        });
        answer.map_err(|fault| self.error(fault))
    }

    /// The answer to a POST that may be refused, asked once.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, ServerError> {
        let timeout = self.connect.control_timeout;
        let answer = self.connection.send(path, Some(body), timeout);
        answer.map_err(|fault| self.error(fault))
    }

    /// A POST that has to succeed, asked once.
    pub(crate) fn order(&self, path: &str, body: &Value) -> Result<(), ServerError> {
        let timeout = self.connect.control_timeout;
        let answer = self.connection.succeed(path, Some(body), timeout);
        answer.map(drop).map_err(|fault| self.error(fault))
    }

    pub(crate) fn error(&self, fault: Fault) -> ServerError {
        ServerError {
            url: self.url().to_owned(),
            fault,
        }
    }

    fn complete(&self, model: &str, body: &Value) -> Result<Answer, Fault> {
        let timeout = self.connect.sample_timeout;
        let answer = self.connection.succeed(COMPLETIONS, Some(body), timeout);
        answer.map_err(|fault| match fault {
            Fault::Status {
                status: 404, text, ..
            } => Fault::NoModel {
                model: model.to_owned(),
                text,
            },
            fault => fault,
        })
    }

    /// A control request; a status of `told` comes back as a value, not to be tried again.
    fn control(&self, path: &str, body: &Value, told: &[u16]) -> Result<Option<Fault>, Fault> {
        let asked = self
            .connection
            .succeed(path, Some(body), self.connect.control_timeout);
        match asked {
            Ok(_) => Ok(None),
            Err(Fault::Status {
                status,
                path,
                tries,
                text,
            }) if told.contains(&status) => Ok(Some(Fault::Status {
                path,
                status,
                tries,
                text,
            })),
            Err(fault) => Err(fault),
        }
    }

    /// Tries until it goes well, cannot, has been tried often enough, or is not wanted any more.
    fn again<T>(
        &self,
        retries: &mut u32,
        going: &dyn Fn() -> bool,
        mut attempt: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut pause = self.connect.pause;
        loop {
            let fault = match attempt() {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            if !fault.passes() || *retries >= self.connect.retries || !going() {
                return Err(fault.tried(*retries + 1));
            }
            thread::sleep(pause);
            *retries += 1;
            pause = (pause * 2).min(self.connect.pause * LONGEST_PAUSE);
        }
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &str, body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Json {
        path: path.to_owned(),
        tries: 1,
        text: error.to_string(),
    })
}
