//! Telling the service manager how it goes: the protocol of sd_notify(3), one datagram for each message.
//!
//! A manager that wants to know gives the address of a socket in `NOTIFY_SOCKET`, and in `WATCHDOG_USEC` the time after
//! which silence counts as being stuck. Without them every call does nothing. The socket is connected at once, so that no
//! sandbox that is put up later has to allow it.

use crate::telemetry::Escaped;
use std::ffi::OsString;
use std::time::Duration;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<Socket>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads the environment and connects. A socket that cannot be reached is logged; the daemon runs without it.
    pub fn open() -> Self {
        Self::from_environment(|name| std::env::var_os(name))
    }

    fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(address) = variable("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        let number = |name| variable(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let timeout = number("WATCHDOG_USEC").filter(|&micros| is_ours && micros > 0);
        match connect(&address) {
            Ok(socket) => {
                Self { socket: Some(socket), watchdog: timeout.map(|micros| Duration::from_micros(micros / 2)) }
            }
            Err(error) => {
                let address = address.to_string_lossy();
                tracing::warn!(%error, address = &*address, "cannot reach the service manager");
                Self::default()
            }
        }
    }

    /// How often to [`Notifier::ping`]: half of what the manager allows. `None` where nobody waits for it.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Everything is open and counting; also the end of [`Notifier::reloading`]. `status` is a line for people.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", Escaped(status)));
    }

    /// A reload begins; [`Notifier::ready`] has to follow, whether it was accepted or not.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// All threads move.
    pub fn ping(&self) {
        self.send("WATCHDOG=1");
    }

    /// A manager that takes no datagrams misses this one; capturing does not wait for it.
    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }
}

#[cfg(unix)]
type Socket = std::os::unix::net::UnixDatagram;

/// A path, or behind an `@` a name in the abstract name space of Linux.
#[cfg(unix)]
fn connect(address: &OsString) -> std::io::Result<Socket> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;
    /// How long a manager with a full queue is waited for.
    const PATIENCE: Duration = Duration::from_millis(200);
    let address = match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        #[cfg(not(target_os = "linux"))]
        Some(_) => return Err(std::io::ErrorKind::Unsupported.into()),
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = Socket::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The clock that the manager compares its own events with.
#[cfg(unix)]
fn monotonic_micros() -> i64 {
    use nix::time::{ClockId, clock_gettime};
    // This clock is everywhere; the epoch in its place only looks like a very early reload.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// No such manager elsewhere.
#[cfg(not(unix))]
#[derive(Debug)]
struct Socket;

#[cfg(not(unix))]
impl Socket {
    fn send(&self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(unix))]
fn connect(_: &OsString) -> std::io::Result<Socket> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn monotonic_micros() -> i64 {
    0
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A manager with its socket at a path, and what it says to the program.
    struct Manager {
        directory: tempfile::TempDir,
        socket: UnixDatagram,
    }

    impl Manager {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            Self { directory, socket }
        }

        /// A notifier that was given this socket, and further variables.
        fn notifier(&self, variables: &[(&str, &str)]) -> Notifier {
            let path = self.directory.path().join("notify");
            notifier(&[&[("NOTIFY_SOCKET", path.to_str().unwrap())], variables].concat())
        }

        fn heard(&self) -> String {
            let mut message = [0; 4096];
            let length = self.socket.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        }
    }

    fn notifier(variables: &[(&str, &str)]) -> Notifier {
        Notifier::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn each_call_is_one_datagram() {
        let manager = Manager::new();
        let notifier = manager.notifier(&[]);
        notifier.ready("monitoring eth0");
        assert_eq!(manager.heard(), "READY=1\nSTATUS=monitoring eth0");
        notifier.ping();
        assert_eq!(manager.heard(), "WATCHDOG=1");
        notifier.stopping();
        assert_eq!(manager.heard(), "STOPPING=1");
    }

    #[test]
    fn a_reload_carries_the_time_of_the_monotonic_clock() {
        let manager = Manager::new();
        let notifier = manager.notifier(&[]);
        let before = monotonic_micros();
        notifier.reloading();
        let message = manager.heard();
        let micros = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<i64>().unwrap();
        assert!(before > 0 && (before..=monotonic_micros()).contains(&micros), "{message}");
    }

    #[test]
    fn an_abstract_socket_is_written_with_an_at_sign() {
        let name = format!("netmon-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        notifier(&[("NOTIFY_SOCKET", &format!("@{name}"))]).ping();
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"WATCHDOG=1");
    }

    #[test]
    fn a_status_cannot_say_anything_else() {
        let manager = Manager::new();
        manager.notifier(&[]).ready("monitoring eth0\nSTOPPING=1");
        assert_eq!(manager.heard().lines().count(), 2);
    }

    #[test]
    fn the_watchdog_is_told_at_half_of_its_time() {
        let manager = Manager::new();
        let own = std::process::id().to_string();
        let interval = |variables: &[_]| manager.notifier(variables).watchdog_interval();
        assert_eq!(interval(&[("WATCHDOG_USEC", "20000000")]), Some(Duration::from_secs(10)));
        assert_eq!(interval(&[("WATCHDOG_USEC", "20000000"), ("WATCHDOG_PID", &own)]), Some(Duration::from_secs(10)));
        assert_eq!(interval(&[("WATCHDOG_USEC", "20000000"), ("WATCHDOG_PID", "1")]), None, "another process is meant");
        assert_eq!(interval(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(interval(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        for notifier in [notifier(&[]), notifier(&[("NOTIFY_SOCKET", "")]), notifier(&[("NOTIFY_SOCKET", "/no/such")])]
        {
            notifier.ready("");
            notifier.reloading();
            notifier.ping();
            notifier.stopping();
            assert_eq!(notifier.watchdog_interval(), None);
        }
    }

    #[test]
    fn a_manager_that_does_not_listen_holds_nothing_up() {
        let manager = Manager::new();
        let notifier = manager.notifier(&[]);
        // More than the queue of a unix socket takes; each further call gives up after its patience.
        (0..16).for_each(|_| notifier.ping());
        drop(manager);
        notifier.ping();
    }
}
