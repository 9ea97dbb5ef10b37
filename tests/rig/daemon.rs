//! A daemon with a service manager of its own, and what it is disturbed by.

use crate::rig::{BIND, Namespace, START, Wire, directory_for_all};
use crate::support::program::netmon;
use crate::support::running::{Running, wait_until};
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io::{ErrorKind, PipeReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// `netmon run` on the monitor's end of a wire, told of a socket to notify.
pub struct Daemon<'a> {
    pub wire: &'a Wire,
    pub running: Running,
    directory: TempDir,
    /// Where it remembers; goes with it.
    _state: TempDir,
    manager: UnixDatagram,
}

impl<'a> Daemon<'a> {
    /// Starts it with this config; it need not be ready yet.
    pub fn start(wire: &'a Wire, yaml: &str, watchdog: Option<Duration>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        Self::logging_to(log.into(), directory, wire, yaml, watchdog)
    }

    /// Started and ready, with a log that takes 4 KiB and is read by nobody. Keep the reader, or writing fails at once.
    pub fn with_unread_log(wire: &'a Wire, yaml: &str) -> (Self, PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe can be small");
        let daemon = Self::logging_to(writer.into(), tempfile::tempdir().expect("a directory"), wire, yaml, None);
        daemon.wait();
        (daemon, reader)
    }

    fn logging_to(log: Stdio, directory: TempDir, wire: &'a Wire, yaml: &str, watchdog: Option<Duration>) -> Self {
        let state = directory_for_all();
        let [socket, config] = ["notify", "netmon.yaml"].map(|name| directory.path().join(name));
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        std::fs::write(&config, yaml).expect("a config");
        let program = netmon();
        let mut command = wire.monitor.command(program.get_program());
        command.args(["run", "--interface", "m0", "--bind", BIND, "--config"]).arg(config);
        for (name, _) in program.get_envs() {
            command.env_remove(name);
        }
        command.env("NOTIFY_SOCKET", &socket).env("STATE_DIRECTORY", state.path().join("netmon"));
        if let Some(watchdog) = watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        let running = Running::start(command.stdout(Stdio::null()).stderr(log));
        Self { wire, running, directory, _state: state, manager }
    }

    /// Started and ready.
    pub fn ready(wire: &'a Wire, yaml: &str) -> Self {
        let daemon = Self::start(wire, yaml, None);
        daemon.wait();
        daemon
    }

    fn wait(&self) {
        wait_until("netmon to be ready", START, || self.get("/readyz"));
    }

    /// The body at a path, or nothing unless the answer is 200.
    pub fn get(&self, path: &str) -> Option<String> {
        self.wire.monitor.get(&format!("http://{BIND}{path}"), &[])
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("netmon.yaml")
    }

    /// What it has logged; nothing when it logs elsewhere.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The next message to the manager; nothing when none comes in time.
    pub fn notified(&self, within: Duration) -> Option<String> {
        self.manager.set_read_timeout(Some(within)).expect("a timeout");
        let mut message = [0; 1024];
        match self.manager.recv(&mut message) {
            Ok(length) => Some(String::from_utf8_lossy(&message[..length]).into_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("the manager cannot listen: {error}"),
        }
    }

    /// The next message that is no ping.
    pub fn notified_of(&self, within: Duration) -> Option<String> {
        std::iter::repeat_with(|| self.notified(within)).find(|message| message.as_deref() != Some("WATCHDOG=1"))?
    }

    /// Its open descriptors and its threads.
    pub fn holds(&self) -> [usize; 2] {
        ["fd", "task"].map(|what| {
            let directory = format!("/proc/{}/{what}", self.running.id());
            std::fs::read_dir(directory).expect("it runs").count()
        })
    }

    /// Waits until it takes SIGTERM itself: before that the kernel ends it, which systemd counts as a good end too.
    pub fn wait_for_handlers(&self) {
        let status = format!("/proc/{}/status", self.running.id());
        wait_until("its signal handlers", START, || {
            let status = std::fs::read_to_string(&status).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask is hexadecimal");
            (caught & (1 << (nix::libc::SIGTERM - 1)) != 0).then_some(())
        });
    }
}

/// How a config file gets new contents, as editors, shells and Kubernetes do it.
pub fn write_config(file: &Path, yaml: &str, way: usize) {
    let beside = file.with_extension(format!("{way}"));
    match way % 3 {
        0 => std::fs::write(file, yaml).expect("it can be written in place"),
        1 => {
            std::fs::write(&beside, yaml).expect("a new file");
            std::fs::rename(&beside, file).expect("it takes the place of the old one");
        }
        _ => {
            let (target, link) = (file.with_extension(format!("target-{way}")), beside);
            std::fs::write(&target, yaml).expect("a new file");
            std::os::unix::fs::symlink(&target, &link).expect("a link to it");
            std::fs::rename(&link, file).expect("the link takes the place of the old one");
        }
    }
}

/// Frames from `g0` at about `rate` a second until it goes out of scope.
pub fn flood(wire: &Wire, rate: u32) -> Running {
    let examples = Path::new(env!("CARGO_BIN_EXE_netmon")).with_file_name("examples");
    let sender = examples.join("sendframes");
    let mut command = if sender.is_file() {
        let mut command = wire.generator.command(sender);
        command.args(["--interface", "g0", "--seconds", "3600", "--rate", &rate.to_string()]);
        command
    } else {
        let mut command = wire.generator.command("python3");
        command.args(["-c", FLOOD, &rate.to_string()]);
        command
    };
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// One UDP datagram of 100 bytes over and over, in bursts of a millisecond.
const FLOOD: &str = "
import socket, struct, sys, time
link = bytes.fromhex('020000000002' '020000000001' '0800')
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 86, 0, 0, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
frame = link + ip + struct.pack('!HHHH', 4000, 4001, 66, 0) + bytes(58)
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(('g0', 0))
sent, begun, rate = 0, time.monotonic(), int(sys.argv[1])
while True:
    due = int((time.monotonic() - begun) * rate)
    while sent < due:
        try:
            sender.send(frame)
        except OSError:
            pass
        sent += 1
    time.sleep(0.001)
";

/// Clients that hold connections: silent, in the middle of a request, and asking without reading the answers.
pub fn hanging_clients(monitor: &Namespace) -> Running {
    let mut command = monitor.command("python3");
    let (host, port) = BIND.split_once(':').expect("an address has a port");
    command.args(["-c", HANG, host, port]);
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

const HANG: &str = "
import collections, itertools, socket, sys, time
held = collections.deque(maxlen=16)
asks = [b'', b'GET /metrics HTT', b'GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' * 50]
for ask in itertools.cycle(asks):
    try:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.connect((sys.argv[1], int(sys.argv[2])))
        client.send(ask)
        held.append(client)
    except OSError:
        pass
    time.sleep(0.02)
";
