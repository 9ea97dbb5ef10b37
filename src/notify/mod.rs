//! Notifications: alerts that arrive, whatever is killed and whoever is slow.

mod backend;
pub mod client;
mod config;
mod desk;
pub mod engine;
mod group;
mod keeper;
mod loss;
mod machine;
mod notification;
pub mod receiver;
mod retry;
pub mod secret;
pub mod silence;
pub mod status;
pub mod store;
pub mod template;

#[cfg(test)]
mod tests;

pub use config::{Config, Configured, GroupBy, Policy};
pub use notification::{Attempt, Deliver, Notice, Notification, Outcome, Reason, Status, fingerprint};

use crate::alert::Severity;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A message that tests a receiver: an alert of severity info that says so.
pub fn test_message(receiver: &Arc<str>, now: Timestamp) -> Notification {
    let labels = BTreeMap::from([("receiver".to_owned(), receiver.to_string())]);
    let rule = "NetmonTest";
    let notice = Notice {
        rule: rule.into(),
        fingerprint: fingerprint(rule, &labels),
        labels: labels.clone(),
        severity: Severity::Info,
        status: Status::Firing,
        value: 1.0,
        threshold: Some(0.0),
        metric: "test".into(),
        unit: String::new(),
        window: Duration::ZERO,
        starts_at: now,
        ends_at: None,
        blind: false,
        summary: "This is a test of netmon's notifications; nothing is wrong.".into(),
        runbook_url: None,
    };
    Notification {
        key: format!("{:032x}", now.as_nanos()),
        receiver: Arc::clone(receiver),
        group_key: "{test}".into(),
        group_labels: labels,
        status: Status::Firing,
        alerts: vec![notice],
        truncated_alerts: 0,
        created: now,
        external_url: None,
    }
}
