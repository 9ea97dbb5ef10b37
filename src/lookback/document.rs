//! The documents that questions are answered with.

use super::{BadQuery, Question, Topic};
use crate::flow::{EndReason, Side};
use crate::history::{
    AlertEvent, Error, Flow, FlowQuery, Gap, Host, Info, LeftOut, Measures, Point, Reader, SeriesAnswer, SeriesQuery,
    Tier, Total, Usage,
};
use crate::packet::{Direction, Transport, names};
use crate::stats::{CONVERSATIONS, DropStage, Volume};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use serde_json::{Map, Value, json};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The question is wrong.
    #[error(transparent)]
    Question(#[from] BadQuery),
    /// The store cannot answer now.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Points that a document has unless it is asked for more.
const POINTS: usize = 20_000;
/// Rows that a list has unless it is asked for more.
const ROWS: usize = 20;
/// Alert events that a list has unless it is asked for more.
const EVENTS: usize = 1000;
/// Seconds of a sample by which links are usually billed.
const BILLING: u64 = 300;

/// Answers a question that came as parameters, such as those of a URL. Blocks on the disk.
///
/// `clock` is the time of the wall, for what a running daemon writes; a store of a replay has its own.
///
/// # Errors
/// A wrong question; a store that cannot be read now.
pub fn answer<'p>(
    reader: &Reader,
    topic: Topic,
    parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    clock: Timestamp,
) -> Result<Value, Refusal> {
    let question = Question::parse(topic, parameters, clock)?;
    let found = match topic {
        Topic::Bandwidth | Topic::Protocols => series(reader, &question),
        Topic::Flows => flows(reader, &question),
        Topic::Hosts => hosts(reader, &question),
        Topic::Totals => totals(reader, &question),
        Topic::Alerts => alerts(reader, &question),
        Topic::Percentile => percentile(reader, &question),
        Topic::Info => return Ok(info(&reader.info()?)),
    };
    let Value::Object(found) = found? else { return Ok(Value::Null) };
    let mut document = Map::new();
    document.insert("from".into(), question.from.to_string().into());
    document.insert("to".into(), question.to.to_string().into());
    document.extend(found);
    Ok(document.into())
}

/// The end of what a store holds, which is now for a file at rest; 1970 for an empty one.
///
/// # Errors
/// The store cannot be read now.
pub fn end_of(reader: &Reader) -> Result<Timestamp, Error> {
    let info = reader.info()?;
    let end = |tier: Tier| Some(info.tiers[tier as usize].newest? + tier.seconds());
    // The finest tier ends where the data does; the open record of a coarser one reaches beyond.
    let end = Tier::ALL.into_iter().find_map(end).unwrap_or(0);
    Ok(Timestamp::from_nanos(end.saturating_mul(NANOS_PER_SECOND)))
}

fn series(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let answer = reader.series(&SeriesQuery {
        step: question.step,
        interface: question.interface.clone(),
        tier: question.tier,
        limit: question.limit.unwrap_or(POINTS),
        ..SeriesQuery::over(question.range())
    })?;
    let series = match question.topic {
        Topic::Protocols => protocols(&answer),
        _ => bandwidth(&answer),
    };
    Ok(json!({
        "step": format!("{}s", answer.step),
        "tier": answer.tier.name(),
        "truncated": answer.truncated,
        "bad_records": answer.bad_records,
        "gaps": answer.gaps.iter().map(gap).collect::<Vec<_>>(),
        "series": series,
    }))
}

fn bandwidth(answer: &SeriesAnswer) -> Vec<Value> {
    let points = |points: &[Point]| points.iter().map(|point| bandwidth_point(point, answer.step)).collect::<Vec<_>>();
    answer.series.iter().map(|of| json!({ "interface": &*of.interface, "points": points(&of.points) })).collect()
}

fn bandwidth_point(point: &Point, step: u64) -> Value {
    let measures = &point.measures;
    let mut row = at(point, step);
    volumes(&mut row, Direction::ALL.map(|direction| measures.volume(direction)));
    let [receive, transmit] = measures.peak;
    let tcp = &measures.tcp;
    let [client, server] = Side::ALL.map(|side| measures.handshake_rtt()[side as usize]);
    row.extend([
        ("peak_receive_bytes_per_second".into(), receive.bytes.into()),
        ("peak_receive_packets_per_second".into(), receive.packets.into()),
        ("peak_transmit_bytes_per_second".into(), transmit.bytes.into()),
        ("peak_transmit_packets_per_second".into(), transmit.packets.into()),
        ("flows_opened".into(), sum(&measures.flows_opened).into()),
        ("flows_closed".into(), sum(&measures.flows_closed).into()),
        ("flows_active".into(), measures.flows_active.into()),
        ("tcp_segments".into(), sum(&tcp.segments).into()),
        ("tcp_retransmitted_segments".into(), sum(&tcp.retransmitted_segments).into()),
        ("tcp_out_of_order_segments".into(), sum(&tcp.out_of_order_segments).into()),
        ("tcp_zero_window".into(), sum(&tcp.zero_window).into()),
        ("tcp_resets".into(), sum(&tcp.resets).into()),
        ("tcp_connections_opened".into(), tcp.connections_opened.into()),
        ("tcp_connection_failures".into(), sum(&tcp.connection_failures).into()),
        ("handshake_rtt_client_seconds".into(), client.into()),
        ("handshake_rtt_server_seconds".into(), server.into()),
        ("dropped_packets".into(), dropped(measures).into()),
        ("rejected_packets".into(), measures.rejected.into()),
        ("coverage_ratio".into(), measures.coverage().into()),
    ]);
    row.into()
}

