//! The engine with a plain sender, and as a process of its own: this test binary, started again.

use netmon::alert::{Alert, Severity, State};
use netmon::notify::engine::{Engine, Receiver, Setup};
use netmon::notify::{Attempt, Deliver, GroupBy, Notification, Outcome, Policy, Reason};
use netmon::time::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Posts the notification as it is to an address.
pub struct Post(pub SocketAddr);

impl Deliver for Post {
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move { post(self.0, notification).await.unwrap_or_else(|error| failed(&error)) })
    }
}

fn failed(error: &std::io::Error) -> Outcome {
    Outcome::Retry { reason: Reason::Connect, after: None, detail: error.to_string() }
}

async fn post(address: SocketAddr, notification: &Notification) -> std::io::Result<Outcome> {
    let body = serde_json::to_vec(notification).unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nIdempotency-Key: {}\r\nContent-Length: {}\r\n\r\n",
        notification.key,
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let retry = |reason, after| Outcome::Retry { reason, after, detail: String::new() };
    Ok(match answer.split(' ').nth(1) {
        Some("200") => Outcome::Accepted,
        Some("429") => {
            let asked = answer.lines().find_map(|line| line.strip_prefix("Retry-After: "));
            retry(Reason::RateLimited, asked.map(|seconds| Duration::from_secs(seconds.parse().unwrap())))
        }
        Some(_) => retry(Reason::Http5xx, None),
        None => retry(Reason::Connect, None),
    })
}

#[expect(clippy::disallowed_methods, reason = "the engine is given a clock")]
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap())
}

/// The alert number `n`, as it is after a change.
pub fn alert(n: usize, state: State, notify: &Arc<[String]>) -> Alert {
    let labels = [("number", n.to_string()), ("group", (n % 25).to_string())];
    let now = wall_clock();
    Alert {
        rule: "Test".into(),
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        severity: Severity::Warning,
        state,
        value: 3.0,
        threshold: Some(2.0),
        metric: "receive_bytes_per_second".into(),
        unit: "bytes_per_second",
        window: Duration::from_secs(1),
        active_since: now,
        fired_at: Some(now),
        resolved_at: (state == State::Resolved).then_some(now),
        blind: false,
        summary: "".into(),
        runbook_url: None,
        notify: Arc::clone(notify),
    }
}

/// A policy that waits for nothing.
pub fn prompt(name: &str) -> Policy {
    Policy {
        group_by: GroupBy::Labels(vec!["group".into()]),
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        repeat_interval: None,
        timeout: Duration::from_millis(150),
        queue: 100_000,
        ..Policy::new(name)
    }
}

pub fn setup(directory: &Path, receivers: Vec<(Policy, SocketAddr)>) -> Setup {
    let receivers =
        receivers.into_iter().map(|(policy, address)| Receiver { policy, deliver: Arc::new(Post(address)) });
    Setup { directory: directory.to_owned(), receivers: receivers.collect(), external_url: None, wall_clock }
}

pub fn start(directory: &Path, receivers: Vec<(Policy, SocketAddr)>) -> Engine {
    setup(directory, receivers).open().unwrap().start(|| ()).unwrap()
}

/// What the process is to do, as JSON in the environment.
pub const JOB: &str = "NETMON_TEST_NOTIFY";

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Job {
    pub directory: PathBuf,
    pub receivers: Vec<(String, SocketAddr)>,
    /// Each fires once and resolves once.
    pub alerts: usize,
    /// How long between two changes.
    pub pause: Duration,
}

/// The process: tells the engine what is left to tell, as the store has it, and ends when all is delivered.
#[test]
fn process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).unwrap();
    let names: Arc<[String]> = job.receivers.iter().map(|(name, _)| name.clone()).collect();
    let receivers = job.receivers.iter().map(|(name, address)| (prompt(name), *address)).collect();
    let opened = setup(&job.directory, receivers).open().unwrap();
    let told: BTreeMap<String, Vec<u8>> = opened.alerts().clone();
    let engine = opened.start(|| ()).unwrap();
    for (n, state) in order(job.alerts) {
        let (key, name) = (format!("{n:06}"), state.name().as_bytes().to_vec());
        let is_told = told.get(&key).is_some_and(|kept| *kept == name || kept == State::Resolved.name().as_bytes());
        if !is_told {
            engine.handle().changed(vec![alert(n, state, &names)], vec![(key, Some(name))]);
            std::thread::sleep(job.pause);
        }
    }
    let is_waiting = || {
        let status = engine.handle().status();
        status.receivers.iter().any(|receiver| receiver.queue_length > 0)
    };
    std::thread::sleep(Duration::from_millis(100));
    while is_waiting() {
        std::thread::sleep(Duration::from_millis(10));
    }
    engine.begin_stop(Duration::from_secs(1)).join().unwrap();
}

/// Alerts fire one after the other, and each resolves a while later.
fn order(alerts: usize) -> impl Iterator<Item = (usize, State)> {
    const BEHIND: usize = 7;
    (0..alerts + BEHIND).flat_map(move |n| {
        let fires = (n < alerts).then_some((n, State::Firing));
        let resolves = n.checked_sub(BEHIND).map(|n| (n, State::Resolved));
        fires.into_iter().chain(resolves)
    })
}
