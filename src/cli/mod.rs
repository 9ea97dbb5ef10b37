//! The command line: one file for each subcommand, printing for people (tables, progress) or for programs (JSON).
//!
//! stdout is the result, stderr is everything else. Exit codes: 0 done, 1 failed while running, 2 the user's input
//! is wrong.

mod alerts;
pub mod check;
mod client;
#[cfg(windows)]
mod console;
mod document;
mod health;
mod interfaces;
mod look_back;
mod manual;
mod progress;
mod replay;
mod run;
mod secrets;
pub mod signals;
mod summary;
mod table;
mod top;

use crate::app::NotAStore;
use crate::capture::{self, CaptureError, Filter};
use crate::config::{self, Config, Loaded, Mistakes, Override};
use crate::export;
use crate::history;
use crate::http::{AccessError, BindError};
use crate::metrics::Exposition;
use crate::notify::receiver::OpenError;
use crate::notify::store::StoreError;
use crate::otlp;
use crate::privilege::PrivilegeError;
use crate::telemetry::{self, Levels, SpanLayer, Telemetry};
use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Real-time network monitor: packets to flows, windows, Prometheus metrics and alerts
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  netmon run                                 monitor the interface of the default route
  netmon run -i eth0 --bpf 'not port 22'     monitor eth0, without ssh
  netmon replay office.pcap                  what happened in a capture
  netmon replay - < office.pcapng.zst        the same from standard input
  netmon check -c netmon.yaml                every mistake of a configuration at once
  netmon interfaces                          what can be captured here
  netmon alerts test rules_test.yaml         try alert rules on captures
  netmon top                                 a live view of the daemon on this machine
  netmon health                              whether it is ready
  netmon history bandwidth --from -1d        yesterday until now, from the daemon on this machine

Exit codes: 0 done, 1 failed while running, 2 wrong input (arguments, configuration, filter).";

/// What every subcommand takes.
#[derive(Debug, Args)]
struct Common {
    /// Configuration file (default: netmon.yaml, then /etc/netmon/netmon.yaml, then built-in defaults)
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// More log lines (-v debug, -vv trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Fewer log lines (-q errors only) and no progress bar
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

impl Common {
    /// What is logged under `config`: louder or quieter as asked on the command line.
    fn levels(&self, config: &Config) -> Levels {
        let steps = i32::from(self.verbose) - 2 * i32::from(self.quiet);
        config.telemetry.level.clone().adjusted(steps)
    }
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Monitor live interfaces: capture, track, export on /metrics
    Run(run::Arguments),
    /// Run the same machine over capture files, in packet time
    Replay(replay::Arguments),
    /// Read the configuration, compile its filter, print every mistake
    Check(CheckArguments),
    /// Alert rules: what they can watch, and trying them on captures
    Alerts(alerts::Arguments),
    /// What can be captured here, and what is missing to capture it
    Interfaces(interfaces::Arguments),
    /// What was seen before: bandwidth, protocols, flows, hosts, totals, alerts, exports
    History(Box<look_back::Arguments>),
    /// Whether a daemon is ready: one line, and code 0 or 1
    Health(health::Arguments),
    /// A live view in the terminal, of a daemon or of capture files
    Top(top::Arguments),
    /// Write the manual pages, the completions of shells and the reference pages
    Manual(manual::Arguments),
    /// Print shell completions
    Completions {
        /// Shell to print for
        shell: clap_complete::Shell,
    },
}

/// What `netmon check` takes.
#[derive(Debug, Args)]
struct CheckArguments {
    /// What is missing on this machine is a mistake, as it is for `netmon run`, not a warning
    #[arg(long)]
    strict: bool,
    /// Print the JSON Schema of the configuration file and do nothing else
    #[arg(long)]
    schema: bool,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How a command ended badly.
#[derive(Debug)]
enum Failure {
    /// The user's input is wrong: exit code 2.
    Usage(anyhow::Error),
    /// It failed while running: exit code 1.
    Run(anyhow::Error),
    /// What is to be said was said already; only this exit code is left.
    Said(u8),
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    fn run(error: impl Into<anyhow::Error>) -> Self {
        Self::Run(error.into())
    }
}

impl Failure {
    /// A capture that could not be opened or read; the user's mistake where the error says so.
    fn of_capture(error: CaptureError) -> Self {
        if error.is_usage() { Self::usage(error) } else { Self::run(error) }
    }

