//! Outlets that do not keep up, and what becomes of each flow.

use super::ipfix::{Collector, Target};
use super::{Config, Exporter, Flow, Loss, Pressure};
use crate::flow::{EndReason, FlowKey, FlowRecord, FlowStats, State};
use crate::packet::Address;
use crate::time::Timestamp;
use std::net::TcpListener;
use std::time::Duration;

/// A flow in one direction, so a flow is one record.
fn flow(n: u32) -> Flow {
    let at = Timestamp::from_nanos(1_700_000_000_000_000_000);
    let key = FlowKey {
        low: Address::v4(n.to_be_bytes()),
        high: Address::v4([192, 0, 2, 1]),
        low_port: 5000,
        high_port: 53,
        protocol: 17,
        kind: 2,
        ..FlowKey::default()
    };
    let stats = FlowStats {
        first_seen: at,
        last_seen: at,
        packets_c2s: 1,
        bytes_c2s: 60,
        packets_s2c: 0,
        bytes_s2c: 0,
        state: State::Active,
    };
    let record =
        FlowRecord { key, low_is_initiator: true, stats, end_reason: Some(EndReason::Idle), tcp_flags: [0; 2] };
    Flow { record, counted_since: at, interface: "eth0".into() }
}

/// Hands over flows and closes; what was sent and what was lost.
fn offered(count: u32, to: &str, patience: Duration) -> (u64, [u64; 3]) {
    let collector = Collector { queue: 1024, ..Collector::new(to.parse().unwrap()) };
    let config = Config { ipfix: vec![collector], ..Config::default() };
    let exporter = Exporter::start(&config, Pressure::Drop, || Timestamp::MIN).unwrap();
    let ledger = exporter.ledger();
    (0..count).for_each(|n| exporter.flow(&flow(n)));
    let complaints = exporter.close(patience);
    assert!(complaints.is_empty(), "{complaints:?}");
    let totals = ledger.ipfix().unwrap();
    (totals.sent, totals.lost)
}

#[test]
fn a_collector_that_takes_nothing_holds_nobody_up_and_every_flow_is_accounted_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", listener.local_addr().unwrap());
    // The kernel accepts the connection and takes what fits into its buffers; nobody reads.
    const COUNT: u32 = 300_000;
    let (sent, lost) = offered(COUNT, &to, Duration::from_millis(300));
    assert!(lost[Loss::QueueFull as usize] > 0, "{lost:?}");
    assert_eq!(sent + lost.iter().sum::<u64>(), u64::from(COUNT), "sent {sent}, lost {lost:?}");
}

#[test]
fn what_waits_for_a_collector_that_is_away_is_counted_as_lost_at_the_end() {
    // Bound and dropped: the port was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (sent, lost) = offered(500, &format!("tcp://127.0.0.1:{port}"), Duration::from_millis(300));
    assert_eq!((sent, lost), (0, [0, 0, 500]));
}

#[test]
fn addresses_of_collectors_are_read_and_printed() {
    for (text, printed) in [
        ("collector", "udp://collector:4739"),
        ("tcp://192.0.2.1", "tcp://192.0.2.1:4739"),
        ("tls://[2001:db8::1]", "tls://[2001:db8::1]:4740"),
        ("udp://[::1]:2055", "udp://[::1]:2055"),
    ] {
        let target: Target = text.parse().unwrap();
        assert_eq!(target.to_string(), printed);
        assert_eq!(printed.parse(), Ok(target));
    }
    for text in ["", "sctp://a", "a:0", "a:65536", "udp://", "[::1]x", "a b"] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}
