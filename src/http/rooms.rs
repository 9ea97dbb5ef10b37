//! What other rooms answer and do, handed in by the wiring; a room that is not in use is `None`, and its routes say so.

use crate::alert::Alert;
use crate::pipeline::FlowDesk;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use utoipa::ToSchema;

/// Answers a request with a document. Called on a thread that may wait, for a few seconds at most.
pub type Hook<Q> = Box<dyn Fn(Q) -> Result<Value, Refusal> + Send + Sync>;

/// The rooms behind the API.
#[derive(Default)]
pub struct Rooms {
    /// The configuration in force, without secrets. Does not wait.
    pub config: Option<Box<dyn Fn() -> Arc<Value> + Send + Sync>>,
    /// Live flows.
    pub flows: Option<FlowDesk>,
    /// What operators tell the daemon.
    pub control: Option<Hook<Command>>,
    /// Alerts that are pending or firing, and those resolved lately; `None` while there are no rules. Does not wait.
    pub alerts: Option<Box<dyn Fn() -> Option<Vec<ShownAlert>> + Send + Sync>>,
    /// Silences.
    pub silences: Option<Hook<SilenceCommand>>,
    /// Sends a test notification to the receiver of this name.
    pub receivers: Option<Hook<String>>,
    /// The history.
    pub history: Option<Hook<HistoryQuery>>,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("flows", &self.flows).finish_non_exhaustive()
    }
}

/// An alert as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownAlert {
    /// The alert.
    pub alert: Alert,
    /// Until when nobody is told of it.
    pub silenced_until: Option<Timestamp>,
}

/// What an operator tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again.
    Reload,
    /// Capture nothing on this interface until further notice.
    Pause(String),
    /// Capture on it again.
    Resume(String),
    /// Capture what passes this filter on the interface, until the configuration is read again; `None` for what the
    /// configuration says.
    Filter(String, Option<String>),
}

/// What is done with silences.
#[derive(Clone, Debug, PartialEq)]
pub enum SilenceCommand {
    /// Those in force or to come.
    List,
    /// One more.
    Add(Silence),
    /// This one ends now.
    Expire(String),
}

/// Alerts that nobody is to be told of for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Labels that an alert must have, all of them (`alert`, `interface`, `severity`, ...).
    pub matchers: BTreeMap<String, String>,
    /// RFC 3339; now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// RFC 3339; this or `duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Such as `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// Who.
    #[serde(default)]
    pub created_by: String,
}

/// A question to the history. The room that answers checks the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// What of it.
    pub kind: HistoryKind,
    /// By name, each once: [`HistoryQuery::PARAMETERS`].
    pub parameters: BTreeMap<String, String>,
}

impl HistoryQuery {
    /// Names that parameters may have.
    pub const PARAMETERS: [&str; 14] = [
        "from",
        "to",
        "step",
        "tier",
        "per",
        "interface",
        "host",
        "port",
        "protocol",
        "alert",
        "percentile",
        "rate",
        "timezone",
        "limit",
    ];
}

/// The parts of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// Bytes and packets by interface and step.
    Bandwidth,
    /// The same by protocol.
    Protocols,
    /// Ended flows.
    Flows,
    /// Addresses by what they moved in ended flows.
    Hosts,
    /// Sums by hour, day or month.
    Totals,
    /// Changes of alerts.
    Alerts,
    /// Percentiles of the rate, and time over a rate.
    Percentile,
    /// What the store holds.
    Info,
}

impl HistoryKind {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("bandwidth", Self::Bandwidth),
        ("protocols", Self::Protocols),
        ("flows", Self::Flows),
        ("hosts", Self::Hosts),
        ("totals", Self::Totals),
        ("alerts", Self::Alerts),
        ("percentile", Self::Percentile),
        ("info", Self::Info),
    ];
}

/// Why a room does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing: what, and what there is.
    Unknown {
        /// What was asked for, as `interface` or `silence`.
        field: String,
        /// Its name.
        value: String,
        /// What there is.
        allowed: Vec<String>,
    },
    /// What was sent cannot be.
    Invalid {
        /// The field or parameter.
        field: String,
        /// What was found.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// A question is wrong in a way that its value alone does not say.
    Question {
        /// The parameter.
        field: String,
        /// Its value, where it was given.
        value: Option<String>,
        /// What is wrong, as it follows the name of the parameter.
        found: String,
        /// What may stand there.
        allowed: String,
    },
    /// It cannot be done as things are; a sentence.
    Conflict(String),
    /// Not now; a sentence.
    Unavailable(String),
}
