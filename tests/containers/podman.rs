//! Containers, by podman with runc on the storage that `scripts/containers.sh` made.

use crate::rig::tool;
use crate::support::program::{Ended, run};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether these tests are what was asked for; then nothing of them is skipped.
pub fn is_asked_for() -> bool {
    std::env::var_os("TEST_CONTAINERS").is_some()
}

/// The images and the containers of these tests.
pub struct Podman {
    storage: PathBuf,
    /// Of netmon.
    pub image: String,
    /// What netmon's begins with; stands for an application.
    pub base: String,
}

impl Podman {
    /// Where they were made; says that a test is skipped where they were not.
    pub fn find() -> Option<Self> {
        let Some(storage) = std::env::var_os("TEST_CONTAINERS").map(PathBuf::from) else {
            eprintln!("skipped: needs images; `scripts/containers.sh` makes them and runs this");
            return None;
        };
        let missing = ["podman", "runc", "ip", "curl", "getcap"].into_iter().find(|name| tool(name).is_none());
        assert_eq!(missing, None, "`scripts/setup.sh containers` gets it");
        let variable = |name: &str| std::env::var(name).expect("scripts/containers.sh sets it");
        Some(Self { storage, image: variable("TEST_IMAGE"), base: variable("TEST_BASE") })
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(self.storage.join("storage"));
        podman.arg("--runroot").arg(self.storage.join("run")).args(["--runtime", "runc"]).args(arguments);
        podman
    }

    /// Runs to the end, which has to be a good one; gives stdout without the last line break.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.command(arguments)).success();
        String::from_utf8(output).expect("it is text").trim_end().to_owned()
    }

    /// A container that goes on in the background.
    pub fn start(&self, options: &[&str], image: &str, arguments: &[&str]) -> Container<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let container = Container { podman: self, name };
        let begin = ["run", "--detach", "--name", &container.name];
        self.must(&[&begin, &LIMITS[..], options, &[image], arguments].concat());
        container
    }

    /// A container of netmon that ends by itself.
    pub fn run(&self, options: &[&str]) -> Ended {
        let arguments = [&["run", "--rm"], &LIMITS[..], options, &[&self.image, "run"]].concat();
        run(&mut self.command(&arguments))
    }
}

/// podman's own are beyond what root may set where CAP_SYS_RESOURCE is missing, as in a container.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000:2000"];

/// A container that is removed when it goes out of scope.
pub struct Container<'a> {
    podman: &'a Podman,
    name: String,
}

impl Container<'_> {
    /// For `--network`: the network that this container has.
    pub fn network(&self) -> String {
        format!("container:{}", self.name)
    }

    /// What podman knows of it, by a template.
    pub fn inspect(&self, template: &str) -> String {
        self.podman.must(&["inspect", "--format", template, &self.name])
    }

    /// Its first process, as the host knows it.
    pub fn process(&self) -> u32 {
        self.inspect("{{.State.Pid}}").parse().expect("it is a number")
    }

    /// Does something with it.
    pub fn ask(&self, command: &[&str]) -> Ended {
        run(&mut self.podman.command(&[command, &[&self.name]].concat()))
    }

    /// What it said.
    pub fn log(&self) -> String {
        let ended = self.ask(&["logs"]);
        String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} said: {}", self.name, self.log());
        }
        let _ = self.podman.command(&["rm", "--force", "--volumes", &self.name]).output();
    }
}
