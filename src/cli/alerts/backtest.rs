//! `netmon alerts backtest`: what rules would have done on captures, or on what a store remembers.

use super::at_rest::{self, Looked, Tried};
use super::show;
use crate::alert::{Rule, State, Transition};
use crate::cli::replay::{self, Run};
use crate::cli::signals::Signals;
use crate::cli::table::Table;
use crate::cli::{Common, Failure, Format, load, print, say};
use crate::config::{Config, Loaded, from_yaml};
use crate::history::{self, Range, Reader};
use crate::lookback::{self, Question, Topic};
use crate::pipeline::{Keep, Pace};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Capture files
    #[arg(required_unless_present = "store", value_name = "FILE")]
    files: Vec<OsString>,
    /// A history store that no process writes to: rules are run over what it holds, or, with capture files, compare with
    /// it as the time before
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The beginning of what the store holds (default: all of it)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "store", conflicts_with = "files")]
    from: Option<String>,
    /// The end of it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "store", conflicts_with = "files")]
    to: Option<String>,
    /// A rule as it would stand in `alerts:`, in place of those of the configuration:
    /// '{ name: A, metric: bytes_per_second, window: 10s, above: 1MiB }'
    #[arg(long = "rule", value_name = "YAML")]
    rules: Vec<String>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Only frames that match this filter (tcpdump syntax, pcap-filter(7))
    #[arg(long, value_name = "EXPRESSION", requires = "files")]
    bpf: Option<String>,
    /// Name of the interface (default: the file's stem; for pcapng the interface's own name)
    #[arg(long, value_name = "NAME", requires = "files")]
    interface: Option<String>,
    /// A network on this side of the capture point, to tell receive from transmit
    #[arg(long, value_name = "CIDR", requires = "files")]
    local_network: Vec<ipnet::IpNet>,
}

const HELP: &str = "Examples:
  netmon alerts backtest office.pcap -c netmon.yaml
  netmon alerts backtest --store history.redb --from -1d -c netmon.yaml
  netmon alerts backtest monday.pcap --store history.redb --rule '{ ..., above: 3x, baseline: same hour yesterday }'

The history has sums by second, ten seconds, minute and hour; which of them a rule is run over follows from its window and
from how far back they reach. It keeps no quantiles, hosts or classes. What was not recorded is blind, not zero.";

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let mut config = config(common, arguments)?;
    config.local_networks.extend(&arguments.local_network);
    if config.alerts.rules.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(
            "there is no rule to try: the configuration has none, and no --rule is given"
        )));
    }
    match &arguments.store {
        Some(store) if arguments.files.is_empty() => on_store(config, arguments, &open(store)?),
        store => on_captures(common, &config, arguments, store.as_deref()),
    }
}

/// Opens a store for reading.
fn open(path: &Path) -> Result<Reader, Failure> {
    Reader::open(path).map_err(|error| match error {
        history::Error::Held { .. } => {
            let next =
                "stop netmon first, or take a snapshot of its file system: a copy of a file that is written is none";
            Failure::Run(anyhow::anyhow!("{error}, and rules are tried on a store at rest; {next}"))
        }
        error => Failure::run(error),
    })
}

fn on_store(mut config: Config, arguments: &Arguments, reader: &Reader) -> Result<(), Failure> {
    let unanswered = take_unanswerable(&mut config, !arguments.rules.is_empty())?;
    let range = range(arguments, reader)?;
    let past = crate::app::at_rest(reader.clone());
    let tried = at_rest::run(reader, &config.alerts, range, &past).map_err(Failure::run)?;
    let counts = counts(&config, &tried.transitions, tried.end);
    let text = match arguments.format {
        Format::Table => table(&tried.transitions, &counts, &tried.looked),
        Format::Json => on_store_document(&tried, &counts, &unanswered),
    };
    print(text.as_bytes())?;
    unanswered.iter().for_each(|(rule, why)| say(&format!("rule `{rule}` was left out: {why}")));
    if tried.bad_records > 0 {
        say(&format!("{} damaged records were left out", tried.bad_records));
    }
    Ok(())
}

