//! Alerts that resolved a short while ago, for whoever comes too late to see them fire.

use crate::alert::{Alert, State, Transition};
use crate::time::{Tick, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// How long they are shown, in packet time.
const SHOWN: Duration = Duration::from_secs(15 * 60);
/// The most that are shown, about 0.5 KiB each.
const MOST: usize = 100;

/// One for each label set of a rule, the latest first.
#[derive(Debug, Default)]
pub(super) struct Resolved(VecDeque<Alert>);

impl Resolved {
    /// Takes up those that resolved, and lets go of those that are active again.
    pub(super) fn note(&mut self, changed: &[Transition]) {
        for Transition { alert, .. } in changed {
            self.0.retain(|before| before.rule != alert.rule || before.labels != alert.labels);
            if alert.state == State::Resolved {
                self.0.push_front(alert.clone());
            }
        }
        self.0.truncate(MOST);
    }

    /// Lets go of those that resolved too long before `now`.
    pub(super) fn forget(&mut self, now: Tick) {
        let is_recent = |at: Timestamp| Duration::from_nanos(now.end().nanos_since(at)) <= SHOWN;
        self.0.retain(|alert| alert.resolved_at.is_some_and(is_recent));
    }

    /// What is to be shown.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.0.iter().cloned().collect()
    }
}
