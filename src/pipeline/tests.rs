//! The whole way from frames to a snapshot, against a recomputation from the list of frames.

use super::{Collector, Dealer, FlowFeed, FlowReceiver, Keep, Mode, Selection, Shard, Shards, Watcher, partitions};
use crate::capture::{FrameSink, InterfaceInfo};
use crate::flow::{self, EndReason, FlowRecord, HashKey};
use crate::packet::build::{Builder, frame};
use crate::packet::{Frame, InterfaceId, Linktype, PacketMeta, Perspective};
use crate::stats::{self, Snapshot, StatsAggregator};
use crate::time::{NANOS_PER_SECOND, PacketClock, Step, Tick, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// A frame as generated: how the record time moves, which host sends, how long it was on the wire.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Timestamp,
    host: u8,
    wire_len: u32,
}

/// Record times that mostly go on in milliseconds, with silence, late frames, and steps in both directions.
fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let second = NANOS_PER_SECOND.cast_signed();
    let change = prop_oneof![
        12 => 0..50_000_000_i64,
        4 => 0..5 * second,
        3 => -second..0_i64,
        1 => 60 * second..3_000 * second,
        1 => 3_601 * second..100_000 * second,
        1 => -100_000 * second..-2 * second,
    ];
    let frames = prop::collection::vec((change, any::<u8>(), 60..1514_u32), 1..200);
    frames.prop_map(move |frames| {
        let mut at = 1_700_000_000 * second;
        let sent = |(change, host, wire_len)| {
            at += change;
            Sent { at: Timestamp::from_nanos(at.cast_unsigned()), host, wire_len }
        };
        frames.into_iter().map(sent).collect()
    })
}

fn play(sent: &[Sent], shards: usize) -> (Arc<Snapshot>, Vec<FlowRecord>) {
    play_before(sent, shards, Vec::new(), Vec::new())
}

fn play_before(
    sent: &[Sent],
    shards: usize,
    watchers: Vec<Box<dyn Watcher>>,
    feeds: Vec<FlowFeed>,
) -> (Arc<Snapshot>, Vec<FlowRecord>) {
    let config = stats::Config::default();
    let (shards, receivers): (Vec<_>, Vec<_>) = (0..shards)
        .map(|n| {
            let partitions = partitions(n, shards);
            let flows = flow::Config::default();
            let (shard, reports) =
                Shard::new(n, flows, &config, HashKey::FIXED, partitions, Mode::Replay, Some(Keep::All));
            (shard.feeding(feeds.clone()), reports)
        })
        .unzip();
    drop(feeds);
    let (collector, publisher) = Collector::new(StatsAggregator::new(config), receivers, None, Some("replay"));
    let collector = collector.watched_by(watchers);
    let collector = std::thread::spawn(move || collector.replay());
    let mut dealer = Dealer::new(Shards::start(shards).unwrap(), HashKey::FIXED, publisher, Vec::new());
    dealer.interface(&InterfaceInfo {
        id: InterfaceId(0),
        name: "eth0".into(),
        linktypes: vec![Linktype::Ethernet],
        perspective: Perspective::default(),
    });
    for sent in sent {
        let bytes = Builder::ethernet().ipv4([10, 0, 0, sent.host], [10, 0, 1, 1]).udp(1000, 53).build();
        let meta = frame(Linktype::Ethernet, &bytes).meta;
        let meta = PacketMeta { timestamp: sent.at, wire_len: sent.wire_len, ..meta };
        dealer.frames(&[Frame { meta, bytes: &bytes }]);
    }
    let flows = Selection::into_report(dealer.finish(), Keep::All);
    (collector.join().unwrap(), flows)
}

/// Bytes by tick since the last time step, by the rules of the packet clock; and the last tick.
fn ticks(sent: &[Sent]) -> (Vec<(u64, u64)>, u64) {
    let (mut clock, mut ticks, mut open) = (PacketClock::default(), Vec::new(), 0);
    for sent in sent {
        match clock.advance(sent.at) {
            crate::time::Advance::Stepped(_) => {
                ticks.clear();
                open = Tick::of(sent.at).0;
            }
            crate::time::Advance::Ticked => open = Tick::of(sent.at).0,
            crate::time::Advance::Same | crate::time::Advance::Late => {}
        }
        ticks.push((open, u64::from(sent.wire_len)));
    }
    (ticks, open)
}

