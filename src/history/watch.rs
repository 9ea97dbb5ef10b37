//! From pictures to seconds: what happened on each interface in each second of packet time.

use super::{Measures, Second, Tcp};
use crate::flow::Side;
use crate::pipeline::Watcher;
use crate::stats::{Counters, InterfaceSnapshot, Snapshot, Volume};
use crate::time::{Step, Tick};
use std::fmt;
use std::sync::Arc;

/// Hands every finished second of every watched interface to `S`.
///
/// A second in which nothing came over an interface that was captured is a record of zeros; one in which it was not
/// captured (down, gone, cannot be opened) has no record. In replay nobody knows what was captured while no frame comes
/// at all: up to [`QUIET`] after the last frame of any interface seconds are zeros, and then there are none until
/// the next frame, so that a file of years does not make years of records.
///
/// A second is handed over with the first picture of a later one; the last, begun second at the end. Live, when the
/// collector was held up for some seconds, what came meanwhile is spread over them evenly.
pub struct Watch<S: FnMut(Second)> {
    sink: S,
    mode: Mode,
    /// The picture at the end of the last second that was handed over.
    base: Arc<Snapshot>,
    /// The newest picture of the open second.
    last: Option<Arc<Snapshot>>,
    /// The second that was handed over last.
    done: Option<u64>,
    /// The newest tick with frames.
    busy: Option<Tick>,
}

/// Ticks without a frame after which, in replay, a second is a gap: a minute.
pub const QUIET: u64 = 60 * Tick::PER_SECOND;
/// The most seconds that live are filled in from what came after them.
const HELD_UP: u64 = 10;

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Live,
    Replay,
}

impl<S: FnMut(Second)> Watch<S> {
    /// For live capture.
    pub fn live(sink: S) -> Self {
        Self::new(sink, Mode::Live)
    }

    /// For capture files.
    pub fn replay(sink: S) -> Self {
        Self::new(sink, Mode::Replay)
    }

    fn new(sink: S, mode: Mode) -> Self {
        Self { sink, mode, base: Arc::default(), last: None, done: None, busy: None }
    }

    /// Hands over the open second, as the last picture showed it.
    fn close(&mut self) {
        let Some(last) = self.last.take() else { return };
        let second = last.tick.map_or(0, Tick::second);
        let missed = self.missed_before(second);
        for interface in &last.interfaces {
            let base = base_of(&self.base, &last, interface);
            let measures = measures(base, interface);
            if is_watched(interface) || measures.protocols.iter().flatten().any(|volume| volume.packets > 0) {
                self.hand_over(&interface.name, second, missed, &measures);
            }
        }
        self.base = last;
        self.done = Some(second);
    }

    /// Live, the seconds just before this one that went by without a picture.
    fn missed_before(&self, second: u64) -> u64 {
        let missed = self.done.map_or(0, |done| second.saturating_sub(done + 1));
        if self.mode == Mode::Live && missed <= HELD_UP { missed } else { 0 }
    }

    fn hand_over(&mut self, name: &Arc<str>, second: u64, missed: u64, measures: &Measures) {
        let shares = measures.shared_by(missed + 1);
        for (share, end) in shares.zip(second - missed..=second) {
            // The tick that ends at 0 belongs to no second.
            if let Some(start) = end.checked_sub(1) {
                (self.sink)(Second { interface: Arc::clone(name), start, measures: share });
            }
        }
    }

    fn is_quiet(&self, tick: Tick) -> bool {
        self.mode == Mode::Replay && self.busy.is_some_and(|busy| tick.0 > busy.0 + QUIET)
    }
}

impl<S: FnMut(Second) + Send> Watcher for Watch<S> {
    fn picture(&mut self, snapshot: &Arc<Snapshot>) {
        let Some(tick) = snapshot.tick else { return };
        let before = self.last.as_ref().unwrap_or(&self.base);
        if packets(snapshot) != packets(before) {
            self.busy = Some(tick);
        }
        if self.last.as_ref().and_then(|last| last.tick).is_some_and(|last| last.second() < tick.second()) {
            self.close();
        }
        if !self.is_quiet(tick) {
            self.last = Some(Arc::clone(snapshot));
        }
    }

    fn step(&mut self, _: Step) {
        self.close();
        (self.done, self.busy) = (None, None);
    }

    fn deadline(&self) -> Option<Tick> {
        match self.mode {
            Mode::Live => None,
            Mode::Replay => self.busy.map(|busy| Tick(busy.0 + QUIET)),
        }
    }
}

impl<S: FnMut(Second)> fmt::Debug for Watch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("mode", &self.mode).field("done", &self.done).finish_non_exhaustive()
    }
}

impl<S: FnMut(Second)> Drop for Watch<S> {
    fn drop(&mut self) {
        self.close();
    }
}

