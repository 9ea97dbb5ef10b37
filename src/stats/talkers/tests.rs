//! Tables against sums of all deltas.

use super::*;
use crate::flow::FlowKey;
use crate::packet::{InterfaceId, VlanStack};
use crate::stats::{TalkerConfig, TalkerTable};
use crate::time::Tick;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one flow moved in a second, as the tracker reports it.
#[derive(Clone, Copy, Debug)]
struct Flow {
    low: u16,
    high: u16,
    port: u16,
    low_is_initiator: bool,
    udp: bool,
    ipv6: bool,
    portless: bool,
    moved: [u64; 2],
}

impl Flow {
    /// Any fixed function of the flow.
    fn partition(&self) -> usize {
        (usize::from(self.low) * 7 + usize::from(self.high) * 13 + usize::from(self.port)) % PARTITIONS
    }

    fn delta(&self) -> FlowDelta {
        let address = |n: u16| Address(u128::from(n).to_be_bytes());
        let (responder, initiator) = (self.port, 40_000);
        let (low_port, high_port) = if self.low_is_initiator { (initiator, responder) } else { (responder, initiator) };
        let key = FlowKey {
            low: address(self.low),
            high: address(self.low + self.high),
            vlan: VlanStack::default(),
            low_port,
            high_port,
            interface: InterfaceId(0),
            protocol: if self.portless {
                47
            } else if self.udp {
                17
            } else {
                6
            },
            kind: u8::from(self.ipv6) | if self.portless { 0 } else { 2 },
        };
        let [bytes_from_low, bytes_from_high] = self.moved;
        FlowDelta { key, low_is_initiator: self.low_is_initiator, bytes_from_low, bytes_from_high }
    }

    /// The rows that its bytes belong to, list by list.
    fn rows(&self) -> [Vec<(TalkerKey, [u64; 2])>; 3] {
        let FlowDelta { key, bytes_from_low: low, bytes_from_high: high, .. } = self.delta();
        let ip = |address: Address| address.to_ip(key.network());
        let hosts = vec![(TalkerKey::Host(ip(key.low)), [low, high]), (TalkerKey::Host(ip(key.high)), [high, low])];
        let pairs = vec![(TalkerKey::Pair(ip(key.low), ip(key.high)), [low, high])];
        let from_responder = if self.low_is_initiator { [high, low] } else { [low, high] };
        let ports = vec![(TalkerKey::Port(key.transport(), self.port), from_responder)];
        [hosts, pairs, if self.portless { Vec::new() } else { ports }]
    }
}

fn flow(addresses: u16, ports: u16) -> impl Strategy<Value = Flow> {
    let ends = (0..addresses, 0..addresses, 0..ports);
    let moved = prop_oneof![Just(0_u64), 60..1500_u64, 0..1_000_000_u64];
    let kind = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    (ends, kind, moved.clone(), moved).prop_map(|((low, high, port), kind, from_low, from_high)| {
        let (low_is_initiator, udp, ipv6, portless) = kind;
        Flow { low, high, port, low_is_initiator, udp, ipv6, portless, moved: [from_low, from_high] }
    })
}

/// Flows that moved something in each of some seconds, with silence between.
fn seconds(addresses: u16, ports: u16, flows: usize) -> impl Strategy<Value = Vec<(u64, Vec<Flow>)>> {
    let silence = prop_oneof![8 => Just(1_u64), 3 => 2..9_u64, 1 => 50..130_u64];
    prop::collection::vec((silence, prop::collection::vec(flow(addresses, ports), 0..flows)), 1..25)
}

/// The talkers of the flows whose partition is dealt to `shard` of `shards`.
fn summed(flows: &[Flow], keys: usize, shard: usize, shards: usize) -> Talkers {
    let mut sketches = TalkerSketches::new(TalkerConfig { keys, ..TalkerConfig::default() });
    let mine = flows.iter().filter(|flow| flow.partition() % shards == shard);
    mine.for_each(|flow| sketches.add(flow.partition(), &flow.delta()));
    let mut talkers = Talkers::new(keys);
    sketches.hand_over(&mut talkers);
    talkers
}

const WINDOWS: [u64; 4] = [1, 10, 60, 100];

