//! `http`: a service of the user's. Answers are posted in batches as `{"answers": [{"id", …}]}`; what comes back is
//! `{"scores": [{"id", "reward"}]}`, one for each, in any order.
//!
//! A status of 5xx and a connection that fails are tried again after a while, a few times. Redirects are refused, since
//! completions and gold answers go to the address that was configured and nowhere else; no proxy is used.

use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::header::LOCATION;
use ureq::http::{Response, Uri};

use crate::external::{Batch, Reply, Request, beginning, seconds};
use crate::{Answer, GoldError, RewardError, Score, Verifier, verifier};

mod error;

pub use error::HttpError;

/// Longer responses are errors.
const MAX_RESPONSE: u64 = 16 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Options of `http`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where answers are posted to.
    pub url: String,
    /// How long a request may take, the scoring of its answers included.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: f64,
    /// How often a request is tried again; the pauses are 0.25 s, 0.5 s and so on up to 10 s.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// How many answers a request has at most.
    #[serde(default = "default_batch")]
    pub batch: usize,
}

const fn default_timeout() -> f64 {
    60.0
}

const fn default_retries() -> u32 {
    4
}

const fn default_batch() -> usize {
    128
}

/// The verifier `http`.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    url: String,
    shown: String,
    retries: u32,
    batch: usize,
}

#[derive(Deserialize)]
struct Scores {
    scores: Vec<Value>,
}

/// A try that failed, and whether another one can help.
struct Failed {
    error: HttpError,
    again: bool,
}

impl Http {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// [`HttpError`] for options that cannot be meant.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        let shown = shown(&settings.url).ok_or_else(|| HttpError::Url {
            url: settings.url.clone(),
        })?;
        let timeout = seconds(settings.timeout_seconds).ok_or(HttpError::Timeout {
            found: settings.timeout_seconds,
        })?;
        if settings.batch == 0 {
            return Err(HttpError::Batch);
        }
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("tlora/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .timeout_global(Some(timeout))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            url: settings.url.clone(),
            shown,
            retries: settings.retries,
            batch: settings.batch,
        })
    }

    fn ask(&self, answers: &[Answer<'_>], batch: &mut Batch<'_>) -> Result<(), HttpError> {
        let requests: Vec<Request<'_>> = answers.iter().map(Request::new).collect();
        let body = json!({ "answers": requests }).to_string();
        let response = self.post(body.as_bytes())?;
        let url = || self.shown.clone();
        let parsed: Result<Scores, _> = serde_json::from_slice(&response);
        let scores = parsed.map_err(|source| HttpError::Format {
            url: url(),
            text: beginning(&response),
            source,
        })?;
        if scores.scores.len() != answers.len() {
            return Err(HttpError::Count {
                url: url(),
                found: scores.scores.len(),
                wanted: answers.len(),
            });
        }
        for (place, score) in scores.scores.into_iter().enumerate() {
            Reply::from_value(score)
                .and_then(|reply| batch.take(reply))
                .map_err(|source| HttpError::Score {
                    url: url(),
                    number: place + 1,
                    source,
                })?;
        }
        Ok(())
    }

    /// The body of a response of success, after as many tries as it may take.
    fn post(&self, body: &[u8]) -> Result<Vec<u8>, HttpError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            match self.attempt(body, tries) {
                Ok(response) => return Ok(response),
                Err(failed) if !failed.again || tries > self.retries => return Err(failed.error),
                Err(_) => thread::sleep(pause),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }

    fn attempt(&self, body: &[u8], tries: u32) -> Result<Vec<u8>, Failed> {
        let request = self.agent.post(&self.url).content_type("application/json");
        let mut response = request
            .send(body)
            .map_err(|source| self.failed(source, tries))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(self.redirected(&response));
        }
        let limited = response.body_mut().with_config().limit(MAX_RESPONSE);
        let read = limited.read_to_vec();
        if status.is_success() {
            return read.map_err(|source| self.failed(source, tries));
        }
        Err(Failed {
            error: HttpError::Status {
                url: self.shown.clone(),
                status: status.as_u16(),
                tries,
                text: beginning(&read.unwrap_or_default()),
            },
            again: status.is_server_error(),
        })
    }

    fn redirected(&self, response: &Response<ureq::Body>) -> Failed {
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let location = location.unwrap_or_default();
        Failed {
            error: HttpError::Redirect {
                url: self.shown.clone(),
                status: response.status().as_u16(),
                location: location.split('?').next().unwrap_or_default().to_owned(),
            },
            again: false,
        }
    }

    fn failed(&self, source: ureq::Error, tries: u32) -> Failed {
        let url = self.shown.clone();
        if let ureq::Error::BodyExceedsLimit(limit) = source {
            return Failed {
                error: HttpError::TooLong { url, limit },
                again: false,
            };
        }
        let again = match &source {
            ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_) => true,
            // A certificate that does not hold arrives as invalid data.
            ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::InvalidData,
            _ => false,
        };
        Failed {
            error: HttpError::Connection {
                url,
                tries,
                source: Box::new(source),
            },
            again,
        }
    }
}

/// The address without what may be secret; nothing if it cannot be posted to.
fn shown(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    let port = uri
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Some(format!("{scheme}://{host}{port}{}", uri.path()))
}

impl Verifier for Http {
    fn id(&self) -> String {
        format!("http {} 1", self.shown)
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        verifier::present(gold).map(drop)
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        let mut scores = Vec::with_capacity(answers.len());
        for part in answers.chunks(self.batch) {
            let mut batch = Batch::new(part)?;
            self.ask(part, &mut batch)?;
            scores.extend(batch.into_scores());
        }
        Ok(scores)
    }
}
