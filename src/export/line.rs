//! A flow as a line of JSON: the fields of a replay's document and of the API, with the Community ID.

use super::{Flow, community_id};
use crate::flow::EndReason;
use crate::packet::names;
use crate::time::Timestamp;
use serde::{Serialize, Serializer};
use std::net::IpAddr;

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    community_id: Option<String>,
    interface: &'a str,
    vlan: Option<Vec<u16>>,
    protocol: String,
    src_ip: IpAddr,
    src_port: Option<u16>,
    dst_ip: IpAddr,
    dst_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_id: Option<u16>,
    state: &'static str,
    end_reason: Option<&'static str>,
    #[serde(serialize_with = "rfc3339")]
    first_seen: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    last_seen: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    counted_since: Timestamp,
    packets_c2s: u64,
    bytes_c2s: u64,
    packets_s2c: u64,
    bytes_s2c: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Appends a flow and a line break.
pub(super) fn append(text: &mut Vec<u8>, flow: &Flow) {
    let before = text.len();
    match serde_json::to_writer(&mut *text, &Line::of(flow)) {
        Ok(()) => text.push(b'\n'),
        // Writing to memory does not fail; half a line would be worse than none.
        Err(_) => text.truncate(before),
    }
}

impl<'a> Line<'a> {
    fn of(flow: &'a Flow) -> Self {
        let Flow { record, counted_since, interface } = flow;
        let [source, destination] = [record.initiator().0, record.responder().0];
        let [src_port, dst_port] = record.ports().map_or([None; 2], |ports| ports.map(Some));
        let vlan: Vec<u16> = record.vlan().ids().collect();
        let stats = &record.stats;
        Self {
            id: format!("{:016x}", record.id()),
            community_id: community_id(record),
            interface,
            vlan: (!vlan.is_empty()).then_some(vlan),
            protocol: names::protocol(record.network(), record.key.protocol),
            src_ip: source.to_ip(record.network()),
            src_port,
            dst_ip: destination.to_ip(record.network()),
            dst_port,
            icmp_id: record.icmp_id(),
            state: stats.state.name(),
            end_reason: record.end_reason.map(EndReason::name),
            first_seen: stats.first_seen,
            last_seen: stats.last_seen,
            counted_since: *counted_since,
            packets_c2s: stats.packets_c2s,
            bytes_c2s: stats.bytes_c2s,
            packets_s2c: stats.packets_s2c,
            bytes_s2c: stats.bytes_s2c,
        }
    }
}
