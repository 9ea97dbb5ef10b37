//! Metrics and spans that are pushed: what arrives, over both ways, and what a bad collector costs.
//!
//! Needs root for network namespaces, and says so where it is skipped. `OTLP_SECONDS` makes the troubles longer.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../rig/mod.rs"]
mod rig;
mod samples;
mod sink;
#[path = "../support/mod.rs"]
mod support;

mod arrives;
mod receiver;
mod secrets;
mod troubles;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rig::launch::Launch;
use rig::{BIND, Wire};
use samples::{Samples, metrics, samples};
use sink::{Sink, Taken, Way};
use std::time::Duration;

/// How long anything may take to arrive on a machine that is busy.
const SOON: Duration = Duration::from_secs(60);

/// `netmon run` that pushes to `endpoint` every second, and keeps all traces.
fn pushing<'a>(wire: &'a Wire, endpoint: &str, way: Way) -> Launch<'a> {
    wire.netmon("m0")
        .set("telemetry.otlp.endpoint", endpoint)
        .set("telemetry.otlp.protocol", way.name())
        .set("telemetry.otlp.metrics.interval", "1s")
        .set("telemetry.otlp.traces.sampler", "always_on")
}

fn url(sink: &Sink) -> String {
    format!("http://{}", sink.address)
}

/// The series of a message of metrics.
fn series(taken: &Taken) -> Samples {
    metrics([&taken.message[..]]).iter().flat_map(samples).collect()
}

/// The spans of everything that was taken.
fn spans(taken: &[Taken]) -> Vec<Span> {
    let traces = taken.iter().filter(|taken| !taken.is_metrics());
    let requests = traces.map(|taken| ExportTraceServiceRequest::decode(&taken.message[..]).unwrap());
    let resources = requests.flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

/// The text of `/metrics`.
fn page(wire: &Wire) -> String {
    wire.monitor.get(&format!("http://{BIND}/metrics"), &["--header", "Accept: text/plain"]).expect("/metrics answers")
}
