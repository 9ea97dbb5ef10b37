//! `/api/v1`: REST, control, and the document that describes them.
//!
//! [`TABLE`] is what is served and [`Document`] is generated from the same handlers; a test keeps the two equal. Unknown
//! parameters are refused, lists are paged and bounded, and every error is a problem document.

mod control;
mod description;
pub(super) mod documents;
pub(super) mod flows;
mod history;
mod interfaces;
mod own;
mod parameters;
pub(super) mod talkers;

pub(super) use description::ProblemDocument;
pub use description::{ANYWHERE, openapi};
pub(super) use own::alert_documents;
pub(super) use parameters::{Parameters, digits};

use super::problem::Problem;
use super::rooms::Refusal;
use super::routes::Shared;
use super::stream;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use serde::Serialize;
use std::sync::Arc;

/// What a handler gives.
type Answer = Result<Response, Problem>;

/// A path, a line about it, and what serves it.
pub(super) type Row = (&'static str, &'static str, fn() -> MethodRouter<Arc<Shared>>);

/// Every route of the API.
pub(super) const TABLE: &[Row] = &[
    ("/api/v1/status", "version, privileges, capture state and losses", || get(own::status)),
    ("/api/v1/interfaces", "windows, rates, peaks, protocols, TCP health", || get(interfaces::list)),
    ("/api/v1/interfaces/{name}", "one of them", || get(interfaces::one)),
    ("/api/v1/talkers", "who moves most", || get(talkers::list)),
    ("/api/v1/flows", "flows in the table", || get(flows::list)),
    ("/api/v1/flows/{id}", "one of them", || get(flows::one)),
    ("/api/v1/alerts", "what is pending or firing", || get(own::alerts)),
    ("/api/v1/config", "the configuration in force, without secrets", || get(own::config)),
    (
        "/api/v1/history/{kind}",
        "what was: bandwidth, protocols, flows, hosts, totals, alerts, percentile, info",
        || get(history::history),
    ),
    ("/api/v1/stream", "all of it as it changes, over a WebSocket", || get(stream::upgrade)),
    ("/api/v1/reload", "reads the configuration again", || post(control::reload)),
    ("/api/v1/interfaces/{name}/pause", "ends capture until it is resumed", || post(control::pause)),
    ("/api/v1/interfaces/{name}/resume", "resumes capture", || post(control::resume)),
    ("/api/v1/interfaces/{name}/filter", "sets the capture filter", || put(control::filter)),
    ("/api/v1/silences", "alerts that nobody is told of", || get(control::silences).post(control::add_silence)),
    ("/api/v1/silences/{id}", "ends a silence", || delete(control::expire_silence)),
    ("/api/v1/receivers/{name}/test", "sends a test notification", || post(control::test_receiver)),
    ("/api/openapi.json", "the description of all of it", || get(description::document)),
];

/// For programs, but people read it too.
fn json(document: &impl Serialize) -> Answer {
    match serde_json::to_string_pretty(document) {
        Ok(text) => Ok(([(CONTENT_TYPE, "application/json")], text + "\n").into_response()),
        Err(error) => {
            tracing::error!(%error, "a document cannot be written");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the document cannot be written"))
        }
    }
}

/// 404 for routes of a room that is not in use.
fn not_in_use(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("{what} is not in use here"))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown { field, value, allowed } => {
                Self::new(StatusCode::NOT_FOUND, format!("there is no {field} `{value}`"))
                    .with("field", field.into())
                    .with("value", value.into())
                    .with("allowed", allowed.into())
            }
            Refusal::Invalid { field, value, allowed } => Self::invalid(&field, &value, &allowed),
            Refusal::Question { field, value, found, allowed } => Self::question(&field, value, &found, &allowed),
            Refusal::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Refusal::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

/// Has a room answer, on a thread that may wait.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&shared));
    done.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer was made")))
}
