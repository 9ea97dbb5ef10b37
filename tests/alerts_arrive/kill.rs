//! Kill -9 at random while alerts fire and end, and while a receiver fails in every way.

use crate::SOON;
use crate::daemon::flood;
use crate::fate::{Fate, flaky, scattered};
use crate::hook::{Hook, Told};
use crate::place::Place;
use crate::rig::{Wire, can_run};
use crate::support::running::{Running, wait_until};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Told to the receiver that takes everything; the first of them also to the one that does not.
const ALERTS: [&str; 3] = ["Busy", "Heavy", "Loud"];
/// Kills while there is traffic, and as many after it.
const KILLS: usize = 2;

#[test]
fn kills_lose_nothing_and_make_at_most_one_duplicate_each() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    let kills = std::env::var("ALERT_KILLS").map_or(20, |text| text.parse::<usize>().expect("a number"));
    let rounds = kills.div_ceil(2 * KILLS);
    let wire = Wire::new();
    // It takes its time, so that some kills come between what it took and netmon's hearing of it.
    let healthy = Hook::start(&wire.monitor, |_| {
        std::thread::sleep(Duration::from_millis(100));
        Fate::Accept
    });
    let failing = Hook::start(&wire.monitor, |n| match flaky(n) {
        Fate::Limit(_) => Fate::Limit(1),
        fate => fate,
    });
    let mut round = Rounds::new(&wire, &healthy, &failing);
    (1..=rounds).for_each(|number| round.go(number));
    let Rounds { killed, .. } = round;

    wait_until("the receiver that fails to hear of all", 4 * SOON, || {
        (failing.told(ALERTS[0]).len() >= 2 * rounds).then_some(())
    });
    // What comes too often comes now.
    std::thread::sleep(Duration::from_secs(1));
    ALERTS.iter().for_each(|alert| in_order(alert, &healthy.told(alert), rounds));
    in_order(ALERTS[0], &failing.told(ALERTS[0]), rounds);
    for (name, hook) in [("healthy", &healthy), ("failing", &failing)] {
        let (requests, duplicates) = duplicates(hook);
        println!(
            "figure: kill -9 {killed} times, {name} receiver: {requests} requests, 0 lost, {duplicates} duplicates"
        );
        assert!(duplicates <= killed, "{name}: {duplicates} duplicates after {killed} kills");
    }
}

/// A daemon that is killed while traffic comes and goes.
struct Rounds<'a> {
    wire: &'a Wire,
    place: Place<'a>,
    healthy: &'a Hook,
    failing: &'a Hook,
    netmon: Running,
    killed: usize,
}

impl<'a> Rounds<'a> {
    fn new(wire: &'a Wire, healthy: &'a Hook, failing: &'a Hook) -> Self {
        let place = Place::new(wire);
        place.configure(&config(healthy, failing));
        let netmon = place.start();
        Self { wire, place, healthy, failing, netmon, killed: 0 }
    }

    /// Traffic comes and goes; however often netmon is killed, it is heard of both.
    fn go(&mut self, number: usize) {
        let traffic = flood(self.wire, 2000);
        self.kill_after(Duration::from_millis(100), 500);
        self.wait_for(2 * number - 1);
        drop(traffic);
        // It is over when the window is empty.
        self.kill_after(Duration::from_millis(900), 700);
        self.wait_for(2 * number);
    }

    /// Kills it at random, and again while it starts or goes on.
    fn kill_after(&mut self, least: Duration, more: u64) {
        for wait in [least, Duration::ZERO].into_iter().cycle().take(KILLS) {
            std::thread::sleep(wait + Duration::from_millis(scattered(self.killed as u64) % more));
            self.netmon.signal(Signal::SIGKILL);
            // Gone before another one begins.
            self.netmon.end_within(SOON);
            self.netmon = self.place.begin();
            self.killed += 1;
        }
    }

    fn wait_for(&self, count: usize) {
        wait_until(&format!("message {count} of each alert"), SOON, || {
            ALERTS.iter().all(|alert| self.healthy.told(alert).len() >= count).then_some(())
        });
        // Of an alert 16 changes wait at most.
        wait_until("the receiver that fails to come along", 4 * SOON, || {
            (self.failing.told(ALERTS[0]).len() + 12 >= count).then_some(())
        });
    }
}

fn config(healthy: &Hook, failing: &Hook) -> String {
    format!(
        "alerts:
  - {{name: Busy, metric: packets_per_second, window: 1s, above: 500, notify: [healthy, failing]}}
  - {{name: Heavy, metric: receive_bytes_per_second, window: 1s, above: 10000, notify: [healthy]}}
  - {{name: Loud, metric: receive_packets_per_second, window: 1s, above: 300, for: 100ms, notify: [healthy]}}
receivers:
  - {{name: healthy, webhook: {{url: '{}'}}, group_by: ['...'], group_wait: 0s, group_interval: 0s}}
  - {{name: failing, webhook: {{url: '{}'}}, group_by: ['...'], group_wait: 0s, group_interval: 0s, timeout: 2s}}
",
        healthy.url(),
        failing.url()
    )
}

/// Every beginning with its end behind it, and nothing else.
fn in_order(alert: &str, told: &[Told], rounds: usize) {
    let statuses: Vec<&str> = told.iter().map(|told| told.status.as_str()).collect();
    assert_eq!(statuses, ["firing", "resolved"].repeat(rounds), "{alert}");
    assert!(told.chunks(2).all(|pair| pair[0].starts_at == pair[1].starts_at), "{alert}: {told:?}");
    assert!(told.chunks(2).is_sorted_by(|a, b| a[0].starts_at < b[0].starts_at), "{alert}: {told:?}");
}

/// All requests, and those that were taken again. One key is one message.
fn duplicates(hook: &Hook) -> (usize, usize) {
    let entries = hook.entries();
    let mut messages = BTreeMap::new();
    for entry in &entries {
        let first = messages.entry(&entry.key).or_insert(&entry.body);
        assert!(**first == entry.body, "two messages with the key {}", entry.key);
    }
    let accepted = entries.iter().filter(|entry| entry.fate == Fate::Accept);
    (entries.len(), accepted.count() - messages.len())
}
