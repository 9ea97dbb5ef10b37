//! Damaged stores: opened or set aside, and never a wrong row.

use super::tools::{keeping_all, mix, second};
use crate::history::{Config, Flow, FlowQuery, Health, Pace, Range, Reader, Second, SeriesQuery, Store, Tier};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

fn config(directory: &Path) -> Config {
    let path = directory.join(Config::FILE);
    Config { path, pace: Pace::Replay, private_directory: false, cache_bytes: 1 << 20, ..keeping_all() }
}

const SECONDS: u64 = 900;

fn seconds() -> Vec<Second> {
    (0..SECONDS).flat_map(|at| [second("eth0", 1_790_000_000 + at), second("eth1", 1_790_000_000 + at)]).collect()
}

pub(super) fn flow(number: u64) -> Flow {
    use crate::time::Timestamp;
    Flow {
        interface: "eth0".into(),
        id: mix(number),
        protocol: if number.is_multiple_of(3) { 17 } else { 6 },
        has_ports: true,
        source: std::net::Ipv4Addr::from(0x0a00_0001 + u32::try_from(number % 50).unwrap()).into(),
        source_port: u16::try_from(number % 60_000).unwrap(),
        destination: "192.0.2.9".parse().unwrap(),
        destination_port: 443,
        vlan: crate::packet::VlanStack::default(),
        first_seen: Timestamp::from_nanos(1_790_000_000_000_000_000),
        last_seen: Timestamp::from_nanos(1_790_000_000_000_000_000 + number * 1_000_000_000),
        packets_c2s: number,
        bytes_c2s: number * 100,
        packets_s2c: 3,
        bytes_s2c: 20_000 + number,
        end_reason: crate::flow::EndReason::Fin,
    }
}

/// A whole store as bytes.
fn whole(directory: &Path) -> Vec<u8> {
    let config = config(directory);
    let writer = Store::open(config.clone()).unwrap().start().unwrap();
    let feed = writer.feed();
    seconds().into_iter().for_each(|second| feed.second(second));
    (0..150).for_each(|number| feed.flow(flow(number)));
    writer.close().unwrap();
    let bytes = fs::read(&config.path).unwrap();
    fs::remove_file(&config.path).unwrap();
    bytes
}

/// One kind of damage; the numbers come from `choice`.
fn damage(bytes: &mut Vec<u8>, way: u64, choice: u64) {
    let (len, page) = (bytes.len(), 4096);
    let at = usize::try_from(choice >> 8).unwrap() % len;
    let pages = len / page;
    let (one, other) = (at / page % pages * page, usize::try_from(mix(choice) >> 8).unwrap() % pages * page);
    match way {
        // In the header, where the layout of the file is; then anywhere.
        0 => bytes[at % 512] ^= 1 << (choice % 8),
        1..=3 => bytes[at] ^= 1 << (choice % 8),
        4 => bytes.truncate(at),
        5 => bytes[one..one + page].fill(0),
        6 => (0..page).for_each(|byte| bytes.swap(one + byte, other + byte)),
        7 => bytes.extend(std::iter::repeat_n(choice.to_le_bytes(), 700).flatten()),
        // The version of redb's format.
        8 => bytes[12] = choice.to_le_bytes()[0],
        // A burst.
        _ => bytes[at..len.min(at + 300)].iter_mut().for_each(|byte| *byte = !*byte),
    }
}

#[derive(Default, Debug)]
struct Seen {
    opened: u32,
    set_aside: u32,
    rows: u64,
    unverified: u32,
    unverified_rows: u64,
}

type Truth = BTreeMap<(u64, String), Second>;

/// Reads everything: what is refused is an answer, too; what is answered is right. How many records were.
fn read(reader: &Reader, truth: &Truth) -> u64 {
    let mut rows = 0;
    let _ = reader.records(Tier::Second, Range::ALL, |record| {
        let key = (record.start, record.interface.to_string());
        assert_eq!(truth.get(&key).map(|second| &second.measures), Some(&record.measures), "{key:?}");
        rows += 1;
        ControlFlow::Continue(())
    });
    let _ = reader.each_flow(Range::ALL, |found| {
        let number = found.packets_c2s;
        assert_eq!(found, flow(number));
        ControlFlow::Continue(())
    });
    let _ = reader.series(&SeriesQuery::over(Range::ALL));
    let _ = reader.flows(&FlowQuery::over(Range::ALL));
    let _ = reader.info();
    rows
}

fn check(directory: &Path, truth: &Truth, seen: &mut Seen) {
    let config = config(directory);
    // As it is, not verified: only the checksums of the records stand between damage and answers.
    if let Ok(reader) = Reader::open(&config.path) {
        seen.unverified += 1;
        seen.unverified_rows += read(&reader, truth);
    }
    let store = Store::open(config).unwrap();
    let (status, reader) = (store.status(), store.reader());
    seen.set_aside += u32::from(status.quarantined > 0);
    seen.opened += u32::from(status.quarantined == 0);
    assert_eq!(status.health, Health::Good);
    assert!(status.quarantined_path.is_none_or(|path| path.exists()));
    seen.rows += read(&reader, truth);
    // And it goes on.
    let writer = store.start().unwrap();
    writer.feed().second(second("eth0", 1_790_000_000 + SECONDS));
    writer.close().unwrap();
    assert!(writer_sees(directory));
}

fn writer_sees(directory: &Path) -> bool {
    let reader = crate::history::Reader::open(&directory.join(Config::FILE)).unwrap();
    let newest = reader.info().unwrap().tiers[0].newest;
    newest == Some(1_790_000_000 + SECONDS)
}

/// 1,000 unless `HISTORY_DAMAGED` says otherwise.
fn rounds() -> u64 {
    std::env::var("HISTORY_DAMAGED").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

#[test]
fn a_damaged_store_is_opened_or_set_aside_and_never_serves_a_wrong_row() {
    // Many small files, each synced: in memory where there is such a place.
    let place = Path::new("/dev/shm");
    let directory = if place.is_dir() { tempfile::tempdir_in(place) } else { tempfile::tempdir() }.unwrap();
    let (whole, mut seen) = (whole(directory.path()), Seen::default());
    let truth = seconds().into_iter().map(|second| ((second.start, second.interface.to_string()), second)).collect();
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        damage(&mut bytes, round % 10, mix(round));
        let own = directory.path().join(round.to_string());
        fs::create_dir(&own).unwrap();
        let path = own.join(Config::FILE);
        fs::write(&path, &bytes).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        check(&own, &truth, &mut seen);
        fs::remove_dir_all(&own).unwrap();
    }
    println!("{} damaged stores of {} bytes: {seen:?}", rounds(), whole.len());
    assert!(seen.set_aside > 0 && seen.opened > 0);
}
