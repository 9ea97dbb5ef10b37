//! `netmon alerts test`: rules run over captures, and what they did compared with what is expected.
//!
//! ```yaml
//! rules: [volume.yaml]              # configuration files with the rules; default: that of --config
//! tests:
//!   - name: a burst fires and is over
//!     captures: [burst.pcap]
//!     interface: eth0               # as --interface of `netmon replay`
//!     local_networks: [10.0.0.0/8]  # as --local-network
//!     alerts:                       # all that fires or resolves, in order
//!       - { alert: HighIngress, labels: { interface: eth0 }, state: firing, at: 5.2s, value: 1250000 }
//!       - { alert: HighIngress, labels: { interface: eth0 }, state: resolved, at: 2023-11-14T22:13:31Z }
//! ```
//!
//! Files are named from the directory of the test file. `at` is a time, or how long after the first frame. Pending and
//! dropped alerts count where any such is expected.

use super::expect::{self, Expected, Line};
use crate::alert::Transition;
use crate::cli::replay::{self, Found, Run};
use crate::cli::signals::Signals;
use crate::cli::{Common, Failure, load, print, say};
use crate::config::{self, Config, Given, Maps, Mistake, Mistakes, Texts, Written};
use crate::pipeline::{Keep, Pace};
use crate::time::Timestamp;
use anyhow::{Context, anyhow};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Threads that track flows; the result is the same for any number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    shards: u8,
}

const HELP: &str = "A file of tests:
  rules: [volume.yaml]              configuration files with the rules (default: that of --config)
  tests:
    - name: a burst fires and is over
      captures: [burst.pcap]
      interface: eth0               as of `netmon replay`; also bpf and local_networks
      alerts:                       all that fires or resolves, in order
        - { alert: HighIngress, labels: { interface: eth0 }, state: firing, at: 5.2s, value: 1250000 }
  Files are named from its directory. `at` is a time, or how long after the first frame; `value` may be left out.

Exit codes: 0 all as expected, 1 something else, 2 a file is wrong.";

/// A file of tests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    rules: Texts,
    tests: Maps<Test, 1000>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Test {
    name: Given,
    captures: Texts,
    interface: Given,
    bpf: Given,
    local_networks: Texts,
    alerts: Maps<Row, 10_000>,
}

/// An expected transition as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    alert: Given,
    labels: BTreeMap<String, Given>,
    state: Given,
    at: Given,
    value: Given,
}

/// A test that can be run.
struct Case {
    name: String,
    captures: Vec<OsString>,
    interface: Option<String>,
    bpf: Option<String>,
    local_networks: Vec<ipnet::IpNet>,
    expected: Vec<Expected>,
}

/// A file that can be run: its cases with the configurations whose rules they are about.
struct Suite {
    configs: Vec<Config>,
    cases: Vec<Case>,
}

pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    // All files are read first, so that no result is half of one.
    let suites: Vec<Suite> = arguments.files.iter().map(|file| suite(common, file)).collect::<Result<_, _>>()?;
    let interrupted = Signals::of_command()?.stop;
    let mut failed = false;
    for (file, suite) in arguments.files.iter().zip(&suites) {
        print(format!("{}\n", file.display()).as_bytes())?;
        for case in &suite.cases {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Run(anyhow!("interrupted")));
            }
            failed |= !run(suite, case, arguments.shards, &interrupted)?;
        }
    }
    if failed { Err(Failure::Said(1)) } else { Ok(()) }
}

/// Runs a case under each configuration, and says how it went; whether it went well.
fn run(suite: &Suite, case: &Case, shards: u8, interrupted: &Arc<AtomicBool>) -> Result<bool, Failure> {
    let (mut seen, mut first_seen, mut failed) = (Vec::new(), None, false);
    for (n, config) in suite.configs.iter().enumerate() {
        let found = replay_case(case, config, shards, interrupted)?;
        failed |= found.failed;
        found.complaints.iter().for_each(say);
        first_seen = found.snapshot.interfaces.iter().filter_map(|interface| interface.first_seen).min();
        // That an interface is blind is said under each configuration; once is enough.
        let is_new = |transition: &Transition| n == 0 || &*transition.alert.rule != crate::alert::CAPTURE_BLIND;
        seen.extend(found.transitions.into_iter().filter(is_new));
    }
    seen.sort_by_key(|transition| transition.at);
    let lines = expect::compare(&case.expected, &seen, first_seen.unwrap_or_default());
    let is_good = !failed && lines.iter().all(Line::is_good);
    let mut text = format!("  {}  {}\n", if is_good { "ok    " } else { "FAILED" }, case.name);
    if !is_good {
        expect::print(&lines, &mut text);
    }
    print(text.as_bytes())?;
    Ok(is_good)
}

fn replay_case(case: &Case, config: &Config, shards: u8, interrupted: &Arc<AtomicBool>) -> Result<Found, Failure> {
    let mut config = config.clone();
    config.local_networks.extend(&case.local_networks);
    replay::replay(&Run {
        files: &case.captures,
        config: &config,
        interface: case.interface.clone(),
        bpf: case.bpf.clone().or_else(|| config.capture.bpf.clone()),
        pace: Pace::Max,
        shards,
        keep: Keep::Largest(0),
        quiet: true,
        interrupted,
        server: None,
        store: None,
        past: None,
        export: crate::export::Config::default(),
    })
}

