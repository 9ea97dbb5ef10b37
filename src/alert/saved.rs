//! What is kept of alerts over a restart.

use super::{Alert, Metric, Severity, State};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The alerts that were pending or firing, in a form that can be stored. What the rules say is read from them again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// One for each label set.
    pub alerts: Vec<SavedAlert>,
}

/// One alert as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedAlert {
    /// The rule's name.
    pub rule: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// By [`Severity::name`].
    pub severity: String,
    /// Whether it fired; else it was pending.
    pub firing: bool,
    /// The last value.
    pub value: f64,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The metric's name.
    pub metric: String,
    /// The window in nanoseconds.
    pub window: u64,
    /// In nanoseconds since the epoch.
    pub active_since: u64,
    /// In nanoseconds since the epoch.
    pub fired_at: Option<u64>,
    /// Whether the interface was blind.
    pub blind: bool,
    /// The rule's text.
    pub summary: String,
    /// The rule's runbook.
    pub runbook_url: Option<String>,
    /// The receivers that were told.
    pub notify: Vec<String>,
}

impl Saved {
    /// Of these, the alerts that are pending or firing.
    pub fn of(alerts: &[Alert]) -> Self {
        let active = |alert: &&Alert| matches!(alert.state, State::Pending | State::Firing);
        Self { alerts: alerts.iter().filter(active).map(SavedAlert::from).collect() }
    }

    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.alerts.iter().map(Alert::from).collect()
    }
}

impl From<&Alert> for SavedAlert {
    fn from(alert: &Alert) -> Self {
        Self {
            rule: alert.rule.to_string(),
            labels: alert.labels.clone(),
            severity: alert.severity.name().into(),
            firing: alert.state == State::Firing,
            value: alert.value,
            threshold: alert.threshold,
            metric: alert.metric.to_string(),
            window: u64::try_from(alert.window.as_nanos()).unwrap_or(u64::MAX),
            active_since: alert.active_since.as_nanos(),
            fired_at: alert.fired_at.map(Timestamp::as_nanos),
            blind: alert.blind,
            summary: alert.summary.to_string(),
            runbook_url: alert.runbook_url.as_deref().map(str::to_owned),
            notify: alert.notify.to_vec(),
        }
    }
}

impl From<&SavedAlert> for Alert {
    fn from(saved: &SavedAlert) -> Self {
        Self {
            rule: saved.rule.as_str().into(),
            labels: saved.labels.clone(),
            severity: Severity::ALL.into_iter().find(|s| s.name() == saved.severity).unwrap_or_default(),
            state: if saved.firing { State::Firing } else { State::Pending },
            value: saved.value,
            threshold: saved.threshold,
            metric: saved.metric.as_str().into(),
            // A metric that this version does not know has no rule either; the alert only resolves.
            unit: Metric::find(&saved.metric).map_or("", |metric| metric.unit.name()),
            window: Duration::from_nanos(saved.window),
            active_since: Timestamp::from_nanos(saved.active_since),
            fired_at: saved.fired_at.map(Timestamp::from_nanos),
            resolved_at: None,
            blind: saved.blind,
            summary: saved.summary.as_str().into(),
            runbook_url: saved.runbook_url.as_deref().map(Into::into),
            notify: saved.notify.clone().into(),
        }
    }
}
