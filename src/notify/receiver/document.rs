//! Parts that the documents of webhooks and of Alertmanager share.

use super::host_name;
use crate::notify::template::{Fields, Template};
use crate::notify::{Notice, Notification};
use std::collections::BTreeMap;

/// The labels of an alert as they are sent: `alertname`, `severity`, `instance`, its own, and those that the receiver
/// adds; the alert's own stand over these.
pub(super) fn labels(notice: &Notice, added: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("instance".to_owned(), host_name().to_owned())]);
    labels.extend(added.clone());
    labels.extend(notice.labels.clone());
    labels.insert("alertname".into(), notice.rule.clone());
    labels.insert("severity".into(), notice.severity.name().into());
    labels.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (label_name(&name), value)).collect()
}

/// What people read of an alert: `summary`, `description`, `runbook_url`.
pub(super) fn annotations(
    notice: &Notice,
    message: &Notification,
    description: Option<&Template>,
) -> BTreeMap<String, String> {
    let fields = Fields::of(notice, message);
    let description = description.and_then(|template| rendered(template, &fields)).unwrap_or_else(|| described(notice));
    let all = [
        ("summary", fields.text("summary").to_owned()),
        ("description", description),
        ("runbook_url", notice.runbook_url.clone().unwrap_or_default()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text)).collect()
}

/// The text of a template; `None` with a line in the log where this alert has not what it asks for.
pub(super) fn rendered(template: &Template, fields: &Fields) -> Option<String> {
    template.render(fields).map_err(|error| not_rendered(&error)).ok()
}

pub(super) fn not_rendered(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "a template cannot be rendered for this alert; the default text is sent");
}

/// The numbers in a sentence, and whether they are to be relied on.
pub(super) fn described(notice: &Notice) -> String {
    let sentence = crate::notify::template::sentence(notice);
    if notice.blind {
        format!("{sentence}; packets were missed, so the numbers are not to be relied on")
    } else {
        sentence
    }
}

/// What all maps have with the same value.
pub(super) fn common<'a>(mut maps: impl Iterator<Item = &'a BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut common = maps.next().cloned().unwrap_or_default();
    maps.for_each(|map| common.retain(|name, value| map.get(name) == Some(value)));
    common
}

/// A name that Prometheus allows for a label.
fn label_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("_{name}") } else { name }
}
