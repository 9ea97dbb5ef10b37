//! What Prometheus says to a query.

use crate::rig::{Namespace, START};
use crate::scene::PROMETHEUS;
use crate::support::running::wait_until;
use serde_json::{Value, json};

/// The series of an answer, each with its samples.
#[derive(Clone, Debug)]
pub struct Answer(Vec<Value>);

impl Answer {
    /// To a query over a time, in seconds of Unix time.
    pub fn over(namespace: &Namespace, query: &str, [start, end]: [u64; 2], step: u64) -> Self {
        let span = [format!("start={start}"), format!("end={end}"), format!("step={step}")];
        Self::of(&ask(namespace, "query_range", query, &span))
    }

    /// To a query at one time.
    pub fn at(namespace: &Namespace, query: &str, time: u64) -> Self {
        Self::of(&ask(namespace, "query", query, &[format!("time={time}")]))
    }

    fn of(answer: &Value) -> Self {
        Self(answer["data"]["result"].as_array().expect("an answer has a result").clone())
    }

    /// Every sample of every series.
    pub fn values(&self) -> Vec<f64> {
        let of_series = |series: &Value| {
            let points = series["values"].as_array().cloned().unwrap_or_else(|| vec![series["value"].clone()]);
            points
                .iter()
                .map(|point| point[1].as_str().expect("a value is text").parse::<f64>().expect("a number"))
                .collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_series).collect()
    }

    /// The series as Prometheus gave them.
    pub fn series(&self) -> Value {
        json!(self.0)
    }
}

/// The answer at a path of the API, which has to be a good one.
pub fn ask(namespace: &Namespace, path: &str, query: &str, more: &[String]) -> Value {
    let url = format!("http://{PROMETHEUS}/api/v1/{path}");
    let fields: Vec<String> = std::iter::once(format!("query={query}")).chain(more.iter().cloned()).collect();
    let options: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field]).collect();
    let options = [&["--get"][..], &options].concat();
    let answer = wait_until(&format!("an answer to {query}"), START, || namespace.get(&url, &options));
    let answer: Value = serde_json::from_str(&answer).expect("Prometheus answers JSON");
    assert_eq!(answer["status"], "success", "{query}");
    answer
}
