//! Rows beside the series: ended flows, alert events, gaps.

use crate::alert::{Severity, State, Transition};
use crate::flow::{EndReason, FlowRecord};
use crate::packet::{Network, Transport, VlanStack};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// An ended flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where it was seen.
    pub interface: Arc<str>,
    /// Its id, as everywhere else.
    pub id: u64,
    /// IP protocol number.
    pub protocol: u8,
    /// Whether the ports mean anything (or are the ICMP echo identifier).
    pub has_ports: bool,
    /// Who began it.
    pub source: IpAddr,
    /// The initiator's port; 0 without ports.
    pub source_port: u16,
    /// The other end.
    pub destination: IpAddr,
    /// Its port; 0 without ports.
    pub destination_port: u16,
    /// VLAN tags.
    pub vlan: VlanStack,
    /// Least record time of its packets.
    pub first_seen: Timestamp,
    /// Greatest record time of its packets.
    pub last_seen: Timestamp,
    /// Frames from the initiator.
    pub packets_c2s: u64,
    /// Wire bytes from the initiator.
    pub bytes_c2s: u64,
    /// Frames towards the initiator.
    pub packets_s2c: u64,
    /// Wire bytes towards the initiator.
    pub bytes_s2c: u64,
    /// Why it ended.
    pub end_reason: EndReason,
}

impl Flow {
    /// The row of a flow on `interface`; one still open counts as ended by `shutdown`.
    pub fn of(interface: &Arc<str>, record: &FlowRecord) -> Self {
        let (network, stats) = (record.network(), &record.stats);
        let ((source, source_port), (destination, destination_port)) = (record.initiator(), record.responder());
        Self {
            interface: Arc::clone(interface),
            id: record.id(),
            protocol: record.key.protocol,
            has_ports: record.key.has_ports(),
            source: source.to_ip(network),
            source_port,
            destination: destination.to_ip(network),
            destination_port,
            vlan: record.vlan(),
            first_seen: stats.first_seen,
            last_seen: stats.last_seen,
            packets_c2s: stats.packets_c2s,
            bytes_c2s: stats.bytes_c2s,
            packets_s2c: stats.packets_s2c,
            bytes_s2c: stats.bytes_s2c,
            end_reason: record.end_reason.unwrap_or(EndReason::Shutdown),
        }
    }

    /// Wire bytes in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes_c2s.saturating_add(self.bytes_s2c)
    }

    /// Frames in both directions.
    pub fn packets(&self) -> u64 {
        self.packets_c2s.saturating_add(self.packets_s2c)
    }

    /// IP version.
    pub fn network(&self) -> Network {
        if self.source.is_ipv4() { Network::Ipv4 } else { Network::Ipv6 }
    }

    /// Transport.
    pub fn transport(&self) -> Transport {
        Transport::of(self.network(), self.protocol)
    }
}

/// Ended flows that were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Flows with fewer bytes than the floor.
    pub below_floor: u64,
    /// Their wire bytes.
    pub below_floor_bytes: u64,
    /// Flows beyond the rate cap, and those that found the queue full.
    pub over_rate: u64,
    /// Their wire bytes.
    pub over_rate_bytes: u64,
}

impl LeftOut {
    /// Adds another span's.
    pub fn merge(&mut self, other: &Self) {
        self.below_floor = self.below_floor.saturating_add(other.below_floor);
        self.below_floor_bytes = self.below_floor_bytes.saturating_add(other.below_floor_bytes);
        self.over_rate = self.over_rate.saturating_add(other.over_rate);
        self.over_rate_bytes = self.over_rate_bytes.saturating_add(other.over_rate_bytes);
    }
}

/// An alert that changed its state.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertEvent {
    /// When, in packet time.
    pub at: Timestamp,
    /// The rule's name.
    pub rule: String,
    /// What tells this alert from the rule's others.
    pub labels: BTreeMap<String, String>,
    /// As the rule says.
    pub severity: Severity,
    /// Where it stands after the change.
    pub state: State,
    /// What was measured.
    pub value: f64,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// The watched metric.
    pub metric: String,
    /// The unit of value and threshold.
    pub unit: String,
    /// The window in seconds.
    pub window_seconds: f64,
    /// When the condition began to hold.
    pub active_since: Timestamp,
    /// When it fired.
    pub fired_at: Option<Timestamp>,
    /// When it resolved.
    pub resolved_at: Option<Timestamp>,
    /// The interface's numbers were not to be relied on.
    pub blind: bool,
}

impl From<&Transition> for AlertEvent {
    fn from(transition: &Transition) -> Self {
        let alert = &transition.alert;
        Self {
            at: transition.at,
            rule: alert.rule.to_string(),
            labels: alert.labels.clone(),
            severity: alert.severity,
            state: alert.state,
            value: alert.value,
            threshold: alert.threshold,
            metric: alert.metric.to_string(),
            unit: alert.unit.to_owned(),
            window_seconds: alert.window.as_secs_f64(),
            active_since: alert.active_since,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
            blind: alert.blind,
        }
    }
}

/// Why records are missing although netmon ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapReason {
    /// The disk was full.
    DiskFull,
    /// Writing failed in another way.
    Io,
    /// The store was damaged; what it held is in the file set aside.
    Damaged,
}

impl GapReason {
    /// All.
    pub const ALL: [Self; 3] = [Self::DiskFull, Self::Io, Self::Damaged];

    /// As in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::Damaged => "damaged",
        }
    }
}

/// Seconds that were observed and could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Start of the first second lost.
    pub from: u64,
    /// End of the last one.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
    /// Records (one for each interface and second), flows and alert events that were lost.
    pub records: u64,
}
