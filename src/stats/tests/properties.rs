//! Random histories with silence, time steps, late packets and several shards.

use super::packets::{check_totals, counters, packet, volume};
use super::*;
use hdrhistogram::Histogram;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Something that happens to the aggregator.
#[derive(Clone, Debug)]
enum Act {
    /// Time passes by this many ticks.
    Wait(u64),
    /// Packets and handshake round trips in the open tick, told as belonging to a tick that much earlier.
    Traffic { packets: Vec<ParsedPacket>, rtts: Vec<(u16, Side, u64)>, late: u64 },
    /// A time step to this tick.
    Step(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Side::Client), Just(Side::Server)];
    let nanos = prop_oneof![0..10_000_u64, 0..5_000_000_000_u64, any::<u64>()];
    let rtts = prop::collection::vec((0..3_u16, side, nanos), 0..4);
    let packets = prop::collection::vec(packet(), 0..4);
    let traffic = (packets, rtts, 0..12_u64).prop_map(|(packets, rtts, late)| Act::Traffic { packets, rtts, late });
    let wait = prop_oneof![4 => 1..3_u64, 3 => 1..25_u64, 2 => 50..700_u64, 1 => 700..36_000_u64];
    prop_oneof![8 => traffic, 8 => wait.prop_map(Act::Wait), 1 => (0..2_000_000_u64).prop_map(Act::Step)]
}

fn history() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..50)
}

fn config() -> Config {
    Config {
        windows: [1, 2, 7, 60, 100].map(Duration::from_secs).to_vec(),
        vlans: Some(VlanConfig { max: 4096 }),
        classes: vec![Class { name: "zero".to_owned(), prefixes: vec!["10.0.0.0/24".parse().unwrap()] }],
        ports: vec![3, 1],
        continuous_rtt: true,
        ..Config::default()
    }
}

/// Prefix and ports of [`config`], as the recomputation tells them.
fn is_class_zero(address: Address) -> bool {
    address.0[12..15] == [10, 0, 0]
}

/// What was folded, when, and after how many steps.
#[derive(Default)]
struct Model {
    now: u64,
    steps: usize,
    packets: Vec<(usize, u64, ParsedPacket)>,
    rtts: Vec<(usize, u64, (u16, Side, u64))>,
}

impl Model {
    fn of(&self, interface: usize) -> Vec<&ParsedPacket> {
        self.in_ticks(interface, 0..=self.steps, 0..=u64::MAX)
    }

    fn in_ticks(
        &self,
        interface: usize,
        steps: std::ops::RangeInclusive<usize>,
        ticks: std::ops::RangeInclusive<u64>,
    ) -> Vec<&ParsedPacket> {
        let within = |(step, tick, packet): &&(usize, u64, ParsedPacket)| {
            usize::from(packet.interface.0) == interface && steps.contains(step) && ticks.contains(tick)
        };
        self.packets.iter().filter(within).map(|(_, _, packet)| packet).collect()
    }

    /// The greatest volumes of ten ticks that lie in one history and end at one of `ends`.
    fn peak(&self, interface: usize, steps: std::ops::RangeInclusive<usize>, first: u64, last: u64) -> Peak {
        let mut peak = Peak::default();
        for step in steps {
            let ticks = self.packets.iter().filter(|(of, ..)| *of == step).map(|(_, tick, _)| *tick);
            let ends = ticks.flat_map(|tick| tick..tick + 10).chain([first]);
            for end in ends.filter(|end| *end >= first && *end <= last) {
                let second = self.in_ticks(interface, step..=step, (end + 1).saturating_sub(10)..=end);
                let sums = counters(&second).volume;
                for (greatest, sum) in peak.volume.iter_mut().zip(sums) {
                    greatest.packets = greatest.packets.max(sum.packets);
                    greatest.bytes = greatest.bytes.max(sum.bytes);
                }
            }
        }
        peak
    }

