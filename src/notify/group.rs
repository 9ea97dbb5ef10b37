//! What one receiver knows of one group of alerts, and what it is yet to be told.
//!
//! Every change of an alert waits in the order it came until the receiver took a message with it. At most one message
//! about a group is on its way, so nothing overtakes: while it is tried again, further changes wait, and go together
//! into the next. An alert that ends before its beginning was told still has both told, one after the other.

use super::config::{GroupBy, Policy};
use super::notification::{Notice, Notification, Status};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Monotonic time: since some moment long before the process began, so that what happened before it has a place.
pub(super) type Mono = Duration;

/// A group at one receiver.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub labels: BTreeMap<String, String>,
    /// By fingerprint.
    pub members: BTreeMap<String, Member>,
    /// On its way.
    pub message: Option<Message>,
    /// Counts messages; part of their keys.
    pub serial: u64,
    /// When a message was accepted last.
    pub sent: Option<Sent>,
    /// When the next message with news is made.
    pub flush_at: Option<Mono>,
    /// Where this group stands in the receiver's timers.
    pub timer: Option<Mono>,
}

/// When a message was accepted, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub at: Mono,
    pub wall: Timestamp,
}

/// One alert.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// As the receiver knows it, while it fires for the receiver.
    pub told: Option<Notice>,
    /// Changes that it is yet to be told, oldest first: firing and resolved in turn.
    pub waiting: VecDeque<Waiting>,
    /// Its firing is kept back by a silence.
    pub is_muted: bool,
}

/// A change that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub notice: Notice,
    /// Since when.
    pub since: Mono,
    /// The same by the wall clock.
    pub wall: Timestamp,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub notification: Arc<Notification>,
    /// Fingerprints of the alerts whose oldest waiting change it carries; none: it only repeats.
    pub changes: Vec<String>,
    /// When the oldest of these changes came.
    pub since: Mono,
    pub failures: u32,
    /// When it may be tried next.
    pub next: Mono,
    /// Whether it is tried now, or stands in the line for it.
    pub is_in_line: bool,
}

impl Message {
    /// It says nothing new, so it need not survive anything.
    pub fn is_repeat(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Member {
    /// How the receiver will know it once all was told.
    pub fn is_firing_at_last(&self) -> bool {
        match self.waiting.back() {
            Some(waiting) => waiting.notice.status == Status::Firing,
            None => self.told.is_some(),
        }
    }

    /// The receiver took the oldest change.
    pub fn accept(&mut self) -> Option<Waiting> {
        let accepted = self.waiting.pop_front()?;
        let is_firing = accepted.notice.status == Status::Firing;
        self.told = is_firing.then(|| accepted.notice.clone());
        Some(accepted)
    }

    /// The oldest change is given up. An end whose beginning nobody was told goes with it. Gives how many they were.
    pub fn give_up(&mut self) -> usize {
        let Some(given_up) = self.waiting.pop_front() else { return 0 };
        self.told = None;
        let has_end = given_up.notice.status == Status::Firing && !self.waiting.is_empty();
        if has_end {
            self.waiting.pop_front();
        }
        1 + usize::from(has_end)
    }
}

impl Group {
    /// The group of an alert: its key, and the labels that its alerts share.
    pub fn of(notice: &Notice, by: &GroupBy) -> (String, BTreeMap<String, String>) {
        let all = || ["alertname", "severity"].into_iter().chain(notice.labels.keys().map(String::as_str));
        let shared = |name: &str| Some((name.to_owned(), notice.label(name)?.to_owned()));
        let labels: BTreeMap<String, String> = match by {
            GroupBy::Labels(names) => names.iter().filter_map(|name| shared(name)).collect(),
            GroupBy::Each => all().filter_map(shared).collect(),
        };
        let parts: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        (format!("{{{}}}", parts.join(",")), labels)
    }

    /// Whether there is nothing to remember of it but when it was last sent.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.message.is_none()
    }

    /// When the next message with news may be made, for news that came now.
    pub fn due(&self, policy: &Policy, now: Mono) -> Mono {
        let after_last = self.sent.map_or(now, |sent| sent.at.saturating_add(policy.group_interval));
        now.saturating_add(policy.group_wait).max(after_last)
    }

    /// When what still fires is to be said again.
    pub fn repeat_at(&self, policy: &Policy) -> Option<Mono> {
        let is_told = self.members.values().any(|member| member.told.is_some());
        Some(self.sent.filter(|_| is_told)?.at.saturating_add(policy.repeat_interval?))
    }

    /// When something is to be done about it, apart from what stands in the line.
    pub fn wake_at(&self, policy: &Policy) -> Option<Mono> {
        if let Some(message) = &self.message {
            return (!message.is_in_line).then_some(message.next);
        }
        if self.is_empty() {
            return Some(self.sent.map_or(Mono::ZERO, |sent| sent.at.saturating_add(policy.group_interval)));
        }
        // News say what still fires, too.
        self.flush_at.or_else(|| self.repeat_at(policy))
    }

    /// What a message with these changes says: the changes first, then what else the receiver knows to be firing.
    /// Gives the alerts in order, and how many had no room.
    pub fn alerts(&self, changes: &[String], but: impl Fn(&Notice) -> bool) -> (Vec<Notice>, u64) {
        let changed = changes.iter().filter_map(|id| Some(&self.members.get(id)?.waiting.front()?.notice));
        let unchanged = self.members.iter().filter(|(id, _)| !changes.contains(id));
        let known = unchanged.filter_map(|(_, member)| member.told.as_ref()).filter(|notice| !but(notice));
        let all: Vec<&Notice> = changed.chain(known).collect();
        let truncated = all.len().saturating_sub(Notification::MAX_ALERTS);
        let mut alerts: Vec<Notice> = all.into_iter().take(Notification::MAX_ALERTS).cloned().collect();
        alerts.sort_by(|a, b| (&a.rule, &a.labels).cmp(&(&b.rule, &b.labels)));
        (alerts, truncated as u64)
    }

    /// Whether any alert is firing for the receiver once it has taken these changes.
    pub fn status_after(&self, changes: &[String]) -> Status {
        let is_firing = |(id, member): (&String, &Member)| match changes.contains(id) {
            true => member.waiting.front().is_some_and(|waiting| waiting.notice.status == Status::Firing),
            false => member.told.is_some(),
        };
        if self.members.iter().any(is_firing) { Status::Firing } else { Status::Resolved }
    }
}

/// A group as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedGroup {
    pub labels: BTreeMap<String, String>,
    pub serial: u64,
    pub sent: Option<u64>,
}

/// An alert as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedMember {
    pub told: Option<Notice>,
    /// With the time that each came.
    pub waiting: Vec<(Notice, u64)>,
    pub is_muted: bool,
}

/// A message as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedMessage {
    pub notification: Notification,
    pub changes: Vec<String>,
    pub since: u64,
}
