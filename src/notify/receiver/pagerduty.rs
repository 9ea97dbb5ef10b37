//! PagerDuty, by the Events API v2: one event for each alert.
//!
//! Documented at <https://developer.pagerduty.com/docs/events-api-v2-overview>. An alert triggers and resolves under the
//! same `dedup_key`, made of the source and the alert's fingerprint, so that an event that comes twice changes nothing
//! and two machines do not resolve each other's alerts.

use super::credentials::described as source_name;
use super::document::{described, labels, rendered};
use super::request::Request;
use super::text::fitted;
use super::{OpenError, host_name};
use crate::alert::Severity;
use crate::notify::client::Url;
use crate::notify::secret::{Credential, Source, Surroundings};
use crate::notify::template::{Fields, Quantity, Template};
use crate::notify::{Notice, Notification, Status};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// An integration as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where events are sent, usually [`DEFAULT_URL`].
    pub url: Url,
    /// The integration's key.
    pub routing_key: Source,
    /// What is affected, in place of the name of this machine.
    pub source: Option<String>,
    /// The line that people are woken with, in place of the rule's summary.
    pub summary: Option<Template>,
}

/// Where events go unless an account is of another service region.
pub const DEFAULT_URL: &str = "https://events.pagerduty.com/v2/enqueue";

#[derive(Debug)]
pub(super) struct Composer {
    url: Url,
    routing_key: Credential,
    source: String,
    summary: Option<Template>,
}

impl Composer {
    pub(super) fn open(config: &Config, around: Surroundings<'_>) -> Result<Self, OpenError> {
        let routing_key = Credential::open(&config.routing_key, around)?;
        let key = routing_key.current();
        let is_key =
            key.expose().len() == ROUTING_KEY_LEN && key.expose().bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_key {
            return Err(OpenError::RoutingKey { of: source_name(&config.routing_key) });
        }
        let source = config.source.clone().unwrap_or_else(|| host_name().to_owned());
        Ok(Self { url: config.url.clone(), routing_key, source, summary: config.summary.clone() })
    }

    pub(super) fn requests(&self, message: &Notification) -> Vec<Request> {
        let key = self.routing_key.current();
        let event = |notice| Request::new(self.url.clone(), self.event(key.expose(), notice, message));
        message.alerts.iter().map(event).collect()
    }

    fn event(&self, routing_key: &str, notice: &Notice, message: &Notification) -> Json {
        let mut event = json!({
            "routing_key": routing_key,
            "dedup_key": self.dedup_key(notice),
            "event_action": action(notice.status),
        });
        if notice.status == Status::Firing {
            event["payload"] = self.payload(notice, message);
            event["client"] = "netmon".into();
            event["links"] = links(notice, message).into();
            if let Some(page) = &message.external_url {
                event["client_url"] = page.as_str().into();
            }
        }
        event
    }

    /// Long names of sources are told apart by a digest.
    fn dedup_key(&self, notice: &Notice) -> String {
        let key = format!("netmon/{}/{}", self.source, notice.fingerprint);
        if key.len() <= MAX_DEDUP_KEY {
            return key;
        }
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("netmon/{digest}")
    }

    fn payload(&self, notice: &Notice, message: &Notification) -> Json {
        let fields = Fields::of(notice, message);
        let summary = self.summary.as_ref().and_then(|template| rendered(template, &fields));
        let summary = summary.filter(|summary| !summary.trim().is_empty());
        let summary = summary.unwrap_or_else(|| format!("{}: {}", notice.rule, fields.text("summary")));
        let mut payload = json!({
            "summary": fitted(summary.trim(), MAX_SUMMARY),
            "source": fitted(&self.source, MAX_SUMMARY),
            "severity": severity(notice.severity),
            "timestamp": notice.starts_at.to_string(),
            "group": fitted(&notice.rule, MAX_SUMMARY),
            "class": fitted(&notice.metric, MAX_SUMMARY),
            "custom_details": details(notice),
        });
        if let Some(interface) = notice.label("interface") {
            payload["component"] = fitted(interface, MAX_SUMMARY).into();
        }
        payload
    }
}

fn details(notice: &Notice) -> Json {
    let quantity = |value| Quantity::new(value, &notice.unit).to_string();
    let labels: BTreeMap<_, _> = labels(notice, &BTreeMap::new());
    let labels: BTreeMap<_, _> = labels.into_iter().map(|(name, value)| (name, fitted(&value, MAX_DETAIL))).collect();
    json!({
        "value": quantity(notice.value),
        "threshold": notice.threshold.map(quantity),
        "description": fitted(&described(notice), MAX_DETAIL),
        "labels": labels,
        "blind": notice.blind,
    })
}

fn links(notice: &Notice, message: &Notification) -> Vec<Json> {
    let all = [(message.external_url.as_deref(), "netmon"), (notice.runbook_url.as_deref(), "runbook")];
    all.into_iter().filter_map(|(url, text)| Some(json!({"href": url?, "text": text}))).collect()
}

fn action(status: Status) -> &'static str {
    match status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    }
}

/// PagerDuty has `error` too, which no rule of netmon's is.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

const ROUTING_KEY_LEN: usize = 32;
const MAX_DEDUP_KEY: usize = 255;
/// Characters of a summary.
const MAX_SUMMARY: usize = 1024;
/// Characters of a detail: with the labels of a rule, far from the 512 KiB of an event.
const MAX_DETAIL: usize = 2048;
