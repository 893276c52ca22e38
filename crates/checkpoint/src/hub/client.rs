//! One request to the hub: token, redirects, and what a status means.
//!
//! Redirects are followed here rather than by `ureq`, for two reasons. What the hub says of a large file stands on the
//! redirect itself; and the token goes to the hub's origin only, where `ureq` would compare the host without the port.

use std::time::Duration;

use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode, Uri};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, Proxy, RequestBuilder};

use super::error::{HubError, without_query};
use super::id::{HubId, RepositoryKind};
use super::options::HubOptions;
use super::origin::{Origin, escape_part, escape_path, join};

const MAX_REDIRECTS: usize = 10;
const LONGEST_MESSAGE: usize = 300;
const ERROR_MESSAGE: HeaderName = HeaderName::from_static("x-error-message");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

/// A connection pool to the hub for one repository.
pub(super) struct Client<'a> {
    agent: Agent,
    id: &'a HubId,
    options: &'a HubOptions,
    hub: Origin,
}

/// An answer with a status of success or 416, or a redirect that was not to be followed.
pub(super) struct Reply {
    pub(super) url: String,
    pub(super) response: Response<Body>,
    /// The headers of the hub's own answers on the way, the first of each name.
    pub(super) hub_headers: HeaderMap,
}

/// How far a request follows redirects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    Everywhere,
    OnTheHub,
}

impl<'a> Client<'a> {
    pub(super) fn new(id: &'a HubId, options: &'a HubOptions) -> Result<Self, HubError> {
        let bad_endpoint = || HubError::Endpoint {
            endpoint: options.endpoint.clone(),
        };
        let endpoint: Option<Uri> = options.endpoint.parse().ok();
        let hub = endpoint
            .as_ref()
            .and_then(Origin::of)
            .ok_or_else(bad_endpoint)?;
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("tlora/", env!("CARGO_PKG_VERSION")))
            .proxy(if options.proxy_from_environment {
                Proxy::try_from_env()
            } else {
                None
            })
            .timeout_connect(Some(options.patience))
            .timeout_recv_response(Some(options.patience))
            .timeout_per_read(Some(options.patience))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            id,
            options,
            hub,
        })
    }

    pub(super) fn options(&self) -> &'a HubOptions {
        self.options
    }

    /// The address of the list of files at a revision.
    pub(super) fn listing_url(&self) -> String {
        let (endpoint, revision) = (&self.options.endpoint, escape_part(self.id.revision()));
        let kind = match self.id.kind() {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        format!(
            "{endpoint}/api/{kind}/{}/revision/{revision}?blobs=true",
            self.id.repository()
        )
    }

    /// The address of a file at a commit.
    pub(super) fn file_url(&self, commit: &str, file: &str) -> String {
        format!("{}/resolve/{commit}/{}", self.page(), escape_path(file))
    }

    /// The page of the repository.
    fn page(&self) -> String {
        let (endpoint, repository) = (&self.options.endpoint, self.id.repository());
        match self.id.kind() {
            RepositoryKind::Model => format!("{endpoint}/{repository}"),
            RepositoryKind::Dataset => format!("{endpoint}/datasets/{repository}"),
        }
    }

    /// What the hub says of a file; the redirect to where its bytes are is not followed.
    pub(super) fn head(&self, url: &str) -> Result<Reply, HubError> {
        self.request(url, Follow::OnTheHub, |uri| self.agent.head(uri))
    }

    /// The bytes at an address, from the given position on.
    pub(super) fn get(&self, url: &str, from: u64) -> Result<Reply, HubError> {
        self.request(url, Follow::Everywhere, |uri| match from {
            0 => self.agent.get(uri),
            _ => self.agent.get(uri).header(RANGE, format!("bytes={from}-")),
        })
    }

    fn request(
        &self,
        url: &str,
        follow: Follow,
        build: impl Fn(&Uri) -> RequestBuilder<WithoutBody>,
    ) -> Result<Reply, HubError> {
        let mut uri: Uri = url.parse().ok().ok_or_else(|| HubError::Endpoint {
            endpoint: self.options.endpoint.clone(),
        })?;
        let mut hub_headers = HeaderMap::new();
        for _ in 0..MAX_REDIRECTS {
            let on_hub = Origin::of(&uri).as_ref() == Some(&self.hub);
            let response = self.send(&uri, on_hub, &build)?;
            if on_hub {
                keep_first(&mut hub_headers, response.headers());
            }
            let reply = Reply {
                url: uri.to_string(),
                response,
                hub_headers,
            };
            if !reply.response.status().is_redirection() {
                return self.check_status(reply, on_hub);
            }
            let next = redirect_target(&uri, &reply.response)?;
            if follow == Follow::OnTheHub && Origin::of(&next).as_ref() != Some(&self.hub) {
                return Ok(reply);
            }
            (uri, hub_headers) = (next, reply.hub_headers);
        }
        Err(refuse_redirect(&uri, "", "there were too many before"))
    }

    fn send(
        &self,
        uri: &Uri,
        on_hub: bool,
        build: impl Fn(&Uri) -> RequestBuilder<WithoutBody>,
    ) -> Result<Response<Body>, HubError> {
        // A compressed body would have neither the size nor the positions of the file.
        let mut request = build(uri).header(ACCEPT_ENCODING, "identity");
        if let Some(token) = self.options.token.as_ref().filter(|_| on_hub) {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        }
        request
            .call()
            .map_err(|source| connection_error(&uri.to_string(), source))
    }

    fn check_status(&self, reply: Reply, on_hub: bool) -> Result<Reply, HubError> {
        let status = reply.response.status();
        // 416 goes to the download, which knows what part it asked for.
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(reply);
        }
        let url = without_query(&reply.url);
        let message = server_message(&reply.response);
        Err(match status.as_u16() {
            401 | 403 if on_hub => HubError::Denied {
                id: self.id.clone(),
                status: status.as_u16(),
                message,
                with_token: self.options.token.is_some(),
                page: self.page(),
            },
            404 => HubError::NotFound { url, message },
            status => HubError::Status {
                url,
                status,
                message,
                retry_after: retry_after(&reply.response),
            },
        })
    }
}

