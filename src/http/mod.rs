//! The HTTP server: `/metrics`, health, the API with its stream, and the live page.
//!
//! Ports are bound first ([`bind`]) and served later ([`serve`]), so that privileges can be dropped between. What the
//! routes answer from is handed in as [`Sources`]; this room imports no other edge. Whoever connects can cost a
//! connection and some time, both bounded here, and never reaches back into the pipeline:
//!
//! | bound | value | at the bound |
//! |---|---|---|
//! | connections | [`MAX_CONNECTIONS`] | the one waiting longest gives way, else 503 |
//! | connections that are told there is no place for them | [`MAX_REFUSALS`] | closed without a word |
//! | connections of one address, loopback aside | [`MAX_CONNECTIONS_PER_ADDRESS`] | the same among its own |
//! | time to send a request head, or to wait for the next one | [`HEAD_DEADLINE`] | closed |
//! | time to answer | [`ANSWER_DEADLINE`] | 503 |
//! | time to take an answer | [`WRITE_DEADLINE`] | closed |
//! | request head | [`MAX_HEAD_BYTES`] | 431 |
//! | request body | [`MAX_BODY_BYTES`] | 413 |
//! | streams | [`MAX_CLIENTS`], each [`MAX_MESSAGE_BYTES`] | 503; messages dropped, then cut off |
//! | wrong passwords and tokens | a few for each address | 429 |
//! | flow queries | one at a time | 503 |
//! | questions to the history | a few at a time, by who answers them | 503 |
//! | renderings of `/metrics` | one for each form in [`PAGE_LIFETIME`] | scrapers share it |

mod access;
mod api;
mod connections;
mod deadline;
mod guard;
mod health;
mod hosts;
mod listen;
mod negotiate;
mod page;
mod problem;
mod requests;
mod rooms;
mod routes;
mod serve;
mod status;
mod stream;
mod web;

pub use access::{Access, AccessError, Control, Known, MAX_TOKEN, MIN_TOKEN, WebConfigError};
pub use api::{ANYWHERE, openapi};
pub use health::{Health, Heartbeat, Readiness, Watch};
pub use hosts::Hosts;
pub use listen::{BindError, Listener, bind};
pub use negotiate::TextForm;
pub use requests::{HANDLERS, Requests, TIMED};
pub use rooms::{Command, HistoryKind, HistoryQuery, Hook, Refusal, Rooms, ShownAlert, Silence, SilenceCommand};
pub use routes::ROUTES;
pub use serve::{MAX_REFUSALS, serve};
pub use status::{LayerStatus, PrivilegeStatus, ProcessStatus};
pub use stream::{KEPT_SECONDS, MAX_CLIENTS, MAX_CLIENTS_PER_ADDRESS, MAX_MESSAGE_BYTES, Seconds};

use crate::stats::Snapshot;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The most connections at a time, over all listeners.
pub const MAX_CONNECTIONS: usize = 512;
/// The most connections of one remote address. Loopback has no such cap: everything local shares it.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 64;
/// How long a client may take to send a request head, or stay silent between two requests.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer may take to be made.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client may take to receive an answer once its socket is full.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// How long open requests may take to end after the server was told to stop.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(3);
/// The largest request head.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// The largest request body.
pub const MAX_BODY_BYTES: u64 = 64 << 10;
/// How long a rendered page serves further scrapers.
pub const PAGE_LIFETIME: Duration = Duration::from_millis(100);

/// Where netmon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// As in the configuration: `127.0.0.1:8080`, `unix:/run/netmon/netmon.sock`.
impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Listeners, all serving the same.
    pub bind: Vec<Bind>,
    /// Names under which it may be asked, beside `localhost` and the address a connection came in on.
    pub hosts: Vec<String>,
    /// Whether the API may change anything.
    pub control: Control,
    /// Where the token is; who has it may change things on every listener.
    pub token_file: Option<PathBuf>,
    /// TLS and users, in the form of Prometheus exporters.
    pub web_config_file: Option<PathBuf>,
}

impl Config {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.token_file.iter().chain(&self.web_config_file)
    }
}

impl Bind {
    /// Whether only this machine reaches it.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: vec![Bind::Tcp(([127, 0, 0, 1], 8080).into())],
            hosts: Vec::new(),
            control: Control::default(),
            token_file: None,
            web_config_file: None,
        }
    }
}

/// What the routes answer from. The functions are called on the server's threads and must not wait.
pub struct Sources {
    /// The current snapshot.
    pub snapshot: Box<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    /// Renders `/metrics`.
    pub metrics: Box<dyn Fn(TextForm) -> String + Send + Sync>,
    /// Facts about the process, for the status.
    pub process: Box<dyn Fn() -> ProcessStatus + Send + Sync>,
    /// Liveness and readiness.
    pub health: Health,
    /// Counts the answers.
    pub requests: Requests,
    /// Names under which it may be asked.
    pub hosts: Hosts,
    /// Who may do what.
    pub access: Access,
    /// The last minutes of every interface.
    pub seconds: Seconds,
    /// What other rooms answer.
    pub rooms: Rooms,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("health", &self.health).finish_non_exhaustive()
    }
}