/// All packets of all interfaces. An interface that vanishes changes it too, which is news as well.
fn packets(snapshot: &Snapshot) -> u64 {
    let volumes = snapshot.interfaces.iter().flat_map(|interface| interface.totals.volume);
    volumes.fold(0, |sum, volume| sum.wrapping_add(volume.packets))
}

/// Whether frames of it would have been seen. What is beyond the cap on interfaces has no state of its own.
fn is_watched(interface: &InterfaceSnapshot) -> bool {
    let capture = &interface.capture;
    let in_gap = capture.gaps.last().is_some_and(|gap| gap.to.is_none());
    (capture.up && !in_gap) || (capture.backend.is_empty() && *interface.name == *"other")
}

/// The interface as it was before: under the same name, or under one that is gone if its first frame was the same, for
/// one that was renamed. `None` for one that is new, or that began to count anew.
fn base_of<'a>(base: &'a Snapshot, now: &Snapshot, interface: &InterfaceSnapshot) -> Option<&'a InterfaceSnapshot> {
    let of_name = |snapshot: &'a Snapshot| snapshot.interfaces.iter().find(|before| before.name == interface.name);
    let was_renamed = |before: &&Arc<InterfaceSnapshot>| {
        before.first_seen.is_some()
            && before.first_seen == interface.first_seen
            && now.interfaces.iter().all(|still| still.name != before.name)
    };
    let found = of_name(base).or_else(|| base.interfaces.iter().find(was_renamed));
    found.map(|before| &**before).filter(|before| has_grown(&before.totals, &interface.totals))
}

fn has_grown(before: &Counters, now: &Counters) -> bool {
    before
        .volume
        .iter()
        .zip(&now.volume)
        .all(|(before, now)| before.packets <= now.packets && before.bytes <= now.bytes)
}

/// What happened between two pictures of an interface; without an earlier one, since it began.
fn measures(before: Option<&InterfaceSnapshot>, now: &InterfaceSnapshot) -> Measures {
    let zero = Counters::default();
    let (was, is) = (before.map_or(&zero, |before| &before.totals), &now.totals);
    let flat = |errors: &Counters| errors.parse_errors.iter().flatten().sum::<u64>();
    let closed = |transport: usize| {
        let ends = |counters: &Counters| counters.flows_closed[transport].iter().sum::<u64>();
        ends(is).saturating_sub(ends(was))
    };
    let mut measures = Measures {
        tcp: tcp(before, was, now),
        flows_opened: less(is.flows_opened, was.flows_opened),
        flows_closed: std::array::from_fn(closed),
        flows_active: now.flows.iter().flatten().sum(),
        dropped: less(is.dropped_packets, was.dropped_packets),
        rejected: flat(is).saturating_sub(flat(was)),
        ..Measures::default()
    };
    for (direction, protocols) in measures.protocols.iter_mut().enumerate() {
        let (is, was) = (&is.protocols[direction], &was.protocols[direction]);
        *protocols = std::array::from_fn(|protocol| less_volume(is[protocol], was[protocol]));
    }
    if let Some(kernel_bytes) = before.and_then(|before| kernel_bytes(before, now)) {
        let seen = |counters: &Counters| counters.volume.iter().map(|volume| volume.bytes).sum::<u64>();
        (measures.kernel_bytes, measures.covered_bytes) = (kernel_bytes, seen(is).saturating_sub(seen(was)));
    }
    measures
}

fn tcp(before: Option<&InterfaceSnapshot>, was: &Counters, now: &InterfaceSnapshot) -> Tcp {
    let (is, was) = (&now.totals.tcp, &was.tcp);
    let handshakes =
        |interface: &InterfaceSnapshot| Side::ALL.map(|side| interface.handshake_rtt[side as usize].count());
    let nanos = |interface: &InterfaceSnapshot| {
        let sum = |side: Side| u64::try_from(interface.handshake_rtt[side as usize].sum()).unwrap_or(u64::MAX);
        Side::ALL.map(sum)
    };
    Tcp {
        segments: less(is.segments, was.segments),
        retransmitted_segments: less(is.retransmitted_segments, was.retransmitted_segments),
        retransmitted_bytes: less(is.retransmitted_bytes, was.retransmitted_bytes),
        out_of_order_segments: less(is.out_of_order_segments, was.out_of_order_segments),
        zero_window: less(is.zero_window, was.zero_window),
        resets: less(is.resets, was.resets),
        connections_opened: is.connections_opened.saturating_sub(was.connections_opened),
        connection_failures: less(is.connection_failures, was.connection_failures),
        handshakes: less(handshakes(now), before.map_or([0; 2], handshakes)),
        handshake_ns: less(nanos(now), before.map_or([0; 2], nanos)),
    }
}

