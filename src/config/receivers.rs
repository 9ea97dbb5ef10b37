//! Receivers as written, and the step to receivers that cannot be wrong: the list, and the keys that all kinds have.

use super::kinds;
use super::kinds::{Alertmanager, Kinds, PagerDuty, Slack, Webhook};
use super::mistake::quoted;
use super::setting::{Given, Texts};
use super::units::Span;
use crate::notify::{Configured, GroupBy, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most receivers; each has series of its own.
pub const MAX_RECEIVERS: usize = 10;

/// Somebody who is told of alerts: a name, exactly one of `webhook`, `slack`, `pagerduty` and `alertmanager`, and when.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ReceiverEntry {
    /// Its name, which rules give in `notify`.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub name: Given,
    /// Anything that takes the webhooks of Alertmanager.
    #[serde(skip_serializing_if = "is_default")]
    pub webhook: Webhook,
    /// An incoming webhook of Slack.
    #[serde(skip_serializing_if = "is_default")]
    pub slack: Slack,
    /// The Events API v2 of PagerDuty.
    #[serde(skip_serializing_if = "is_default")]
    pub pagerduty: PagerDuty,
    /// The API v2 of one Alertmanager, or of all of a cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub alertmanager: Alertmanager,
    /// Labels that the alerts of one message share (default: those of a rule); `...`: each alert alone (of PagerDuty by
    /// default); `none`: all together (of Alertmanager by default).
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub group_by: Texts,
    /// How long a message waits for further alerts: 0 s to 1 h (default 10 s; 0 s for PagerDuty and Alertmanager).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub group_wait: Given,
    /// The least time between two messages about one group that say something new: 0 s to 24 h (default 1 min; 0 s for
    /// PagerDuty and Alertmanager).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub group_interval: Given,
    /// When what still fires is said again, 10 s to 31 d, or `off` (default 4 h; off for PagerDuty, 1 min for Alertmanager).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub repeat_interval: Given,
    /// The longest that one attempt may take: 100 ms to 1 min (default 10 s).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub timeout: Given,
    /// How long a change is tried before it is given up and reported: 1 min to 31 d (default 24 h).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub max_age: Given,
    /// The most changes that wait: 1 to 10000 (default 1000).
    #[serde(skip_serializing_if = "Given::is_none")]
    pub queue: Given,
}

fn is_default<T: Default + PartialEq>(keys: &T) -> bool {
    *keys == T::default()
}

impl ReceiverEntry {
    /// Its keys, with an empty map where names are free.
    pub(super) fn known() -> serde_json::Value {
        serde_json::json!({
            "name": null,
            "webhook": serde_json::to_value(Webhook::default()).unwrap_or_default(),
            "slack": serde_json::to_value(Slack::default()).unwrap_or_default(),
            "pagerduty": serde_json::to_value(PagerDuty::default()).unwrap_or_default(),
            "alertmanager": serde_json::to_value(Alertmanager::default()).unwrap_or_default(),
            "group_by": [], "group_wait": null, "group_interval": null, "repeat_interval": null, "timeout": null,
            "max_age": null, "queue": null,
        })
    }
}

/// Everything wrong with the receivers, as key path and message.
pub(super) fn mistakes(written: &[ReceiverEntry]) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    for (n, entry) in written.iter().enumerate() {
        let place = format!("receivers[{n}]");
        // What could not be read at all was reported, and left an empty entry.
        if *entry != ReceiverEntry::default() {
            let at = |(key, message): (String, String)| {
                (if key.is_empty() { place.clone() } else { format!("{place}.{key}") }, message)
            };
            mistakes.extend(Reading::new(entry).finish().err().unwrap_or_default().into_iter().map(at));
        }
        let same = |other: &ReceiverEntry| !entry.name.is_none() && other.name == entry.name;
        if let Some(first) = written[..n].iter().position(same) {
            let name = quoted(entry.name.0.as_deref().unwrap_or_default());
            let message = format!("is {name}, which is the name of `receivers[{first}]` already");
            mistakes.push((format!("{place}.name"), message));
        }
    }
    mistakes
}

/// The receivers that are not wrong.
pub(super) fn receivers(written: &[ReceiverEntry]) -> Vec<Configured> {
    written.iter().filter_map(|entry| Reading::new(entry).finish().ok()).collect()
}

/// Names that rules may give, also of receivers that are wrong otherwise.
pub(super) fn names(written: &[ReceiverEntry]) -> Vec<String> {
    written.iter().filter_map(|entry| entry.name.0.clone()).collect()
}

/// One receiver on its way from texts.
struct Reading<'a> {
    written: &'a ReceiverEntry,
    mistakes: Vec<(String, String)>,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What Prometheus does.
const RESEND: Duration = Duration::from_secs(60);

impl<'a> Reading<'a> {
    fn new(written: &'a ReceiverEntry) -> Self {
        Self { written, mistakes: Vec::new() }
    }

