//! One client of the stream.

use super::{MAX_FRAMES, MAX_MESSAGE_BYTES, PING, SILENT, STOPPED, Wishes, message};
use crate::http::routes::Shared;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a client may take to hear why it ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a stream ends, as the close frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client left.
    Left,
    Stopping,
    Stuck,
    Silent,
    Talks,
    TooManyFrames,
}

impl End {
    /// Close code (RFC 6455 section 7.4.1) and reason.
    fn frame(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Left => None,
            Self::Stopping => Some((1001, "netmon stops")),
            Self::Stuck => Some((1008, "messages were not taken for 10 s")),
            Self::Silent => Some((1008, "pings were not answered for 60 s")),
            Self::Talks => Some((1003, "this stream takes no messages")),
            Self::TooManyFrames => Some((1008, "too many frames in a second")),
        }
    }
}

/// Until netmon stops. The value that is waited for is not kept across awaits.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender lives as long as the server.
    drop(stop.wait_for(|stop| *stop).await);
}

pub(super) struct Client {
    shared: Arc<Shared>,
    wishes: Wishes,
    sequence: u64,
    /// Messages that were left out since the last one that was sent.
    dropped: u64,
    /// The last second that was sent.
    second: u64,
    heard: Instant,
    /// Frames in the second that began then.
    frames: (Instant, u32),
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, wishes: Wishes) -> Self {
        let now = Instant::now();
        Self { shared, wishes, sequence: 0, dropped: 0, second: 0, heard: now, frames: (now, 0) }
    }

    /// Sends until somebody has enough.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let end = self.serve(&mut socket).await;
        if let Some((code, reason)) = end.frame() {
            if end != End::Stopping {
                tracing::info!(reason, "a stream was cut off");
            }
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            let heard = async {
                let _ = socket.send(close).await;
                // What was sent and not read would reset the connection, and the reason would be lost.
                while let Some(Ok(_)) = socket.recv().await {}
            };
            // One that does not read may not hear it.
            let _ = timeout(FAREWELL, heard).await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        let mut stop = self.shared.streams.stop.subscribe();
        let (second, hello) = message::hello(&self.shared, &self.wishes);
        self.second = second;
        if let Err(end) = self.send(socket, hello).await {
            return end;
        }
        // The first data at once, the next ones on the grid that all clients share.
        let mut due = Instant::now();
        let mut ping = due + PING;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return End::Stopping,
                frame = socket.recv() => match frame {
                    Some(Ok(frame)) => if let Err(end) = self.hear(&frame) { return end },
                    Some(Err(_)) | None => return End::Left,
                },
                () = sleep_until(due) => {
                    let told = self.tell(socket).await;
                    due = self.next(due);
                    if let Err(end) = told {
                        return end;
                    }
                }
                () = sleep_until(ping) => {
                    ping = Instant::now() + PING;
                    if self.heard.elapsed() >= SILENT {
                        return End::Silent;
                    }
                    match timeout(STOPPED, socket.send(Message::Ping(Bytes::new()))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return End::Left,
                        Err(_) => return End::Stuck,
                    }
                }
            }
        }
    }

    /// Sends what is newest.
    async fn tell(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        self.sequence += 1;
        let (second, text) = message::data(&self.shared, &self.wishes, self.sequence, self.dropped, self.second).await;
        if text.len() > MAX_MESSAGE_BYTES {
            self.drop_messages(1);
            return Ok(());
        }
        (self.dropped, self.second) = (0, second);
        self.send(socket, text).await
    }

    async fn send(&self, socket: &mut WebSocket, text: String) -> Result<(), End> {
        match timeout(STOPPED, socket.send(Message::Text(text.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::Stuck),
        }
    }

    /// When the next message is due; those whose time went by while this one was sent are dropped. The first one is not on
    /// the grid: what was due a moment after it came with it.
    fn next(&mut self, due: Instant) -> Instant {
        let (began, interval) = (self.shared.streams.began, self.wishes.interval);
        let intervals = |since: Instant| since.elapsed().as_nanos() / interval.as_nanos();
        self.drop_messages(u64::try_from(intervals(due)).unwrap_or(u64::MAX));
        let next = u32::try_from(intervals(began) + 1).unwrap_or(u32::MAX);
        began + interval * next
    }

    fn drop_messages(&mut self, count: u64) {
        self.dropped += count;
        self.shared.streams.dropped.fetch_add(count, Relaxed);
    }

    fn hear(&mut self, frame: &Message) -> Result<(), End> {
        self.heard = Instant::now();
        if self.frames.0.elapsed() >= Duration::from_secs(1) {
            self.frames = (self.heard, 0);
        }
        self.frames.1 += 1;
        match frame {
            _ if self.frames.1 > MAX_FRAMES => Err(End::TooManyFrames),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Left),
            Message::Text(_) | Message::Binary(_) => Err(End::Talks),
        }
    }
}
