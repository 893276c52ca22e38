//! Where the cache and the hub are, and how patiently to ask; read from the environment in one place.
//!
//! The variables and their precedence are those of the Python package `huggingface_hub`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of a download.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The cache's folder, which holds `models--org--name`.
    pub cache: PathBuf,
    /// The hub's address, `http://…` or `https://…`.
    pub endpoint: String,
    /// The access token; sent to the endpoint only.
    pub token: Option<Token>,
    /// Make no request at all.
    pub offline: bool,
    /// Use the proxy that `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name.
    pub proxy_from_environment: bool,
    /// Attempts after the first one that bring nothing, in a row, before an error is reported.
    pub retries: u32,
    /// The wait before the second attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// How long a connection may take to come up, and then to be silent, before it counts as broken.
    pub patience: Duration,
}

/// An access token. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why the environment does not give usable settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubOptionsError {
    /// No variable says where the cache is.
    #[error(
        "no place for the hub's cache: none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME is set"
    )]
    NoCache,
    /// The token could not be sent in a header.
    #[error(
        "the token of {origin} is not a hub token: it has a space or a character that is not printable ASCII"
    )]
    Token {
        /// The variable or the file.
        origin: String,
    },
    /// The endpoint is not a URL.
    #[error("HF_ENDPOINT is {endpoint:?}, which does not begin with http:// or https://")]
    Endpoint {
        /// The value.
        endpoint: String,
    },
    /// The token file exists and cannot be read.
    #[error("the hub's token file cannot be read")]
    TokenFile(#[from] std::io::Error),
}

impl HubOptions {
    /// The hub's own address.
    pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

    /// Default settings with a cache at the given place: no token, no proxy.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: Self::DEFAULT_ENDPOINT.to_owned(),
            token: None,
            offline: false,
            proxy_from_environment: false,
            retries: 5,
            first_wait: Duration::from_millis(500),
            patience: Duration::from_secs(30),
        }
    }

    /// The settings that this process's environment gives.
    ///
    /// # Errors
    ///
    /// See [`HubOptions::from_variables`].
    pub fn from_env() -> Result<Self, HubOptionsError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The settings that a set of variables gives: `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HUB_OFFLINE` and their older names. An empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// If there is no place for a cache, or the endpoint or the token cannot be what they should.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, HubOptionsError> {
        let variables = Variables(&variable);
        let home = variables.hub_home();
        let cache = variables
            .path("HF_HUB_CACHE")
            .or_else(|| variables.path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache
            .or_else(|| Some(home.as_ref()?.join("hub")))
            .ok_or(HubOptionsError::NoCache)?;
        let mut options = Self::new(cache);
        if let Some(endpoint) = variables.text("HF_ENDPOINT") {
            options.endpoint = parse_endpoint(&endpoint)?;
        }
        options.offline =
            variables.flag("HF_HUB_OFFLINE") || variables.flag("TRANSFORMERS_OFFLINE");
        options.token = variables.token(home.as_deref())?;
        options.proxy_from_environment = true;
        Ok(options)
    }
}

impl Token {
    /// A token without the white space around it; none if nothing else is there.
    ///
    /// # Errors
    ///
    /// If it has a character that cannot be sent; `origin` names the place in the error.
    pub fn parse(text: &str, origin: &str) -> Result<Option<Self>, HubOptionsError> {
        let text = text.trim();
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HubOptionsError::Token {
                origin: origin.to_owned(),
            });
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    #[cfg(feature = "hub")]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

fn parse_endpoint(text: &str) -> Result<String, HubOptionsError> {
    let endpoint = text.trim_end_matches('/');
    let rest = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(endpoint.to_owned()),
        _ => Err(HubOptionsError::Endpoint {
            endpoint: text.to_owned(),
        }),
    }
}