/// What the kernel counted in between, where its count is of the same frames as ours.
fn kernel_bytes(before: &InterfaceSnapshot, now: &InterfaceSnapshot) -> Option<u64> {
    let count = |interface: &InterfaceSnapshot| {
        let capture = &interface.capture;
        let [receive, transmit] = capture.kernel.filter(|_| !capture.filtered())?.bytes;
        Some(if capture.loopback { receive } else { receive.saturating_add(transmit) })
    };
    count(now)?.checked_sub(count(before)?)
}

fn less<const N: usize>(is: [u64; N], was: [u64; N]) -> [u64; N] {
    std::array::from_fn(|n| is[n].saturating_sub(was[n]))
}

fn less_volume(is: Volume, was: Volume) -> Volume {
    Volume { packets: is.packets.saturating_sub(was.packets), bytes: is.bytes.saturating_sub(was.bytes) }
}

impl Measures {
    /// This as even parts that add up to it; what does not divide is in the last one. Levels are the same in each.
    fn shared_by(&self, parts: u64) -> impl Iterator<Item = Self> {
        let whole = *self;
        (1..=parts).map(move |part| {
            let mut share = whole;
            if parts > 1 {
                share.visit_mut(|number| {
                    let even = *number / parts;
                    *number = if part == parts { *number - even * (parts - 1) } else { even };
                });
                share.flows_active = whole.flows_active;
            }
            share
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build::{Builder, frame};
    use crate::packet::{Frame, InterfaceId, Linktype, PacketMeta, Perspective, parse};
    use crate::stats::{self, Capture, Gap, StatsAggregator};
    use crate::time::{NANOS_PER_SECOND, Timestamp};
    use std::sync::mpsc::{Receiver, Sender, channel};

    type Sink = Box<dyn FnMut(Second) + Send>;

    /// An aggregator that a watch looks at, with interfaces that are captured.
    struct Rig {
        aggregator: StatsAggregator,
        watch: Option<Watch<Sink>>,
        seconds: Receiver<Second>,
    }

    impl Rig {
        fn new(make: fn(Sink) -> Watch<Sink>) -> Self {
            let (sender, seconds): (Sender<Second>, _) = channel();
            let watch = make(Box::new(move |second| sender.send(second).unwrap()));
            Self { aggregator: StatsAggregator::new(stats::Config::default()), watch: Some(watch), seconds }
        }

        fn interface(&mut self, id: u16, name: &str) {
            self.aggregator.add_interface(InterfaceId(id), name);
            self.capture(id, Capture { up: true, backend: "pcap", ..Capture::default() });
        }

        fn capture(&mut self, id: u16, capture: Capture) {
            self.aggregator.capture(InterfaceId(id), capture);
        }

        /// Counts dropped frames, which are counters like any other, and shows the picture of the tick.
        fn tick(&mut self, tick: u64, id: u16, dropped: u64) {
            let mut tally = stats::Tally::new(&stats::Config::default());
            if dropped > 0 {
                tally.dropped(InterfaceId(id), stats::DropStage::Kernel, dropped);
            }
            self.aggregator.fold(Tick(tick), &tally);
            self.watch.as_mut().unwrap().picture(&self.aggregator.snapshot());
        }

        /// Counts frames and shows the picture of the tick.
        fn frames(&mut self, tick: u64, id: u16, count: usize) {
            let bytes = Builder::ethernet().ipv4([10, 0, 0, 1], [10, 0, 1, 1]).udp(1000, 53).build();
            let meta = frame(Linktype::Ethernet, &bytes).meta;
            let meta = PacketMeta { timestamp: Tick(tick).end(), interface: InterfaceId(id), ..meta };
            let packet = parse(&Frame { meta, bytes: &bytes }, &Perspective::default());
            let mut tally = stats::Tally::new(&stats::Config::default());
            tally.packets(&vec![packet; count]);
            self.aggregator.fold(Tick(tick), &tally);
            self.watch.as_mut().unwrap().picture(&self.aggregator.snapshot());
        }

        /// Name, start and frames received, of all seconds to the end.
        fn end_frames(mut self) -> Vec<(String, u64, u64)> {
            drop(self.watch.take());
            let frames = |second: &Second| second.measures.volume(crate::packet::Direction::Receive).packets;
            self.seconds.iter().map(|second| (second.interface.to_string(), second.start, frames(&second))).collect()
        }

        /// Name, start and what was dropped, of all seconds to the end.
        fn end(mut self) -> Vec<(String, u64, u64)> {
            drop(self.watch.take());
            let row = |second: Second| (second.interface.to_string(), second.start, second.measures.dropped[0]);
            self.seconds.iter().map(row).collect()
        }
    }

    fn rows(expected: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        expected.iter().map(|(name, start, dropped)| ((*name).to_owned(), *start, *dropped)).collect()
    }

    #[test]
    fn a_second_is_what_was_counted_in_its_ten_ticks() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        // Ticks 101 to 110 are of the second that starts at 10.
        [(101, 1), (110, 2), (111, 4), (120, 8), (121, 16)].into_iter().for_each(|(tick, n)| rig.tick(tick, 0, n));
        assert_eq!(rig.end(), rows(&[("eth0", 10, 3), ("eth0", 11, 12), ("eth0", 12, 16)]));
    }

    #[test]
    fn an_interface_that_is_down_or_gone_has_no_record_and_one_that_is_quiet_has_zeros() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        rig.interface(1, "eth1");
        rig.tick(10, 0, 5);
        let gap = Gap { from: Timestamp::from_nanos(NANOS_PER_SECOND), to: None, reason: "interface down" };
        rig.capture(0, Capture { up: true, backend: "pcap", gaps: vec![gap], ..Capture::default() });
        rig.tick(20, 0, 0);
        rig.aggregator.remove_interface(InterfaceId(0));
        rig.tick(30, 1, 0);
        let expected = [("eth0", 0, 5), ("eth1", 0, 0), ("eth1", 1, 0), ("eth1", 2, 0)];
        assert_eq!(rig.end(), rows(&expected));
    }

    #[test]
    fn an_interface_that_comes_back_under_its_name_begins_at_zero_again() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        rig.tick(10, 0, 100);
        rig.aggregator.remove_interface(InterfaceId(0));
        rig.tick(20, 0, 0);
        rig.interface(0, "eth0");
        rig.tick(30, 0, 7);
        assert_eq!(rig.end(), rows(&[("eth0", 0, 100), ("eth0", 2, 7)]));
    }

