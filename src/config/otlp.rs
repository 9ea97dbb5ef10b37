//! Pushing to a collector, as written.

use super::rules::{Choice, FilePath, OptionalUrl, Percent, Period, ResourceAttribute, ServiceName, Switch, Variable};
use super::setting::{List, Setting};
use crate::notify::client::Url;
use crate::notify::secret::Source;
use crate::otlp::{self, Compression, Protocol};
use crate::telemetry::{Sampler, Sampling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pushing metrics and traces of netmon's own work to an OpenTelemetry collector. The standard `OTEL_` variables stand
/// over the file, and `NETMON_` variables over them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Otlp {
    /// Whether anything is pushed, where there is an endpoint.
    pub enabled: Setting<Switch<true>>,
    /// The collector, such as `http://localhost:4318` (`grpc`: 4317), or `https`; over HTTP `/v1/metrics` and
    /// `/v1/traces` are added. Empty: nothing is pushed, unless a signal has an endpoint of its own.
    pub endpoint: Setting<OptionalUrl>,
    /// `http/protobuf` or `grpc`.
    pub protocol: Setting<Choice<Protocol>>,
    /// A private file with headers for the collector, such as `authorization=Bearer%20abc,tenant=a`: pairs separated by
    /// commas, values percent-encoded. It is read again before every export.
    pub headers_file: Setting<FilePath>,
    /// The environment variable with the same, in place of the file.
    pub headers_env: Setting<Variable>,
    /// Certificates in PEM to trust in place of this machine's own.
    pub ca_file: Setting<FilePath>,
    /// `gzip` or `none`.
    pub compression: Setting<Choice<Compression>>,
    /// The longest that one export may take.
    pub timeout: Setting<Period<{ 100 * MILLISECOND }, { 60 * SECOND }, { 10 * SECOND }>>,
    /// `service.name` of what is pushed.
    pub service_name: Setting<ServiceName>,
    /// Further attributes of the resource, `name=value` each. They stand over those that netmon finds out itself
    /// (`service.version`, `service.instance.id`, `host.name`).
    pub attributes: List<ResourceAttribute, 0, 64>,
    /// What `/metrics` shows, pushed.
    pub metrics: PushedMetrics,
    /// Spans of netmon's own work.
    pub traces: Traces,
}

/// What `/metrics` shows, pushed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct PushedMetrics {
    /// Whether it is.
    pub enabled: Setting<Switch<true>>,
    /// The whole address, in place of the one that follows from `telemetry.otlp.endpoint`.
    pub endpoint: Setting<OptionalUrl>,
    /// From one export to the next.
    pub interval: Setting<Period<SECOND, { 3600 * SECOND }, { 60 * SECOND }>>,
}

/// Spans of netmon's own work: configuration, alert rules, deliveries, commits, HTTP requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Traces {
    /// Whether they are pushed.
    pub enabled: Setting<Switch<true>>,
    /// The whole address, in place of the one that follows from `telemetry.otlp.endpoint`.
    pub endpoint: Setting<OptionalUrl>,
    /// Which traces are kept, by the names of the OpenTelemetry specification. The `parentbased_` ones keep a request
    /// whose caller keeps it.
    pub sampler: Setting<Choice<Sampler>>,
    /// The share that the `traceidratio` samplers keep.
    pub ratio: Setting<Percent<100>>,
}

/// Everything that no key makes wrong alone, as key path and message.
pub(super) fn mistakes(written: &Otlp) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let mut wrong = |key: &str, message: &str| mistakes.push((format!("telemetry.otlp.{key}"), message.to_owned()));
    if written.headers_file.0.is_some() && written.headers_env.0.is_some() {
        wrong("headers_file", "is given beside `telemetry.otlp.headers_env`, allowed one of them");
    }
    if written.endpoint.0.as_ref().is_some_and(Url::has_query) {
        wrong("endpoint", "has a query, and paths are added to it: give each signal an endpoint of its own");
    }
    let endpoints = [
        ("endpoint", &written.endpoint.0),
        ("metrics.endpoint", &written.metrics.endpoint.0),
        ("traces.endpoint", &written.traces.endpoint.0),
    ];
    for (key, url) in endpoints {
        if written.protocol.0 == Protocol::Grpc && url.as_ref().is_some_and(|url| url.expose() != "/") {
            wrong(key, "has a path, and `grpc` has its own: allowed scheme, host and port");
        }
    }
    mistakes
}

pub(super) fn config(written: &Otlp) -> otlp::Config {
    let url = |own: &Option<Url>, path| {
        let of_all = written.endpoint.0.as_ref().map(|base| match written.protocol.0 {
            Protocol::Http => base.below(path),
            Protocol::Grpc => base.clone(),
        });
        own.clone().or(of_all).filter(|_| written.enabled.0)
    };
    let Otlp { metrics, traces, .. } = written;
    let file = written.headers_file.0.clone().map(Source::File);
    otlp::Config {
        metrics: url(&metrics.endpoint.0, "/v1/metrics").filter(|_| metrics.enabled.0),
        interval: metrics.interval.0,
        traces: url(&traces.endpoint.0, "/v1/traces").filter(|_| traces.enabled.0),
        sampling: Sampling { sampler: traces.sampler.0, ratio: traces.ratio.0 },
        protocol: written.protocol.0,
        headers: file.or_else(|| written.headers_env.0.clone().map(Source::Variable)),
        ca_file: written.ca_file.0.clone(),
        compression: written.compression.0,
        timeout: written.timeout.0,
        service_name: written.service_name.0.clone(),
        attributes: written.attributes.0.clone(),
    }
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
