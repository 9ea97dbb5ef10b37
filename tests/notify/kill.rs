//! Kill -9 at random, while a receiver fails in every way.

use super::engine::{JOB, Job};
use super::fate::{Fate, flaky, scattered};
use super::ledger::{Entry, Receiver};
use netmon::notify::Status;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn spawn(job: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["engine::process", "--exact", "--nocapture"])
        .env(JOB, job)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Whether it ended by itself before the time was over; killed where not.
#[expect(clippy::disallowed_methods, reason = "a process is killed by the clock")]
fn ended_within(mut child: Child, time: Duration) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "the engine ended badly");
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// `NOTIFY_ALERTS` and `NOTIFY_KILLS` make it longer.
#[test]
fn nothing_is_lost_and_each_kill_makes_at_most_one_duplicate() {
    let _quiet = super::quiet();
    let (alerts, kills) = (number("NOTIFY_ALERTS", 1_000), number("NOTIFY_KILLS", 100));
    let directory = tempfile::tempdir().unwrap();
    let (flaky, healthy) = (Receiver::start(flaky), Receiver::start(|_| Fate::Accept));
    let job = Job {
        directory: directory.path().to_owned(),
        receivers: vec![("flaky".into(), flaky.address), ("healthy".into(), healthy.address)],
        alerts,
        pause: Duration::from_micros(1_000_000 * kills as u64 / (14 * alerts as u64)),
    };
    let job = serde_json::to_string(&job).unwrap();
    let mut killed: usize = 0;
    loop {
        // After the last kill it is left to finish; a minute without an end is a kill too.
        let time = Duration::from_millis(if killed < kills { 60 + scattered(killed as u64) % 300 } else { 60_000 });
        if ended_within(spawn(&job), time) {
            break;
        }
        killed += 1;
        assert!(killed < kills + 20, "it does not come to an end");
    }
    let rounds = [("flaky", &flaky), ("healthy", &healthy)];
    for (name, receiver) in rounds {
        let entries = receiver.entries();
        check(name, &entries, alerts, killed);
    }
    assert!(killed >= kills, "it was over after {killed} kills");
}

fn check(name: &str, entries: &[Entry], alerts: usize, killed: usize) {
    let accepted: Vec<&Entry> = entries.iter().filter(|entry| entry.fate == Fate::Accept).collect();
    let read = |fate: Fate| entries.iter().filter(|entry| entry.fate == fate).count();
    let mut by_key: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    entries.iter().for_each(|entry| by_key.entry(&entry.key).or_default().push(entry));
    for entries in by_key.values() {
        let same = entries.windows(2).all(|pair| pair[0].notification == pair[1].notification);
        assert!(same && entries[0].key == entries[0].notification.key, "{name}: one key, one message");
    }
    let keys: BTreeSet<&str> = accepted.iter().map(|entry| &*entry.key).collect();
    let duplicates = accepted.len() - keys.len();
    eprintln!(
        "{name}: {} requests, {} accepted, {} failed, {} reset, {} hung; {} messages, {duplicates} duplicates, {killed} kills",
        entries.len(),
        accepted.len(),
        read(Fate::Fail),
        read(Fate::Reset),
        read(Fate::Hang),
        keys.len(),
    );
    assert!(duplicates <= killed, "{name}: {duplicates} duplicates after {killed} kills");
    let mut seen: BTreeMap<&str, Vec<Status>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for entry in accepted.iter().filter(|entry| known.insert(&entry.key)) {
        for notice in &entry.notification.alerts {
            let history = seen.entry(&notice.labels["number"]).or_default();
            if history.last() != Some(&notice.status) {
                history.push(notice.status);
            }
        }
    }
    let wrong: Vec<_> = seen.iter().filter(|(_, history)| ***history != [Status::Firing, Status::Resolved]).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?}");
    assert_eq!(seen.len(), alerts, "{name}: every alert arrived");
}
