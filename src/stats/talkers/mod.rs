//! Top talkers: who moved how many bytes, by host, by pair of hosts and by responder's port.
//!
//! Flows report what they moved once a second. [`Talkers`] sums that up for one shard, flow partition by flow
//! partition; [`TalkerWindows`] keeps one second after the other and makes the tables of the rolling windows.
//!
//! What is lost, and what it costs: of a partition the largest 64th of `keys` outlives its second (eight times as many
//! are told apart within it), and of the second as a whole the largest eighth of `keys` is kept. Whenever something has
//! to go, the smallest sums go, chosen exactly and with ties broken by key; their bytes stay in the totals, and the
//! largest of them is added to the error bound. So no row is ever too large, none is short of more than the bound, and
//! nothing depends on the number of shards.

mod list;
mod summary;
mod table;

pub(super) use list::{KEPT_SHARE, List};
pub(super) use table::TalkerWindows;

use super::{TalkerConfig, TalkerKey};
use crate::flow::{FlowDelta, PARTITIONS};
use crate::packet::{Address, Network, Transport};
use std::hash::{Hash, Hasher};
use summary::Summary;

/// An address and its family: IPv4 and IPv6 share the bytes of [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    v6: bool,
    address: Address,
}

/// Two addresses, the smaller first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    v6: bool,
    low: Address,
    high: Address,
}

/// Transport and port of a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Service {
    transport: Transport,
    port: u16,
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.address.0) ^ u128::from(self.v6));
    }
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.low.0) ^ u128::from(self.v6));
        state.write_u128(u128::from_ne_bytes(self.high.0));
    }
}

/// What a list is keyed by.
pub(super) trait Key: Copy + Ord + Hash {
    /// The key as readers see it.
    fn shown(self) -> TalkerKey;
}

fn network(v6: bool) -> Network {
    if v6 { Network::Ipv6 } else { Network::Ipv4 }
}

impl Key for Host {
    fn shown(self) -> TalkerKey {
        TalkerKey::Host(self.address.to_ip(network(self.v6)))
    }
}

impl Key for Pair {
    fn shown(self) -> TalkerKey {
        let network = network(self.v6);
        TalkerKey::Pair(self.low.to_ip(network), self.high.to_ip(network))
    }
}

impl Key for Service {
    fn shown(self) -> TalkerKey {
        TalkerKey::Port(self.transport, self.port)
    }
}

/// What the flows of a shard moved since it was handed over, flow partition by flow partition.
///
/// Flows report in any order: those that end at once, the others when a second ends. Each partition sums up its own, so
/// what is purged does not depend on what other partitions, or the shards they belong to, saw.
///
/// Bounds: eight times `keys` rows of each kind; partitions without flows cost nothing.
#[derive(Clone, Debug)]
pub struct TalkerSketches {
    partitions: Vec<Option<Box<Sketch>>>,
    /// Partitions before this one were handed over already, of those that are handed over now.
    handed: usize,
    share: usize,
}

impl TalkerSketches {
    /// Nothing, for as many keys as configured.
    pub fn new(config: TalkerConfig) -> Self {
        Self { partitions: vec![None; PARTITIONS], handed: 0, share: (config.keys / PARTITIONS).max(1) }
    }

    /// Takes what a flow of `partition` moved.
    pub fn add(&mut self, partition: usize, delta: &FlowDelta) {
        let share = self.share;
        if let Some(sketch) = self.partitions.get_mut(partition) {
            sketch.get_or_insert_with(|| Box::new(Sketch::new(share))).add(delta);
        }
    }

    /// Hands over what is before `partition`, in the order of partitions; the rest must follow by
    /// [`TalkerSketches::hand_over`].
    ///
    /// A sketch that was handed over is empty, and still in the processor's cache: it goes on to the next partition, if
    /// that has nothing yet.
    pub(super) fn hand_over_before(&mut self, partition: usize, talkers: &mut Talkers) {
        for handed in self.handed..partition.min(PARTITIONS) {
            let Some(sketch) = &mut self.partitions[handed] else { continue };
            sketch.hosts.hand_over(&mut talkers.hosts);
            sketch.pairs.hand_over(&mut talkers.pairs);
            sketch.services.hand_over(&mut talkers.services);
            let next = self.partitions.get(handed + 1);
            if next.is_some_and(|next| next.as_ref().is_none_or(|next| next.is_empty())) {
                self.partitions.swap(handed, handed + 1);
            }
        }
        self.handed = partition;
    }

    /// Hands everything over, in the order of partitions.
    pub(super) fn hand_over(&mut self, talkers: &mut Talkers) {
        self.hand_over_before(PARTITIONS, talkers);
        self.handed = 0;
        // All are empty now: the one that went from partition to partition begins again.
        self.partitions.swap(0, PARTITIONS - 1);
        talkers.keep_within_limit();
    }
}

/// What the flows of one partition moved.
#[derive(Clone, Debug)]
struct Sketch {
    hosts: Summary<Host>,
    pairs: Summary<Pair>,
    services: Summary<Service>,
}

impl Sketch {
    fn new(share: usize) -> Self {
        Self { hosts: Summary::new(share), pairs: Summary::new(share), services: Summary::new(share) }
    }

    fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    fn add(&mut self, delta: &FlowDelta) {
        let (key, low_sent, high_sent) = (&delta.key, delta.bytes_from_low, delta.bytes_from_high);
        if low_sent + high_sent == 0 {
            return;
        }
        let v6 = key.network() == Network::Ipv6;
        self.hosts.add(Host { v6, address: key.low }, [low_sent, high_sent]);
        self.hosts.add(Host { v6, address: key.high }, [high_sent, low_sent]);
        self.pairs.add(Pair { v6, low: key.low, high: key.high }, [low_sent, high_sent]);
        let (port, moved) = if delta.low_is_initiator {
            (key.high_port, [high_sent, low_sent])
        } else {
            (key.low_port, [low_sent, high_sent])
        };
        match key.transport() {
            transport @ (Transport::Tcp | Transport::Udp | Transport::Sctp) if key.has_ports() => {
                self.services.add(Service { transport, port }, moved);
            }
            _ => self.services.add_unlisted(moved),
        }
    }
}

/// What a tally carries: the rows of all partitions.
///
/// Bounds: `keys` rows of each kind for one second; a tally that waits for longer keeps at most twice as many.
#[derive(Clone, Debug)]
pub(super) struct Talkers {
    pub(super) hosts: List<Host>,
    pub(super) pairs: List<Pair>,
    pub(super) services: List<Service>,
    limit: usize,
}

impl Talkers {
    /// Nothing, for `keys` keys of each kind and second.
    pub(super) fn new(keys: usize) -> Self {
        let limit = 2 * (keys / PARTITIONS).max(1) * PARTITIONS;
        Self { hosts: List::default(), pairs: List::default(), services: List::default(), limit }
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        self.hosts.append(&other.hosts);
        self.pairs.append(&other.pairs);
        self.services.append(&other.services);
        self.keep_within_limit();
    }

    fn keep_within_limit(&mut self) {
        self.hosts.keep_within(self.limit);
        self.pairs.keep_within(self.limit);
        self.services.keep_within(self.limit);
    }

    pub(super) fn clear(&mut self) {
        self.hosts.clear();
        self.pairs.clear();
        self.services.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}

#[cfg(test)]
mod tests;
