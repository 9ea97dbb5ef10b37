//! Frames that netmon had no time for are counted to the frame.

use crate::rig::ledger::Ledger;
use crate::rig::sender::Sender;
use crate::rig::{MONITOR, START, Wire, can_run};
use crate::support::running::{Running, poll, wait_until};
use crate::{TOOLS, figure, short_or_soak, with_each_backend};
use nix::sys::signal::Signal;
use std::time::Duration;

with_each_backend!(
    frames_are_seen_or_counted_as_dropped_through_stalls,
    with_a_filter_what_matches_is_seen_or_counted_as_dropped,
    a_thousand_datagrams_on_loopback_are_a_thousand,
);

/// Frames a second while netmon stalls.
const RATE: &str = "100000";
/// Far less than what arrives in a stall.
const BUFFER: &str = "1MiB";

fn frames_are_seen_or_counted_as_dropped_through_stalls(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let (stalls, length) = short_or_soak((3, Duration::from_secs(1)), (20, Duration::from_secs(3)));
    let wire = Wire::new();
    let netmon = wire.netmon("m0").backend(backend).set("capture.buffer", BUFFER).start();
    let before = Ledger::now(&wire);
    let sender = Sender::start(&wire, &["--rate", RATE]);
    (0..stalls).for_each(|_| stall(&netmon, length));
    let sent = sender.stop().frames();
    let bad = vec![frame_of_ip_version_5(); 100];
    wire.send_raw(&bad);

    let ledger = Ledger::settled(&wire, &before);
    figure(
        &format!("{stalls} stalls of {length:?}, {backend}"),
        format!("{ledger:?}, difference {}", ledger.missing()),
    );
    assert_eq!(ledger.on_wire, sent + 100.0, "the kernel moved what was sent");
    assert_eq!(ledger.missing(), 0.0, "{ledger:?}");
    assert_eq!(ledger.rejected, 100.0, "parsed frames are the others: {ledger:?}");
    assert!(ledger.dropped > 0.0 && ledger.seen > ledger.rejected, "the stalls cost frames, not all: {ledger:?}");
}

/// Lets it run for a moment, then not.
fn stall(netmon: &Running, length: Duration) {
    const BETWEEN: Duration = Duration::from_millis(300);
    std::thread::sleep(BETWEEN);
    netmon.signal(Signal::SIGSTOP);
    std::thread::sleep(length);
    netmon.signal(Signal::SIGCONT);
    std::thread::sleep(BETWEEN);
}

fn frame_of_ip_version_5() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x55];
    frame.resize(60, 0);
    frame
}

fn with_a_filter_what_matches_is_seen_or_counted_as_dropped(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let netmon = wire.netmon("m0").backend(backend).option("--bpf", "udp").set("capture.buffer", "256KiB").start();
    let kernel = || wire.metrics().find("netmon_kernel_interface_receive_packets_total", &[("interface", "m0")]);
    let kernel_before = wait_until("the kernel's counters", START, kernel);
    let before = Ledger::now(&wire);
    let sender = Sender::start(&wire, &["--rate", RATE, "--flows", "1000"]);
    stall(&netmon, short_or_soak(Duration::from_secs(1), Duration::from_secs(10)));
    let sent = sender.stop();

    let matching = sent.count("udp_frames");
    let counted = || Ledger::now(&wire).since(&before);
    let is_complete = |ledger: &Ledger| ledger.seen + ledger.dropped == matching;
    let ledger = poll(SETTLE, counted, is_complete);
    figure(&format!("filter `udp`, {backend}"), format!("{ledger:?}, {matching} match"));
    assert_eq!(ledger.seen + ledger.dropped, matching, "{ledger:?}");
    assert!(ledger.dropped > 0.0, "the stall cost frames: {ledger:?}");
    let of_kernel = poll(SETTLE, kernel, |count| *count == Some(kernel_before + sent.frames()));
    assert_eq!(of_kernel, Some(kernel_before + sent.frames()), "the kernel's own counter knows no filter");
}

/// Counts and statistics are on the page well within this.
const SETTLE: Duration = Duration::from_secs(5);

fn a_thousand_datagrams_on_loopback_are_a_thousand(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.netmon("lo").backend(backend).start();
    let datagrams = || {
        let labels = [("interface", "lo"), ("transport", "udp")];
        let page = wire.metrics();
        ["receive", "transmit"].map(|way| page.sum(&format!("netmon_protocol_{way}_packets_total"), &labels))
    };
    let before: f64 = datagrams().iter().sum();
    // To an address of m0, so that the answer (closed) is on loopback too and is ICMP.
    wire.send_datagrams(&wire.monitor, MONITOR, 1000);
    let counted = poll(SETTLE, || datagrams().iter().sum::<f64>() - before, |counted| *counted >= 1000.0);
    assert_eq!(counted, 1000.0);
}
