//! The reading side: frames in, the packet clock kept, packets parsed and dealt to their shards.

use super::collector::Publisher;
use super::shard::{Order, Shards, owner};
use super::{BATCH, LANE_BATCH};
use crate::capture::{FrameSink, InterfaceInfo};
use crate::flow::{FlowKey, HashKey};
use crate::packet::{Frame, InterfaceId, ParsedPacket, Perspective, parse_into};
use crate::time::{Advance, PacketClock, Tick, Timestamp};
use ipnet::IpNet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Takes frames from an adapter. Parsing and the clock are here, so every shard sees the same time.
#[derive(Debug)]
pub struct Dealer {
    clock: PacketClock,
    open: Option<Tick>,
    late: u64,
    hash: HashKey,
    publisher: Publisher,
    local_networks: Vec<IpNet>,
    perspectives: Vec<Perspective>,
    /// Places for parsed packets, of which the first `parsed` are not yet dealt: the parser writes in place.
    places: Box<[ParsedPacket]>,
    parsed: usize,
    /// Dealt and not yet sent, for each shard thread.
    batches: Vec<Vec<ParsedPacket>>,
    shards: Shards,
    pace: Option<Pacer>,
    packets: u64,
    /// The record time of the first frame since it was last taken.
    oldest: Option<Timestamp>,
}

impl Dealer {
    /// A dealer for these shards. `hash` must be the shards' own, since it chooses the partition.
    pub fn new(shards: Shards, hash: HashKey, publisher: Publisher, local_networks: Vec<IpNet>) -> Self {
        let lanes = match &shards {
            Shards::Inline(_) => 0,
            Shards::Threads(lanes) => lanes.len(),
        };
        Self {
            clock: PacketClock::default(),
            open: None,
            late: 0,
            hash,
            publisher,
            local_networks,
            perspectives: Vec::new(),
            places: vec![ParsedPacket::default(); BATCH].into_boxed_slice(),
            parsed: 0,
            batches: (0..lanes).map(|_| Vec::with_capacity(LANE_BATCH)).collect(),
            shards,
            pace: None,
            packets: 0,
            oldest: None,
        }
    }

    /// Slows reading down to packet time. Once `stop` is set, frames are no longer taken.
    #[must_use]
    pub fn paced(mut self, pace: Pace, stop: Arc<AtomicBool>) -> Self {
        self.pace = Pacer::new(pace, stop);
        self
    }

    /// Frames taken so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The record time of the first frame since the last call: the one that waited longest.
    pub fn take_oldest(&mut self) -> Option<Timestamp> {
        self.oldest.take()
    }

    /// The shard that shares this thread (live).
    pub fn shard(&mut self) -> Option<&mut super::Shard> {
        match &mut self.shards {
            Shards::Inline(shard) => Some(shard),
            Shards::Threads(_) => None,
        }
    }

    /// Other networks count as on this side, and an interface that was announced has these addresses of its own.
    pub fn set_perspective(&mut self, interface: InterfaceId, local_networks: Vec<IpNet>, own: Perspective) {
        self.local_networks = local_networks;
        if let Some(perspective) = self.perspectives.get_mut(usize::from(interface.0)) {
            *perspective = Perspective { local_networks: self.local_networks.clone(), ..own };
        }
    }

    /// Moves an idle pipeline's clock (live only; replay knows no time but that of its frames).
    pub fn idle(&mut self, wall: Timestamp) {
        self.flush();
        if self.clock.now().is_none_or(|now| now < wall) {
            let advance = self.clock.advance(wall);
            self.open(advance, wall);
        }
    }

    /// Deals what is left and waits for the shards.
    pub fn finish(mut self) -> Vec<super::Selection> {
        self.flush();
        self.shards.finish()
    }

    /// Parses a frame of the open tick, and deals once there are enough.
    #[inline]
    fn deal(&mut self, frame: &Frame<'_>) {
        self.packets += 1;
        let Some(perspective) = self.perspectives.get(usize::from(frame.meta.interface.0)) else {
            debug_assert!(false, "a frame of an interface that was not announced");
            return;
        };
        parse_into(frame, perspective, &mut self.places[self.parsed]);
        self.parsed += 1;
        if self.parsed == BATCH {
            self.deal_parsed();
        }
    }

    #[inline(never)]
    fn deal_parsed(&mut self) {
        let packets = &self.places[..std::mem::take(&mut self.parsed)];
        if packets.is_empty() {
            return;
        }
        match &mut self.shards {
            Shards::Inline(shard) => shard.packets(packets),
            Shards::Threads(lanes) if lanes.len() == 1 => {
                self.batches[0].extend_from_slice(packets);
                if self.batches[0].len() >= LANE_BATCH {
                    lanes[0].send_batch(&mut self.batches[0]);
                }
            }
            Shards::Threads(lanes) => {
                for packet in packets {
                    // Packets that join no flow only add to sums, so any shard will do.
                    let key = FlowKey::of(packet);
                    let lane = key.map_or(0, |(key, _)| owner(self.hash.partition(&key), lanes.len()));
                    self.batches[lane].push(*packet);
                    if self.batches[lane].len() >= LANE_BATCH {
                        lanes[lane].send_batch(&mut self.batches[lane]);
                    }
                }
            }
        }
    }

