//! Reading the value of a metric from a snapshot.

use super::judge::Seen;
use super::metric::{Read, Sets, is_gone, part};
use super::rule::{Blind, Rule};
use crate::stats::{Capture, InterfaceSnapshot, Snapshot, Talker, TalkerKey, TalkerTable, Volume, WindowSnapshot};
use crate::time::Tick;
use std::net::IpAddr;
use std::time::Duration;

/// What is known of the capture of an interface at a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// It is not there.
    pub(super) gone: bool,
    /// It is there, and nothing of it is captured.
    pub(super) down: bool,
    /// Its numbers are not to be relied on.
    pub(super) blind: bool,
}

impl Condition {
    /// Looks at loss and coverage over the shortest window above 1 s, or the longest there is.
    pub(super) fn of(interface: &InterfaceSnapshot, limits: &Blind) -> Self {
        let capture = &interface.capture;
        let gone = is_gone(capture);
        // A link that is down has nothing to capture.
        let down = !capture.up && !gone && is_reported(capture) && capture.link_up != Some(false);
        let long = |window: &&WindowSnapshot| window.length > Duration::from_secs(1);
        let window = interface.windows.iter().find(long).or(interface.windows.last());
        let is_lossy = window.is_some_and(|window| loss(window).is_some_and(|loss| loss > limits.loss));
        let is_partial = window
            .is_some_and(|window| coverage(capture, window.length).is_some_and(|coverage| coverage < limits.coverage));
        Self { gone, down, blind: down || !gone && (is_lossy || is_partial) }
    }
}

fn loss(window: &WindowSnapshot) -> Option<f64> {
    let lost: u64 = window.sums.dropped_packets.iter().sum();
    let [receive, transmit] = window.sums.volume;
    part(lost, lost + receive.packets + transmit.packets)
}

fn coverage(capture: &Capture, length: Duration) -> Option<f64> {
    capture.coverage.iter().find(|(of, _)| *of == length).map(|(_, ratio)| *ratio)
}

/// Whether its edge has said anything of it yet.
fn is_reported(capture: &Capture) -> bool {
    !capture.backend.is_empty() || capture.link_up.is_some() || capture.kernel.is_some()
}

/// The value of one interface.
pub(super) fn interface(
    rule: &Rule,
    sets: Sets,
    interface: &InterfaceSnapshot,
    window: Option<&WindowSnapshot>,
    condition: Condition,
    now: Tick,
) -> Seen {
    let value = match rule.metric.read {
        Read::Capture(read) => {
            return if is_reported(&interface.capture) { seen(read(interface)) } else { Seen::NoData };
        }
        Read::Blind => return Seen::Value(f64::from(u8::from(condition.blind))),
        _ if condition.gone => return Seen::Gone,
        _ if condition.down && rule.metric.needs_capture() => return Seen::Down,
        Read::Now(read) => read(interface, now, sets),
        Read::Coverage => coverage(&interface.capture, rule.window),
        _ => {
            let found = window.and_then(|window| of_window(rule.metric.read, sets, interface, window));
            let is_few = found.is_some_and(|(_, samples)| samples < rule.min_samples);
            return match seen(found.map(|(value, _)| value)) {
                Seen::Value(value) if is_few => Seen::Few(value),
                other => other,
            };
        }
    };
    seen(value)
}

/// The value, and of how many samples it is made where that matters.
fn of_window(read: Read, sets: Sets, interface: &InterfaceSnapshot, window: &WindowSnapshot) -> Option<(f64, u64)> {
    let value = match read {
        Read::Rate(read) => window.per_second(read(&window.sums, sets)),
        Read::Share(read) => {
            let [some, whole] = read(&window.sums, sets);
            return part(some, whole).map(|share| (share, whole));
        }
        Read::Peak(read) => read(window.peak.volume) as f64,
        Read::Quantile(read) => {
            let side = sets[0].trailing_zeros() as usize;
            let quantiles = window.handshake_rtt.get(side).filter(|quantiles| quantiles.count > 0)?;
            return Some((read(quantiles) as f64 / 1e9, quantiles.count));
        }
        Read::Utilization(direction) => {
            let speed = interface.capture.speed.filter(|speed| *speed > 0)?;
            window.per_second(window.sums.volume[direction].bytes) / speed as f64
        }
        Read::Coverage
        | Read::Now(_)
        | Read::Capture(_)
        | Read::Blind
        | Read::Own(_)
        | Read::Host { .. }
        | Read::Class(_) => return None,
    };
    Some((value, u64::MAX))
}

/// The value of a metric of no interface.
pub(super) fn own(read: Read, snapshot: &Snapshot) -> Seen {
    match read {
        Read::Own(read) => seen(read(snapshot)),
        _ => Seen::NoData,
    }
}

/// The table of talkers of a window.
pub(super) fn talkers(snapshot: &Snapshot, window: Duration) -> Option<&TalkerTable> {
    snapshot.talkers.iter().find(|table| table.length == window)
}

/// The listed hosts of a table with their values; none where all hosts together have fewer bytes than a share needs.
pub(super) fn hosts(table: &TalkerTable, share: bool, min_samples: u64) -> impl Iterator<Item = (IpAddr, f64)> + '_ {
    // Each byte is from one host and to one.
    let listed = table.hosts.iter().fold(0_u64, |sum, row| sum.saturating_add(row.from_bytes));
    let whole = listed.saturating_add(table.other[0][0]);
    let is_enough = whole >= min_samples;
    table.hosts.iter().filter(move |_| is_enough).filter_map(move |row| {
        let TalkerKey::Host(host) = row.key else { return None };
        Some((host, host_value(row, whole, table.length, share)?))
    })
}

fn host_value(row: &Talker, whole: u64, length: Duration, share: bool) -> Option<f64> {
    let bytes = row.from_bytes.saturating_add(row.to_bytes);
    if share { part(bytes, whole) } else { Some(bytes as f64 / length.as_secs_f64()) }
}

/// Since the start, between the classes of `sets`.
pub(super) fn class_total(read: Read, sets: Sets, snapshot: &Snapshot) -> u64 {
    let Read::Class(read) = read else { return 0 };
    let rows = snapshot.classes.iter().enumerate().filter(|(place, _)| sets[0] >> place & 1 == 1);
    let volumes = rows.flat_map(|(_, row)| row.iter().enumerate().filter(|(place, _)| sets[1] >> place & 1 == 1));
    volumes.map(|(_, volume): (usize, &Volume)| read(volume)).sum()
}

/// Undefined values are no data.
fn seen(value: Option<f64>) -> Seen {
    value.filter(|value| value.is_finite()).map_or(Seen::NoData, Seen::Value)
}
