//! The URL of a receiver. Its path and query are as good as a password, so only scheme, host and port are ever shown.

use hyper::Uri;
use hyper::http::uri::InvalidUri;
use std::fmt;
use std::str::FromStr;

/// An `http` or `https` URL without user, password and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    https: bool,
    /// In lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// Path and query, as they are sent.
    path: String,
}

/// Why a text is no URL of a receiver; does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all, or without a host.
    #[error("no URL such as `https://host:port/path`")]
    Malformed,
    /// Another scheme.
    #[error("a URL with another scheme than `http` and `https`")]
    Scheme,
    /// `user:password@`.
    #[error("a URL with a user or a password in it")]
    UserInfo,
    /// `#...`, which is not sent.
    #[error("a URL with a fragment (`#...`)")]
    Fragment,
    /// Longer than [`Url::MAX_LEN`].
    #[error("a URL longer than 2048 bytes")]
    TooLong,
}

impl Url {
    /// Bytes of a URL; those of receivers have about 100.
    pub const MAX_LEN: usize = 2048;

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the scheme gives it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, which are for the receiver only.
    pub fn expose(&self) -> &str {
        &self.path
    }

    /// Host and port: what may be said of it.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.host_and_port())
    }

    /// Whether both are asked over the same connection.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// The URL of `path` below this one, which is a prefix.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    /// Whether there is a query; then nothing can be below it.
    pub fn has_query(&self) -> bool {
        self.path.contains('?')
    }

    /// As it is written in `Host`: the port where it is not the scheme's own.
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.https) { self.bracketed() } else { self.host_and_port() }
    }

    pub(super) fn to_uri(&self) -> Result<Uri, InvalidUri> {
        format!("{}{}", self.origin(), self.path).parse()
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > Self::MAX_LEN {
            return Err(UrlError::TooLong);
        }
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(UrlError::Scheme),
            None => return Err(UrlError::Malformed),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let written_port = authority.as_str()[authority.host().len()..].strip_prefix(':');
        let port = match written_port {
            Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or(UrlError::Malformed)?,
            None => default_port(https),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        if host.is_empty() { Err(UrlError::Malformed) } else { Ok(Self { https, host, port, path }) }
    }
}

/// Scheme, host and port, and whether there is more.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), if self.path == "/" { "/" } else { "/…" })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_ends_behind_the_port() {
        let url: Url = "https://Hooks.example/services/T0/B0/canary?token=canary".parse().expect("it is a URL");
        assert_eq!(format!("{url} {url:?}"), "https://hooks.example:443/… Url(https://hooks.example:443/…)");
        assert_eq!(url.expose(), "/services/T0/B0/canary?token=canary");
        assert_eq!(url.authority(), "hooks.example");
    }

    #[test]
    fn what_is_no_url_of_a_receiver_is_refused_without_repeating_it() {
        for (text, expected) in [
            ("", UrlError::Malformed),
            ("hooks.example/canary", UrlError::Malformed),
            ("https://", UrlError::Malformed),
            ("https://host:99999/", UrlError::Malformed),
            ("https://host:0/", UrlError::Malformed),
            ("https://host:/", UrlError::Malformed),
            ("https://a b/", UrlError::Malformed),
            ("file:///etc/passwd", UrlError::Malformed),
            ("ftp://host/canary", UrlError::Scheme),
            ("https://user:canary@host/", UrlError::UserInfo),
            ("https://host/#canary", UrlError::Fragment),
        ] {
            let found = text.parse::<Url>().expect_err(text);
            assert_eq!(found, expected, "{text}");
            assert!(!found.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_prefix_keeps_its_path_and_an_address_its_brackets() {
        let url: Url = "http://[2001:DB8::1]:9093/alertmanager/".parse().expect("it is a URL");
        assert_eq!(url.host(), "2001:db8::1");
        assert_eq!(url.host_and_port(), "[2001:db8::1]:9093");
        assert_eq!(url.below("/api/v2/alerts").expose(), "/alertmanager/api/v2/alerts");
        let bare: Url = "http://host".parse().expect("it is a URL");
        assert_eq!((bare.below("/api").expose(), bare.port()), ("/api", 80));
    }
}
