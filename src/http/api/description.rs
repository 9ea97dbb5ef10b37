//! `GET /api/openapi.json`: what the API is, generated from its handlers and types.

use super::parameters::Parameters;
use super::{Answer, json};
use axum::http::Uri;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};

/// The whole description.
#[derive(OpenApi)]
#[openapi(
    info(title = "netmon", description = "The HTTP interface of a netmon daemon. Bytes are wire bytes; times are RFC 3339 in UTC."),
    paths(
        super::own::status, super::interfaces::list, super::interfaces::one, super::talkers::list, super::flows::list,
        super::flows::one, super::own::alerts, super::own::config, super::history::history, super::super::stream::upgrade,
        super::control::reload, super::control::pause, super::control::resume, super::control::filter,
        super::control::silences, super::control::add_silence, super::control::expire_silence,
        super::control::test_receiver, document
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Everywhere),
)]
pub(super) struct Document;

/// The document that `GET /api/openapi.json` answers with.
pub fn openapi() -> Value {
    // Maps, lists, texts and numbers: it always has a form in JSON.
    serde_json::to_value(Document::openapi()).unwrap_or_default()
}

/// An error (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ProblemDocument {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// The parameter, header or member that is wrong.
    #[schema(nullable = false)]
    field: Option<String>,
    /// What was found there.
    #[schema(nullable = false)]
    value: Option<String>,
    /// What may stand there: a sentence, or a list.
    #[schema(value_type = Option<Value>)]
    allowed: Option<Value>,
}

/// What every operation may answer.
struct Everywhere;

/// What every operation may answer beside its own, by status.
pub const ANYWHERE: [(&str, &str); 8] = [
    ("400", "the request cannot be understood; `field`, `value` and `allowed` say why"),
    ("401", "a user, or a token, is needed"),
    ("403", "this listener, or this page, may not"),
    ("413", "the body is too large"),
    ("415", "the body is not JSON"),
    ("421", "this is not a host that netmon answers for"),
    ("429", "too many wrong passwords from this address"),
    ("503", "not now: another query runs, or the answer took too long"),
];

impl Modify for Everywhere {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            operations.into_iter().flatten().for_each(complete);
        }
    }
}

fn complete(operation: &mut Operation) {
    for (status, description) in ANYWHERE {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| {
            RefOr::T(
                ResponseBuilder::new().description(description).content("application/problem+json", problem()).build(),
            )
        });
    }
    let problems = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5']));
    for (_, response) in problems {
        if let RefOr::T(response) = response {
            // The macro only knows JSON.
            response.content.clear();
            response.content.insert("application/problem+json".to_owned(), problem());
        }
    }
}

fn problem() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDocument"))).build()
}

#[utoipa::path(get, path = "/api/openapi.json", operation_id = "openapi", tag = "netmon",
    summary = "This document", responses((status = 200, body = Object)))]
pub(super) async fn document(uri: Uri) -> Answer {
    Parameters::read(&uri, &[])?;
    json(&Document::openapi())
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_has_a_route() {
        let document = Document::openapi();
        let mut described: Vec<_> = document.paths.paths.keys().map(String::as_str).collect();
        let mut served: Vec<_> = TABLE.iter().map(|(path, ..)| *path).collect();
        described.sort_unstable();
        served.sort_unstable();
        assert_eq!(described, served);
    }

    #[test]
    fn every_error_is_described_as_a_problem_document() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let is_error = status.starts_with(['4', '5']);
                    let content = response["content"].as_object();
                    let is_problem = content.is_some_and(|content| content.contains_key("application/problem+json"));
                    assert_eq!(is_problem, is_error, "{method} {path} {status}");
                }
                assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
            }
        }
    }
}
