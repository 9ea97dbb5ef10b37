//! `GET /api/v1/history/{kind}`.

use super::parameters::Parameters;
use super::{Answer, ask, json, not_in_use};
use crate::http::problem::{Problem, cut};
use crate::http::rooms::{HistoryKind, HistoryQuery};
use crate::http::routes::Shared;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use std::sync::Arc;

#[utoipa::path(get, path = "/api/v1/history/{kind}", operation_id = "history", tag = "history",
    summary = "What was: bandwidth, protocols, ended flows, hosts, totals, alert events, percentiles",
    params(
        ("kind" = inline(HistoryKind), Path, description = "what is asked for"),
        ("from" = Option<String>, Query, description = "RFC 3339, a date, Unix seconds, or back from now: `-1h` (default). Not of info"),
        ("to" = Option<String>, Query, description = "the same; now if left out. Not of info"),
        ("step" = Option<String>, Query, description = "such as `60s`: of a point in bandwidth and protocols, of a sample in percentile"),
        ("tier" = Option<String>, Query, description = "`1s`, `10s`, `60s` or `1h`, and no other is read. Of bandwidth and protocols"),
        ("per" = Option<String>, Query, description = "`hour`, `day` (default) or `month`. Of totals"),
        ("interface" = Option<String>, Query, description = "only this one. Not of alerts and info"),
        ("host" = Option<String>, Query, description = "only flows of this address. Of flows and hosts"),
        ("port" = Option<u16>, Query, description = "only flows with this port at either end. Of flows and hosts"),
        ("protocol" = Option<String>, Query, description = "only flows of this protocol, by name or number. Of flows and hosts"),
        ("alert" = Option<String>, Query, description = "only of this rule. Of alerts"),
        ("percentile" = Option<f64>, Query, description = "above 0, up to 100 (default 95). Of percentile"),
        ("rate" = Option<String>, Query, description = "whose exceeding is counted, such as `100Mbit/s`. Of percentile"),
        ("timezone" = Option<String>, Query, description = "of dates, days and months: a name such as `Europe/Berlin` (default UTC). Not of info"),
        ("limit" = Option<u32>, Query, description = "the most rows or points, 1 to 100000. Not of totals, percentile and info"),
    ),
    responses((status = 200, body = Object), (status = 404, body = super::ProblemDocument)))]
pub(super) async fn history(State(shared): State<Arc<Shared>>, Path(kind): Path<String>, uri: Uri) -> Answer {
    let Some((_, kind)) = HistoryKind::ALL.into_iter().find(|(name, _)| *name == kind) else {
        return Err(unknown(&kind));
    };
    let given = Parameters::read(&uri, &HistoryQuery::PARAMETERS)?;
    let query = HistoryQuery { kind, parameters: given.into_map() };
    let document = ask(&shared, move |shared| {
        let history = shared.sources.rooms.history.as_ref().ok_or_else(|| not_in_use("the history"))?;
        Ok(history(query)?)
    });
    json(&document.await?)
}

fn unknown(kind: &str) -> Problem {
    let kind = cut(kind);
    Problem::new(StatusCode::NOT_FOUND, format!("there is no history of `{kind}`"))
        .with("field", "kind".into())
        .with("value", kind.into())
        .with("allowed", serde_json::json!(HistoryKind::ALL.map(|(name, _)| name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::description::Document;
    use utoipa::OpenApi;

    #[test]
    fn the_description_has_every_part_and_every_parameter() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let described = document.pointer("/paths/~1api~1v1~1history~1{kind}/get/parameters").unwrap();
        let described = described.as_array().unwrap();
        let names: Vec<_> = described.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names[0], "kind");
        assert_eq!(names[1..], HistoryQuery::PARAMETERS);
        let kinds = serde_json::json!(HistoryKind::ALL.map(|(name, _)| name));
        assert_eq!(described[0]["schema"]["enum"], kinds, "{}", described[0]);
    }
}
