//! What changes something: reload, pause, resume, filter, silences, test notifications.
//!
//! The [guard](crate::http::guard) has judged before who may. Bodies are JSON, also where they are empty.

use super::parameters::Parameters;
use super::{Answer, ask, interfaces, json, not_in_use};
use crate::http::problem::Problem;
use crate::http::rooms::{Command, Silence, SilenceCommand};
use crate::http::routes::Shared;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The filter of an interface.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterBody {
    /// In the syntax of pcap-filter(7); null for what the configuration says.
    #[serde(default)]
    bpf: Option<String>,
}

/// The longest filter, in bytes.
const MAX_FILTER: usize = 4096;

#[utoipa::path(post, path = "/api/v1/reload", operation_id = "reload", tag = "control",
    summary = "Reads the configuration again: all of it holds at once, or nothing changes and it says why",
    responses((status = 200, body = Object, description = "the number of the configuration and what changed"),
        (status = 404, body = super::ProblemDocument),
        (status = 409, body = super::ProblemDocument, description = "it was refused; nothing changed")))]
pub(super) async fn reload(State(shared): State<Arc<Shared>>, uri: Uri, body: Bytes) -> Answer {
    Parameters::read(&uri, &[])?;
    empty(&body)?;
    command(&shared, Command::Reload).await
}

#[utoipa::path(post, path = "/api/v1/interfaces/{name}/pause", operation_id = "pause", tag = "control",
    summary = "Captures nothing on an interface until it is resumed",
    params(("name" = String, Path, description = "the name of the interface")),
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument),
        (status = 409, body = super::ProblemDocument)))]
pub(super) async fn pause(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Parameters::read(&uri, &[])?;
    empty(&body)?;
    command(&shared, Command::Pause(known(&shared, name)?)).await
}

#[utoipa::path(post, path = "/api/v1/interfaces/{name}/resume", operation_id = "resume", tag = "control",
    summary = "Captures on an interface again",
    params(("name" = String, Path, description = "the name of the interface")),
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument),
        (status = 409, body = super::ProblemDocument)))]
pub(super) async fn resume(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Parameters::read(&uri, &[])?;
    empty(&body)?;
    command(&shared, Command::Resume(known(&shared, name)?)).await
}

#[utoipa::path(put, path = "/api/v1/interfaces/{name}/filter", operation_id = "filter", tag = "control",
    summary = "Sets the filter of an interface until the configuration is read again",
    params(("name" = String, Path, description = "the name of the interface")),
    request_body = FilterBody,
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument),
        (status = 409, body = super::ProblemDocument)))]
pub(super) async fn filter(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Parameters::read(&uri, &[])?;
    let FilterBody { bpf } = read(&body)?;
    let bpf = bpf.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(text) = bpf.as_ref().filter(|text| text.len() > MAX_FILTER || text.contains(char::is_control)) {
        let allowed = "a pcap-filter(7) expression of at most 4 KiB without control characters";
        return Err(Problem::invalid("bpf", text, allowed));
    }
    command(&shared, Command::Filter(known(&shared, name)?, bpf)).await
}

#[utoipa::path(get, path = "/api/v1/silences", operation_id = "silences", tag = "alerts",
    summary = "Silences in force or to come",
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn silences(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    silence(&shared, SilenceCommand::List).await
}

#[utoipa::path(post, path = "/api/v1/silences", operation_id = "silence", tag = "alerts",
    summary = "Has nobody told of some alerts for a time",
    request_body = Silence,
    responses((status = 200, body = Object, description = "the silence, with its `id`"),
        (status = 404, body = super::ProblemDocument), (status = 409, body = super::ProblemDocument)))]
pub(super) async fn add_silence(State(shared): State<Arc<Shared>>, uri: Uri, body: Bytes) -> Answer {
    Parameters::read(&uri, &[])?;
    silence(&shared, SilenceCommand::Add(read(&body)?)).await
}

#[utoipa::path(delete, path = "/api/v1/silences/{id}", operation_id = "expire", tag = "alerts",
    summary = "Ends a silence",
    params(("id" = String, Path, description = "its id")),
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn expire_silence(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Parameters::read(&uri, &[])?;
    empty(&body)?;
    silence(&shared, SilenceCommand::Expire(id)).await
}

#[utoipa::path(post, path = "/api/v1/receivers/{name}/test", operation_id = "test", tag = "alerts",
    summary = "Sends a test notification",
    params(("name" = String, Path, description = "the name of the receiver")),
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument),
        (status = 409, body = super::ProblemDocument, description = "it was not delivered")))]
pub(super) async fn test_receiver(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    Parameters::read(&uri, &[])?;
    empty(&body)?;
    let document = ask(&shared, move |shared| {
        let test = shared.sources.rooms.receivers.as_ref().ok_or_else(|| not_in_use("notification"))?;
        Ok(test(name)?)
    });
    json(&document.await?)
}

async fn command(shared: &Arc<Shared>, command: Command) -> Answer {
    let document = ask(shared, move |shared| {
        let control = shared.sources.rooms.control.as_ref().ok_or_else(|| not_in_use("control"))?;
        tracing::info!(?command, "an operator asks for a change");
        Ok(control(command)?)
    });
    json(&document.await?)
}

async fn silence(shared: &Arc<Shared>, command: SilenceCommand) -> Answer {
    let document = ask(shared, move |shared| {
        let silences = shared.sources.rooms.silences.as_ref().ok_or_else(|| not_in_use("alerting"))?;
        Ok(silences(command)?)
    });
    json(&document.await?)
}

/// The name, if an interface has it.
fn known(shared: &Shared, name: String) -> Result<String, Problem> {
    let snapshot = (shared.sources.snapshot)();
    match snapshot.interfaces.iter().any(|interface| *interface.name == *name) {
        true => Ok(name),
        false => Err(interfaces::unknown(&name, &snapshot)),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Of a list serde would make the members in their order.
    let members = serde_json::from_slice::<serde_json::Map<_, _>>(body);
    members.and_then(|members| serde_json::from_value(members.into())).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}"))
            .with("field", "body".into())
    })
}

/// Nothing, or an object without members.
fn empty(body: &[u8]) -> Result<(), Problem> {
    let is_empty = body.trim_ascii().is_empty()
        || matches!(serde_json::from_slice(body), Ok(serde_json::Value::Object(members)) if members.is_empty());
    let problem = || Problem::new(StatusCode::BAD_REQUEST, "this takes no body, or `{}`").with("field", "body".into());
    is_empty.then_some(()).ok_or_else(problem)
}
