//! A full disk: an 8 MiB tmpfs in a mount namespace of its own.

use crate::rig;
use crate::seconds::second;
use netmon::history::{Config, Pace, Range, Store, Tier, Writer};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ROUNDS: u64 = 20;
/// From room on the disk to records being kept.
const RESUMED: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_is_survived() {
    if !rig::can_run(&["unshare", "mount", "sh"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=8m,mode=700 netmon-test "$HISTORY_DIRECTORY" && exec "$0" "$@""#;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["full::fills_and_frees", "--exact", "--ignored", "--nocapture"])
        .env("HISTORY_DIRECTORY", directory.path())
        .output()
        .unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

/// Fills what is left of the disk.
fn fill(path: &Path) {
    let mut ballast = fs::File::create(path).unwrap();
    for block in [65_536, 4096] {
        while ballast.write_all(&vec![0xaa; block]).is_ok() {}
    }
}

/// Hands over seconds, each to be committed at once; how many commits failed.
fn write(writer: &Writer, next: &mut u64, count: u64) -> u64 {
    let (feed, mut failed) = (writer.feed(), 0);
    for _ in 0..count {
        for _ in 0..4 {
            feed.second(second("eth0", *next));
            *next += 1;
        }
        failed += u64::from(!feed.flush());
    }
    failed
}

fn resumes(writer: &Writer) -> Duration {
    let begun = crate::now();
    while !writer.feed().flush() {
        assert!(begun.elapsed() < RESUMED, "{:?}", writer.status().health);
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

#[test]
#[ignore = "a part of the test above, in its mount namespace"]
fn fills_and_frees() {
    let Some(directory) = std::env::var_os("HISTORY_DIRECTORY") else { return };
    let directory = Path::new(&directory);
    let config = Config { pace: Pace::Replay, ..Config::at(directory.join("state").join(Config::FILE)) };
    let writer = Store::open(config).unwrap().start().unwrap();
    let (ballast, first) = (directory.join("ballast"), 1_790_000_000);
    let (mut next, mut slowest, mut failed) = (first, Duration::ZERO, 0);
    write(&writer, &mut next, 500);
    for round in 0..ROUNDS {
        fill(&ballast);
        failed += write(&writer, &mut next, 150);
        if round % 8 == 7 {
            // More than can wait for room: the oldest is lost, and that is said.
            (next..next + 10_000).for_each(|start| writer.feed().second(second("eth0", start)));
            next += 10_000;
        }
        // What was kept is answered all the while.
        writer.reader().info().unwrap();
        fs::remove_file(&ballast).unwrap();
        slowest = slowest.max(resumes(&writer));
        failed += write(&writer, &mut next, 20);
    }
    let status = writer.close().unwrap();
    let (kept, gaps) = kept(directory);
    println!("{failed} commits without room, {} pruned, slowest to resume {slowest:?}", status.pruned_records[0][1]);
    println!("{} seconds: {kept} kept, {gaps} in gaps, {} dropped", next - first, status.dropped_records);
    // Every second is in the hours, which are never pruned here, or in a gap that says so.
    assert_eq!(kept + gaps, next - first);
    assert_eq!(gaps, status.dropped_records);
    assert!(gaps > 0);
}

/// Seconds in the store, and seconds in its gaps.
fn kept(directory: &Path) -> (u64, u64) {
    let reader = netmon::history::Reader::open(&directory.join("state").join(Config::FILE)).unwrap();
    let mut kept = 0;
    let bad = reader.records(Tier::Hour, Range::ALL, |record| {
        kept += record.measures.seconds;
        ControlFlow::Continue(())
    });
    assert_eq!(bad.unwrap(), 0);
    (kept, reader.info().unwrap().gaps.iter().map(|gap| gap.records).sum())
}
