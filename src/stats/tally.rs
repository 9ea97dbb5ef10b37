//! What one shard adds up during a tick.

use super::counters::Integers;
use super::groups::ClassMatrix;
use super::interface::InterfaceTally;
use super::talkers::{TalkerSketches, Talkers};
use super::{Buckets, Config, DropStage};
use crate::flow::{Event, FlowRecord, Listener, Untracked, Victim};
use crate::packet::{InterfaceId, ParsedPacket, Transport};

/// Counts of one shard since they were handed over, usually one tick: plain integers, by interface.
///
/// Counting allocates nothing once every interface and unusual protocol has occurred. Merging and folding give the same
/// sums in any order.
///
/// Bounds: 4 KiB for each interface id below [`Tally::MAX_INTERFACES`] (further ids count together), the talkers of one
/// or two seconds (at most 4 MiB with the default of 16 384 keys).
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) interfaces: Vec<InterfaceTally>,
    blank: InterfaceTally,
    pub(super) classes: Option<ClassMatrix>,
    /// For TCP and UDP.
    pub(super) flow_duration: [Buckets; 2],
    /// For TCP and UDP.
    pub(super) flow_size: [Buckets; 2],
    pub(super) evictions: [u64; Victim::ALL.len()],
    pub(super) untracked: [u64; Untracked::ALL.len()],
    pub(super) late_packets: u64,
    pub(super) tables: Vec<(usize, TableState)>,
    pub(super) talkers: Talkers,
}

/// How full a shard's flow table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    /// Records in it.
    pub entries: u64,
    /// The most it holds; 0: it is no more.
    pub limit: u64,
    /// Longest index probe so far.
    pub probe_length_max: u64,
}

impl Tally {
    /// Interface ids from this one on are counted together, as `other`.
    pub const MAX_INTERFACES: usize = 1024;

    /// An empty tally.
    pub fn new(config: &Config) -> Self {
        Self {
            interfaces: Vec::new(),
            blank: InterfaceTally::new(config),
            classes: ClassMatrix::new(config),
            flow_duration: [Buckets::new(Buckets::DURATION), Buckets::new(Buckets::DURATION)],
            flow_size: [Buckets::new(Buckets::FLOW_SIZE), Buckets::new(Buckets::FLOW_SIZE)],
            evictions: Default::default(),
            untracked: Default::default(),
            late_packets: 0,
            tables: Vec::new(),
            talkers: Talkers::new(config.talkers.keys),
        }
    }

    /// Adds the header counts of packets: volume, protocols, flags, sizes, rejects and the opt-in groups.
    pub fn packets(&mut self, packets: &[ParsedPacket]) {
        for packets in packets.chunk_by(|one, next| one.interface == next.interface) {
            self.interface(packets[0].interface).packets(packets);
        }
        if let Some(classes) = &mut self.classes {
            packets.iter().for_each(|packet| classes.count(packet));
        }
    }

    fn interface(&mut self, id: InterfaceId) -> &mut InterfaceTally {
        let index = usize::from(id.0).min(Self::MAX_INTERFACES);
        if index >= self.interfaces.len() {
            self.grow(index + 1);
        }
        let interface = &mut self.interfaces[index];
        interface.touched = true;
        interface
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, interfaces: usize) {
        self.interfaces.resize(interfaces, self.blank.clone());
    }

    /// Takes what flows of the partitions before this one moved, if the rest follows at once by [`Tally::talkers`].
    pub fn talkers_before(&mut self, partition: usize, sketches: &mut TalkerSketches) {
        sketches.hand_over_before(partition, &mut self.talkers);
    }

    /// Takes what flows moved since the last call: when a tick ends on a whole second, before a time step, and at the
    /// end.
    pub fn talkers(&mut self, sketches: &mut TalkerSketches) {
        sketches.hand_over(&mut self.talkers);
    }

    /// Counts frames lost at this capture point since the last call.
    pub fn dropped(&mut self, interface: InterfaceId, stage: DropStage, packets: u64) {
        self.interface(interface).counters.dropped_packets[stage as usize] += packets;
    }

    /// Counts frames that came later than the packet clock.
    pub fn late(&mut self, packets: u64) {
        self.late_packets += packets;
    }

    /// Says how full the flow table of shard `shard` is now; the last word of each shard counts. A limit of 0 says that
    /// the table is no more.
    pub fn table(&mut self, shard: usize, state: TableState) {
        match self.tables.iter_mut().find(|(of, _)| *of == shard) {
            Some((_, last)) => *last = state,
            None => self.tables.push((shard, state)),
        }
    }

