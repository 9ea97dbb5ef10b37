//! `netmon replay`: the same machine over capture files, in packet time.

use super::alerts::show;
use super::document::{self, CaptureFacts};
use super::progress::Progress;
use super::signals::Signals;
use super::{Common, Failure, load, logging, print, say, summary};
use crate::alert::{Evaluator, Past, Transition};
use crate::app::{Board, Exporting, Keeper, Recording, Server, Timeline};
use crate::capture::{Adapter, CaptureError, Input, Options, Poll, Savefiles};
use crate::config::{Config, Override};
use crate::export;
use crate::export::ipfix::{Collector as IpfixCollector, Target};
use crate::flow::{FlowRecord, HashKey, PARTITIONS};
use crate::metrics::{Exposition, Form as Exposed, Scope, SelfState};
use crate::pipeline::{
    Collector, Dealer, FlowFeed, InterfaceNames, Keep, Mode, Pace, Selection, Shard, Shards, Turns, Watcher, partitions,
};
use crate::stats::{Snapshot, StatsAggregator};
use anyhow::Context;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Capture files: pcap or pcapng, plain, gzip or zstd; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// Flows in the result, largest first; `all` keeps one compact record (about 130 bytes) for every flow
    #[arg(long, value_name = "N|all", default_value = "20")]
    flows: Flows,
    /// Only frames that match this filter (tcpdump syntax, pcap-filter(7))
    #[arg(long, value_name = "EXPRESSION")]
    bpf: Option<String>,
    /// Speed of packet time: `max`, `realtime`, or a factor such as `4x`; no gap takes longer than 5 s
    #[arg(long, default_value = "max")]
    pace: PaceArgument,
    /// Serve /metrics and the API while and after replaying, until interrupted
    #[arg(long)]
    serve: bool,
    /// Where to serve
    #[arg(long, value_name = "ADDRESS", requires = "serve")]
    bind: Vec<String>,
    /// Name of the interface in the result (default: the file's stem; for pcapng the interface's own name)
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// A network on this side of the capture point, to tell receive from transmit
    #[arg(long, value_name = "CIDR")]
    local_network: Vec<ipnet::IpNet>,
    /// Write series, ended flows and alert events into this history store, made if there is none, for `netmon history --store`
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Write a line of JSON for every flow to this file; `-` is standard output, in place of the result
    #[arg(long, value_name = "FILE")]
    flow_log: Option<PathBuf>,
    /// Send every flow to this collector of IPFIX: `udp://HOST:PORT`, `tcp://` or `tls://`; UDP without a scheme
    #[arg(long, value_name = "ADDRESS")]
    ipfix: Vec<Target>,
    /// Send flows where the config's `export` says, too
    #[arg(long)]
    export: bool,
    /// Threads that track flows; the result is the same for any number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=PARTITIONS as i64))]
    shards: u8,
}

/// Form of a replay's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// The metrics at the end, as OpenMetrics text
    Openmetrics,
}

#[derive(Clone, Copy, Debug)]
struct Flows(Keep);

impl FromStr for Flows {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Keep::All));
        }
        text.parse().map(|number| Self(Keep::Largest(number))).map_err(|_| "expected a number or `all`".to_owned())
    }
}

/// A pace as on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaceArgument(pub(super) Pace);

impl FromStr for PaceArgument {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => return Ok(Self(Pace::Max)),
            "realtime" => return Ok(Self(Pace::Times(1.0))),
            _ => {}
        }
        let factor = text.strip_suffix('x').and_then(|factor| factor.parse::<f64>().ok());
        factor
            .filter(|factor| (0.001..=1e6).contains(factor))
            .map(|factor| Self(Pace::Times(factor)))
            .ok_or_else(|| "expected `max`, `realtime`, or a factor from 0.001x to 1000000x such as `4x`".to_owned())
    }
}

impl Arguments {
    /// Where flows are sent: what the flags say, and what the config says if that is asked for.
    fn export(&self, config: &Config) -> export::Config {
        let mut export = if self.export { config.export.clone() } else { export::Config::default() };
        export.active_timeout = config.export.active_timeout;
        if self.flow_log.is_some() {
            export.flow_log.clone_from(&self.flow_log);
        }
        export.ipfix.extend(self.ipfix.iter().cloned().map(IpfixCollector::new));
        export
    }
}

/// What is replayed, and how.
pub(super) struct Run<'a> {
    /// As on the command line.
    pub(super) files: &'a [OsString],
    pub(super) config: &'a Config,
    /// Name of the interface in the result.
    pub(super) interface: Option<String>,
    pub(super) bpf: Option<String>,
    pub(super) pace: Pace,
    pub(super) shards: u8,
    pub(super) keep: Keep,
    /// No progress bar.
    pub(super) quiet: bool,
    pub(super) interrupted: &'a Arc<AtomicBool>,
    pub(super) server: Option<&'a Server>,
    /// Where a history of it is written, and who answers from that.
    pub(super) store: Option<(&'a Path, Keeper)>,
    /// Who remembers the time before it, for rules that compare with that.
    pub(super) past: Option<Arc<dyn Past>>,
    /// Where its flows are sent.
    pub(super) export: export::Config,
}

