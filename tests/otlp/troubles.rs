//! Collectors that hang, refuse, disappear, put off or never end: capture loses nothing, memory stays, the end is in time.

use crate::rig::{BIND, MONITOR, START, Wire, can_run};
use crate::samples::of_page;
use crate::sink::{Fate, Sink, Taken, Way};
use crate::support::running::{Running, poll, wait_until};
use crate::{SOON, page, pushing, url};
use nix::sys::signal::Signal;
use std::time::Duration;

/// What SIGTERM may take, as promised.
const END: Duration = Duration::from_secs(5);

/// A sample of the page; 0 where it is not there.
fn value(wire: &Wire, series: &str) -> f64 {
    of_page(&page(wire)).get(series).copied().unwrap_or_default()
}

fn failures(wire: &Wire, signal: &str, reason: &str) -> f64 {
    value(wire, &format!("netmon_otlp_export_failures_total{{signal=\"{signal}\",reason=\"{reason}\"}}"))
}

/// How long a trouble lasts.
fn patience() -> Duration {
    let seconds = std::env::var("OTLP_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// Makes `count` spans, of requests.
fn make_spans(wire: &Wire, count: usize) {
    let url = format!("http://{BIND}/healthz?[1-{count}]");
    wire.monitor.must("curl", &["--silent", "--noproxy", "*", "--output", "/dev/null", &url]);
}

/// Frames go by, spans are made and time passes while the collector is in trouble; then netmon ends.
fn lives_with(wire: &Wire, mut netmon: Running, way: Way, reason: &str) {
    wait_until("a failure of metrics", SOON, || (failures(wire, "metrics", reason) > 0.0).then_some(()));
    // The queue is full from here on, so what comes now would show as growth.
    make_spans(wire, 3_000);
    let resident = || value(wire, "process_resident_memory_bytes");
    let before = resident();
    for _ in 0..patience().as_secs() {
        wire.send_datagrams(&wire.generator, MONITOR, 2_000);
        make_spans(wire, 1_000);
    }
    let sent = 2_000.0 * patience().as_secs_f64();
    wait_until("all frames to be counted", START, || {
        let seen = value(wire, "netmon_interface_receive_packets_total{interface=\"m0\"}");
        (seen >= sent).then_some(())
    });
    let page = of_page(&page(wire));
    let lost = page.iter().filter(|(name, _)| name.starts_with("netmon_capture_dropped_packets_total"));
    assert!(lost.clone().count() > 0);
    assert_eq!(lost.map(|(_, count)| count).sum::<f64>(), 0.0, "frames were lost over {}", way.name());
    assert!(page["netmon_otlp_dropped_spans_total"] > 0.0, "the queue is bounded");
    let grown = resident() - before;
    println!("figure: {reason} over {}: {grown} bytes more in {:?}, no frame lost", way.name(), patience());
    assert!(grown < 4.0 * 1024.0 * 1024.0, "{grown} bytes more with {reason} over {}", way.name());
    netmon.signal(Signal::SIGTERM);
    assert!(netmon.end_within(END).success());
}

#[test]
fn a_collector_that_hangs_costs_a_counter() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    for way in Way::BOTH {
        let wire = Wire::new();
        let sink = Sink::start(&wire.monitor, 0, way, None, |_| Fate::Hang);
        let netmon = pushing(&wire, &url(&sink), way).set("telemetry.otlp.timeout", "1s").start();
        lives_with(&wire, netmon, way, "timeout");
    }
}

#[test]
fn a_collector_that_is_not_there_costs_a_counter() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    for way in Way::BOTH {
        let wire = Wire::new();
        let netmon = pushing(&wire, "http://127.0.0.1:4999", way).start();
        lives_with(&wire, netmon, way, "connect");
    }
}

