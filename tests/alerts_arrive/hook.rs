//! A webhook that keeps a ledger of what it was told.

use crate::checks;
use crate::fate::{Fate, answer};
use crate::rig::Namespace;
use crate::server::{Recorded, Server};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One request that was read to its end.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Instant,
    pub key: String,
    pub body: Vec<u8>,
    pub fate: Fate,
}

/// What one accepted message says of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub at: Instant,
    /// `firing` or `resolved`.
    pub status: String,
    pub starts_at: String,
}

/// A receiver in a namespace.
pub struct Hook {
    server: Server,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Hook {
    /// Decides by the number of the request.
    pub fn start(namespace: &Namespace, fate: impl Fn(u64) -> Fate + Send + Sync + 'static) -> Self {
        let entries: Arc<Mutex<Vec<Entry>>> = Arc::default();
        let (kept, numbers) = (Arc::clone(&entries), AtomicU64::new(0));
        let server = namespace.inside(|| {
            Server::start(move |request, stream| {
                let fate = fate(numbers.fetch_add(1, Ordering::Relaxed));
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(Entry::of(request, fate));
                // Who was killed in the middle of a request does not hear the answer.
                answer(stream, fate).is_ok() && matches!(fate, Fate::Accept | Fate::Fail | Fate::Limit(_))
            })
        });
        Self { server, entries }
    }

    pub fn url(&self) -> String {
        self.server.url("/hook")
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it took of an alert, each message once.
    pub fn told(&self, alert: &str) -> Vec<Told> {
        let mut known = BTreeSet::new();
        let is_new = |entry: &Entry| entry.fate == Fate::Accept && known.insert(entry.key.clone());
        self.entries().into_iter().filter(is_new).flat_map(|entry| entry.told(alert)).collect()
    }
}

impl Entry {
    #[expect(clippy::disallowed_methods, reason = "the ledger says when")]
    fn of(request: &Recorded, fate: Fate) -> Self {
        let key = request.header("idempotency-key").to_owned();
        Self { at: Instant::now(), key, body: request.body.clone(), fate }
    }

    fn told(&self, alert: &str) -> Vec<Told> {
        let document: Json = serde_json::from_slice(&self.body).expect("the body is JSON");
        checks::webhook(&document);
        let text = |value: &Json| value.as_str().expect("it is text").to_owned();
        let of_alert = |one: &&Json| one["labels"]["alertname"] == alert;
        let alerts = document["alerts"].as_array().expect("alerts are a list").iter().filter(of_alert);
        let told =
            alerts.map(|one| Told { at: self.at, status: text(&one["status"]), starts_at: text(&one["startsAt"]) });
        told.collect()
    }
}
