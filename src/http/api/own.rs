//! netmon itself: status, configuration, alerts.

use super::parameters::Parameters;
use super::{Answer, json, not_in_use};
use crate::http::rooms::ShownAlert;
use crate::http::routes::Shared;
use crate::http::status::Status;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

#[utoipa::path(get, path = "/api/v1/status", operation_id = "status", tag = "netmon",
    summary = "Version, uptime, privileges held, and how well each interface is seen",
    responses((status = 200, body = Status)))]
pub(super) async fn status(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    let sources = &shared.sources;
    json(&Status::new(&(sources.process)(), &(sources.snapshot)()))
}

#[utoipa::path(get, path = "/api/v1/config", operation_id = "config", tag = "netmon",
    summary = "The configuration in force, every key with its value; secrets are not part of it",
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn config(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    let config = shared.sources.rooms.config.as_ref().ok_or_else(|| not_in_use("the configuration"))?;
    json(&*config())
}

/// Alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alerts {
    alerts: Vec<AlertDocument>,
}

/// One label set of one rule that is pending, firing, or resolved in the last 15 minutes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AlertDocument {
    /// Name of the rule.
    alert: String,
    labels: BTreeMap<String, String>,
    /// `info`, `warning` or `critical`.
    severity: &'static str,
    /// `pending`, `firing` or `resolved`.
    state: &'static str,
    /// What was measured; null if that is no number.
    value: Option<f64>,
    threshold: Option<f64>,
    metric: String,
    unit: &'static str,
    window_seconds: f64,
    active_since: String,
    fired_at: Option<String>,
    resolved_at: Option<String>,
    /// The numbers behind it are not to be relied on: coverage or loss is beyond the limit.
    blind: bool,
    /// Until when nobody is told of it; null: they are.
    silenced_until: Option<String>,
    runbook_url: Option<String>,
    notify: Vec<String>,
}

impl AlertDocument {
    fn new(ShownAlert { alert, silenced_until }: &ShownAlert) -> Self {
        Self {
            alert: alert.rule.to_string(),
            labels: alert.labels.clone(),
            severity: alert.severity.name(),
            state: alert.state.name(),
            value: finite(alert.value),
            threshold: alert.threshold.and_then(finite),
            metric: alert.metric.to_string(),
            unit: alert.unit,
            window_seconds: alert.window.as_secs_f64(),
            active_since: alert.active_since.to_string(),
            fired_at: alert.fired_at.map(|at| at.to_string()),
            resolved_at: alert.resolved_at.map(|at| at.to_string()),
            blind: alert.blind,
            silenced_until: silenced_until.map(|until| until.to_string()),
            runbook_url: alert.runbook_url.as_ref().map(ToString::to_string),
            notify: alert.notify.to_vec(),
        }
    }
}

/// JSON has no infinite numbers.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "alerts", tag = "alerts",
    summary = "Alerts that are pending, firing, or resolved in the last 15 minutes",
    params(
        ("state" = Option<String>, Query, description = "`pending`, `firing` or `resolved`"),
        ("limit" = Option<u16>, Query, description = "the most alerts", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Alerts), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn alerts(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let given = Parameters::read(&uri, &["state", "limit"])?;
    let states = ["pending", "firing", "resolved"].map(|state| (state, state));
    let state = given.choice("state", &states)?;
    let limit = given.number("limit", 1, 1000, 200)?;
    let mut alerts = alert_documents(&shared).ok_or_else(|| not_in_use("alerting"))?;
    alerts.retain(|alert| state.is_none_or(|state| alert.state == state));
    alerts.truncate(limit);
    json(&Alerts { alerts })
}

/// All alerts; `None` where alerting is not in use.
pub(in crate::http) fn alert_documents(shared: &Shared) -> Option<Vec<AlertDocument>> {
    let alerts = shared.sources.rooms.alerts.as_ref()?;
    Some(alerts()?.iter().map(AlertDocument::new).collect())
}
