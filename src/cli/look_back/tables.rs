//! Documents of the history for people.

use super::parsed;
use super::picture::sparkline;
use super::rows::{Row, rows};
use crate::cli::table::{Table, bar, bit_rate, bytes, count};
use crate::lookback::{Question, Topic};
use crate::time::NANOS_PER_SECOND;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows that a table has without being asked for a step, about.
const ROWS: u64 = 48;
/// Characters of a curve.
const CURVE: usize = 72;
/// Width of share bars.
const BAR: usize = 20;

/// Steps that people think in; each divides a day.
const STEPS: [u64; 14] = [1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200];

/// The step for a table over the range of a question.
pub(super) fn step(question: &Question) -> u64 {
    let range = question.range();
    let least = (range.to - range.from).div_ceil(ROWS);
    STEPS.into_iter().find(|step| *step >= least).unwrap_or(86_400)
}

/// A document as tables; with curves where somebody looks at it.
pub(super) fn tables(topic: Topic, document: &Value, question: &Question, with_picture: bool) -> String {
    let page = Page { topic, document, zone: question.timezone.clone(), with_picture };
    let mut out = page.heading();
    match topic {
        Topic::Bandwidth => page.bandwidth(&mut out),
        Topic::Protocols => page.protocols(&mut out),
        Topic::Flows => page.flows(&mut out),
        Topic::Hosts => page.hosts(&mut out),
        Topic::Totals => page.totals(&mut out),
        Topic::Alerts => page.alerts(&mut out),
        Topic::Percentile => page.percentile(&mut out),
        Topic::Info => page.info(&mut out),
    }
    if rows(topic, document).is_empty() {
        out.push_str("  nothing is recorded there\n");
    }
    page.remarks(&mut out);
    out
}

struct Page<'d> {
    topic: Topic,
    document: &'d Value,
    zone: TimeZone,
    with_picture: bool,
}

