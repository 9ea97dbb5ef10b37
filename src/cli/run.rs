//! `netmon run`: the daemon.

use super::{Common, Failure, interrupt_flag, load, logging, say};
use crate::app;
use crate::config::Override;

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
        let all = [
            one("--interface", "interfaces", &self.interface),
            one("--backend", "capture.backend", self.backend.as_slice()),
            one("--bpf", "capture.bpf", self.bpf.as_slice()),
            one("--bind", "api.bind", &self.bind),
        ];
        all.into_iter().filter(|given| !given.values.is_empty()).collect()
    }
}

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let loaded = load(common, &arguments.overrides())?;
    let log = logging(common, &loaded.config)?;
    let stop = interrupt_flag()?;
    let without_file = loaded.file.is_none();
    app::run(&loaded.config, &stop, &log, |names, server| {
        let config = if without_file { " (no configuration file, safe defaults)" } else { "" };
        say(&format!("monitoring {}{config}; page at {}", names.join(", "), server.urls().join(", ")));
    })
    .map_err(Failure::of)
}
