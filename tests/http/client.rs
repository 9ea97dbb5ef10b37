//! A small HTTP/1.1 client that sees every byte.

use netmon::http::{
    Access, Bind, Config, Health, Hosts, LayerStatus, PrivilegeStatus, ProcessStatus, Requests, Rooms, Seconds,
    Sources, TextForm, bind, serve,
};
use netmon::stats::Snapshot;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on a free port of 127.0.0.1.
pub struct Server {
    pub address: SocketAddr,
    pub health: Health,
    pub requests: Requests,
    pub hosts: Hosts,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Answers of the server's sources: the name of the form, and the given snapshot.
pub fn sources(snapshot: Arc<Snapshot>, health: Health) -> Sources {
    let privileges = Some(PrivilegeStatus {
        capability: true,
        user: Some("netmon".into()),
        layers: vec![LayerStatus { layer: "landlock", state: "missing", reason: Some("not in this kernel".into()) }],
        ..PrivilegeStatus::default()
    });
    let uptime = Duration::from_millis(1500);
    let process = ProcessStatus { version: "0.1.0", uptime, privileges, ..ProcessStatus::default() };
    Sources {
        snapshot: Box::new(move || Arc::clone(&snapshot)),
        metrics: Box::new(|form: TextForm| format!("# {form:?}\n")),
        process: Box::new(move || process.clone()),
        health,
        requests: Requests::default(),
        hosts: Hosts::default(),
        access: Access::default(),
        seconds: Seconds::default(),
        rooms: Rooms::default(),
    }
}

impl Server {
    pub async fn start(snapshot: Arc<Snapshot>) -> Self {
        Self::listening(snapshot, Bind::Tcp(([127, 0, 0, 1], 0).into())).await
    }

    /// With these sources on one TCP address.
    pub async fn with(sources: Sources, on: Bind) -> Self {
        let config = Config { bind: vec![on], ..Config::default() };
        let listeners = bind(&config).unwrap();
        let Bind::Tcp(address) = *listeners[0].bind() else { panic!("a TCP listener") };
        let (health, requests, hosts) = (sources.health.clone(), sources.requests.clone(), sources.hosts.clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(listeners, sources, stopped).await
        });
        Self { address, health, requests, hosts, stop, task }
    }

    /// Listens on one TCP address.
    pub async fn listening(snapshot: Arc<Snapshot>, on: Bind) -> Self {
        Self::with(sources(snapshot, Health::new()), on).await
    }

    /// With these sources on a free port of 127.0.0.1.
    pub async fn local(sources: Sources) -> Self {
        Self::with(sources, Bind::Tcp(([127, 0, 0, 1], 0).into())).await
    }

    /// A request with a body.
    pub async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host = if headers.to_ascii_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
        raw(&mut self.connect().await, &(head + body)).await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.address.port())).await.unwrap()
    }

    /// One request on its own connection.
    pub async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = self.connect().await;
        request(&mut stream, method, path, headers).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// Sends a request with `Host: localhost` (unless `headers` has one) and reads until the end.
pub async fn request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    method: &str,
    path: &str,
    headers: &str,
) -> Answer {
    let host = if headers.to_ascii_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
    raw(stream, &format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n")).await
}

/// Sends these bytes and reads until the end.
pub async fn raw(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &str) -> Answer {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer::parse(&answer)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line behind the head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let pairs = rest.lines().map(|line| line.split_once(": ").expect("a header has a name"));
        let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn gunzipped(&self) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap();
        text
    }
}
