//! Starting a real Alertmanager, and asking it.

use crate::rig::{START, tool};
use crate::support::running::{Running, wait_until};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program of Debian.
pub const PROGRAM: &str = "prometheus-alertmanager";

/// An Alertmanager on loopback, where `host` runs programs.
pub struct Alertmanager<'a> {
    host: &'a dyn Fn(&str) -> Command,
    port: u16,
    _running: Running,
}

impl<'a> Alertmanager<'a> {
    /// Started and ready; what it writes goes into `directory`.
    pub fn start(host: &'a dyn Fn(&str) -> Command, directory: &Path, port: u16) -> Self {
        let running = start(host("unshare"), directory, port);
        let alertmanager = Self { host, port, _running: running };
        wait_until("Alertmanager", START, || alertmanager.get("/api/v2/status"));
        alertmanager
    }

    /// What it answers.
    pub fn get(&self, path: &str) -> Option<Json> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut curl = (self.host)("curl");
        let output = curl.args(["--silent", "--fail", "--max-time", "5", "--noproxy", "*", &url]).output().ok()?;
        serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
    }
}

fn start(mut unshare: Command, directory: &Path, port: u16) -> Running {
    let config = directory.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").expect("a config");
    // Debian's looks for its templates below /usr/share, also when it was only unpacked.
    let program = tool(PROGRAM).expect("it was looked for");
    let share = program.ancestors().nth(2).expect("it is in usr/bin").join("share");
    unshare.args(["--mount", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""]).arg(share).arg(program);
    unshare.arg(format!("--config.file={}", config.display()));
    unshare.arg(format!("--storage.path={}", directory.join("data").display()));
    unshare.args([&format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address="]);
    Running::start(unshare.stdout(Stdio::null()).stderr(Stdio::null()))
}