/// A look-up of environment variables, so that a test need not change those of its process.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    fn raw(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.raw(name)?.to_string_lossy().into_owned())
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| {
            matches!(
                value.to_ascii_uppercase().as_str(),
                "1" | "ON" | "YES" | "TRUE"
            )
        })
    }

    /// A path, with `~` for the home directory.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.raw(name)?);
        match (path.strip_prefix("~"), self.user_home()) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(path),
        }
    }

    fn user_home(&self) -> Option<PathBuf> {
        self.raw("HOME")
            .or_else(|| self.raw("USERPROFILE"))
            .map(PathBuf::from)
    }

    fn hub_home(&self) -> Option<PathBuf> {
        let cache_home = || {
            self.path("XDG_CACHE_HOME")
                .or_else(|| Some(self.user_home()?.join(".cache")))
        };
        self.path("HF_HOME")
            .or_else(|| Some(cache_home()?.join("huggingface")))
    }

    fn token(&self, hub_home: Option<&Path>) -> Result<Option<Token>, HubOptionsError> {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(token) = self
                .text(name)
                .map(|text| Token::parse(&text, name))
                .transpose()?
                .flatten()
            {
                return Ok(Some(token));
            }
        }
        let Some(file) = self
            .path("HF_TOKEN_PATH")
            .or_else(|| Some(hub_home?.join("token")))
        else {
            return Ok(None);
        };
        match fs_err::read(&file) {
            Ok(bytes) => Token::parse(&String::from_utf8_lossy(&bytes), &file.to_string_lossy()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<HubOptions, HubOptionsError> {
        HubOptions::from_variables(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_cache_is_found_as_python_finds_it() {
        let cache = |variables: &[(&str, &str)]| options(variables).unwrap().cache;
        assert_eq!(
            cache(&[("HOME", "/h")]),
            Path::new("/h/.cache/huggingface/hub")
        );
        assert_eq!(
            cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]),
            Path::new("/x/huggingface/hub")
        );
        assert_eq!(
            cache(&[
                ("HOME", "/h"),
                ("XDG_CACHE_HOME", "/x"),
                ("HF_HOME", "~/hf")
            ]),
            Path::new("/h/hf/hub")
        );
        assert_eq!(
            cache(&[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "/old")]),
            Path::new("/old")
        );
        assert_eq!(
            cache(&[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")]),
            Path::new("/new")
        );
        assert!(matches!(
            options(&[("HF_HOME", "")]),
            Err(HubOptionsError::NoCache)
        ));
    }

    #[test]
    fn offline_is_any_of_the_words_for_true() {
        for (value, expected) in [
            ("1", true),
            ("yes", true),
            ("True", true),
            ("ON", true),
            ("0", false),
            ("no", false),
        ] {
            assert_eq!(
                options(&[("HF_HOME", "/h"), ("HF_HUB_OFFLINE", value)])
                    .unwrap()
                    .offline,
                expected,
                "{value}"
            );
        }
        assert!(
            options(&[("HF_HOME", "/h"), ("TRANSFORMERS_OFFLINE", "1")])
                .unwrap()
                .offline
        );
    }

    #[test]
    fn the_endpoint_is_a_url_without_a_slash_at_its_end() {
        let endpoint = |value| {
            options(&[("HF_HOME", "/h"), ("HF_ENDPOINT", value)]).map(|options| options.endpoint)
        };
        assert_eq!(
            endpoint("https://mirror.example/hf/").unwrap(),
            "https://mirror.example/hf"
        );
        assert_eq!(endpoint("").unwrap(), "https://huggingface.co");
        for wrong in ["mirror.example", "ftp://mirror.example", "https://"] {
            assert!(
                matches!(endpoint(wrong), Err(HubOptionsError::Endpoint { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_token_variable_goes_before_the_token_file() {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("token"), "hf_from_file\n").unwrap();
        let home = home.path().to_str().unwrap();
        let token =
            |variables: &[(&str, &str)]| options(variables).unwrap().token.map(|token| token.0);
        assert_eq!(token(&[("HF_HOME", home)]).unwrap(), "hf_from_file");
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN", " hf_variable\n")]).unwrap(),
            "hf_variable"
        );
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN_PATH", "/no/such/file")]),
            None
        );
    }

    #[test]
    fn a_token_with_a_line_break_inside_is_refused_without_being_shown() {
        let error =
            options(&[("HF_HOME", "/h"), ("HF_TOKEN", "hf_secret\r\nX-Evil: 1")]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(!format!("{:?}", Token::parse("hf_secret", "").unwrap()).contains("secret"));
    }
}
