//! Running the program as a user does.

use super::running::Running;
use super::text;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The built program, in an empty directory and without any configuration from the environment.
pub fn netmon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netmon"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if ["NETMON_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// From what the system says of a child.
    pub fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        assert!(!stderr.contains("panicked at"), "the program panicked:\n{stderr}");
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// The document on stdout.
    pub fn document(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on stdout (exit {:?}): {error}\n{}", self.code, self.stderr))
    }

    /// Its stdout, after asserting that it ended well.
    pub fn success(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

/// No run takes nearly as long; one that does is stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs to the end.
pub fn run(command: &mut Command) -> Ended {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::of(Running::start(piped).output_within(LIMIT))
}

/// `netmon replay` with `arguments`.
pub fn replay(arguments: &[&str]) -> Ended {
    run(netmon().arg("replay").args(arguments))
}

/// The JSON of `netmon replay` over `files` with every flow and further `arguments`; it has to end well.
pub fn replay_json(files: &[&Path], arguments: &[&str]) -> Value {
    serde_json::from_slice(&replay_bytes(files, arguments)).expect("stdout is JSON")
}

/// The bytes behind [`replay_json`].
pub fn replay_bytes(files: &[&Path], arguments: &[&str]) -> Vec<u8> {
    let files: Vec<&str> = files.iter().map(|file| text(file)).collect();
    replay(&[&files[..], &["--format", "json", "--flows", "all"], arguments].concat()).success()
}

/// Runs to the end with `input` on stdin.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Ended {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(piped);
    let mut stdin = running.stdin();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ended = Ended::of(running.output_within(LIMIT));
    writer.join().expect("the writer does not panic").expect("the program reads all of its input");
    ended
}

/// The document without the names of the files it was made from.
pub fn without_files(mut document: Value) -> Value {
    document["capture"].as_object_mut().expect("capture is an object").remove("files");
    document
}
