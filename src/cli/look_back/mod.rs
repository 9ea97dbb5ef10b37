//! `netmon history`: asks the store, of a running daemon or at rest.

mod picture;
mod rows;
mod tables;

use super::client;
use super::{Failure, print};
use crate::history::{Reader, export};
use crate::lookback::{self, BadQuery, Question, Refusal, Topic};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use anyhow::anyhow;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    topic: Asked,
}

const EXAMPLES: &str = "Examples:
  netmon history bandwidth                                        the last hour, from the daemon on this machine
  netmon history bandwidth --from -1d --step 15min --interface eth0
  netmon history totals --per month --timezone Europe/Berlin --from -365d
  netmon history percentile --from 2026-11-01 --to 2026-12-01 --rate 100Mbit/s
  netmon history flows --from -10min --host 192.0.2.7 --limit 50
  netmon history hosts --store history.redb --format csv
  netmon history export --store history.redb --format parquet --output export/

Times: RFC 3339 (2026-11-21T00:00:00Z), a date (2026-11-21), seconds since 1970, -1h, now. Of a file at rest, now is
the end of what it holds.";

#[derive(Debug, clap::Subcommand)]
enum Asked {
    /// Bytes and packets over time, with peaks, flows, TCP health and losses
    Bandwidth(Query),
    /// Bytes and packets over time by protocol
    Protocols(Query),
    /// Ended flows, the largest first
    Flows(Query),
    /// Addresses by what they moved in ended flows
    Hosts(Query),
    /// Sums by hour, day or month of a time zone
    Totals(Query),
    /// Alert events
    Alerts(Query),
    /// The percentile that links are billed by, and time over a rate
    Percentile(Query),
    /// What the store holds
    Info(Query),
    /// Write series and flows to files by day: Parquet, CSV or JSON lines
    Export(Export),
}

/// Where the answer comes from.
#[derive(Debug, clap::Args)]
struct Source {
    /// A store file that no process writes to
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    store: Option<PathBuf>,
    /// A running daemon: http://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// What may be asked; not every topic takes everything.
#[derive(Debug, clap::Args)]
struct Query {
    #[command(flatten)]
    source: Source,
    /// The beginning (default: an hour before the end)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// The end (default: now)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Length of a point, such as 60s or 1h (default: as fits the range)
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Sums by hour, day or month
    #[arg(long, value_name = "UNIT")]
    per: Option<String>,
    /// Only this interface
    #[arg(short, long, value_name = "NAME")]
    interface: Option<String>,
    /// Read this tier and no other: 1s, 10s, 60s or 1h
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// Zone of days, months and tables: a name such as Europe/Berlin, or local (default: UTC)
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Only flows of this address
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Only flows with this port at either end
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Only flows of this protocol, by name or number
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
    /// Only alerts of this name
    #[arg(long, value_name = "NAME")]
    alert: Option<String>,
    /// The percentile that is asked for (default: 95)
    #[arg(long, value_name = "NUMBER")]
    percentile: Option<String>,
    /// The rate whose exceeding is counted, such as 100Mbit/s
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// The most rows or points
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people; on a terminal with a picture
    Table,
    /// For programs: the document that the API gives
    Json,
    /// For spreadsheets
    Csv,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// A store file that no process writes to
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// Made if it is not there; holds series/ and flows/, each with a directory for every day (UTC)
    #[arg(long, value_name = "DIRECTORY")]
    output: PathBuf,
    /// The beginning (default: of all that is kept)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// The end (default: now)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// The tier of the series: 1s, 10s, 60s or 1h
    #[arg(long, value_name = "TIER", default_value = "60s")]
    tier: String,
    /// Form of the files
    #[arg(long, value_enum, default_value = "parquet")]
    format: export::Form,
}

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.topic {
        Asked::Bandwidth(query) => ask(Topic::Bandwidth, query),
        Asked::Protocols(query) => ask(Topic::Protocols, query),
        Asked::Flows(query) => ask(Topic::Flows, query),
        Asked::Hosts(query) => ask(Topic::Hosts, query),
        Asked::Totals(query) => ask(Topic::Totals, query),
        Asked::Alerts(query) => ask(Topic::Alerts, query),
        Asked::Percentile(query) => ask(Topic::Percentile, query),
        Asked::Info(query) => ask(Topic::Info, query),
        Asked::Export(export) => write_files(export),
    }
}

