//! A cap and rules that change while flows are tracked.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// Number `n` of a kind of traffic, each its own flow.
fn numbered(protocol: u8, n: u32) -> ParsedPacket {
    let [_, a, b, c] = n.to_be_bytes();
    ParsedPacket { source: Address::v4([172, a, b, c]), ..packet(protocol, (0, 1024), (1, 443)) }
}

/// A segment of a connection whose beginning was not seen: not half-open.
fn mid_connection(n: u32) -> ParsedPacket {
    ParsedPacket { header: Header::Tcp(ack(1, 1)), ..numbered(6, n) }
}

fn evictions(log: &Log) -> usize {
    log.ends().into_iter().filter(|reason| *reason == EndReason::Evicted).count()
}

/// The first `count` numbers of flows that belong to partition 7.
fn of_one_partition(count: usize, packet: fn(u32) -> ParsedPacket) -> Vec<u32> {
    let own = |n: &u32| HashKey::FIXED.partition(&FlowKey::of(&packet(*n)).unwrap().0) == 7;
    (0..).filter(own).take(count).collect()
}

#[derive(Clone, Debug)]
enum Act {
    Flow { n: u32, is_half_open: bool },
    Wait(u64),
    Max(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let flow = (0u32..3000, any::<bool>()).prop_map(|(n, is_half_open)| Act::Flow { n, is_half_open });
    let max = (0usize..20 * PARTITIONS).prop_map(Act::Max);
    prop::collection::vec(prop_oneof![60 => flow, 2 => (1u64..400).prop_map(Act::Wait), 1 => max], 1..1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_lowered_cap_is_reached_by_inserts_a_few_records_at_a_time(acts in acts()) {
        let config = Config { max: 16 * PARTITIONS, ..Config::default() };
        let (mut tracker, mut log) = (tracker(config), Log::default());
        let halves = [0..PARTITIONS / 2, PARTITIONS / 2..PARTITIONS];
        let mut halves = halves.map(|half| ConnectionTracker::new(config, HashKey::FIXED, half));
        let (mut now, mut cap) = (0, 16);
        for act in acts {
            let (before, evicted) = (tracker.len(), evictions(&log));
            match act {
                Act::Flow { n, is_half_open } => {
                    let packet = if is_half_open { numbered(17, n) } else { mid_connection(n) };
                    tracker.observe(tick(now), &[packet], &mut log);
                    let half = HashKey::FIXED.partition(&FlowKey::of(&packet).unwrap().0) * 2 / PARTITIONS;
                    halves[half].observe(tick(now), &[packet], &mut Log::default());
                    prop_assert!(evictions(&log) - evicted <= 4);
                    prop_assert!(tracker.len() <= before.max(cap * PARTITIONS) + 1);
                }
                Act::Wait(ticks) => {
                    now += ticks * 100;
                    tracker.advance(tick(now), &mut log);
                    halves.iter_mut().for_each(|half| half.advance(tick(now), &mut Log::default()));
                }
                Act::Max(max) => {
                    tracker.set_max(max);
                    halves.iter_mut().for_each(|half| half.set_max(max));
                    cap = (max / PARTITIONS).max(1);
                    prop_assert_eq!((tracker.len(), evictions(&log)), (before, evicted));
                }
            }
            tracker.check();
            prop_assert_eq!(log.opened, tracker.len() + log.closed.len());
            prop_assert_eq!(evictions(&log), log.evicted.len());
        }
        let mut dealt: Vec<_> = halves.iter().flat_map(ConnectionTracker::records).map(|r| r.id()).collect();
        let mut whole: Vec<_> = tracker.records().map(|r| r.id()).collect();
        dealt.sort_unstable();
        whole.sort_unstable();
        prop_assert_eq!(dealt, whole);
        // Enough new flows for every partition to come down by three with each.
        let flood: Vec<_> = (10_000..14_000).map(mid_connection).collect();
        tracker.observe(tick(now), &flood, &mut log);
        tracker.check();
        prop_assert!(tracker.len() <= cap * PARTITIONS);
    }

    #[test]
    fn old_flows_end_by_the_new_timeout_and_no_later_than_the_old_one_allowed(
        old in 1u64..200, new in 1u64..200, change in 0u64..100, again in prop::option::of(0u64..100)
    ) {
        let config = |ticks| {
            let udp_one_way = Duration::from_millis(100 * ticks);
            Config { timeouts: Timeouts { udp_one_way, ..Timeouts::default() }, max: 1, ..Config::default() }
        };
        let (mut tracker, mut log) = (tracker(Config { max: 2 * PARTITIONS, ..config(old) }), Log::default());
        let start = tick(0);
        tracker.observe(start, &[numbered(17, 1)], &mut log);
        let change = change.min(old - 1);
        tracker.advance(Tick(start.0 + change), &mut log);
        tracker.set_rules(&config(new));
        // Its last packet, if there is another one before it could have ended.
        let last = again.map(|after| change + after).filter(|last| *last < old.max(new)).unwrap_or(0);
        tracker.observe(Tick(start.0 + change.max(last)), &[numbered(17, 1)][..usize::from(last > 0)], &mut log);
        let end = (last + new).max(old);
        tracker.advance(Tick(start.0 + end), &mut log);
        prop_assert_eq!(log.closed.len(), 0);
        tracker.advance(Tick(start.0 + end + 1), &mut log);
        prop_assert_eq!(log.ends(), [EndReason::Idle]);
        // A flow made under the new rules ends by them, and the limit is not the rules'.
        let made = start.0 + end + 10;
        tracker.observe(Tick(made), &[numbered(17, 2)], &mut log);
        tracker.advance(Tick(made + new), &mut log);
        prop_assert_eq!((tracker.len(), log.evicted.len()), (1, 0));
        tracker.advance(Tick(made + new + 1), &mut log);
        prop_assert_eq!(tracker.len(), 0);
    }
}

#[test]
fn in_a_table_that_was_lowered_the_silent_still_go_before_the_busy() {
    let config = Config { max: 256 * PARTITIONS, ..Config::default() };
    let (mut tracker, mut log) = (tracker(config), Log::default());
    let flows = of_one_partition(340, mid_connection);
    let (old, new) = flows.split_at(256);
    tracker.observe(tick(1), &old.iter().map(|n| mid_connection(*n)).collect::<Vec<_>>(), &mut log);
    let (silent, busy) = old.split_at(192);
    tracker.observe(tick(900_000), &busy.iter().map(|n| mid_connection(*n)).collect::<Vec<_>>(), &mut log);
    tracker.set_max(16 * PARTITIONS);
    let making = new.iter().map(|n| mid_connection(*n)).collect::<Vec<_>>();
    // 60 new flows make 240 records go; only when hardly any silent one is left does a busy one go.
    tracker.observe(tick(900_001), &making[..60], &mut log);
    let addresses: Vec<_> = silent.iter().map(|n| numbered(6, *n).source).collect();
    let is_silent = |record: &&FlowRecord| addresses.contains(&record.initiator().0);
    assert_eq!(log.closed.len(), 240);
    assert_eq!(log.closed.iter().take(150).filter(is_silent).count(), 150);
    assert_eq!(log.closed.iter().filter(is_silent).count(), silent.len());
    tracker.observe(tick(900_002), &making[60..], &mut log);
    assert_eq!(tracker.len(), 16);
    tracker.check();
}

#[test]
fn a_raised_cap_holds_more_than_the_tracker_was_made_for() {
    let (mut tracker, mut log) = (tracker(Config { max: PARTITIONS, ..Config::default() }), Log::default());
    tracker.set_max(1 << 16);
    tracker.observe(tick(1), &(0..50_000).map(mid_connection).collect::<Vec<_>>(), &mut log);
    tracker.check();
    assert_eq!((tracker.len(), log.evicted.len()), (50_000, 0));
}

fn with_active(seconds: Option<u64>) -> Config {
    let timeouts = Timeouts { active: seconds.map(Duration::from_secs), ..Timeouts::default() };
    Config { timeouts, ..Config::default() }
}

/// Datagrams of these flows each second.
fn speak(tracker: &mut ConnectionTracker, log: &mut Log, seconds: std::ops::Range<u64>, flows: &[u32]) {
    let packets: Vec<_> = flows.iter().map(|n| numbered(17, *n)).collect();
    seconds.for_each(|second| tracker.observe(tick(second * 1000), &packets, log));
}

#[test]
fn a_new_active_timeout_counts_from_the_first_flow_made_after_it() {
    let (mut tracker, mut log) = (tracker(with_active(None)), Log::default());
    let flows = of_one_partition(2, |n| numbered(17, n));
    speak(&mut tracker, &mut log, 0..100, &flows[..1]);
    tracker.set_rules(&with_active(Some(20)));
    speak(&mut tracker, &mut log, 100..110, &flows[..1]);
    speak(&mut tracker, &mut log, 110..130, &flows);
    assert_eq!(log.ends(), []);
    speak(&mut tracker, &mut log, 131..132, &flows);
    assert_eq!(log.ends(), [EndReason::ActiveTimeout; 2]);
}

#[test]
fn an_active_timeout_that_was_off_in_between_counts_anew() {
    let (mut tracker, mut log) = (tracker(with_active(Some(20))), Log::default());
    let flows = of_one_partition(2, |n| numbered(17, n));
    speak(&mut tracker, &mut log, 0..10, &flows[..1]);
    tracker.set_rules(&with_active(None));
    tracker.set_rules(&with_active(Some(20)));
    speak(&mut tracker, &mut log, 10..60, &flows[..1]);
    speak(&mut tracker, &mut log, 60..80, &flows);
    assert_eq!(log.ends(), []);
    speak(&mut tracker, &mut log, 81..82, &flows);
    assert_eq!(log.ends(), [EndReason::ActiveTimeout; 2]);
}

#[test]
fn round_trips_begin_anew_when_they_are_measured_again() {
    let config = |continuous_rtt| Config { continuous_rtt, ..Config::default() };
    let mut play = Play::with(config(true)).handshake().client(ack(CLIENT + 1, SERVER + 1), 10);
    play.tracker.set_rules(&config(false));
    play.tracker.set_rules(&config(true));
    let mut play = play.server(ack(SERVER + 1, CLIENT + 11), 0);
    assert!(play.log.rtt.is_empty());
    // A new flow in each partition makes room for the round trips of all.
    play.tracker.observe(tick(play.now), &(0..2000).map(mid_connection).collect::<Vec<_>>(), &mut play.log);
    let play = play.client(ack(CLIENT + 11, SERVER + 1), 10).server(ack(SERVER + 1, CLIENT + 21), 0);
    assert_eq!(play.log.rtt, [MILLISECOND]);
}
