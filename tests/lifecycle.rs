//! The life of a daemon under load: ready, reloaded, watched, stopped.
//!
//! The tests need root for network namespaces and say so where they are skipped. `LIFECYCLE_ROUNDS` (default 20) is how
//! many stops they make; there are twice as many good reloads, and as many bad ones.
#![cfg(target_os = "linux")]

#[path = "rig/daemon.rs"]
mod daemon;
mod rig;
mod support;

use daemon::{Daemon, flood, hanging_clients, write_config};
use nix::sys::signal::Signal;
use rig::metrics::Page;
use rig::{START, Wire, can_run};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::running::{poll, wait_until};

/// An orderly end takes no longer, whatever netmon is doing.
const STOP: Duration = Duration::from_secs(5);
/// After a second signal it is gone.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A reload or a message is there within this, on a busy machine too.
const SOON: Duration = Duration::from_secs(5);
/// Frames a second beside all of this; the debug build is too slow for more.
const RATE: u32 = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
/// What the manager allows between two pings.
const WATCHDOG: Duration = Duration::from_secs(2);
const TOOLS: [&str; 3] = ["ip", "curl", "python3"];

fn rounds() -> u32 {
    std::env::var("LIFECYCLE_ROUNDS").map_or(20, |text| text.parse().expect("LIFECYCLE_ROUNDS is a number"))
}

#[test]
fn a_stop_is_orderly_and_in_time_whatever_it_meets() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let _traffic = flood(&wire, RATE);
    let _clients = hanging_clients(&wire.monitor);
    let mut longest = Duration::ZERO;
    for round in 0..rounds() {
        let mut daemon = Daemon::start(&wire, CONFIGS[0], None);
        daemon.wait_for_handlers();
        // 0 to 1.5 s after the start, spread evenly by the golden ratio whatever the number of rounds.
        std::thread::sleep(Duration::from_secs_f64((f64::from(round) * 0.618_034).fract() * 1.5));
        if round % 4 == 1 {
            wire.monitor.must("ip", &["link", "set", "m0", "down"]);
        }
        if round % 4 == 2 {
            (0..20).for_each(|_| daemon.running.signal(Signal::SIGHUP));
        }
        let signal = if round % 2 == 0 { Signal::SIGTERM } else { Signal::SIGINT };
        let took = ended_after(&mut daemon, signal, STOP);
        longest = longest.max(took);
        wire.monitor.must("ip", &["link", "set", "m0", "up"]);
    }
    eprintln!("{} stops, the longest took {longest:?}", rounds());
}

/// Sends the signal; the daemon has to end well within `limit`. How long it took.
#[expect(clippy::disallowed_methods, reason = "measures the program from outside")]
fn ended_after(daemon: &mut Daemon<'_>, signal: Signal, limit: Duration) -> Duration {
    let begun = Instant::now();
    daemon.running.signal(signal);
    let ended = daemon.running.end_within(limit);
    assert_eq!(ended.code(), Some(0), "{signal}: {ended}\n{}", daemon.log());
    begun.elapsed()
}

#[test]
fn a_stop_is_in_time_though_all_who_are_told_something_hang() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let _traffic = flood(&wire, RATE);
    let silent = [(); 3].map(|()| wire.monitor.inside(|| TcpListener::bind("127.0.0.1:0")).expect("a port"));
    let [hook, collector, endpoint] = silent.each_ref().map(|listener| listener.local_addr().expect("it is bound"));
    let mut daemon = Daemon::ready(
        &wire,
        &format!(
            "alerts: [{{name: Busy, metric: packets_per_second, window: 1s, above: 1, notify: [hook]}}]
receivers: [{{name: hook, webhook: {{url: 'http://{hook}'}}, group_wait: 0s}}]
export: {{ipfix: [{{to: 'tcp://{collector}'}}], active_timeout: 1s}}
telemetry: {{otlp: {{endpoint: 'http://{endpoint}'}}}}
"
        ),
    );
    // Each is connected to, and never answers.
    let _held = silent.map(|listener| {
        listener.set_nonblocking(true).expect("it need not wait");
        wait_until("netmon to connect", START, || listener.accept().ok())
    });
    ended_after(&mut daemon, Signal::SIGTERM, STOP);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let _clients = hanging_clients(&wire.monitor);
    for pause in [0, 1, 10, 100, 300] {
        let mut daemon = Daemon::ready(&wire, CONFIGS[0]);
        // Clients that hold it up.
        std::thread::sleep(Duration::from_millis(200));
        daemon.running.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(pause));
        daemon.running.signal(Signal::SIGINT);
        let ended = daemon.running.end_within(AT_ONCE);
        // Unless the first one was done already.
        assert!([Some(0), Some(1)].contains(&ended.code()), "{ended}\n{}", daemon.log());
        assert!(pause > 10 || ended.code() == Some(1), "the server waits for its clients, so the second one counts");
    }
}

