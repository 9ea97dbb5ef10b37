//! The same families as OTLP messages, for a collector that is pushed to.
//!
//! A metric has the name it has on `/metrics`, `_total` included, and its unit in UCUM. So a collector that turns it back
//! into Prometheus's form gives the same series whether it adds suffixes or not: it adds none that are there
//! (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", OTLP to Prometheus). Counters are monotonic
//! cumulative sums since the start of the process, histograms are cumulative with the same bounds (upper ones inclusive
//! in both worlds), all else is a gauge. What is not available makes no point, as it makes no line.

use super::decimal::Decimal;
use super::family::{Family, Kind, Labels, Scale, Value};
use super::view::View;
use crate::stats::Buckets;
use crate::time::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// Bytes of one message, about: receivers of gRPC take 4 MiB unless they are told otherwise. A family is not divided; the
/// greatest has about 1 MiB at the most interfaces there can be.
const MESSAGE_BYTES: usize = 2 << 20;

/// What stands around the points of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who tells this: names and values of the resource.
    pub resource: Vec<(String, String)>,
    /// Wall-clock time of the values.
    pub at: Timestamp,
}

/// The series of `families` as messages (`ExportMetricsServiceRequest`), each to be sent by itself.
pub(super) fn encode<'f>(families: impl Iterator<Item = &'f Family>, view: &View, envelope: &Envelope) -> Vec<Vec<u8>> {
    let times = Times { start: view.own.started.unwrap_or(envelope.at).as_nanos(), at: envelope.at.as_nanos() };
    let (mut messages, mut metrics, mut bytes) = (Vec::new(), Vec::new(), 0);
    for metric in families.filter_map(|family| of_family(family, view, times)) {
        let length = metric.encoded_len();
        if bytes + length > MESSAGE_BYTES && !metrics.is_empty() {
            messages.push(message(std::mem::take(&mut metrics), envelope));
            bytes = 0;
        }
        bytes += length;
        metrics.push(metric);
    }
    if !metrics.is_empty() {
        messages.push(message(metrics, envelope));
    }
    messages
}

fn message(metrics: Vec<Metric>, envelope: &Envelope) -> Vec<u8> {
    let attributes = envelope.resource.iter().map(|(key, value)| attribute(key, value)).collect();
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    let of_scope = ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() };
    let resource = Resource { attributes, ..Resource::default() };
    let of_resource =
        ResourceMetrics { resource: Some(resource), scope_metrics: vec![of_scope], schema_url: String::new() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }.encode_to_vec()
}

/// In nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    at: u64,
}

/// One family; `None` if no series is available.
fn of_family(family: &Family, view: &View, times: Times) -> Option<Metric> {
    let temporality = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        Kind::Counter => {
            let data_points = numbers(family, view, times.start, times.at)?;
            metric::Data::Sum(Sum { data_points, aggregation_temporality: temporality, is_monotonic: true })
        }
        Kind::Gauge | Kind::Info => metric::Data::Gauge(Gauge { data_points: numbers(family, view, 0, times.at)? }),
        Kind::Histogram { bounds, scale, .. } => {
            let data_points = histograms(family, view, times, (bounds, scale))?;
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality: temporality })
        }
    };
    Some(Metric {
        name: family.name.into(),
        description: family.help.into(),
        unit: ucum(family).into(),
        metadata: Vec::new(),
        data: Some(data),
    })
}

/// The unit in the Unified Code for Units of Measure; counts of things have none.
pub(super) fn ucum(family: &Family) -> &'static str {
    match family.unit {
        "bytes" => "By",
        "seconds" => "s",
        "bytes_per_second" => "By/s",
        "ratio" => "1",
        _ => "",
    }
}

fn numbers(family: &Family, view: &View, start: u64, at: u64) -> Option<Vec<NumberDataPoint>> {
    let mut points = Vec::new();
    let walked = view.walk(family, &mut |labels, value| {
        let value = match value {
            Value::Integer(value) => integer(value),
            Value::Real(value) => number_data_point::Value::AsDouble(value),
            // A row of the catalogue with values of another type; the walk has turned infos into integers.
            Value::Histogram(_) | Value::Info(_) => return Err(std::fmt::Error),
        };
        points.push(NumberDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: start,
            time_unix_nano: at,
            value: Some(value),
            ..NumberDataPoint::default()
        });
        Ok(())
    });
    debug_assert!(walked.is_ok());
    (!points.is_empty()).then_some(points)
}

/// Exact up to 2^63; no counter of bytes gets there.
fn integer(value: u64) -> number_data_point::Value {
    i64::try_from(value).map_or(number_data_point::Value::AsDouble(value as f64), number_data_point::Value::AsInt)
}

fn histograms(
    family: &Family,
    view: &View,
    times: Times,
    (bounds, scale): (&[u64], Scale),
) -> Option<Vec<HistogramDataPoint>> {
    let base = |value: u128| Decimal { value, scale }.to_f64();
    let bounds: Vec<f64> = bounds.iter().map(|bound| base((*bound).into())).collect();
    let mut points = Vec::new();
    let walked = view.walk(family, &mut |labels, value| {
        let Value::Histogram(buckets) = value else { return Err(std::fmt::Error) };
        points.push(HistogramDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: times.start,
            time_unix_nano: times.at,
            count: buckets.count(),
            sum: Some(base(buckets.sum())),
            bucket_counts: buckets.counts().to_vec(),
            explicit_bounds: bounds.clone(),
            exemplars: exemplars(buckets, times.at, scale),
            ..HistogramDataPoint::default()
        });
        Ok(())
    });
    debug_assert!(walked.is_ok());
    (!points.is_empty()).then_some(points)
}

fn exemplars(buckets: &Buckets, at: u64, scale: Scale) -> Vec<Exemplar> {
    let known = buckets.exemplars().iter().flatten();
    let exemplar = |known: &crate::stats::Exemplar| Exemplar {
        filtered_attributes: vec![attribute("flow_id", &format!("{:016x}", known.flow))],
        time_unix_nano: at,
        value: Some(exemplar::Value::AsDouble(Decimal { value: known.value.into(), scale }.to_f64())),
        ..Exemplar::default()
    };
    known.map(exemplar).collect()
}

fn attributes(labels: &Labels<'_>) -> Vec<KeyValue> {
    labels.pairs().iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), key_strindex: 0 }
}

#[cfg(test)]
mod tests;
