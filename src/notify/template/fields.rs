//! What a template can ask for.

use super::Template;
use super::quantity::Quantity;
use crate::alert::Severity;
use crate::notify::{Notice, Notification, Status, fingerprint};
use crate::time::Timestamp;
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The fields of one alert, by name.
///
/// Labels stand by their own names too, unless a field has the name. `interface` and `protocol` are always there,
/// empty where an alert is about no particular one.
#[derive(Clone, Debug)]
pub struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// Those of an alert in a message. Its summary is rendered; one that cannot be gives way to a plain sentence, so
    /// that no template costs a notification.
    pub fn of(notice: &Notice, message: &Notification) -> Self {
        let mut fields = Self::of_alert(notice);
        let count = |status| message.alerts.iter().filter(|notice| notice.status == status).count();
        let page = message.external_url.clone().unwrap_or_default();
        let shared = [
            ("receiver", Value::from(message.receiver.to_string())),
            ("page", Value::from(page)),
            ("firing", Value::from(count(Status::Firing))),
            ("resolved", Value::from(count(Status::Resolved))),
        ];
        fields.0.extend(shared.map(|(name, value)| (name.to_owned(), value)));
        let summary = fields.summary(notice);
        fields.0.insert("summary".into(), Value::from(summary));
        fields
    }

    /// Those of an alert alone: what the `summary` of a rule can use.
    pub fn of_alert(notice: &Notice) -> Self {
        let mut fields = BTreeMap::from(["interface", "protocol"].map(|name| (name.to_owned(), Value::from(""))));
        fields.extend(notice.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        let quantity = |value| Value::from_object(Quantity::new(value, &notice.unit));
        let time = |at: Timestamp| Value::from(at.to_string());
        let own = [
            ("rule", Value::from(notice.rule.as_str())),
            ("alertname", Value::from(notice.rule.as_str())),
            ("severity", Value::from(notice.severity.name())),
            ("status", Value::from(notice.status.name())),
            ("labels", Value::from_iter(notice.labels.clone())),
            ("metric", Value::from(notice.metric.as_str())),
            ("value", quantity(notice.value)),
            ("threshold", notice.threshold.map_or(Value::from(()), quantity)),
            ("unit", Value::from(notice.unit.as_str())),
            ("window", Value::from_object(Quantity::new(notice.window.as_secs_f64(), "seconds"))),
            ("starts_at", time(notice.starts_at)),
            ("ends_at", notice.ends_at.map_or(Value::from(()), time)),
            ("fingerprint", Value::from(notice.fingerprint.as_str())),
            ("blind", Value::from(notice.blind)),
            ("runbook_url", Value::from(notice.runbook_url.clone().unwrap_or_default())),
        ];
        fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Self(fields)
    }

    /// Those of a made-up alert, to try templates on.
    pub fn sample() -> Self {
        let message = sample_message();
        message.alerts.first().map_or_else(|| Self(BTreeMap::new()), |notice| Self::of(notice, &message))
    }

    /// Those of a made-up alert of a rule, to try its summary on: with these labels, and a limit unless it is `absent`.
    pub fn sample_of<'a>(labels: impl Iterator<Item = &'a str>, metric: &str, unit: &str, has_limit: bool) -> Self {
        let mut message = sample_message();
        let notice = message.alerts.remove(0);
        let labels = labels.map(|name| (name.to_owned(), format!("some {name}"))).collect();
        let threshold = notice.threshold.filter(|_| has_limit);
        Self::of_alert(&Notice { labels, metric: metric.into(), unit: unit.into(), threshold, ..notice })
    }

    pub(super) fn context(&self) -> Value {
        Value::from_iter(self.0.clone())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The text of a field that is one.
    pub(in crate::notify) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn summary(&self, notice: &Notice) -> String {
        if notice.summary.is_empty() {
            return sentence(notice);
        }
        let rendered = Template::for_fields(&notice.summary, self).and_then(|template| template.render(self));
        rendered.unwrap_or_else(|error| {
            tracing::warn!(rule = notice.rule, %error, "a summary cannot be rendered for this alert");
            sentence(notice)
        })
    }
}

/// What is wrong, where a rule does not say so itself.
pub(in crate::notify) fn sentence(notice: &Notice) -> String {
    let place = notice.labels.get("interface").map_or_else(String::new, |interface| format!(" on {interface}"));
    let (metric, window) = (&notice.metric, Quantity::new(notice.window.as_secs_f64(), "seconds"));
    let quantity = |value| Quantity::new(value, &notice.unit);
    match notice.threshold {
        Some(threshold) => {
            let (value, limit) = (quantity(notice.value), quantity(threshold));
            format!("{metric}{place} is {value} over {window}, the limit is {limit}")
        }
        None => format!("there is no {metric}{place} over {window}; it was {}", quantity(notice.value)),
    }
}

/// A message as any receiver may get it.
pub(in crate::notify) fn sample_message() -> Notification {
    let labels = [("interface", "eth0"), ("protocol", "tcp")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let labels = BTreeMap::from(labels);
    let fired = Timestamp::from_nanos(1_767_225_600_000_000_000);
    let notice = Notice {
        rule: "HighIngress".into(),
        fingerprint: fingerprint("HighIngress", &labels),
        labels,
        severity: Severity::Critical,
        status: Status::Firing,
        value: 125_829_120.0,
        threshold: Some(104_857_600.0),
        metric: "receive_bytes_per_second".into(),
        unit: "bytes_per_second".into(),
        window: Duration::from_secs(10),
        starts_at: fired,
        ends_at: None,
        blind: false,
        summary: String::new(),
        runbook_url: Some("https://runbooks.example/HighIngress".into()),
    };
    Notification {
        key: "0123456789abcdef0123456789abcdef".into(),
        receiver: Arc::from("ops"),
        group_key: "{alertname=\"HighIngress\"}".into(),
        group_labels: BTreeMap::from([("alertname".to_owned(), "HighIngress".to_owned())]),
        status: Status::Firing,
        alerts: vec![notice],
        truncated_alerts: 0,
        created: fired,
        external_url: Some("http://127.0.0.1:8080/".into()),
    }
}
