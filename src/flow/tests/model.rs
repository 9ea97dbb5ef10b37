//! The tracker against a map that does the same the plain way, and against itself in parts.

use super::*;
use crate::flow::{FlowView, LiveFlow, Place};
use crate::time::Step;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    /// Packets of one tick.
    Packets(Vec<ParsedPacket>),
    /// This many ticks pass.
    Silence(u64),
    /// The clock jumps to this many milliseconds after the start.
    Jump(u64),
    /// Deltas are drained.
    Drain,
}

fn any_packet() -> impl Strategy<Value = ParsedPacket> {
    let protocol = prop::sample::select(vec![6u8, 17, 1, 132, 47]);
    let flags =
        prop::sample::select(vec![flag::ACK, flag::SYN, flag::SYN | flag::ACK, flag::FIN | flag::ACK, flag::RST]);
    let numbers = (0u32..4, 0u32..4, prop::sample::select(vec![0u32, 1, 2]));
    let wire_len = prop_oneof![60u32..1500, Just(u32::MAX), Just(0)];
    (protocol, 0u8..4, 0u16..3, 0u8..4, 0u16..3, flags, numbers, wire_len).prop_map(
        |(protocol, a, p, b, q, flags, (sequence, acknowledgement, payload_len), wire_len)| {
            let packet = packet(protocol, (a, p), (b, q));
            let header = match packet.transport {
                Transport::Tcp => Header::Tcp(segment(flags, sequence, acknowledgement)),
                _ => packet.header,
            };
            as_parsed(ParsedPacket { header, payload_len, wire_len, ..packet })
        },
    )
}

fn any_actions() -> impl Strategy<Value = Vec<Action>> {
    let packets = || prop::collection::vec(any_packet(), 1..40).prop_map(Action::Packets);
    let silence = prop_oneof![1u64..4, 1u64..400, 30_000u64..36_000].prop_map(Action::Silence);
    let jump = (0u64..1 << 42).prop_map(Action::Jump);
    let actions = prop_oneof![6 => packets(), 5 => silence, 1 => jump, 1 => Just(Action::Drain)];
    prop::collection::vec(actions, 1..60)
}

fn any_timeouts() -> impl Strategy<Value = Timeouts> {
    let timeout = || (1u64..300).prop_map(|ticks| Duration::from_millis(100 * ticks));
    let times = (timeout(), timeout(), timeout(), timeout(), timeout(), prop::option::of(timeout()));
    times.prop_map(|(tcp_established, udp, udp_one_way, icmp, other, active)| Timeouts {
        tcp_established,
        udp,
        udp_one_way,
        icmp,
        other,
        active,
        ..Timeouts::default()
    })
}

/// The packet clock, and how the actions move it.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Tick,
}

impl Clock {
    fn jump(&mut self, milliseconds: u64) -> Step {
        let from = self.now.end();
        self.now = tick(milliseconds);
        Step { from, to: self.now.end() }
    }
}

type End = (Address, u16);

/// The same flow in the map.
#[derive(Clone, Debug)]
struct Entry {
    initiator: End,
    sent: HashMap<End, (u64, u64)>,
    opened: u64,
    active: u64,
}

#[derive(Debug, Default)]
struct Model {
    flows: HashMap<(u8, [End; 2]), Entry>,
    /// Ticks that passed, jumps left out.
    elapsed: u64,
}

impl Model {
    fn take(&mut self, packet: &ParsedPacket) {
        let (source, destination) =
            ((packet.source, packet.source_port), (packet.destination, packet.destination_port));
        let mut ends = [source, destination];
        ends.sort();
        let now = self.elapsed;
        let new = Entry { initiator: source, sent: HashMap::new(), opened: now, active: now };
        let entry = self.flows.entry((packet.protocol, ends)).or_insert(new);
        entry.active = now;
        let (packets, bytes) = entry.sent.entry(source).or_default();
        (*packets, *bytes) = (*packets + 1, *bytes + u64::from(packet.wire_len));
    }

    /// Lets ticks pass one at a time; what ends is told with its reason and the number of ticks since its last packet.
    fn pass(&mut self, ticks: u64, timeouts: &Timeouts) -> Vec<Ended> {
        let mut ended = Vec::new();
        for _ in 0..ticks {
            let end = self.elapsed;
            self.flows.retain(|(protocol, _), entry| {
                let in_ticks = |timeout: Duration| u64::try_from(timeout.as_millis() / 100).unwrap();
                let timeout = in_ticks(match protocol {
                    6 => timeouts.tcp_established,
                    17 if entry.sent.len() > 1 => timeouts.udp,
                    17 => timeouts.udp_one_way,
                    1 => timeouts.icmp,
                    _ => timeouts.other,
                });
                let idle = end - entry.active >= timeout;
                let cut = timeouts.active.is_some_and(|active| end - entry.opened >= in_ticks(active));
                if idle || cut {
                    let reason = if idle { EndReason::Idle } else { EndReason::ActiveTimeout };
                    ended.push((reason, volume(entry.initiator, &entry.sent)));
                }
                !(idle || cut)
            });
            self.elapsed += 1;
        }
        ended.sort();
        ended
    }
}

