//! OTLP messages as the lines of a page of `/metrics`, so that the two can be compared.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric, number_data_point,
};
use prost::Message;
use std::collections::BTreeMap;

/// Values by name and labels, as a page writes them.
pub type Samples = BTreeMap<String, f64>;

/// The metrics of messages, in their order.
pub fn metrics<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Vec<Metric> {
    let requests = messages.into_iter().map(|bytes| ExportMetricsServiceRequest::decode(bytes).unwrap());
    let resources = requests.flat_map(|request| request.resource_metrics);
    resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect()
}

/// The text of an attribute.
pub fn text(attribute: &KeyValue) -> &str {
    match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(value) => value,
        other => panic!("{other:?}"),
    }
}

/// What a metric says, as the lines of a page.
pub fn samples(metric: &Metric) -> Samples {
    let name = &metric.name;
    match metric.data.as_ref().unwrap() {
        metric::Data::Gauge(Gauge { data_points }) | metric::Data::Sum(Sum { data_points, .. }) => data_points
            .iter()
            .map(|point| (format!("{name}{}", labels(&point.attributes, None)), number(point)))
            .collect(),
        metric::Data::Histogram(histogram) => {
            histogram.data_points.iter().flat_map(|point| lines(name, point)).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The lines of a page in the text format.
pub fn of_page(page: &str) -> Samples {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

fn number(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        number_data_point::Value::AsInt(value) => value as f64,
        number_data_point::Value::AsDouble(value) => value,
    }
}

fn labels(attributes: &[KeyValue], more: Option<String>) -> String {
    let pairs = attributes.iter().map(|attribute| format!("{}={:?}", attribute.key, text(attribute)));
    let pairs: Vec<_> = pairs.chain(more).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// Buckets add up on a page, and do not in a message.
fn lines(name: &str, point: &HistogramDataPoint) -> Samples {
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let (mut cumulative, mut samples) = (0, Samples::new());
    let bounds = point.explicit_bounds.iter().map(|bound| {
        let text = bound.to_string();
        if text.contains('.') { text } else { format!("{text}.0") }
    });
    for (bound, count) in bounds.chain(["+Inf".into()]).zip(&point.bucket_counts) {
        cumulative += count;
        let le = Some(format!("le={bound:?}"));
        samples.insert(format!("{name}_bucket{}", labels(&point.attributes, le)), cumulative as f64);
    }
    assert_eq!(cumulative, point.count);
    let plain = labels(&point.attributes, None);
    samples.insert(format!("{name}_count{plain}"), point.count as f64);
    samples.insert(format!("{name}_sum{plain}"), point.sum.unwrap());
    samples
}