fn keep_first(kept: &mut HeaderMap, headers: &HeaderMap) {
    for (name, value) in headers {
        if !kept.contains_key(name) {
            kept.insert(name, value.clone());
        }
    }
}

fn redirect_target(from: &Uri, response: &Response<Body>) -> Result<Uri, HubError> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let next = join(from, location).filter(|_| !location.is_empty());
    let next =
        next.ok_or_else(|| refuse_redirect(from, location, "not an http or https address"))?;
    let encrypted = |uri| Origin::of(uri).is_some_and(|origin| origin.is_encrypted());
    if encrypted(from) && !encrypted(&next) {
        return Err(refuse_redirect(from, location, "it leaves https"));
    }
    Ok(next)
}

fn refuse_redirect(from: &Uri, location: &str, reason: &'static str) -> HubError {
    HubError::Redirect {
        url: without_query(&from.to_string()),
        location: without_query(location),
        reason,
    }
}

/// The hub explains itself in two headers; whatever is in them is shown without control characters.
fn server_message(response: &Response<Body>) -> String {
    let header = |name| {
        response
            .headers()
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
    };
    let message = header(ERROR_MESSAGE).or_else(|| header(ERROR_CODE));
    let reason = || {
        response
            .status()
            .canonical_reason()
            .unwrap_or("no reason given")
            .into()
    };
    let message = message.unwrap_or_else(reason);
    message
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_MESSAGE)
        .collect()
}

fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn connection_error(url: &str, source: ureq::Error) -> HubError {
    let transient = match &source {
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => true,
        // A certificate that does not hold arrives as invalid data.
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::InvalidData,
        _ => false,
    };
    HubError::Connection {
        url: without_query(url),
        transient,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(from: &'static str, to: &str) -> Result<String, HubError> {
        let response = Response::builder()
            .header(LOCATION, to)
            .body(Body::builder().data(""))
            .unwrap();
        redirect_target(&Uri::from_static(from), &response).map(|uri| uri.to_string())
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        assert!(matches!(
            target("https://hub.example/a", "http://hub.example/a"),
            Err(HubError::Redirect { .. })
        ));
        assert_eq!(
            target("https://hub.example/a", "https://cdn.example/b").unwrap(),
            "https://cdn.example/b"
        );
    }

    #[test]
    fn a_refused_redirect_does_not_show_its_signature() {
        let error = target(
            "https://hub.example/a",
            "http://cdn.example/b?signature=secret",
        )
        .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
