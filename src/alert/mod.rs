//! Alerts: rules over the snapshot of every tick, and what they found, as every room that speaks of it sees it.
//!
//! Pure as the rest of the core: a picture and its tick go in, [`Transition`]s come out. The same pictures give the same
//! transitions at any pace and with any number of shards.

mod baseline;
mod evaluator;
mod growth;
mod judge;
mod label;
mod look;
mod machine;
mod metric;
mod rule;
mod saved;
mod watch;

#[cfg(test)]
mod tests;

pub use baseline::{Past, Remembered};
pub use evaluator::{CAPTURE_BLIND, Evaluator, Picture, RuleState, Standing};
pub use label::Selector;
pub use metric::{Metric, Unit};
pub use rule::{Baseline, Blind, Condition, Config, Level, MAX_LABEL_SETS, MAX_RULES, Rule};
pub use saved::{Saved, SavedAlert};
pub use watch::Counts;

use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How bad it is, as the rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look soon.
    #[default]
    Warning,
    /// Wakes somebody.
    Critical,
}

impl Severity {
    /// All, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// As in the configuration and in the `severity` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// It holds, but not for as long as the rule's `for` yet.
    Pending,
    /// It held for long enough, and has not cleared yet.
    Firing,
    /// It fired, and has cleared; inactive from here on.
    Resolved,
}

impl State {
    /// As in documents and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One label set of one rule that is not inactive, or was resolved just now.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The rule's name (`alertname` where labels are sent).
    pub rule: Arc<str>,
    /// What tells this alert from the rule's others (`interface`, `protocol`, ...) and the labels that the rule adds.
    pub labels: BTreeMap<String, String>,
    /// As the rule says.
    pub severity: Severity,
    /// Where it stands after this change.
    pub state: State,
    /// What was measured, in the unit of the metric; the last value before it was gone, for `absent`.
    pub value: f64,
    /// What it was compared with; `None` for `absent`.
    pub threshold: Option<f64>,
    /// The watched metric, as `netmon alerts metrics` lists it.
    pub metric: Arc<str>,
    /// The unit of value and threshold: `bytes_per_second`, `ratio`, `seconds`, ...
    pub unit: &'static str,
    /// The window that was looked at.
    pub window: Duration,
    /// When the condition began to hold, in packet time.
    pub active_since: Timestamp,
    /// When it fired; `None` while pending.
    pub fired_at: Option<Timestamp>,
    /// When it resolved.
    pub resolved_at: Option<Timestamp>,
    /// The interface's numbers are not to be relied on at this time: coverage or loss is beyond the limit.
    pub blind: bool,
    /// The rule's text, a template over these fields; empty: none.
    pub summary: Arc<str>,
    /// Where to read what to do about it.
    pub runbook_url: Option<Arc<str>>,
    /// Names of the receivers that are told.
    pub notify: Arc<[String]>,
}

/// An alert that changed its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert as it is from here on; [`State::Inactive`] when a pending one did not last.
    pub alert: Alert,
    /// When, in packet time.
    pub at: Timestamp,
}
