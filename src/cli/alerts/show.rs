//! Alerts as rows and documents.

use crate::alert::Transition;
use crate::cli::table::{Table, bit_rate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The transitions as a table under `heading`; nothing without any.
pub(in crate::cli) fn timeline(heading: &'static str, transitions: &[Transition], out: &mut String) {
    let mut table = Table::new(heading, &["at", "alert", "labels", "state", "severity", ">value", ">limit", ""]);
    for Transition { alert, at } in transitions {
        table.row([
            at.to_string(),
            alert.rule.to_string(),
            labels(&alert.labels),
            alert.state.name().to_owned(),
            alert.severity.name().to_owned(),
            value(alert.value, alert.unit),
            alert.threshold.map_or_else(|| "-".to_owned(), |limit| value(limit, alert.unit)),
            if alert.blind { "blind".to_owned() } else { String::new() },
        ]);
    }
    table.print(out);
}

/// The transitions as the list `alerts` of a document.
pub(in crate::cli) fn document(transitions: &[Transition]) -> Vec<Value> {
    let row = |Transition { alert, at }: &Transition| {
        json!({
            "alert": &*alert.rule,
            "labels": alert.labels,
            "severity": alert.severity.name(),
            "state": alert.state.name(),
            "at": at.to_string(),
            "active_since": alert.active_since.to_string(),
            "metric": &*alert.metric,
            "window_seconds": alert.window.as_secs(),
            "value": alert.value,
            "threshold": alert.threshold,
            "unit": alert.unit,
            "blind": alert.blind,
        })
    };
    transitions.iter().map(row).collect()
}

/// `interface="eth0" protocol="udp"`.
pub(in crate::cli) fn labels(labels: &BTreeMap<String, String>) -> String {
    let texts: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    texts.join(" ")
}

/// A value with its unit.
pub(in crate::cli) fn value(value: f64, unit: &str) -> String {
    match unit {
        "bytes_per_second" => bit_rate(value),
        "ratio" => format!("{:.2} %", value * 100.0),
        "seconds" => format!("{value:.3} s"),
        "per_second" => format!("{value:.1}/s"),
        _ => value.to_string(),
    }
}
