//! `GET /api/v1/stream`: what happens, as it happens, over a WebSocket.
//!
//! A `hello` first, then a `data` message at every interval. Messages are made when they can be sent, of what is newest
//! then: a client that is slow skips messages and is told how many (`dropped`), one that stops reading is cut off. All
//! clients go by one clock and share what is rendered.
//!
//! | bound | value | at the bound |
//! |---|---|---|
//! | clients | [`MAX_CLIENTS`], of one address but loopback [`MAX_CLIENTS_PER_ADDRESS`] | 503 |
//! | memory of a client | one message of at most [`MAX_MESSAGE_BYTES`], and the socket's buffer | message dropped |
//! | time to take a message | [`STOPPED`] | cut off |
//! | silence, pings unanswered | [`SILENT`] | cut off |
//! | frames from a client | small ones, [`MAX_FRAMES`] a second, no messages | cut off |

mod client;
mod message;
mod seconds;

pub use seconds::{KEPT_SECONDS, Seconds};

use super::api::Parameters;
use super::connections::Place;
use super::guard::Arrival;
use super::problem::Problem;
use super::routes::Shared;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::header::{HeaderValue, RETRY_AFTER, UPGRADE};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use client::Client;
use message::Rendered;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The most clients at a time.
pub const MAX_CLIENTS: usize = 64;
/// The most clients of one remote address. Loopback has no such cap.
pub const MAX_CLIENTS_PER_ADDRESS: usize = 16;
/// The largest message.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// How long a client may take to take a message.
const STOPPED: Duration = Duration::from_secs(10);
/// How often a client is pinged, and how long it may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENT: Duration = Duration::from_secs(60);
/// Frames a second from a client.
const MAX_FRAMES: u32 = 20;
/// The largest frame from a client.
const MAX_FRAME_BYTES: usize = 4 << 10;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// Every interface, as `/api/v1/interfaces` has it.
    Interfaces,
    /// One-second values since the message before.
    Seconds,
    /// How well each interface is seen.
    Capture,
    /// The top talkers of each kind.
    Talkers,
    /// The largest flows in the table.
    Flows,
    /// Alerts, as `/api/v1/alerts` has them.
    Alerts,
}

impl Topic {
    const ALL: [(&'static str, Self); 6] = [
        ("interfaces", Self::Interfaces),
        ("seconds", Self::Seconds),
        ("capture", Self::Capture),
        ("talkers", Self::Talkers),
        ("flows", Self::Flows),
        ("alerts", Self::Alerts),
    ];
    const DEFAULT: &'static str = "interfaces,seconds,talkers,alerts";

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, topic)| *topic == self).map_or("", |(name, _)| name)
    }
}

/// What a client asked for.
#[derive(Clone, Debug)]
struct Wishes {
    interval: Duration,
    topics: Vec<Topic>,
    /// This interface alone.
    interface: Option<String>,
    /// Seconds of the past in the `hello`.
    past: usize,
}

/// All streams.
#[derive(Debug)]
pub(super) struct Streams {
    began: Instant,
    /// By address.
    clients: Mutex<HashMap<Option<IpAddr>, usize>>,
    dropped: Arc<AtomicU64>,
    connected: Arc<AtomicU64>,
    rendered: Mutex<Option<Arc<Rendered>>>,
    flows: tokio::sync::Mutex<Option<(Instant, Arc<str>)>>,
    stop: watch::Sender<bool>,
}

