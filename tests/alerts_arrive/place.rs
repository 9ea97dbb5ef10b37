//! A daemon that may be killed and started again, with its configuration, its secrets and its state.

use crate::rig::launch::Launch;
use crate::rig::{BIND, START, Wire, directory_for_all};
use crate::support::program::{Ended, netmon, run};
use crate::support::running::{Running, wait_until};
use nix::unistd::User;
use serde_json::Value as Json;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Who netmon becomes.
const USER: &str = "nobody";

/// Where all of it lies.
pub struct Place<'a> {
    wire: &'a Wire,
    directory: TempDir,
    /// Where secrets are named, and where they are.
    secrets: [TempDir; 2],
}

impl<'a> Place<'a> {
    pub fn new(wire: &'a Wire) -> Self {
        let [directory, names, files] = [(); 3].map(|()| directory_for_all());
        Self { wire, directory, secrets: [names, files] }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A private file of the user that netmon becomes, behind a link, as orchestrators have them.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let [link, path] = self.secrets.each_ref().map(|directory| directory.path().join(name));
        symlink(&path, &link).expect("a link");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        let user = User::from_name(USER).expect("users are known").expect("everybody's user is there");
        chown(&path, Some(user.uid.as_raw()), None).expect("root gives it away");
        link
    }

    /// What it runs with from the next start on.
    pub fn configure(&self, yaml: &str) {
        let common = format!("telemetry: {{level: error}}\nprivileges: {{user: {USER}}}\n");
        std::fs::write(self.path("netmon.yaml"), common + yaml).expect("a config");
    }

    /// Started; ready or not.
    pub fn begin(&self) -> Running {
        self.launch().begin()
    }

    fn launch(&self) -> Launch<'a> {
        let config = self.path("netmon.yaml");
        let launch = self.wire.netmon("m0").option("--config", &config.to_string_lossy());
        launch.set("state.directory", &self.path("state").to_string_lossy())
    }

    /// Started and ready.
    pub fn start(&self) -> Running {
        self.ready(self.begin())
    }

    /// Started and ready, with a history.
    pub fn start_remembering(&self) -> Running {
        self.ready(self.launch().set("history.enabled", "true").begin())
    }

    fn ready(&self, mut running: Running) -> Running {
        wait_until("netmon to be ready", START, || {
            assert_eq!(running.ended(), None, "netmon ended before it was ready");
            self.wire.monitor.get(&format!("http://{BIND}/readyz"), &[])
        });
        running
    }

    /// What the API answers, with the status.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let url = format!("http://{BIND}/api/v1/{path}");
        let mut curl = self.wire.monitor.command("curl");
        curl.args(["--silent", "--max-time", "15", "--noproxy", "*", "--request", method, &url]);
        curl.args(["--header", "Content-Type: application/json", "--write-out", "\n%{http_code}"]);
        if method != "GET" {
            curl.args(["--data", body]);
        }
        let answer = String::from_utf8(run(&mut curl).stdout).expect("the answer is text");
        let (document, status) = answer.rsplit_once('\n').expect("a status");
        (status.parse().expect("a status is a number"), serde_json::from_str(document).unwrap_or_default())
    }

    /// The alert of this name as the API shows it.
    pub fn shown(&self, alert: &str) -> Option<Json> {
        let (status, document) = self.ask("GET", "alerts", "");
        assert_eq!(status, 200, "{document}");
        document["alerts"].as_array()?.iter().find(|one| one["alert"] == alert).cloned()
    }

    /// The program with these arguments beside the daemon, run to its end.
    pub fn netmon(&self, arguments: &[&str]) -> Ended {
        let program = netmon();
        let mut command: Command = self.wire.monitor.command(program.get_program());
        for (name, _) in program.get_envs() {
            command.env_remove(name);
        }
        run(command.args(arguments).arg("--config").arg(self.path("netmon.yaml")))
    }
}
