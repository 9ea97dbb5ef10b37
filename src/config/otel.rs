//! The standard variables of OpenTelemetry as a layer of the configuration: over the file, under `NETMON_` variables.
//!
//! Each one stands for a key, so what is wrong with it is said of the variable by its name, and what is in force shows in
//! the effective configuration. Headers are secrets: only where they are is a key. As the specification wants it, an
//! empty variable is one that is not set.

use super::document::{Keys, Node, Value};
use super::layers::{given, insert};
use super::mistake::{Mistake, Place};
use crate::otlp::percent_decoded;
use std::ffi::OsString;

/// Variables whose text is that of their key.
const TEXTS: [(&str, &str); 9] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp.endpoint"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "telemetry.otlp.metrics.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.otlp.traces.endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "telemetry.otlp.protocol"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "telemetry.otlp.ca_file"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "telemetry.otlp.compression"),
    ("OTEL_SERVICE_NAME", "telemetry.otlp.service_name"),
    ("OTEL_TRACES_SAMPLER", "telemetry.otlp.traces.sampler"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.otlp.traces.ratio"),
];

/// Variables that count milliseconds.
const MILLISECONDS: [(&str, &str); 2] = [
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "telemetry.otlp.timeout"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "telemetry.otlp.metrics.interval"),
];

/// Variables that name exporters; a signal without `otlp` among them is not pushed.
const EXPORTERS: [(&str, &str); 2] = [
    ("OTEL_METRICS_EXPORTER", "telemetry.otlp.metrics.enabled"),
    ("OTEL_TRACES_EXPORTER", "telemetry.otlp.traces.enabled"),
];

const DISABLED: &str = "OTEL_SDK_DISABLED";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The variables of `environment` as a layer, and the mistakes of those that cannot be one.
pub(super) fn variables(environment: &[(OsString, OsString)]) -> (Keys, Vec<Mistake>) {
    let (mut layer, mut mistakes) = (Keys::new(), Vec::new());
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("OTEL_")) else { continue };
        let place = Place::Variable(name.to_owned());
        match value.to_str() {
            None if is_known(name) => mistakes.push(Mistake::new(place, "is not valid UTF-8")),
            None | Some("") => {}
            Some(text) => {
                for (key, value) in meaning(name, text.trim(), &place) {
                    insert(&mut layer, key, Node { place: place.clone(), value });
                }
            }
        }
    }
    (layer, mistakes)
}

/// Names of variables of OpenTelemetry among these that have no meaning here.
pub(crate) fn unused(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let names = names.filter_map(|name| name.into_string().ok());
    let mut unused: Vec<_> = names.filter(|name| name.starts_with("OTEL_") && !is_known(name)).collect();
    unused.sort();
    unused
}

fn is_known(name: &str) -> bool {
    let pairs = TEXTS.iter().chain(&MILLISECONDS).chain(&EXPORTERS).map(|(known, _)| *known);
    pairs.chain([DISABLED, HEADERS, ATTRIBUTES]).any(|known| known == name)
}