/// One client's place; given back when dropped.
#[derive(Debug)]
struct Seat {
    shared: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Streams {
    /// None yet; counts go to these.
    pub(super) fn new(connected: Arc<AtomicU64>, dropped: Arc<AtomicU64>) -> Self {
        let (stop, _) = watch::channel(false);
        Self {
            began: Instant::now(),
            clients: Mutex::default(),
            dropped,
            connected,
            rendered: Mutex::default(),
            flows: tokio::sync::Mutex::default(),
            stop,
        }
    }

    /// Tells all clients that it is over.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Clients that are connected.
    pub(super) fn clients(&self) -> u64 {
        self.connected.load(Relaxed)
    }

    fn seat(shared: &Arc<Shared>, address: Option<IpAddr>) -> Option<Seat> {
        let streams = &shared.streams;
        let address = address.filter(|address| !address.to_canonical().is_loopback());
        let mut clients = streams.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let own = clients.get(&address).copied().unwrap_or(0);
        let is_full = clients.values().sum::<usize>() >= MAX_CLIENTS;
        if is_full || (address.is_some() && own >= MAX_CLIENTS_PER_ADDRESS) {
            return None;
        }
        clients.insert(address, own + 1);
        streams.connected.fetch_add(1, Relaxed);
        Some(Seat { shared: Arc::clone(shared), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let streams = &self.shared.streams;
        let mut clients = streams.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
        streams.connected.fetch_sub(1, Relaxed);
    }
}

#[utoipa::path(get, path = "/api/v1/stream", operation_id = "stream", tag = "traffic",
    summary = "All of it as it changes, over a WebSocket",
    description = "One JSON text message at each interval: a `hello`, then `data`. The client sends nothing but pongs.",
    params(
        ("interval" = Option<String>, Query, description = "`200ms` to `60s` (default `1s`)"),
        ("topics" = Option<String>, Query, description = "of `interfaces`, `seconds`, `capture`, `talkers`, `flows`, `alerts`, with commas between"),
        ("interface" = Option<String>, Query, description = "this interface alone"),
        ("past" = Option<u16>, Query, description = "seconds of the past in the `hello` (default 600)", minimum = 0, maximum = 600),
    ),
    responses((status = 101, description = "messages follow"),
        (status = 426, body = super::api::ProblemDocument, description = "the request asks for no WebSocket")))]
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(arrival): Extension<Arrival>,
    Extension(place): Extension<Arc<Place>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let wishes = Wishes::read(&uri)?;
    let upgrade = upgrade.map_err(|_| {
        let detail = "this is a WebSocket: ask with `Upgrade: websocket` (RFC 6455, version 13)";
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, detail);
        problem.header(UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let Some(seat) = Streams::seat(&shared, arrival.peer) else {
        let detail = format!("there are {MAX_CLIENTS} streams, or {MAX_CLIENTS_PER_ADDRESS} of your address already");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return Err(problem.header(RETRY_AFTER, HeaderValue::from_static("10")));
    };
    let upgrade = upgrade
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE_BYTES + MAX_FRAME_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        // Counts as a connection that is being answered as long as it lives.
        place.busy();
        let client = Client::new(Arc::clone(&seat.shared), wishes);
        tokio::select! {
            () = client.run(socket) => {}
            // It was told to give way before it counted as that.
            () = place.dismissed() => {}
        }
        drop((seat, place));
    }))
}

impl Wishes {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let given = Parameters::read(uri, &["interval", "topics", "interface", "past"])?;
        let interval = given.parsed("interval", "`200ms` to `60s`", interval)?;
        let names = given.text("topics").unwrap_or(Topic::DEFAULT);
        let allowed = Topic::ALL.map(|(name, _)| name).join(", ");
        let mut topics = Vec::new();
        for name in names.split(',') {
            let known = Topic::ALL.iter().find(|(known, _)| *known == name);
            let (_, topic) = known.ok_or_else(|| Problem::invalid("topics", name, &allowed))?;
            if !topics.contains(topic) {
                topics.push(*topic);
            }
        }
        Ok(Self {
            interval: interval.unwrap_or(Duration::from_secs(1)),
            topics,
            interface: given.text("interface").map(str::to_owned),
            past: given.number("past", 0, KEPT_SECONDS, KEPT_SECONDS)?,
        })
    }

    fn has(&self, topic: Topic) -> bool {
        self.topics.contains(&topic)
    }
}

fn interval(text: &str) -> Option<Duration> {
    let interval = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => Duration::from_millis(super::api::digits(number)?),
        (None, Some(number)) => Duration::from_secs(super::api::digits(number)?),
        (None, None) => return None,
    };
    (Duration::from_millis(200)..=Duration::from_secs(60)).contains(&interval).then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_bounded() {
        assert_eq!(interval("1s"), Some(Duration::from_secs(1)));
        assert_eq!(interval("250ms"), Some(Duration::from_millis(250)));
        for bad in ["0s", "100ms", "61s", "1", "s", "-1s", "1m", "99999999999999999999s"] {
            assert_eq!(interval(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_topics_are_refused() {
        let read = |query: &str| Wishes::read(&format!("/api/v1/stream{query}").parse().unwrap());
        assert_eq!(read("").unwrap().topics.len(), 4);
        assert_eq!(read("?topics=flows,flows").unwrap().topics, [Topic::Flows]);
        assert!(read("?topics=flows,floes").is_err() && read("?topics=").is_err());
    }
}
