//! `netmon alerts silence`: who does not want to hear of what, told to a running daemon.

use super::daemon::Daemon;
use crate::cli::table::Table;
use crate::cli::{Failure, Format, print};
use crate::notify::silence::{Asked, Matcher};
use hyper::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "Examples:
  netmon alerts silence add alertname=HighIngress interface=~'eth[01]' --for 2h --comment 'new uplink'
  netmon alerts silence list
  netmon alerts silence expire 5f0c6a1e9b7d2c34";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Silence alerts that meet all of these matchers
    Add(Add),
    /// Those in force, to come, and over for a few days
    List(List),
    /// End one now
    Expire(Expire),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Conditions on labels: name=value, name!=value, name=~pattern, name!~pattern; each label once
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// How long, such as 90m or 2h
    #[arg(long = "for", value_name = "DURATION", required_unless_present = "until", conflicts_with = "until")]
    length: Option<String>,
    /// Until when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// From when on (RFC 3339; default: now)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Why
    #[arg(long)]
    comment: String,
    /// Who asks (default: the user of this shell)
    #[arg(long)]
    author: Option<String>,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, clap::Args)]
struct Expire {
    /// The id that `list` shows
    id: String,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, clap::Args)]
struct Out {
    #[command(flatten)]
    daemon: Daemon,
    /// Form of the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const PATH: &str = "/api/v1/silences";

pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Add(add) => {
            let body = serde_json::to_value(add.asked()?).map_err(Failure::run)?;
            show(&add.out, Method::POST, PATH, Some(&body))
        }
        Command::List(list) => show(&list.out, Method::GET, PATH, None),
        Command::Expire(expire) => {
            if expire.id.is_empty() || !expire.id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Failure::usage(anyhow::anyhow!("`{}` is no id of a silence", expire.id.escape_debug())));
            }
            show(&expire.out, Method::DELETE, &format!("{PATH}/{}", expire.id), None)
        }
    }
}

impl Add {
    /// Checked here too, so that a mistake is one without a daemon.
    fn asked(&self) -> Result<Asked, Failure> {
        let mut matchers = BTreeMap::new();
        for text in &self.matchers {
            let matcher: Matcher = text.parse().map_err(Failure::usage)?;
            let (name, condition) = matcher.parts();
            if matchers.insert(name.to_owned(), condition).is_some() {
                return Err(Failure::usage(anyhow::anyhow!("the label `{name}` is given twice, allowed once")));
            }
        }
        let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
        let asked = Asked {
            matchers,
            starts_at: self.from.clone(),
            ends_at: self.until.clone(),
            duration: self.length.clone(),
            comment: self.comment.clone(),
            created_by: self.author.clone().unwrap_or_else(user),
        };
        asked.read().map_err(Failure::usage)?;
        Ok(asked)
    }
}

fn show(out: &Out, method: Method, path: &str, body: Option<&Json>) -> Result<(), Failure> {
    let answer = out.daemon.ask(method, path, body).map_err(Failure::Run)?;
    match out.format {
        Format::Json => print(format!("{answer:#}\n").as_bytes()),
        Format::Table => print(table(&answer).as_bytes()),
    }
}

/// Of a list of silences or of one; nothing where there is none.
fn table(answer: &Json) -> String {
    let one = std::slice::from_ref(answer);
    let silences = answer.as_array().or_else(|| answer["silences"].as_array()).map_or(one, Vec::as_slice);
    let mut table = Table::new("", &["id", "state", "ends at", "by", "matchers", "comment"]);
    for silence in silences.iter().filter(|silence| silence["id"].is_string()) {
        let text = |key: &str| crate::telemetry::Escaped(silence[key].as_str().unwrap_or_default()).to_string();
        let pairs = silence["matchers"].as_object().into_iter().flatten();
        let matchers: Vec<_> = pairs.filter_map(|(name, value)| Matcher::of(name, value.as_str()?).ok()).collect();
        let matchers: Vec<_> = matchers.iter().map(Matcher::to_string).collect();
        let ends_at = text("ends_at").split('.').next().map(|seconds| format!("{seconds}Z")).unwrap_or_default();
        let matchers = crate::telemetry::Escaped(&matchers.join(" ")).to_string();
        table.row([text("id"), text("state"), ends_at, text("created_by"), matchers, text("comment")]);
    }
    let mut out = String::new();
    table.print(&mut out);
    out.trim_start_matches('\n').to_owned()
}
