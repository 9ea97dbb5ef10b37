//! `netmon top`: a live view in the terminal, of a running daemon or of capture files.
//!
//! The view is drawn from the documents of the API alone, so it shows what every other reader sees. A thread asks
//! ([`source`]), keys change what is asked ([`view`]), [`screen`] owns the terminal and [`draw`] fills it.

mod documents;
mod draw;
mod filter;
mod format;
mod replayed;
mod screen;
mod series;
mod source;
#[cfg(test)]
mod tests;
mod view;

use super::client;
use super::replay::PaceArgument;
use super::signals::Signals;
use super::{Common, Failure};
use source::Source;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use view::{Kind, View};

const KEYS: &str =
    "Keys: q quit, p pause, Tab next panel, Enter enlarge it, ↑ ↓ scroll, s sort flows, r reverse, / filter flows,
t talkers, u bits or bytes, ? help. A filter is in the API's words: `tcp 443 10.0.0.0/8`, `host=192.0.2.1 state=open`.

Examples:
  netmon top                             the daemon on this machine
  netmon top --url unix:/run/netmon/netmon.sock
  netmon top office.pcap --pace 4x       a capture, as it happened, four times as fast";

#[derive(Debug, clap::Args)]
#[command(after_help = KEYS)]
pub(super) struct Arguments {
    /// Capture files to replay and show, in place of a daemon; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<OsString>,
    /// The daemon: http://HOST:PORT, https://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = client::address, conflicts_with = "files")]
    url: String,
    /// A file with the token that the daemon asks for
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    token_file: Option<PathBuf>,
    /// Speed of packet time: `realtime`, a factor such as `4x`, or `max`; no gap takes longer than 5 s
    #[arg(long, default_value = "realtime", requires = "files")]
    pace: PaceArgument,
    /// Only frames of the files that match this filter (tcpdump syntax, pcap-filter(7))
    #[arg(long, value_name = "EXPRESSION", requires = "files")]
    bpf: Option<String>,
    /// Name of the interface of the files (default: the file's stem; for pcapng the interface's own name)
    #[arg(long, value_name = "NAME", requires = "files")]
    interface: Option<String>,
}

/// Shows it until the user goes.
pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    screen::check()?;
    if !arguments.files.is_empty() {
        return replayed::main(common, arguments);
    }
    let signals = Signals::of_terminal()?;
    let mut view = View::new(arguments.url.clone(), Kind::Daemon);
    let every = Duration::from_secs(1);
    let source = Source::start(&arguments.url, arguments.token_file.clone(), every, view.question())?;
    screen::show(&mut view, &source, &signals.stop, |_| false)
}
