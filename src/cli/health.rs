//! `netmon health`: whether a daemon is ready, for health checks of containers and for scripts.

use super::client::{self, Asked, Asker};
use super::{Failure, print};
use std::path::PathBuf;
use std::time::Duration;

/// The longest that is waited for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The daemon: http://HOST:PORT, https://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = client::address)]
    url: String,
    /// A file with the token that the daemon asks for
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Prints one line; ends with code 0 when the daemon is ready and 1 when it is not, or does not answer.
pub(super) fn main(arguments: &Arguments) -> Result<(), Failure> {
    match ask(arguments) {
        Ok(()) => print(b"ready\n"),
        Err(why) => {
            // One line, whatever came over the network.
            let why: String = why.chars().map(|of| if of.is_control() { ' ' } else { of }).collect();
            print(format!("not ready: {why}\n").as_bytes())?;
            Err(Failure::Said(1))
        }
    }
}

fn ask(arguments: &Arguments) -> Result<(), String> {
    let asked = Asked { token_file: arguments.token_file.as_deref(), ..Asked::get("/readyz") };
    let answer = Asker::new(&arguments.url, PATIENCE).and_then(|asker| asker.ask(&asked));
    let answer = answer.map_err(|error| format!("{error:#}"))?;
    if answer.status == 200 {
        return Ok(());
    }
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let detail = document["detail"].as_str().unwrap_or("no reason given");
    Err(match answer.status {
        503 => detail.to_owned(),
        status => format!("{} answers {status}: {detail}", arguments.url),
    })
}
