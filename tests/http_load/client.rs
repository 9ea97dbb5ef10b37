//! Clients in the generator's namespace, from several of its addresses.

use crate::rig::{Namespace, START, Wire};
use crate::times::Times;
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Where netmon listens on the wire.
pub const SERVER: &str = "192.0.2.2:9099";
/// Where good clients come from.
pub const GOOD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where others come from; see [`add_addresses`].
pub const ADDRESSES: [Ipv4Addr; 8] = {
    let mut addresses = [GOOD; 8];
    let mut n = 0;
    while n < 8 {
        addresses[n as usize] = Ipv4Addr::new(192, 0, 2, 11 + n);
        n += 1;
    }
    addresses
};

/// Gives the generator's end all [`ADDRESSES`].
pub fn add_addresses(wire: &Wire) {
    for address in ADDRESSES {
        wire.generator.must("ip", &["address", "add", &format!("{address}/24"), "dev", "g0"]);
    }
}

/// Thousands of connections are as many descriptors of the test.
pub fn allow_many_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000), hard).expect("up to the hard limit anybody may");
}

/// Runs clients on a thread of their own in a namespace.
pub fn inside<F: Future>(namespace: &Namespace, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<F::Output>
where
    F::Output: Send + 'static,
{
    let namespace = File::open(format!("/run/netns/{}", namespace.name())).expect("it has a name");
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may change into it");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work())
    })
}

/// A connection from an address, with a receive buffer of its own size if that is given.
pub async fn connect(from: Ipv4Addr, buffer: Option<u32>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(SERVER.parse().expect("it is an address")).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends a request, `GET /path HTTP/1.1` and headers if it has any beside `Host`, and reads the answer.
pub async fn ask(stream: &mut TcpStream, line: &str, headers: &str) -> Result<Answer> {
    stream.write_all(format!("{line}\r\nHost: {SERVER}\r\n{headers}\r\n").as_bytes()).await?;
    let (mut read, end) = (Vec::with_capacity(16 << 10), b"\r\n\r\n");
    let length = loop {
        if let Some(place) = read.windows(4).position(|part| part == end) {
            break place + 4;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
    };
    let mut body = read.split_off(length);
    let head = String::from_utf8(read).map_err(Error::other)?.to_ascii_lowercase();
    let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let of_body = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let expected = if line.starts_with("HEAD") || status == 101 { Some(0) } else { of_body };
    while expected.is_none_or(|expected| body.len() < expected) {
        if stream.read_buf(&mut body).await? == 0 {
            match expected {
                Some(_) => return Err(Error::from(ErrorKind::UnexpectedEof)),
                None => break,
            }
        }
    }
    Ok(Answer { status, body })
}

/// What a scraper saw.
#[derive(Default)]
pub struct Scrapes {
    /// Of those that were answered with 200.
    pub times: Times,
    /// What became of the others.
    pub failures: Vec<String>,
}

/// Scrapes over a new connection at each interval, as a scraper does after any failure: the harder way in. Several paths
/// take turns.
pub async fn scrape_each(interval: Duration, paths: &[&str], headers: &str, is_over: impl Fn() -> bool) -> Scrapes {
    let mut scrapes = Scrapes::default();
    let mut turn = tokio::time::interval(interval);
    for path in paths.iter().cycle() {
        turn.tick().await;
        if is_over() {
            break;
        }
        let begun = Instant::now();
        let scraped = timeout(START, async {
            let mut stream = connect(GOOD, None).await?;
            ask(&mut stream, &format!("GET {path} HTTP/1.1"), headers).await
        });
        match scraped.await {
            Ok(Ok(Answer { status: 200, .. })) => scrapes.times.add(begun.elapsed()),
            Ok(Ok(answer)) => scrapes.failures.push(answer.status.to_string()),
            Ok(Err(error)) => scrapes.failures.push(error.to_string()),
            Err(_) => scrapes.failures.push("too slow".into()),
        }
    }
    scrapes
}

/// Over from this moment on.
pub fn after(moment: Instant) -> impl Fn() -> bool {
    move || Instant::now() >= moment
}

/// Reads until the server ends the connection.
pub async fn end_of(stream: &mut (impl AsyncRead + Unpin)) {
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
}

/// How long that took.
pub async fn wait_for_the_end(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    end_of(stream).await;
    begun.elapsed()
}

/// Waits between two tries.
pub async fn pause(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