type Volume = (End, u64, u64, u64);
type Ended = (EndReason, Volume);

/// Initiator, packets from it, packets to it, bytes.
fn volume(initiator: End, sent: &HashMap<End, (u64, u64)>) -> Volume {
    let of = |own: bool| sent.iter().filter(move |(end, _)| (**end == initiator) == own).map(|(_, counts)| *counts);
    let packets = |own| of(own).map(|(packets, _)| packets).sum();
    (initiator, packets(true), packets(false), of(true).chain(of(false)).map(|(_, bytes)| bytes).sum())
}

fn recorded(record: &FlowRecord) -> Volume {
    (record.initiator(), record.stats.packets_c2s, record.stats.packets_s2c, record.bytes())
}

/// Few places at a time, so that most scans end inside a partition.
fn flows_in_their_places_answer_as_their_records(tracker: &ConnectionTracker) {
    let (mut place, mut shown) = (Place::default(), Vec::new());
    let mut see = |flow: LiveFlow<'_>| {
        let record = flow.record();
        assert_eq!((flow.key(), flow.state()), (record.key, record.stats.state));
        assert_eq!((flow.bytes(), flow.packets()), (record.bytes(), FlowView::packets(&record)));
        assert_eq!((flow.first_seen(), flow.last_seen()), (record.stats.first_seen, record.stats.last_seen));
        shown.push(record);
    };
    while !tracker.scan(&mut place, 3, &mut see) {}
    assert_eq!(shown, tracker.records().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flows_hold_the_packets_and_end_at_the_tick_that_a_map_with_deadlines_says(
        timeouts in any_timeouts(), actions in any_actions()
    ) {
        let mut tracker = tracker(Config { timeouts, ..Config::default() });
        let (mut model, mut clock, mut drained) = (Model::default(), Clock { now: tick(0) }, 0);
        let (mut sent, mut moved) = (0, 0);
        for action in actions {
            let (mut log, mut expected) = (Log::default(), Vec::new());
            match action {
                Action::Packets(mut packets) => {
                    // TCP in mid-connection: its volumes and its timeout; its states have claims of their own.
                    for packet in packets.iter_mut().filter(|packet| packet.transport == Transport::Tcp) {
                        *packet = as_parsed(ParsedPacket { header: Header::Tcp(ack(0, 0)), ..*packet });
                    }
                    tracker.observe(clock.now, &packets, &mut log);
                    packets.iter().for_each(|packet| model.take(packet));
                    sent += packets.iter().map(|packet| u64::from(packet.wire_len)).sum::<u64>();
                }
                Action::Silence(ticks) => {
                    clock.now.0 += ticks;
                    tracker.advance(clock.now, &mut log);
                    expected = model.pass(ticks, &timeouts);
                }
                Action::Jump(to) => tracker.step(clock.jump(to)),
                Action::Drain => tracker.drain_deltas(|_, delta| drained += delta.bytes_from_low + delta.bytes_from_high),
            }
            moved += log.moved;
            let mut ended: Vec<Ended> =
                log.closed.iter().map(|record| (record.end_reason.unwrap(), recorded(record))).collect();
            ended.sort();
            prop_assert_eq!(ended, expected);
            let mut live: Vec<Volume> = tracker.records().map(|record| recorded(&record)).collect();
            live.sort();
            let mut flows: Vec<Volume> = model.flows.values().map(|e| volume(e.initiator, &e.sent)).collect();
            flows.sort();
            prop_assert_eq!(tracker.len(), live.len());
            prop_assert_eq!(live, flows);
            flows_in_their_places_answer_as_their_records(&tracker);
        }
        tracker.drain_deltas(|_, delta| drained += delta.bytes_from_low + delta.bytes_from_high);
        prop_assert_eq!(drained + moved, sent);
    }

    #[test]
    fn the_next_due_tick_is_never_after_the_next_end(timeouts in any_timeouts(), packets in prop::collection::vec(any_packet(), 1..40)) {
        let (mut tracker, mut log) = (tracker(Config { timeouts, ..Config::default() }), Log::default());
        tracker.observe(tick(0), &packets, &mut log);
        while let Some(due) = tracker.next_due() {
            let (before, ends) = (tracker.len(), log.closed.len());
            tracker.advance(Tick(due.0 - 1), &mut log);
            prop_assert_eq!((tracker.len(), log.closed.len()), (before, ends));
            tracker.advance(due, &mut log);
        }
        prop_assert!(tracker.is_empty());
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_partitions_are_dealt(
        timeouts in any_timeouts(), actions in any_actions(), quiet in any::<bool>()
    ) {
        // Two records in each partition, so that some must make room.
        let config = Config { timeouts, max: 2 * PARTITIONS, ..Config::default() };
        let whole = play(config, 1, &actions, quiet);
        for shards in [2, 4, 64] {
            prop_assert_eq!(&play(config, shards, &actions, quiet), &whole);
        }
    }
}

/// Everything reported by so many trackers together, step by step; `quiet` shards hear of a tick only when they have
/// packets in it or time passes for all.
fn play(config: Config, shards: usize, actions: &[Action], quiet: bool) -> Vec<Vec<String>> {
    let each = PARTITIONS / shards;
    let mut trackers: Vec<_> = (0..shards)
        .map(|shard| ConnectionTracker::new(config, HashKey::FIXED, shard * each..(shard + 1) * each))
        .collect();
    let mut clock = Clock { now: tick(0) };
    let mut steps = Vec::new();
    for action in actions {
        let mut events = Lines::default();
        match action {
            Action::Packets(packets) => {
                let shard_of = |packet: &ParsedPacket| HashKey::FIXED.partition(&FlowKey::of(packet).unwrap().0) / each;
                for (shard, tracker) in trackers.iter_mut().enumerate() {
                    let own: Vec<_> = packets.iter().filter(|packet| shard_of(packet) == shard).copied().collect();
                    if !(quiet && own.is_empty()) {
                        tracker.observe(clock.now, &own, &mut events);
                    }
                }
            }
            Action::Silence(ticks) => {
                clock.now.0 += ticks;
                trackers.iter_mut().for_each(|tracker| tracker.advance(clock.now, &mut events));
            }
            Action::Jump(to) => {
                let step = clock.jump(*to);
                trackers.iter_mut().for_each(|tracker| tracker.step(step));
            }
            Action::Drain => {
                for tracker in &mut trackers {
                    tracker.drain_deltas(|partition, delta| events.0.push(format!("{partition} {delta:?}")));
                }
            }
        }
        events.0.sort();
        events.0.push(format!("{}", trackers.iter().map(ConnectionTracker::len).sum::<usize>()));
        steps.push(events.0);
    }
    steps
}

/// Events as text.
#[derive(Default)]
struct Lines(Vec<String>);

impl Listener for Lines {
    fn on(&mut self, event: Event<'_>) {
        self.0.push(format!("{event:?}"));
    }
}

/// Packets of two conversations, one of them TCP: late, repeated, out of order, of the greatest length, but most of them
/// such as go on with what was before.
fn any_of_two_conversations() -> impl Strategy<Value = Vec<ParsedPacket>> {
    let control = prop::sample::select(vec![flag::SYN, flag::SYN | flag::ACK, flag::FIN | flag::ACK, flag::RST]);
    let flags = prop_oneof![40 => Just(flag::ACK), 4 => Just(flag::ACK | flag::PSH), 1 => control];
    let wire_len = prop_oneof![9 => 60u32..1500, 1 => Just(u32::MAX)];
    let kind = (any::<bool>(), any::<bool>(), flags);
    let numbers = (0u32..8, 0u32..8, 0u32..3, prop_oneof![9 => Just(512u16), 1 => Just(0)]);
    let packets = (kind, numbers, wire_len, 0u64..50, prop_oneof![4 => Just(1usize), 1 => 1..300usize]);
    packets.prop_map(
        |((is_tcp, is_reply, flags), (sequence, acknowledgement, payload_len, window), wire_len, time, times)| {
            let (client, server) = ((2, 40_000), (1, 443));
            let (from, to) = if is_reply { (server, client) } else { (client, server) };
            let packet = packet(if is_tcp { 6 } else { 17 }, from, to);
            let segment = TcpSegment { window, ..segment(flags, sequence, acknowledgement) };
            let header = if is_tcp { Header::Tcp(segment) } else { packet.header };
            vec![ParsedPacket { header, payload_len, wire_len, timestamp: at(time), ..packet }; times]
        },
    )
}

proptest! {
    #[test]
    fn the_short_way_that_most_packets_go_ends_where_the_long_one_does(
        seconds in prop::collection::vec(prop::collection::vec(any_of_two_conversations(), 1..40), 1..8),
        continuous_rtt in any::<bool>(),
    ) {
        let config = Config { continuous_rtt, ..Config::default() };
        let [mut short, mut long] = [tracker(config), tracker(config)];
        let [mut short_log, mut long_log] = [Log::default(), Log::default()];
        for (second, packets) in seconds.iter().enumerate() {
            let now = tick(1000 * second as u64);
            for packet in packets.iter().flatten() {
                short.observe(now, &[as_parsed(*packet)], &mut short_log);
                long.observe(now, &[ParsedPacket { is_plain: false, ..*packet }], &mut long_log);
            }
            prop_assert_eq!(short.records().collect::<Vec<_>>(), long.records().collect::<Vec<_>>());
            let [mut moved, mut expected] = [Vec::new(), Vec::new()];
            short.drain_deltas(|_, delta| moved.push(delta));
            long.drain_deltas(|_, delta| expected.push(delta));
            prop_assert_eq!(moved, expected);
        }
        short.shutdown(&mut short_log);
        long.shutdown(&mut long_log);
        prop_assert_eq!(format!("{short_log:?}"), format!("{long_log:?}"));
    }
}
