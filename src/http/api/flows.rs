//! `GET /api/v1/flows` and `GET /api/v1/flows/{id}`.

use super::documents::Flow;
use super::parameters::{Parameters, digits};
use super::{Answer, json};
use crate::flow::{By, FlowFilter, FlowQuery, FlowRecord, Protocol, State as FlowState};
use crate::http::problem::{Problem, cut};
use crate::http::routes::Shared;
use crate::packet::{InterfaceId, Network, Transport, names};
use crate::pipeline::{FlowDesk, Found, Unanswered};
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// Flows that a query keeps, over all its pages.
pub(in crate::http) const MAX_FLOWS: usize = 2_000;
/// How long a result can be paged through.
const KEPT: Duration = Duration::from_secs(30);
/// Results that are kept; the oldest gives way.
const MAX_KEPT: usize = 8;
/// How long the shards may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page of flows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    /// Flows in the table that match.
    matched: u64,
    /// Flows that can be reached by paging: at most 2000.
    kept: usize,
    /// For the parameter `cursor`, within 30 s; null on the last page.
    next: Option<String>,
}

/// Results that are paged through.
#[derive(Debug, Default)]
pub(in crate::http) struct Results(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    results: VecDeque<(u64, Instant, Arc<Named>)>,
}

/// What was found, and the names of interfaces then.
#[derive(Debug)]
pub(in crate::http) struct Named {
    pub found: Found,
    pub names: BTreeMap<InterfaceId, String>,
}

impl Named {
    pub(in crate::http) fn row(&self, record: &FlowRecord) -> Flow {
        Flow::new(record, self.names.get(&record.interface()).cloned())
    }
}

impl Results {
    fn keep(&self, result: &Arc<Named>) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let number = kept.last;
        kept.results.push_back((number, Instant::now(), Arc::clone(result)));
        if kept.results.len() > MAX_KEPT {
            kept.results.pop_front();
        }
        number
    }

    fn find(&self, number: u64) -> Option<Arc<Named>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.results.retain(|(_, since, _)| since.elapsed() < KEPT);
        kept.results.iter().find(|(known, ..)| *known == number).map(|(.., result)| Arc::clone(result))
    }
}

#[utoipa::path(get, path = "/api/v1/flows", operation_id = "flows", tag = "traffic",
    summary = "Flows in the table, by filter and order",
    description = "Looks through the whole table while packets go on. One query runs at a time; further ones get 503.",
    params(
        ("interface" = Option<String>, Query, description = "name of the interface"),
        ("protocol" = Option<String>, Query, description = "`tcp`, `udp`, `icmp` (both versions), `sctp`, a keyword or a number"),
        ("host" = Option<String>, Query, description = "an address or a network at one end"),
        ("port" = Option<u16>, Query, description = "a port at one end"),
        ("state" = Option<String>, Query, description = "`opening`, `open`, `closing`, `closed` (TCP) or `active` (others)"),
        ("sort" = Option<String>, Query, description = "`bytes` (default), `packets`, `first_seen`, `last_seen` or `duration`"),
        ("order" = Option<String>, Query, description = "`desc` (default) or `asc`"),
        ("limit" = Option<u16>, Query, description = "rows of a page", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before; stands for its filter and order"),
    ),
    responses((status = 200, body = Flows), (status = 404, body = super::ProblemDocument),
        (status = 410, body = super::ProblemDocument, description = "the cursor is too old")))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let known = ["interface", "protocol", "host", "port", "state", "sort", "order", "limit", "cursor"];
    let given = Parameters::read(&uri, &known)?;
    let limit = given.number("limit", 1, 1000, 100)?;
    let cursor = given.parsed("cursor", "`next` of the page before", |text| {
        let (number, from) = text.split_once('.')?;
        Some((digits::<u64>(number)?, digits::<usize>(from)?))
    })?;
    let query = read_query(&given)?;
    let (number, from, result) = match cursor {
        Some((number, from)) => {
            let gone = || Problem::new(StatusCode::GONE, "the result is no longer kept: a cursor lives for 30 s");
            (Some(number), from, shared.results.find(number).ok_or_else(gone)?)
        }
        None => (None, 0, Arc::new(find(&shared, query, given.text("interface")).await?)),
    };
    let kept = result.found.flows.len();
    let rows = result.found.flows.iter().skip(from).take(limit);
    let flows: Vec<Flow> = rows.map(|record| result.row(record)).collect();
    let end = from.saturating_add(limit);
    let next = (end < kept).then(|| format!("{}.{end}", number.unwrap_or_else(|| shared.results.keep(&result))));
    json(&Flows { flows, matched: result.found.matched, kept, next })
}

