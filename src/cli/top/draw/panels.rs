//! Talkers, protocols, flows, TCP health and alerts.

use super::table::{Column, table};
use super::{Pane, Theme};
use crate::cli::top::documents::{Alert, Flow, Interface, RoundTrips, Talker, Window};
use crate::cli::top::format::{amount, bytes, clock, count, duration, per_second, percent, rate};
use crate::cli::top::source::Picture;
use crate::cli::top::view::{Panel, SORTS, TALKERS, View};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// From so many columns on, flows have all of theirs.
const WIDE: u16 = 120;
/// From so many on a state and the last packet, and from so many a state: so that two IPv4 addresses fit beside it.
const MIDDLE: u16 = 94;
const NARROW: u16 = 76;

fn picture(view: &View) -> &Picture {
    static NONE: std::sync::OnceLock<Picture> = std::sync::OnceLock::new();
    view.picture.as_deref().unwrap_or_else(|| NONE.get_or_init(Picture::default))
}

fn pane<'a>(panel: Panel, title: String, (heading, lines): (Line<'a>, Vec<Line<'a>>), empty: &'static str) -> Pane<'a> {
    if lines.is_empty() {
        return Pane { panel, title, heading: None, lines: vec![Line::from(empty)] };
    }
    Pane { panel, title, heading: Some(heading), lines }
}

/// The window that a panel is over; one that is not full yet makes means too small.
fn over(view: &View) -> String {
    let window = picture(view).interfaces.interfaces.iter().find_map(Interface::window);
    let filling = |window: &Window| if window.full { "" } else { " (filling)" };
    window.map(|window| format!(", last {}{}", window.window, filling(window))).unwrap_or_default()
}

/// Seconds of a window by its name, such as `10s`.
fn length(window: &str) -> f64 {
    window.trim_end_matches('s').parse().ok().filter(|seconds| *seconds > 0.0).unwrap_or(1.0)
}

pub(super) fn talkers(view: &View, theme: Theme, width: u16) -> Pane<'static> {
    let kind = TALKERS[view.talkers];
    let Some(list) = &picture(view).talkers else {
        return pane(Panel::Talkers, format!("Top {kind}"), (Line::default(), Vec::new()), "nobody talks");
    };
    let seconds = length(&list.window);
    let row = |name: String, from: u64, to: u64| {
        vec![name, rate(from as f64 / seconds, view.bits), rate(to as f64 / seconds, view.bits)]
    };
    let mut rows: Vec<_> = list.rows.iter().map(|of| row(name(of), of.from_bytes, of.to_bytes)).collect();
    if list.other.from_bytes + list.other.to_bytes > 0 {
        rows.push(row("everything else".into(), list.other.from_bytes, list.other.to_bytes));
    }
    let columns = [Column::Words("who"), Column::Numbers("sends"), Column::Numbers("receives")];
    let title = format!("Top {kind}{}", over(view));
    pane(Panel::Talkers, title, table(&columns, &rows, width, theme), "nobody talks")
}

fn name(of: &Talker) -> String {
    match (of, &of.transport, of.port) {
        (Talker { hosts: Some([one, other]), .. }, ..) => format!("{one} ⇄ {other}"),
        (Talker { host: Some(host), .. }, ..) => host.clone(),
        (_, Some(transport), Some(port)) => format!("{transport} {port}"),
        _ => "–".into(),
    }
}

/// Received and transmitted bytes and packets of both, by network and transport, over all interfaces.
pub(super) fn protocols(view: &View, theme: Theme, width: u16) -> Pane<'static> {
    let windows: Vec<&Window> = picture(view).interfaces.interfaces.iter().filter_map(Interface::window).collect();
    let seconds = windows.first().map_or(1.0, |window| window.seconds.max(0.1));
    let mut merged: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for row in windows.iter().flat_map(|window| &window.protocols) {
        let has_transport = !matches!(row.network.as_str(), "arp" | "other");
        let key = if has_transport { format!("{} {}", row.network, row.transport) } else { row.network.clone() };
        let of = merged.entry(key).or_default();
        of[0] += row.receive.bytes + row.transmit.bytes;
        of[1] += row.receive.packets + row.transmit.packets;
    }
    let all: u64 = merged.values().map(|of| of[0]).sum();
    let mut rows: Vec<_> = merged.into_iter().collect();
    rows.sort_by_key(|(_, [bytes, _])| Reverse(*bytes));
    let rows = rows.into_iter().map(|(name, [bytes, packets])| {
        let share = (all > 0).then(|| bytes as f64 / all as f64);
        vec![name, percent(share), rate(bytes as f64 / seconds, view.bits), per_second(packets as f64 / seconds)]
    });
    let rows: Vec<_> = rows.collect();
    let columns =
        [Column::Words("protocol"), Column::Numbers("share"), Column::Numbers("rate"), Column::Numbers("packets")];
    pane(Panel::Protocols, format!("Protocols{}", over(view)), table(&columns, &rows, width, theme), "nothing moves")
}

