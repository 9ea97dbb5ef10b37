//! The history: what was counted, kept in one redb file (`history.redb`).
//!
//! [`Store::open`] takes the file for this process, [`Store::start`] gives it its one writing thread. A [`Feed`] hands
//! over finished seconds, ended flows and alert events through a bounded queue and never waits (unless asked to, for
//! replay); a [`Reader`] answers while the writer runs, or from a file at rest ([`Reader::open`]). What was committed is
//! there after a kill at any moment; what is not whole is never served.

mod backend;
mod batch;
mod calendar;
mod database;
mod error;
pub mod export;
mod fault;
mod flows;
mod keeper;
mod layout;
mod measures;
mod pictures;
mod place;
mod points;
mod prune;
mod query;
mod reader;
mod rows;
mod scan;
mod settings;
mod shared;
mod status;
mod stored_alert;
mod tier;
mod usage;
mod watch;
mod writer;

pub use calendar::Zone;
pub use error::Error;
pub use measures::{Measures, Second, Tcp};
pub use pictures::Pictures;
pub use query::{
    Calendar, FlowAnswer, FlowQuery, Host, HostAnswer, Info, Point, Range, Series, SeriesAnswer, SeriesQuery, TierInfo,
    Total, Usage,
};
pub use reader::{Reader, Record};
pub use rows::{AlertEvent, Flow, Gap, GapReason, LeftOut};
pub use settings::Settings;
pub use status::{Committed, Health, PruneReason, Status};
pub use tier::Tier;
pub use watch::{QUIET, Watch};
pub use writer::{Feed, Store, Writer};

use std::path::PathBuf;
use std::time::Duration;

/// How the history is kept.
///
/// The default holds a year and more on a small disk. With four interfaces: a day of 1 s records is about 40 MiB, a
/// week of 10 s about 30 MiB, three months of 60 s about 70 MiB, five years of 1 h about 35 MiB; the rest of the limit
/// is for flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file. Made with mode 0600 if there is none.
    pub path: PathBuf,
    /// Whether the file's directory belongs to netmon: made with mode 0700 if there is none, refused if others can write
    /// to it. `false` for a file that the user named (`replay --store`).
    pub private_directory: bool,
    /// The most bytes of the file, at least [`Config::MIN_LIMIT`], held to within a tenth. The file grows by doubling, so
    /// pruning begins between half of the limit and all of it, when another doubling would go beyond. Then the oldest detail goes first: 1 s records
    /// and flows (whichever reach back further; the newest 10 minutes and hour stay), then 10 s, 60 s and 1 h records.
    pub limit_bytes: u64,
    /// How long records are kept, by [`Tier`]; at least 2 hours, and no less than that of the finer tier.
    pub retention: [Duration; Tier::ALL.len()],
    /// Ended flows.
    pub flows: FlowConfig,
    /// How long alert events are kept.
    pub alert_retention: Duration,
    /// Bytes of redb's cache.
    pub cache_bytes: usize,
    /// Messages that the queue to the writer holds.
    pub queue: usize,
    /// How the writer goes on.
    pub pace: Pace,
}

/// Which ended flows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowConfig {
    /// Whether any are.
    pub keep: bool,
    /// Smaller flows (wire bytes, both directions) are only counted.
    pub min_bytes: u64,
    /// The most flows of one second (of their end, in packet time); further ones are only
    /// counted. Flows that were open when netmon ended are not among them.
    pub max_per_second: u32,
    /// How long they are kept.
    pub retention: Duration,
}

/// How the writer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One commit a second; what finds the queue full is counted and lost.
    Live,
    /// Large commits; a full queue is waited for. Whatever the wall clock says, now is packet time.
    Replay,
}

impl Config {
    /// Name of the file in the state directory.
    pub const FILE: &'static str = "history.redb";
    /// The least limit.
    pub const MIN_LIMIT: u64 = 4 << 20;
    /// The least retention of a tier.
    pub const MIN_RETENTION: Duration = Duration::from_secs(2 * 3600);

    /// The default history in `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        const DAY: u64 = 86_400;
        Self {
            path: path.into(),
            private_directory: true,
            limit_bytes: 1 << 30,
            retention: [DAY, 7 * DAY, 92 * DAY, 1830 * DAY].map(Duration::from_secs),
            flows: FlowConfig::default(),
            alert_retention: Duration::from_secs(366 * DAY),
            cache_bytes: 16 << 20,
            queue: 8192,
            pace: Pace::Live,
        }
    }
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self { keep: true, min_bytes: 10_000, max_per_second: 200, retention: Duration::from_secs(7 * 86_400) }
    }
}

#[cfg(test)]
mod tests;