fn windows(config: TalkerConfig) -> TalkerWindows {
    TalkerWindows::new(&WINDOWS.map(Duration::from_secs), config)
}

/// Bytes of every key in the last `window` seconds, list by list, and the bytes of all flows.
fn recomputed(history: &[(u64, Vec<Flow>)], now: u64, window: u64) -> ([BTreeMap<TalkerKey, [u64; 2]>; 3], [u64; 3]) {
    let unit = window.div_ceil(60);
    let part = |second: u64| second.div_ceil(unit);
    let mut sums: [BTreeMap<TalkerKey, [u64; 2]>; 3] = Default::default();
    let mut totals = [0; 3];
    for (_, flows) in history.iter().filter(|(second, _)| part(*second) + window / unit > part(now)) {
        for flow in flows {
            let bytes = flow.moved[0] + flow.moved[1];
            totals = [totals[0] + 2 * bytes, totals[1] + bytes, totals[2] + bytes];
            for (list, rows) in sums.iter_mut().zip(flow.rows()) {
                for (key, moved) in rows.into_iter().filter(|(_, moved)| moved[0] + moved[1] > 0) {
                    let sum = list.entry(key).or_default();
                    *sum = [sum[0] + moved[0], sum[1] + moved[1]];
                }
            }
        }
    }
    (sums, totals)
}

fn lists(table: &TalkerTable) -> [&[crate::stats::Talker]; 3] {
    [&table.hosts, &table.pairs, &table.ports]
}