/// Reads a file of tests and what it names.
fn suite(common: &Common, path: &Path) -> Result<Suite, Failure> {
    let name = path.to_string_lossy();
    let bytes = read(path)?;
    let written: Written<File> = config::read_yaml(&name, &bytes, &known()).map_err(Failure::usage)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let configs = match written.value.rules.0.is_empty() {
        true => vec![load(common, &[])?.config],
        false => {
            written.value.rules.0.iter().map(|rules| rules_of(&directory.join(rules))).collect::<Result<_, _>>()?
        }
    };
    let mut mistakes = Vec::new();
    if configs.iter().all(|config| config.alerts.rules.is_empty()) {
        mistakes.push(written.mistake("rules", "has no rule in any of its files"));
    }
    let rules: Vec<&str> = configs.iter().flat_map(|config| &config.alerts.rules).map(|rule| &*rule.name).collect();
    let cases = written.value.tests.0.iter().enumerate().map(|(n, test)| {
        let reading = Reading { written: &written, directory, rules: &rules, key: format!("tests[{n}]") };
        reading.case(test, &mut mistakes)
    });
    let cases = cases.collect();
    if written.value.tests.0.is_empty() {
        mistakes.push(written.mistake("tests", "is missing: a list of tests"));
    }
    match mistakes.is_empty() {
        true => Ok(Suite { configs, cases }),
        false => Err(Failure::usage(Mistakes { listed: mistakes, omitted: 0 })),
    }
}

fn rules_of(path: &Path) -> Result<Config, Failure> {
    let bytes = read(path)?;
    config::from_yaml(&path.to_string_lossy(), &bytes).map(|loaded| loaded.config).map_err(Failure::usage)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display())).map_err(Failure::Usage)
}

fn known() -> serde_json::Value {
    serde_json::json!({
        "rules": [],
        "tests": [{
            "name": null, "captures": [], "interface": null, "bpf": null, "local_networks": [],
            "alerts": [{ "alert": null, "labels": {}, "state": null, "at": null, "value": null }],
        }],
    })
}

/// One test on its way from texts.
struct Reading<'a> {
    written: &'a Written<File>,
    directory: &'a Path,
    rules: &'a [&'a str],
    key: String,
}

impl Reading<'_> {
    fn case(&self, test: &Test, mistakes: &mut Vec<Mistake>) -> Case {
        let mut wrong =
            |key: &str, message: &str| mistakes.push(self.written.mistake(&format!("{}{key}", self.key), message));
        if test.name.is_none() {
            wrong(".name", "is missing: what the test shows");
        }
        if test.captures.0.is_empty() {
            wrong(".captures", "is missing: the files that are replayed");
        }
        let (mut local_networks, mut expected) = (Vec::new(), Vec::new());
        for (n, text) in test.local_networks.0.iter().enumerate() {
            match text.parse() {
                Ok(network) => local_networks.push(network),
                Err(_) => wrong(
                    &format!(".local_networks[{n}]"),
                    &format!("is `{text}`, allowed a network such as 10.0.0.0/8"),
                ),
            }
        }
        for (n, row) in test.alerts.0.iter().enumerate() {
            match self.row(row) {
                Ok(row) => expected.push(row),
                Err((key, message)) => wrong(&format!(".alerts[{n}].{key}"), &message),
            }
        }
        Case {
            name: test.name.0.clone().unwrap_or_default(),
            captures: test.captures.0.iter().map(|file| self.directory.join(file).into_os_string()).collect(),
            interface: test.interface.0.clone(),
            bpf: test.bpf.0.clone(),
            local_networks,
            expected,
        }
    }

    fn row(&self, row: &Row) -> Result<Expected, (&'static str, String)> {
        let missing = |key, what: &str| (key, format!("is missing: {what}"));
        let alert = row.alert.0.clone().ok_or_else(|| missing("alert", "the name of a rule"))?;
        if alert != crate::alert::CAPTURE_BLIND && !self.rules.contains(&alert.as_str()) {
            return Err(("alert", format!("is `{alert}`, which is no rule of these files")));
        }
        let state = row.state.0.as_deref().ok_or_else(|| missing("state", expect::STATES))?;
        let state =
            expect::state(state).ok_or_else(|| ("state", format!("is `{state}`, allowed {}", expect::STATES)))?;
        let at = row.at.0.as_deref().ok_or_else(|| missing("at", expect::TIMES))?;
        let at = expect::time(at).ok_or_else(|| ("at", format!("is `{at}`, allowed {}", expect::TIMES)))?;
        let value = row.value.0.as_deref().map(|text| {
            let value = text.parse().ok().filter(|value: &f64| value.is_finite());
            value.ok_or_else(|| ("value", format!("is `{text}`, allowed a number in the unit of the metric")))
        });
        let labels = row.labels.iter().map(|(name, value)| (name.clone(), value.0.clone().unwrap_or_default()));
        Ok(Expected { alert, labels: labels.collect(), state, at, value: value.transpose()? })
    }
}

/// The beginning of the time that offsets are counted from.
pub(super) type Beginning = Timestamp;