#[test]
fn the_manager_hears_of_every_step() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let mut daemon = Daemon::start(&wire, CONFIGS[0], Some(WATCHDOG));
    let ready = daemon.notified(START).expect("it tells");
    assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
    assert!(daemon.get("/readyz").is_some(), "not before it is");
    assert!(wire.metrics().sum("netmon_interface_receive_packets_total", &[("interface", "m0")]) >= 0.0);

    let pings = (0..4).filter(|_| daemon.notified(WATCHDOG).as_deref() == Some("WATCHDOG=1")).count();
    assert_eq!(pings, 4, "each before its time is over");
    daemon.running.signal(Signal::SIGSTOP);
    while daemon.notified(Duration::from_millis(100)).is_some() {}
    assert_eq!(daemon.notified(WATCHDOG), None, "what stands still does not ping");
    daemon.running.signal(Signal::SIGCONT);
    assert_eq!(daemon.notified(SOON).as_deref(), Some("WATCHDOG=1"));

    for config in [CONFIGS[1], BROKEN[0]] {
        write_config(&daemon.config(), config, 0);
        daemon.running.signal(Signal::SIGHUP);
        let reloading = daemon.notified_of(SOON).expect("it tells");
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        let ready = daemon.notified_of(SOON).expect("it tells");
        assert!(ready.starts_with("READY=1\n"), "whether it was accepted or not: {ready}");
    }
    daemon.running.signal(Signal::SIGTERM);
    assert_eq!(daemon.notified_of(SOON).as_deref(), Some("STOPPING=1"));
    assert_eq!(daemon.running.end_within(STOP).code(), Some(0));
}

/// Good ones, each other than the one before in what can change.
const CONFIGS: [&str; 2] = [
    "capture: {bpf: 'ip or arp'}\nlocal_networks: [192.0.2.0/24]\napi: {hosts: [a.example]}\n",
    "capture: {bpf: 'ip or arp or udp'}\nlocal_networks: [192.0.2.2/32]\napi: {hosts: [b.example]}\n\
     flows: {timeouts: {udp: 20s}, reorder_limit: 5ms}\n",
];
/// No YAML, a wrong value, no filter, what cannot change.
const BROKEN: [&str; 4] = [
    "capture: {bpf: [",
    "flows: {timeouts: {udp: 0}}\n",
    "api: {hosts: ['no host']}\n",
    "aggregation: {windows: [1, 60]}\nflows: {max: 4096}\n",
];

#[test]
fn reloads_lose_no_packet_mix_no_generations_and_leave_nothing_behind() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let mut daemon = Daemon::ready(&wire, CONFIGS[0]);
    let held = daemon.holds();
    let before = received(&wire);
    let traffic = flood(&wire, RATE);
    let done = AtomicBool::new(false);
    let scrapes = std::thread::scope(|scope| {
        let _end = SetAtEnd(&done);
        let scraper = scope.spawn(|| scrape_until(&wire, &done));
        for n in 1..=2 * rounds() {
            let (good, bad) = (f64::from(n), f64::from(n - 1));
            reload(&daemon, CONFIGS[n as usize % 2], n);
            let page = wait_for(&wire, "a good reload", |page| generation(page) == 1.0 + good);
            assert_eq!(config(&page, "last_reload_successful"), 1.0);
            assert_eq!(config(&page, "reload_failures_total"), bad);

            let accepted = config(&page, "last_reload_success_timestamp_seconds");
            reload(&daemon, BROKEN[n as usize % BROKEN.len()], n);
            let page = wait_for(&wire, "a bad reload", |page| config(page, "reload_failures_total") == good);
            assert_eq!(generation(&page), 1.0 + good, "the one before stays");
            assert_eq!(config(&page, "last_reload_successful"), 0.0);
            assert_eq!(config(&page, "last_reload_success_timestamp_seconds"), accepted);
        }
        done.store(true, Relaxed);
        scraper.join().expect("no scrape fails")
    });
    drop(traffic);
    let [sent, seen] = poll(SOON, || minus(received(&wire), before), |[sent, seen]| sent == seen);
    assert_eq!(seen, sent, "every frame that was sent was seen");
    assert_eq!(wire.metrics().sum("netmon_capture_dropped_packets_total", &[("interface", "m0")]), 0.0);
    let holds = poll(SOON, || daemon.holds(), |holds| *holds == held);
    assert_eq!(holds, held, "descriptors and threads");
    eprintln!("{} good and as many bad reloads over {sent} frames and {scrapes} scrapes", 2 * rounds());
    ended_after(&mut daemon, Signal::SIGTERM, STOP);
}

