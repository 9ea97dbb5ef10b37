//! What the process knows of itself beside the packets, and where Linux keeps it.

use super::export::ExportState;
use super::history::HistoryState;
use super::notifications::NotificationState;
use super::pushes::PushState;
use crate::alert::Picture;
use crate::stats::Buckets;
use crate::time::Timestamp;
use std::sync::Arc;

/// Facts of the process at one exposition. What is `None` is absent.
#[derive(Clone, Debug, Default)]
pub struct SelfState {
    /// What was built.
    pub build: BuildInfo,
    /// Wall-clock time of the start.
    pub started: Option<Timestamp>,
    /// What became of the configuration.
    pub reloads: Reloads,
    /// How confined the process is.
    pub privileges: Option<Privileges>,
    /// Which layers confine the process, in the order of [`LAYERS`]; `None` where nothing was given up on purpose.
    pub layers: Option<[bool; LAYERS.len()]>,
    /// What the kernel says of the process.
    pub process: Option<Process>,
    /// Answers of the HTTP server.
    pub http_requests: Option<HttpRequests>,
    /// Times of those answers by [`TIMED_HANDLERS`], over [`Buckets::ANSWER`], in nanoseconds.
    pub http_durations: Option<[Buckets; TIMED_HANDLERS.len()]>,
    /// Streams that are open, and messages that slow ones did not get.
    pub websockets: Option<[u64; 2]>,
    /// Durations of earlier renderings, over [`RENDER_BOUNDS`], in nanoseconds.
    pub scrapes: Option<Buckets>,
    /// What becomes of notifications; `None` where nobody is told of alerts.
    pub notifications: Option<NotificationState>,
    /// Where alert rules stand.
    pub alerts: Option<Arc<Picture>>,
    /// How the history fares; `None` where none is kept.
    pub history: Option<HistoryState>,
    /// How pushing to a collector fares; `None` where nothing is pushed.
    pub pushes: Option<PushState>,
    /// How the exports of flows fare.
    pub exports: ExportState,
}

/// Values of the `layer` label.
pub const LAYERS: [&str; 5] = ["user", "capabilities", "no_new_privs", "landlock", "seccomp"];

/// What was given up at the start, for [`Exporter::confined`](super::Exporter::confined).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// Privileges were held and given up.
    pub dropped: bool,
    /// A sandbox is in force.
    pub sandboxed: bool,
    /// Layers in force, in the order of [`LAYERS`].
    pub layers: [bool; LAYERS.len()],
}

/// What the HTTP server counts.
#[derive(Clone, Debug, Default)]
pub struct HttpFacts {
    /// Answers.
    pub requests: HttpRequests,
    /// Their times by [`TIMED_HANDLERS`], over [`Buckets::ANSWER`], in nanoseconds.
    pub durations: Option<[Buckets; TIMED_HANDLERS.len()]>,
    /// Streams that are open, and messages that slow ones did not get.
    pub websockets: Option<[u64; 2]>,
}

impl From<HttpRequests> for HttpFacts {
    fn from(requests: HttpRequests) -> Self {
        Self { requests, ..Self::default() }
    }
}

/// Values of the `handler` label of answers.
pub const HANDLERS: [&str; 5] = ["metrics", "health", "api", "page", "other"];

/// Values of the `handler` label of answering times.
pub const TIMED_HANDLERS: [&str; 3] = ["metrics", "api", "ws"];

/// Answers by [`HANDLERS`], then by class of status (2xx to 5xx).
pub type HttpRequests = [[u64; 4]; HANDLERS.len()];

/// Upper bounds of rendering times in nanoseconds: 50 µs to 1 s.
pub const RENDER_BOUNDS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
];

/// Upper bounds of evaluation times of alert rules in nanoseconds: 1 µs to 100 ms.
pub const EVALUATION_BOUNDS: &[u64] =
    &[1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000, 100_000_000];

/// What was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of the package.
    pub version: &'static str,
    /// Source revision, or `unknown`.
    pub revision: &'static str,
    /// Target triple or architecture.
    pub target: &'static str,
    /// Optional parts compiled in, separated by commas.
    pub features: &'static str,
}

/// Loads of the configuration since the start; the first one counts as generation 1, not as a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Number of the configuration in force.
    pub generation: u64,
    /// Whether the last load was accepted.
    pub last_successful: bool,
    /// Time of the last accepted load.
    pub last_success: Option<Timestamp>,
    /// Attempts.
    pub attempts: u64,
    /// Rejected ones.
    pub failures: u64,
}

/// How confined the process is, by the `state` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Effective user id 0.
    pub root: bool,
    /// CAP_NET_RAW is effective without being root.
    pub capability: bool,
    /// Privileges were held and given up.
    pub dropped: bool,
    /// A sandbox is in force.
    pub sandboxed: bool,
}

/// The usual process metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Their soft limit.
    pub max_fds: Option<u64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Its soft limit; `None` without one.
    pub virtual_max_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// The process's own files in `/proc`, opened once so that they can be read after the file system is out of reach.
///
/// Without `/proc` (other systems, a bare chroot) everything is `None`.
#[derive(Debug)]
pub struct ProcessFiles {
    #[cfg(target_os = "linux")]
    files: linux::Files,
}