/// What a replay found.
pub(super) struct Found {
    pub(super) facts: CaptureFacts,
    names: Vec<String>,
    pub(super) snapshot: Arc<Snapshot>,
    flows: Vec<FlowRecord>,
    /// What the alerts of the config did, in order.
    pub(super) transitions: Vec<Transition>,
    /// Where its rules stand at the end.
    rules: Board,
    /// What is missing and why, for people, with hints.
    pub(super) complaints: Vec<String>,
    /// Something could not be read. An interrupt is no failure.
    pub(super) failed: bool,
}

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let bind = Override { flag: "--bind".into(), key: "api.bind".into(), values: arguments.bind.clone() };
    let overrides = if arguments.bind.is_empty() { &[][..] } else { &[bind] };
    let loaded = load(common, overrides)?;
    let mut config = loaded.config.clone();
    let _log = logging(common, &config)?;
    config.local_networks.extend(&arguments.local_network);
    let interrupted = Signals::of_command()?.stop;
    let store = arguments.store.as_deref().map(|file| (file, Keeper::of_replay()));
    let keeper = store.as_ref().map(|(_, keeper)| keeper.clone());
    let server = arguments.serve.then(|| Server::start(&loaded, keeper)).transpose();
    let server = server.map_err(Failure::of)?;
    if let Some(server) = &server {
        say(&format!("serving at {}", server.urls().join(", ")));
    }
    let found = replay(&Run {
        files: &arguments.files,
        config: &config,
        interface: arguments.interface.clone(),
        bpf: arguments.bpf.clone().or_else(|| config.capture.bpf.clone()),
        pace: arguments.pace.0,
        shards: arguments.shards,
        keep: arguments.flows.0,
        quiet: common.quiet,
        interrupted: &interrupted,
        server: server.as_ref(),
        store,
        past: None,
        export: arguments.export(&config),
    })?;
    if arguments.flow_log.as_deref() != Some(Path::new(export::Config::STDOUT)) {
        report(arguments.format, &config, &found)?;
    }
    found.complaints.iter().for_each(say);
    if let Some(server) = server {
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        server.stop();
    }
    if found.failed { Err(Failure::Said(1)) } else { Ok(()) }
}

/// Runs the machine over the files.
///
/// # Errors
/// Files that are no captures, a filter that does not compile.
pub(super) fn replay(run: &Run<'_>) -> Result<Found, Failure> {
    let Run { config, interrupted, keep, .. } = *run;
    let inputs: Vec<Input> = run.files.iter().map(|file| Input::from_argument(file)).collect();
    let options = Options { interface: run.interface.clone(), bpf: run.bpf.clone(), ..Options::default() };
    let mut savefiles = Savefiles::open(&inputs, &options).map_err(Failure::of_capture)?;

    let (mut shards, receivers) = shards(config, run.shards, keep);
    if let Some(server) = run.server {
        shards = shards.into_iter().map(|shard| shard.answering(&server.desk())).collect();
    }
    let aggregator = StatsAggregator::new(config.aggregation.clone());
    let published = run.server.map(Server::snapshot);
    let (mut collector, publisher) = Collector::new(aggregator, receivers, published, Some("replay"));
    let rules = run.server.map(Server::board).unwrap_or_default();
    let timeline = Timeline::default();
    let (recording, mut watchers, mut feeds) = record(run.store.as_ref(), config, publisher.names())?;
    let exporting = Exporting::of_replay(&run.export, publisher.names()).map_err(Failure::of)?;
    let (exporting, exported) = exporting.unzip();
    feeds.extend(exported);
    if !config.alerts.rules.is_empty() {
        let evaluator = Evaluator::new(&config.alerts, run.past.clone());
        watchers.push(timeline.of(evaluator, Arc::clone(&rules), recording.as_ref().map(Recording::alerts)));
    }
    if let Some(server) = run.server {
        collector = collector.naming_for(&server.desk());
        watchers.push(server.past());
    }
    let collector = collector.watched_by(watchers);
    let shards = shards.into_iter().map(|shard| shard.feeding(feeds.clone())).collect();
    drop(feeds);
    let collector = spawn("aggregator", move || collector.replay())?;
    let shards = Shards::start(shards).context("cannot start a shard thread").map_err(Failure::Run)?;
    let mut dealer = Dealer::new(shards, HashKey::FIXED, publisher, config.local_networks.clone())
        .paced(run.pace, Arc::clone(interrupted));

    let progress = Progress::new(savefiles.progress().total, run.quiet);
    let turns = run.server.map(|_| Turns::new());
    let ended = read(&mut savefiles, &mut dealer, &progress, interrupted, turns);
    progress.finish();
    let packets = dealer.packets();
    let flows = Selection::into_report(dealer.finish(), keep);
    let snapshot = collector.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    recording.map(Recording::finish).transpose().map_err(Failure::of)?;
    let unsent = exporting.map(Exporting::end).unwrap_or_default();

    let mut incomplete: Vec<String> = savefiles.incomplete().map(ToString::to_string).collect();
    let mut complaints: Vec<String> =
        savefiles.incomplete().map(|cut| format!("{cut}\n  hint: {}", cut.hint())).collect();
    match ended {
        Ok(()) => {}
        // Files that turn out to be no capture while nothing was read yet are the user's mistake; later it is a loss.
        Err(error) if error.is_usage() || packets == 0 => return Err(Failure::of_capture(error)),
        Err(error) => {
            complaints.push(error.to_string());
            incomplete.push(error.to_string());
        }
    }
    let failed = !incomplete.is_empty() || !unsent.is_empty();
    complaints.extend(unsent);
    if interrupted.load(Ordering::Relaxed) {
        let interrupt = format!("interrupted after {packets} packets; the result is of those");
        complaints.push(interrupt.clone());
        incomplete.push(interrupt);
    }
    let facts = CaptureFacts {
        files: savefiles.files().map(str::to_owned).collect(),
        linktypes: savefiles.linktypes().iter().map(ToString::to_string).collect(),
        bad_timestamps: savefiles.bad_timestamps(),
        incomplete: (!incomplete.is_empty()).then(|| incomplete.join("; ")),
    };
    let names = savefiles.interfaces().iter().map(|interface| interface.name.clone()).collect();
    Ok(Found { facts, names, snapshot, flows, transitions: timeline.take(), rules, complaints, failed })
}