    /// Moves the clock to a frame's time. The frames before it must have been dealt if that opens a tick.
    fn open(&mut self, advance: Advance, record: Timestamp) {
        match advance {
            Advance::Same => {}
            Advance::Late => self.late += 1,
            Advance::Ticked => self.open_tick(Tick::of(record)),
            Advance::Stepped(step) => {
                self.flush();
                self.open = Some(Tick::of(step.to));
                match &mut self.shards {
                    Shards::Inline(shard) => shard.step(step),
                    Shards::Threads(lanes) => lanes.iter().for_each(|lane| lane.send(Order::Step(step))),
                }
                if let Some(pace) = &mut self.pace {
                    pace.restart(record);
                }
            }
        }
    }

    fn open_tick(&mut self, tick: Tick) {
        self.flush();
        self.open = Some(tick);
        match &mut self.shards {
            Shards::Inline(shard) => shard.tick(tick),
            Shards::Threads(lanes) => lanes.iter().for_each(|lane| lane.send(Order::Tick(tick))),
        }
        if let Some(pace) = &mut self.pace {
            pace.wait(tick.end());
        }
    }

    fn flush(&mut self) {
        self.deal_parsed();
        if let Shards::Threads(lanes) = &self.shards {
            lanes.iter().zip(&mut self.batches).for_each(|(lane, batch)| lane.send_batch(batch));
        }
        if self.late > 0 {
            let late = std::mem::take(&mut self.late);
            match &mut self.shards {
                Shards::Inline(shard) => shard.late(late),
                Shards::Threads(lanes) => lanes[0].send(Order::Late(late)),
            }
        }
    }
}

impl FrameSink for Dealer {
    fn interface(&mut self, info: &InterfaceInfo) {
        let mut perspective = info.perspective.clone();
        perspective.local_networks.clone_from(&self.local_networks);
        let index = usize::from(info.id.0);
        if self.perspectives.len() <= index {
            self.perspectives.resize_with(index + 1, Perspective::default);
        }
        self.perspectives[index] = perspective;
        self.publisher.interface(info);
    }

    fn frames(&mut self, frames: &[Frame<'_>]) {
        if self.oldest.is_none() {
            self.oldest = frames.first().map(|frame| frame.meta.timestamp);
        }
        for frame in frames {
            let advance = match frame.meta.timed {
                true => self.clock.advance(frame.meta.timestamp),
                false if self.open.is_none() => Advance::Ticked,
                false => Advance::Same,
            };
            if advance != Advance::Same {
                self.open(advance, frame.meta.timestamp);
                if self.pace.as_ref().is_some_and(Pacer::is_stopped) {
                    return;
                }
            }
            self.deal(frame);
        }
    }
}

/// How fast packet time passes in a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as possible.
    Max,
    /// This many seconds of packet time in one second.
    Times(f64),
}

/// Keeps packet time behind the wall clock.
#[derive(Debug)]
struct Pacer {
    factor: f64,
    start: Option<(Timestamp, Instant)>,
    stop: Arc<AtomicBool>,
}

impl Pacer {
    /// The longest wait for one gap.
    const LONGEST: Duration = Duration::from_secs(5);
    /// How soon a stop is noticed while waiting.
    const NOTICE: Duration = Duration::from_millis(50);

    fn new(pace: Pace, stop: Arc<AtomicBool>) -> Option<Self> {
        match pace {
            Pace::Max => None,
            Pace::Times(factor) => Some(Self { factor, start: None, stop }),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    #[expect(clippy::disallowed_methods, reason = "pacing is an edge: it compares packet time with the wall clock")]
    fn restart(&mut self, packet: Timestamp) {
        self.start = Some((packet, Instant::now()));
    }

    fn wait(&mut self, packet: Timestamp) {
        let Some((first, began)) = self.start else { return self.restart(packet) };
        let due = Duration::from_nanos(packet.nanos_since(first)).div_f64(self.factor);
        let early = due.saturating_sub(began.elapsed());
        let wait = early.min(Self::LONGEST);
        let waiting = began.elapsed();
        while !self.is_stopped() && began.elapsed() - waiting < wait {
            let left = wait.saturating_sub(began.elapsed() - waiting);
            std::thread::sleep(left.min(Self::NOTICE));
        }
        if early > Self::LONGEST {
            self.restart(packet);
        }
    }
}
