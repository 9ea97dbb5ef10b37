//! What messages are made of.

use super::{Streams, Topic, Wishes};
use crate::flow::FlowQuery;
use crate::http::api::documents::{Capture, Interface, KINDS, TalkerList};
use crate::http::api::{alert_documents, documents, flows, talkers};
use crate::http::routes::Shared;
use crate::stats::{InterfaceSnapshot, Snapshot};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Interfaces in one message; `interfaces_left_out` says how many more there are.
const MAX_INTERFACES: usize = 64;
/// Flows in a message.
const MAX_FLOWS: usize = 20;
/// How old the flows of a message may be.
const FLOWS_LIFETIME: Duration = Duration::from_millis(900);
/// Alerts in a message.
const MAX_ALERTS: usize = 200;

/// What was made of one snapshot, for all clients.
#[derive(Debug)]
pub(super) struct Rendered {
    snapshot: Arc<Snapshot>,
    interfaces: OnceLock<Arc<str>>,
    capture: OnceLock<Arc<str>>,
    talkers: OnceLock<Arc<str>>,
}

/// How well one interface is seen.
#[derive(Serialize)]
struct Seen {
    interface: String,
    capture: Option<Capture>,
    losses: documents::Losses,
}

impl Streams {
    fn rendered(&self, snapshot: Arc<Snapshot>) -> Arc<Rendered> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = rendered.as_ref().filter(|rendered| Arc::ptr_eq(&rendered.snapshot, &snapshot)) {
            return Arc::clone(rendered);
        }
        let new =
            Rendered { snapshot, interfaces: OnceLock::new(), capture: OnceLock::new(), talkers: OnceLock::new() };
        Arc::clone(rendered.insert(Arc::new(new)))
    }

    /// The largest flows, found at most once a second for all clients; null when the table is busy.
    async fn flows(&self, shared: &Arc<Shared>) -> Arc<str> {
        let mut last = self.flows.lock().await;
        if let Some((at, text)) = last.as_ref().filter(|(at, _)| at.elapsed() < FLOWS_LIFETIME) {
            let _ = at;
            return Arc::clone(text);
        }
        let query = FlowQuery { most: MAX_FLOWS, ..FlowQuery::default() };
        let text: Arc<str> = match flows::find(shared, query, None).await {
            Ok(result) => {
                let rows: Vec<_> = result.found.flows.iter().map(|record| result.row(record)).collect();
                text(&json!({ "matched": result.found.matched, "flows": rows }))
            }
            Err(_) => "null".into(),
        };
        *last = Some((Instant::now(), Arc::clone(&text)));
        text
    }
}

/// The first message.
pub(super) fn hello(shared: &Shared, wishes: &Wishes) -> (u64, String) {
    let snapshot = (shared.sources.snapshot)();
    let process = (shared.sources.process)();
    let (last, mut past) = shared.sources.seconds.since(0, wishes.interface.as_deref());
    for columns in &mut past {
        let skipped = columns.time.len().saturating_sub(wishes.past);
        columns.skip(skipped);
    }
    let interfaces: Vec<&str> = snapshot.interfaces.iter().map(|interface| &*interface.name).collect();
    let windows = snapshot.interfaces.first().map(|interface| &interface.windows);
    let windows = windows.into_iter().flatten().map(|window| documents::window_name(window.length));
    let hello = json!({
        "type": "hello",
        "schema": 1,
        "version": process.version,
        "revision": process.revision,
        "started": process.started.to_string(),
        "time": snapshot.tick.map(|tick| tick.end().to_string()),
        "interval_seconds": wishes.interval.as_secs_f64(),
        "topics": wishes.topics.iter().map(|topic| topic.name()).collect::<Vec<_>>(),
        "windows": windows.collect::<Vec<_>>(),
        "interfaces": interfaces,
        "seconds": past,
        "has_history": shared.sources.rooms.history.is_some(),
    });
    (last, hello.to_string())
}

/// The message of now: members are `null` where a room is not in use.
pub(super) async fn data(
    shared: &Arc<Shared>,
    wishes: &Wishes,
    sequence: u64,
    dropped: u64,
    since: u64,
) -> (u64, String) {
    let snapshot = (shared.sources.snapshot)();
    let rendered = shared.streams.rendered(Arc::clone(&snapshot));
    let time = snapshot.tick.map_or("null".to_owned(), |tick| format!("\"{}\"", tick.end()));
    let generation = snapshot.own.config_generation;
    let mut message = format!(
        "{{\"type\":\"data\",\"sequence\":{sequence},\"time\":{time},\"dropped\":{dropped},\"config_generation\":{generation}"
    );
    let mut add = |name: &str, value: &str| message.extend([",\"", name, "\":", value]);
    let mut last = since;
    for topic in &wishes.topics {
        match topic {
            Topic::Interfaces => add(topic.name(), &rendered.interfaces(wishes.interface.as_deref())),
            Topic::Capture => add(topic.name(), &rendered.capture(wishes.interface.as_deref())),
            Topic::Talkers => add(topic.name(), &rendered.talkers()),
            Topic::Seconds => {
                let (newest, columns) = shared.sources.seconds.since(since, wishes.interface.as_deref());
                last = newest;
                add(topic.name(), &text(&columns));
            }
            Topic::Flows => add(topic.name(), &shared.streams.flows(shared).await),
            Topic::Alerts => {
                let alerts = alert_documents(shared).map(|mut alerts| {
                    alerts.truncate(MAX_ALERTS);
                    alerts
                });
                add(topic.name(), &text(&alerts));
            }
        }
    }
    if wishes.has(Topic::Interfaces) {
        add("interfaces_left_out", &snapshot.interfaces.len().saturating_sub(MAX_INTERFACES).to_string());
    }
    message.push('}');
    (last, message)
}

impl Rendered {
    fn interfaces(&self, only: Option<&str>) -> Arc<str> {
        let of = |interface: &InterfaceSnapshot| Interface::new(interface, &self.snapshot);
        self.list(&self.interfaces, only, of)
    }

    fn capture(&self, only: Option<&str>) -> Arc<str> {
        let of = |interface: &InterfaceSnapshot| Seen {
            interface: interface.name.to_string(),
            capture: Capture::new(&interface.capture),
            losses: documents::Losses::new(&interface.totals),
        };
        self.list(&self.capture, only, of)
    }

    fn list<T: Serialize>(
        &self,
        all: &OnceLock<Arc<str>>,
        only: Option<&str>,
        of: impl Fn(&InterfaceSnapshot) -> T,
    ) -> Arc<str> {
        let render = || {
            let asked = self.snapshot.interfaces.iter().filter(|found| only.is_none_or(|only| *found.name == *only));
            text(&asked.take(MAX_INTERFACES).map(|interface| of(interface)).collect::<Vec<_>>())
        };
        if only.is_some() { render() } else { Arc::clone(all.get_or_init(render)) }
    }

    /// Each kind over the first window above 1 s; null before anything was counted.
    fn talkers(&self) -> Arc<str> {
        let render = || {
            let lists = KINDS.iter().enumerate();
            let lists: BTreeMap<&str, TalkerList> = lists
                .filter_map(|(n, kind)| Some((*kind, talkers::of_window(&self.snapshot, None, n).ok()?)))
                .collect();
            if lists.is_empty() { "null".into() } else { text(&lists) }
        };
        Arc::clone(self.talkers.get_or_init(render))
    }
}

/// Compact; what cannot be written, which are none of ours, is null.
fn text(document: &impl Serialize) -> Arc<str> {
    serde_json::to_string(document).unwrap_or_else(|_| "null".into()).into()
}
