//! One request, and what may be shown of it.

use crate::notify::Outcome;
use crate::notify::client::{Client, Url};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value as Json;
use std::fmt;

/// A POST of a JSON document.
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Json,
    /// What is sent; the same document as `body`.
    pub(super) bytes: Bytes,
}

/// What would be sent, without secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// Scheme, host and port; a path is marked.
    pub url: String,
    /// The headers that netmon adds; secret ones are marked.
    pub headers: Vec<(String, String)>,
    /// The document; secrets in it are marked.
    pub body: Json,
}

/// In the place of a secret.
const HIDDEN: &str = "…";
/// The one key of a document that is a secret.
const ROUTING_KEY: &str = "routing_key";

impl Request {
    pub(super) fn new(url: Url, body: Json) -> Self {
        let bytes = Bytes::from(body.to_string());
        Self { url, headers: HeaderMap::new(), body, bytes }
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn preview(&self) -> Preview {
        let shown = |value: &HeaderValue| match value.to_str() {
            Ok(text) if !value.is_sensitive() => text.to_owned(),
            _ => HIDDEN.to_owned(),
        };
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), shown(value))).collect();
        let mut body = self.body.clone();
        if let Some(key) = body.get_mut(ROUTING_KEY) {
            *key = HIDDEN.into();
        }
        Preview { url: self.url.to_string(), headers, body }
    }

    pub(super) async fn send(self, client: &Client) -> Outcome {
        client.post(&self.url, self.headers, self.bytes).await
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.preview().fmt(f)
    }
}
