//! Questions about the flows of a table, and the best answers to them.

use super::hash::flow_id;
use super::{FlowKey, FlowRecord, State};
use crate::packet::{InterfaceId, Transport};
use crate::time::Timestamp;
use ipnet::IpNet;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What can be asked about a flow.
pub trait FlowView {
    /// Its identity.
    fn key(&self) -> FlowKey;
    /// Where it stands.
    fn state(&self) -> State;
    /// Wire bytes in both directions.
    fn bytes(&self) -> u64;
    /// Frames in both directions.
    fn packets(&self) -> u64;
    /// Least record time of its packets.
    fn first_seen(&self) -> Timestamp;
    /// Greatest record time of its packets.
    fn last_seen(&self) -> Timestamp;
    /// All of it.
    fn record(&self) -> FlowRecord;
}

impl FlowView for FlowRecord {
    fn key(&self) -> FlowKey {
        self.key
    }

    fn state(&self) -> State {
        self.stats.state
    }

    fn bytes(&self) -> u64 {
        Self::bytes(self)
    }

    fn packets(&self) -> u64 {
        self.stats.packets_c2s + self.stats.packets_s2c
    }

    fn first_seen(&self) -> Timestamp {
        self.stats.first_seen
    }

    fn last_seen(&self) -> Timestamp {
        self.stats.last_seen
    }

    fn record(&self) -> FlowRecord {
        *self
    }
}

/// Which flows; every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Seen on this interface.
    pub interface: Option<InterfaceId>,
    /// Of this protocol.
    pub protocol: Option<Protocol>,
    /// One end is in this network.
    pub host: Option<IpNet>,
    /// One end has this port.
    pub port: Option<u16>,
    /// In this state.
    pub state: Option<State>,
    /// With this id.
    pub id: Option<u64>,
}

/// A protocol of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// In either IP version.
    Transport(Transport),
    /// By its number.
    Number(u8),
}

/// What flows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Wire bytes of both directions.
    #[default]
    Bytes,
    /// Frames of both directions.
    Packets,
    /// First packet.
    FirstSeen,
    /// Last packet.
    LastSeen,
    /// Time between the two.
    Duration,
}

impl By {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("bytes", Self::Bytes),
        ("packets", Self::Packets),
        ("first_seen", Self::FirstSeen),
        ("last_seen", Self::LastSeen),
        ("duration", Self::Duration),
    ];

    fn of(self, flow: &impl FlowView) -> u64 {
        match self {
            Self::Bytes => flow.bytes(),
            Self::Packets => flow.packets(),
            Self::FirstSeen => flow.first_seen().as_nanos(),
            Self::LastSeen => flow.last_seen().as_nanos(),
            Self::Duration => flow.last_seen().nanos_since(flow.first_seen()),
        }
    }
}

/// A question: the first flows that match, in an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowQuery {
    /// Which.
    pub filter: FlowFilter,
    /// In which order.
    pub by: By,
    /// Least first, rather than greatest.
    pub ascending: bool,
    /// The most that are kept.
    pub most: usize,
}

impl FlowFilter {
    /// Whether a flow matches.
    #[inline]
    pub fn matches(&self, flow: &impl FlowView) -> bool {
        self.state.is_none_or(|state| flow.state() == state)
            && (!self.asks_for_key() || self.matches_key(&flow.key()))
            && self.id.is_none_or(|id| flow_id(&flow.key(), flow.first_seen()) == id)
    }

    fn asks_for_key(&self) -> bool {
        self.interface.is_some() || self.protocol.is_some() || self.host.is_some() || self.port.is_some()
    }

    fn matches_key(&self, key: &FlowKey) -> bool {
        self.interface.is_none_or(|interface| key.interface == interface)
            && self.port.is_none_or(|port| key.is_between(port))
            && self.protocol.is_none_or(|protocol| match protocol {
                Protocol::Transport(transport) => key.transport() == transport,
                Protocol::Number(number) => key.protocol == number,
            })
            && self.host.is_none_or(|host| {
                [key.low, key.high].iter().any(|address| host.contains(&address.to_ip(key.network())))
            })
    }
}

impl FlowKey {
    /// Whether one end has this port. An ICMP identifier is no port.
    fn is_between(&self, port: u16) -> bool {
        self.has_ports() && self.transport() != Transport::Icmp && (self.low_port == port || self.high_port == port)
    }
}

impl FlowRecord {
    /// Its place in reports and answers that go by `value`, the greatest first: then by first packet, key and last packet,
    /// so that no two flows have the same.
    pub fn rank(&self, value: u64) -> impl Ord + use<> {
        (value, Reverse(self.stats.first_seen), Reverse(self.key), Reverse(self.stats.last_seen))
    }
}

/// The best of the flows that were offered so far, at most [`FlowQuery::most`].
#[derive(Debug)]
pub struct Best {
    /// The least of them on top.
    rows: BinaryHeap<Reverse<Ranked>>,
    matched: u64,
}

/// A record that compares by its place in the answer; greater comes first.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    by: u64,
    record: FlowRecord,
}

