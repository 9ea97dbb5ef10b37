//! How netmon is started in the monitor's namespace.

use super::memory::MemoryGroup;
use super::{BIND, START, Wire};
use crate::support::program::netmon;
use crate::support::running::{Running, wait_until};
use std::fs::File;
use std::process::Command;

/// `netmon run` with options of the test.
pub struct Launch<'a> {
    wire: &'a Wire,
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    memory: Option<&'a MemoryGroup>,
    log: Option<File>,
}

impl<'a> Launch<'a> {
    pub(super) fn new(wire: &'a Wire, interface: &str) -> Self {
        let arguments = ["run", "--interface", interface, "--bind", BIND].map(str::to_owned).into();
        // Where the history would lie is the test's to say.
        let settings = vec![(variable("history.enabled"), "false".to_owned())];
        Self { wire, arguments, settings, memory: None, log: None }
    }

    /// With an option of the command line and its value.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// With an option that takes no value.
    pub fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.to_owned());
        self
    }

    /// With this backend.
    pub fn backend(self, name: &str) -> Self {
        self.option("--backend", name)
    }

    /// With a key of the configuration, such as `capture.buffer`.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((variable(key), value.to_owned()));
        self
    }

    /// With a variable of the environment that is none of netmon's own.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Within a memory control group.
    pub fn within(mut self, memory: &'a MemoryGroup) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Logging to this file.
    pub fn log(mut self, file: File) -> Self {
        self.log = Some(file);
        self
    }

    /// Starts it; it need not be ready.
    pub fn begin(&mut self) -> Running {
        let mut command = self.command();
        if let Some(log) = self.log.take() {
            command.stderr(log);
        }
        Running::start(&mut command)
    }

    /// Starts it and waits until it is ready.
    pub fn start(mut self) -> Running {
        let mut running = self.begin();
        let url = format!("http://{BIND}/readyz");
        wait_until("netmon to be ready", START, || {
            assert_eq!(running.ended(), None, "netmon ended before it was ready");
            self.wire.monitor.get(&url, &[])
        });
        running
    }

    fn command(&self) -> Command {
        let program = netmon();
        let mut command = self.wire.monitor.command(program.get_program());
        if let Some(memory) = self.memory {
            command = memory.command(&command);
        }
        command.args(&self.arguments).current_dir(env!("CARGO_TARGET_TMPDIR"));
        for (name, value) in program.get_envs() {
            assert!(value.is_none(), "the program is run without settings of its own");
            command.env_remove(name);
        }
        command.envs(self.settings.iter().map(|(key, value)| (key, value)));
        command
    }
}

/// The environment variable of a key of the configuration.
pub fn variable(key: &str) -> String {
    format!("NETMON_{}", key.to_uppercase().replace('.', "__"))
}
