//! Errors as problem documents (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error that a client can read.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The most characters of what a client sent that are sent back.
const QUOTED: usize = 200;

impl Problem {
    /// A problem whose type is its status; `detail` is one sentence for people.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut members = Map::new();
        members.insert("type".into(), "about:blank".into());
        members.insert("title".into(), status.canonical_reason().unwrap_or("Error").into());
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("detail".into(), detail.into().into());
        Self { status, members, headers: Vec::new() }
    }

    /// What was sent for `field` cannot be; says what can.
    pub(super) fn invalid(field: &str, value: &str, allowed: &str) -> Self {
        let (field, value) = (cut(field), cut(value));
        Self::new(StatusCode::BAD_REQUEST, format!("`{field}` is `{value}`, allowed is {allowed}"))
            .with("field", field.into())
            .with("value", value.into())
            .with("allowed", allowed.into())
    }

    /// What is asked with `field` cannot be: `found` follows its name, `value` is what was sent for it.
    pub(super) fn question(field: &str, value: Option<String>, found: &str, allowed: &str) -> Self {
        let field = cut(field);
        let detail = format!("`{field}` {}, allowed {allowed}", cut(found));
        let problem = Self::new(StatusCode::BAD_REQUEST, detail).with("field", field.into());
        let problem = problem.with("allowed", allowed.into());
        value.into_iter().fold(problem, |problem, value| problem.with("value", cut(&value).into()))
    }

    /// With a further member (RFC 9457 section 3.2).
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.into(), value);
        self
    }

    /// With a header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What a client sent, short enough to be sent back.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = format!("{:#}\n", Value::Object(self.members));
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, content_type, body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
