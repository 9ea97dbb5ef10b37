//! A receiver that behaves as it is told to and keeps a ledger of what it read.

use super::engine::wall_clock;
use super::fate::{Fate, answer};
use netmon::notify::Notification;
use netmon::time::Timestamp;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One request that was read to its end.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Instant,
    pub wall: Timestamp,
    pub key: String,
    pub notification: Notification,
    pub fate: Fate,
}

/// A receiver; its threads end with the test.
pub struct Receiver {
    pub address: SocketAddr,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Receiver {
    /// Decides by the number of the request.
    pub fn start(fate: impl Fn(u64) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let entries: Arc<Mutex<Vec<Entry>>> = Arc::default();
        let (kept, numbers, fate) = (Arc::clone(&entries), AtomicU64::new(0), Arc::new(fate));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, fate) = (Arc::clone(&kept), Arc::clone(&fate));
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                // A sender that was killed in the middle of a request is nobody's failure.
                std::thread::spawn(move || drop(serve(&stream, &kept, || fate(number))));
            }
        });
        Self { address, entries }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "the ledger says when")]
fn serve(stream: &TcpStream, entries: &Mutex<Vec<Entry>>, fate: impl Fn() -> Fate) -> std::io::Result<()> {
    let (mut reader, mut key, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim().split_once(": ") {
            Some(("Idempotency-Key", value)) => key = value.to_owned(),
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (notification, fate) = (serde_json::from_slice(&body).unwrap(), fate());
    entries.lock().unwrap().push(Entry { at: Instant::now(), wall: wall_clock(), key, notification, fate });
    answer(stream, fate)
}
