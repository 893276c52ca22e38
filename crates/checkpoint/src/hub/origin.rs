//! Which server an address belongs to, and where a redirect leads.

use ureq::http::Uri;

/// Scheme, host and port: the unit that a token is meant for. Another port is another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute `http` or `https` address.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        Some(Self {
            scheme,
            host,
            port: uri.port_u16().unwrap_or(default_port),
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }
}

/// The address that the `Location` of an answer from `base` means.
pub(super) fn join(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let absolute = if location.contains("://") && !location.starts_with('/') {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    absolute
        .parse()
        .ok()
        .filter(|uri| Origin::of(uri).is_some())
}

/// A path of a URL with everything but letters, digits and `-_.~/` escaped.
pub(super) fn escape_path(path: &str) -> String {
    path.split('/')
        .map(escape_part)
        .collect::<Vec<_>>()
        .join("/")
}

/// A part of a path, with `/` escaped as well.
pub(super) fn escape_part(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn another_port_or_scheme_is_another_origin() {
        let origin = |text| Origin::of(&uri(text)).unwrap();
        assert_eq!(
            origin("https://Hub.example/a"),
            origin("https://hub.example:443/b")
        );
        assert_ne!(
            origin("https://hub.example/"),
            origin("http://hub.example/")
        );
        assert_ne!(
            origin("http://hub.example/"),
            origin("http://hub.example:8080/")
        );
        assert_ne!(
            origin("https://hub.example/"),
            origin("https://hub.example.evil/")
        );
        assert_eq!(Origin::of(&uri("ftp://hub.example/")), None);
    }

    #[test]
    fn a_location_may_be_absolute_or_relative() {
        let base = uri("https://hub.example:8443/a/resolve/main/f?x=1");
        let to = |location| join(&base, location).map(|uri| uri.to_string());
        assert_eq!(
            to("http://cdn.example/f?s=2").unwrap(),
            "http://cdn.example/f?s=2"
        );
        assert_eq!(to("//cdn.example/f").unwrap(), "https://cdn.example/f");
        assert_eq!(to("/b/f").unwrap(), "https://hub.example:8443/b/f");
        assert_eq!(
            to("/b?to=http://x/").unwrap(),
            "https://hub.example:8443/b?to=http://x/"
        );
        assert_eq!(
            to("g").unwrap(),
            "https://hub.example:8443/a/resolve/main/g"
        );
        assert_eq!(to("file:///etc/passwd"), None);
    }

    #[test]
    fn what_could_change_a_url_is_escaped() {
        assert_eq!(escape_part("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(escape_path("a b/ü?#%.txt"), "a%20b/%C3%BC%3F%23%25.txt");
    }
}
