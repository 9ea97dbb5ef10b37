//! What has to work behind the sandbox. Each function panics where it does not.

use crate::alone::offset_of_local_time;
use netmon::capture::{Adapter, FrameSink, InterfaceInfo, LiveAdapter, PcapAdapter, interfaces};
use netmon::metrics::{BuildInfo, Confined, Exporter};
use netmon::packet::Frame;
use netmon::privilege::Confinement;
use netmon::stats::Config;
use netmon::time::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TEXT: &[u8] = b"still works";
const WAIT: Duration = Duration::from_millis(100);
/// Waits after which something does not come.
const PATIENCE: u32 = 100;

/// What a store does: makes files in a directory, grows, locks, reads and writes in place, syncs, replaces, deletes.
pub fn files(directory: &Path) {
    let path = directory.join("store");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    file.set_len(1 << 20).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all_at(TEXT, 4096).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    let mut read = [0; TEXT.len()];
    file.read_exact_at(&mut read, 4096).unwrap();
    assert_eq!(read, TEXT);
    assert!(OpenOptions::new().read(true).open(&path).unwrap().try_lock().is_err(), "it is locked");
    fs::rename(&path, directory.join("aside")).unwrap();
    fs::create_dir(directory.join("more")).unwrap();
    fs::rename(directory.join("aside"), directory.join("more/aside")).unwrap();
    File::open(directory).unwrap().sync_all().unwrap();
    fs::copy(directory.join("more/aside"), directory.join("copy")).unwrap();
    assert_eq!(fs::read_dir(directory.join("more")).unwrap().count(), 1);
    fs::remove_dir_all(directory.join("more")).unwrap();
    fs::remove_file(directory.join("copy")).unwrap();
}

/// A listener that is made, used and removed.
pub fn unix_socket(directory: &Path) {
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    UnixStream::connect(&path).unwrap().write_all(TEXT).unwrap();
    let mut read = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
    assert_eq!(read, TEXT);
    fs::remove_file(&path).unwrap();
}

/// Listening on a port that may be listened on, connecting to one that may be connected to.
pub fn tcp(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let client = std::thread::spawn(move || {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(WAIT * PATIENCE)).unwrap();
        client.write_all(TEXT).unwrap();
    });
    let mut read = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
    client.join().unwrap();
    assert_eq!(read, TEXT);
}

/// A server on a runtime with several threads, with timers and work that blocks.
pub fn tokio(port: u16) {
    let runtime = threads();
    let answer = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.unwrap();
            peer.write_all(TEXT).await.unwrap();
        });
        let mut client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    });
    assert_eq!(answer, TEXT);
}

/// A runtime with two workers and one thread that blocks, and two ordinary threads, all there for as long as it is.
pub fn threads() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stay = || std::thread::sleep(WAIT * PATIENCE);
    runtime.spawn_blocking(move || std::thread::sleep(WAIT));
    for name in ["capture-lo", "aggregator"] {
        std::thread::Builder::new().name(name.into()).spawn(stay).unwrap();
    }
    runtime
}

/// What the kernel says of interfaces: a dump by netlink, counters, link state.
pub fn interfaces() {
    let loopback = |address: nix::ifaddrs::InterfaceAddress| address.interface_name == "lo";
    assert!(nix::ifaddrs::getifaddrs().unwrap().any(loopback));
    assert!(interfaces::kernel_counters("lo").is_some());
    assert!(interfaces::link("lo").mtu.is_some());
}

/// Finds one datagram.
struct Finds(bool);

impl FrameSink for Finds {
    fn interface(&mut self, _: &InterfaceInfo) {}

    fn frames(&mut self, frames: &[Frame<'_>]) {
        self.0 |= frames.iter().any(|frame| frame.bytes.ends_with(TEXT));
    }
}

/// Reading from an open packet socket, in a thread of its own, under a filter that is set now.
pub fn packet_socket(mut adapter: PcapAdapter) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    adapter.set_filter(Some(&format!("udp and dst port {}", to.port()))).unwrap();
    let captured = std::thread::spawn(move || {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut found = Finds(false);
        for _ in 0..PATIENCE {
            sender.send_to(TEXT, to).unwrap();
            adapter.poll(WAIT, &mut found).unwrap();
            if found.0 {
                break;
            }
        }
        assert!(adapter.statistics().unwrap().unwrap().received > 0);
        found.0
    });
    assert!(captured.join().unwrap());
}

/// Looking up a name in a file; and one that is asked for over the network, which may fail but must not end badly.
pub fn names() {
    assert!(("localhost", 80).to_socket_addrs().unwrap().any(|address| address.ip().is_loopback()));
    let _ = ("no-such-name.invalid", 80).to_socket_addrs();
}

/// Local time, of a zone that is read now.
pub fn local_time() {
    if Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        // 2024-01-01; the test above sets TZ.
        assert_eq!(offset_of_local_time(1_704_067_200), 3600);
    }
}

/// Signals to itself.
pub fn signals() {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&seen)).unwrap();
    nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGUSR1).unwrap();
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR1).unwrap();
    assert!(seen.load(Ordering::Relaxed));
}

/// A panic in a thread, and the way to it, which cannot be named but does not end the process.
pub fn panics() {
    let panicked = std::thread::spawn(|| {
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        assert!(trace.is_empty(), "this panic is part of the test");
    });
    assert!(panicked.join().is_err());
}

/// An exporter whose files are open.
pub fn exporter() -> Exporter {
    Exporter::new(&Config::default(), BuildInfo::default(), Timestamp::from_nanos(1))
}

/// All that the process says of itself, and of its confinement.
pub fn process_metrics(exporter: &Exporter, confinement: &Confinement) {
    let layers = confinement.layers.each_ref().map(|(layer, _)| confinement.is_active(*layer));
    let sandboxed = confinement.is_sandboxed();
    exporter.confined(Confined { dropped: confinement.dropped, sandboxed, layers });
    let own = exporter.own();
    let process = own.process.unwrap();
    assert!(process.cpu_seconds.is_some() && process.resident_bytes > Some(0) && process.virtual_bytes > Some(0));
    assert!(process.open_fds > Some(3) && process.max_fds > Some(3) && process.threads > Some(0), "{process:?}");
    let privileges = own.privileges.unwrap();
    assert!(!privileges.root && privileges.dropped && privileges.sandboxed == sandboxed, "{privileges:?}");
    assert_eq!(own.layers, Some(layers));
}