#[utoipa::path(get, path = "/api/v1/flows/{id}", operation_id = "flow", tag = "traffic",
    summary = "One flow that is in the table",
    params(("id" = String, Path, description = "16 hexadecimal digits")),
    responses((status = 200, body = Flow), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn one(State(shared): State<Arc<Shared>>, Path(id): Path<String>, uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    let is_hexadecimal = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hexadecimal.then(|| u64::from_str_radix(&id, 16).ok()).flatten();
    let number = number.ok_or_else(|| Problem::invalid("id", &id, "16 hexadecimal digits"))?;
    let filter = FlowFilter { id: Some(number), ..FlowFilter::default() };
    let result = find(&shared, FlowQuery { filter, most: 1, ..FlowQuery::default() }, None).await?;
    match result.found.flows.first() {
        Some(record) => json(&result.row(record)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("no flow `{id}` is in the table"))),
    }
}

fn read_query(given: &Parameters) -> Result<FlowQuery, Problem> {
    let states: Vec<_> = FlowState::ALL.iter().map(|state| (state.name(), *state)).collect();
    let filter = FlowFilter {
        interface: None,
        protocol: given.parsed("protocol", "`tcp`, `udp`, `icmp`, `sctp`, a keyword or 0 to 255", protocol)?,
        host: given.parsed("host", "an address, or a network such as `10.0.0.0/8`", host)?,
        port: given.parsed("port", "0 to 65535", digits)?,
        state: given.choice("state", &states)?,
        id: None,
    };
    let by = given.choice("sort", &By::ALL)?.unwrap_or_default();
    Ok(FlowQuery { filter, by, ascending: given.is_ascending()?.unwrap_or(false), most: MAX_FLOWS })
}

fn protocol(text: &str) -> Option<Protocol> {
    let transports = [Transport::Tcp, Transport::Udp, Transport::Icmp, Transport::Sctp];
    if let Some(transport) = transports.into_iter().find(|transport| transport.name() == text) {
        return Some(Protocol::Transport(transport));
    }
    let number = (0..=u8::MAX).find(|number| names::protocol(Network::Ipv4, *number) == text);
    number.or_else(|| digits(text)).map(Protocol::Number)
}

fn host(text: &str) -> Option<IpNet> {
    text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse()).ok()
}

/// Asks the shards on a thread that may wait.
pub(in crate::http) async fn find(
    shared: &Arc<Shared>,
    mut query: FlowQuery,
    interface: Option<&str>,
) -> Result<Named, Problem> {
    let Some(desk) = shared.sources.rooms.flows.clone() else { return Err(super::not_in_use("the flow table")) };
    let names = desk.names();
    if let Some(name) = interface {
        let id = names.iter().rev().find(|(_, known)| *known == name).map(|(id, _)| *id);
        query.filter.interface = Some(id.ok_or_else(|| no_interface(name, &names))?);
    }
    let asked = tokio::task::spawn_blocking(move || FlowDesk::ask(&desk, query, PATIENCE));
    match asked.await {
        Ok(Ok(found)) => Ok(Named { found, names }),
        Ok(Err(error @ (Unanswered::Busy | Unanswered::TooSlow))) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            Err(problem.header(RETRY_AFTER, HeaderValue::from_static("1")))
        }
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end")),
    }
}

fn no_interface(name: &str, names: &BTreeMap<InterfaceId, String>) -> Problem {
    let name = cut(name);
    let known: Vec<&String> = names.values().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, format!("no interface `{name}` is monitored"))
        .with("field", "interface".into())
        .with("value", name.into())
        .with("allowed", serde_json::json!(known))
}
