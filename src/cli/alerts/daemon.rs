//! The daemon that silences are asked of.

use crate::cli::client::{self, Asked};
use anyhow::bail;
use hyper::Method;
use serde_json::Value as Json;
use std::path::PathBuf;

/// Where the daemon is.
#[derive(Debug, clap::Args)]
pub(super) struct Daemon {
    /// The daemon: http://HOST:PORT, https://HOST:PORT or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file with the token that the daemon asks for, where it is not on this machine
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Daemon {
    /// Sends a request, and gives the document of the answer.
    ///
    /// # Errors
    /// The daemon cannot be reached, does not answer in time, or refuses, with what it says.
    pub(super) fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        let asked = Asked { method, path, body, token_file: self.token_file.as_deref() };
        let answer = client::ask(&self.url, &asked)?;
        let document: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !(200..300).contains(&answer.status) {
            let detail = ["detail", "title"].iter().find_map(|key| document[key].as_str());
            bail!("the daemon at {} answers {}: {}", self.url, answer.status, detail.unwrap_or("no reason given"));
        }
        Ok(document)
    }
}