impl ProcessFiles {
    /// Opens what is there.
    pub fn open() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            files: linux::Files::open(),
        }
    }

    /// Reads the process metrics and the privileges as they are now.
    #[cfg(target_os = "linux")]
    pub fn read(&self) -> (Option<Process>, Option<Privileges>) {
        self.files.read()
    }

    /// Reads the process metrics and the privileges: not available on this system.
    #[cfg(not(target_os = "linux"))]
    pub fn read(&self) -> (Option<Process>, Option<Privileges>) {
        (None, None)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Privileges, Process};
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// Clock ticks per second in `/proc` (USER_HZ), 100 on every architecture Rust runs on.
    const USER_HZ: f64 = 100.0;
    /// Bit of CAP_NET_RAW in a capability set (capabilities(7)).
    const CAP_NET_RAW: u32 = 13;
    /// Larger than any of the files.
    const READ_MAX: usize = 8192;

    #[derive(Debug)]
    pub(super) struct Files {
        stat: Option<File>,
        status: Option<File>,
        limits: Option<File>,
        fds: Option<File>,
    }

    impl Files {
        pub(super) fn open() -> Self {
            let open = |name: &str| File::open(format!("/proc/self/{name}")).ok();
            Self { stat: open("stat"), status: open("status"), limits: open("limits"), fds: open("fd") }
        }

        pub(super) fn read(&self) -> (Option<Process>, Option<Privileges>) {
            let status = text(self.status.as_ref());
            let process = self.status.as_ref().map(|_| self.process(&status));
            (process, privileges(&status))
        }

        fn process(&self, status: &str) -> Process {
            let limits = text(self.limits.as_ref());
            Process {
                cpu_seconds: cpu_seconds(&text(self.stat.as_ref())),
                open_fds: self.fds.as_ref().and_then(open_fds),
                max_fds: limit(&limits, "Max open files"),
                resident_bytes: kibibytes(status, "VmRSS:"),
                virtual_bytes: kibibytes(status, "VmSize:"),
                virtual_max_bytes: limit(&limits, "Max address space"),
                threads: field(status, "Threads:").and_then(|n| n.parse().ok()),
            }
        }
    }

    /// The whole of a file of `/proc`, made anew by each read from its start; empty if it cannot be read.
    fn text(file: Option<&File>) -> String {
        let mut buffer = [0; READ_MAX];
        let length = file.and_then(|file| file.read_at(&mut buffer, 0).ok()).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Since Linux 6.2 the size of the directory is the number of descriptors; before, its entries are counted.
    fn open_fds(directory: &File) -> Option<u64> {
        match directory.metadata().ok()?.len() {
            0 => std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as u64),
            open => Some(open),
        }
    }

    /// Fields 14 and 15 of `stat` (proc_pid_stat(5)); counted behind the name, which may hold spaces and brackets.
    pub(super) fn cpu_seconds(stat: &str) -> Option<f64> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut times = behind_name.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
        Some((user + system) as f64 / USER_HZ)
    }

    fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
        status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
    }

    fn kibibytes(status: &str, name: &str) -> Option<u64> {
        field(status, name)?.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|n| n * 1024)
    }

    /// The soft limit of a row; `None` for `unlimited`.
    pub(super) fn limit(limits: &str, name: &str) -> Option<u64> {
        field(limits, name)?.split_ascii_whitespace().next()?.parse().ok()
    }

    pub(super) fn privileges(status: &str) -> Option<Privileges> {
        let effective_user = field(status, "Uid:")?.split_ascii_whitespace().nth(1)?;
        let capabilities = u64::from_str_radix(field(status, "CapEff:")?, 16).ok()?;
        let root = effective_user == "0";
        let capability = !root && capabilities >> CAP_NET_RAW & 1 == 1;
        Some(Privileges { root, capability, ..Privileges::default() })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_process_name() {
        let stat = "7 (a) b 1 (x) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 100 4096 1 0";
        assert_eq!(linux::cpu_seconds(stat), Some(3.0));
        assert_eq!(linux::cpu_seconds("7 (cut"), None);
    }

    #[test]
    fn net_raw_counts_as_capability_only_without_root() {
        let status = |user, set| format!("Name:\tx\nUid:\t1000\t{user}\t0\t0\nCapEff:\t{set}\n");
        let of = |user, set| linux::privileges(&status(user, set)).expect("both fields are there");
        assert!(of("0", "000001ffffffffff").root && !of("0", "000001ffffffffff").capability);
        assert!(of("1000", "0000000000002000").capability);
        assert_eq!(of("1000", "0000000000000000"), Privileges::default());
    }

    #[test]
    fn an_unlimited_limit_is_not_available() {
        let limits = "Max open files            1024                 524288               files\n\
                      Max address space         unlimited            unlimited            bytes\n";
        assert_eq!(linux::limit(limits, "Max open files"), Some(1024));
        assert_eq!(linux::limit(limits, "Max address space"), None);
    }

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let (process, privileges) = ProcessFiles::open().read();
        let process = process.expect("/proc is there");
        assert!(process.resident_bytes > Some(0) && process.threads > Some(0) && process.open_fds > Some(3));
        assert!(process.cpu_seconds.is_some() && privileges.is_some());
    }
}
