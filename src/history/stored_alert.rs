//! Alert events as they are stored: a JSON object, times in nanoseconds since the epoch.

use super::AlertEvent;
use crate::alert::{Severity, State};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    at: u64,
    rule: Cow<'a, str>,
    labels: Cow<'a, BTreeMap<String, String>>,
    severity: Cow<'a, str>,
    state: Cow<'a, str>,
    /// `null`: not a finite number.
    value: Option<f64>,
    threshold: Option<f64>,
    metric: Cow<'a, str>,
    unit: Cow<'a, str>,
    window_seconds: f64,
    active_since: u64,
    fired_at: Option<u64>,
    resolved_at: Option<u64>,
    blind: bool,
}

pub(super) fn written(event: &AlertEvent) -> Vec<u8> {
    let stored = Stored {
        at: event.at.as_nanos(),
        rule: Cow::Borrowed(&event.rule),
        labels: Cow::Borrowed(&event.labels),
        severity: Cow::Borrowed(event.severity.name()),
        state: Cow::Borrowed(event.state.name()),
        value: Some(event.value),
        threshold: event.threshold,
        metric: Cow::Borrowed(&event.metric),
        unit: Cow::Borrowed(&event.unit),
        window_seconds: event.window_seconds,
        active_since: event.active_since.as_nanos(),
        fired_at: event.fired_at.map(Timestamp::as_nanos),
        resolved_at: event.resolved_at.map(Timestamp::as_nanos),
        blind: event.blind,
    };
    // Strings, numbers and a map of strings: JSON says them all.
    serde_json::to_vec(&stored).unwrap_or_default()
}

pub(super) fn read(json: &[u8]) -> Option<AlertEvent> {
    let stored: Stored<'_> = serde_json::from_slice(json).ok()?;
    Some(AlertEvent {
        at: Timestamp::from_nanos(stored.at),
        rule: stored.rule.into_owned(),
        labels: stored.labels.into_owned(),
        severity: Severity::ALL.into_iter().find(|severity| severity.name() == stored.severity)?,
        state: [State::Inactive, State::Pending, State::Firing, State::Resolved]
            .into_iter()
            .find(|state| state.name() == stored.state)?,
        value: stored.value.unwrap_or(f64::NAN),
        threshold: stored.threshold,
        metric: stored.metric.into_owned(),
        unit: stored.unit.into_owned(),
        window_seconds: stored.window_seconds,
        active_since: Timestamp::from_nanos(stored.active_since),
        fired_at: stored.fired_at.map(Timestamp::from_nanos),
        resolved_at: stored.resolved_at.map(Timestamp::from_nanos),
        blind: stored.blind,
    })
}