#[test]
fn a_collector_that_disappears_is_found_again() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    for way in Way::BOTH {
        let wire = Wire::new();
        let sink = Sink::start(&wire.monitor, 0, way, None, |_| Fate::Accept);
        let mut netmon = pushing(&wire, &url(&sink), way).start();
        wait_until("a push", SOON, || sink.taken().into_iter().find(Taken::is_metrics));
        let port = sink.address.port();
        drop(sink);
        wait_until("a failure", SOON, || (failures(&wire, "metrics", "connect") > 0.0).then_some(()));
        let again = Sink::start(&wire.monitor, port, way, None, |_| Fate::Accept);
        wait_until("a push", SOON, || again.taken().into_iter().find(Taken::is_metrics));
        netmon.signal(Signal::SIGTERM);
        assert!(netmon.end_within(END).success());
        // The last export has the end of it.
        assert!(again.taken().iter().filter(|taken| taken.is_metrics()).count() >= 2);
    }
}

#[test]
fn a_collector_that_puts_off_is_obeyed_and_one_that_refuses_is_counted() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let fates = [
        (Way::Http, Fate::Status(503, None), "unavailable"),
        (Way::Http, Fate::Status(401, None), "refused"),
        (Way::Http, Fate::Status(301, None), "refused"),
        (Way::Http, Fate::Flood, "unavailable"),
        (Way::Grpc, Fate::Code(14), "unavailable"),
        (Way::Grpc, Fate::Code(16), "refused"),
        (Way::Grpc, Fate::Code(8), "rate_limited"),
        (Way::Grpc, Fate::Flood, "unavailable"),
        (Way::Http, Fate::Status(429, Some(3600)), "rate_limited"),
    ];
    let wire = Wire::new();
    for (way, fate, reason) in fates {
        let told = fate.clone();
        let sink = Sink::start(&wire.monitor, 0, way, None, move |_| told.clone());
        let mut netmon = pushing(&wire, &url(&sink), way).set("telemetry.otlp.traces.enabled", "false").start();
        let counted = poll(SOON, || failures(&wire, "metrics", reason), |count| *count > 0.0);
        assert!(counted > 0.0, "{fate:?} is counted as {reason}: {}", page(&wire));
        if reason == "rate_limited" && way == Way::Http {
            // It asked for an hour: nothing more comes, though an export is due every second.
            std::thread::sleep(Duration::from_secs(3));
            assert_eq!(sink.taken().len(), 1);
        }
        netmon.signal(Signal::SIGTERM);
        assert!(netmon.end_within(END).success());
    }
}

#[test]
fn a_reload_moves_to_another_place_on_the_same_port_and_refuses_another_port() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let (wire, directory) = (Wire::new(), crate::rig::directory_for_all());
    let sink = Sink::start(&wire.monitor, 0, Way::Http, None, |_| Fate::Accept);
    let (file, log) = (directory.path().join("netmon.yaml"), directory.path().join("log"));
    let write = |port: u16, path: &str| {
        let otlp = format!("{{endpoint: 'http://127.0.0.1:{port}{path}', metrics: {{interval: 1s}}}}");
        std::fs::write(&file, format!("telemetry: {{otlp: {otlp}}}\n")).unwrap();
    };
    let port = sink.address.port();
    write(port, "");
    let netmon =
        wire.netmon("m0").option("--config", file.to_str().unwrap()).log(std::fs::File::create(&log).unwrap()).start();
    wait_until("a push", SOON, || sink.taken().into_iter().find(Taken::is_metrics));
    write(port, "/elsewhere");
    netmon.signal(Signal::SIGHUP);
    let moved = |taken: &Taken| taken.path == "/elsewhere/v1/metrics";
    wait_until("a push elsewhere", SOON, || sink.taken().iter().any(moved).then_some(()));
    write(port - 1, "");
    netmon.signal(Signal::SIGHUP);
    let said = format!("the collector is at port {}, to which nothing was pushed so far: restart netmon", port - 1);
    wait_until("a refusal", SOON, || std::fs::read_to_string(&log).unwrap().contains(&said).then_some(()));
}
