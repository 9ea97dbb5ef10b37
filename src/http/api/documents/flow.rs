//! One flow.

use super::text;
use crate::flow::{EndReason, FlowRecord};
use crate::packet::names;
use serde::Serialize;
use std::net::IpAddr;
use utoipa::ToSchema;

/// A flow record; `src` is the initiator. Ports are null for flows without ports.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::http) struct Flow {
    /// 16 hexadecimal digits.
    pub id: String,
    pub interface: Option<String>,
    /// The whole tag stack, outermost first; null without.
    pub vlan: Option<Vec<u16>>,
    pub protocol: String,
    #[schema(value_type = String)]
    pub src_ip: IpAddr,
    pub src_port: Option<u16>,
    #[schema(value_type = String)]
    pub dst_ip: IpAddr,
    pub dst_port: Option<u16>,
    /// ICMP echo only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub icmp_id: Option<u16>,
    pub state: &'static str,
    /// Null while it is open.
    pub end_reason: Option<&'static str>,
    pub first_seen: String,
    pub last_seen: String,
    pub packets_c2s: u64,
    pub bytes_c2s: u64,
    pub packets_s2c: u64,
    pub bytes_s2c: u64,
}

impl Flow {
    pub(in crate::http) fn new(record: &FlowRecord, interface: Option<String>) -> Self {
        let [source, destination] = [record.initiator().0, record.responder().0];
        let [src_port, dst_port] = record.ports().map_or([None; 2], |ports| ports.map(Some));
        let vlan: Vec<u16> = record.vlan().ids().collect();
        let stats = &record.stats;
        Self {
            id: format!("{:016x}", record.id()),
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
            first_seen: text(stats.first_seen),
            last_seen: text(stats.last_seen),
            packets_c2s: stats.packets_c2s,
            bytes_c2s: stats.bytes_c2s,
            packets_s2c: stats.packets_s2c,
            bytes_s2c: stats.bytes_s2c,
        }
    }
}
