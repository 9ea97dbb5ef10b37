//! Why a source could not be opened or read, in words for the person who named it.

use super::FilterError;
use super::savefile::{MAX_FILES, MAX_INTERFACES};
use std::fmt;
use std::io;

/// Why a source could not be opened or read.
///
/// Display says what failed, on what, what was found and what is allowed; [`CaptureError::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// A capture file could not be opened.
    #[error("cannot open `{file}`")]
    OpenFile {
        /// As the user named it.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading a capture file failed (not: ended early, which is [`Incomplete`](super::Incomplete)).
    #[error("reading `{file}` failed at byte {offset}")]
    ReadFile {
        /// As the user named it.
        file: String,
        /// Uncompressed bytes read before.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The input is nothing that can be read as a capture.
    #[error("`{file}` {fault}")]
    NotACapture {
        /// As the user named it.
        file: String,
        /// What was found instead.
        fault: FileFault,
    },
    /// More input files than are read at once.
    #[error("{count} capture files, allowed 1 to {}", MAX_FILES)]
    FileCount {
        /// Files named.
        count: usize,
    },
    /// A filter does not compile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A name that no interface has.
    #[error("no interface `{name}`{}", nearest(near))]
    NoSuchInterface {
        /// As the user named it.
        name: String,
        /// Names that are close, nearest first; else all there are.
        near: Vec<String>,
    },
    /// The patterns together leave nothing to capture.
    #[error("no interface matches `{}`", patterns.join("`, `"))]
    NothingMatches {
        /// As the user wrote them.
        patterns: Vec<String>,
    },
    /// This process may not capture on the interface.
    #[error("cannot capture on `{interface}`: {missing}")]
    NotPermitted {
        /// The interface.
        interface: String,
        /// What is missing.
        missing: Missing,
    },
    /// A live handle could not be opened for another reason.
    #[error("cannot capture on `{interface}`: libpcap: {message}")]
    OpenInterface {
        /// The interface.
        interface: String,
        /// libpcap's words.
        message: String,
    },
    /// The interface was deleted or moved to another network namespace; the handle gives no more.
    #[error("interface `{interface}` is gone")]
    InterfaceGone {
        /// The interface.
        interface: String,
    },
    /// A live handle failed.
    #[error("capture on `{interface}` failed: libpcap: {message}")]
    Live {
        /// The interface.
        interface: String,
        /// libpcap's words.
        message: String,
    },
    /// Packet sockets to keep in reserve could not be opened.
    #[error("cannot open packet socket {number} of {count}")]
    OpenSpares {
        /// The first that was refused, from 1.
        number: usize,
        /// How many were asked for.
        count: usize,
        /// What the system says.
        source: io::Error,
    },
    /// No packet socket is in reserve, and this process may not open one.
    #[error("cannot capture on `{interface}`: no spare packet socket is left of {opened}, `capture.spares` raises it")]
    NoSpare {
        /// The interface.
        interface: String,
        /// How many were opened at the start.
        opened: usize,
        /// Why no other could be opened.
        source: io::Error,
    },
    /// What opening a handle needs was given up at the start.
    #[cfg(not(target_os = "linux"))]
    #[error("cannot capture on `{interface}`: opening it needs root, which was given up at the start")]
    NoPrivilegeLeft {
        /// The interface.
        interface: String,
    },
    /// The frames of an interface begin with a header that the packet socket backend does not read.
    #[error("cannot capture on `{interface}`: hardware type {hardware}, allowed are Ethernet and bare IP")]
    UnknownHardware {
        /// The interface.
        interface: String,
        /// Its ARPHRD_ number.
        hardware: u16,
    },
    /// A packet socket could not be set up, or failed.
    #[error("packet socket on `{interface}`: {doing}")]
    PacketSocket {
        /// The interface.
        interface: String,
        /// What was not possible.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The memory that the kernel shares has numbers in it that point outside.
    #[error("packet socket on `{interface}`: a block of its ring is not as the kernel documents it")]
    BadBlock {
        /// The interface.
        interface: String,
    },
    /// The interfaces of this machine could not be listed.
    #[error("cannot list interfaces: {message}")]
    ListInterfaces {
        /// The words of libpcap or the system.
        message: String,
    },
}

impl CaptureError {
    /// Whether the user's input is wrong (exit code 2), not the run (exit code 1).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::OpenFile { .. }
            | Self::NotACapture { .. }
            | Self::FileCount { .. }
            | Self::Filter(_)
            | Self::NoSuchInterface { .. }
            | Self::NothingMatches { .. } => true,
            Self::ReadFile { .. }
            | Self::NotPermitted { .. }
            | Self::OpenInterface { .. }
            | Self::InterfaceGone { .. }
            | Self::Live { .. }
            | Self::OpenSpares { .. }
            | Self::NoSpare { .. }
            | Self::UnknownHardware { .. }
            | Self::PacketSocket { .. }
            | Self::BadBlock { .. }
            | Self::ListInterfaces { .. } => false,
            #[cfg(not(target_os = "linux"))]
            Self::NoPrivilegeLeft { .. } => false,
        }
    }

    /// What to do about it, for a line of its own.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotACapture { fault, .. } => fault.hint(),
            Self::FileCount { .. } => Some("join some first: `mergecap -w all.pcapng FILE...`".into()),
            Self::Filter(error) => Some(error.hint().into()),
            Self::NoSuchInterface { .. } | Self::NothingMatches { .. } => {
                Some("`netmon interfaces` lists what can be captured here".into())
            }
            Self::NotPermitted { missing, .. } => Some(missing.hint().into()),
            Self::InterfaceGone { .. } => Some("it is opened again when an interface of this name comes up".into()),
            Self::OpenSpares { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(Missing::NetRaw { user: String::new() }.hint().into())
            }
            Self::OpenSpares { .. } => {
                Some("`capture.spares` is how many are opened; each is a file descriptor".into())
            }
            Self::NoSpare { .. } => Some(
                "every interface needs one while it is captured; raise `capture.spares`, and start again: spares are \
                 opened before privileges are given up"
                    .into(),
            ),
            #[cfg(not(target_os = "linux"))]
            Self::NoPrivilegeLeft { .. } => Some(
                "start again while it is there, or start as an ordinary user who has access to the capture device"
                    .into(),
            ),
            Self::UnknownHardware { .. } => Some("libpcap captures such interfaces, in a form of its own".into()),
            _ => None,
        }
    }
}

