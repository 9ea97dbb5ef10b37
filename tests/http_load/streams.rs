//! WebSocket clients that read, that stop reading, and that misbehave.

use crate::client::{ADDRESSES, GOOD, SERVER, add_addresses, connect, inside, wait_for_the_end};
use crate::rig::ledger::Ledger;
use crate::rig::sender::Sender;
use crate::rig::{START, Wire, can_run};
use crate::server::{netmon, resident};
use crate::support::running::{poll, wait_until};
use crate::{TOOLS, figure, short_or_soak};
use netmon::http::{MAX_CLIENTS, MAX_CLIENTS_PER_ADDRESS};
use serde_json::Value;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const STUCK: usize = 50;
const READING: usize = 14;
/// Those that misbehave and hear why; whoever sends too large a frame broke the protocol.
const TALKING: usize = 2;
/// Until the buffers of a socket are full of messages, and ten seconds more.
const CUT: Duration = Duration::from_secs(45);
const GROWTH: u64 = 64 << 20;

/// Everything, as often as it can be had.
const ALL: &str = "/api/v1/stream?interval=200ms&topics=interfaces,seconds,capture,talkers,flows,alerts";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn clients_that_stop_reading_are_cut_off_and_the_others_miss_nothing() {
    if !can_run(TOOLS) {
        return;
    }
    let (settle, rate) = short_or_soak((0, "5000"), (540, "100000"));
    let (wire, directory) = (Wire::new(), tempfile::tempdir().expect("a directory"));
    add_addresses(&wire);
    let log = directory.path().join("log");
    let netmon = netmon(&wire).log(File::create(&log).expect("a log")).start();
    let before = Ledger::now(&wire);
    // Many talkers make large messages.
    let sender = Sender::start(&wire, &["--rate", rate, "--flows", "20000"]);
    let resting = resident(&netmon);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, stuck_stop) = (Arc::clone(&stop), Arc::clone(&stop));
    let readers = inside(&wire.generator, move || readers(stopped));
    let stuck = inside(&wire.generator, move || stuck(stuck_stop));
    let clients = || wire.metrics().sum("netmon_websocket_clients", &[]);
    let streams = wait_until("all streams", START, || Some(clients()).filter(|count| *count == MAX_CLIENTS as f64));
    let (begun, mut most) = (Instant::now(), resting);
    wait_until("those that do not read to be cut off", CUT, || {
        most = most.max(resident(&netmon));
        (clients() == READING as f64).then_some(())
    });
    let cut_after = begun.elapsed();
    let misbehaving = inside(&wire.generator, misbehaving).join().expect("clients do not panic");
    let until = Instant::now() + Duration::from_secs(settle);
    while Instant::now() < until {
        most = most.max(resident(&netmon));
        std::thread::sleep(Duration::from_secs(1));
    }
    stop.store(true, Ordering::Relaxed);
    let read = readers.join().expect("readers do not panic");
    drop(stuck.join());
    sender.stop();
    let ledger = Ledger::settled(&wire, &before);
    let reasons = poll(
        START,
        || reasons(&std::fs::read_to_string(&log).expect("a log")),
        |[written, held_back]| written + held_back >= STUCK + TALKING,
    );
    let grown = most.saturating_sub(resting);
    figure(
        "streams",
        format!("{streams}, {STUCK} stuck ones gone after {cut_after:.1?}, reasons logged and held back {reasons:?}"),
    );
    figure("memory of 64 streams", format!("{:.1} MiB more than at rest", grown as f64 / f64::from(1 << 20)));
    figure("messages read by 14", format!("{read:?}"));
    figure("streams that misbehave ended after", format!("{misbehaving:?}"));
    figure("frames beside streams", format!("{ledger:?}"));
    assert_eq!(reasons.iter().sum::<usize>(), STUCK + TALKING, "each is cut off with a reason: {reasons:?}");
    assert!(grown < GROWTH, "{grown} bytes");
    assert!(read.iter().all(|read| read.messages > 20 && read.missed == 0), "{read:?}");
    assert!(misbehaving.iter().all(|took| *took < Duration::from_secs(5)), "{misbehaving:?}");
    assert_eq!((ledger.missing(), ledger.dropped), (0.0, 0.0), "{ledger:?}");
}