fn between(ticks: &[(u64, u64)], after: u64, up_to: u64) -> u64 {
    ticks.iter().filter(|(tick, _)| *tick > after && *tick <= up_to).map(|(_, bytes)| bytes).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_peaks_and_totals_are_those_of_the_packet_list(sent in traffic()) {
        let (snapshot, flows) = play(&sent, 1);
        let interface = &snapshot.interfaces[0];
        let bytes: u64 = sent.iter().map(|sent| u64::from(sent.wire_len)).sum();
        prop_assert_eq!(interface.totals.volume[0].bytes, bytes);
        prop_assert_eq!(flows.iter().map(FlowRecord::bytes).sum::<u64>(), bytes);
        prop_assert_eq!(interface.packet_size.count(), sent.len() as u64);
        prop_assert_eq!(interface.first_seen, sent.iter().map(|sent| sent.at).min());

        let (ticks, now) = ticks(&sent);
        for window in &interface.windows {
            let length = window.length.as_secs() * Tick::PER_SECOND;
            let start = now.saturating_sub(length);
            prop_assert_eq!(window.sums.volume[0].bytes, between(&ticks, start, now), "{:?}", window.length);
            // Ten consecutive ticks inside the window: they end at its eleventh tick at the earliest.
            let seconds = (start + Tick::PER_SECOND..=now).map(|end| between(&ticks, end - Tick::PER_SECOND, end));
            prop_assert_eq!(window.peak.volume[0].bytes, seconds.max().unwrap_or(0), "{:?}", window.length);
        }
    }

    #[test]
    fn the_number_of_shards_does_not_show(sent in traffic(), shards in 2..5_usize) {
        let (one, flows_of_one) = play(&sent, 1);
        let (several, flows_of_several) = play(&sent, shards);
        prop_assert_eq!(flows_of_one, flows_of_several);
        prop_assert_eq!(&one.own, &several.own);
        prop_assert_eq!(&one.talkers, &several.talkers);
        for (one, several) in one.interfaces.iter().zip(&several.interfaces) {
            prop_assert_eq!(&one.totals, &several.totals);
            prop_assert_eq!(&one.peak, &several.peak);
            for (one, several) in one.windows.iter().zip(&several.windows) {
                prop_assert_eq!((&one.sums, &one.peak, one.full), (&several.sums, &several.peak, several.full));
            }
        }
    }
}

/// What a watcher was shown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// A tick, and the bytes in the longest window.
    Picture(Tick, u64),
    Step(Step),
}

/// Writes down what it is shown, and needs pictures until a while after the newest one with frames.
#[derive(Debug)]
struct Witness {
    told: Sender<Shown>,
    wait: u64,
    deadline: Option<Tick>,
}

impl Watcher for Witness {
    fn picture(&mut self, snapshot: &Arc<Snapshot>) {
        let tick = snapshot.tick.unwrap();
        let window = snapshot.interfaces.first().and_then(|interface| interface.windows.last());
        let bytes = window.map_or(0, |window| window.sums.volume[0].bytes);
        if bytes > 0 {
            self.deadline = Some(Tick(tick.0 + self.wait));
        }
        self.told.send(Shown::Picture(tick, bytes)).unwrap();
    }

    fn step(&mut self, step: Step) {
        self.told.send(Shown::Step(step)).unwrap();
    }

    fn deadline(&self) -> Option<Tick> {
        self.deadline
    }
}

fn watched(sent: &[Sent], shards: usize, wait: u64) -> Vec<Shown> {
    let (told, shown) = channel();
    let _ = play_before(sent, shards, vec![Box::new(Witness { told, wait, deadline: None })], Vec::new());
    shown.into_iter().collect()
}

