//! The immutable picture that every reader sees.

use super::{Buckets, Counters, Volume};
use crate::flow::{State, Untracked, Victim};
use crate::packet::{Direction, Ethertype, Linktype, Transport};
use crate::time::{Tick, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is known at one tick.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The tick it was taken at; `None` before the first frame.
    pub tick: Option<Tick>,
    /// By interface, in order of name. One that nothing happened to is the same object as in the picture before.
    pub interfaces: Vec<Arc<InterfaceSnapshot>>,
    /// Top talkers by window; as of the last whole second, or of the second handed over last if that is later.
    pub talkers: Vec<TalkerTable>,
    /// Flow lifetimes at close, for TCP and UDP, in nanoseconds.
    pub flow_duration: Option<[Buckets; 2]>,
    /// Flow sizes at close, for TCP and UDP, in wire bytes.
    pub flow_size: Option<[Buckets; 2]>,
    /// Facts about netmon itself.
    pub own: OwnCounters,
    /// Traffic matrix: by source class, then destination class; the last of each is `other`. Empty without classes.
    pub classes: Vec<Vec<Volume>>,
}

/// The labels whose values are capped, in the order of [`OwnCounters::label_overflow`].
pub const CAPPED_LABELS: [&str; 5] = ["interface", "vlan", "class", "talker", "port"];

/// Counters of netmon itself that come through the pipeline, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCounters {
    /// Records in the flow table.
    pub flow_table_entries: u64,
    /// Its cap.
    pub flow_table_limit: u64,
    /// By [`Victim`].
    pub evictions: [u64; Victim::ALL.len()],
    /// By [`Untracked`].
    pub untracked: [u64; Untracked::ALL.len()],
    /// Longest index probe.
    pub flow_probe_length_max: u64,
    /// Late frames.
    pub late_packets: u64,
    /// Number of the configuration that the capture states of this picture are of; 0 where nobody counts them (replay).
    pub config_generation: u64,
    /// Time steps, forward and backward.
    pub time_steps: [u64; 2],
    /// What went to `other` because a cap was reached, by [`CAPPED_LABELS`]: frames for `interface` and `vlan`, keys for
    /// `talker`. Classes and ports are listed in full by the config, so theirs stays 0.
    pub label_overflow: [u64; CAPPED_LABELS.len()],
    /// How the history fares; `None` where none is kept, and in replay.
    pub history: Option<HistoryHealth>,
}

/// Whether what happens is being remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryHealth {
    /// Records are not written now (the disk is full or fails, the store cannot be opened), or some were lost a moment ago.
    pub failing: bool,
    /// Damaged stores that were set aside since the start.
    pub quarantined: u64,
}

/// One interface at one tick.
#[derive(Clone, Debug)]
pub struct InterfaceSnapshot {
    /// Its name, or `other` for those beyond the cap.
    pub name: Arc<str>,
    /// Since the start.
    pub totals: Counters,
    /// By configured window, ascending.
    pub windows: Vec<WindowSnapshot>,
    /// Greatest one-second values since the start.
    pub peak: Peak,
    /// Frame lengths.
    pub packet_size: Buckets,
    /// Handshake round trips in nanoseconds, by side.
    pub handshake_rtt: [Buckets; 2],
    /// Data round trips in nanoseconds; `None` unless configured.
    pub rtt: Option<Buckets>,
    /// Volume by type behind the tags.
    pub ethertypes: BTreeMap<Ethertype, Volume>,
    /// Volume by IP version (`true` is 6) and protocol number.
    pub ip_protocols: BTreeMap<(bool, u8), Volume>,
    /// Volume by outermost VLAN id (`None` is untagged); empty unless configured or never tagged.
    pub vlans: BTreeMap<Option<u16>, Volume>,
    /// Volume of VLAN ids beyond the cap.
    pub vlans_other: Volume,
    /// Bytes by transport (TCP, UDP) and listed port; the last of each row is `other`. Empty unless configured.
    pub ports: Vec<Vec<u64>>,
    /// Flows in the table, by [`Transport`], then [`State`].
    pub flows: [[u64; State::ALL.len()]; Transport::ALL.len()],
    /// Least record time.
    pub first_seen: Option<Timestamp>,
    /// Greatest record time.
    pub last_seen: Option<Timestamp>,
    /// What the capture says of itself.
    pub capture: Capture,
}

