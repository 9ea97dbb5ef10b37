//! What is sent, what became of it, and who sends it: the door between the engine and the receivers.

use crate::alert::{Alert, Severity, State};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One message to one receiver: a group of alerts.
///
/// Frozen before its first attempt, so that every attempt, after a restart too, carries the same key and the same alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The idempotency key: the same on every attempt, never used for another message. 32 hex digits.
    pub key: String,
    /// The receiver's name.
    #[serde(with = "shared")]
    pub receiver: Arc<str>,
    /// Names the group at this receiver: the same for every message about it. Printable ASCII where the labels are.
    pub group_key: String,
    /// The labels that all alerts of the group share, by the receiver's `group_by`.
    pub group_labels: BTreeMap<String, String>,
    /// Resolved when all alerts in it are.
    pub status: Status,
    /// At least one, ordered by rule and labels, at most [`Notification::MAX_ALERTS`].
    pub alerts: Vec<Notice>,
    /// Alerts of the group that had no room in this message.
    pub truncated_alerts: u64,
    /// When it was made, by the wall clock; a label, never the base of a timer.
    #[serde(with = "nanos")]
    pub created: Timestamp,
    /// Where a person finds this daemon's page.
    pub external_url: Option<String>,
}

impl Notification {
    /// Alerts in one message; what has no room goes into the group's next message, and is announced by
    /// [`Notification::truncated_alerts`].
    pub const MAX_ALERTS: usize = 100;
}

/// Whether there is still something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Firing,
    /// It is over.
    Resolved,
}

impl Status {
    /// As receivers and documents spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An alert as it was when it changed: a copy that can be stored and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The rule's name, `alertname` where labels are sent.
    pub rule: String,
    /// The alert's labels, without `alertname` and `severity`.
    pub labels: BTreeMap<String, String>,
    /// As the rule says.
    #[serde(with = "severity")]
    pub severity: Severity,
    /// Firing or resolved.
    pub status: Status,
    /// What was measured, in [`Notice::unit`].
    #[serde(with = "float")]
    pub value: f64,
    /// What it was compared with; `None` for `absent`.
    pub threshold: Option<f64>,
    /// The watched metric.
    pub metric: String,
    /// The unit of value and threshold: `bytes_per_second`, `ratio`, `seconds`, ...
    pub unit: String,
    /// The window that was looked at.
    pub window: Duration,
    /// When it fired. Rule, labels and this name one incident.
    #[serde(with = "nanos")]
    pub starts_at: Timestamp,
    /// When it resolved; `None` while it fires.
    #[serde(with = "optional_nanos")]
    pub ends_at: Option<Timestamp>,
    /// The same for every change of the same rule and labels, on every start: 16 hex digits.
    pub fingerprint: String,
    /// The interface's numbers are not to be relied on.
    pub blind: bool,
    /// The rule's text, a template over these fields; empty: none.
    pub summary: String,
    /// Where to read what to do about it.
    pub runbook_url: Option<String>,
}

impl Notice {
    /// The copy of an alert; `None` if nobody is told of its state (pending, inactive).
    pub fn of(alert: &Alert) -> Option<Self> {
        let status = match alert.state {
            State::Firing => Status::Firing,
            State::Resolved => Status::Resolved,
            State::Inactive | State::Pending => return None,
        };
        Some(Self {
            rule: alert.rule.to_string(),
            labels: alert.labels.clone(),
            severity: alert.severity,
            status,
            value: alert.value,
            threshold: alert.threshold,
            metric: alert.metric.to_string(),
            unit: alert.unit.to_owned(),
            window: alert.window,
            starts_at: alert.fired_at.unwrap_or(alert.active_since),
            ends_at: alert.resolved_at,
            fingerprint: fingerprint(&alert.rule, &alert.labels),
            blind: alert.blind,
            summary: alert.summary.to_string(),
            runbook_url: alert.runbook_url.as_deref().map(str::to_owned),
        })
    }

    /// The value of a label; `alertname` (or `alert`) and `severity` are among them.
    pub fn label(&self, name: &str) -> Option<&str> {
        match name {
            "alertname" | "alert" => Some(&self.rule),
            "severity" => Some(self.severity.name()),
            _ => self.labels.get(name).map(String::as_str),
        }
    }
}

