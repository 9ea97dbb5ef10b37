//! `GET /api/v1/interfaces` and `GET /api/v1/interfaces/{name}`.

use super::documents::Interface;
use super::parameters::{Parameters, digits, page};
use super::{Answer, json};
use crate::http::problem::{Problem, cut};
use crate::http::routes::Shared;
use crate::stats::{InterfaceSnapshot, Snapshot};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde::Serialize;
use std::cmp::Reverse;
use std::sync::Arc;
use utoipa::ToSchema;

/// A page of interfaces.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Interfaces {
    /// The end of the tick that the numbers are of.
    time: Option<String>,
    interfaces: Vec<Interface>,
    /// For the parameter `cursor`; null on the last page.
    next: Option<String>,
}

/// What interfaces can be sorted by.
#[derive(Clone, Copy)]
enum By {
    Name,
    Receive,
    Transmit,
}

#[utoipa::path(get, path = "/api/v1/interfaces", operation_id = "interfaces", tag = "traffic",
    summary = "Every interface: totals, windows, rates, peaks, protocols, TCP health, capture",
    params(
        ("sort" = Option<String>, Query, description = "`name` (default), `receive_bytes` or `transmit_bytes` (totals)"),
        ("order" = Option<String>, Query, description = "`asc` or `desc`; names ascend by default, bytes descend"),
        ("limit" = Option<u16>, Query, description = "rows of a page", minimum = 1, maximum = 256),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = Interfaces)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let given = Parameters::read(&uri, &["sort", "order", "limit", "cursor"])?;
    let choices = [("name", By::Name), ("receive_bytes", By::Receive), ("transmit_bytes", By::Transmit)];
    let by = given.choice("sort", &choices)?.unwrap_or(By::Name);
    let is_ascending = given.is_ascending()?.unwrap_or(matches!(by, By::Name));
    let limit = given.number("limit", 1, 256, 64)?;
    let from = given.parsed("cursor", "`next` of the page before", digits)?.unwrap_or(0);
    let snapshot = (shared.sources.snapshot)();
    let (rows, next) = page(sorted(&snapshot, by, is_ascending), from, limit);
    let interfaces = rows.into_iter().map(|interface| Interface::new(interface, &snapshot)).collect();
    json(&Interfaces { time: snapshot.tick.map(|tick| tick.end().to_string()), interfaces, next })
}

/// The snapshot has them by name.
fn sorted(snapshot: &Snapshot, by: By, is_ascending: bool) -> Vec<&InterfaceSnapshot> {
    let mut rows: Vec<&InterfaceSnapshot> = snapshot.interfaces.iter().map(|interface| &**interface).collect();
    match by {
        By::Name if is_ascending => {}
        By::Name => rows.reverse(),
        By::Receive | By::Transmit => {
            let bytes = |of: &&InterfaceSnapshot| of.totals.volume[usize::from(matches!(by, By::Transmit))].bytes;
            if is_ascending { rows.sort_by_key(bytes) } else { rows.sort_by_key(|of| Reverse(bytes(of))) }
        }
    }
    rows
}

#[utoipa::path(get, path = "/api/v1/interfaces/{name}", operation_id = "interface", tag = "traffic",
    summary = "One interface",
    params(("name" = String, Path, description = "the name of the interface")),
    responses((status = 200, body = Interface), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn one(State(shared): State<Arc<Shared>>, Path(name): Path<String>, uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    let snapshot = (shared.sources.snapshot)();
    match snapshot.interfaces.iter().find(|interface| *interface.name == *name) {
        Some(interface) => json(&Interface::new(interface, &snapshot)),
        None => Err(unknown(&name, &snapshot)),
    }
}

/// No interface has this name.
pub(super) fn unknown(name: &str, snapshot: &Snapshot) -> Problem {
    let known: Vec<&str> = snapshot.interfaces.iter().take(64).map(|interface| &*interface.name).collect();
    let name = cut(name);
    Problem::new(StatusCode::NOT_FOUND, format!("no interface `{name}` is monitored"))
        .with("field", "name".into())
        .with("value", name.into())
        .with("allowed", serde_json::json!(known))
}