/// State of one capture point, as its edge reported it last. `None` is "not available".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    /// Handle open and reading.
    pub up: bool,
    /// `libpcap`, `af_packet` or `replay`.
    pub backend: &'static str,
    /// Link type.
    pub linktype: Option<Linktype>,
    /// Times it was opened again.
    pub restarts: u64,
    /// Nothing is captured, because somebody asked for that.
    pub paused: bool,
    /// The capture filter in force; `None`: every frame is captured.
    pub filter: Option<String>,
    /// Capture buffers that share the interface's frames (one for each member of a fan-out group); 0 while it is down.
    pub rings: u32,
    /// Times a ring was full and the kernel stopped filling it; `None` where the backend cannot tell.
    pub ring_freezes: Option<u64>,
    /// The newest intervals in which nothing was captured, oldest first, at most [`Capture::MAX_GAPS`].
    pub gaps: Vec<Gap>,
    /// Gaps since the start, those no longer listed included.
    pub gaps_total: u64,
    /// Other monitored interfaces on which the same packets are seen (master of a bond or bridge and its ports, a VLAN
    /// and its parent). Each interface's own numbers are right; sums over them count such packets twice.
    pub overlaps: Vec<String>,
    /// The loopback, where the kernel counts each packet once in each direction and the capture once.
    pub loopback: bool,
    /// No hardware cuts super-frames into segments here (veth, bridge, loopback): the kernel counts them as they are.
    pub software: bool,
    /// Largest (time handled − capture time) in the last tick.
    pub lag: Option<Duration>,
    /// Operational state of the link.
    pub link_up: Option<bool>,
    /// Link speed in bytes per second.
    pub speed: Option<u64>,
    /// The largest network-layer packet the link takes, in bytes.
    pub mtu: Option<u32>,
    /// The kernel's own counters.
    pub kernel: Option<KernelCounters>,
    /// Captured bytes / kernel bytes per configured window above 1 s, 1 where the two differ by no more than what moved in
    /// the ticks in which the kernel was asked; a window is absent while a filter is set, without
    /// kernel counters that reach back over it, and when the kernel counted nothing. While the capture is down and the
    /// interface is not, the kernel goes on counting and the ratio falls. Filled in by the aggregator.
    pub coverage: Vec<(Duration, f64)>,
}

impl Capture {
    /// Gaps that are listed.
    pub const MAX_GAPS: usize = 16;

    /// Whether a filter is in force, so that the kernel's counters and ours are of different frames.
    pub const fn filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// What is left to say when the interface is gone: what was counted, and no state.
    #[must_use]
    pub(super) fn gone(self) -> Self {
        Self {
            backend: self.backend,
            restarts: self.restarts,
            ring_freezes: self.ring_freezes,
            gaps: self.gaps,
            gaps_total: self.gaps_total,
            ..Self::default()
        }
    }
}

/// An interval in which an interface was not captured, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; `None` while it lasts.
    pub to: Option<Timestamp>,
    /// Why, in a few words.
    pub reason: &'static str,
}

/// 64-bit interface counters of the kernel; arrays by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// When they were read, by the clock of record times.
    pub at: Timestamp,
    /// Bytes.
    pub bytes: [u64; 2],
    /// Packets.
    pub packets: [u64; 2],
    /// Dropped.
    pub dropped: [u64; 2],
    /// Errors.
    pub errors: [u64; 2],
    /// Frames that arrived and that the device could not hand over (missed and FIFO errors): a capture never saw them.
    /// What is in `dropped` it mostly did see.
    pub missed: u64,
}

/// One window of one interface: (T−W, T].
#[derive(Clone, Debug)]
pub struct WindowSnapshot {
    /// W.
    pub length: Duration,
    /// Sums over the window; divide by `length` for rates.
    pub sums: Counters,
    /// Greatest sum of ten consecutive ticks inside the window.
    pub peak: Peak,
    /// Whether W has passed since the first tick or the last time step.
    pub full: bool,
    /// Handshake round trips inside the window, by side; on whole seconds, so inside a second the oldest one has
    /// already left. A window above 60 s is cut into at most 60 parts and loses its oldest part as a whole.
    pub handshake_rtt: [Quantiles; 2],
}

impl WindowSnapshot {
    /// Mean rate of a sum of this window.
    pub fn per_second(&self, sum: u64) -> f64 {
        sum as f64 / self.length.as_secs_f64()
    }
}

/// Greatest one-second volumes, by direction; packets and bytes each have their own second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// By [`Direction`].
    pub volume: [Volume; Direction::ALL.len()],
}

/// Quantiles of values inside a window, in nanoseconds, to two significant digits; values above 100 s count as 100 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Number of values.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Greatest.
    pub max: u64,
}

/// Whose traffic a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TalkerKey {
    /// An address; `from` is what it sent, `to` what it received.
    Host(IpAddr),
    /// Two addresses, the smaller first; `from` is from the first to the second.
    Pair(IpAddr, IpAddr),
    /// A responder's port; `from` is what it sent, `to` what it received.
    Port(Transport, u16),
}

/// One row of a talker list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Whose traffic.
    pub key: TalkerKey,
    /// Wire bytes from it.
    pub from_bytes: u64,
    /// Wire bytes to it.
    pub to_bytes: u64,
}

/// Top talkers of one window: rows by bytes descending, then key.
///
/// Rows are never too large; what was not kept of a key is missing from its row and is in `other`. A window of more
/// than 60 s is cut into at most 60 parts of equal length; its table reaches back between W less one part and W.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkerTable {
    /// W.
    pub length: Duration,
    /// Top hosts.
    pub hosts: Vec<Talker>,
    /// Top pairs.
    pub pairs: Vec<Talker>,
    /// Top ports.
    pub ports: Vec<Talker>,
    /// Per list (hosts, pairs, ports): bytes from and to everything not listed; rows and this make the traffic of all
    /// flows, exactly. Flows without ports are in that of the ports.
    pub other: [[u64; 2]; 3],
    /// Per list: the most bytes that a row may be short of, and that a key without a row may have beyond the last row.
    pub error_bound: [u64; 3],
}
