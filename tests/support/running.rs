//! A program in the background, and waiting for what it does.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A child that is killed when it goes out of scope.
pub struct Running {
    child: Option<Child>,
    name: String,
}

impl Running {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child: Some(child), name }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs until it is waited for").id()
    }

    /// The pipe to its stdin.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.as_mut().and_then(|child| child.stdin.take()).expect("its stdin is a pipe, taken once")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("the process is ours");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().expect("it runs until it is waited for").try_wait().expect("it is our child")
    }

    /// How it ended, which has to be within `limit`.
    pub fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs until it is waited for");
        wait_until(&format!("{} to end", self.name), limit, || child.try_wait().expect("it is our child"))
    }

    /// Its output through pipes; it has to end within `limit`.
    pub fn output_within(mut self, limit: Duration) -> Output {
        let child = self.child.as_mut().expect("it runs until it is waited for");
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let status = self.end_within(limit);
        let join = |reader: JoinHandle<Vec<u8>>| reader.join().expect("reading a pipe does not panic");
        Output { status, stdout: join(stdout), stderr: join(stderr) }
    }
}

/// Reads a pipe to its end beside the test, so that it never fills up.
fn read_all(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("its output is a pipe");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks until there is an answer; panics with `what` when there is none within `limit`.
pub fn wait_until<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    poll(limit, ask, Option::is_some).unwrap_or_else(|| panic!("waited {limit:?} for {what}"))
}

/// Asks until the answer is good or `limit` has passed; the last answer either way.
#[expect(clippy::disallowed_methods, reason = "a deadline for what happens outside of the program")]
pub fn poll<T>(limit: Duration, mut ask: impl FnMut() -> T, good: impl Fn(&T) -> bool) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask();
        if good(&answer) || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
}
