//! What the history costs: a day of 1 s records of four interfaces written as a replay does, commits as a live daemon
//! makes them, questions over the day, and the limit.
//!
//! `cargo bench --bench history` prints a table with the goal beside each number; `-- --json` the same for programs.
//! `-- --reopen` measures how soon a store of up to 1 GiB is open again after a kill in mid-write instead; it takes some
//! minutes and 1 GiB of disk. `-- --compact` measures that part alone.

#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::unwrap_used, reason = "a bench")]

use netmon::history::{Calendar, Config, Measures, Pace, Range, Reader, Second, SeriesQuery, Store, Zone};
use nix::sys::resource::{UsageWho, getrusage};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DAY: u64 = 86_400;
/// 2026-06-15T00:00:00Z.
const BEGIN: u64 = 1_781_481_600;
const INTERFACES: [&str; 4] = ["eth0", "eth1", "wlan0", "lo"];
const MIB: f64 = 1024.0 * 1024.0;

/// A second of a busy host: TCP and UDP both ways over both versions of IP, some ICMP and ARP, a few retransmissions.
fn second(number: usize, start: u64) -> Second {
    let mut state = start.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number as u64) << 17;
    let mut noise = |most: u64| {
        state = state.rotate_left(13).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state >> 33 & most
    };
    let mut measures = Measures::default();
    for direction in 0..2 {
        for (protocol, most, one_in) in
            [(0, 0xffff, 1), (1, 0xfff, 1), (2, 0x3, 4), (5, 0x3fff, 1), (6, 0xff, 2), (7, 0x3, 4), (10, 0x3, 8)]
        {
            if noise(u64::MAX).is_multiple_of(one_in) {
                let volume = &mut measures.protocols[direction][protocol];
                volume.packets = noise(most) + 1;
                volume.bytes = volume.packets * (60 + noise(0x3ff));
            }
        }
        let tcp = &mut measures.tcp;
        tcp.segments[direction] = measures.protocols[direction][0].packets + measures.protocols[direction][5].packets;
        tcp.retransmitted_segments[direction] = noise(3);
        tcp.retransmitted_bytes[direction] = tcp.retransmitted_segments[direction] * 1448;
        tcp.out_of_order_segments[direction] = noise(7) / 7;
        tcp.handshakes[direction] = noise(31);
        tcp.handshake_ns[direction] = tcp.handshakes[direction] * (500_000 + noise(0xf_ffff));
    }
    measures.tcp.connections_opened = noise(31);
    (measures.flows_opened[0], measures.flows_opened[1]) = (noise(31), noise(63));
    (measures.flows_closed[0], measures.flows_closed[1]) = (noise(31), noise(63));
    measures.flows_active = 1000 + noise(0x1ff);
    measures.kernel_bytes = measures.protocols.iter().flatten().map(|volume| volume.bytes).sum();
    measures.covered_bytes = measures.kernel_bytes;
    Second { interface: Arc::from(INTERFACES[number]), start, measures }
}

fn config(directory: &Path, name: &str) -> Config {
    Config { private_directory: false, pace: Pace::Replay, ..Config::at(directory.join(name)) }
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |time: nix::sys::time::TimeVal| Duration::new(u64::try_from(time.tv_sec()).unwrap(), 0) + micros(time);
    time(usage.user_time()) + time(usage.system_time())
}

fn micros(time: nix::sys::time::TimeVal) -> Duration {
    Duration::from_micros(u64::try_from(time.tv_usec()).unwrap())
}

struct Row {
    what: &'static str,
    found: f64,
    unit: &'static str,
    goal: Option<f64>,
}

impl Row {
    fn print(&self) {
        let goal = self.goal.map_or(String::new(), |goal| {
            let verdict = if self.found <= goal { "held" } else { "MISSED" };
            format!("goal {goal} {}: {verdict}", self.unit)
        });
        println!("{:<58} {:>12.3} {:<8} {goal}", self.what, self.found, self.unit);
    }

