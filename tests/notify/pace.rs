//! One receiver does not wait for another.

use super::engine::{alert, prompt, start};
use super::fate::Fate;
use super::ledger::Receiver;
use netmon::alert::State;
use netmon::notify::{GroupBy, Policy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_healthy_receiver_hears_within_two_seconds_while_others_hang_refuse_and_fail() {
    const ALERTS: usize = 400;
    let _quiet = super::quiet();
    let directory = tempfile::tempdir().unwrap();
    let (healthy, hanging) = (Receiver::start(|_| Fate::Accept), Receiver::start(|_| Fate::Hang));
    let failing = Receiver::start(|_| Fate::Fail);
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let patient = |name| Policy { timeout: Policy::TIMEOUT, ..prompt(name) };
    let receivers =
        [("healthy", healthy.address), ("hanging", hanging.address), ("failing", failing.address), ("gone", gone)];
    let names: Arc<[String]> = receivers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let engine = start(directory.path(), receivers.iter().map(|(name, address)| (patient(name), *address)).collect());
    for n in 0..ALERTS {
        engine.handle().changed(vec![alert(n, State::Firing, &names)], Vec::new());
        std::thread::sleep(Duration::from_millis(10));
    }
    let of = |name: &str| engine.handle().status().receivers.iter().find(|r| &*r.name == name).unwrap().clone();
    while of("healthy").queue_length > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut arrived: BTreeMap<String, Duration> = BTreeMap::new();
    for entry in healthy.entries() {
        for notice in &entry.notification.alerts {
            let waited = Duration::from_nanos(entry.wall.nanos_since(notice.starts_at));
            arrived.entry(notice.fingerprint.clone()).or_insert(waited);
        }
    }
    let mut waits: Vec<Duration> = arrived.into_values().collect();
    waits.sort();
    assert_eq!(waits.len(), ALERTS);
    let p99 = waits[ALERTS * 99 / 100];
    assert!(p99 < Duration::from_secs(2), "{p99:?}");
    assert_eq!(of("hanging").queue_length, ALERTS as u64);
    assert!(of("gone").failures[0] > 0 && of("failing").failures[4] > 0);
    assert_eq!(hanging.entries().len(), 1, "one attempt at a time");
    engine.begin_stop(Duration::ZERO).join().unwrap();
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let _quiet = super::quiet();
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|n| if n % 2 == 0 { Fate::Limit(1) } else { Fate::Accept });
    let policy = Policy { group_by: GroupBy::Each, ..prompt("limits") };
    let engine = start(directory.path(), vec![(policy, receiver.address)]);
    let names: Arc<[String]> = Arc::new(["limits".to_owned()]);
    (0..4).for_each(|n| engine.handle().changed(vec![alert(n, State::Firing, &names)], Vec::new()));
    while receiver.entries().iter().filter(|entry| entry.fate == Fate::Accept).count() < 4 {
        std::thread::sleep(Duration::from_millis(10));
    }
    for pair in receiver.entries().windows(2).filter(|pair| pair[0].fate == Fate::Limit(1)) {
        let waited = pair[1].at - pair[0].at;
        assert!(waited >= Duration::from_millis(990), "{waited:?} after a request for 1 s");
    }
    engine.begin_stop(Duration::ZERO).join().unwrap();
}
