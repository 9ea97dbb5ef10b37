//! The committed dashboards, and their queries as Grafana would send them.

use crate::boards;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The dashboards as committed, in order of their names.
pub fn dashboards() -> Vec<Value> {
    let entries = std::fs::read_dir(project(boards::DIRECTORY)).expect("there are dashboards");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a dashboard can be read");
    paths.iter().map(|path| serde_json::from_str(&read(path)).expect("a dashboard is JSON")).collect()
}

/// One query of a panel.
#[derive(Clone)]
pub struct Asked {
    pub board: String,
    pub panel: String,
    pub panel_id: u64,
    pub reference: String,
    /// With Grafana's variables.
    pub written: String,
    /// Only the last values are asked for.
    pub instant: bool,
}

/// Every query of every panel.
pub fn asked() -> Vec<Asked> {
    dashboards().iter().flat_map(of_board).collect()
}

fn of_board(board: &Value) -> Vec<Asked> {
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let asked = |target: &Value| Asked {
            board: text(&board["uid"]),
            panel: text(&panel["title"]),
            panel_id: panel["id"].as_u64().expect("panels are numbered"),
            reference: text(&target["refId"]),
            written: text(&target["expr"]),
            instant: target["instant"].as_bool().expect("it says whether it is instant"),
        };
        targets.iter().map(asked).collect::<Vec<_>>()
    };
    board["panels"].as_array().expect("there are panels").iter().flat_map(of_panel).collect()
}

/// What stands for the variables.
pub struct Choices<'a> {
    pub job: &'a str,
    pub instance: &'a str,
    pub interface: &'a str,
    /// Seconds that are shown.
    pub range: u64,
    /// Seconds between points.
    pub step: u64,
    /// Seconds between scrapes.
    pub scrape: u64,
}

impl Choices<'_> {
    /// The query that Prometheus gets. The window of rates is that of Grafana: an interval and a scrape, or four scrapes.
    pub fn fill(&self, written: &str) -> String {
        let rate = (self.step + self.scrape).max(4 * self.scrape);
        let filled = written
            .replace("$__rate_interval", &format!("{rate}s"))
            .replace("$__range", &format!("{}s", self.range))
            .replace("$job", self.job)
            .replace("$instance", self.instance)
            .replace("$interface", self.interface);
        assert!(!filled.contains('$'), "a variable has no value: {filled}");
        filled
    }
}
