//! Retention, limits, flows that are left out, alert events, places.

use super::damage::flow;
use super::tools::{Memory, keeping_all, records, second, summed};
use crate::alert::{Severity, State};
use crate::flow::EndReason;
use crate::history::batch::Batch;
use crate::history::{
    AlertEvent, Config, Error, Flow, FlowConfig, FlowQuery, GapReason, Pace, Range, Reader, SeriesQuery, Store, Tier,
};
use crate::time::Timestamp;
use std::time::Duration;

const NOW: u64 = 1_790_000_000;

fn files(directory: &tempfile::TempDir) -> Config {
    Config { path: directory.path().join("state/history.redb"), pace: Pace::Replay, ..keeping_all() }
}

fn day_of_retention() -> Config {
    let mut config = keeping_all();
    config.retention = [7200, 14_400, 28_800, 1 << 30].map(Duration::from_secs);
    config
}

#[test]
fn records_go_when_as_much_time_was_recorded_after_them() {
    let mut store = Memory::new(day_of_retention());
    let seconds: Vec<_> = (0..40_000).step_by(5).map(|at| second("eth0", NOW + at)).collect();
    seconds.chunks(500).for_each(|chunk| store.seconds(chunk));
    for (tier, kept) in [(Tier::Second, 7200), (Tier::TenSeconds, 14_400), (Tier::Minute, 28_800)] {
        let oldest = store.reader().info().unwrap().tiers[tier as usize].oldest.unwrap();
        let due = NOW + 39_995 - kept;
        assert!((due - 3600..=due).contains(&oldest), "{tier}: {oldest} {due}");
    }
    assert_eq!(records(&store.reader(), Tier::Hour), summed(&seconds, 3600));
}

#[test]
fn a_clock_that_is_set_never_deletes_what_is_young() {
    let mut store = Memory::new(day_of_retention());
    let young: Vec<_> = (0..6000).map(|at| second("eth0", NOW + at)).collect();
    young.chunks(500).for_each(|chunk| store.seconds(chunk));
    let year = 31_536_000;
    for jump in [NOW + 68 * year, NOW + 5000, NOW + 2 * 3600, NOW - 3600, NOW + 68 * year] {
        let there: Vec<_> = (0..60).map(|at| second("eth1", jump + at)).collect();
        store.seconds(&there);
    }
    let back: Vec<_> = (6000..7000).map(|at| second("eth0", NOW + at)).collect();
    back.chunks(100).for_each(|chunk| store.seconds(chunk));
    let kept = records(&store.reader(), Tier::Second);
    let missing = young.iter().chain(&back).filter(|s| !kept.contains_key(&(s.start, s.interface.clone()))).count();
    assert_eq!(missing, 0);
    // And what is asked for is answered from it.
    let query = SeriesQuery { step: Some(1), ..SeriesQuery::over(Range { from: NOW, to: NOW + 7000 }) };
    let answer = store.reader().series(&query).unwrap();
    assert_eq!(answer.series[0].points.len(), 7000);
}

#[test]
fn after_a_long_pause_the_old_goes_once_a_day_was_recorded() {
    let mut store = Memory::new(day_of_retention());
    store.seconds(&[second("eth0", NOW)]);
    let month = NOW + 30 * 86_400;
    let oldest = |store: &Memory| store.reader().info().unwrap().tiers[0].oldest;
    for at in (0..86_400).step_by(50) {
        store.seconds(&[second("eth0", month + at)]);
        // Retention still counts from before the pause: two hours recorded, and then none of the new is old.
        assert_eq!(oldest(&store), Some(if at <= 7200 { NOW } else { month }), "{at}");
    }
    (86_400..87_000).step_by(50).for_each(|at| store.seconds(&[second("eth0", month + at)]));
    assert!(oldest(&store) >= Some(month + 75_000));
}

