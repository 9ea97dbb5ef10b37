//! WebSocket clients, good and bad.

use crate::api::quiet;
use crate::client::{Server, sources};
use netmon::http::{Health, MAX_CLIENTS};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A client that sees every frame (RFC 6455).
pub struct Socket(TcpStream);

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Socket {
    /// Asks; the status and the socket behind it.
    pub async fn ask(server: &Server, query: &str, headers: &str) -> (u16, Self) {
        let mut stream = server.connect().await;
        let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let head = format!("GET /api/v1/stream{query} HTTP/1.1\r\n{host}{UPGRADE}{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, Self(stream))
    }

    pub async fn open(server: &Server, query: &str) -> Self {
        let (status, socket) = Self::ask(server, query, "").await;
        assert_eq!(status, 101);
        socket
    }

    /// The next frame: its opcode and payload; `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => usize::from(self.0.read_u16().await.ok()?),
            127 => usize::try_from(self.0.read_u64().await.ok()?).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((first & 0xf, payload))
    }

    /// The next text message.
    pub async fn message(&mut self) -> Value {
        loop {
            match timeout(Duration::from_secs(10), self.frame()).await.expect("a message comes").expect("it is open") {
                (1, text) => return serde_json::from_slice(&text).unwrap(),
                (8, reason) => panic!("closed: {}", String::from_utf8_lossy(&reason)),
                _ => {}
            }
        }
    }

    /// Sends a masked frame; the mask is zero.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        // One that was cut off meanwhile finds out when it reads.
        let _ = self.0.write_all(&frame).await;
    }

    /// The close code and reason, after whatever comes before.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match timeout(Duration::from_secs(15), self.frame()).await.expect("it ends") {
                Some((8, reason)) => {
                    let code = u16::from_be_bytes([reason[0], reason[1]]);
                    return Some((code, String::from_utf8(reason[2..].to_vec()).unwrap()));
                }
                Some(_) => {}
                None => return None,
            }
        }
    }
}

#[tokio::test]
async fn messages_come_at_the_interval_with_the_topics_asked_for() {
    let server = Server::start(quiet()).await;
    let mut stream = Socket::open(&server, "?interval=200ms&topics=interfaces,capture,alerts,flows").await;
    let hello = stream.message().await;
    assert_eq!(hello["interfaces"], json!(["eth0", "eth1"]));
    assert_eq!((&hello["interval_seconds"], &hello["version"]), (&json!(0.2), &json!("0.1.0")));
    for sequence in 1..=3 {
        let data = stream.message().await;
        assert_eq!((&data["type"], &data["sequence"], &data["dropped"]), (&json!("data"), &json!(sequence), &json!(0)));
        assert_eq!(data["interfaces"], server.get("/api/v1/interfaces").await.json()["interfaces"]);
        assert_eq!((&data["alerts"], &data["flows"]), (&Value::Null, &Value::Null), "not in use");
        assert_eq!((data.get("talkers"), data.get("seconds")), (None, None), "not asked for");
        assert_eq!(data["capture"][1]["interface"], "eth1");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_interface_can_be_asked_for_alone() {
    let server = Server::start(quiet()).await;
    let mut stream = Socket::open(&server, "?interface=eth1").await;
    stream.message().await;
    let interfaces = stream.message().await["interfaces"].clone();
    assert_eq!((interfaces.as_array().unwrap().len(), &interfaces[0]["interface"]), (1, &json!("eth1")));
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_no_stream() {
    let server = Server::start(quiet()).await;
    let port = server.address.port();
    let host = format!("Host: localhost:{port}\r\n");
    for origin in ["http://evil.example", "null", "http://192.0.2.1", "http://localhost:1", "http://127.0.0.1:1"] {
        assert_eq!(Socket::ask(&server, "", &format!("{host}Origin: {origin}\r\n")).await.0, 403, "{origin}");
    }
    assert_eq!(Socket::ask(&server, "", &format!("{host}Origin: http://localhost:{port}\r\n")).await.0, 101);
    assert_eq!(Socket::ask(&server, "", "Host: evil.example\r\n").await.0, 421);
    server.stop().await;
}

#[tokio::test]
async fn there_is_a_cap_and_a_client_that_leaves_makes_room() {
    let server = Server::start(quiet()).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_CLIENTS {
        streams.push(Socket::open(&server, "").await);
    }
    assert_eq!(server.requests.streams()[0], MAX_CLIENTS as u64);
    assert_eq!(Socket::ask(&server, "", "").await.0, 503);
    drop(streams.pop());
    let mut tries = 0;
    while Socket::ask(&server, "", "").await.0 != 101 {
        tries += 1;
        assert!(tries < 500, "nobody made room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(streams);
    server.stop().await;
}

#[tokio::test]
async fn who_talks_too_much_is_told_why_it_ends() {
    let server = Server::start(quiet()).await;
    let mut talks = Socket::open(&server, "").await;
    talks.send(1, b"{}").await;
    assert_eq!(talks.closed().await, Some((1003, "this stream takes no messages".into())));
    let mut large = Socket::open(&server, "").await;
    large.send(2, &[0; 100_000]).await;
    drop(large.closed().await);
    let mut pings = Socket::open(&server, "").await;
    for _ in 0..200 {
        pings.send(9, b"").await;
    }
    assert_eq!(pings.closed().await, Some((1008, "too many frames in a second".into())));
    assert_eq!(server.get("/healthz").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_ping_is_answered_and_stopping_is_said() {
    let server = Server::start(quiet()).await;
    let mut stream = Socket::open(&server, "?interval=60s").await;
    stream.message().await;
    stream.message().await;
    stream.send(9, b"?").await;
    assert_eq!(timeout(Duration::from_secs(10), stream.frame()).await.unwrap(), Some((10, b"?".to_vec())));
    let stop = tokio::spawn(server.stop());
    assert_eq!(stream.closed().await, Some((1001, "netmon stops".into())));
    stop.await.unwrap();
}

#[tokio::test]
async fn clients_that_stop_reading_are_cut_off_and_the_others_miss_nothing() {
    // Enough that the socket's buffers are full soon.
    let sources = sources(many(64), Health::new());
    let server = Server::local(sources).await;
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(Socket::open(&server, "?interval=500ms").await);
    }
    let mut healthy = Socket::open(&server, "?interval=1s").await;
    healthy.message().await;
    let mut last = 0;
    while server.requests.streams()[0] > 1 {
        let data = healthy.message().await;
        assert_eq!((&data["dropped"], data["sequence"].as_u64()), (&json!(0), Some(last + 1)));
        last += 1;
        assert!(last < 60, "nobody was cut off in a minute");
    }
    assert!(server.requests.streams()[1] > 0, "they missed something, which was counted");
    drop((stuck, healthy));
    server.stop().await;
}

/// So many interfaces.
fn many(count: u16) -> std::sync::Arc<netmon::stats::Snapshot> {
    let config = netmon::stats::Config { max_interfaces: 256, ..Default::default() };
    let mut aggregator = netmon::stats::StatsAggregator::new(config);
    (0..count).for_each(|n| aggregator.add_interface(netmon::packet::InterfaceId(n), &format!("veth{n}")));
    aggregator.advance(netmon::time::Tick(17_000_000_000));
    aggregator.snapshot()
}
