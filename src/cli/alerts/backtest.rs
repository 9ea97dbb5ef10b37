//! `netmon alerts backtest`: what rules would have done on captures.

use super::show;
use crate::alert::{State, Transition};
use crate::cli::replay::{self, Run};
use crate::cli::signals::Signals;
use crate::cli::table::Table;
use crate::cli::{Common, Failure, Format, load, print, say};
use crate::config::{Config, Loaded, from_yaml};
use crate::pipeline::{Keep, Pace};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Capture files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    /// A rule as it would stand in `alerts:`, in place of those of the configuration:
    /// '{ name: A, metric: bytes_per_second, window: 10s, above: 1MiB }'
    #[arg(long = "rule", value_name = "YAML")]
    rules: Vec<String>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Only frames that match this filter (tcpdump syntax, pcap-filter(7))
    #[arg(long, value_name = "EXPRESSION")]
    bpf: Option<String>,
    /// Name of the interface (default: the file's stem; for pcapng the interface's own name)
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// A network on this side of the capture point, to tell receive from transmit
    #[arg(long, value_name = "CIDR")]
    local_network: Vec<ipnet::IpNet>,
}

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let mut config = config(common, arguments)?;
    config.local_networks.extend(&arguments.local_network);
    if config.alerts.rules.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(
            "there is no rule to try: the configuration has none, and no --rule is given"
        )));
    }
    let interrupted = Signals::of_command()?.stop;
    let found = replay::replay(&Run {
        files: &arguments.files,
        config: &config,
        interface: arguments.interface.clone(),
        bpf: arguments.bpf.clone().or_else(|| config.capture.bpf.clone()),
        pace: Pace::Max,
        shards: 1,
        keep: Keep::Largest(0),
        quiet: common.quiet,
        interrupted: &interrupted,
        server: None,
        store: None,
        export: crate::export::Config::default(),
    })?;
    let end = found.snapshot.tick.map(|tick| tick.end()).unwrap_or_default();
    let counts = counts(&config, &found.transitions, end);
    match arguments.format {
        Format::Table => print(table(&found.transitions, &counts).as_bytes())?,
        Format::Json => print(document(&found.transitions, &counts).as_bytes())?,
    }
    found.complaints.iter().for_each(say);
    if found.failed { Err(Failure::Said(1)) } else { Ok(()) }
}

/// The configuration, with the rules of the command line in place of its own.
fn config(common: &Common, arguments: &Arguments) -> Result<Config, Failure> {
    let loaded = load(common, &[])?;
    if arguments.rules.is_empty() {
        return Ok(loaded.config);
    }
    with_rules(&loaded, &arguments.rules)
}

/// JSON is YAML, so the configuration in force and rules as they were typed make one file.
fn with_rules(loaded: &Loaded, rules: &[String]) -> Result<Config, Failure> {
    let mut file = serde_json::to_value(&loaded.effective).map_err(Failure::run)?;
    let Some(keys) = file.as_object_mut() else { return Ok(loaded.config.clone()) };
    keys.remove("alerts");
    let list: String = rules.iter().map(|rule| format!("  - {}\n", rule.trim())).collect();
    let keys: String = keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    let yaml = format!("alerts:\n{list}{keys}");
    from_yaml("--rule", yaml.as_bytes()).map(|loaded| loaded.config).map_err(Failure::usage)
}

/// What one rule did.
#[derive(Clone, Debug, Default)]
struct Count {
    pending: u64,
    fired: u64,
    resolved: u64,
    firing: Duration,
    longest: Duration,
}

/// By rule, in the order of the configuration. What still fires at the end counts until there.
fn counts(config: &Config, transitions: &[Transition], end: Timestamp) -> Vec<(String, Count)> {
    let mut counts: Vec<(String, Count)> =
        config.alerts.rules.iter().map(|rule| (rule.name.to_string(), Count::default())).collect();
    let mut firing: BTreeMap<(&str, &BTreeMap<String, String>), Timestamp> = BTreeMap::new();
    for Transition { alert, at } in transitions {
        let Some((_, count)) = counts.iter_mut().find(|(name, _)| *name == *alert.rule) else { continue };
        match alert.state {
            State::Pending => count.pending += 1,
            State::Firing => {
                count.fired += 1;
                firing.insert((&alert.rule, &alert.labels), *at);
            }
            State::Resolved => {
                count.resolved += 1;
                if let Some(since) = firing.remove(&(&*alert.rule, &alert.labels)) {
                    count.lasted(since, *at);
                }
            }
            State::Inactive => {}
        }
    }
    for ((rule, _), since) in firing {
        if let Some((_, count)) = counts.iter_mut().find(|(name, _)| name == rule) {
            count.lasted(since, end);
        }
    }
    counts
}

impl Count {
    fn lasted(&mut self, since: Timestamp, until: Timestamp) {
        let lasted = Duration::from_nanos(until.nanos_since(since));
        self.firing += lasted;
        self.longest = self.longest.max(lasted);
    }
}

fn table(transitions: &[Transition], counts: &[(String, Count)]) -> String {
    let mut out = String::new();
    show::timeline("Timeline", transitions, &mut out);
    let mut table = Table::new("Rules", &["rule", ">pending", ">fired", ">resolved", ">firing", ">longest"]);
    for (rule, count) in counts {
        table.row([
            rule.clone(),
            count.pending.to_string(),
            count.fired.to_string(),
            count.resolved.to_string(),
            format!("{:.1} s", count.firing.as_secs_f64()),
            format!("{:.1} s", count.longest.as_secs_f64()),
        ]);
    }
    table.print(&mut out);
    out.trim_start_matches('\n').to_owned()
}

fn document(transitions: &[Transition], counts: &[(String, Count)]) -> String {
    let row = |(rule, count): &(String, Count)| {
        json!({
            "rule": rule,
            "pending": count.pending,
            "fired": count.fired,
            "resolved": count.resolved,
            "firing_seconds": count.firing.as_secs_f64(),
            "longest_seconds": count.longest.as_secs_f64(),
        })
    };
    let rules: Vec<Value> = counts.iter().map(row).collect();
    format!("{:#}\n", json!({ "schema": 1, "alerts": show::document(transitions), "rules": rules }))
}
