//! netmon under load: how it is started, and what is seen of it from outside.

use crate::client::SERVER;
use crate::rig::launch::Launch;
use crate::rig::process::Process;
use crate::rig::{Namespace, Wire};
use crate::support::running::Running;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// `netmon run` on `m0` that listens on the wire too.
pub fn netmon(wire: &Wire) -> Launch<'_> {
    wire.netmon("m0").option("--bind", SERVER)
}

/// Connections that netmon holds, by the remote address as the kernel writes it: `0B0200C0` is 192.0.2.11. Its sockets are
/// looked up first, so that those that come while the table is read are not counted beside those that went; each counts
/// once, though the kernel writes some lines again when the table changes under it.
pub fn connections(netmon: &Running, monitor: &Namespace) -> BTreeMap<String, usize> {
    let mut held = sockets(netmon);
    let table = monitor.must("cat", &["/proc/net/tcp"]);
    let mut open = BTreeMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Established and on our port.
        if fields[1].ends_with(":238B") && fields[3] == "01" && held.remove(fields[9]) {
            let remote = fields[2].split(':').next().unwrap_or_default();
            *open.entry(remote.to_owned()).or_default() += 1;
        }
    }
    open
}

/// The numbers of a program's sockets.
fn sockets(netmon: &Running) -> BTreeSet<String> {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", netmon.id())).expect("it runs");
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let number =
        |link: std::path::PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(number).collect()
}

/// The kernel's way to write an address of the wire.
pub fn written(address: std::net::Ipv4Addr) -> String {
    format!("{:08X}", u32::from_le_bytes(address.octets()))
}

/// Memory that is resident, in bytes.
pub fn resident(netmon: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", netmon.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says so");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes << 10
}

/// Looks at a process several times a second until told to stop.
pub struct Watch {
    stop: Arc<AtomicBool>,
    watching: JoinHandle<usize>,
}

impl Watch {
    /// Watches its descriptors.
    pub fn descriptors(netmon: &Running) -> Self {
        const PAUSE: Duration = Duration::from_millis(50);
        let (stop, process) = (Arc::new(AtomicBool::new(false)), Process(netmon.id()));
        let stopped = Arc::clone(&stop);
        let watching = std::thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(process.descriptors());
                std::thread::sleep(PAUSE);
            }
            most
        });
        Self { stop, watching }
    }

    /// The most that were seen.
    pub fn most(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.watching.join().expect("counting does not panic")
    }
}