pub(super) fn flows(view: &View, theme: Theme, width: u16) -> Pane<'static> {
    let order = if view.ascending { "least" } else { "most" };
    let sorted = format!("by {} ({order} first)", SORTS[view.sort].replace('_', " "));
    let filter = if view.filter.is_empty() { String::new() } else { format!(", only {}", view.filter) };
    if let Some(mistake) = &view.mistake {
        let lines = vec![Line::styled(mistake.clone(), theme.bad())];
        return Pane { panel: Panel::Flows, title: "Flows: the filter cannot be read".into(), heading: None, lines };
    }
    let found = match &picture(view).flows {
        Some(Ok(found)) => found,
        Some(Err(why)) => {
            let lines = vec![Line::styled(why.clone(), theme.bad())];
            return Pane { panel: Panel::Flows, title: format!("Flows{filter}"), heading: None, lines };
        }
        None => {
            let empty = (Line::default(), Vec::new());
            return pane(Panel::Flows, format!("Flows{filter}"), empty, "the flow table is busy");
        }
    };
    let title = format!("Flows: {} {sorted}{filter}", count(found.matched));
    let rows: Vec<_> = found.flows.iter().map(|flow| flow_row(flow, width)).collect();
    pane(Panel::Flows, title, table(&flow_columns(width), &rows, width, theme), "no flow matches")
}

fn flow_columns(width: u16) -> Vec<Column> {
    use Column::{Numbers, Words};
    let all = [Words("from"), Words("to"), Words("protocol"), Numbers("packets"), Numbers("bytes")];
    match width {
        WIDE.. => [&all[..3], &[Words("state"), Words("interface")], &all[3..4], &wide_numbers()].concat(),
        MIDDLE.. => [&all[..3], &[Words("state")], &all[3..], &[Numbers("last seen")]].concat(),
        NARROW.. => [&all[..2], &[Words("proto"), Words("state")], &all[3..]].concat(),
        _ => all.to_vec(),
    }
}

fn wide_numbers() -> [Column; 5] {
    ["bytes →", "bytes ←", "bytes", "first seen", "last seen"].map(Column::Numbers)
}

fn flow_row(flow: &Flow, width: u16) -> Vec<String> {
    let from = end(&flow.src_ip, flow.src_port.or(flow.icmp_id));
    let ends = vec![from, end(&flow.dst_ip, flow.dst_port), flow.protocol.clone()];
    let packets = count(flow.packets_c2s + flow.packets_s2c);
    let moved = bytes(flow.bytes_c2s + flow.bytes_s2c);
    let state = flow.state.clone();
    let more = match width {
        WIDE.. => {
            let interface = flow.interface.clone().unwrap_or_else(|| "–".into());
            let ways = [bytes(flow.bytes_c2s), bytes(flow.bytes_s2c)];
            let times = [clock(&flow.first_seen), clock(&flow.last_seen)];
            [vec![state, interface, packets], ways.into(), vec![moved], times.into()].concat()
        }
        MIDDLE.. => vec![state, packets, moved, clock(&flow.last_seen)],
        NARROW.. => vec![state, packets, moved],
        _ => vec![packets, moved],
    };
    [ends, more].concat()
}

fn end(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    }
}

/// Interfaces with segments, busiest first; a line for each where there is only a line.
pub(super) fn tcp(view: &View, theme: Theme, area: Rect) -> Pane<'static> {
    let interfaces = picture(view).interfaces.interfaces.iter();
    let mut busy: Vec<_> = interfaces.filter_map(|of| Some((&of.interface, of.window()?))).collect();
    busy.retain(|(_, window)| window.tcp.segments.sum() > 0);
    busy.sort_by_key(|(_, window)| Reverse(window.tcp.segments.sum()));
    let is_short = area.height <= 2;
    let name = busy.first().filter(|_| is_short).map(|(name, _)| format!(" of {name}")).unwrap_or_default();
    let lines: Vec<_> = match is_short {
        true => busy.iter().take(1).map(|(_, window)| health(window, theme, None)).collect(),
        false => {
            let all = |(name, window): &(&String, &Window)| {
                std::iter::once(health(window, theme, Some(name))).chain(trips(window)).collect::<Vec<_>>()
            };
            busy.iter().flat_map(all).collect()
        }
    };
    pane_of_lines(Panel::Tcp, format!("TCP health{name}{}", over(view)), lines, "no TCP")
}

fn pane_of_lines(panel: Panel, title: String, lines: Vec<Line<'static>>, empty: &'static str) -> Pane<'static> {
    let lines = if lines.is_empty() { vec![Line::from(empty)] } else { lines };
    Pane { panel, title, heading: None, lines }
}

