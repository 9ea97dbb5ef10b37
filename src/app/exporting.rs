//! The exports of the daemon and of a replay: what brings ended flows to collectors and to the flow log.

use super::{Server, wall_clock};
use crate::config::Config;
use crate::export::{self, Exporter, Flow, Ledger, Pressure, Reopener, Totals};
use crate::metrics::{ExportState, LOSS_REASONS};
use crate::pipeline::{FlowFeed, FlowReceiver, FlowsMissed, InterfaceNames, Mode};
use crate::privilege::Needs;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the end waits for what is yet to be sent.
const LAST_FLOWS: Duration = Duration::from_secs(2);
/// How long a replay waits for it: it has no other duty.
const LAST_FLOWS_OF_REPLAY: Duration = Duration::from_secs(60);

/// What must be within reach later: the log's directory, the collectors' ports, certificates and names.
pub(super) fn needs(config: &Config) -> Needs {
    let export = &config.export;
    let directory = |path: &PathBuf| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (path != Path::new(export::Config::STDOUT) && parent.is_dir()).then(|| parent.to_owned())
    };
    let certificates = export.ipfix.iter().filter_map(|collector| collector.ca_file.as_ref()?.parent());
    let own = Needs {
        read: certificates.filter(|directory| directory.is_dir()).map(Path::to_owned).collect(),
        write: export.flow_log.as_ref().and_then(directory).into_iter().collect(),
        connect: export.ipfix.iter().map(|collector| collector.to.port).collect(),
        ..Needs::default()
    };
    if export.ipfix.is_empty() { own } else { own.and(Needs::for_resolving()) }
}

/// Exports that run.
pub struct Exporting {
    thread: JoinHandle<Vec<String>>,
    ledger: Ledger,
    missed: FlowsMissed,
    reopener: Reopener,
}

impl Exporting {
    /// Opens and starts what the configuration asks for; `None` where that is nothing. Gives the feed that every shard
    /// has to have.
    ///
    /// # Errors
    /// [`export::Error`] in the chain.
    pub(super) fn start(
        config: &Config,
        server: &Server,
        names: InterfaceNames,
    ) -> anyhow::Result<Option<(Self, FlowFeed)>> {
        let started = Self::begin(&config.export, names, Mode::Live, Pressure::Drop, LAST_FLOWS)?;
        if let Some((exporting, _)) = &started {
            let (ledger, missed) = (exporting.ledger.clone(), exporting.missed.clone());
            server.exports(move || state(&ledger, &missed));
        }
        Ok(started)
    }

    /// The same for a replay, which waits for its outlets.
    ///
    /// # Errors
    /// [`export::Error`] in the chain.
    pub fn of_replay(config: &export::Config, names: InterfaceNames) -> anyhow::Result<Option<(Self, FlowFeed)>> {
        Self::begin(config, names, Mode::Replay, Pressure::Wait, LAST_FLOWS_OF_REPLAY)
    }

    fn begin(
        config: &export::Config,
        names: InterfaceNames,
        mode: Mode,
        pressure: Pressure,
        patience: Duration,
    ) -> anyhow::Result<Option<(Self, FlowFeed)>> {
        if config.is_empty() {
            return Ok(None);
        }
        let exporter = Exporter::start(config, pressure, wall_clock)?;
        let (feed, flows) = FlowFeed::new(mode);
        let (ledger, missed, reopener) = (exporter.ledger(), flows.missed(), exporter.reopener());
        let work = move || {
            hand_over(&flows, &names, &exporter);
            exporter.close(patience)
        };
        let thread = std::thread::Builder::new().name("export".to_owned()).spawn(work);
        let thread = thread.context("cannot start the thread export")?;
        Ok(Some((Self { thread, ledger, missed, reopener }, feed.in_parts(config.active_timeout))))
    }

    /// Opens the log's file anew: it may have been rotated.
    pub(super) fn reopen(&self) {
        self.reopener.reopen();
    }

    /// Sends what there is and ends; all shards must have ended. Logs what was lost.
    pub(super) fn close(self) {
        for complaint in self.end() {
            tracing::error!("{complaint}");
        }
    }

    /// Sends what there is and ends; all shards must have ended. Gives what could not be sent, as sentences.
    pub fn end(self) -> Vec<String> {
        let mut complaints = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let lost = |totals: Option<Totals>| totals.map_or(0, |totals| totals.lost.iter().sum());
        let (of_ipfix, of_log): (u64, u64) = (lost(self.ledger.ipfix()), lost(self.ledger.log()));
        if of_ipfix > 0 {
            complaints.push(format!("{of_ipfix} records of flows did not come to a collector"));
        }
        if of_log > 0 {
            complaints.push(format!("{of_log} flows are not in the flow log"));
        }
        complaints
    }
}

/// Hands over ended flows until every shard has ended.
fn hand_over(flows: &FlowReceiver, names: &InterfaceNames, exporter: &Exporter) {
    while let Some(batch) = flows.next_batch() {
        for fed in batch {
            let interface = names.name(fed.record.interface()).unwrap_or_else(|| Arc::from(""));
            exporter.flow(&Flow { record: fed.record, counted_since: fed.counted_since, interface });
        }
    }
}

/// As the metrics have it. What did not even come to the exporter is lost to each outlet.
fn state(ledger: &Ledger, missed: &FlowsMissed) -> ExportState {
    let with_missed = |totals: Totals, outlets: u64| {
        let mut lost: [u64; LOSS_REASONS.len()] = totals.lost;
        lost[export::Loss::QueueFull as usize] += missed.flows() * outlets;
        (totals.sent, lost)
    };
    ExportState {
        ipfix: ledger.ipfix().map(|totals| with_missed(totals, ledger.collectors())),
        flow_log: ledger.log().map(|totals| with_missed(totals, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Loss;

    #[test]
    fn the_metrics_name_losses_as_the_exporter_does() {
        assert_eq!(LOSS_REASONS, Loss::ALL.map(Loss::name));
    }
}
