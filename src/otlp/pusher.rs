//! When something is sent: one thread for both signals, each with one export at a time.

use super::client::{Client, Failure};
use super::{Config, OpenError, Signal, Status};
use crate::notify::secret::Surroundings;
use crate::telemetry::{SpanBatch, SpanQueue};
use crate::time::Timestamp;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::Instant;

/// Clients for what is pushed, and the interval of metrics.
pub struct Targets {
    metrics: Option<Client>,
    traces: Option<Client>,
    interval: Duration,
}

impl Targets {
    /// Opens what `config` asks for.
    ///
    /// # Errors
    /// Headers or certificates cannot be read or used.
    pub fn open(config: &Config, around: Surroundings<'_>) -> Result<Self, OpenError> {
        Ok(Self {
            metrics: Client::open(config, Signal::Metrics, around)?,
            traces: Client::open(config, Signal::Traces, around)?,
            interval: config.interval,
        })
    }
}

/// The messages of an export of metrics.
pub type Messages = Box<dyn FnMut() -> Vec<Vec<u8>> + Send>;

/// What is needed to push.
pub struct Setup {
    /// Where to.
    pub targets: Targets,
    /// Makes the messages of metrics.
    pub messages: Messages,
    /// Where spans come from; `None` where none are made.
    pub spans: Option<SpanQueue>,
    /// Attributes of the resource that spans are of.
    pub resource: Vec<(String, String)>,
    /// The wall clock.
    pub wall_clock: fn() -> Timestamp,
}

/// The running thread.
#[derive(Debug)]
pub struct Pusher {
    thread: JoinHandle<()>,
    orders: watch::Sender<Order>,
    status: Status,
}

/// What both signals are told.
#[derive(Clone, Debug, Default)]
struct Order {
    /// To be taken by the signal it is for.
    metrics: Handed<(Option<Client>, Duration)>,
    traces: Handed<Option<Client>>,
    stop: bool,
}

/// Something for exactly one taker.
struct Handed<T>(Arc<Mutex<Option<T>>>);

impl<T> Handed<T> {
    fn new(what: T) -> Self {
        Self(Arc::new(Mutex::new(Some(what))))
    }

    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Handed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Handed<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> std::fmt::Debug for Handed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handed")
    }
}

/// How long the end may take, for what is on its way and one last export of each signal.
const LAST_EXPORTS: Duration = Duration::from_secs(2);

impl Pusher {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread or an event queue.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let Setup { targets, messages, spans, resource, wall_clock } = setup;
        let runtime = runtime::Builder::new_current_thread().enable_all().thread_name("otlp-lookup").build()?;
        let status = Status::default();
        let (orders, ordered) = watch::channel(Order::default());
        let sending = |client, signal| Sending { client, signal, status: status.clone(), wall_clock };
        let metrics =
            Metrics { sending: sending(None, Signal::Metrics), interval: targets.interval, messages, failures: 0 };
        let traces = spans.map(|spans| Traces { sending: sending(None, Signal::Traces), spans, resource });
        let pusher = Self { thread: spawn(runtime, ordered, metrics, traces)?, orders, status };
        pusher.adopt(targets);
        Ok(pusher)
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Sends to these from here on.
    pub fn adopt(&self, targets: Targets) {
        let Targets { metrics, traces, interval } = targets;
        let (metrics, traces) = (Handed::new((metrics, interval)), Handed::new(traces));
        self.orders.send_replace(Order { metrics, traces, stop: false });
    }

    /// Lets it send once more what there is, and end within two seconds. Join the thread.
    pub fn begin_stop(self) -> JoinHandle<()> {
        self.orders.send_modify(|order| order.stop = true);
        self.thread
    }
}

fn spawn(
    runtime: runtime::Runtime,
    orders: watch::Receiver<Order>,
    metrics: Metrics,
    traces: Option<Traces>,
) -> io::Result<JoinHandle<()>> {
    let work = move || {
        runtime.block_on(async {
            let metrics = tokio::spawn(metrics.run(orders.clone()));
            let traces = traces.map(|traces| tokio::spawn(traces.run(orders.clone())));
            stopped(&mut orders.clone()).await;
            let ended = async {
                // A task that panicked has said so, and there is nothing left to wait for.
                drop(metrics.await);
                if let Some(traces) = traces {
                    drop(traces.await);
                }
            };
            drop(tokio::time::timeout(LAST_EXPORTS, ended).await);
        });
        // A name server that does not answer holds nothing up.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("otlp".into()).spawn(work)
}

/// Waits for the end; whoever would order it being gone is the end too.
async fn stopped(orders: &mut watch::Receiver<Order>) {
    drop(orders.wait_for(|order| order.stop).await);
}

/// Waits for other orders.
async fn changed(orders: &mut watch::Receiver<Order>) {
    if orders.changed().await.is_err() {
        // Nobody gives orders any more.
        stopped(orders).await;
    }
}

fn is_over(orders: &watch::Receiver<Order>) -> bool {
    orders.has_changed().is_err() || orders.borrow().stop
}

/// A client whose results are noted.
struct Sending {
    client: Option<Client>,
    signal: Signal,
    status: Status,
    wall_clock: fn() -> Timestamp,
}

impl Sending {
    fn switch(&mut self, client: Option<Client>) {
        self.status.switch(self.signal, client.is_some());
        self.client = client;
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let Some(client) = &mut self.client else { return Ok(()) };
        let result = client.export(message).await;
        self.status.note(self.signal, &client.place(), &result, (self.wall_clock)());
        result
    }
}

/// Pauses after failures: 1 s, 2 s, 4 s and so on to a minute, and what the collector asks for up to five.
fn pause(failures: u32, failure: &Failure) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    const LONGEST_ASKED: Duration = Duration::from_secs(300);
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(6));
    doubled.min(LONGEST).max(failure.after.unwrap_or_default().min(LONGEST_ASKED))
}