impl Ranked {
    fn rank(&self) -> impl Ord + use<> {
        self.record.rank(self.by)
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Best {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { rows: BinaryHeap::new(), matched: 0 }
    }

    /// Offers a flow; O(log most) at worst. One that is not kept is read no further than it takes to know that.
    #[inline]
    pub fn offer(&mut self, query: &FlowQuery, flow: &impl FlowView) {
        if !query.filter.matches(flow) {
            return;
        }
        self.matched += 1;
        let value = query.by.of(flow);
        let by = if query.ascending { !value } else { value };
        if self.rows.len() < query.most || self.rows.peek().is_some_and(|least| least.0.by <= by) {
            self.keep(query.most, Ranked { by, record: flow.record() });
        }
    }

    /// Offers a flow to be among the `most` with most bytes.
    pub fn offer_by_bytes(&mut self, most: usize, record: &FlowRecord) {
        self.matched += 1;
        self.keep(most, Ranked { by: record.bytes(), record: *record });
    }

    /// Takes over what another one found; at most `most` are kept.
    pub fn merge(&mut self, most: usize, other: Self) {
        self.matched += other.matched;
        other.rows.into_iter().for_each(|Reverse(row)| self.keep(most, row));
    }

    fn keep(&mut self, most: usize, row: Ranked) {
        if self.rows.len() < most {
            self.rows.push(Reverse(row));
        } else if let Some(mut least) = self.rows.peek_mut().filter(|least| least.0 < row) {
            least.0 = row;
        }
    }

    /// How many matched, kept or not.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// What was kept, in the order asked for.
    pub fn into_rows(self) -> Vec<FlowRecord> {
        self.rows.into_sorted_vec().into_iter().map(|Reverse(row)| row.record).collect()
    }
}

impl Default for Best {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowStats;
    use crate::packet::Address;
    use crate::time::Timestamp;

    fn flow(n: u8, bytes: u64) -> FlowRecord {
        let key = FlowKey {
            low: Address::v4([10, 0, 0, n]),
            high: Address::v4([192, 0, 2, 1]),
            low_port: 40_000 + u16::from(n),
            high_port: 443,
            protocol: 6,
            kind: 2,
            ..FlowKey::default()
        };
        let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let stats = FlowStats {
            first_seen: at(u64::from(n)),
            last_seen: at(100),
            packets_c2s: 1,
            bytes_c2s: bytes,
            packets_s2c: 0,
            bytes_s2c: 0,
            state: State::Open,
        };
        FlowRecord { key, low_is_initiator: true, stats, end_reason: None, tcp_flags: [0; 2] }
    }

    fn bytes(query: &FlowQuery, flows: &[FlowRecord]) -> Vec<u64> {
        let mut best = Best::new();
        flows.iter().for_each(|flow| best.offer(query, flow));
        best.into_rows().iter().map(FlowRecord::bytes).collect()
    }

    #[test]
    fn the_greatest_come_first_or_the_least_if_asked() {
        let flows: Vec<_> = (1..=9).map(|n| flow(n, u64::from(n) * 10)).collect();
        let query = FlowQuery { most: 3, ..FlowQuery::default() };
        assert_eq!(bytes(&query, &flows), [90, 80, 70]);
        assert_eq!(bytes(&FlowQuery { ascending: true, ..query.clone() }, &flows), [10, 20, 30]);
        assert_eq!(bytes(&FlowQuery { by: By::Duration, ..query }, &flows), [10, 20, 30]);
    }

    #[test]
    fn parts_that_were_searched_apart_give_the_same_answer() {
        let flows: Vec<_> = (1..=20).map(|n| flow(n, u64::from(n % 5))).collect();
        let query = FlowQuery { most: 7, ..FlowQuery::default() };
        let mut whole = Best::new();
        flows.iter().for_each(|flow| whole.offer(&query, flow));
        let mut joined = Best::new();
        for part in flows.chunks(6) {
            let mut best = Best::new();
            part.iter().for_each(|flow| best.offer(&query, flow));
            joined.merge(query.most, best);
        }
        assert_eq!((joined.matched(), joined.into_rows()), (20, whole.into_rows()));
    }

    #[test]
    fn every_part_of_a_filter_must_hold() {
        let one = flow(7, 10);
        let holds = |filter: FlowFilter| filter.matches(&one);
        let host = |text: &str| FlowFilter { host: Some(text.parse().unwrap()), ..FlowFilter::default() };
        assert!(holds(host("10.0.0.7/32")) && holds(host("192.0.2.0/24")) && !holds(host("10.0.0.8/32")));
        let port = |port| FlowFilter { port: Some(port), ..FlowFilter::default() };
        assert!(holds(port(443)) && holds(port(40_007)) && !holds(port(80)));
        let protocol = |protocol| FlowFilter { protocol: Some(protocol), ..FlowFilter::default() };
        assert!(holds(protocol(Protocol::Number(6))) && !holds(protocol(Protocol::Transport(Transport::Udp))));
        assert!(holds(FlowFilter { id: Some(one.id()), ..FlowFilter::default() }));
        assert!(!holds(FlowFilter { state: Some(State::Closed), ..host("10.0.0.7/32") }));
    }
}