/// Plays seconds into windows; `see` gets the seconds so far with their absolute numbers.
fn play(
    steps: &[(u64, Vec<Flow>)],
    mut windows: TalkerWindows,
    fold: impl Fn(&mut TalkerWindows, Tick, &[Flow]),
    mut see: impl FnMut(&mut TalkerWindows, &[(u64, Vec<Flow>)], u64),
) -> TalkerWindows {
    let (mut second, mut history) = (1_000, Vec::new());
    windows.restart(Tick(second * 10));
    for (silence, flows) in steps {
        second += silence;
        let tick = Tick(second * 10);
        windows.advance(tick);
        fold(&mut windows, tick, flows);
        history.push((second, flows.clone()));
        see(&mut windows, &history, second);
    }
    windows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn tables_are_exact_while_keys_fit(steps in seconds(6, 5, 12)) {
        // 4 keys for each partition would be too few for all flows in one; 64 are enough, and 512 for a second.
        let config = TalkerConfig { top: 7, keys: 64 * PARTITIONS, export: false };
        let fold = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            windows.fold(tick, &summed(flows, config.keys, 0, 1));
        };
        play(&steps, windows(config), fold, |windows, history, now| {
            for (table, window) in windows.tables().iter().zip(WINDOWS) {
                let (sums, totals) = recomputed(history, now, window);
                assert_eq!(table.error_bound, [0; 3]);
                for (n, rows) in lists(table).into_iter().enumerate() {
                    let mut expected: Vec<_> = sums[n].iter().map(|(key, [from, to])| (from + to, *key, *from)).collect();
                    expected.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
                    expected.truncate(7);
                    let shown: Vec<_> = rows.iter().map(|r| (r.from_bytes + r.to_bytes, r.key, r.from_bytes)).collect();
                    assert_eq!(shown, expected, "list {n} of {window} s");
                    let listed: u64 = rows.iter().map(|row| row.from_bytes + row.to_bytes).sum();
                    assert_eq!(listed + table.other[n][0] + table.other[n][1], totals[n]);
                }
            }
        });
    }

    #[test]
    fn beyond_the_cap_no_row_is_too_large_or_short_of_more_than_the_bound(steps in seconds(40, 300, 120)) {
        let config = TalkerConfig { top: 5, keys: 2 * PARTITIONS, export: false };
        let fold = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            windows.fold(tick, &summed(flows, config.keys, 0, 1));
        };
        play(&steps, windows(config), fold, |windows, history, now| {
            for (table, window) in windows.tables().iter().zip(WINDOWS) {
                let (sums, totals) = recomputed(history, now, window);
                for (n, rows) in lists(table).into_iter().enumerate() {
                    let bound = table.error_bound[n];
                    for row in rows {
                        let [from, to] = sums[n][&row.key];
                        assert!(row.from_bytes <= from && row.to_bytes <= to);
                        assert!(from + to - row.from_bytes - row.to_bytes <= bound);
                    }
                    let last = if rows.len() < 5 { 0 } else { rows[4].from_bytes + rows[4].to_bytes };
                    for (key, [from, to]) in &sums[n] {
                        assert!(rows.iter().any(|row| row.key == *key) || from + to <= last + bound);
                    }
                    let listed: u64 = rows.iter().map(|row| row.from_bytes + row.to_bytes).sum();
                    assert_eq!(listed + table.other[n][0] + table.other[n][1], totals[n]);
                }
            }
        });
    }

    #[test]
    fn the_number_and_order_of_shards_leave_no_trace_even_beyond_the_cap(
        steps in seconds(40, 300, 120),
        order in Just([0, 1, 2]).prop_shuffle(),
    ) {
        let config = TalkerConfig { top: 5, keys: 2 * PARTITIONS, export: false };
        let one = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            windows.fold(tick, &summed(flows, config.keys, 0, 1));
        };
        let several = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            order.iter().for_each(|shard| windows.fold(tick, &summed(flows, config.keys, *shard, 3)));
        };
        let mut tables = Vec::new();
        let one = play(&steps, windows(config), one, |windows, _, _| tables.push(windows.tables().to_vec()));
        let mut tables = tables.into_iter();
        let several = play(&steps, windows(config), several, |windows, _, _| {
            assert_eq!(Some(windows.tables().to_vec()), tables.next());
        });
        prop_assert_eq!(one.purged(), several.purged());
    }

    #[test]
    fn absorbing_equals_folding_both(steps in seconds(6, 5, 12)) {
        let config = TalkerConfig { top: 7, keys: 64 * PARTITIONS, export: false };
        let both = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            let (one, other) = flows.split_at(flows.len() / 2);
            windows.fold(tick, &summed(one, config.keys, 0, 1));
            windows.fold(tick, &summed(other, config.keys, 0, 1));
        };
        let absorbed = |windows: &mut TalkerWindows, tick, flows: &[Flow]| {
            let (one, other) = flows.split_at(flows.len() / 2);
            let mut talkers = summed(one, config.keys, 0, 1);
            talkers.absorb(&summed(other, config.keys, 0, 1));
            windows.fold(tick, &talkers);
        };
        let mut both = play(&steps, windows(config), both, |_, _, _| {});
        let mut absorbed = play(&steps, windows(config), absorbed, |_, _, _| {});
        prop_assert_eq!(both.tables(), absorbed.tables());
    }
}

#[test]
fn a_tally_that_waits_for_a_minute_keeps_its_bound() {
    let keys = 2 * PARTITIONS;
    let mut talkers = Talkers::new(keys);
    let mut bytes = 0;
    for second in 0..60_u16 {
        let flow = |n: u16| Flow {
            low: second * 500 + n,
            high: 1,
            port: n,
            low_is_initiator: true,
            udp: false,
            ipv6: false,
            portless: false,
            moved: [100, 0],
        };
        let flows: Vec<_> = (0..300).map(flow).collect();
        bytes += 300 * 100;
        talkers.absorb(&summed(&flows, keys, 0, 1));
        assert!(talkers.hosts.rows.len() <= 2 * keys && talkers.services.rows.len() <= 2 * keys);
    }
    assert_eq!(talkers.pairs.total, [bytes, 0]);
}

#[test]
fn a_time_step_empties_the_tables() {
    let config = TalkerConfig::default();
    let mut windows = windows(config);
    let flow = Flow {
        low: 1,
        high: 1,
        port: 80,
        low_is_initiator: true,
        udp: false,
        ipv6: false,
        portless: false,
        moved: [100, 0],
    };
    windows.fold(Tick(100), &summed(&[flow], config.keys, 0, 1));
    assert_eq!(windows.tables()[0].hosts.len(), 2);
    windows.restart(Tick(50));
    assert!(windows.tables().iter().all(|table| table.hosts.is_empty() && table.other == [[0; 2]; 3]));
}