/// What a file is that is no capture netmon can read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// A directory, or another thing without bytes of its own.
    Kind(&'static str),
    /// Standard input is a terminal.
    Terminal,
    /// No byte.
    Empty,
    /// It ends inside the header of its file format.
    HeaderCut {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Size of the header in bytes.
        needed: u64,
        /// Bytes of it that are there.
        found: u64,
    },
    /// Neither format.
    Magic {
        /// The first bytes, at most four.
        start: Vec<u8>,
        /// What such files are, where that is known.
        known_as: Option<KnownFormat>,
    },
    /// A version of the format that netmon does not know.
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version in the header.
        major: u16,
        /// Minor version in the header.
        minor: u16,
    },
    /// A pcapng section header that cannot be right.
    Section(String),
    /// The compressed data are bad before a capture begins.
    Compression(String),
    /// All link types in it are unknown.
    Linktypes(Vec<u32>),
    /// The other files have as many interfaces as are kept.
    TooManyInterfaces,
}

/// A file format that is recognised to say how to convert it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFormat {
    /// Its name.
    pub name: &'static str,
    /// What makes a capture of it.
    pub convert: &'static str,
}

impl FileFault {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Terminal => Some("pipe a capture in: `tcpdump -w - | netmon replay -`".into()),
            Self::Magic { known_as: Some(known), .. } => Some(known.convert.into()),
            Self::Magic { known_as: None, .. } | Self::Section(_) => {
                Some("pcap and pcapng are read, plain or compressed with gzip or zstd; `capinfos` names others".into())
            }
            Self::Version { format: "pcap", .. } => Some("pcap 2.0 to 2.4 is read".into()),
            Self::Version { .. } => Some("pcapng 1.0 and 1.2 are read".into()),
            Self::Linktypes(_) => Some(
                "read are EN10MB (1), NULL (0), LOOP (108), RAW (101), LINUX_SLL (113), LINUX_SLL2 (276), IPV4 (228) and \
                 IPV6 (229)"
                    .into(),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "is {kind}, not a capture"),
            Self::Terminal => f.write_str("is a terminal, not a capture"),
            Self::Empty => f.write_str("is empty, not a capture"),
            Self::HeaderCut { format, needed, found } => {
                write!(f, "ends inside its {format} header ({needed} bytes needed, {found} present)")
            }
            Self::Magic { start, known_as } => {
                f.write_str("is not a capture: it begins with")?;
                for byte in start {
                    write!(f, " {byte:02x}")?;
                }
                known_as.map_or(Ok(()), |known| write!(f, " ({})", known.name))
            }
            Self::Version { format, major, minor } => write!(f, "is {format} of version {major}.{minor}, not known"),
            Self::Section(what) => write!(f, "has a bad pcapng section header: {what}"),
            Self::Compression(what) => write!(f, "has bad compressed data: {what}"),
            Self::TooManyInterfaces => write!(f, "is one interface too many, allowed {MAX_INTERFACES}"),
            Self::Linktypes(numbers) => {
                f.write_str(if numbers.len() == 1 {
                    "has only the unknown linktype"
                } else {
                    "has only unknown linktypes"
                })?;
                for (n, number) in numbers.iter().enumerate() {
                    write!(f, "{} {number}", if n == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// What this process lacks to capture on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Linux: the capability CAP_NET_RAW in the network namespace of the interface.
    NetRaw {
        /// Name of the effective user.
        user: String,
    },
    /// Elsewhere: access to the capture device, in libpcap's words.
    Access(String),
}

impl Missing {
    /// How to get it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NetRaw { .. } => {
                "start as root, which netmon gives up for `privileges.user`, or `setcap cap_net_raw+ep` on the binary; in \
                 a container add NET_RAW (`--cap-add NET_RAW`, Kubernetes: `securityContext.capabilities.add`), which Docker \
                 and Kubernetes give to user 0 only: run it as 0 with SETUID and SETGID too; under systemd, where \
                 NoNewPrivileges ignores setcap, AmbientCapabilities"
            }
            Self::Access(_) if cfg!(target_os = "macos") => {
                "start as root, or give the user access to /dev/bpf* (Wireshark's ChmodBPF does)"
            }
            Self::Access(_) if cfg!(windows) => "start as administrator, with Npcap installed",
            Self::Access(_) => "start as root, or give the user access to the capture device",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetRaw { user } => write!(f, "CAP_NET_RAW is missing (user `{user}`)"),
            Self::Access(message) => write!(f, "libpcap: {message}"),
        }
    }
}

/// `; near: a, b`, or nothing.
fn nearest(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; there are: {}", near.join(", ")) }
}
