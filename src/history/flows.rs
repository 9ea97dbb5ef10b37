//! Ended flows, addresses, alert events.

use super::scan::View;
use super::{AlertEvent, Flow, FlowAnswer, FlowQuery, Host, HostAnswer, LeftOut, Range, layout};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::ops::{Bound, ControlFlow};

/// Shows the flows whose last packet is in the range.
pub(super) fn walk(
    view: &mut View<'_>,
    range: Range,
    mut each: impl FnMut(Flow) -> ControlFlow<()>,
) -> Result<(), redb::Error> {
    for row in view.read.open_table(layout::FLOWS)?.range(wide(range))? {
        let (key, stored) = row?;
        let name = |series| view.names.get(&series).cloned();
        match layout::read_flow(key.value(), stored.value(), name) {
            Some(flow) if each(flow.clone()).is_break() => break,
            Some(_) => {}
            None => view.bad += 1,
        }
    }
    Ok(())
}

/// The keys of a range of seconds.
fn wide(range: Range) -> (Bound<u128>, Bound<u128>) {
    let key = |second: u64| second.checked_mul(NANOS_PER_SECOND).map(|nanos| u128::from(nanos) << 64);
    let to = key(range.to).map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(key(range.from).unwrap_or(u128::MAX)), to)
}

fn fits(query: &FlowQuery, flow: &Flow) -> bool {
    query.interface.as_deref().is_none_or(|name| name == &*flow.interface)
        && query.address.is_none_or(|address| flow.source == address || flow.destination == address)
        && query.port.is_none_or(|port| flow.has_ports && (flow.source_port == port || flow.destination_port == port))
        && query.protocol.is_none_or(|protocol| flow.protocol == protocol)
}

/// Most bytes first, then the earlier, then the smaller id.
type Rank = (u64, Reverse<Timestamp>, Reverse<u64>);

fn rank(flow: &Flow) -> Rank {
    (flow.bytes(), Reverse(flow.first_seen), Reverse(flow.id))
}

/// A flow in order of its rank.
struct Ranked(Flow);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        rank(&self.0).cmp(&rank(&other.0))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        rank(&self.0) == rank(&other.0)
    }
}

impl Eq for Ranked {}

pub(super) fn largest(view: &mut View<'_>, query: &FlowQuery) -> Result<FlowAnswer, redb::Error> {
    let (mut answer, mut kept) = (FlowAnswer::default(), BinaryHeap::new());
    walk(view, query.range, |flow| {
        if fits(query, &flow) {
            answer.matched += 1;
            answer.bytes = answer.bytes.saturating_add(flow.bytes());
            kept.push(Reverse(Ranked(flow)));
            if kept.len() > query.limit {
                kept.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    answer.flows = kept.into_sorted_vec().into_iter().map(|Reverse(Ranked(flow))| flow).collect();
    answer.left_out = left_out(view, query.range)?;
    answer.bad_records = view.bad;
    Ok(answer)
}

pub(super) fn hosts(view: &mut View<'_>, query: &FlowQuery) -> Result<HostAnswer, redb::Error> {
    let (mut answer, mut hosts) = (HostAnswer::default(), HashMap::<IpAddr, Host>::new());
    walk(view, query.range, |flow| {
        if fits(query, &flow) {
            let is_told = [(flow.source, true), (flow.destination, false)].map(|end| count(&mut hosts, end, &flow));
            answer.not_told_apart += u64::from(is_told != [true, true]);
        }
        ControlFlow::Continue(())
    })?;
    answer.addresses = hosts.len() as u64;
    let mut hosts: Vec<_> = hosts.into_values().collect();
    hosts.sort_by_key(|host| (Reverse(host.bytes_sent.saturating_add(host.bytes_received)), host.address));
    hosts.truncate(query.limit);
    answer.hosts = hosts;
    answer.left_out = left_out(view, query.range)?;
    answer.bad_records = view.bad;
    Ok(answer)
}

/// Adds a flow to the address at one of its ends; whether there was place for it.
fn count(hosts: &mut HashMap<IpAddr, Host>, (address, is_source): (IpAddr, bool), flow: &Flow) -> bool {
    if hosts.len() >= HostAnswer::MAX_HOSTS && !hosts.contains_key(&address) {
        return false;
    }
    let host = hosts.entry(address).or_insert(Host {
        address,
        bytes_sent: 0,
        bytes_received: 0,
        packets_sent: 0,
        packets_received: 0,
        flows: 0,
    });
    let (mut sent, mut received) = ((flow.bytes_c2s, flow.packets_c2s), (flow.bytes_s2c, flow.packets_s2c));
    if !is_source {
        std::mem::swap(&mut sent, &mut received);
    }
    host.bytes_sent = host.bytes_sent.saturating_add(sent.0);
    host.packets_sent = host.packets_sent.saturating_add(sent.1);
    host.bytes_received = host.bytes_received.saturating_add(received.0);
    host.packets_received = host.packets_received.saturating_add(received.1);
    host.flows += 1;
    true
}

/// Ended flows that were not kept, of the minutes that touch the range.
pub(super) fn left_out(view: &mut View<'_>, range: Range) -> Result<LeftOut, redb::Error> {
    let mut sum = LeftOut::default();
    for row in view.read.open_table(layout::LEFT_OUT)?.range(range.from - range.from % 60..range.to)? {
        let (minute, stored) = row?;
        match layout::read_left_out(minute.value(), stored.value()) {
            Some(left_out) => sum.merge(&left_out),
            None => view.bad += 1,
        }
    }
    Ok(sum)
}

/// The newest `limit` events of the range, oldest first.
pub(super) fn alerts(
    view: &mut View<'_>,
    range: Range,
    rule: Option<&str>,
    limit: usize,
) -> Result<Vec<AlertEvent>, redb::Error> {
    let mut events = Vec::new();
    for row in view.read.open_table(layout::ALERTS)?.range(wide(range))?.rev() {
        if events.len() == limit {
            break;
        }
        let (key, stored) = row?;
        match layout::read_alert(key.value(), stored.value()) {
            Some(event) if rule.is_none_or(|rule| rule == event.rule) => events.push(event),
            Some(_) => {}
            None => view.bad += 1,
        }
    }
    events.reverse();
    Ok(events)
}