/// Frames at these milliseconds.
fn at_millis(millis: &[u64]) -> Vec<Sent> {
    let base = 1_700_000_000 * NANOS_PER_SECOND;
    let sent = |millis: &u64| Sent { at: Timestamp::from_nanos(base + millis * 1_000_000), host: 1, wire_len: 100 };
    millis.iter().map(sent).collect()
}

/// Runs of ticks without a hole, from the first one on.
fn runs(shown: &[Shown]) -> Vec<(u64, u64)> {
    let ticks = shown.iter().filter_map(|shown| match shown {
        Shown::Picture(tick, _) => Some(tick.0 - 17_000_000_000),
        Shown::Step(_) => None,
    });
    ticks.fold(Vec::new(), |mut runs, tick| {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == tick => *last = tick,
            _ => runs.push((tick, tick)),
        }
        runs
    })
}

#[test]
fn in_silence_a_watcher_sees_every_tick_until_windows_are_empty_and_its_deadline_has_passed() {
    let frames = at_millis(&[0, 500_000]);
    // The flow ends after 30 s, in tick 301, and the longest window is of 60 s.
    assert_eq!(runs(&watched(&frames, 1, 0)), [(0, 901), (5_000, 5_000)]);
    // In tick 599 the longest window still has the frame, and the witness asks for 100 s more.
    assert_eq!(runs(&watched(&frames, 1, 1_000)), [(0, 1_599), (5_000, 5_000)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn watchers_are_shown_the_same_whatever_the_number_of_shards(sent in traffic(), shards in 2..5_usize) {
        let shown = watched(&sent, 1, 300);
        prop_assert_eq!(&shown, &watched(&sent, shards, 300));
        let mut last = None;
        for shown in shown {
            match shown {
                Shown::Picture(tick, _) => {
                    prop_assert!(last.is_none_or(|last| tick > last), "{last:?} {tick:?}");
                    last = Some(tick);
                }
                Shown::Step(_) => last = None,
            }
        }
    }
}

/// All that a reader of ended flows gets.
fn all_of(receiver: &FlowReceiver) -> Vec<FlowRecord> {
    std::iter::from_fn(|| receiver.next_batch()).flatten().map(|flow| flow.record).collect()
}

/// The flows that each of two readers is fed, in the order of reports.
fn fed(sent: &[Sent], shards: usize) -> [Vec<FlowRecord>; 2] {
    let [(one, receive_one), (other, receive_other)] = [FlowFeed::new(Mode::Replay), FlowFeed::new(Mode::Replay)];
    let readers = [receive_one, receive_other].map(|receiver| std::thread::spawn(move || all_of(&receiver)));
    play_before(sent, shards, Vec::new(), vec![one, other]);
    readers.map(|reader| {
        let mut all = Selection::new(Keep::All);
        reader.join().unwrap().iter().for_each(|record| all.offer(record));
        Selection::into_report(vec![all], Keep::All)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_feed_brings_each_flow_of_the_report_once_and_open_ones_as_ended_by_the_shutdown(
        sent in traffic(), shards in 1..5_usize
    ) {
        let (_, report) = play(&sent, 1);
        let ended = |record: &FlowRecord| {
            FlowRecord { end_reason: record.end_reason.or(Some(EndReason::Shutdown)), ..*record }
        };
        let report: Vec<_> = report.iter().map(ended).collect();
        let [one, other] = fed(&sent, shards);
        prop_assert_eq!(&one, &report);
        prop_assert_eq!(&other, &report);
    }
}

#[test]
fn live_a_feed_that_nobody_reads_counts_what_it_drops_and_never_waits() {
    let (_, report) = play(&at_millis(&[0]), 1);
    let record = FlowRecord { end_reason: Some(EndReason::Idle), ..report[0] };
    let (mut feed, receiver) = FlowFeed::new(Mode::Live);
    const OFFERED: u64 = 100_000;
    (0..OFFERED).for_each(|_| feed.offer(&record));
    feed.flush();
    drop(feed);
    let dropped = receiver.missed().flows();
    assert!(dropped > 0 && dropped < OFFERED, "{dropped}");
    assert_eq!(all_of(&receiver).len() as u64 + dropped, OFFERED);
}