impl Query {
    /// What was given, by the names that the API has for it.
    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("from", &self.from),
            ("to", &self.to),
            ("step", &self.step),
            ("per", &self.per),
            ("interface", &self.interface),
            ("tier", &self.tier),
            ("timezone", &self.timezone),
            ("host", &self.host),
            ("port", &self.port),
            ("protocol", &self.protocol),
            ("alert", &self.alert),
            ("percentile", &self.percentile),
            ("rate", &self.rate),
            ("limit", &self.limit),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

fn ask(topic: Topic, query: &Query) -> Result<(), Failure> {
    let reader = query.source.store.as_deref().map(Reader::open).transpose().map_err(Failure::run)?;
    let now = match &reader {
        Some(reader) => lookback::end_of(reader).map_err(Failure::run)?,
        None => crate::app::wall_clock(),
    };
    let mut parameters = query.parameters();
    // Also tells what is wrong before a daemon is asked.
    let question = Question::parse(topic, parameters.iter().copied(), now).map_err(usage)?;
    let fitting = format!("{}s", tables::step(&question));
    if query.format == Form::Table && matches!(topic, Topic::Bandwidth | Topic::Protocols) && question.step.is_none() {
        parameters.push(("step", &fitting));
    }
    let document = match &reader {
        Some(reader) => lookback::answer(reader, topic, parameters, now).map_err(refused)?,
        None => of_daemon(&query.source.url, topic, &parameters)?,
    };
    let text = match query.format {
        Form::Json => serde_json::to_string_pretty(&document).map_err(Failure::run)? + "\n",
        Form::Csv => rows::csv(topic, &document),
        Form::Table => tables::tables(topic, &document, &question, std::io::stdout().is_terminal()),
    };
    print(text.as_bytes())
}

fn usage(error: BadQuery) -> Failure {
    Failure::usage(error)
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Question(error) => Failure::usage(error),
        Refusal::Store(error) => Failure::run(error),
    }
}

fn of_daemon(url: &str, topic: Topic, parameters: &[(&str, &str)]) -> Result<Value, Failure> {
    let mut path = format!("/api/v1/history/{topic}");
    for (index, (name, value)) in parameters.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(path, "{}{name}={}", if index == 0 { '?' } else { '&' }, encoded(value));
    }
    let answer = client::ask(url, &client::Asked::get(&path)).map_err(Failure::Run)?;
    let body = serde_json::from_slice::<Value>(&answer.body);
    match (answer.status, body) {
        (200, Ok(document)) => Ok(document),
        (status, Ok(problem)) if problem.get("title").is_some() => {
            let said = problem.get("detail").or(problem.get("title")).and_then(Value::as_str).unwrap_or_default();
            let error = anyhow!("the daemon at {url} says: {said}");
            Err(if status == 400 { Failure::Usage(error) } else { Failure::Run(error) })
        }
        (status, _) => Err(Failure::Run(anyhow!("the daemon at {url} answers {status}, not with a history"))),
    }
}

/// A value as it stands in the query of a URL.
fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}

fn write_files(asked: &Export) -> Result<(), Failure> {
    let reader = Reader::open(&asked.store).map_err(Failure::run)?;
    let now = lookback::end_of(&reader).map_err(Failure::run)?;
    // A second more, so that what ends at the end is in it.
    let to = asked.to.clone().unwrap_or_else(|| (now.as_nanos() / NANOS_PER_SECOND + 1).to_string());
    let from = asked.from.as_deref().unwrap_or("0");
    let given = [("from", from), ("to", &to), ("tier", &asked.tier)];
    let question = Question::parse(Topic::Bandwidth, given, now).map_err(usage)?;
    let options = export::Options {
        directory: asked.output.clone(),
        form: asked.format,
        range: question.range(),
        tier: question.tier.unwrap_or(crate::history::Tier::Minute),
    };
    let done = export::export(&reader, &options).map_err(Failure::run)?;
    let place = asked.output.display();
    let text = format!(
        "{} series records in {} files, {} flows in {} files, below {place}\n",
        done.series.rows, done.series.files, done.flows.rows, done.flows.files
    );
    if done.bad_records > 0 {
        super::say(&format!("{} damaged records were left out", done.bad_records));
    }
    print(text.as_bytes())
}

/// A time of a document, in nanoseconds.
fn parsed(value: &Value) -> Option<Timestamp> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_url_is_only_plain_characters() {
        assert_eq!(encoded("Europe/Berlin"), "Europe%2FBerlin");
        assert_eq!(encoded("a b&c=+é"), "a%20b%26c%3D%2B%C3%A9");
    }
}
