//! What a receiver was not told, and how it is told that.

use super::notification::{Notice, Status, fingerprint};
use super::status::Loss;
use crate::alert::Severity;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Changes that were given up since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// In the order of [`Loss::ALL`].
    changes: [u64; Loss::ALL.len()],
    /// When the first was, by the wall clock, in nanoseconds.
    since: u64,
}

impl Lost {
    /// The group of the reports; no labels can make this key.
    pub const GROUP: &'static str = "{undelivered}";
    /// The name of the alert that reports.
    pub const RULE: &'static str = "NotificationsNotDelivered";

    /// Whether a group is that of the reports, which are tried for as long as it takes.
    pub fn is_report(group: &str) -> bool {
        group == Self::GROUP
    }

    pub fn add(&mut self, loss: Loss, changes: usize, at: Timestamp) {
        if self.is_empty() {
            self.since = at.as_nanos();
        }
        self.changes[loss as usize] += changes as u64;
    }

    pub fn is_empty(&self) -> bool {
        self.changes == [0; Loss::ALL.len()]
    }

    /// The report, with the labels of its group, if there is something to report.
    pub fn notice(&self, receiver: &str) -> Option<(Notice, BTreeMap<String, String>)> {
        if self.is_empty() {
            return None;
        }
        let labels = BTreeMap::from([("receiver".to_owned(), receiver.to_owned())]);
        let total: u64 = self.changes.iter().sum();
        let counted = Loss::ALL.into_iter().zip(self.changes).filter(|(_, changes)| *changes > 0);
        let reasons: Vec<_> = counted.map(|(loss, changes)| format!("{changes} {}", loss.name())).collect();
        let since = Timestamp::from_nanos(self.since);
        let notice = Notice {
            rule: Self::RULE.into(),
            fingerprint: fingerprint(Self::RULE, &labels),
            labels: labels.clone(),
            severity: Severity::Warning,
            status: Status::Firing,
            value: total as f64,
            // There is something as soon as there is more than nothing.
            threshold: Some(0.0),
            metric: "netmon_notifications_dropped_total".into(),
            unit: "alert changes".into(),
            window: Duration::ZERO,
            starts_at: since,
            ends_at: None,
            blind: false,
            summary: format!("{total} alert changes since {since} were not delivered here: {}", reasons.join(", ")),
            runbook_url: None,
        };
        let mut labels = labels;
        labels.insert("alertname".into(), Self::RULE.into());
        Some((notice, labels))
    }
}