/// FNV-1a over rule and labels, each ended by a byte that UTF-8 has not: the same on every machine and start.
pub fn fingerprint(rule: &str, labels: &BTreeMap<String, String>) -> String {
    let parts = std::iter::once(rule).chain(labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    let hash = parts.fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| {
        part.bytes().chain([0xff]).fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    });
    format!("{hash:016x}")
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it.
    Accepted,
    /// Not now: it is tried again.
    Retry {
        /// Why, for the counter.
        reason: Reason,
        /// What the receiver asked for (`Retry-After`); the engine bounds it.
        after: Option<Duration>,
        /// For the log: no secret, no URL path.
        detail: String,
    },
    /// Never: the receiver will not take this message however often it is sent.
    Refused {
        /// Why, for the counter.
        reason: Reason,
        /// For the log: no secret, no URL path.
        detail: String,
    },
}

/// Why an attempt failed: the label `reason` of `netmon_notification_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No name, no address, no connection, or it broke.
    Connect,
    /// Not over in the receiver's `timeout`.
    Timeout,
    /// The certificate or the handshake.
    Tls,
    /// An answer 4xx but 429; also what no try can mend here: 3xx, a message that cannot be made.
    Http4xx,
    /// An answer 5xx, or one that is none.
    Http5xx,
    /// An answer 429.
    RateLimited,
}

impl Reason {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Connect, Self::Timeout, Self::Tls, Self::Http4xx, Self::Http5xx, Self::RateLimited];

    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// A future that ends with the outcome of one attempt.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Sends to one receiver.
///
/// One attempt runs at a time. The engine ends an attempt after the receiver's `timeout` by dropping the future.
pub trait Deliver: Send + Sync {
    /// One attempt. The same notification may be tried many times, and on another start too.
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a>;
}

/// A shared text.
mod shared {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::sync::Arc;

    pub fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// Packet time as nanoseconds.
pub(super) mod nanos {
    use crate::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(at.as_nanos())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp::from_nanos)
    }
}

/// The same, where there may be none.
mod optional_nanos {
    use crate::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_nanos).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<u64>::deserialize(from).map(|nanos| nanos.map(Timestamp::from_nanos))
    }
}

/// A severity by its name.
mod severity {
    use crate::alert::Severity;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(severity.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Severity, D::Error> {
        let name = String::deserialize(from)?;
        let found = Severity::ALL.into_iter().find(|severity| severity.name() == name);
        found.ok_or_else(|| serde::de::Error::custom(format_args!("`{name}` is no severity")))
    }
}

/// A double; JSON has no infinity and no NaN, which become null and come back as NaN.
mod float {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(*value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Option::<f64>::deserialize(from).map(|value| value.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A firing alert.
    pub(crate) fn notice(rule: &str, labels: &[(&str, &str)]) -> Notice {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Notice {
            rule: rule.into(),
            fingerprint: fingerprint(rule, &labels),
            labels,
            severity: Severity::Warning,
            status: Status::Firing,
            value: 3.0,
            threshold: Some(2.0),
            metric: "receive_bytes_per_second".into(),
            unit: "bytes_per_second".into(),
            window: Duration::from_secs(10),
            starts_at: Timestamp::from_nanos(5),
            ends_at: None,
            blind: false,
            summary: String::new(),
            runbook_url: None,
        }
    }

    #[test]
    fn a_notice_comes_back_as_it_was_and_infinity_as_not_a_number() {
        let mut notice = notice("A", &[("interface", "eth0")]);
        let back = |notice: &Notice| serde_json::from_slice::<Notice>(&serde_json::to_vec(notice).unwrap()).unwrap();
        assert_eq!(back(&notice), notice);
        notice.value = f64::INFINITY;
        assert!(back(&notice).value.is_nan());
    }

    #[test]
    fn fingerprints_tell_labels_apart_and_never_change() {
        let of = |labels| notice("A", labels).fingerprint;
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[]), of(&[("a", "")]));
        assert_eq!(of(&[]), "0907c907b59fe649");
    }
}