/// Keys with their values.
fn meaning(name: &str, text: &str, place: &Place) -> Vec<(&'static str, Value)> {
    let key_in = |pairs: &[(&str, &'static str)]| pairs.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
    let one = |text: &str| Value::Text(text.to_owned());
    if let Some(key) = key_in(&TEXTS) {
        return vec![(key, one(text))];
    }
    if let Some(key) = key_in(&MILLISECONDS) {
        return vec![(key, Value::Text(format!("{text}ms")))];
    }
    if let Some(key) = key_in(&EXPORTERS) {
        let is_pushed = text.split(',').any(|exporter| exporter.trim() == "otlp");
        return vec![(key, one(if is_pushed { "true" } else { "false" }))];
    }
    match name {
        // Any other word means that it is not disabled.
        DISABLED if text.eq_ignore_ascii_case("true") => vec![("telemetry.otlp.enabled", one("false"))],
        // In place of a file that the layer below may name.
        HEADERS => vec![("telemetry.otlp.headers_env", one(HEADERS)), ("telemetry.otlp.headers_file", one(""))],
        ATTRIBUTES => {
            let pairs = text.split(',').map(|pair| percent_decoded(pair.trim()));
            let pairs = pairs.filter(|pair| !pair.is_empty()).collect();
            vec![("telemetry.otlp.attributes", given(pairs, true, place))]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;
    use crate::config::{Loaded, NO_CHECKS, Override, from_layers};
    use crate::otlp::{Compression, Protocol};
    use crate::telemetry::Sampler;
    use std::time::Duration;

    fn load(yaml: &str, variables: &[(&str, &str)], overrides: &[Override]) -> Result<Loaded, String> {
        let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let document = Document::parse(&"netmon.yaml".into(), yaml.as_bytes());
        from_layers(document, environment, overrides, NO_CHECKS).map_err(|mistakes| mistakes.to_string())
    }

    fn config(yaml: &str, variables: &[(&str, &str)]) -> crate::otlp::Config {
        load(yaml, variables, &[]).unwrap().config.otlp
    }

    #[test]
    fn nothing_is_pushed_without_an_endpoint() {
        let config = config("", &[("OTEL_SERVICE_NAME", "edge"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
        assert_eq!((config.metrics, config.traces), (None, None));
        assert_eq!(config.service_name, "edge");
    }

    #[test]
    fn the_standard_variables_are_understood_as_the_specification_has_them() {
        let config = config(
            "",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318/otlp/"),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces.example/ingest?tenant=a"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
                ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod%2Ceu, team = net ,"),
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ],
        );
        let shown = |url: &Option<crate::notify::client::Url>| {
            let url = url.as_ref().unwrap();
            format!("{}{}", url.origin(), url.expose())
        };
        assert_eq!(shown(&config.metrics), "https://collector.example:4318/otlp/v1/metrics");
        assert_eq!(shown(&config.traces), "http://traces.example:80/ingest?tenant=a");
        assert_eq!(config.headers, Some(crate::notify::secret::Source::Variable(HEADERS.into())));
        assert_eq!(config.ca_file.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
        assert_eq!((config.protocol, config.compression), (Protocol::Http, Compression::Gzip));
        assert_eq!((config.timeout, config.interval), (Duration::from_millis(2500), Duration::from_secs(15)));
        assert_eq!((config.sampling.sampler, config.sampling.ratio), (Sampler::TraceIdRatio, 0.25));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(config.attributes, [pair("deployment.environment.name", "prod,eu"), pair("team", "net")]);
    }

    #[test]
    fn they_stand_over_the_file_and_under_the_variables_and_flags_of_netmon() {
        let yaml = "telemetry: {otlp: {endpoint: 'http://file:4318', timeout: 3s, headers_file: /etc/secret}}\n";
        let otel = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318");
        let host = |variables: &[(&str, &str)]| config(yaml, variables).metrics.unwrap().host().to_owned();
        assert_eq!(host(&[]), "file");
        assert_eq!(host(&[otel]), "otel");
        assert_eq!(host(&[otel, ("NETMON_TELEMETRY__OTLP__ENDPOINT", "http://netmon:4318")]), "netmon");
        assert_eq!(config(yaml, &[otel]).timeout, Duration::from_secs(3));
        let headers = config(yaml, &[(HEADERS, "a=b")]).headers;
        assert_eq!(headers, Some(crate::notify::secret::Source::Variable(HEADERS.into())));
    }

    #[test]
    fn a_signal_or_everything_can_be_switched_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318");
        let pushed = |variable: (&str, &str)| {
            let config = config("", &[endpoint, variable]);
            (config.metrics.is_some(), config.traces.is_some())
        };
        assert_eq!(pushed(("OTEL_SDK_DISABLED", "TRUE")), (false, false));
        assert_eq!(pushed(("OTEL_SDK_DISABLED", "1")), (true, true));
        assert_eq!(pushed(("OTEL_METRICS_EXPORTER", "prometheus")), (false, true));
        assert_eq!(pushed(("OTEL_TRACES_EXPORTER", "none")), (true, false));
        assert_eq!(pushed(("OTEL_METRICS_EXPORTER", "console,otlp")), (true, true));
    }

    #[test]
    fn what_is_wrong_with_one_is_said_of_the_variable() {
        let wrong = |name, value| load("", &[(name, value)], &[]).unwrap_err();
        assert_eq!(
            wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            "environment `OTEL_EXPORTER_OTLP_PROTOCOL`: `telemetry.otlp.protocol` is `http/json`, allowed \
             `http/protobuf`, `grpc` (default http/protobuf)"
        );
        assert!(wrong("OTEL_EXPORTER_OTLP_TIMEOUT", "10s").contains("`OTEL_EXPORTER_OTLP_TIMEOUT`"));
        assert!(wrong("OTEL_METRIC_EXPORT_INTERVAL", "10").contains("is 10 ms, allowed 1 s to 1 h"));
        assert!(wrong("OTEL_TRACES_SAMPLER", "jaeger_remote").contains("`parentbased_traceidratio`"));
        let canary = wrong("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:canary@host");
        assert!(canary.contains("a user or a password") && !canary.contains("canary"), "{canary}");
    }

    #[test]
    fn secrets_are_not_in_the_effective_configuration() {
        let variables =
            [("OTEL_EXPORTER_OTLP_HEADERS", "k=canary"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h/canary")];
        let effective = serde_json::to_string(&load("", &variables, &[]).unwrap().effective).unwrap();
        assert!(!effective.contains("canary") && effective.contains(HEADERS), "{effective}");
    }

    #[test]
    fn variables_that_mean_nothing_here_are_told_apart() {
        let names = ["OTEL_BSP_SCHEDULE_DELAY", "PATH", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_LOGS_EXPORTER"];
        assert_eq!(unused(names.map(OsString::from).into_iter()), ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_LOGS_EXPORTER"]);
    }
}
