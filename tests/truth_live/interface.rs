//! Interfaces that go down, come back, vanish and are made anew.

use crate::rig::ledger::Ledger;
use crate::rig::process::Process;
use crate::rig::sender::Sender;
use crate::rig::{START, Wire, can_run};
use crate::support::running::{Running, wait_until};
use crate::{TOOLS, figure, short_or_soak, with_each_backend};
use std::time::Duration;

with_each_backend!(
    counting_resumes_within_a_second_after_a_flap,
    capture_resumes_within_two_seconds_after_the_interface_is_made_anew,
    an_interface_that_is_down_costs_hardly_any_time,
);

/// Frames a second beside it all.
const RATE: u32 = 10_000;

fn counting_resumes_within_a_second_after_a_flap(backend: &str) {
    /// Before and after the link is down.
    const AROUND: [u64; 2] = [100, 1100];
    const MOST_MISSED: f64 = RATE as f64;
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let netmon = wire.netmon("m0").backend(backend).start();
    let descriptors = Process(netmon.id()).descriptors();
    let mut worst: f64 = 0.0;
    for down in pauses(short_or_soak(5, 50)) {
        let before = Ledger::now(&wire);
        let seconds = Duration::from_millis(AROUND[0] + down + AROUND[1]).as_secs_f64();
        let sender = Sender::start(&wire, &["--rate", &RATE.to_string(), "--seconds", &seconds.to_string()]);
        std::thread::sleep(Duration::from_millis(AROUND[0]));
        wire.set_link("down");
        std::thread::sleep(Duration::from_millis(down));
        wire.set_link("up");
        sender.end();
        let ledger = Ledger::at_rest(&wire, &before);
        assert!(ledger.missing() >= 0.0, "nothing counts twice: {ledger:?}");
        assert!(ledger.missing() <= MOST_MISSED, "after {down} ms without a link: {ledger:?}");
        assert!(is_up(&wire), "the page says so");
        worst = worst.max(ledger.missing());
    }
    figure(&format!("most frames at {RATE} a second missed by a flap, {backend}"), worst);
    assert_eq!(Process(netmon.id()).descriptors(), descriptors, "no descriptor is left behind");
}

/// 50 to 500 ms, in a fixed pseudo-random order (Park and Miller's minimal standard).
fn pauses(count: usize) -> impl Iterator<Item = u64> {
    let next = |state: &u64| Some(state * 48_271 % 0x7fff_ffff);
    std::iter::successors(Some(1_234_567), next).skip(1).map(|state| 50 + state % 451).take(count)
}

fn is_up(wire: &Wire) -> bool {
    wire.metrics().sum("netmon_capture_up", &[("interface", "m0")]) == 1.0
}

fn capture_resumes_within_two_seconds_after_the_interface_is_made_anew(backend: &str) {
    const MOST_MISSED: f64 = 2.0 * RATE as f64;
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let netmon = wire.netmon("m0").backend(backend).start();
    let process = Process(netmon.id());
    let (mut held, mut worst): (_, f64) = (Vec::new(), 0.0);
    for round in 1..=short_or_soak(5, 50) {
        wire.cut();
        wait_until("the page to say that the interface is gone", START, || (!is_up(&wire)).then_some(()));
        let before = Ledger::of_netmon(&wire);
        wire.connect();
        let sender = Sender::start(&wire, &["--rate", &RATE.to_string()]);
        wait_until("frames to be counted again", START, || {
            (Ledger::of_netmon(&wire).seen > before.seen && is_up(&wire)).then_some(())
        });
        sender.stop();
        // The counters of the new pair began at zero.
        let ledger = Ledger::at_rest(&wire, &before);
        assert!((0.0..=MOST_MISSED).contains(&ledger.missing()), "round {round}: {ledger:?}");
        worst = worst.max(ledger.missing());
        let restarts = wire.metrics().sum("netmon_capture_restarts_total", &[("interface", "m0")]);
        assert!(restarts >= f64::from(round), "{restarts} restarts after {round} rounds");
        held.push((process.descriptors(), process.threads()));
    }
    figure(&format!("most frames at {RATE} a second missed by a new interface, {backend}"), worst);
    assert!(held.iter().all(|counts| *counts == held[0]), "descriptors and threads of each round: {held:?}");
}

fn an_interface_that_is_down_costs_hardly_any_time(backend: &str) {
    if !can_run(TOOLS) {
        return;
    }
    let wire = Wire::new();
    let netmon = wire.netmon("m0").backend(backend).start();
    wire.set_link("down");
    let down = share_of_a_processor(&netmon);
    wire.cut();
    let gone = share_of_a_processor(&netmon);
    figure(&format!("share of a processor while down and while gone, {backend}"), format!("{down:.4}, {gone:.4}"));
    assert!(down < 0.05 && gone < 0.05, "down {down}, gone {gone}");
}

/// Over three seconds, all threads together.
fn share_of_a_processor(netmon: &Running) -> f64 {
    const LOOK: Duration = Duration::from_secs(3);
    let before = Process(netmon.id()).cpu();
    std::thread::sleep(LOOK);
    (Process(netmon.id()).cpu() - before).as_secs_f64() / LOOK.as_secs_f64()
}
