//! The project's own traffic sender, `examples/sendframes`, in the generator's namespace.

use super::Wire;
use crate::support::running::Running;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A sender at work on `g0`.
pub struct Sender(Running);

impl Sender {
    /// Starts it with `arguments` of sendframes. It stays on the first processor.
    pub fn start(wire: &Wire, arguments: &[&str]) -> Self {
        let mut command = wire.generator.command(sendframes());
        command.args(["--interface", "g0", "--cpu", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Running::start(&mut command))
    }

    /// Tells it to stop; gives its report.
    pub fn stop(self) -> Sent {
        self.0.signal(Signal::SIGTERM);
        self.end()
    }

    /// Its report, once it has sent everything.
    pub fn end(self) -> Sent {
        const LIMIT: Duration = Duration::from_secs(600);
        let output = self.0.output_within(LIMIT);
        assert!(output.status.success(), "the sender failed: {}", String::from_utf8_lossy(&output.stderr));
        Sent(serde_json::from_slice(&output.stdout).expect("it reports JSON"))
    }
}

/// What a sender reports.
#[derive(Debug)]
pub struct Sent(Value);

impl Sent {
    /// Frames that the device took.
    pub fn frames(&self) -> f64 {
        self.count("frames")
    }

    /// A figure by its name.
    pub fn count(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

fn sendframes() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("sendframes"))
}

/// A built example. `cargo test` builds examples, `cargo test --test NAME` does not: then cargo is asked to.
///
/// It is built like the program beside it. A sender without optimisation still sends several times what the tests ask for.
pub fn example(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_netmon")).parent().expect("it is in a directory");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--locked", "--example", name]);
        if directory.ends_with("release") {
            command.arg("--release");
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        let built = command.env("CARGO_TARGET_DIR", directory.parent().expect("it is below target/")).status();
        assert!(built.is_ok_and(|status| status.success()), "{name} can be built");
    }
    directory.join("examples").join(name)
}
