//! `netmon run`: the daemon.

use super::signals::Signals;
use super::{Common, Failure, load, logging_with, say};
use crate::app;
use crate::config::Override;
use crate::telemetry::{SpanQueue, spans};
use std::time::SystemTime;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Interface to monitor: a name, a glob such as 'veth*', '!name' to leave one out, or 'any' (repeatable)
    #[arg(short, long, value_name = "NAME")]
    interface: Vec<String>,
    /// How frames are captured
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Only frames that match this filter (tcpdump syntax, pcap-filter(7))
    #[arg(long, value_name = "EXPRESSION")]
    bpf: Option<String>,
    /// Keep no history: neither series nor flows nor alert events
    #[arg(long)]
    no_history: bool,
    /// Where to serve /metrics and the page: ADDRESS:PORT or unix:PATH (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
}

impl Arguments {
    fn overrides(&self) -> Vec<Override> {
        let one = |flag: &str, key: &str, values: &[String]| Override {
            flag: flag.to_owned(),
            key: key.to_owned(),
            values: values.to_vec(),
        };
        let off = if self.no_history { &["false".to_owned()][..] } else { &[] };
        let all = [
            one("--interface", "interfaces", &self.interface),
            one("--backend", "capture.backend", self.backend.as_slice()),
            one("--bpf", "capture.bpf", self.bpf.as_slice()),
            one("--bind", "api.bind", &self.bind),
            one("--no-history", "history.enabled", off),
        ];
        all.into_iter().filter(|given| !given.values.is_empty()).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "a span has the times of the machine")]
pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    // First of all, so that a stop is an orderly end from the beginning.
    let signals = Signals::of_daemon()?;
    let begun = SystemTime::now();
    let loaded = load(common, &arguments.overrides())?;
    let read = SystemTime::now();
    let (layer, spans) = loaded.config.otlp.traces.as_ref().map(|_| spans(loaded.config.otlp.sampling)).unzip();
    spans.iter().for_each(|spans: &SpanQueue| spans.record("config.load", begun, read));
    let log = logging_with(common, &loaded.config, layer)?;
    let without_file = loaded.file.is_none();
    let control = app::Control {
        stop: &signals.stop,
        reload: &signals.reload,
        overrides: &arguments.overrides(),
        levels: &|config| common.levels(config),
        log: &log,
    };
    app::run(app::Start { loaded, spans }, &control, |names, server| {
        let names = if names.is_empty() { "no interface yet".into() } else { names.join(", ") };
        let config = if without_file { " (no configuration file, safe defaults)" } else { "" };
        say(&format!("monitoring {names}{config}; page at {}", server.urls().join(", ")));
    })
    .map_err(Failure::of)
}
