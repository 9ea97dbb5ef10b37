//! What is asked and what is answered.

use super::{Flow, Gap, LeftOut, Measures, Tier};
use std::net::IpAddr;
use std::sync::Arc;

/// Seconds since the epoch: from `from` on, before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first second.
    pub from: u64,
    /// The end, not included.
    pub to: u64,
}

impl Range {
    /// Everything.
    pub const ALL: Self = Self { from: 0, to: u64::MAX };
}

/// A question for points over time.
#[derive(Clone, Debug)]
pub struct SeriesQuery {
    /// Over which time.
    pub range: Range,
    /// Seconds of a point, from the epoch on; `None`: one for each record of the tier. A step that is no multiple of the
    /// tier's length is rounded up to one.
    pub step: Option<u64>,
    /// Only this interface; `None`: all.
    pub interface: Option<String>,
    /// `None`: the coarsest tier whose length divides the step (without a step: the finest whose records over the range
    /// are at most [`SeriesQuery::AUTO_POINTS`]); where it does not reach back, coarser ones continue. Forced: only this.
    pub tier: Option<Tier>,
    /// The most points over all interfaces; the oldest are given.
    pub limit: usize,
}

impl SeriesQuery {
    /// Points of an interface that a query without step and tier gives at most.
    pub const AUTO_POINTS: u64 = 3600;
    /// Points that a query gives unless it asks for another number.
    pub const DEFAULT_LIMIT: usize = 100_000;

    /// All interfaces over `range`, with the step and the tier that fit.
    pub const fn over(range: Range) -> Self {
        Self { range, step: None, interface: None, tier: None, limit: Self::DEFAULT_LIMIT }
    }
}

/// One point: a span for which at least one second was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its start, in seconds since the epoch.
    pub start: u64,
    /// Its length in seconds: the step, or the tier's length where only a coarser tier reaches back so far.
    pub length: u64,
    /// Sums over what was recorded in it.
    pub measures: Measures,
}

/// Points of one interface, in order of time. Where nothing was recorded there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The interface.
    pub interface: Arc<str>,
    /// Its points.
    pub points: Vec<Point>,
}

/// The answer to a [`SeriesQuery`], in order of interface name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesAnswer {
    /// The tier that the newest part came from.
    pub tier: Tier,
    /// The step in seconds.
    pub step: u64,
    /// One for each interface with a point.
    pub series: Vec<Series>,
    /// Points were left out because of the limit.
    pub truncated: bool,
    /// Records that were skipped because their checksum was wrong.
    pub bad_records: u64,
    /// Gaps that netmon knows of in the range.
    pub gaps: Vec<Gap>,
}

/// The calendar's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// An hour of the clock.
    Hour,
    /// A day, 23 to 25 hours long.
    Day,
    /// A month.
    Month,
}

impl Calendar {
    /// All.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// One hour, day or month of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The interface.
    pub interface: Arc<str>,
    /// Its first second.
    pub from: u64,
    /// Its end, not included.
    pub to: u64,
    /// `2026-11`, `2026-11-21` or `2026-11-21T16:00+01:00`, in the zone asked for.
    pub label: String,
    /// Sums over what was recorded in it.
    pub measures: Measures,
    /// A record of a tier that does not end where the unit ends had to be counted whole, because finer ones are gone.
    pub inexact: bool,
}

/// How a commit rate was met.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The interface.
    pub interface: Arc<str>,
    /// Length of a sample in seconds.
    pub interval: u64,
    /// Samples with at least one recorded second.
    pub samples: u64,
    /// By direction: the least sample that the asked-for share of samples does not exceed (nearest rank), in bytes per
    /// second.
    pub percentile: [f64; 2],
    /// By direction: recorded seconds over the rate. Where only coarser tiers reach, all seconds of a record whose mean
    /// is over it.
    pub seconds_over: [u64; 2],
    /// Recorded seconds.
    pub seconds: u64,
    /// The coarsest tier that was needed.
    pub tier: Tier,
}

/// A question for flows: those whose last packet is in the range.
#[derive(Clone, Debug)]
pub struct FlowQuery {
    /// Over which time.
    pub range: Range,
    /// Only of this interface.
    pub interface: Option<String>,
    /// Only with this address at either end.
    pub address: Option<IpAddr>,
    /// Only with this port at either end.
    pub port: Option<u16>,
    /// Only of this IP protocol number.
    pub protocol: Option<u8>,
    /// The most flows; those with most bytes are given, then the earlier, then by id.
    pub limit: usize,
}

impl FlowQuery {
    /// The 20 largest over `range`.
    pub const fn over(range: Range) -> Self {
        Self { range, interface: None, address: None, port: None, protocol: None, limit: 20 }
    }
}

/// The answer to a [`FlowQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowAnswer {
    /// Largest first.
    pub flows: Vec<Flow>,
    /// How many fit the question.
    pub matched: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Ended flows of the range (of all interfaces, to the minute) that were not kept.
    pub left_out: LeftOut,
    /// Rows that were skipped because their checksum was wrong.
    pub bad_records: u64,
}

/// One address over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Whose.
    pub address: IpAddr,
    /// Wire bytes that it sent.
    pub bytes_sent: u64,
    /// Wire bytes sent to it.
    pub bytes_received: u64,
    /// Frames that it sent.
    pub packets_sent: u64,
    /// Frames sent to it.
    pub packets_received: u64,
    /// Its flows.
    pub flows: u64,
}

/// The addresses with most bytes among the flows of a [`FlowQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAnswer {
    /// Largest first (both directions), then by address.
    pub hosts: Vec<Host>,
    /// Different addresses; those beyond [`HostAnswer::MAX_HOSTS`] are not told apart.
    pub addresses: u64,
    /// Flows whose addresses found no place any more.
    pub not_told_apart: u64,
    /// Ended flows of the range that were not kept.
    pub left_out: LeftOut,
    /// Rows that were skipped because their checksum was wrong.
    pub bad_records: u64,
}

impl HostAnswer {
    /// Addresses that are told apart: about 100 bytes each while the question is answered.
    pub const MAX_HOSTS: usize = 262_144;
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version of the layout.
    pub schema: u32,
    /// Made at random when the store was.
    pub identity: [u8; 16],
    /// When the store was made, in seconds since the epoch.
    pub created: u64,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// By [`Tier`].
    pub tiers: [TierInfo; Tier::ALL.len()],
    /// Flows kept.
    pub flows: u64,
    /// Alert events kept.
    pub alerts: u64,
    /// Names of the interfaces that were ever recorded.
    pub interfaces: Vec<Arc<str>>,
    /// Gaps that netmon knows of.
    pub gaps: Vec<Gap>,
    /// Ended flows that were not kept, as far back as flows are.
    pub left_out: LeftOut,
}

/// What a tier holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierInfo {
    /// Records.
    pub records: u64,
    /// Start of the oldest.
    pub oldest: Option<u64>,
    /// Start of the newest.
    pub newest: Option<u64>,
}