/// Ends the scrapes when a reload fails too: the scope waits for them before it lets the panic through.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn reload(daemon: &Daemon<'_>, yaml: &str, n: u32) {
    write_config(&daemon.config(), yaml, n as usize);
    daemon.running.signal(Signal::SIGHUP);
}

/// The first page that is as it should be.
fn wait_for(wire: &Wire, what: &str, good: impl Fn(&Page) -> bool) -> Page {
    wait_until(what, SOON, || Some(wire.metrics()).filter(&good))
}

/// Scrapes all the time; every page has to be of one generation, none older than the one before. How many there were.
fn scrape_until(wire: &Wire, done: &AtomicBool) -> u32 {
    let (mut scrapes, mut last) = (0, 1.0);
    while !done.load(Relaxed) {
        let page = wire.metrics();
        let accepted = config(&page, "reloads_total") - config(&page, "reload_failures_total");
        assert_eq!(generation(&page), 1.0 + accepted);
        assert!(generation(&page) >= last, "{} after {last}", generation(&page));
        (scrapes, last) = (scrapes + 1, generation(&page));
    }
    scrapes
}

fn config(page: &Page, name: &str) -> f64 {
    page.sum(&format!("netmon_config_{name}"), &[])
}

fn generation(page: &Page) -> f64 {
    config(page, "generation")
}

/// Frames that g0 sent and that netmon saw come in.
fn received(wire: &Wire) -> [f64; 2] {
    let seen = wire.metrics().sum("netmon_interface_receive_packets_total", &[("interface", "m0")]);
    [wire.generator.kernel_counters("g0")[1][0], seen]
}

fn minus(now: [f64; 2], before: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|n| now[n] - before[n])
}

#[test]
fn a_burst_of_signals_is_one_reload_or_a_few() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let mut daemon = Daemon::ready(&wire, CONFIGS[0]);
    write_config(&daemon.config(), BROKEN[1], 0);
    (0..1000).for_each(|_| daemon.running.signal(Signal::SIGHUP));
    wait_for(&wire, "the bad config to be refused", |page| config(page, "reload_failures_total") >= 1.0);
    write_config(&daemon.config(), CONFIGS[1], 1);
    (0..1000).for_each(|_| daemon.running.signal(Signal::SIGHUP));
    wait_for(&wire, "the good config", |page| generation(page) >= 2.0);
    let attempts = config(&wire.metrics(), "reloads_total");
    assert!(attempts <= 100.0, "{attempts} reloads for 2000 signals");
    let log = daemon.log();
    let refusal = "`flows.timeouts.udp` is 0 s, allowed 1 s to 24 h (default 60 s)";
    assert!(log.contains(refusal), "the log has the text of netmon check:\n{log}");
    ended_after(&mut daemon, Signal::SIGTERM, STOP);
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    if !can_run(&TOOLS) {
        return;
    }
    let wire = Wire::new();
    let (mut daemon, _reader) = Daemon::with_unread_log(&wire, CONFIGS[0]);
    for n in 0..40 {
        reload(&daemon, BROKEN[0], n);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(daemon.get("/healthz").is_some());
    ended_after(&mut daemon, Signal::SIGTERM, STOP);
}
