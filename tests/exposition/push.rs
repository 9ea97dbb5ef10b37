//! The families as OTLP messages: that a push says what a page says.

use crate::{everything, snapshots};
use netmon::metrics::{Envelope, Exposition, Form, Scope, SelfState};
use netmon::stats::{Config, Snapshot};
use netmon::time::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric, number_data_point,
};
use prost::Message;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Sample lines by name and labels.
type Samples = BTreeMap<String, f64>;

/// A picture with everything in it.
fn full() -> (Exposition, Arc<Snapshot>, SelfState) {
    let config = everything();
    (Exposition::new(&config), snapshots::flood(&config), snapshots::own())
}

fn envelope() -> Envelope {
    Envelope { resource: vec![("service.name".into(), "netmon".into())], at: Timestamp::from_nanos(7_000_000_000) }
}

fn decoded(messages: &[Vec<u8>]) -> Vec<Metric> {
    let requests = messages.iter().map(|bytes| ExportMetricsServiceRequest::decode(&bytes[..]).unwrap());
    let resources = requests.flat_map(|request| request.resource_metrics);
    resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect()
}

fn labels(attributes: &[KeyValue], more: Option<String>) -> String {
    let pair = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(value) => format!("{}={value:?}", attribute.key),
        other => panic!("{other:?}"),
    };
    let pairs: Vec<_> = attributes.iter().map(pair).chain(more).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// What a message says, as the lines of a page.
fn samples(metric: &Metric) -> Samples {
    let name = &metric.name;
    match metric.data.as_ref().unwrap() {
        metric::Data::Gauge(Gauge { data_points }) | metric::Data::Sum(Sum { data_points, .. }) => {
            let number = |point: &NumberDataPoint| match point.value.unwrap() {
                number_data_point::Value::AsInt(value) => value as f64,
                number_data_point::Value::AsDouble(value) => value,
            };
            data_points.iter().map(|point| (format!("{name}{}", labels(&point.attributes, None)), number(point))).collect()
        }
        metric::Data::Histogram(histogram) => histogram.data_points.iter().flat_map(|point| lines(name, point)).collect(),
        other => panic!("{other:?}"),
    }
}

fn lines(name: &str, point: &HistogramDataPoint) -> Samples {
    let mut cumulative = 0;
    let mut samples = Samples::new();
    let bounds = point.explicit_bounds.iter().map(|bound| format!("{bound:?}")).chain(["+Inf".into()]);
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        cumulative += count;
        let le = Some(format!("le={bound:?}"));
        samples.insert(format!("{name}_bucket{}", labels(&point.attributes, le)), cumulative as f64);
    }
    assert_eq!(cumulative, point.count);
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let plain = labels(&point.attributes, None);
    samples.insert(format!("{name}_count{plain}"), point.count as f64);
    samples.insert(format!("{name}_sum{plain}"), point.sum.unwrap());
    samples
}

fn of_page(page: &str) -> Samples {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name.into(), value.parse().unwrap())).collect()
}

#[test]
fn a_push_says_what_the_page_of_the_same_picture_says() {
    let (exposition, snapshot, own) = full();
    let page = of_page(&exposition.render(&snapshot, &own, Form::Text, Scope::All));
    let pushed: Samples =
        decoded(&exposition.messages(&snapshot, &own, &envelope(), Scope::All)).iter().flat_map(samples).collect();
    assert!(page.len() > 500, "{}", page.len());
    assert_eq!(pushed, page);
}

#[test]
fn counters_and_histograms_are_cumulative_since_the_start_and_gauges_are_of_now() {
    let (exposition, snapshot, own) = full();
    let started = own.started.unwrap().as_nanos();
    for metric in decoded(&exposition.messages(&snapshot, &own, &envelope(), Scope::All)) {
        let times = match metric.data.unwrap() {
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic && metric.name.ends_with("_total"), "{}", metric.name);
                assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
                (sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano)
            }
            metric::Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
                (histogram.data_points[0].start_time_unix_nano, histogram.data_points[0].time_unix_nano)
            }
            metric::Data::Gauge(gauge) => {
                assert_eq!(gauge.data_points[0].start_time_unix_nano, 0, "{}", metric.name);
                (started, gauge.data_points[0].time_unix_nano)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(times, (started, 7_000_000_000), "{}", metric.name);
        assert!(!metric.description.is_empty());
    }
}

#[test]
fn many_series_are_several_messages_of_whole_families() {
    let (exposition, snapshot, own) = full();
    let one = exposition.messages(&snapshot, &own, &envelope(), Scope::All);
    assert_eq!(one.len(), 1);
    let config = Config { max_interfaces: 256, ..everything() };
    let (exposition, snapshot) = (Exposition::new(&config), snapshots::flood(&config));
    let many = exposition.messages(&snapshot, &own, &envelope(), Scope::All);
    assert!(many.len() > 1 && many.iter().all(|message| message.len() < 4 << 20), "{}", many.len());
    let names: Vec<_> = decoded(&many).into_iter().map(|metric| metric.name).collect();
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
