//! The families as OTLP messages: that a push says what a page says.

use crate::samples::{Samples, metrics, of_page, samples};
use crate::{everything, snapshots};
use netmon::metrics::{Envelope, Exposition, Form, Scope, SelfState};
use netmon::stats::{Config, Snapshot};
use netmon::time::Timestamp;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, metric};
use std::collections::HashSet;
use std::sync::Arc;

/// A picture with everything in it.
fn full() -> (Exposition, Arc<Snapshot>, SelfState) {
    let config = everything();
    (Exposition::new(&config), snapshots::flood(&config), snapshots::own())
}

fn pushed((exposition, snapshot, own): &(Exposition, Arc<Snapshot>, SelfState)) -> Vec<Vec<u8>> {
    let resource = vec![("service.name".into(), "netmon".into())];
    let envelope = Envelope { resource, at: Timestamp::from_nanos(7_000_000_000) };
    exposition.messages(snapshot, own, &envelope, Scope::All)
}

fn decoded(messages: &[Vec<u8>]) -> Vec<Metric> {
    metrics(messages.iter().map(|message| &message[..]))
}

#[test]
fn a_push_says_what_the_page_of_the_same_picture_says() {
    let full = full();
    let (exposition, snapshot, own) = &full;
    let page = of_page(&exposition.render(snapshot, own, Form::Text, Scope::All));
    let pushed: Samples = decoded(&pushed(&full)).iter().flat_map(samples).collect();
    assert!(page.len() > 500, "{}", page.len());
    assert_eq!(pushed, page);
}

#[test]
fn counters_and_histograms_are_cumulative_since_the_start_and_gauges_are_of_now() {
    let full = full();
    let started = full.2.started.unwrap().as_nanos();
    for metric in decoded(&pushed(&full)) {
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
fn exemplars_go_with_their_histogram() {
    let config = everything();
    let two = (Exposition::new(&config), snapshots::two_requests(&config), snapshots::own());
    let metrics = decoded(&pushed(&two));
    let rtt = metrics.iter().find(|metric| metric.name == "netmon_tcp_handshake_rtt_seconds").unwrap();
    let Some(metric::Data::Histogram(histogram)) = &rtt.data else { panic!("{rtt:?}") };
    let exemplars = histogram.data_points.iter().flat_map(|point| &point.exemplars);
    let flows: Vec<_> = exemplars.map(|exemplar| crate::samples::text(&exemplar.filtered_attributes[0])).collect();
    assert_eq!(flows, ["00c0ffee00000002", "00c0ffee00000001"]);
    assert_eq!(rtt.unit, "s");
}

#[test]
fn many_series_are_several_messages_of_whole_families() {
    assert_eq!(pushed(&full()).len(), 1);
    let config = Config { max_interfaces: 256, ..everything() };
    let many = pushed(&(Exposition::new(&config), snapshots::flood(&config), snapshots::own()));
    assert!(many.len() > 1 && many.iter().all(|message| message.len() < 4 << 20), "{}", many.len());
    let names: Vec<_> = decoded(&many).into_iter().map(|metric| metric.name).collect();
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
