//! SIGKILL at any moment: what was acknowledged is there.

use crate::seconds::second;
use netmon::history::{Config, Measures, Pace, Range, Reader, Store, Tier};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

const FIRST: u64 = 1_790_000_000;
const INTERFACES: [&str; 2] = ["eth0", "wlan0"];
/// The store is open again within this.
const READY: Duration = Duration::from_secs(2);

fn config(directory: &Path) -> Config {
    Config { pace: Pace::Replay, ..Config::at(directory.join("state").join(Config::FILE)) }
}

/// Writes second after second, each its own commit, and says which are durable. Started by the test below, for which it
/// is a process to kill.
#[test]
#[ignore = "a part of the test below"]
fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("HISTORY_DIRECTORY") else { return };
    let store = Store::open(config(Path::new(&directory))).unwrap();
    let newest = store.reader().info().unwrap().tiers[0].newest;
    let writer = store.on_commit(|commit| {
        let newest = commit.newest.unwrap_or(0);
        let mut out = std::io::stdout().lock();
        writeln!(out, "\ndurable {newest}").and_then(|()| out.flush()).unwrap();
    });
    let writer = writer.start().unwrap();
    let feed = writer.feed();
    for start in newest.map_or(FIRST, |newest| newest + 1).. {
        INTERFACES.into_iter().for_each(|interface| feed.second(second(interface, start)));
        assert!(feed.flush());
    }
}

/// A process that is being started has, for a moment, all that is open here, locks included: no store is open meanwhile.
static START: RwLock<()> = RwLock::new(());

/// Runs the writer for a moment beyond its first commit; what it had acknowledged.
fn killed(directory: &Path, moment: Duration) -> u64 {
    let starting = START.write().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env("HISTORY_DIRECTORY", directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(starting);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let durable = |line: String| line.strip_prefix("durable ").and_then(|number| number.parse().ok());
    let first: u64 = lines.by_ref().find_map(durable).expect("it commits");
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    lines.filter_map(durable).last().unwrap_or(first)
}

fn records(reader: &Reader, tier: Tier, from: u64) -> BTreeMap<(u64, Arc<str>), Measures> {
    let mut records = BTreeMap::new();
    let bad = reader.records(tier, Range { from, to: u64::MAX }, |record| {
        records.insert((record.start, record.interface), record.measures);
        ControlFlow::Continue(())
    });
    assert_eq!(bad.unwrap(), 0);
    records
}

/// From `from` on: nothing is missing up to the newest, nothing else is there, and all tiers say the same.
fn check(reader: &Reader, from: u64, acknowledged: u64) {
    let newest = reader.info().unwrap().tiers[0].newest.unwrap();
    assert!(newest >= acknowledged, "{acknowledged} was acknowledged, {newest} is the newest");
    for tier in Tier::ALL {
        let from = tier.start_of(from).max(tier.start_of(FIRST));
        let mut expected: BTreeMap<(u64, Arc<str>), Measures> = BTreeMap::new();
        for (start, interface) in (from.max(FIRST)..=newest).flat_map(|at| INTERFACES.map(|name| (at, name))) {
            let second = second(interface, start);
            let sum = expected.entry((tier.start_of(start), second.interface.clone()));
            sum.and_modify(|sum| sum.merge(&second.measures)).or_insert(second.measures);
        }
        assert_eq!(records(reader, tier, from), expected, "{tier}");
    }
}

/// Kills, opens and checks, over and over in one store; the slowest opening and the seconds acknowledged.
fn rounds(count: u64, lane: u64) -> (Duration, u64) {
    let directory = tempfile::tempdir().unwrap();
    let (mut slowest, mut verified) = (Duration::ZERO, FIRST);
    for round in 0..count {
        let acknowledged = killed(directory.path(), Duration::from_micros((round * LANES + lane) * 7919 % 40_000));
        let _open = START.read().unwrap();
        let opening = crate::now();
        let store = Store::open(config(directory.path())).unwrap();
        slowest = slowest.max(opening.elapsed());
        assert_eq!(store.status().quarantined, 0);
        check(&store.reader(), verified.saturating_sub(60), acknowledged);
        verified = acknowledged;
    }
    let _open = START.read().unwrap();
    let store = Store::open(config(directory.path())).unwrap();
    check(&store.reader(), FIRST, verified);
    (slowest, verified - FIRST)
}

/// Stores that are written and killed beside each other: much of a commit is waiting for the disk.
const LANES: u64 = 4;

#[test]
fn no_kill_loses_an_acknowledged_second() {
    let kills: u64 = std::env::var("HISTORY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let begun = crate::now();
    let lanes = (0..LANES).map(|lane| std::thread::spawn(move || rounds(kills.div_ceil(LANES), lane)));
    let lanes: Vec<_> = lanes.collect::<Vec<_>>().into_iter().map(|lane| lane.join().unwrap()).collect();
    let slowest = lanes.iter().map(|(slowest, _)| *slowest).max().unwrap();
    let seconds: u64 = lanes.iter().map(|(_, seconds)| seconds).sum();
    println!(
        "{kills} kills, {seconds} seconds acknowledged, 0 lost; open again within {slowest:?}; {:?}",
        begun.elapsed()
    );
    assert!(slowest < READY, "{slowest:?}");
}
