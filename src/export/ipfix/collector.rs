//! Where a collector is, and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A collector and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where it is.
    pub to: Target,
    /// One record with reverse elements for each flow (RFC 5103), in place of one for each direction.
    pub biflow: bool,
    /// The observation domain of the messages' headers.
    pub domain: u32,
    /// How often templates and options are sent again over UDP.
    pub templates: Duration,
    /// The most bytes of a message; over UDP what the path takes without fragments.
    pub message_bytes: usize,
    /// The most flows that wait.
    pub queue: usize,
    /// Certificates in PEM that the collector's has to come from, in place of this machine's own; TLS only.
    pub ca_file: Option<PathBuf>,
}

impl Collector {
    /// How often templates are sent again: half of what collectors keep them for at least (RFC 7011 section 10.3.6).
    pub const TEMPLATES: Duration = Duration::from_secs(60);
    /// Fits into a frame of 1,500 bytes behind any headers and a tunnel or two.
    pub const MESSAGE_BYTES: usize = 1400;
    /// Holds all templates in one message.
    pub const LEAST_MESSAGE_BYTES: usize = 576;
    /// Flows that may wait: about 12 MiB.
    pub const QUEUE: usize = 65_536;

    /// One with everything as usual.
    pub fn new(to: Target) -> Self {
        Self {
            to,
            biflow: false,
            domain: 1,
            templates: Self::TEMPLATES,
            message_bytes: Self::MESSAGE_BYTES,
            queue: Self::QUEUE,
            ca_file: None,
        }
    }
}

/// What messages travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: nobody knows what is lost but the collector, by the sequence numbers.
    Udp,
    /// A stream.
    Tcp,
    /// A stream that is encrypted, to a collector with a certificate.
    Tls,
}

impl Transport {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    const fn scheme(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// RFC 7011 section 10.
    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 4739,
            Self::Tls => 4740,
        }
    }
}

/// The address of a collector: `udp://host:4739`, `tcp://[2001:db8::1]`, `tls://host`. Without a scheme it is UDP,
/// without a port the protocol's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// A name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Not the address of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Another scheme.
    #[error("another transport than udp, tcp and tls")]
    Transport,
    /// No host, or what no host is.
    #[error("no host")]
    Host,
    /// No port.
    #[error("no port from 1 to 65535")]
    Port,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (transport, rest) = match text.split_once("://") {
            None => (Transport::Udp, text),
            Some((scheme, rest)) => {
                let known = Transport::ALL.into_iter().find(|transport| transport.scheme() == scheme);
                (known.ok_or(TargetError::Transport)?, rest)
            }
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(TargetError::Port)?)),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
        if host.is_empty() || host.len() > 253 || !host.chars().all(is_host) {
            return Err(TargetError::Host);
        }
        let number = |text: &str| text.parse().ok().filter(|port| *port > 0).ok_or(TargetError::Port);
        let port = port.map_or(Ok(transport.port()), number)?;
        Ok(Self { transport, host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, host, port } = self;
        let scheme = transport.scheme();
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}
