//! What happens when a partition is full.

use super::*;
use proptest::prelude::*;

/// Packets by many hosts and ports: number `n` of a kind of traffic.
fn numbered(protocol: u8, n: u32) -> ParsedPacket {
    let [_, a, b, c] = n.to_be_bytes();
    ParsedPacket { source: Address::v4([172, a, b, c]), ..packet(protocol, (0, 1024), (1, 443)) }
}

fn numbered_tcp(n: u32, segment: TcpSegment) -> ParsedPacket {
    ParsedPacket { header: Header::Tcp(segment), ..numbered(6, n) }
}

fn reply(packet: ParsedPacket, segment: TcpSegment) -> ParsedPacket {
    ParsedPacket {
        source: packet.destination,
        destination: packet.source,
        source_port: packet.destination_port,
        destination_port: packet.source_port,
        header: Header::Tcp(segment),
        ..packet
    }
}

/// Handshakes of `count` connections.
fn establish(tracker: &mut ConnectionTracker, count: u32, log: &mut Log) {
    for n in 0..count {
        let first = numbered_tcp(n, syn(CLIENT));
        let packets = [first, reply(first, syn_ack(SERVER, CLIENT + 1)), numbered_tcp(n, ack(CLIENT + 1, SERVER + 1))];
        tracker.observe(tick(1), &packets, log);
    }
}

#[test]
fn established_connections_survive_a_flood_of_syns() {
    let (mut tracker, mut log) = (tracker(Config { max: 2048, ..Config::default() }), Log::default());
    establish(&mut tracker, 1000, &mut log);
    assert_eq!(log.established, 1000);
    for batch in 0..100 {
        let flood: Vec<_> = (0..1000).map(|n| numbered_tcp(1_000_000 + batch * 1000 + n, syn(n))).collect();
        tracker.observe(tick(1 + u64::from(batch) * 100), &flood, &mut log);
        assert!(tracker.len() <= 2048);
    }
    assert_eq!(tracker.records().filter(|record| record.stats.state == State::Open).count(), 1000);
    assert!(log.evicted.len() > 90_000 && log.evicted.iter().all(|victim| *victim == Victim::HalfOpen));
}

#[test]
fn unanswered_datagrams_make_room_before_answered_ones() {
    let (mut tracker, mut log) = (tracker(Config { max: 2048, ..Config::default() }), Log::default());
    for n in 0..500 {
        let request = numbered(17, n);
        tracker.observe(tick(1), &[request, reply(request, TcpSegment::default())].map(without_header), &mut log);
    }
    let flood: Vec<_> = (0..50_000).map(|n| numbered(17, 1_000_000 + n)).collect();
    tracker.observe(tick(1), &flood, &mut log);
    assert_eq!(tracker.records().filter(|record| !record.is_one_sided()).count(), 500);
    assert!(log.evicted.iter().all(|victim| *victim == Victim::HalfOpen));
}

fn without_header(packet: ParsedPacket) -> ParsedPacket {
    ParsedPacket { header: Header::None, ..packet }
}

#[test]
fn without_half_open_records_the_silent_go_before_the_busy() {
    let (mut tracker, mut log) = (tracker(Config { max: 64, ..Config::default() }), Log::default());
    let mid_connection = |n| numbered_tcp(n, ack(1, 1));
    tracker.observe(tick(1), &(0..2000).map(mid_connection).collect::<Vec<_>>(), &mut log);
    assert!(log.evicted.len() >= 1900 && log.evicted.iter().all(|victim| *victim == Victim::Oldest));
    log.evicted.clear();
    // A quarter of the timeout of an hour later every record is idle.
    let later = tick(900_100);
    tracker.observe(later, &(5000..5001).map(mid_connection).collect::<Vec<_>>(), &mut log);
    assert_eq!(log.evicted, [Victim::Idle]);
}

#[test]
fn of_the_records_looked_at_the_longest_silent_is_evicted() {
    // One partition of sixteen records at most: all are looked at.
    let config = Config { max: 16 * PARTITIONS, ..Config::default() };
    let (mut tracker, mut log) = (ConnectionTracker::new(config, HashKey::FIXED, 0..PARTITIONS), Log::default());
    let own = |n: &u32| HashKey::FIXED.partition(&FlowKey::of(&numbered(6, *n)).unwrap().0) == 7;
    let flows: Vec<u32> = (0..).filter(own).take(17).collect();
    for (seconds, n) in (1..).zip(&flows[..16]) {
        tracker.observe(tick(seconds * 1000), &[numbered_tcp(*n, ack(1, 1))], &mut log);
    }
    // The first one speaks again; the second is now silent for longest.
    tracker.observe(tick(20_000), &[numbered_tcp(flows[0], ack(1, 1)), numbered_tcp(flows[16], ack(1, 1))], &mut log);
    assert_eq!(log.evicted, [Victim::Oldest]);
    assert_eq!(log.closed[0].initiator().0, numbered(6, flows[1]).source);
    assert_eq!(log.ends(), [EndReason::Evicted]);
}

#[test]
fn what_an_evicted_flow_moved_is_not_lost() {
    let (mut tracker, mut log) = (tracker(Config { max: 64, ..Config::default() }), Log::default());
    let packets: Vec<_> = (0..5000).map(|n| numbered(17, n)).collect();
    tracker.observe(tick(1), &packets, &mut log);
    let mut left = 0;
    tracker.drain_deltas(|_, delta| left += delta.bytes_from_low + delta.bytes_from_high);
    assert_eq!(log.moved + left, 5000 * 100);
    assert_eq!(log.closed.len() + tracker.len(), log.opened);
}

proptest! {
    #[test]
    fn a_table_is_never_over_its_limit_and_every_record_that_goes_early_is_counted(
        steps in prop::collection::vec((0u32..400, 0u8..6, 0u64..50), 1..400)
    ) {
        let (mut tracker, mut log) = (tracker(Config { max: 128, ..Config::default() }), Log::default());
        let mut now = 0;
        for (n, kind, pause) in steps {
            now += pause * 100;
            let first = numbered_tcp(n, syn(CLIENT));
            let packet = match kind {
                0 => first,
                1 => reply(first, syn_ack(SERVER, CLIENT + 1)),
                2 => numbered_tcp(n, ack(CLIENT + 1, SERVER + 1)),
                3 => numbered_tcp(n, rst(CLIENT + 1)),
                4 => numbered(17, n),
                _ => without_header(reply(numbered(17, n), TcpSegment::default())),
            };
            tracker.observe(tick(now), &[packet], &mut log);
            tracker.check();
            prop_assert!(tracker.len() <= 128);
            prop_assert_eq!(log.opened, tracker.len() + log.closed.len());
            let evicted = log.ends().into_iter().filter(|reason| *reason == EndReason::Evicted).count();
            prop_assert_eq!(evicted, log.evicted.len());
        }
    }
}

#[test]
fn a_million_flows_take_at_most_180_bytes_each() {
    let mut tracker = tracker(Config::default());
    for thousand in 0..1000 {
        let packets: Vec<_> = (0..1000).map(|n| numbered(17, thousand * 1000 + n)).collect();
        tracker.observe(tick(1), &packets, &mut Log::default());
        tracker.drain_deltas(|_, _| ());
    }
    assert_eq!(tracker.len(), 1_000_000);
    let each = tracker.memory() / tracker.len();
    assert!(each <= 180, "{each}");
}