    #[test]
    fn live_a_few_seconds_without_a_picture_are_filled_evenly_and_many_are_a_gap() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        rig.tick(10, 0, 1);
        rig.tick(40, 0, 11);
        rig.tick(200, 0, 5);
        let expected = [("eth0", 0, 1), ("eth0", 1, 3), ("eth0", 2, 3), ("eth0", 3, 5), ("eth0", 19, 5)];
        assert_eq!(rig.end(), rows(&expected));
    }

    #[test]
    fn after_a_time_step_seconds_go_on_where_the_clock_is() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        rig.tick(100_010, 0, 1);
        let [from, to] = [100_010, 10].map(|tick| Tick(tick).end());
        rig.aggregator.step(Step { from, to });
        rig.watch.as_mut().unwrap().step(Step { from, to });
        rig.tick(10, 0, 2);
        rig.tick(20, 0, 3);
        assert_eq!(rig.end(), rows(&[("eth0", 10_000, 1), ("eth0", 0, 2), ("eth0", 1, 3)]));
    }

    #[test]
    fn a_renamed_interface_goes_on_counting_where_it_was() {
        let mut rig = Rig::new(Watch::live);
        rig.interface(0, "eth0");
        rig.frames(10, 0, 5);
        rig.frames(15, 0, 1);
        rig.aggregator.rename_interface(InterfaceId(0), "wan");
        rig.frames(19, 0, 2);
        rig.frames(21, 0, 3);
        assert_eq!(rig.end_frames(), rows(&[("eth0", 0, 5), ("wan", 1, 3), ("wan", 2, 3)]));
    }

    #[test]
    fn in_replay_silence_is_zeros_for_a_minute_and_then_nothing() {
        let mut rig = Rig::new(Watch::replay);
        rig.interface(0, "eth0");
        rig.frames(10, 0, 1);
        assert_eq!(rig.watch.as_ref().unwrap().deadline(), Some(Tick(610)));
        (11..=1000).for_each(|tick| rig.frames(tick, 0, 0));
        rig.frames(1010, 0, 2);
        let found = rig.end_frames();
        assert_eq!((found.len(), &found[0], &found[61]), (62, &("eth0".into(), 0, 1), &("eth0".into(), 100, 2)));
        assert!(found[1..61].iter().enumerate().all(|(n, row)| *row == ("eth0".into(), n as u64 + 1, 0)), "{found:?}");
    }

    #[test]
    fn in_replay_pictures_are_asked_for_until_a_minute_after_the_last_frame() {
        let mut rig = Rig::new(Watch::replay);
        rig.interface(0, "eth0");
        assert_eq!(rig.watch.as_ref().unwrap().deadline(), None);
        rig.tick(10, 0, 1);
        // Dropped frames are no frames.
        assert_eq!(rig.watch.as_ref().unwrap().deadline(), None);
        assert_eq!(Rig::new(Watch::live).watch.as_ref().unwrap().deadline(), None);
    }
}
