//! `GET /api/v1/talkers`.

use super::documents::{KINDS, TalkerList, window_name};
use super::parameters::{Parameters, digits, page};
use super::{Answer, json};
use crate::http::problem::Problem;
use crate::http::routes::Shared;
use crate::stats::Snapshot;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde::Serialize;
use std::cmp::Reverse;
use std::sync::Arc;
use utoipa::ToSchema;

/// A page of top talkers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Talkers {
    /// The end of the tick that the picture is of; talkers are as of its last whole second.
    time: Option<String>,
    #[serde(flatten)]
    list: TalkerList,
    /// For the parameter `cursor`; null on the last page.
    next: Option<String>,
}

#[utoipa::path(get, path = "/api/v1/talkers", operation_id = "talkers", tag = "traffic",
    summary = "Who moves most: hosts, pairs of hosts, or ports",
    params(
        ("window" = Option<String>, Query, description = "one of the configured windows (default: the first above 1 s)"),
        ("kind" = Option<String>, Query, description = "`hosts` (default), `pairs` or `ports`"),
        ("sort" = Option<String>, Query, description = "`bytes` (default), `from_bytes` or `to_bytes`"),
        ("order" = Option<String>, Query, description = "`desc` (default) or `asc`"),
        ("limit" = Option<u16>, Query, description = "rows of a page", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = Talkers), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let given = Parameters::read(&uri, &["window", "kind", "sort", "order", "limit", "cursor"])?;
    let kinds = [(KINDS[0], 0), (KINDS[1], 1), (KINDS[2], 2)];
    let kind = given.choice("kind", &kinds)?.unwrap_or(0);
    let by = given.choice("sort", &[("bytes", [1, 1]), ("from_bytes", [1, 0]), ("to_bytes", [0, 1])])?;
    let is_ascending = given.is_ascending()?.unwrap_or(false);
    let limit = given.number("limit", 1, 100, 20)?;
    let from = given.parsed("cursor", "`next` of the page before", digits)?.unwrap_or(0);
    let snapshot = (shared.sources.snapshot)();
    let mut list = of_window(&snapshot, given.text("window"), kind)?;
    if let Some([from, to]) = by {
        list.rows.sort_by_key(|row| Reverse(row.from_bytes * from + row.to_bytes * to));
    }
    if is_ascending {
        list.rows.reverse();
    }
    let (rows, next) = page(list.rows, from, limit);
    let time = snapshot.tick.map(|tick| tick.end().to_string());
    json(&Talkers { time, list: TalkerList { rows, ..list }, next })
}

/// A list of one window; of the first above 1 s when none is named.
pub(in crate::http) fn of_window(
    snapshot: &Snapshot,
    window: Option<&str>,
    kind: usize,
) -> Result<TalkerList, Problem> {
    let tables = &snapshot.talkers;
    let table = match window {
        Some(name) => tables.iter().find(|table| window_name(table.length) == name),
        None => tables.iter().find(|table| table.length.as_secs() > 1).or(tables.first()),
    };
    let names: Vec<_> = tables.iter().map(|table| window_name(table.length)).collect();
    match (table, window) {
        (Some(table), _) => Ok(TalkerList::new(table, kind)),
        (None, Some(window)) if !names.is_empty() => Err(Problem::invalid("window", window, &names.join(", "))),
        (None, _) => Err(Problem::new(StatusCode::NOT_FOUND, "nothing was counted yet")),
    }
}
