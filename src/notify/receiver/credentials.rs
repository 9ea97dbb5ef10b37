//! Secrets in the places that receivers have for them.

use super::OpenError;
use crate::notify::client::Url;
use crate::notify::secret::{Credential, Secret, Source, Surroundings};
use hyper::header::HeaderValue;
use std::path::Path;

/// Where a URL comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// It is written in the configuration.
    Written(Url),
    /// It is a secret, as that of an incoming webhook.
    Secret(Source),
}

impl UrlSource {
    /// The file, where it comes from one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Written(_) => None,
            Self::Secret(source) => source.file(),
        }
    }
}

/// Who netmon says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer(Source),
    /// `Authorization: Basic …`.
    Basic {
        /// Without a colon.
        username: String,
        /// The password.
        password: Source,
    },
}

impl Auth {
    /// The file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::None => None,
            Self::Bearer(source) | Self::Basic { password: source, .. } => source.file(),
        }
    }
}

/// A URL that may change its path while netmon runs, but not where it leads.
#[derive(Debug)]
pub(super) enum Address {
    Written(Url),
    Secret { credential: Credential, first: Url },
}

impl Address {
    pub(super) fn open(source: &UrlSource, around: Surroundings<'_>) -> Result<Self, OpenError> {
        match source {
            UrlSource::Written(url) => Ok(Self::Written(url.clone())),
            UrlSource::Secret(source) => {
                let credential = Credential::open(source, around)?;
                let url = credential.current().expose().parse();
                let first = url.map_err(|error| OpenError::Url { of: described(source), error })?;
                Ok(Self::Secret { credential, first })
            }
        }
    }

    /// The URL as it is now. Another host needs a reload: the sandbox and the other secrets are for the one there was.
    pub(super) fn current(&self) -> Url {
        match self {
            Self::Written(url) => url.clone(),
            Self::Secret { credential, first } => match credential.current().expose().parse::<Url>() {
                Ok(url) if url.same_origin(first) => url,
                _ => {
                    tracing::warn!("a secret URL names another host now; reload to use it");
                    first.clone()
                }
            },
        }
    }
}

/// The value of `Authorization`.
#[derive(Debug)]
pub(super) enum Authorization {
    None,
    Bearer(Credential),
    Basic { username: String, password: Credential },
}

impl Authorization {
    pub(super) fn open(auth: &Auth, around: Surroundings<'_>) -> Result<Self, OpenError> {
        let opened = match auth {
            Auth::None => Self::None,
            Auth::Bearer(source) => Self::Bearer(Credential::open(source, around)?),
            Auth::Basic { username, password } => {
                Self::Basic { username: username.clone(), password: Credential::open(password, around)? }
            }
        };
        opened.header().map_err(|()| OpenError::Header { header: "Authorization".into() })?;
        Ok(opened)
    }

    /// The header as it is now, if there is one.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, ()> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Bearer(token) => Secret::new(format!("Bearer {}", token.current().expose())),
            Self::Basic { username, password } => {
                let pair = Secret::new(format!("{username}:{}", password.current().expose()));
                Secret::new(format!("Basic {}", base64(pair.expose().as_bytes())))
            }
        };
        secret_header(&text).map(Some)
    }
}

/// A header value that is never shown.
pub(super) fn secret_header(secret: &Secret) -> Result<HeaderValue, ()> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

/// How a source is named in a message.
pub(super) fn described(source: &Source) -> String {
    match source {
        Source::File(path) => format!("secret file `{}`", path.display()),
        Source::Variable(name) => format!("environment variable `{name}`"),
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|n| u32::from(group.get(n).copied().unwrap_or_default()));
        let bits = a << 16 | b << 8 | c;
        for n in 0..4 {
            let sextet = ALPHABET[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= group.len() { char::from(sextet) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_examples() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
