//! Running this program again, and what it meets there.

use crate::status::Thread;
use nix::unistd::{Uid, chown};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// User and group of the confined processes.
pub const NOBODY: u32 = 65534;
/// Says what an inner test is to do; set only where one runs.
const VARIANT: &str = "NETMON_TEST_PRIVILEGE";

/// Whether root is here to give something up; says that a test is skipped where not. With `TEST_REQUIRE_ALL` in the
/// environment nothing may be skipped.
pub fn can_run() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip("needs root, to give it up");
    }
    root
}

fn skip(why: &str) {
    assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but this test {why}");
    eprintln!("skipped: {why}");
}

/// Whether the kernel lacks a layer, so that not all can be refused.
pub fn is_incomplete(output: &str) -> bool {
    let missing = output.lines().find(|line| line.contains(" missing: "));
    if let Some(line) = missing {
        skip(line);
    }
    missing.is_some()
}

/// A copy of this program with capabilities; `None` where the file system has none.
pub fn setcap(capabilities: &str) -> Option<Program> {
    let folder = open_folder();
    let path = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    if Command::new("setcap").arg(capabilities).arg(&path).status().is_ok_and(|status| status.success()) {
        return Some(Program { path, _folder: folder });
    }
    skip("needs setcap(8) and a file system that has file capabilities");
    None
}

/// A file that goes away with this.
pub struct Program {
    path: PathBuf,
    _folder: TempDir,
}

/// A directory that others can pass through.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// An inner test, to be run.
pub struct Again {
    command: Command,
    test: &'static str,
    variant: String,
}

impl Again {
    pub fn new(test: &'static str) -> Self {
        Self { command: Command::new(std::env::current_exe().unwrap()), test, variant: String::new() }
    }

    /// In this copy of the program.
    pub fn program(self, program: &Program) -> Self {
        Self { command: Command::new(&program.path), ..self }
    }

    pub fn by_nobody(mut self) -> Self {
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    pub fn variant(self, variant: &str) -> Self {
        Self { variant: variant.into(), ..self }
    }

    fn spawn(mut self) -> Child {
        self.command
            .args(["--ignored", "--exact", "--nocapture", self.test])
            .env(VARIANT, self.variant)
            .env("TZ", "Europe/Berlin");
        self.command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// What it printed, after asserting that it ended well.
    pub fn run(self) -> String {
        let output = self.spawn().wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        text
    }

    /// What the kernel says of the threads of the confined process, once that is ready.
    pub fn threads(self) -> Vec<Thread> {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let ready = lines.by_ref().find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let threads = ready.map(|process| Thread::all(&process));
        drop(child.stdin.take());
        let rest: Vec<_> = lines.collect();
        assert!(child.wait().unwrap().success(), "{rest:?}");
        threads.unwrap()
    }
}

/// What this inner test is to do; `None` where it was not started by a test above.
pub fn variant() -> Option<String> {
    std::env::var(VARIANT).ok()
}

/// Tells the test above that it can look, and waits until it has.
pub fn ready_until_told() {
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]).unwrap();
}

/// What a confined process may reach and what not: directories, ports, another process of the same user.
pub struct Scene {
    folder: TempDir,
    /// A port that nobody listens on.
    free: u16,
    listener: TcpListener,
    abstract_listener: UnixListener,
    neighbour: Child,
}

impl Scene {
    pub fn new() -> Self {
        let folder = open_folder();
        for name in ["own", "outside"] {
            make_directory(&folder.path().join(name));
            make_directory(&folder.path().join(name).join("directory"));
            for file in ["file", "other", "incoming"] {
                make_file(&folder.path().join(name).join(file));
            }
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let name = SocketAddr::from_abstract_name(abstract_name(listener.local_addr().unwrap().port())).unwrap();
        let abstract_listener = UnixListener::bind_addr(&name).unwrap();
        abstract_listener.set_nonblocking(true).unwrap();
        let neighbour = Command::new("sleep").arg("600").uid(NOBODY).gid(NOBODY).spawn().unwrap();
        Self { folder, free, listener, abstract_listener, neighbour }
    }

    /// For [`crate::probes::Place::new`].
    pub fn text(&self) -> String {
        let folder = self.folder.path().to_str().unwrap();
        let listening = self.listener.local_addr().unwrap().port();
        format!("{} {} {} {folder}", self.free, listening, self.neighbour.id())
    }

    /// How many have connected.
    pub fn connections(&self) -> usize {
        let tcp = std::iter::from_fn(|| self.listener.accept().ok()).count();
        tcp + std::iter::from_fn(|| self.abstract_listener.accept().ok()).count()
    }
}

/// Name of the abstract socket beside a listener.
pub fn abstract_name(port: u16) -> String {
    format!("netmon-test-{port}")
}

fn make_directory(path: &Path) {
    std::fs::create_dir(path).unwrap();
    chown(path, Some(Uid::from_raw(NOBODY)), Some(nix::unistd::Gid::from_raw(NOBODY))).unwrap();
}

fn make_file(path: &Path) {
    std::fs::write(path, "text").unwrap();
    chown(path, Some(Uid::from_raw(NOBODY)), Some(nix::unistd::Gid::from_raw(NOBODY))).unwrap();
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}