    /// An error of the daemon: the user's mistake where something in its chain says so.
    fn of(error: anyhow::Error) -> Self {
        let is_usage = error.downcast_ref::<CaptureError>().is_some_and(CaptureError::is_usage)
            || error.is::<NotAStore>()
            || error.downcast_ref::<PrivilegeError>().is_some_and(PrivilegeError::is_usage)
            || error.downcast_ref::<AccessError>().is_some();
        if is_usage { Self::Usage(error) } else { Self::Run(error) }
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run(run) => run::main(&arguments.common, &run),
        Command::Replay(replay) => replay::main(&arguments.common, &replay),
        Command::Check(arguments_of_check) => run_check(&arguments.common, &arguments_of_check),
        Command::Alerts(alerts) => alerts::main(&arguments.common, &alerts),
        Command::Interfaces(interfaces) => interfaces::main(&interfaces),
        Command::History(arguments_of_history) => look_back::main(&arguments_of_history),
        Command::Health(health) => health::main(&health),
        Command::Top(top) => top::main(&arguments.common, &top),
        Command::Manual(manual) => manual::main(&manual),
        Command::Completions { shell } => print(&manual::completions(shell, &mut Arguments::command())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(code)) => ExitCode::from(code),
        Err(Failure::Run(error)) => {
            complain(&error);
            ExitCode::from(1)
        }
        Err(Failure::Usage(error)) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

/// One line for the error with its causes, one for the hint.
fn complain(error: &anyhow::Error) {
    if let Some(mistakes) = error.downcast_ref::<Mistakes>() {
        return mistakes.to_string().lines().for_each(|mistake| say(&mistake));
    }
    let hint = error
        .downcast_ref::<CaptureError>()
        .and_then(CaptureError::hint)
        .or_else(|| error.downcast_ref::<BindError>().and_then(BindError::hint))
        .or_else(|| error.downcast_ref::<AccessError>().and_then(AccessError::hint))
        .or_else(|| error.downcast_ref::<PrivilegeError>().and_then(PrivilegeError::hint))
        .or_else(|| error.downcast_ref::<history::Error>().and_then(history::Error::hint).map(str::to_owned))
        .or_else(|| error.downcast_ref::<export::Error>().and_then(export::Error::hint).map(str::to_owned))
        .or_else(|| error.downcast_ref::<StoreError>().and_then(StoreError::hint))
        .or_else(|| error.downcast_ref::<OpenError>().and_then(OpenError::hint))
        .or_else(|| error.downcast_ref::<otlp::OpenError>().and_then(otlp::OpenError::hint));
    let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    say(&format!("{error:#}{hint}"));
}

/// Reads the configuration of this machine under the flags of this call.
fn load(common: &Common, overrides: &[Override]) -> Result<Loaded, Failure> {
    config::load(common.config.as_deref(), overrides, config::NO_CHECKS).map_err(Failure::usage)
}

fn refusal(error: &CaptureError) -> check::Refusal {
    check::Refusal { message: error.to_string(), hint: error.hint() }
}

fn run_check(common: &Common, arguments: &CheckArguments) -> Result<(), Failure> {
    let options = check::Options {
        file: common.config.as_deref(),
        strict: arguments.strict,
        schema: arguments.schema,
        json: arguments.format == Format::Json,
    };
    let machine = check::Machine {
        resolve: &|patterns| {
            if patterns.is_empty() {
                return Ok(vec![capture::interfaces::of_default_route()]);
            }
            let list = capture::interfaces::list().map_err(|error| refusal(&error))?;
            capture::interfaces::resolve(patterns, &list)
                .map(|resolved| resolved.names)
                .map_err(|error| refusal(&error))
        },
        compile: &|expression, linktype| {
            Filter::compile(expression, linktype).map(drop).map_err(|error| refusal(&error.into()))
        },
        series_limit: &|config| Exposition::with_alerts(&config.aggregation, &config.alerts).series_limit(),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check::check(options, &machine, &mut out, &mut err).map_err(Failure::run)?;
    // Both were written to memory; what is left can only fail because nobody reads.
    drop(std::io::stderr().write_all(&err));
    print(&out)?;
    if code == 0 { Ok(()) } else { Err(Failure::Said(code)) }
}

/// Starts logging.
fn logging(common: &Common, config: &Config) -> Result<Telemetry, Failure> {
    logging_with(common, config, None)
}

/// Starts logging, and what makes spans.
fn logging_with(common: &Common, config: &Config, spans: Option<SpanLayer>) -> Result<Telemetry, Failure> {
    let logged = telemetry::Config { level: common.levels(config), ..config.telemetry.clone() };
    telemetry::init_with(&logged, spans).context("cannot start logging").map_err(Failure::Run)
}

/// A line for people on stderr, after the program's name. A closed stderr is nobody's problem.
fn say(line: &impl Display) {
    drop(writeln!(std::io::stderr(), "netmon: {line}"));
}

/// Writes a result to stdout. A reader that went away (`| head`) is no failure.
fn print(result: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(result).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::run(anyhow::Error::new(error).context("cannot write the result to standard output")))
        }
        _ => Ok(()),
    }
}
