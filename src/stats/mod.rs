//! Counting: what a shard adds up between ticks, the rolling windows, and the snapshot that readers see.
//!
//! A shard owns a [`Tally`] of plain integers. Every tick of packet time it goes to the [`StatsAggregator`], the only
//! writer of windows, totals and histograms, which publishes an immutable [`Snapshot`].
//!
//! Sums and peaks of a window are exact to the tick: window W at tick T is (T−W, T]. What is too large to be kept for
//! each tick, quantiles and talkers, lives on whole seconds, and on at most 60 parts of a window above 60 s. Everything
//! is an integer and every choice has an order without ties, so the number of shards and the order in which they
//! report change nothing.

mod aggregator;
mod counters;
mod coverage;
mod grid;
mod groups;
mod histogram;
mod interface;
mod peak;
mod quantiles;
mod series;
mod snapshot;
mod talkers;
mod tally;
mod window;

pub use aggregator::StatsAggregator;
pub use counters::{CONVERSATIONS, Counters, DropStage, TCP_FLAGS, TcpCounters, Volume, conversation};
pub use histogram::{Buckets, Exemplar};
pub use snapshot::{
    CAPPED_LABELS, Capture, Gap, HistoryHealth, InterfaceSnapshot, KernelCounters, OwnCounters, Peak, Quantiles,
    Snapshot, Talker, TalkerKey, TalkerTable, WindowSnapshot,
};
pub use talkers::TalkerSketches;
pub use tally::{TableState, Tally};

use std::time::Duration;

/// How traffic is aggregated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Windows, ascending, 1 to 6 of them, each 1 s to 3600 s.
    pub windows: Vec<Duration>,
    /// The most interfaces with their own series; further ones are counted together as `other`.
    pub max_interfaces: usize,
    /// Top talkers.
    pub talkers: TalkerConfig,
    /// Named sets of prefixes for the traffic matrix; empty: no matrix.
    pub classes: Vec<Class>,
    /// VLAN ids with their own series; `None`: no VLAN series.
    pub vlans: Option<VlanConfig>,
    /// Listed ports with their own series; empty: no port series.
    pub ports: Vec<u16>,
    /// Keep round trips of data segments.
    pub continuous_rtt: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            windows: [1, 10, 60].map(Duration::from_secs).to_vec(),
            max_interfaces: 24,
            talkers: TalkerConfig::default(),
            classes: Vec::new(),
            vlans: None,
            ports: Vec::new(),
            continuous_rtt: false,
        }
    }
}

/// How many talkers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TalkerConfig {
    /// Rows of each list of a snapshot.
    pub top: usize,
    /// Keys of each kind told apart within one second, over all partitions; the largest eighth of them is kept for the
    /// windows. What does not fit is in the remainder. Memory: at most 900 bytes for each (15 MiB with the default),
    /// and as much for each window above 60 s.
    pub keys: usize,
    /// Whether hosts are exported on `/metrics`.
    pub export: bool,
}

impl Default for TalkerConfig {
    fn default() -> Self {
        Self { top: 20, keys: 16_384, export: false }
    }
}

/// A named address class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Label value.
    pub name: String,
    /// Its prefixes.
    pub prefixes: Vec<ipnet::IpNet>,
}

/// VLAN series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanConfig {
    /// The most ids with their own series.
    pub max: usize,
}

#[cfg(test)]
mod tests;
