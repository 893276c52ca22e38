//! HTTP to one address: one request, one whole answer, or a fault.
//!
//! Redirects are refused and no proxy is used: prompts and the key go to the address that was configured and nowhere else.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderValue, Uri};
use ureq::{Agent, Timeout};

use crate::{Fault, ServerError};

/// Longer answers are faults. A sample of 100,000 tokens has about 10 MB.
const MAX_ANSWER: u64 = 256 << 20;
const CONNECT: Duration = Duration::from_secs(10);
/// Characters of an answer that errors show.
const SHOWN: usize = 300;

/// How servers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Names the environment variable that holds the API key; none for servers without one.
    pub api_key_env: Option<String>,
    /// How long sampling one completion may take, waiting in the server included. A server that takes longer is given up, not asked again.
    pub sample_timeout: Duration,
    /// How long any other request may take: loading an adapter, reloading a checkpoint.
    pub control_timeout: Duration,
    /// How often a request is tried again.
    pub retries: u32,
    /// The pause before the first repetition; it doubles up to 40 times as much.
    pub pause: Duration,
}

impl Default for Connect {
    /// No key, 30 minutes for a sample, 5 for anything else, 4 repetitions from 0.25 s.
    fn default() -> Self {
        Self {
            api_key_env: None,
            sample_timeout: Duration::from_secs(1800),
            control_timeout: Duration::from_secs(300),
            retries: 4,
            pause: Duration::from_millis(250),
        }
    }
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What an error says, or the beginning of the body.
    pub(crate) fn text(&self) -> String {
        let parsed: Option<Value> = serde_json::from_slice(&self.body).ok();
        let message = parsed.as_ref().and_then(|value| {
            value
                .pointer("/error/message")
                .or_else(|| value.get("error"))
                .or_else(|| value.get("detail"))
                .and_then(Value::as_str)
        });
        let whole = message.map_or_else(|| String::from_utf8_lossy(&self.body), Into::into);
        whole.chars().take(SHOWN).collect()
    }
}

/// One address with its pool of connections.
pub(crate) struct Connection {
    agent: Agent,
    root: String,
    pub(crate) shown: String,
    key: Option<HeaderValue>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        formatter
            .debug_tuple("Connection")
            .field(&self.shown)
            .finish()
    }
}

impl Connection {
    pub(crate) fn new(url: &str, api_key_env: Option<&str>) -> Result<Self, ServerError> {
        let shown = shown(url).ok_or_else(|| ServerError {
            url: format!("{url:?}"),
            fault: Fault::Url,
        })?;
        let key = api_key_env
            .map(key)
            .transpose()
            .map_err(|fault| ServerError {
                url: shown.clone(),
                fault,
            })?;
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("tlora/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            root: url.trim_end_matches('/').to_owned(),
            shown,
            key,
        })
    }

    /// The answer, whatever its status.
    pub(crate) fn send(
        &self,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Answer, Fault> {
        let url = format!("{}{path}", self.root);
        let sent = if let Some(body) = body {
            let mut request = self.agent.post(&url).content_type("application/json");
            if let Some(key) = &self.key {
                request = request.header("Authorization", key);
            }
            let request = request.config().timeout_global(Some(timeout)).build();
            request.send(body.to_string().as_bytes())
        } else {
            let mut request = self.agent.get(&url);
            if let Some(key) = &self.key {
                request = request.header("Authorization", key);
            }
            request
                .config()
                .timeout_global(Some(timeout))
                .build()
                .call()
        };
        let mut response = sent.map_err(|error| broken(path, timeout, &error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Fault::Redirect {
                path: path.to_owned(),
                status: status.as_u16(),
            });
        }
        let limited = response.body_mut().with_config().limit(MAX_ANSWER);
        let body = limited
            .read_to_vec()
            .map_err(|error| broken(path, timeout, &error))?;
        Ok(Answer {
            status: status.as_u16(),
            body,
        })
    }

    /// The answer, if it is one of success.
    pub(crate) fn succeed(
        &self,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Answer, Fault> {
        let answer = self.send(path, body, timeout)?;
        let (path, status) = (path.to_owned(), answer.status);
        match status {
            200..300 => Ok(answer),
            401 | 403 => Err(Fault::Forbidden { path, status }),
            _ => Err(Fault::Status {
                path,
                status,
                tries: 1,
                text: answer.text(),
            }),
        }
    }
}

fn key(variable: &str) -> Result<HeaderValue, Fault> {
    let fault = || Fault::Key {
        variable: variable.to_owned(),
    };
    let key = std::env::var(variable).ok().filter(|key| !key.is_empty());
    let mut header = key
        .and_then(|key| HeaderValue::from_str(&format!("Bearer {}", key.trim())).ok())
        .ok_or_else(fault)?;
    header.set_sensitive(true);
    Ok(header)
}

fn broken(path: &str, timeout: Duration, error: &ureq::Error) -> Fault {
    let path = path.to_owned();
    if let ureq::Error::BodyExceedsLimit(limit) = error {
        return Fault::TooLong {
            path,
            limit: *limit,
        };
    }
    if let ureq::Error::Timeout(Timeout::Global) = error {
        let seconds = timeout.as_secs_f64();
        return Fault::Slow { path, seconds };
    }
    Fault::Connection {
        path,
        tries: 1,
        text: error.to_string(),
    }
}

/// The address without what may be secret; nothing if it cannot be asked.
fn shown(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    if uri.query().is_some() {
        return None;
    }
    let port = uri
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = uri.path().trim_end_matches('/');
    Some(format!("{scheme}://{host}{port}{path}"))
}