    fn check_classes(&self, snapshot: &Snapshot) {
        let packets: Vec<_> = self.packets.iter().map(|(.., packet)| packet).collect();
        for (row, from) in [true, false].into_iter().enumerate() {
            for (column, to) in [true, false].into_iter().enumerate() {
                let matches = |p: &ParsedPacket| {
                    let v4 = p.network == Network::Ipv4;
                    let ends = (v4 && is_class_zero(p.source), v4 && is_class_zero(p.destination));
                    p.network.is_ip() && ends == (from, to)
                };
                assert_eq!(snapshot.classes[row][column], volume(&packets, &matches));
            }
        }
    }

    fn quantiles(&self, interface: usize, side: Side, seconds: u64) -> Quantiles {
        let unit = seconds.div_ceil(60);
        let part = |tick: u64| tick.div_ceil(10).div_ceil(unit);
        let inside = |step: usize, tick: u64| step == self.steps && part(tick) + seconds / unit > part(self.now);
        let of = |(id, of, nanos): (u16, Side, u64)| (usize::from(id) == interface && of == side).then_some(nanos);
        let values = self.rtts.iter().filter(|(step, tick, _)| inside(*step, *tick)).filter_map(|(.., rtt)| of(*rtt));
        let mut values: Vec<u64> = values.map(|nanos| nanos.min(100_000_000_000)).collect();
        values.sort_unstable();
        let grid = Histogram::<u64>::new_with_bounds(1_000, 100_000_000_000, 2).unwrap();
        let at = |percent: usize| {
            let rank = (percent * values.len()).div_ceil(100);
            values.get(rank.max(1) - 1).map_or(0, |value| grid.highest_equivalent(*value))
        };
        Quantiles { count: values.len() as u64, p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }

    fn check(&self, snapshot: &Snapshot, config: &Config) {
        assert_eq!(snapshot.tick, Some(Tick(self.now)));
        self.check_classes(snapshot);
        for (interface, shown) in snapshot.interfaces.iter().enumerate() {
            check_totals(shown, &self.of(interface));
            let rtts = self.rtts.iter().filter(|(_, _, (id, ..))| usize::from(*id) == interface);
            assert_eq!(shown.rtt.as_ref().map(Buckets::sum), Some(rtts.map(|(.., rtt)| u128::from(rtt.2)).sum()));
            assert_eq!(shown.peak, self.peak(interface, 0..=self.steps, 0, u64::MAX), "peak since the start");
            for (window, length) in shown.windows.iter().zip(&config.windows) {
                let ticks = length.as_secs() * 10;
                let inside = (self.now + 1).saturating_sub(ticks)..=self.now;
                let packets = self.in_ticks(interface, self.steps..=self.steps, inside);
                assert_eq!(window.sums, counters(&packets), "window of {length:?}");
                let first_end = (self.now + 10).saturating_sub(ticks);
                let peak = self.peak(interface, self.steps..=self.steps, first_end, self.now);
                assert_eq!(window.peak, peak, "peak in {length:?}");
                for side in Side::ALL {
                    let expected = self.quantiles(interface, side, length.as_secs());
                    assert_eq!(window.handshake_rtt[side as usize], expected, "{side:?} in {length:?}");
                }
            }
        }
    }
}

fn tally(config: &Config, packets: &[ParsedPacket], rtts: &[(u16, Side, u64)]) -> Tally {
    let mut tally = tally_of(config, packets);
    for (interface, side, nanos) in rtts {
        let flow = nanos ^ 5;
        let interface = InterfaceId(*interface);
        tally.on(Event::HandshakeRtt { interface, side: *side, nanos: *nanos, flow });
        tally.on(Event::Rtt { interface, nanos: *nanos });
        tally.on(Event::Evicted { victim: Victim::ALL[(nanos % 3) as usize] });
        tally.on(Event::Untracked { reason: Untracked::ALL[(nanos % 3) as usize] });
        tally.late(nanos % 2);
    }
    tally
}

const START: u64 = 10_845;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Plays a history; `fold` hands over the traffic of one act, `see` looks at the aggregator after each act.
fn play(
    history: &[Act],
    config: &Config,
    mut fold: impl FnMut(&mut StatsAggregator, Tick, &[ParsedPacket], &[(u16, Side, u64)]),
    mut see: impl FnMut(&mut StatsAggregator, &Model),
) -> Arc<Snapshot> {
    let mut aggregator = aggregator(config, &NAMES);
    let mut model = Model { now: START, ..Model::default() };
    aggregator.advance(Tick(START));
    for act in history {
        match act {
            Act::Wait(ticks) => {
                model.now += ticks;
                aggregator.advance(Tick(model.now));
            }
            Act::Traffic { packets, rtts, late } => {
                let record = Timestamp::from_nanos((model.now - late.min(&model.now)) * Tick::NANOS);
                let stamped: Vec<_> = packets.iter().map(|p| ParsedPacket { timestamp: record, ..*p }).collect();
                fold(&mut aggregator, Tick(model.now - late.min(&model.now)), &stamped, rtts);
                model.packets.extend(stamped.iter().map(|packet| (model.steps, model.now, *packet)));
                model.rtts.extend(rtts.iter().map(|rtt| (model.steps, model.now, *rtt)));
            }
            Act::Step(to) => {
                let at = |tick| Tick(tick).end();
                aggregator.step(Step { from: at(model.now), to: at(*to) });
                model.steps += 1;
                model.now = *to;
            }
        }
        see(&mut aggregator, &model);
    }
    aggregator.snapshot()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_snapshot_equals_a_recomputation_from_all_packets(history in history()) {
        let config = config();
        let fold = |aggregator: &mut StatsAggregator, tick, packets: &[_], rtts: &[_]| {
            aggregator.fold(tick, &tally(&config, packets, rtts));
        };
        play(&history, &config, fold, |aggregator, model| model.check(&aggregator.snapshot(), &config));
    }

    #[test]
    fn snapshots_taken_between_leave_no_trace(history in history()) {
        let config = config();
        let fold = |aggregator: &mut StatsAggregator, tick, packets: &[_], rtts: &[_]| {
            aggregator.fold(tick, &tally(&config, packets, rtts));
        };
        let watched = play(&history, &config, fold, |aggregator, _| drop(aggregator.snapshot()));
        let alone = play(&history, &config, fold, |_, _| {});
        prop_assert_eq!(format!("{watched:?}"), format!("{alone:?}"));
    }

    #[test]
    fn shards_folded_in_any_order_or_absorbed_give_the_same_snapshot(
        history in history(),
        deal in prop::collection::vec(0..3_usize, 1..20),
        order in Just([0, 1, 2]).prop_shuffle(),
    ) {
        let config = config();
        let one = |aggregator: &mut StatsAggregator, tick, packets: &[_], rtts: &[_]| {
            aggregator.fold(tick, &tally(&config, packets, rtts));
        };
        let shards = |packets: &[ParsedPacket], rtts: &[(u16, Side, u64)]| {
            let dealt = |n: usize| deal[n % deal.len()];
            let mine = |shard| move |(n, _): &(usize, _)| dealt(*n) == shard;
            order.map(|shard| {
                let packets: Vec<_> = packets.iter().copied().enumerate().filter(|(n, _)| dealt(*n) == shard).collect();
                let packets: Vec<_> = packets.into_iter().map(|(_, packet)| packet).collect();
                let rtts: Vec<_> = rtts.iter().copied().enumerate().filter(mine(shard)).map(|(_, rtt)| rtt).collect();
                tally(&config, &packets, &rtts)
            })
        };
        let several = |aggregator: &mut StatsAggregator, tick, packets: &[_], rtts: &[_]| {
            shards(packets, rtts).iter().for_each(|shard| aggregator.fold(tick, shard));
        };
        let mut reused = Tally::new(&config);
        let absorbed = |aggregator: &mut StatsAggregator, tick, packets: &[_], rtts: &[_]| {
            reused.clear();
            shards(packets, rtts).iter().for_each(|shard| reused.absorb(shard));
            aggregator.fold(tick, &reused);
        };
        let expected = format!("{:?}", play(&history, &config, one, |_, _| {}));
        prop_assert_eq!(&format!("{:?}", play(&history, &config, several, |_, _| {})), &expected);
        prop_assert_eq!(&format!("{:?}", play(&history, &config, absorbed, |_, _| {})), &expected);
    }
}
