//! `api.md`: every route, from the OpenAPI document.

use super::markdown::{code, heading, page, paragraph, table};
use crate::http::{ROUTES, openapi};
use serde_json::{Map, Value as Json};

const ABOUT: &str = "Every route, made from the document that `GET /api/openapi.json` answers with, which programs should read. Bytes are \
wire bytes; times are RFC 3339 in UTC. Unknown parameters are refused, and every error is a problem document \
(`application/problem+json`).";

/// The page.
pub(super) fn reference() -> String {
    let document = openapi();
    let mut out = page("HTTP API", ABOUT);
    heading(&mut out, 2, "Beside the API");
    let plain = ROUTES.map(|(path, about)| [code(&format!("GET {path}")), about.to_owned()]);
    table(&mut out, ["route", "answer"], &plain);
    let operations = operations(&document);
    heading(&mut out, 2, "Routes");
    let rows: Vec<_> = operations.iter().map(|(route, operation)| [code(route), text(&operation["summary"])]).collect();
    table(&mut out, ["route", "what it does"], &rows);
    operations.iter().for_each(|(route, operation)| section(&mut out, route, operation));
    heading(&mut out, 2, "Documents");
    let schemas = object(&document["components"]["schemas"]);
    schemas.for_each(|(name, schema)| document_of(&mut out, name, schema));
    out
}

/// `GET /path` and what is said of it, by path.
fn operations(document: &Json) -> Vec<(String, &Json)> {
    let methods =
        |(path, item)| object(item).map(move |(method, of)| (format!("{} {path}", method.to_uppercase()), of));
    object(&document["paths"]).flat_map(methods).collect()
}

fn section(out: &mut String, route: &str, operation: &Json) {
    heading(out, 3, &code(route));
    let about = format!("{}. {}", text(&operation["summary"]), text(&operation["description"]));
    paragraph(out, about.trim_end());
    let parameters: Vec<_> = items(&operation["parameters"]).map(parameter).collect();
    table(out, ["parameter", "in", "type", "meaning"], &parameters);
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        paragraph(out, &format!("The body is {}.", kind(body)));
    }
    let answers: Vec<_> = object(&operation["responses"]).map(answer).collect();
    let (said, common): (Vec<_>, Vec<_>) = answers.into_iter().partition(|[_, _, meaning]| !is_common(meaning));
    table(out, ["answer", "body", "meaning"], &said);
    let codes: Vec<&str> = common.iter().map(|[status, ..]| status.as_str()).collect();
    if !codes.is_empty() {
        paragraph(out, &format!("Also {}, as everywhere.", codes.join(", ")));
    }
}

/// What every operation may answer is said once, in the problem documents' own section.
fn is_common(meaning: &str) -> bool {
    crate::http::ANYWHERE.iter().any(|(_, known)| *known == meaning)
}

fn parameter(parameter: &Json) -> [String; 4] {
    let required = if parameter["required"] == true && parameter["in"] != "path" { " (required)" } else { "" };
    let meaning = format!("{}{required}", text(&parameter["description"]));
    [code(&text(&parameter["name"])), text(&parameter["in"]), kind(&parameter["schema"]), meaning]
}

fn answer((status, response): (&String, &Json)) -> [String; 3] {
    let body = object(&response["content"]).map(|(_, content)| kind(&content["schema"])).next();
    [status.clone(), body.unwrap_or_default(), text(&response["description"])]
}

fn document_of(out: &mut String, name: &str, schema: &Json) {
    heading(out, 3, name);
    paragraph(out, &text(&schema["description"]));
    if name == "ProblemDocument" {
        let rows = crate::http::ANYWHERE.map(|(status, meaning)| [status.to_owned(), meaning.to_owned()]);
        table(out, ["answer", "meaning, everywhere"], &rows);
    }
    let members: Vec<_> = object(&schema["properties"])
        .map(|(name, schema)| [code(name), kind(schema), text(&schema["description"])])
        .collect();
    table(out, ["member", "type", "meaning"], &members);
}

/// A type in words, with links to documents. The depth is that of the document.
fn kind(schema: &Json) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let any = items(&schema["oneOf"]).chain(items(&schema["anyOf"])).chain(items(&schema["allOf"]));
    let any: Vec<String> = any.map(kind).collect();
    if !any.is_empty() {
        return any.join(" or ");
    }
    let named = match &schema["type"] {
        Json::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        name => text(name),
    };
    if named.starts_with("array") {
        return format!("list of {}{}", kind(&schema["items"]), named.trim_start_matches("array"));
    }
    let values = &schema["additionalProperties"];
    if values.is_object() { format!("map of {}", kind(values)) } else { named + &range(schema) }
}

fn range(schema: &Json) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (least, most) if most.is_number() => format!(", {least} to {most}"),
        _ => String::new(),
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ")
}

fn items(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn object(value: &Json) -> impl Iterator<Item = (&String, &Json)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