/// One list of points for each interface and (network, transport) pair that occurs; a point where nothing of it came
/// is there as zeros, as the interface was watched.
fn protocols(answer: &SeriesAnswer) -> Vec<Value> {
    let mut rows = Vec::new();
    for of in &answer.series {
        for (index, (network, transport)) in CONVERSATIONS.into_iter().enumerate() {
            let volume = |measures: &Measures| measures.protocols.map(|direction| direction[index]);
            if of.points.iter().all(|point| volume(&point.measures) == [Volume::default(); 2]) {
                continue;
            }
            let point = |point: &Point| {
                let mut row = at(point, answer.step);
                volumes(&mut row, volume(&point.measures));
                Value::from(row)
            };
            rows.push(json!({
                "interface": &*of.interface,
                "network": network.name(),
                "transport": transport.name(),
                "points": of.points.iter().map(point).collect::<Vec<_>>(),
            }));
        }
    }
    rows
}

/// When, for how long where that is not the step, and how much of it was recorded.
fn at(point: &Point, step: u64) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("time".into(), time(point.start).into());
    if point.length != step {
        row.insert("length_seconds".into(), point.length.into());
    }
    row.insert("recorded_seconds".into(), point.measures.seconds.into());
    row
}

fn volumes(row: &mut Map<String, Value>, [receive, transmit]: [Volume; 2]) {
    row.extend([
        ("receive_bytes".into(), receive.bytes.into()),
        ("receive_packets".into(), receive.packets.into()),
        ("transmit_bytes".into(), transmit.bytes.into()),
        ("transmit_packets".into(), transmit.packets.into()),
    ]);
}

fn totals(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let totals = reader.totals(question.range(), question.per, &question.zone, question.interface.as_deref())?;
    let row = |total: &Total| {
        let Total { interface, from, to, label, measures, inexact } = total;
        let mut row = Map::new();
        row.insert("interface".into(), (**interface).into());
        row.insert("label".into(), label.as_str().into());
        row.insert("begin".into(), time(*from).into());
        row.insert("end".into(), time(*to).into());
        row.insert("recorded_seconds".into(), measures.seconds.into());
        volumes(&mut row, Direction::ALL.map(|direction| measures.volume(direction)));
        let [receive, transmit] = measures.peak;
        row.insert("peak_receive_bytes_per_second".into(), receive.bytes.into());
        row.insert("peak_transmit_bytes_per_second".into(), transmit.bytes.into());
        row.insert("inexact".into(), (*inexact).into());
        Value::from(row)
    };
    Ok(json!({ "per": question.per.name(), "totals": totals.iter().map(row).collect::<Vec<_>>() }))
}

fn percentile(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let interval = question.step.unwrap_or(BILLING);
    // Nothing is over a rate that cannot be.
    let rate = question.rate.unwrap_or(u64::MAX);
    let share = question.percentile / 100.0;
    let usage = reader.usage(question.range(), interval, share, rate, question.interface.as_deref())?;
    let row = |usage: &Usage| {
        let [receive, transmit] = usage.percentile;
        let over = question.rate.map(|_| usage.seconds_over);
        json!({
            "interface": &*usage.interface,
            "samples": usage.samples,
            "recorded_seconds": usage.seconds,
            "tier": usage.tier.name(),
            "receive_bytes_per_second": receive,
            "transmit_bytes_per_second": transmit,
            "receive_seconds_over": over.map(|[receive, _]| receive),
            "transmit_seconds_over": over.map(|[_, transmit]| transmit),
        })
    };
    Ok(json!({
        "percentile": question.percentile,
        "interval": format!("{interval}s"),
        "rate_bytes_per_second": question.rate,
        "usage": usage.iter().map(row).collect::<Vec<_>>(),
    }))
}

fn flow_query(question: &Question) -> FlowQuery {
    FlowQuery {
        interface: question.interface.clone(),
        address: question.host,
        port: question.port,
        protocol: question.protocol,
        limit: question.limit.unwrap_or(ROWS),
        ..FlowQuery::over(question.range())
    }
}