impl<'d> Page<'d> {
    fn rows(&self) -> Vec<Row<'d>> {
        rows(self.topic, self.document)
    }

    /// The range, and the step and the tier where there are such.
    fn heading(&self) -> String {
        let said = |name: &str| self.document.get(name).and_then(Value::as_str).unwrap_or_default();
        if self.topic == Topic::Info {
            return format!("schema {}, identity {}\n", self.document["schema"], said("identity"));
        }
        let mut heading = format!("{} to {}", self.time(&self.document["from"]), self.time(&self.document["to"]));
        for (name, what) in [("step", "step"), ("tier", "tier"), ("interval", "samples of"), ("per", "per")] {
            if !said(name).is_empty() {
                let _ = write!(heading, ", {what} {}", said(name));
            }
        }
        heading + "\n"
    }

    /// In the zone asked for, to the second.
    fn time(&self, value: &Value) -> String {
        let at = parsed(value).and_then(|at| i64::try_from(at.as_nanos() / NANOS_PER_SECOND).ok());
        let Some(at) = at.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) else { return "-".into() };
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }

    fn bandwidth(&self, out: &mut String) {
        if self.with_picture {
            self.curves(out);
        }
        let columns = ["time", "interface", ">receive", ">bytes", ">peak", ">transmit", ">bytes", ">peak", ">lost"];
        let mut table = Table::new("", &columns);
        for row in self.rows() {
            let rate = |name: &str| bit_rate(row.number(name) as f64 / row.number("recorded_seconds").max(1) as f64);
            table.row([
                row.get("time").map(|time| self.time(time)).unwrap_or_default(),
                row.cell("interface"),
                rate("receive_bytes"),
                bytes(row.number("receive_bytes")),
                bit_rate(row.number("peak_receive_bytes_per_second") as f64),
                rate("transmit_bytes"),
                bytes(row.number("transmit_bytes")),
                bit_rate(row.number("peak_transmit_bytes_per_second") as f64),
                count(row.number("dropped_packets")),
            ]);
        }
        table.print(out);
    }

    /// A curve for each interface and direction over the same span, from the first point to the last one; gaps are blank.
    fn curves(&self, out: &mut String) {
        let Some(series) = self.document["series"].as_array() else { return };
        let mut table = Table::new("", &["interface", "", "curve", ">most"]);
        for of in series {
            for direction in ["receive", "transmit"] {
                let rates = self.rates(of, &format!("{direction}_bytes"));
                let most = rates.iter().flatten().fold(0.0_f64, |most, rate| most.max(*rate));
                let interface = of["interface"].as_str().unwrap_or_default().to_owned();
                table.row([interface, direction.into(), sparkline(&rates, CURVE), bit_rate(most)]);
            }
        }
        table.print(out);
    }

    /// The mean rate of each step between the first point and the last one of all interfaces.
    fn rates(&self, of: &Value, name: &str) -> Vec<Option<f64>> {
        let step = self.document["step"].as_str().and_then(|step| step.strip_suffix('s')?.parse().ok()).unwrap_or(1);
        let second = |value: &Value| parsed(value).map(|at| at.as_nanos() / NANOS_PER_SECOND);
        let all: Vec<u64> = self.rows().iter().filter_map(|row| second(row.get("time")?)).collect();
        let (Some(first), Some(last)) = (all.iter().min(), all.iter().max()) else { return Vec::new() };
        let of_point = |point: &Value| {
            let row = Row { common: of, own: point };
            let rate = row.number(name) as f64 / row.number("recorded_seconds").max(1) as f64;
            Some((second(row.get("time")?)?, rate))
        };
        let points: BTreeMap<u64, f64> =
            of["points"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(of_point).collect();
        (0..=(last - first) / step).map(|n| points.get(&(first + n * step)).copied()).collect()
    }

    /// Sums over the range; who wants them over time takes JSON or CSV.
    fn protocols(&self, out: &mut String) {
        let mut sums: BTreeMap<(String, String, String), [u64; 4]> = BTreeMap::new();
        for row in self.rows() {
            let key = (row.cell("interface"), row.cell("network"), row.cell("transport"));
            let names = ["receive_bytes", "receive_packets", "transmit_bytes", "transmit_packets"];
            let sum = sums.entry(key).or_default();
            sum.iter_mut().zip(names).for_each(|(sum, name)| *sum += row.number(name));
        }
        let whole: u64 = sums.values().map(|[receive, _, transmit, _]| receive + transmit).sum();
        let mut ranked: Vec<_> = sums.into_iter().collect();
        ranked.sort_by_key(|(_, [receive, _, transmit, _])| std::cmp::Reverse(receive + transmit));
        let mut columns = vec!["interface", "network", "transport", ">receive", ">packets", ">transmit", ">packets"];
        columns.extend(self.with_picture.then_some("share"));
        let mut table = Table::new("", &columns);
        for ((interface, network, transport), [receive, received, transmit, sent]) in ranked {
            let cells = [interface, network, transport, bytes(receive), count(received), bytes(transmit), count(sent)];
            let share = self.with_picture.then(|| bar(receive + transmit, whole, BAR));
            table.cells(cells.into_iter().chain(share).collect());
        }
        table.print(out);
    }

    fn flows(&self, out: &mut String) {
        let columns =
            ["last packet", "protocol", "initiator", "responder", "end", ">bytes sent", ">received", "interface"];
        let mut table = Table::new("", &columns);
        for row in self.rows() {
            table.row([
                row.get("last_seen").map(|time| self.time(time)).unwrap_or_default(),
                row.cell("protocol"),
                endpoint(&row, "src"),
                endpoint(&row, "dst"),
                row.cell("end_reason"),
                bytes(row.number("bytes_c2s")),
                bytes(row.number("bytes_s2c")),
                row.cell("interface"),
            ]);
        }
        table.print(out);
        let number = |name: &str| self.document[name].as_u64().unwrap_or(0);
        let _ = writeln!(out, "  {} flows of {} fit", count(number("matched")), bytes(number("bytes")));
    }

    fn hosts(&self, out: &mut String) {
        let whole: u64 = self.rows().iter().map(moved).max().unwrap_or(0);
        let mut columns = vec!["host", ">sent", ">packets", ">received", ">packets", ">flows"];
        columns.extend(self.with_picture.then_some(""));
        let mut table = Table::new("", &columns);
        for row in self.rows() {
            let cells = [
                row.cell("host"),
                bytes(row.number("bytes_sent")),
                count(row.number("packets_sent")),
                bytes(row.number("bytes_received")),
                count(row.number("packets_received")),
                count(row.number("flows")),
            ];
            let share = self.with_picture.then(|| bar(moved(&row), whole, BAR));
            table.cells(cells.into_iter().chain(share).collect());
        }
        table.print(out);
    }

    fn totals(&self, out: &mut String) {
        let columns = ["", "interface", ">receive", ">packets", ">transmit", ">packets", ">recorded", ""];
        let sum = |row: &Row<'_>| row.number("receive_bytes") + row.number("transmit_bytes");
        let greatest = self.rows().iter().map(sum).max().unwrap_or(0);
        let mut table = Table::new("", &columns);
        for row in self.rows() {
            let is_inexact = row.get("inexact") == Some(&Value::Bool(true));
            let picture = if self.with_picture { bar(sum(&row), greatest, BAR) } else { String::new() };
            table.row([
                row.cell("label") + if is_inexact { " (about)" } else { "" },
                row.cell("interface"),
                bytes(row.number("receive_bytes")),
                count(row.number("receive_packets")),
                bytes(row.number("transmit_bytes")),
                count(row.number("transmit_packets")),
                format!("{} s", count(row.number("recorded_seconds"))),
                picture,
            ]);
        }
        table.print(out);
    }

    fn alerts(&self, out: &mut String) {
        let mut table = Table::new("", &["at", "alert", "state", "severity", ">value", ">limit", "labels"]);
        for row in self.rows() {
            let labels = row.get("labels").and_then(Value::as_object).into_iter().flatten();
            let labels: Vec<String> =
                labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
            table.row([
                row.get("at").map(|time| self.time(time)).unwrap_or_default(),
                row.cell("alert"),
                row.cell("state"),
                row.cell("severity"),
                row.cell("value"),
                row.cell("threshold"),
                labels.join(" "),
            ]);
        }
        table.print(out);
    }

    fn percentile(&self, out: &mut String) {
        let columns = ["interface", ">receive", ">transmit", ">samples", ">recorded", ">over receiving", ">sending"];
        let mut table = Table::new("", &columns);
        for row in self.rows() {
            let rate = |name: &str| bit_rate(row.get(name).and_then(Value::as_f64).unwrap_or(0.0));
            let over = |name: &str| {
                row.get(name).and_then(Value::as_u64).map_or("-".into(), |seconds| format!("{} s", count(seconds)))
            };
            table.row([
                row.cell("interface"),
                rate("receive_bytes_per_second"),
                rate("transmit_bytes_per_second"),
                count(row.number("samples")),
                format!("{} s", count(row.number("recorded_seconds"))),
                over("receive_seconds_over"),
                over("transmit_seconds_over"),
            ]);
        }
        table.print(out);
        let _ = writeln!(out, "  percentile {}", self.document["percentile"]);
    }

    fn info(&self, out: &mut String) {
        let mut table = Table::new("", &["tier", ">records", "oldest", "newest"]);
        for row in self.rows() {
            let time = |name: &str| row.get(name).map_or("-".into(), |time| self.time(time));
            table.row([row.cell("tier"), count(row.number("records")), time("oldest"), time("newest")]);
        }
        table.print(out);
        let number = |name: &str| self.document[name].as_u64().unwrap_or(0);
        let names: Vec<_> =
            self.document["interfaces"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let _ = writeln!(
            out,
            "  {} flows, {} alert events, {}, made {}\n  interfaces: {}",
            count(number("flows")),
            count(number("alerts")),
            bytes(number("size_bytes")),
            self.time(&self.document["created"]),
            names.join(", "),
        );
    }

    /// What is not in the rows.
    fn remarks(&self, out: &mut String) {
        if self.document.get("truncated") == Some(&Value::Bool(true)) {
            out.push_str("  there is more: ask for a shorter range, a longer step or a larger --limit\n");
        }
        let left_out = |name: &str| self.document.pointer(&format!("/left_out/{name}")).and_then(Value::as_u64);
        for (name, why) in [("below_floor", "too small"), ("over_rate", "beyond the rate that is kept")] {
            if let Some(flows) = left_out(name).filter(|flows| *flows > 0) {
                let moved = left_out(&format!("{name}_bytes")).unwrap_or(0);
                let _ = writeln!(out, "  {} flows of {} were not kept: {why}", count(flows), bytes(moved));
            }
        }
        for gap in self.document["gaps"].as_array().into_iter().flatten() {
            let (from, to) = (self.time(&gap["from"]), self.time(&gap["to"]));
            let _ =
                writeln!(out, "  from {from} to {to} nothing could be kept: {}", gap["reason"].as_str().unwrap_or("-"));
        }
        if let Some(bad) = self.document["bad_records"].as_u64().filter(|bad| *bad > 0) {
            let _ = writeln!(out, "  {} damaged records were left out", count(bad));
        }
    }
}

fn moved(row: &Row<'_>) -> u64 {
    row.number("bytes_sent") + row.number("bytes_received")
}

/// Address and port, IPv6 in brackets where a port follows.
fn endpoint(row: &Row<'_>, end: &str) -> String {
    let (address, port) = (row.cell(&format!("{end}_ip")), row.cell(&format!("{end}_port")));
    match (address.contains(':'), port.is_empty()) {
        (_, true) => address,
        (true, false) => format!("[{address}]:{port}"),
        (false, false) => format!("{address}:{port}"),
    }
}
