//! Flows on their way out: IPFIX to collectors (RFC 7011, 5103), and a log of JSON lines.
//!
//! Nothing here is home-made in between: what is written are the formats that collectors and log shippers read. An
//! [`Exporter`] hands every flow to each of its outlets. An outlet has a bounded queue and a thread of its own, so a
//! collector that hangs or a disk that is full costs its own flows, which are counted by [`Loss`], and holds nobody up.
//! In replay the outlets are waited for instead.
//!
//! Octets are the wire bytes that netmon counts everywhere, link header included; collectors call them octetDeltaCount.

mod community;
mod counts;
pub mod ipfix;
mod line;
mod log;
mod outlet;

pub use community::community_id;
pub use counts::{Loss, Totals};

#[cfg(test)]
mod tests;

use crate::flow::FlowRecord;
use crate::time::Timestamp;
use log::Log;
use outlet::{Ending, Outlet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What leaves, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Flows that go on for longer are told of in parts of about this length; `None`: only when they end.
    pub active_timeout: Option<Duration>,
    /// The file of JSON lines; `-` is standard output.
    pub flow_log: Option<PathBuf>,
    /// Collectors.
    pub ipfix: Vec<ipfix::Collector>,
}

impl Config {
    /// The usual active timeout of exporters.
    pub const ACTIVE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
    /// The most collectors.
    pub const MAX_COLLECTORS: usize = 8;
    /// What stands for standard output in place of a file.
    pub const STDOUT: &'static str = "-";

    /// Whether nothing leaves.
    pub fn is_empty(&self) -> bool {
        self.flow_log.is_none() && self.ipfix.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { active_timeout: Some(Self::ACTIVE_TIMEOUT), flow_log: None, ipfix: Vec::new() }
    }
}

/// A flow that has ended, or a part of one that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Times, key and id are of the whole flow; packets and bytes are of what came since `counted_since`.
    pub record: FlowRecord,
    /// The beginning of the flow, or where the part before was cut.
    pub counted_since: Timestamp,
    /// The name of the interface.
    pub interface: Arc<str>,
}

/// What a full queue means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// The flow is dropped and counted (live).
    Drop,
    /// Whoever hands flows over waits (replay).
    Wait,
}

/// Why an exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of the flow log.
    #[error("cannot open the flow log `{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// What a collector's certificate is checked with.
    #[error("cannot set up TLS to the collector `{collector}`: {reason}")]
    Tls {
        /// Where it is.
        collector: String,
        /// Why.
        reason: String,
    },
    /// The system refuses a thread.
    #[error("cannot start the thread of an export")]
    Thread(#[from] std::io::Error),
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Log { .. } => Some("the directory must be there and writable for the user that netmon becomes"),
            Self::Tls { .. } => Some("name a PEM file with the collector's CA in `ca_file`"),
            Self::Thread(_) => None,
        }
    }
}

/// Sends flows out until it is closed.
#[derive(Debug)]
pub struct Exporter {
    ipfix: Vec<Outlet>,
    log: Option<Outlet>,
    reopened: Arc<AtomicU64>,
    ending: Ending,
}

impl Exporter {
    /// Opens the log, reads certificates, and starts a thread for each outlet. `wall_clock` stamps messages.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start(config: &Config, pressure: Pressure, wall_clock: fn() -> Timestamp) -> Result<Self, Error> {
        let (ending, reopened) = (Ending::default(), Arc::new(AtomicU64::new(0)));
        let log = config.flow_log.as_ref().map(|path| Log::open(path, Arc::clone(&reopened))).transpose()?;
        let log = log.map(|log| {
            Outlet::start("flow-log", Log::QUEUE, pressure, &ending, move |inbox, counts| log.run(&inbox, &counts))
        });
        let senders = config.ipfix.iter().map(|collector| ipfix::Sender::new(collector, pressure, wall_clock));
        let senders = senders.collect::<Result<Vec<_>, _>>()?;
        let outlets = senders.into_iter().zip(&config.ipfix).map(|(sender, collector)| {
            Outlet::start("ipfix", collector.queue, pressure, &ending, move |inbox, counts| sender.run(&inbox, &counts))
        });
        Ok(Self { ipfix: outlets.collect::<Result<_, _>>()?, log: log.transpose()?, reopened, ending })
    }

    /// Hands a flow to every outlet.
    pub fn flow(&self, flow: &Flow) {
        self.ipfix.iter().chain(&self.log).for_each(|outlet| outlet.offer(flow));
    }

    /// Something that asks for the log's file to be opened anew before the next write, as after a rotation.
    pub fn reopener(&self) -> Reopener {
        Reopener(Arc::clone(&self.reopened))
    }

    /// Something that tells what was sent and lost.
    pub fn ledger(&self) -> Ledger {
        Ledger { ipfix: self.ipfix.iter().map(Outlet::counts).collect(), log: self.log.as_ref().map(Outlet::counts) }
    }

    /// Sends what still waits and ends, after `patience` at the latest; what is left then is counted as lost. Gives
    /// what could not be sent for good, as sentences; only in replay, where nobody else would hear of it.
    pub fn close(self, patience: Duration) -> Vec<String> {
        self.ending.begin(patience);
        let outlets = self.ipfix.into_iter().chain(self.log);
        outlets.filter_map(|outlet| outlet.close(&self.ending)).collect()
    }
}

/// Has the flow log's file opened anew. All clones are one.
#[derive(Clone, Debug)]
pub struct Reopener(Arc<AtomicU64>);

impl Reopener {
    /// Asks for it; it happens before the next write, at the latest a second later.
    pub fn reopen(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// What was sent and lost since the start.
#[derive(Clone, Debug)]
pub struct Ledger {
    ipfix: Vec<Arc<counts::Counts>>,
    log: Option<Arc<counts::Counts>>,
}

impl Ledger {
    /// Data records of all collectors together; `None` without any.
    pub fn ipfix(&self) -> Option<Totals> {
        (!self.ipfix.is_empty()).then(|| self.ipfix.iter().map(|counts| counts.totals()).sum())
    }

    /// Lines of the flow log; `None` without one.
    pub fn log(&self) -> Option<Totals> {
        self.log.as_ref().map(|counts| counts.totals())
    }

    /// How many outlets there are: what is lost before them is lost to each.
    pub fn collectors(&self) -> u64 {
        self.ipfix.len() as u64
    }
}