/// All of `/metrics` at every interval.
struct Metrics {
    sending: Sending,
    interval: Duration,
    messages: Messages,
    /// In a row.
    failures: u32,
}

impl Metrics {
    async fn run(mut self, mut orders: watch::Receiver<Order>) {
        let mut due = Instant::now() + self.interval;
        loop {
            let in_time = tokio::select! {
                () = tokio::time::sleep_until(due) => true,
                () = changed(&mut orders) => false,
            };
            let over = is_over(&orders);
            let other = orders.borrow_and_update().metrics.take();
            if let Some((client, interval)) = other {
                self.sending.switch(client);
                (self.interval, self.failures) = (interval, 0);
                // Not later than before: orders that keep coming hold nothing up.
                due = due.min(Instant::now() + interval);
            }
            if in_time || over {
                let begun = Instant::now();
                due = begun + self.export().await;
            }
            if over {
                return;
            }
        }
    }

    /// Sends all messages, up to the first that fails; gives the time to the next export.
    async fn export(&mut self) -> Duration {
        if self.sending.client.is_none() {
            return self.interval;
        }
        for message in (self.messages)() {
            if let Err(failure) = self.sending.send(&message).await {
                self.failures = self.failures.saturating_add(1);
                // What cannot be mended by waiting is tried at the interval.
                let usual = if failure.again { Duration::ZERO } else { self.interval };
                return pause(self.failures, &failure).max(usual);
            }
        }
        self.failures = 0;
        self.interval
    }
}

/// Spans as they come.
struct Traces {
    sending: Sending,
    spans: SpanQueue,
    resource: Vec<(String, String)>,
}

/// The most spans of one message.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(5);
/// How often a batch is tried.
const ATTEMPTS: u32 = 5;

impl Traces {
    async fn run(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            let mut batch = SpanBatch::default();
            tokio::select! {
                () = self.gather(&mut batch) => {}
                () = changed(&mut orders) => {}
            }
            self.obey(&mut orders);
            let over = is_over(&orders);
            if over {
                self.spans.take_now(&mut batch, BATCH);
            }
            let is_last = over && batch.len() < BATCH;
            self.deliver(batch, &mut orders).await;
            if is_last {
                return;
            }
        }
    }

    fn obey(&mut self, orders: &mut watch::Receiver<Order>) {
        let other = orders.borrow_and_update().traces.take();
        if let Some(client) = other {
            self.sending.switch(client);
        }
    }

    /// Waits for a span, and then for others to go with it. Cut off it keeps what it has.
    async fn gather(&mut self, batch: &mut SpanBatch) {
        self.spans.take(batch, BATCH).await;
        let more = async {
            while batch.len() < BATCH {
                self.spans.take(batch, BATCH).await;
            }
        };
        drop(tokio::time::timeout(GATHER, more).await);
    }

    /// Tries a few times, then gives up. While it does, spans queue up and what finds no room is counted.
    async fn deliver(&mut self, batch: SpanBatch, orders: &mut watch::Receiver<Order>) {
        let spans = batch.len();
        if spans == 0 || self.sending.client.is_none() {
            return;
        }
        let message = batch.message(&self.resource);
        for attempt in 1..=ATTEMPTS {
            let over = is_over(orders);
            let Err(failure) = self.sending.send(&message).await else { return };
            // A part that was rejected is a part that was taken.
            if failure.reason == super::Reason::Rejected {
                return;
            }
            if !failure.again || attempt == ATTEMPTS || over {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause(attempt, &failure)) => {}
                () = changed(orders) => self.obey(orders),
            }
        }
        self.spans.give_up(spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Reason;

    #[test]
    fn pauses_double_to_a_minute_and_a_collector_may_ask_for_five() {
        let failure = Failure::new(Reason::Connect, "");
        let pauses = [1, 2, 3, 6, 7, 100].map(|failures| pause(failures, &failure).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
        let asked = |seconds| Failure { after: Some(Duration::from_secs(seconds)), ..failure.clone() };
        assert_eq!([1, 100, 3600].map(|seconds| pause(1, &asked(seconds)).as_secs()), [1, 100, 300]);
    }
}