    /// Whether nothing happened on any interface.
    pub fn is_empty(&self) -> bool {
        !self.interfaces.iter().any(|interface| interface.touched)
    }

    /// Adds everything of `other`, which is later; used when the channel is full.
    pub fn absorb(&mut self, other: &Self) {
        for (id, theirs) in (0..).map(InterfaceId).zip(&other.interfaces) {
            if theirs.touched {
                self.interface(id).absorb(theirs);
            }
        }
        super::interface::add_optional(&mut self.classes, &other.classes, ClassMatrix::add);
        for class in 0..2 {
            self.flow_duration[class].merge(&other.flow_duration[class]);
            self.flow_size[class].merge(&other.flow_size[class]);
        }
        self.evictions.add(&other.evictions);
        self.untracked.add(&other.untracked);
        self.late_packets += other.late_packets;
        other.tables.iter().for_each(|(shard, state)| self.table(*shard, *state));
        self.talkers.absorb(&other.talkers);
    }

    /// Starts anew, keeping its memory.
    pub fn clear(&mut self) {
        self.interfaces.iter_mut().for_each(InterfaceTally::clear);
        if let Some(classes) = &mut self.classes {
            classes.clear();
        }
        self.flow_duration.iter_mut().chain(&mut self.flow_size).for_each(Buckets::clear);
        self.evictions = Default::default();
        self.untracked = Default::default();
        self.late_packets = 0;
        self.tables.clear();
        self.talkers.clear();
    }

    fn closed(&mut self, record: &FlowRecord) {
        let transport = record.transport();
        let counters = &mut self.interface(record.interface()).counters;
        if let Some(reason) = record.end_reason {
            counters.flows_closed[transport as usize][reason as usize] += 1;
        }
        counters.flows_one_sided += u64::from(record.is_one_sided());
        let class = match transport {
            Transport::Tcp => Some(0),
            Transport::Udp => Some(1),
            _ => None,
        };
        if let Some(class) = class {
            let id = Some(record.id());
            let nanos = record.stats.last_seen.nanos_since(record.stats.first_seen);
            self.flow_duration[class].observe(nanos, id);
            self.flow_size[class].observe(record.bytes(), id);
        }
    }
}

impl Listener for Tally {
    fn on(&mut self, event: Event<'_>) {
        match event {
            // For the shard's talker sketches, which outlive a tally.
            Event::Moved { .. } => {}
            Event::Opened { interface, transport } => {
                self.interface(interface).counters.flows_opened[transport as usize] += 1;
            }
            Event::StateChanged { interface, transport, from, to } => {
                let gauge = &mut self.interface(interface).flows[transport as usize];
                if let Some(from) = from {
                    gauge[from as usize] -= 1;
                }
                if let Some(to) = to {
                    gauge[to as usize] += 1;
                }
            }
            Event::Established { interface } => self.interface(interface).counters.tcp.connections_opened += 1,
            Event::HandshakeRtt { interface, side, nanos, flow } => {
                let tally = self.interface(interface);
                tally.handshake_rtt[side as usize].observe(nanos, Some(flow));
                tally.handshake_samples[side as usize].record(nanos);
            }
            Event::Rtt { interface, nanos } => {
                if let Some(rtt) = &mut self.interface(interface).rtt {
                    rtt.observe(nanos, None);
                }
            }
            Event::Failed { interface, reason } => {
                self.interface(interface).counters.tcp.connection_failures[reason as usize] += 1;
            }
            Event::Reset { interface, phase } => self.interface(interface).counters.tcp.resets[phase as usize] += 1,
            Event::Retransmitted { interface, direction, bytes } => {
                let tcp = &mut self.interface(interface).counters.tcp;
                tcp.retransmitted_segments[direction as usize] += 1;
                tcp.retransmitted_bytes[direction as usize] += u64::from(bytes);
            }
            Event::OutOfOrder { interface, direction } => {
                self.interface(interface).counters.tcp.out_of_order_segments[direction as usize] += 1;
            }
            Event::DuplicateAck { interface, direction } => {
                self.interface(interface).counters.tcp.duplicate_acks[direction as usize] += 1;
            }
            Event::ZeroWindow { interface, direction } => {
                self.interface(interface).counters.tcp.zero_window[direction as usize] += 1;
            }
            Event::Closed { record } => self.closed(record),
            Event::Evicted { victim } => self.evictions[victim as usize] += 1,
            Event::Untracked { reason } => self.untracked[reason as usize] += 1,
        }
    }
}