/// Streams that were cut off with a reason: lines of the log, and lines that it says it held back, since it writes ten a
/// second of one cause.
fn reasons(log: &str) -> [usize; 2] {
    let written = log.lines().filter(|line| line.contains("a stream was cut off reason=")).count();
    let of_streams = log.lines().filter(|line| line.contains("http/stream/client.rs"));
    let held_back =
        of_streams.filter_map(|line| line.split_once("suppressed=")?.1.split(' ').next()?.parse::<usize>().ok());
    [written, held_back.sum()]
}

/// What one reader got.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    messages: u64,
    /// By gaps of the sequence, and as netmon said.
    missed: u64,
}

async fn readers(stop: Arc<AtomicBool>) -> Vec<Read> {
    let mut clients = JoinSet::new();
    for _ in 0..READING {
        clients.spawn(reader(Arc::clone(&stop)));
    }
    clients.join_all().await
}

async fn reader(stop: Arc<AtomicBool>) -> Read {
    let mut stream = open(GOOD, None).await.expect("there is room");
    let (mut read, mut last) = (Read::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        let text = message(&mut stream).await.expect("it goes on");
        // Members of our own come first; what follows is not looked at 5 times a second by 14 clients.
        let Some(sequence) = number(&text, "\"sequence\":") else { continue };
        let dropped = number(&text, "\"dropped\":").expect("it is said");
        read.messages += 1;
        read.missed += sequence - last - 1 + dropped;
        last = sequence;
        if read.messages == 1 {
            serde_json::from_str::<Value>(&text).expect("it is JSON");
        }
    }
    read
}

fn number(text: &str, name: &str) -> Option<u64> {
    let head = text.get(..200).unwrap_or(text);
    let (_, rest) = head.split_once(name)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Streams that are opened and never read, from four addresses.
async fn stuck(stop: Arc<AtomicBool>) {
    let mut held = Vec::new();
    for n in 0..STUCK {
        held.push(open(ADDRESSES[n / MAX_CLIENTS_PER_ADDRESS], Some(2048)).await.expect("there is room"));
    }
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One frame of 64 MiB, ten thousand pings a second, one that talks and does not end: until each is cut off.
async fn misbehaving() -> [Duration; 3] {
    let [mut large, mut pinging, mut open_ended] =
        [open(ADDRESSES[7], None).await, open(ADDRESSES[7], None).await, open(ADDRESSES[7], None).await]
            .map(|stream| stream.expect("there is room"));
    let header: Vec<u8> = [0x82, 0xff].into_iter().chain((64_u64 << 20).to_be_bytes()).chain([0; 4]).collect();
    let of_large = Instant::now();
    drop(large.write_all(&header).await);
    let block = vec![0; 64 << 10];
    let large_ended = loop {
        if large.write_all(&block).await.is_err() || of_large.elapsed() > START {
            break of_large.elapsed();
        }
    };
    let of_pings = Instant::now();
    let ten = [0x89_u8, 0x80, 0, 0, 0, 0].repeat(10);
    while pinging.write_all(&ten).await.is_ok() && of_pings.elapsed() < START {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pings_ended = of_pings.elapsed();
    drop(open_ended.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await);
    [large_ended, pings_ended, wait_for_the_end(&mut open_ended).await]
}

async fn open(from: Ipv4Addr, buffer: Option<u32>) -> Result<TcpStream> {
    let mut stream = connect(from, buffer).await?;
    stream.write_all(format!("GET {ALL} HTTP/1.1\r\nHost: {}\r\n{UPGRADE}\r\n", SERVER).as_bytes()).await?;
    // To the byte: frames follow at once.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 101") { Ok(stream) } else { Err(ErrorKind::ConnectionRefused.into()) }
}

/// The next text message.
async fn message(stream: &mut TcpStream) -> Result<String> {
    loop {
        let opcode = stream.read_u8().await? & 0xf;
        let length = match stream.read_u8().await? {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).map_err(Error::other)?];
        stream.read_exact(&mut payload).await?;
        match opcode {
            1 => return String::from_utf8(payload).map_err(Error::other),
            // A pong, with a mask of zeros.
            9 => stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await?,
            8 => return Err(Error::other(String::from_utf8_lossy(&payload).into_owned())),
            _ => {}
        }
    }
}