    fn finish(mut self) -> Result<Configured, Vec<(String, String)>> {
        let name = self.name();
        let policy = self.policy(&name);
        self.resend(policy.repeat_interval);
        let ReceiverEntry { webhook, slack, pagerduty, alertmanager, .. } = self.written;
        match kinds::read(Kinds { webhook, slack, pagerduty, alertmanager }, policy.timeout) {
            Ok(receiver) if self.mistakes.is_empty() => Ok(Configured { policy, receiver }),
            Ok(_) => Err(self.mistakes),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                Err(self.mistakes)
            }
        }
    }

    fn wrong(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push((key.into(), message.into()));
    }

    fn name(&mut self) -> String {
        let Some(name) = &self.written.name.0 else {
            self.wrong("name", "is missing: each receiver has a name of its own");
            return String::new();
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
            self.wrong("name", format!("is {}, allowed 1 to 64 letters, digits, `_`, `-` and `.`", quoted(name)));
        }
        name.clone()
    }

    fn policy(&mut self, name: &str) -> Policy {
        let written = self.written;
        let defaults = self.defaults(name);
        let group_by = self.group_by(defaults.group_by);
        let wait = self.period("group_wait", &written.group_wait, Duration::ZERO, HOUR, defaults.group_wait);
        let interval =
            self.period("group_interval", &written.group_interval, Duration::ZERO, DAY, defaults.group_interval);
        let repeat_interval = match (written.repeat_interval.0.as_deref(), defaults.repeat_interval) {
            (Some("off"), _) => None,
            (None, default) => default,
            (Some(_), default) => {
                let default = default.unwrap_or(Policy::REPEAT_INTERVAL);
                Some(self.period("repeat_interval", &written.repeat_interval, 10 * SECOND, 31 * DAY, default))
            }
        };
        Policy {
            group_by,
            group_wait: wait,
            group_interval: interval,
            repeat_interval,
            timeout: self.period("timeout", &written.timeout, SECOND / 10, 60 * SECOND, defaults.timeout),
            max_age: self.period("max_age", &written.max_age, 60 * SECOND, 31 * DAY, defaults.max_age),
            queue: self.queue(defaults.queue),
            ..defaults
        }
    }

    /// An Alertmanager resolves what it is not told of again in time.
    fn resend(&mut self, repeat_interval: Option<Duration>) {
        if is_default(&self.written.alertmanager) {
            return;
        }
        let resolve_after = self.written.alertmanager.resolve_after.0;
        match repeat_interval {
            Some(interval) if interval <= resolve_after / 2 => {}
            Some(interval) => {
                let [interval, after] = [interval, resolve_after].map(Span::from);
                let message = format!("is {interval}, allowed half of `alertmanager.resolve_after` ({after}) at most");
                self.wrong("repeat_interval", message);
            }
            None => {
                self.wrong("repeat_interval", "is off, and an Alertmanager has to be told again that an alert fires")
            }
        }
    }

    /// PagerDuty and Alertmanager put alerts together themselves, and PagerDuty goes on by itself.
    fn defaults(&self, name: &str) -> Policy {
        let plain = Policy::new(name);
        let at_once = Policy { group_wait: Duration::ZERO, group_interval: Duration::ZERO, ..plain.clone() };
        if !is_default(&self.written.pagerduty) {
            return Policy { group_by: GroupBy::Each, repeat_interval: None, ..at_once };
        }
        if !is_default(&self.written.alertmanager) {
            return Policy { group_by: GroupBy::Labels(Vec::new()), repeat_interval: Some(RESEND), ..at_once };
        }
        plain
    }

    fn group_by(&mut self, default: GroupBy) -> GroupBy {
        let names = &self.written.group_by.0;
        match &names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => default,
            ["..."] => GroupBy::Each,
            ["none"] => GroupBy::Labels(Vec::new()),
            _ => {
                let is_name = |name: &String| {
                    !name.starts_with(|c: char| c.is_ascii_digit())
                        && !name.is_empty()
                        && name.len() <= 64
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                };
                for (n, name) in names.iter().enumerate().filter(|(_, name)| !is_name(name)) {
                    let message = format!("is {}, allowed names of labels, or `...` or `none` alone", quoted(name));
                    self.wrong(format!("group_by[{n}]"), message);
                }
                if names.len() > 16 {
                    self.wrong("group_by", format!("has {} labels, allowed 0 to 16", names.len()));
                }
                GroupBy::Labels(names.clone())
            }
        }
    }

    fn period(&mut self, key: &str, given: &Given, min: Duration, max: Duration, default: Duration) -> Duration {
        let Some(text) = &given.0 else { return default };
        let span = text.parse::<Span>();
        let found = match span {
            Ok(span) if (min..=max).contains(&Duration::from(span)) => return span.into(),
            Ok(span) => span.to_string(),
            Err(error) => format!("{} ({error})", quoted(text)),
        };
        let [min, max, usual] = [min, max, default].map(Span::from);
        self.wrong(key, format!("is {found}, allowed {min} to {max} (default {usual})"));
        default
    }

    fn queue(&mut self, default: usize) -> usize {
        let Some(text) = &self.written.queue.0 else { return default };
        match text.parse::<usize>() {
            Ok(queue) if (1..=10_000).contains(&queue) => queue,
            _ => {
                self.wrong("queue", format!("is {}, allowed 1 to 10000 (default {default})", quoted(text)));
                default
            }
        }
    }
}

#[cfg(test)]
mod tests;