#[test]
fn a_second_that_is_lived_through_twice_is_both() {
    let mut store = Memory::new(keeping_all());
    let (one, mut two) = (second("eth0", NOW), second("eth0", NOW + 1));
    two.start = NOW;
    store.seconds(&[one.clone(), second("eth0", NOW + 3)]);
    store.seconds(&[two.clone()]);
    let all = [one, second("eth0", NOW + 3), two];
    // The gauge is that of whichever came last.
    let last = all[2].measures.flows_active;
    for tier in Tier::ALL {
        let (found, mut expected) = (records(&store.reader(), tier), summed(&all, tier.seconds()));
        expected.iter_mut().for_each(|((start, _), sum)| {
            if tier != Tier::Second || *start == NOW {
                sum.flows_active = last;
            }
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn the_size_limit_holds_and_the_oldest_detail_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 4 << 20;
    let config = Config { limit_bytes: limit, ..files(&directory) };
    let writer = Store::open(config).unwrap().start().unwrap();
    let (feed, mut most) = (writer.feed(), 0);
    for at in 0..40_000 {
        feed.second(second("eth0", NOW + at));
        if at % 500 == 0 {
            assert!(feed.flush(), "{:?}", writer.status());
            most = most.max(writer.status().size_bytes);
        }
    }
    let status = writer.close().unwrap();
    println!(
        "limit {limit}, most {most}, failed commits {}, pruned {:?}",
        status.write_failures, status.pruned_records
    );
    assert!(most <= limit + limit / 10, "{most}");
    assert_eq!(status.dropped_records, 0);
    assert!(status.pruned_records[0][1] > 0);
    assert_eq!((status.pruned_records[2][1], status.pruned_records[3][1]), (0, 0));
}

#[test]
fn flows_below_the_floor_and_beyond_the_rate_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let flows = FlowConfig { min_bytes: 20_100, max_per_second: 10, ..FlowConfig::default() };
    let writer = Store::open(Config { flows, ..files(&directory) }).unwrap().start().unwrap();
    let feed = writer.feed();
    feed.second(second("eth0", NOW));
    (0..20).for_each(|number| feed.flow(flow(number)));
    let status = writer.close().unwrap();
    let answer =
        Reader::open(&directory.path().join("state/history.redb")).unwrap().flows(&FlowQuery::over(Range::ALL));
    let answer = answer.unwrap();
    // A flow of number n has 20,000 + 101 n bytes: only that of number 0 is below the floor.
    assert_eq!((answer.left_out.below_floor, answer.left_out.below_floor_bytes), (1, 20_000));
    assert_eq!((answer.matched, answer.left_out.over_rate), (10, 9));
    assert_eq!(status.flows_left_out, 10);
    let kept: Vec<_> = answer.flows.iter().map(|flow| flow.packets_c2s).collect();
    assert_eq!(kept, (1..=10).rev().collect::<Vec<_>>());
}

#[test]
fn flows_that_the_end_of_netmon_ended_are_kept_at_any_rate_and_wait_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let flows = FlowConfig { min_bytes: 20_100, max_per_second: 10, ..FlowConfig::default() };
    let config = Config { flows, queue: 4, pace: Pace::Live, ..files(&directory) };
    let writer = Store::open(config).unwrap().start().unwrap();
    let feed = writer.feed();
    feed.second(second("eth0", NOW));
    (0..500).for_each(|number| feed.flow(Flow { end_reason: EndReason::Shutdown, ..flow(number) }));
    writer.close().unwrap();
    let reader = Reader::open(&directory.path().join("state/history.redb")).unwrap();
    let answer = reader.flows(&FlowQuery::over(Range::ALL)).unwrap();
    assert_eq!((answer.matched, answer.left_out.over_rate, answer.left_out.below_floor), (499, 0, 1));
}

#[test]
fn flows_are_found_by_address_port_protocol_and_time_and_hosts_are_their_sums() {
    let mut store = Memory::new(keeping_all());
    let flows: Vec<_> = (0..500).map(flow).collect();
    store.commit(&Batch { flows: flows.clone(), ..Batch::default() });
    let reader = store.reader();
    let address = flows[7].source;
    let query = FlowQuery { address: Some(address), protocol: Some(6), limit: 1000, ..FlowQuery::over(Range::ALL) };
    let expected: Vec<_> = flows.iter().filter(|f| f.source == address && f.protocol == 6).rev().cloned().collect();
    assert_eq!(reader.flows(&query).unwrap().flows, expected);
    let query = FlowQuery { port: Some(33), ..FlowQuery::over(Range::ALL) };
    assert_eq!(reader.flows(&query).unwrap().flows, [flows[33].clone()]);
    let range = Range { from: NOW + 100, to: NOW + 110 };
    assert_eq!(reader.flows(&FlowQuery::over(range)).unwrap().matched, 10);
    let hosts = reader.hosts(&FlowQuery { limit: 3, ..FlowQuery::over(Range::ALL) }).unwrap();
    assert_eq!(hosts.addresses, 51);
    assert_eq!(hosts.hosts[0].address, flows[0].destination);
    assert_eq!(hosts.hosts[0].bytes_received, flows.iter().map(|flow| flow.bytes_c2s).sum::<u64>());
    assert_eq!((hosts.hosts[0].flows, hosts.hosts.len()), (500, 3));
}

fn event(at: u64, rule: &str) -> AlertEvent {
    AlertEvent {
        at: Timestamp::from_nanos(at * 1_000_000_000),
        rule: rule.to_owned(),
        labels: [("interface".to_owned(), "eth0".to_owned())].into(),
        severity: Severity::Critical,
        state: State::Firing,
        value: 12.5,
        threshold: Some(10.0),
        metric: "receive_bytes_per_second".to_owned(),
        unit: "bytes_per_second".to_owned(),
        window_seconds: 10.0,
        active_since: Timestamp::from_nanos(at * 1_000_000_000 - 1),
        fired_at: Some(Timestamp::from_nanos(at * 1_000_000_000)),
        resolved_at: None,
        blind: false,
    }
}

#[test]
fn alert_events_of_one_instant_are_all_kept_in_order() {
    let mut store = Memory::new(keeping_all());
    let events = [event(NOW, "a"), event(NOW, "b"), event(NOW + 1, "a")];
    store.commit(&Batch { alerts: events[..1].to_vec(), ..Batch::default() });
    store.commit(&Batch { alerts: events[1..].to_vec(), ..Batch::default() });
    let reader = store.reader();
    assert_eq!(reader.alerts(Range::ALL, None, 10).unwrap(), events);
    assert_eq!(reader.alerts(Range::ALL, Some("a"), 10).unwrap(), [events[0].clone(), events[2].clone()]);
    assert_eq!(reader.alerts(Range::ALL, None, 1).unwrap(), events[2..]);
    assert_eq!(reader.alerts(Range { from: NOW, to: NOW + 1 }, None, 10).unwrap(), events[..2]);
}

#[test]
fn a_second_writer_is_told_who_has_the_store_and_a_reader_at_rest_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(files(&directory)).unwrap();
    let me = std::process::id();
    assert!(matches!(Store::open(files(&directory)), Err(Error::Held { pid: Some(pid), .. }) if pid == me));
    let read = Reader::open(&files(&directory).path);
    assert!(matches!(read, Err(Error::Held { pid: Some(pid), .. }) if pid == me), "{read:?}");
    drop(store);
    Store::open(files(&directory)).unwrap();
}

