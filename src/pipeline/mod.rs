//! Threads and rings between an adapter, the shards and the aggregator; the same for `run` and `replay`.
//!
//! A [`Dealer`] takes frames from an adapter, keeps the packet clock, parses, and deals packets to shards. A shard
//! tracks flows and tallies; each tick its tally goes to the [`Collector`], which owns the aggregator and publishes
//! snapshots. Live, dealer and shard of an interface share a thread and nothing is copied; in replay each shard has its
//! own.
//!
//! Replay waits where a queue is full and is in lockstep, so that its results depend on the frames alone. Live never
//! waits: a tally that cannot be sent goes on adding up, and is only coarser for it.
//!
//! A [`Watcher`] sees the picture of every tick; a [`FlowFeed`] brings the flows that ended to who keeps or sends them.

mod collector;
mod dealer;
mod feed;
mod flows;
mod parts;
mod query;
mod shard;
mod turns;
mod watcher;

#[cfg(test)]
mod tests;

pub use collector::{Collector, ID_REST, Publisher};
pub use dealer::{Dealer, Pace};
pub use feed::{FedFlow, FlowFeed, FlowReceiver, FlowsMissed, InterfaceNames};
pub use flows::{Keep, Selection};
pub use query::{FlowDesk, Found, Unanswered};
pub use shard::{Mode, ReportReceiver, Shard, Shards, partitions};
pub use turns::Turns;
pub use watcher::Watcher;

/// Packets that are parsed before they are tracked: few enough to stay in the first cache.
const BATCH: usize = 64;

/// Packets in a message to a shard thread: enough that waking it costs little.
const LANE_BATCH: usize = 1024;

/// Messages that may wait between a dealer and each shard thread, and between each shard and the collector.
const QUEUE: usize = 16;
