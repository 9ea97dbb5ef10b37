//! A store that an earlier version wrote.

use crate::seconds::second;
use netmon::alert::{Severity, State};
use netmon::flow::EndReason;
use netmon::history::{
    AlertEvent, Calendar, Config, Flow, FlowConfig, FlowQuery, Pace, Range, Reader, SeriesQuery, Store, Tier, Zone,
};
use netmon::packet::{Direction, VlanStack};
use netmon::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FIRST: u64 = 1_790_000_000;
const SECONDS: u64 = 300;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/history-1.redb")
}

fn flow(number: u16) -> Flow {
    let at = |second: u64| Timestamp::from_nanos((FIRST + second) * 1_000_000_000);
    Flow {
        interface: Arc::from("eth0"),
        id: u64::from(number) << 32,
        protocol: 6,
        has_ports: true,
        source: format!("192.0.2.{}", number % 3 + 1).parse().unwrap(),
        source_port: 50_000 + number,
        destination: "198.51.100.1".parse().unwrap(),
        destination_port: 443,
        vlan: VlanStack::default(),
        first_seen: at(u64::from(number)),
        last_seen: at(u64::from(number) + 5),
        packets_c2s: 10,
        bytes_c2s: 1000,
        packets_s2c: 20,
        bytes_s2c: 30_000 + u64::from(number),
        end_reason: EndReason::Fin,
    }
}

fn event() -> AlertEvent {
    let at = Timestamp::from_nanos((FIRST + 60) * 1_000_000_000);
    AlertEvent {
        at,
        rule: "HighIngress".to_owned(),
        labels: [("interface".to_owned(), "eth0".to_owned())].into(),
        severity: Severity::Critical,
        state: State::Firing,
        value: 1.5e8,
        threshold: Some(1e8),
        metric: "receive_bytes_per_second".to_owned(),
        unit: "bytes_per_second".to_owned(),
        window_seconds: 10.0,
        active_since: at,
        fired_at: Some(at),
        resolved_at: None,
        blind: false,
    }
}

/// `cargo test --test history_store make_the_fixture -- --ignored` writes the file anew, when the layout has changed.
#[test]
#[ignore = "writes fixtures/history-1.redb"]
fn make_the_fixture() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(Config::FILE);
    let flows = FlowConfig { min_bytes: 0, ..FlowConfig::default() };
    let config = Config { pace: Pace::Replay, private_directory: false, flows, ..Config::at(&path) };
    let writer = Store::open(config).unwrap().start().unwrap();
    let feed = writer.feed();
    for start in FIRST..FIRST + SECONDS {
        ["eth0", "lo"].into_iter().for_each(|interface| feed.second(second(interface, start)));
    }
    (0..9).for_each(|number| feed.flow(flow(number)));
    feed.alert(event());
    writer.close().unwrap();
    redb::Database::open(&path).unwrap().compact().unwrap();
    std::fs::copy(&path, fixture()).unwrap();
}

#[test]
fn the_store_of_layout_1_answers_what_was_put_into_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(Config::FILE);
    std::fs::copy(fixture(), &path).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_answers(&Reader::open(&path).unwrap());
    // A writer takes it as its own, too.
    let config = Config { pace: Pace::Replay, private_directory: false, ..Config::at(&path) };
    let writer = Store::open(config).unwrap().start().unwrap();
    assert_answers(&writer.reader());
    writer.feed().second(second("eth0", FIRST + SECONDS));
    writer.close().unwrap();
    let newest = Reader::open(&path).unwrap().info().unwrap().tiers[0].newest;
    assert_eq!(newest, Some(FIRST + SECONDS));
}

fn assert_answers(reader: &Reader) {
    let info = reader.info().unwrap();
    assert_eq!((info.schema, info.flows, info.alerts), (1, 9, 1));
    assert_eq!(info.interfaces, [Arc::from("eth0"), Arc::<str>::from("lo")]);
    let query = SeriesQuery { step: Some(1), interface: Some("lo".into()), ..SeriesQuery::over(Range::ALL) };
    let points = reader.series(&query).unwrap().series.remove(0).points;
    assert_eq!(points.len() as u64, SECONDS);
    for point in &points {
        assert_eq!(point.measures, second("lo", point.start).measures);
    }
    let received = |start: u64| second("lo", start).measures.volume(Direction::Receive).bytes;
    let totals = reader.totals(Range::ALL, Calendar::Month, &Zone::UTC, Some("lo")).unwrap();
    let sum: u64 = (FIRST..FIRST + SECONDS).map(received).sum();
    assert_eq!(totals.iter().map(|total| total.measures.volume(Direction::Receive).bytes).sum::<u64>(), sum);
    assert_eq!(info.tiers[Tier::Hour as usize].records, 2);
    let flows = reader.flows(&FlowQuery::over(Range::ALL)).unwrap().flows;
    assert_eq!(flows, (0..9).rev().map(flow).collect::<Vec<_>>());
    assert_eq!(reader.alerts(Range::ALL, None, 10).unwrap(), [event()]);
}