/// Takes out the rules that the history cannot answer for. That is refused where they were asked for one by one, or
/// where none is left.
fn take_unanswerable(config: &mut Config, is_asked: bool) -> Result<Vec<(String, String)>, Failure> {
    let why = |rule: &Arc<Rule>| at_rest::unanswerable(rule).map(|why| (rule.name.to_string(), why));
    let unanswered: Vec<(String, String)> = config.alerts.rules.iter().filter_map(why).collect();
    config.alerts.rules.retain(|rule| at_rest::unanswerable(rule).is_none());
    if !unanswered.is_empty() && (is_asked || config.alerts.rules.is_empty()) {
        let each: Vec<String> = unanswered.iter().map(|(rule, why)| format!("rule `{rule}`: {why}")).collect();
        return Err(Failure::usage(anyhow::anyhow!("{}", each.join("; "))));
    }
    Ok(unanswered)
}

/// All that the store holds, unless something else is asked for.
fn range(arguments: &Arguments, reader: &Reader) -> Result<Range, Failure> {
    let now = lookback::end_of(reader).map_err(Failure::run)?;
    let to = arguments.to.clone().unwrap_or_else(|| (now.as_nanos() / NANOS_PER_SECOND + 1).to_string());
    let given = [("from", arguments.from.as_deref().unwrap_or("0")), ("to", &to)];
    Question::parse(Topic::Bandwidth, given, now).map(|question| question.range()).map_err(Failure::usage)
}

fn on_captures(common: &Common, config: &Config, arguments: &Arguments, store: Option<&Path>) -> Result<(), Failure> {
    let past = store.map(open).transpose()?.map(crate::app::at_rest);
    let interrupted = Signals::of_command()?.stop;
    let found = replay::replay(&Run {
        files: &arguments.files,
        config,
        interface: arguments.interface.clone(),
        bpf: arguments.bpf.clone().or_else(|| config.capture.bpf.clone()),
        pace: Pace::Max,
        shards: 1,
        keep: Keep::Largest(0),
        quiet: common.quiet,
        interrupted: &interrupted,
        server: None,
        store: None,
        past,
        export: crate::export::Config::default(),
    })?;
    let end = found.snapshot.tick.map(|tick| tick.end()).unwrap_or_default();
    let counts = counts(config, &found.transitions, end);
    match arguments.format {
        Format::Table => print(table(&found.transitions, &counts, &[]).as_bytes())?,
        Format::Json => print(text(&document(&found.transitions, &counts)).as_bytes())?,
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

fn table(transitions: &[Transition], counts: &[(String, Count)], looked: &[Looked]) -> String {
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
    let mut table = Table::new("From the history", &["rule", "steps of", "from", "to", ">not recorded"]);
    for Looked { rule, tier, span, missing } in looked {
        let (from, to) = (at(span.from), at(span.to));
        table.row([rule.to_string(), tier.to_string(), from.to_string(), to.to_string(), format!("{missing} s")]);
    }
    table.print(&mut out);
    out.trim_start_matches('\n').to_owned()
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_nanos(second.saturating_mul(NANOS_PER_SECOND))
}

fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

fn on_store_document(tried: &Tried, counts: &[(String, Count)], unanswered: &[(String, String)]) -> String {
    let mut document = document(&tried.transitions, counts);
    let looked = |looked: &Looked| {
        json!({
            "rule": &*looked.rule,
            "tier": looked.tier.name(),
            "from": at(looked.span.from).to_string(),
            "to": at(looked.span.to).to_string(),
            "missing_seconds": looked.missing,
        })
    };
    document["looked_at"] = tried.looked.iter().map(looked).collect();
    document["unanswered"] =
        unanswered.iter().map(|(rule, reason)| json!({ "rule": rule, "reason": reason })).collect();
    document["bad_records"] = tried.bad_records.into();
    text(&document)
}

fn document(transitions: &[Transition], counts: &[(String, Count)]) -> Value {
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
    json!({ "schema": 1, "alerts": show::document(transitions), "rules": rules })
}
