//! Why an attempt failed, in words that give nothing away.

use super::url::Url;
use crate::notify::{Outcome, Reason};
use hyper::StatusCode;
use std::borrow::Cow;
use std::time::Duration;

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct Failure {
    reason: Reason,
    /// Fixed texts and numbers only: nothing that a receiver said.
    what: Cow<'static, str>,
    for_ever: bool,
}

impl Failure {
    /// Another try may go better.
    pub(super) fn new(reason: Reason, what: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, what: what.into(), for_ever: false }
    }

    /// No try can mend it.
    pub(super) fn refused(what: &'static str) -> Self {
        Self { reason: Reason::Http4xx, what: what.into(), for_ever: true }
    }

    /// Why, and what is to be said of it.
    pub(super) fn into_parts(self) -> (Reason, Cow<'static, str>) {
        (self.reason, self.what)
    }

    /// With the host and port it is about.
    pub(super) fn outcome(self, url: &Url) -> Outcome {
        let detail = format!("{}: {}", url.host_and_port(), self.what);
        if self.for_ever {
            Outcome::Refused { reason: self.reason, detail }
        } else {
            Outcome::Retry { reason: self.reason, after: None, detail }
        }
    }
}

/// What a status means for a notification.
pub(super) fn judge(url: &Url, status: StatusCode, after: Option<Duration>) -> Outcome {
    let detail = |what: &str| format!("{}: answered {}{what}", url.host_and_port(), status.as_u16());
    match status.as_u16() {
        200..=299 => Outcome::Accepted,
        300..=399 => {
            Outcome::Refused { reason: Reason::Http4xx, detail: detail(", a redirect, which is not followed") }
        }
        429 => Outcome::Retry { reason: Reason::RateLimited, after, detail: detail(" (too many requests)") },
        408 | 425 => Outcome::Retry { reason: Reason::Http4xx, after, detail: detail("") },
        400..=499 => Outcome::Refused { reason: Reason::Http4xx, detail: detail(meaning(status)) },
        _ => Outcome::Retry { reason: Reason::Http5xx, after, detail: detail("") },
    }
}

/// What usually is wrong then.
fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => ": it does not understand the message, or not the key in it",
        401 | 403 => ": it does not accept the credentials",
        404 | 410 => ": there is no such receiver, or no longer",
        413 => ": the message is too large",
        _ => "",
    }
}