/// What a replay is written down with, who watches for it and what the shards feed; nothing of it without `--store`.
type Recorded = (Option<Recording>, Vec<Box<dyn Watcher>>, Vec<FlowFeed>);

fn record(store: Option<&(&Path, Keeper)>, config: &Config, names: InterfaceNames) -> Result<Recorded, Failure> {
    let Some((file, keeper)) = store else { return Ok((None, Vec::new(), Vec::new())) };
    let started = Recording::start(&config.history, (*file).to_owned(), names, keeper.clone());
    let (recording, watcher, feed) = started.map_err(Failure::of)?;
    Ok((Some(recording), vec![watcher], vec![feed]))
}

/// Reads until the end, an error, or an interrupt; where it is asked meanwhile, it gives way.
fn read(
    savefiles: &mut Savefiles,
    dealer: &mut Dealer,
    progress: &Progress,
    interrupted: &AtomicBool,
    mut turns: Option<Turns>,
) -> Result<(), CaptureError> {
    while !interrupted.load(Ordering::Relaxed) {
        if savefiles.poll(Duration::from_millis(100), dealer)? == Poll::End {
            break;
        }
        progress.update(savefiles.progress().read, dealer.packets());
        if let Some(turns) = &mut turns {
            turns.give_way();
        }
    }
    Ok(())
}

/// As many shards as asked for, each with an equal run of partitions.
fn shards(config: &Config, count: u8, keep: Keep) -> (Vec<Shard>, Vec<crate::pipeline::ReportReceiver>) {
    let count = usize::from(count);
    (0..count)
        .map(|shard| {
            let partitions = partitions(shard, count);
            Shard::new(shard, config.flows, &config.aggregation, HashKey::FIXED, partitions, Mode::Replay, Some(keep))
        })
        .unzip()
}

fn report(form: Form, config: &Config, found: &Found) -> Result<(), Failure> {
    match form {
        Form::Table => {
            let mut text = summary::summary(&found.facts, &found.names, &found.snapshot, &found.flows);
            show::timeline("Alerts", &found.transitions, &mut text);
            print(text.as_bytes())
        }
        Form::Json => {
            let mut document = document::document(&found.facts, &found.names, &found.snapshot, &found.flows);
            document["alerts"] = show::document(&found.transitions).into();
            let mut text = serde_json::to_vec_pretty(&document).map_err(Failure::run)?;
            text.push(b'\n');
            print(&text)
        }
        Form::Openmetrics => {
            let exposition = Exposition::with_alerts(&config.aggregation, &config.alerts);
            let own = SelfState { alerts: Some(found.rules.load_full()), ..SelfState::default() };
            print(exposition.render(&found.snapshot, &own, Exposed::OpenMetrics, Scope::Packets).as_bytes())
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("cannot start the {name} thread"))
        .map_err(Failure::Run)
}
