//! The parameters of a query string: known ones only, each once, each checked.

use crate::http::problem::{Problem, cut};
use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use serde_json::json;

/// The parameters of one request.
#[derive(Debug)]
pub(in crate::http) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them; `known` are the names that may be there.
    ///
    /// # Errors
    /// A problem that names the parameter that is unknown, or is there twice.
    pub(in crate::http) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "the query string cannot be read"));
        };
        for (n, (name, _)) in given.iter().enumerate() {
            let name = cut(name);
            if !known.contains(&name.as_str()) {
                let detail = format!("there is no parameter `{name}`");
                let problem = Problem::new(StatusCode::BAD_REQUEST, detail);
                return Err(problem.with("field", name.into()).with("allowed", json!(known)));
            }
            if given[..n].iter().any(|(earlier, _)| *earlier == name) {
                let detail = format!("the parameter `{name}` is there more than once");
                return Err(Problem::new(StatusCode::BAD_REQUEST, detail).with("field", name.into()));
            }
        }
        Ok(Self(given))
    }

    /// The text of a parameter.
    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// By name.
    pub(in crate::http) fn into_map(self) -> std::collections::BTreeMap<String, String> {
        self.0.into_iter().collect()
    }

    /// A parameter as `parse` reads it; `allowed` is what may be there, as a problem says it.
    pub(in crate::http) fn parsed<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| Problem::invalid(name, text, allowed))
    }

    /// A whole number in a range.
    pub(in crate::http) fn number(
        &self,
        name: &str,
        least: usize,
        most: usize,
        default: usize,
    ) -> Result<usize, Problem> {
        let allowed = format!("{least} to {most} (default {default})");
        let parse = |text: &str| digits(text).filter(|number| (least..=most).contains(number));
        Ok(self.parsed(name, &allowed, parse)?.unwrap_or(default))
    }

    /// One of a closed set.
    pub(in crate::http) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let find = |text: &str| choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        self.parsed(name, &names.join(", "), find)
    }

    /// Whether the least comes first.
    pub(in crate::http) fn is_ascending(&self) -> Result<Option<bool>, Problem> {
        self.choice("order", &[("desc", false), ("asc", true)])
    }
}

/// Only digits: no sign, no blank.
pub(in crate::http) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A page of a list that fits in memory: the rows from a position on, and the cursor of the next page.
pub(in crate::http) fn page<T>(rows: Vec<T>, from: usize, limit: usize) -> (Vec<T>, Option<String>) {
    let next = from.saturating_add(limit);
    let cursor = (next < rows.len()).then(|| next.to_string());
    (rows.into_iter().skip(from).take(limit).collect(), cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    fn status(uri: &str) -> Result<usize, u16> {
        let uri: Uri = uri.parse().unwrap();
        Parameters::read(&uri, &["limit", "order"])
            .and_then(|given| given.number("limit", 1, 100, 20))
            .map_err(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn a_number_is_in_its_range_or_refused() {
        assert_eq!(status("/x"), Ok(20));
        assert_eq!(status("/x?limit=7"), Ok(7));
        for bad in ["0", "101", "-1", "+5", "", "1e2", "99999999999999999999"] {
            assert_eq!(status(&format!("/x?limit={bad}")), Err(400), "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        assert_eq!(status("/x?limt=7"), Err(400));
        assert_eq!(status("/x?limit=7&limit=8"), Err(400));
        assert_eq!(status("/x?limit=7&order=asc"), Ok(7));
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let rows: Vec<u32> = (0..7).collect();
        assert_eq!(page(rows.clone(), 0, 3), (vec![0, 1, 2], Some("3".into())));
        assert_eq!(page(rows.clone(), 6, 3), (vec![6], None));
        assert_eq!(page(rows, 9, 3), (vec![], None));
    }
}
