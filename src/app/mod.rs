//! The daemon: the only place where all rooms meet. Opens, spawns, waits, drains.
//!
//! Everything that needs a privilege or can be refused is opened first, in the main thread; threads start when all of
//! it is there. To stop, the capture threads are told so; each ends its shard, the collector ends when the last shard
//! has, and the server when the last picture is out.

mod live;
mod server;

pub use server::Server;

use crate::capture::interfaces;
use crate::capture::{CaptureError, PcapAdapter};
use crate::config::Config;
use crate::flow::{self, HashKey, PARTITIONS};
use crate::packet::InterfaceId;
use crate::pipeline::{Collector, Dealer, Mode, Shard, Shards};
use crate::stats::StatsAggregator;
use crate::telemetry::Telemetry;
use crate::time::Timestamp;
use anyhow::Context;
use live::Live;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a thread may go without a round of its loop before `/healthz` says so.
const STALLED: Duration = Duration::from_secs(5);

/// How soon a stop is noticed, and how often the log says what it held back.
const NOTICE: Duration = Duration::from_millis(100);

/// The wall clock; before 1970 it stands at the epoch.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock, for live capture and labels")]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Monitors until `stop` is set. `announce` is told once what is monitored and where the page is.
///
/// # Errors
/// What could not be opened: [`CaptureError`] and [`http::BindError`](crate::http::BindError) are in the chain.
pub fn run(
    config: &Config,
    stop: &Arc<AtomicBool>,
    log: &Telemetry,
    announce: impl FnOnce(&[String], &Server),
) -> anyhow::Result<()> {
    let names = interface_names(config)?;
    let adapters = names.iter().enumerate().map(|(id, name)| {
        // The number of interfaces is bounded by `aggregation.max_interfaces` and the kernel, far below 65,536.
        PcapAdapter::open(name, InterfaceId(u16::try_from(id).unwrap_or(u16::MAX)), &config.capture)
    });
    let adapters = adapters.collect::<Result<Vec<_>, _>>()?;
    let hash = HashKey::random().context("cannot draw a random key for the flow table")?;

    let server = Server::start(&config.api, &config.aggregation)?;
    let first_snapshot = server.health().part("first snapshot");
    let flows = flow::Config { max: (config.flows.max / adapters.len()).max(PARTITIONS), ..config.flows };
    let (shards, receivers): (Vec<_>, Vec<_>) = adapters
        .iter()
        .enumerate()
        .map(|(n, _)| Shard::new(n, flows, &config.aggregation, hash, 0..PARTITIONS, Mode::Live, None))
        .unzip();
    let aggregator = StatsAggregator::new(config.aggregation.clone());
    let (collector, publisher) = Collector::new(aggregator, receivers, Some(server.snapshot()), "libpcap");

    let mut threads = Vec::new();
    for ((name, adapter), shard) in names.iter().zip(adapters).zip(shards) {
        let shards = Shards::start(vec![shard]).context("cannot start a shard")?;
        let dealer = Dealer::new(shards, hash, publisher.clone(), config.local_networks.clone());
        let heartbeat = server.health().thread(&format!("capture {name}"), STALLED);
        let live = Live::new(name, adapter, config.capture.clone(), publisher.clone(), Arc::clone(stop));
        let work = move || live.run(dealer, &heartbeat);
        threads.push(spawn(&format!("capture-{name}"), work)?);
    }
    drop(publisher);
    let heartbeat = server.health().thread("aggregator", STALLED);
    let expected = names.len().min(config.aggregation.max_interfaces);
    let collector = spawn("aggregator", move || {
        collector.live(wall_clock, |snapshot| {
            heartbeat.beat();
            // Each capture loop makes its interface known on its first round.
            first_snapshot.set(snapshot.interfaces.len() >= expected);
        });
    })?;

    announce(&names, &server);
    while !stop.load(Ordering::Relaxed) && !collector.is_finished() {
        std::thread::park_timeout(NOTICE);
        log.report_suppressed();
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads.into_iter().chain([collector]) {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    server.stop();
    Ok(())
}

/// The interfaces to capture: as configured, else the one of the default route.
fn interface_names(config: &Config) -> Result<Vec<String>, CaptureError> {
    if config.interfaces.is_empty() {
        return Ok(vec![interfaces::of_default_route()]);
    }
    let resolved = interfaces::resolve(&config.interfaces, &interfaces::list()?)?;
    for pattern in &resolved.unmatched {
        tracing::warn!(pattern, "matches no interface");
    }
    Ok(resolved.names)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).with_context(|| format!("cannot start the thread {name}"))
}