/// Ratios at which a number gets a colour.
fn graded(ratio: Option<f64>, warn: f64, bad: f64, theme: Theme) -> Style {
    match ratio {
        Some(ratio) if ratio >= bad => theme.bad(),
        Some(ratio) if ratio >= warn => theme.warn(),
        _ => Style::new(),
    }
}

fn health(window: &Window, theme: Theme, name: Option<&str>) -> Line<'static> {
    let tcp = &window.tcp;
    let seconds = window.seconds.max(0.1);
    let failures: u64 = tcp.connection_failures.values().sum();
    let tried = failures + tcp.connections_opened;
    let failed = (tried > 0).then(|| failures as f64 / tried as f64);
    let resets: u64 = tcp.resets.values().sum();
    let each = |events: u64| per_second(events as f64 / seconds);
    let mut spans: Vec<Span<'static>> = Vec::new();
    spans.extend(name.map(|name| Span::styled(format!("{name}  "), theme.strong())));
    let mut say = |words: &str, value: String, style| {
        spans.extend([Span::raw(format!("{words} ")), Span::styled(value, style), Span::raw("  ")]);
    };
    say("retransmitted", percent(tcp.retransmit_ratio), graded(tcp.retransmit_ratio, 0.02, 0.05, theme));
    say("failed", percent(failed), graded(failed, 0.1, 0.3, theme));
    say("opened", each(tcp.connections_opened), Style::new());
    say("resets", each(resets), Style::new());
    if name.is_none() {
        // A line alone has to do with 80 columns.
        say("rtt", duration(window.handshake_rtt.server.p50_seconds), Style::new());
    }
    Line::from(spans)
}

/// The other lines of an interface: round trips, and what is rarer.
fn trips(window: &Window) -> [Line<'static>; 2] {
    let each = |events: u64| per_second(events as f64 / window.seconds.max(0.1));
    let side =
        |of: RoundTrips| [of.p50_seconds, of.p95_seconds, of.p99_seconds].map(duration).join("/").replace("–/–/–", "–");
    let (tcp, rtt) = (&window.tcp, &window.handshake_rtt);
    let (server, client) = (side(rtt.server), side(rtt.client));
    let (order, zero) = (each(tcp.out_of_order_segments.sum()), each(tcp.zero_window.sum()));
    let trips = format!("  handshake p50/95/99: to server {server}");
    [Line::from(trips), Line::from(format!("  to client {client}  out of order {order}  zero window {zero}"))]
}

pub(super) fn alerts(view: &View, theme: Theme, _width: u16) -> Pane<'static> {
    let Some(alerts) = &picture(view).alerts else {
        return pane_of_lines(Panel::Alerts, "Alerts".into(), Vec::new(), "no rules are in force");
    };
    let place = |of: &str, among: [&str; 2]| among.iter().position(|known| *known == of).unwrap_or(among.len());
    let rank =
        |alert: &Alert| (place(&alert.state, ["firing", "pending"]), place(&alert.severity, ["critical", "warning"]));
    let mut sorted: Vec<_> = alerts.iter().collect();
    sorted.sort_by_key(|alert| rank(alert));
    let states =
        ["firing", "pending", "resolved"].map(|state| (state, alerts.iter().filter(|of| of.state == state).count()));
    let counts = states.iter().filter(|(_, of)| *of > 0).map(|(state, of)| format!("{of} {state}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let title = if counts.is_empty() { "Alerts".to_owned() } else { format!("Alerts: {counts}") };
    let lines = sorted.into_iter().map(|alert| alert_line(alert, view, theme)).collect();
    pane_of_lines(Panel::Alerts, title, lines, "nothing fires")
}

fn alert_line(alert: &Alert, view: &View, theme: Theme) -> Line<'static> {
    let style = match (alert.state.as_str(), alert.severity.as_str()) {
        _ if alert.silenced_until.is_some() => theme.faint(),
        ("firing", "critical") => theme.bad(),
        ("firing", _) | ("pending", "critical") => theme.warn(),
        ("resolved", _) => theme.good(),
        _ => Style::new(),
    };
    let labels: Vec<_> = alert.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let of = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| amount(value, &alert.unit, view.bits));
    let limit = alert.threshold.map(|limit| format!(" (limit {})", of(Some(limit)))).unwrap_or_default();
    let silenced = alert.silenced_until.as_ref().map(|_| " silenced").unwrap_or_default();
    let blind = if alert.blind { "; the capture is blind" } else { "" };
    let since = clock(&alert.active_since);
    Line::from(vec![
        Span::styled(format!("{}{silenced}", alert.state), style),
        Span::raw(format!(" since {since} ")),
        Span::styled(alert.alert.clone(), theme.strong()),
        Span::raw(format!(" {} {}: {}{limit}{blind}", alert.severity, labels.join(" "), of(alert.value))),
    ])
}
