//! Documents of the history as rows of fixed columns.

use crate::lookback::Topic;
use serde_json::Value;

/// A document as CSV (RFC 4180): a line of names, then a line for each row. What is not known is empty.
pub(super) fn csv(topic: Topic, document: &Value) -> String {
    let columns = columns(topic);
    let mut out = columns.join(",") + "\r\n";
    for row in rows(topic, document) {
        let cells: Vec<String> = columns.iter().map(|column| quoted(&row.cell(column))).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// One row: an object, and what is said once for several of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'d> {
    pub(super) common: &'d Value,
    pub(super) own: &'d Value,
}

impl<'d> Row<'d> {
    pub(super) fn get(&self, name: &str) -> Option<&'d Value> {
        self.own.get(name).or_else(|| self.common.get(name)).filter(|value| !value.is_null())
    }

    /// A value as plain text.
    pub(super) fn cell(&self, name: &str) -> String {
        match self.get(name) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
            Some(other) => other.to_string(),
        }
    }

    /// A whole number; 0 where there is none.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(Value::as_u64).unwrap_or(0)
    }
}

/// The rows of a document, in its order.
pub(super) fn rows<'d>(topic: Topic, document: &'d Value) -> Vec<Row<'d>> {
    let list = |name: &str| document.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let plain = |name| list(name).iter().map(|own| Row { common: &Value::Null, own }).collect();
    match topic {
        Topic::Bandwidth | Topic::Protocols => {
            let points = |common: &'d Value| {
                let points = Value::as_array(&common["points"]).map_or(&[][..], Vec::as_slice);
                points.iter().map(move |own| Row { common, own })
            };
            list("series").iter().flat_map(points).collect()
        }
        Topic::Flows => plain("flows"),
        Topic::Hosts => plain("hosts"),
        Topic::Totals => plain("totals"),
        Topic::Alerts => plain("alerts"),
        Topic::Percentile => plain("usage"),
        Topic::Info => plain("tiers"),
    }
}

fn columns(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::Bandwidth => &[
            "interface",
            "time",
            "recorded_seconds",
            "receive_bytes",
            "receive_packets",
            "transmit_bytes",
            "transmit_packets",
            "peak_receive_bytes_per_second",
            "peak_receive_packets_per_second",
            "peak_transmit_bytes_per_second",
            "peak_transmit_packets_per_second",
            "flows_opened",
            "flows_closed",
            "flows_active",
            "tcp_segments",
            "tcp_retransmitted_segments",
            "tcp_out_of_order_segments",
            "tcp_zero_window",
            "tcp_resets",
            "tcp_connections_opened",
            "tcp_connection_failures",
            "handshake_rtt_client_seconds",
            "handshake_rtt_server_seconds",
            "dropped_packets",
            "rejected_packets",
            "coverage_ratio",
        ],
        Topic::Protocols => &[
            "interface",
            "network",
            "transport",
            "time",
            "recorded_seconds",
            "receive_bytes",
            "receive_packets",
            "transmit_bytes",
            "transmit_packets",
        ],
        Topic::Flows => &[
            "id",
            "interface",
            "vlan",
            "protocol",
            "src_ip",
            "src_port",
            "dst_ip",
            "dst_port",
            "icmp_id",
            "end_reason",
            "first_seen",
            "last_seen",
            "packets_c2s",
            "bytes_c2s",
            "packets_s2c",
            "bytes_s2c",
        ],
        Topic::Hosts => &["host", "bytes_sent", "bytes_received", "packets_sent", "packets_received", "flows"],
        Topic::Totals => &[
            "interface",
            "label",
            "begin",
            "end",
            "recorded_seconds",
            "receive_bytes",
            "receive_packets",
            "transmit_bytes",
            "transmit_packets",
            "peak_receive_bytes_per_second",
            "peak_transmit_bytes_per_second",
            "inexact",
        ],
        Topic::Alerts => &[
            "at",
            "alert",
            "labels",
            "severity",
            "state",
            "value",
            "threshold",
            "metric",
            "unit",
            "window_seconds",
            "active_since",
            "fired_at",
            "resolved_at",
            "blind",
        ],
        Topic::Percentile => &[
            "interface",
            "samples",
            "recorded_seconds",
            "tier",
            "receive_bytes_per_second",
            "transmit_bytes_per_second",
            "receive_seconds_over",
            "transmit_seconds_over",
        ],
        Topic::Info => &["tier", "records", "oldest", "newest"],
    }
}

/// A cell in quotes where it has to be. Text that a spreadsheet would take for a formula cannot come about: names of
/// interfaces and rules are the only free texts, and get a quote in front.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '@', '\t', '\r']);
    let guarded = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted_and_formulas_disarmed() {
        assert_eq!(quoted("eth0"), "eth0");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    }

    #[test]
    fn a_missing_value_is_an_empty_cell() {
        let document = json!({ "usage": [{ "interface": "eth0", "samples": 3, "receive_seconds_over": null }] });
        let csv = csv(Topic::Percentile, &document);
        assert_eq!(csv.lines().nth(1), Some("eth0,3,,,,,,"));
    }

    #[test]
    fn points_carry_what_their_series_says() {
        let document = json!({ "series": [{ "interface": "eth0", "points": [{ "time": "T", "receive_bytes": 7 }] }] });
        let found = rows(Topic::Bandwidth, &document);
        assert_eq!((found[0].cell("interface"), found[0].number("receive_bytes")), ("eth0".into(), 7));
    }
}