#[test]
fn another_layout_is_refused_and_the_file_left_alone() {
    use crate::history::layout::{self, Tag};
    let directory = tempfile::tempdir().unwrap();
    let path = files(&directory).path;
    drop(Store::open(files(&directory)).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let newer = layout::sealed(Tag::Meta, b"schema", 2u32.to_le_bytes().to_vec());
    transaction.open_table(layout::META).unwrap().insert("schema", newer.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(files(&directory)).unwrap_err();
    assert!(matches!(error, Error::Schema { found: 2, supported: 1, .. }), "{error}");
    assert!(error.hint().unwrap().contains("newer netmon"));
    assert!(matches!(Reader::open(&path), Err(Error::Schema { found: 2, .. })));
    assert!(path.exists());
}

#[cfg(unix)]
#[test]
fn the_store_is_private_whatever_it_finds() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let directory = tempfile::tempdir().unwrap();
    let config = files(&directory);
    drop(Store::open(config.clone()).unwrap());
    let own = config.path.parent().unwrap();
    assert_eq!((mode(own), mode(&config.path)), (0o700, 0o600));
    let refused = |config: &Config| matches!(Store::open(config.clone()), Err(Error::Unsafe { .. }));
    for (file, folder, is_refused) in
        [(0o640, 0o700, true), (0o644, 0o700, true), (0o600, 0o777, true), (0o600, 0o755, false)]
    {
        set(&config.path, file);
        set(own, folder);
        assert_eq!(refused(&config), is_refused, "{file:o} {folder:o}");
    }
    set(own, 0o700);
    std::fs::hard_link(&config.path, own.join("second")).unwrap();
    assert!(refused(&config));
    std::fs::rename(&config.path, own.join("moved")).unwrap();
    symlink(own.join("moved"), &config.path).unwrap();
    assert!(refused(&config));
    std::fs::remove_file(&config.path).unwrap();
    nix::unistd::mkfifo(&config.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refused(&config));
}

#[test]
fn a_store_that_is_damaged_while_it_runs_is_set_aside_and_the_gap_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = files(&directory);
    let writer = Store::open(config.clone()).unwrap().start().unwrap();
    let feed = writer.feed();
    (0..200).for_each(|at| feed.second(second("eth0", NOW + at)));
    assert!(feed.flush());
    // Every page but the header.
    let file = std::fs::OpenOptions::new().write(true).open(&config.path).unwrap();
    let junk = vec![0xa5; usize::try_from(file.metadata().unwrap().len()).unwrap() - 4096];
    std::os::unix::fs::FileExt::write_all_at(&file, &junk, 4096).unwrap();
    writer.feed().shared().is_suspect.store(true, std::sync::atomic::Ordering::Relaxed);
    feed.second(second("eth0", NOW + 200));
    feed.flush();
    feed.second(second("eth0", NOW + 201));
    feed.flush();
    let status = writer.close().unwrap();
    assert_eq!(status.quarantined, 1);
    assert!(status.quarantined_path.unwrap().exists());
    let info = Reader::open(&config.path).unwrap().info().unwrap();
    assert_eq!((info.tiers[0].newest, info.gaps[0].reason), (Some(NOW + 201), GapReason::Damaged));
}

#[test]
fn live_a_finished_second_is_durable_soon_and_a_full_queue_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (told, commits) = std::sync::mpsc::channel();
    let config = Config { pace: Pace::Live, queue: 4, ..files(&directory) };
    let store = Store::open(config.clone()).unwrap().on_commit(move |commit| told.send(commit).unwrap());
    let writer = store.start().unwrap();
    let feed = writer.feed();
    ["eth0", "eth1"].into_iter().for_each(|interface| feed.second(second(interface, NOW)));
    let first = commits.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((first.seconds, first.newest), (2, Some(NOW)));
    (1..5000).for_each(|at| feed.second(second("eth0", NOW + at)));
    let status = writer.close().unwrap();
    let kept = Reader::open(&config.path).unwrap().info().unwrap().tiers[0].records;
    assert!(status.dropped_records > 0);
    assert_eq!(kept + status.dropped_records, 2 + 4999);
}