    fn json(&self) -> String {
        let goal = self.goal.map_or("null".to_owned(), |goal| goal.to_string());
        format!(r#"{{"what":"{}","found":{},"unit":"{}","goal":{goal}}}"#, self.what, self.found, self.unit)
    }
}

/// A day as a replay writes it.
fn day(directory: &Path, rows: &mut Vec<Row>) -> Reader {
    let commits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commits);
    let store = Store::open(config(directory, "day.redb")).unwrap();
    let writer = store
        .on_commit(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .start()
        .unwrap();
    let (feed, begun, used) = (writer.feed(), Instant::now(), cpu());
    for start in BEGIN..BEGIN + DAY {
        (0..INTERFACES.len()).for_each(|number| feed.second(second(number, start)));
    }
    let status = writer.close().unwrap();
    let (wall, used) = (begun.elapsed().as_secs_f64(), (cpu() - used).as_secs_f64());
    let row = |what, found, unit, goal| Row { what, found, unit, goal };
    rows.push(row(
        "a day of 1 s records, 4 interfaces, all tiers: file",
        status.size_bytes as f64 / MIB,
        "MiB",
        Some(64.0),
    ));
    rows.push(row("  written as a replay: time", wall, "s", None));
    rows.push(row("  written as a replay: CPU, making the records included", used, "s", None));
    rows.push(row("  written as a replay: commits", commits.load(Ordering::Relaxed) as f64, "", None));
    Reader::open(&directory.join("day.redb")).unwrap()
}

/// One commit a second, as live: four records in all tiers each.
fn live(directory: &Path, rows: &mut Vec<Row>) {
    const COMMITS: u64 = 1000;
    let writer = Store::open(config(directory, "live.redb")).unwrap().start().unwrap();
    let (feed, used) = (writer.feed(), cpu());
    let mut times: Vec<_> = (BEGIN..BEGIN + COMMITS)
        .map(|start| {
            (0..INTERFACES.len()).for_each(|number| feed.second(second(number, start)));
            let begun = Instant::now();
            assert!(feed.flush());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let used = (cpu() - used).as_secs_f64() * 1e3 / COMMITS as f64;
    times.sort_by(f64::total_cmp);
    let row = |what, found| Row { what, found, unit: "ms", goal: None };
    rows.push(row("a live commit (1 s of 4 interfaces): median", times[times.len() / 2]));
    rows.push(row("a live commit: 99th percentile", times[times.len() * 99 / 100]));
    rows.push(row("a live commit: CPU", used));
    rows.push(Row { what: "  that is, of one core", found: used / 10.0, unit: "%", goal: None });
}

/// Writes these seconds in commits of some minutes, with the pace of a daemon, which does not compact at its end. Gives the
/// length of the file.
fn as_a_daemon(config: &Config, seconds: Range) -> f64 {
    let writer = Store::open(config.clone()).unwrap().start().unwrap();
    let feed = writer.feed();
    for start in seconds.from..seconds.to {
        (0..INTERFACES.len()).for_each(|number| feed.second(second(number, start)));
        if start % 300 == 299 {
            assert!(feed.flush());
        }
    }
    writer.close().unwrap().size_bytes as f64 / MIB
}

/// Whether compacting at an orderly end would be worth it: what it takes, what it gives, and what is left of that when
/// the daemon is back.
fn compacting(directory: &Path, rows: &mut Vec<Row>) {
    let live = Config { pace: Pace::Live, ..config(directory, "compacted.redb") };
    let row = |what, found, unit| Row { what, found, unit, goal: None };
    let end = BEGIN + DAY;
    rows.push(row("the day as a daemon writes it: file", as_a_daemon(&live, Range { from: BEGIN, to: end }), "MiB"));
    let writer = Store::open(Config { pace: Pace::Replay, ..live.clone() }).unwrap().start().unwrap();
    let begun = Instant::now();
    let size = writer.close().unwrap().size_bytes as f64 / MIB;
    rows.push(row("  compacting it at the end: time", begun.elapsed().as_secs_f64() * 1e3, "ms"));
    rows.push(row("  compacted: file", size, "MiB"));
    let grown = as_a_daemon(&live, Range { from: end, to: end + 600 });
    rows.push(row("  and ten minutes of a daemon later: file", grown, "MiB"));
}

/// Writes until the file is so long and a good part of it is in use, then is killed by its own hand. Run by `reopened`.
fn fill_and_die(file: &Path, days: u64) {
    let retention = [Duration::from_secs(400 * DAY); 4];
    let config =
        Config { private_directory: false, pace: Pace::Replay, retention, limit_bytes: 4 << 30, ..Config::at(file) };
    let store = Store::open(config).unwrap();
    let begin = store.reader().info().unwrap().tiers[0].newest.map_or(BEGIN, |newest| newest + 1);
    let writer = store.start().unwrap();
    let feed = writer.feed();
    for start in begin..BEGIN + days * DAY {
        (0..INTERFACES.len()).for_each(|number| feed.second(second(number, start)));
    }
    nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// How soon a store is open again that was killed in the middle of writing.
fn reopened(directory: &Path) {
    for days in [1, 5, 20] {
        let file = directory.join("killed.redb");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.env("FILL_AND_DIE", &file).env("DAYS", days.to_string()).status().unwrap();
        let size = std::fs::metadata(&file).unwrap().len() as f64 / MIB;
        let begun = Instant::now();
        let retention = [Duration::from_secs(400 * DAY); 4];
        let config =
            Config { private_directory: false, pace: Pace::Live, retention, limit_bytes: 4 << 30, ..Config::at(&file) };
        let store = Store::open(config).unwrap();
        let open = begun.elapsed().as_secs_f64();
        let status = store.status();
        let writer = store.start().unwrap();
        (0..INTERFACES.len()).for_each(|number| writer.feed().second(second(number, BEGIN + days * DAY)));
        assert!(writer.feed().flush());
        let written = begun.elapsed().as_secs_f64();
        println!(
            "{days:>2} days, {size:>6.1} MiB, killed: open after {open:.3} s, first commit after {written:.3} s, set aside {}",
            status.quarantined
        );
        let begun = Instant::now();
        writer.close().unwrap();
        println!("   closed within {:.3} s", begun.elapsed().as_secs_f64());
    }
}

/// The median of five, in milliseconds.
fn median<T>(mut ask: impl FnMut() -> T) -> f64 {
    let mut times = [0.0; 5].map(|_: f64| {
        let begun = Instant::now();
        black_box(ask());
        begun.elapsed().as_secs_f64() * 1e3
    });
    times.sort_by(f64::total_cmp);
    times[2]
}

fn questions(reader: &Reader, rows: &mut Vec<Row>) {
    let over = |from: u64, to: u64, step| SeriesQuery { step: Some(step), ..SeriesQuery::over(Range { from, to }) };
    let count = |query: &SeriesQuery| -> usize {
        reader.series(query).unwrap().series.iter().map(|series| series.points.len()).sum()
    };
    let day = over(BEGIN, BEGIN + DAY, 60);
    let hour = over(BEGIN + 3600, BEGIN + 7200, 1);
    assert_eq!((count(&day), count(&hour)), (1440 * 4, 3600 * 4));
    let row = |what, found, goal| Row { what, found, unit: "ms", goal };
    rows.push(row("the day at a step of 60 s, 4 interfaces", median(|| black_box(count(&day))), Some(100.0)));
    rows.push(row("an hour at 1 s, 4 interfaces", median(|| black_box(count(&hour))), Some(50.0)));
    let all = Range { from: BEGIN, to: BEGIN + DAY };
    let totals = || reader.totals(all, Calendar::Day, &Zone::UTC, None).unwrap();
    rows.push(row("the day's total", median(totals), None));
    let usage = || reader.usage(all, 300, 0.95, 10_000_000, None).unwrap();
    rows.push(row("95th percentile and seconds over a rate, from 1 s", median(usage), None));
}

/// A day into a quarter of the room that it takes.
fn limited(directory: &Path, rows: &mut Vec<Row>) {
    const LIMIT: u64 = 16 << 20;
    let config = Config { limit_bytes: LIMIT, ..config(directory, "limited.redb") };
    let writer = Store::open(config).unwrap().start().unwrap();
    let (feed, mut most) = (writer.feed(), 0);
    for start in BEGIN..BEGIN + DAY {
        (0..INTERFACES.len()).for_each(|number| feed.second(second(number, start)));
        if start % 300 == 0 {
            most = most.max(std::fs::metadata(directory.join("limited.redb")).unwrap().len());
        }
    }
    let status = writer.close().unwrap();
    let row = |what, found, unit, goal| Row { what, found, unit, goal };
    rows.push(row("the same day, limit 16 MiB: greatest file", most as f64 / MIB, "MiB", Some(16.0 * 1.1)));
    rows.push(row("  commits that had to be repeated for room", status.write_failures as f64, "", None));
    let hours = (BEGIN + DAY - status.oldest[0].unwrap()) as f64 / 3600.0;
    rows.push(row("  1 s records reach back", hours, "h", None));
}

fn main() {
    if let Some(file) = std::env::var_os("FILL_AND_DIE") {
        return fill_and_die(Path::new(&file), std::env::var("DAYS").unwrap().parse().unwrap());
    }
    let (directory, mut rows) = (tempfile::tempdir().unwrap(), Vec::new());
    if std::env::args().any(|argument| argument == "--reopen") {
        return reopened(directory.path());
    }
    if std::env::args().any(|argument| argument == "--compact") {
        compacting(directory.path(), &mut rows);
        return rows.iter().for_each(Row::print);
    }
    let reader = day(directory.path(), &mut rows);
    live(directory.path(), &mut rows);
    questions(&reader, &mut rows);
    limited(directory.path(), &mut rows);
    compacting(directory.path(), &mut rows);
    if std::env::args().any(|argument| argument == "--json") {
        println!("[{}]", rows.iter().map(Row::json).collect::<Vec<_>>().join(","));
    } else {
        rows.iter().for_each(Row::print);
    }
}
