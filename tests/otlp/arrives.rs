//! What arrives at a collector that is well.

use crate::rig::{MONITOR, START, Wire, can_run};
use crate::samples::{Samples, of_page, text};
use crate::sink::{Fate, Sink, Taken, Way};
use crate::support::running::{poll, wait_until};
use crate::{BIND, SOON, page, pushing, series, spans, url};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use std::collections::BTreeSet;

/// What depends on the moment, on who asks or on the push itself.
const OF_THE_MOMENT: [&str; 6] =
    ["process_", "netmon_otlp_", "netmon_http_", "netmon_scrape_", "netmon_series", "netmon_capture_lag_"];

/// Rates and shares change by the tick.
fn is_steady(name: &str) -> bool {
    let is_rate = name.contains("_per_second") || name.contains("_ratio");
    !is_rate && !OF_THE_MOMENT.iter().any(|prefix| name.starts_with(prefix))
}

/// A push and the series that the pages just before and after it agree on.
fn push_between_pages(wire: &Wire, sink: &Sink) -> (Taken, Samples, BTreeSet<String>) {
    let count = |sink: &Sink| sink.taken().iter().filter(|taken| taken.is_metrics()).count();
    let before = (of_page(&page(wire)), count(sink));
    let push = wait_until("a push", SOON, || sink.taken().into_iter().filter(Taken::is_metrics).nth(before.1));
    let after = of_page(&page(wire));
    let names = after.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect();
    let agreed = before.0.into_iter().filter(|(name, value)| is_steady(name) && after.get(name) == Some(value));
    (push, agreed.collect(), names)
}

#[test]
fn a_push_over_either_way_has_the_values_of_the_page_at_the_same_time() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    for way in Way::BOTH {
        let wire = Wire::new();
        let sink = Sink::start(&wire.monitor, 0, way, None, |_| Fate::Accept);
        let _netmon = pushing(&wire, &url(&sink), way).start();
        wire.send_datagrams(&wire.generator, MONITOR, 500);
        wire.generator.must("ping", &["-c", "3", "-i", "0.2", MONITOR]);
        let seen = "netmon_interface_receive_packets_total{interface=\"m0\"}";
        wait_until("the frames to be counted", START, || {
            of_page(&page(&wire)).get(seen).is_some_and(|packets| *packets >= 503.0).then_some(())
        });
        // Rates go on falling for a minute; what stands still is compared.
        let (push, agreed, names) = push_between_pages(&wire, &sink);
        let pushed = series(&push);
        assert!(agreed.len() > 150 && agreed.values().filter(|value| **value > 0.0).count() > 30, "{}", agreed.len());
        for (name, value) in &agreed {
            assert_eq!(pushed.get(name), Some(value), "{name} over {}", way.name());
        }
        let pushed_names: BTreeSet<_> =
            pushed.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect();
        // The first push does not know of itself.
        let is_missing = |name: &&String| !name.starts_with("netmon_otlp_");
        let missing: Vec<_> = names.symmetric_difference(&pushed_names).filter(is_missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn the_resource_says_who_pushes_and_gzip_and_standard_variables_are_obeyed() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    for way in Way::BOTH {
        let wire = Wire::new();
        let sink = Sink::start(&wire.monitor, 0, way, None, |_| Fate::Accept);
        let _netmon = wire
            .netmon("m0")
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &url(&sink))
            .variable("OTEL_EXPORTER_OTLP_PROTOCOL", way.name())
            .variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b,authorization=Bearer%20secret")
            .variable("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .variable("OTEL_SERVICE_NAME", "edge")
            .variable("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
            .start();
        let push = wait_until("a push", SOON, || sink.taken().into_iter().find(Taken::is_metrics));
        assert_eq!(
            (&push.headers["x-tenant"], &push.headers["authorization"]),
            (&"a b".parse().unwrap(), &"Bearer secret".parse().unwrap())
        );
        let encoding = if way == Way::Http { "content-encoding" } else { "grpc-encoding" };
        assert_eq!(push.headers[encoding], "gzip");
        let request = ExportMetricsServiceRequest::decode(&push.message[..]).unwrap();
        let resource = request.resource_metrics[0].resource.clone().unwrap();
        let value = |name: &str| text(resource.attributes.iter().find(|known| known.key == name).unwrap()).to_owned();
        assert_eq!((value("service.name"), value("deployment.environment.name")), ("edge".into(), "test".into()));
        assert_eq!(value("service.version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(value("service.instance.id"), format!("{}:9099", value("host.name")));
    }
}

/// An alert that fires at once, and somebody who is not there to be told.
const RULES: &str = "
alerts: [{ name: Seen, metric: packets_per_second, window: 1s, below: 1000000, for: 0s, notify: [nobody] }]
receivers: [{ name: nobody, group_wait: 0s, webhook: { url: 'http://127.0.0.1:4997/' } }]
";

#[test]
fn spans_of_the_work_arrive_with_their_parents_and_nothing_else_does() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for way in Way::BOTH {
        let wire = Wire::new();
        let sink = Sink::start(&wire.monitor, 0, way, None, |_| Fate::Accept);
        let directory = crate::rig::directory_for_all();
        let (file, state) = (directory.path().join("netmon.yaml"), directory.path().join("state"));
        std::fs::write(&file, RULES).unwrap();
        let netmon = pushing(&wire, &url(&sink), way)
            .option("--config", file.to_str().unwrap())
            .set("history.enabled", "true")
            .set("state.directory", state.to_str().unwrap())
            .start();
        let health = format!("http://{BIND}/healthz");
        wire.monitor.get(&health, &["--header", &format!("traceparent: {CALLER}")]).unwrap();
        netmon.signal(nix::sys::signal::Signal::SIGHUP);
        let wanted = [
            "config.load",
            "config.reload",
            "alerts.evaluate",
            "http.request",
            "history.commit",
            "state.commit",
            "notification.deliver",
        ];
        let arrived = poll(
            SOON,
            || spans(&sink.taken()),
            |spans| wanted.iter().all(|name| spans.iter().any(|span| span.name == *name)),
        );
        let names: BTreeSet<_> = arrived.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, wanted.into(), "over {}", way.name());
        let called = arrived.iter().find(|span| span.trace_id.starts_with(&[0x0a, 0xf7, 0x65])).expect("the request");
        assert_eq!((called.parent_span_id[0], called.kind), (0xb7, SpanKind::Server as i32));
        let load = arrived.iter().find(|span| span.name == "config.load").unwrap();
        assert!(load.end_time_unix_nano >= load.start_time_unix_nano && load.parent_span_id.is_empty());
        let reload = arrived.iter().find(|span| span.name == "config.reload").unwrap();
        assert_eq!(reload.status.as_ref().unwrap().code, StatusCode::Unset as i32);
        let delivery = arrived.iter().find(|span| span.name == "notification.deliver").unwrap();
        assert_eq!(delivery.status.as_ref().unwrap().code, StatusCode::Error as i32, "nobody listens there");
    }
}

#[test]
fn nothing_is_pushed_and_nothing_shown_without_an_endpoint() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let wire = Wire::new();
    let _netmon = wire.run_netmon("m0");
    assert!(!page(&wire).contains("netmon_otlp_"));
}
