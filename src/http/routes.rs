//! The routes and their answers.

use super::guard;
use super::health::Complaint;
use super::negotiate;
use super::page::Pages;
use super::problem::Problem;
use super::stream::Streams;
use super::{Sources, api, web};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

/// What exists beside the API and the page, with a line about it.
pub const ROUTES: [(&str, &str); 3] = [
    ("/metrics", "Prometheus text format, or OpenMetrics by Accept"),
    ("/healthz", "whether every thread has moved lately"),
    ("/readyz", "whether everything is open and counting"),
];

/// All that answers, but for the page.
fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.into_iter().chain(api::TABLE.iter().map(|(path, about, _)| (*path, *about)))
}

/// What handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub sources: Sources,
    pub pages: Pages,
    pub results: api::flows::Results,
    pub streams: Streams,
}

impl Shared {
    pub(super) fn new(sources: Sources) -> Self {
        let (clients, dropped) = sources.requests.of_streams();
        let streams = Streams::new(clients, dropped);
        Self { sources, pages: Pages::default(), results: Default::default(), streams }
    }
}

/// All routes behind the guard.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let api = api::TABLE.iter().fold(Router::new(), |router, (path, _, serve)| router.route(path, serve()));
    api.route("/", get(web::page))
        .route("/assets/{name}", get(asset))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(usize::try_from(super::MAX_BODY_BYTES).unwrap_or(usize::MAX)))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), guard::guard))
        .with_state(Arc::clone(shared))
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let offer = negotiate::form(&headers);
    let gzip = negotiate::accepts_gzip(&headers);
    let page = shared.pages.page(&shared.sources, offer.form, gzip).await;
    let headers = [(CONTENT_TYPE, offer.content_type), (VARY, "Accept, Accept-Encoding")];
    let mut response = (headers, page).into_response();
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    verdict("live", &shared.sources.health.stalled())
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    verdict("ready", &shared.sources.health.unready())
}

fn verdict(good: &str, complaints: &[Complaint]) -> Response {
    if complaints.is_empty() {
        return json_response(&json!({ "status": good }));
    }
    let detail: Vec<_> = complaints.iter().map(|of| format!("{}: {}", of.part, of.problem)).collect();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail.join("; ")).with("parts", json!(complaints)).into_response()
}

/// For programs, but people read it too.
fn json_response(document: &serde_json::Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], format!("{document:#}\n")).into_response()
}

async fn asset(name: Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    match web::asset(&name, &headers) {
        Some(response) => response,
        None => not_found(uri).await.into_response(),
    }
}

async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let known: Vec<_> = std::iter::once("/").chain(routes().map(|(path, _)| path)).collect();
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at `{path}`")).with("routes", json!(known))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let method: String = method.as_str().chars().take(20).collect();
    let detail = format!("`{}` does not take {method}", uri.path());
    // The router adds the Allow header.
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