fn flows(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let answer = reader.flows(&flow_query(question))?;
    Ok(json!({
        "matched": answer.matched,
        "bytes": answer.bytes,
        "left_out": left_out(&answer.left_out),
        "bad_records": answer.bad_records,
        "flows": answer.flows.iter().map(flow).collect::<Vec<_>>(),
    }))
}

/// A flow as in the document of a replay.
pub(super) fn flow(flow: &Flow) -> Value {
    let is_icmp = flow.transport() == Transport::Icmp;
    let ports = (flow.has_ports && !is_icmp).then_some((flow.source_port, flow.destination_port));
    let vlan: Vec<u16> = flow.vlan.ids().collect();
    let mut row = json!({
        "id": format!("{:016x}", flow.id),
        "interface": &*flow.interface,
        "vlan": if vlan.is_empty() { Value::Null } else { json!(vlan) },
        "protocol": names::protocol(flow.network(), flow.protocol),
        "src_ip": flow.source,
        "src_port": ports.map(|(source, _)| source),
        "dst_ip": flow.destination,
        "dst_port": ports.map(|(_, destination)| destination),
        "end_reason": EndReason::name(flow.end_reason),
        "first_seen": flow.first_seen.to_string(),
        "last_seen": flow.last_seen.to_string(),
        "packets_c2s": flow.packets_c2s,
        "bytes_c2s": flow.bytes_c2s,
        "packets_s2c": flow.packets_s2c,
        "bytes_s2c": flow.bytes_s2c,
    });
    if is_icmp && flow.has_ports {
        row["icmp_id"] = flow.source_port.into();
    }
    row
}

fn hosts(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let answer = reader.hosts(&flow_query(question))?;
    let host = |host: &Host| {
        json!({
            "host": host.address,
            "bytes_sent": host.bytes_sent,
            "bytes_received": host.bytes_received,
            "packets_sent": host.packets_sent,
            "packets_received": host.packets_received,
            "flows": host.flows,
        })
    };
    Ok(json!({
        "addresses": answer.addresses,
        "not_told_apart": answer.not_told_apart,
        "left_out": left_out(&answer.left_out),
        "bad_records": answer.bad_records,
        "hosts": answer.hosts.iter().map(host).collect::<Vec<_>>(),
    }))
}

fn alerts(reader: &Reader, question: &Question) -> Result<Value, Refusal> {
    let limit = question.limit.unwrap_or(EVENTS);
    let events = reader.alerts(question.range(), question.alert.as_deref(), limit)?;
    Ok(json!({ "alerts": events.iter().map(alert).collect::<Vec<_>>() }))
}

pub(super) fn alert(event: &AlertEvent) -> Value {
    json!({
        "at": event.at.to_string(),
        "alert": event.rule,
        "labels": event.labels,
        "severity": event.severity.name(),
        "state": event.state.name(),
        "value": event.value,
        "threshold": event.threshold,
        "metric": event.metric,
        "unit": event.unit,
        "window_seconds": event.window_seconds,
        "active_since": event.active_since.to_string(),
        "fired_at": event.fired_at.map(|at| at.to_string()),
        "resolved_at": event.resolved_at.map(|at| at.to_string()),
        "blind": event.blind,
    })
}

fn info(info: &Info) -> Value {
    let identity: String = info.identity.iter().map(|byte| format!("{byte:02x}")).collect();
    let tier = |tier: Tier| {
        let found = info.tiers[tier as usize];
        json!({
            "tier": tier.name(),
            "records": found.records,
            "oldest": found.oldest.map(time),
            "newest": found.newest.map(time),
        })
    };
    json!({
        "schema": info.schema,
        "identity": identity,
        "created": time(info.created),
        "size_bytes": info.size_bytes,
        "interfaces": info.interfaces.iter().map(|name| &**name).collect::<Vec<_>>(),
        "tiers": Tier::ALL.map(tier),
        "flows": info.flows,
        "alerts": info.alerts,
        "left_out": left_out(&info.left_out),
        "gaps": info.gaps.iter().map(gap).collect::<Vec<_>>(),
    })
}

fn left_out(left_out: &LeftOut) -> Value {
    json!({
        "below_floor": left_out.below_floor,
        "below_floor_bytes": left_out.below_floor_bytes,
        "over_rate": left_out.over_rate,
        "over_rate_bytes": left_out.over_rate_bytes,
    })
}

fn gap(gap: &Gap) -> Value {
    json!({
        "from": time(gap.from),
        "to": time(gap.to),
        "reason": gap.reason.name(),
        "records": gap.records,
    })
}

fn dropped(measures: &Measures) -> u64 {
    DropStage::ALL.iter().map(|stage| measures.dropped[*stage as usize]).sum()
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

fn time(seconds: u64) -> String {
    Timestamp::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND)).to_string()
}
