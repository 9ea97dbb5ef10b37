//! The dashboards: what each shows, and how Grafana wants it written.

mod alerts;
mod board;
mod capture;
mod fleet;
mod host;
mod own;
mod panel;
mod query;
mod tcp;

pub use board::Board;

/// Where the documents are, below the project.
pub const DIRECTORY: &str = "dashboards/grafana";

/// Every dashboard.
pub fn all() -> Vec<Board> {
    vec![fleet::board(), host::board(), tcp::board(), capture::board(), alerts::board(), own::board()]
}

/// The families of the catalogue that no dashboard asks for.
pub fn not_shown() -> Vec<&'static str> {
    let boards = all();
    let is_shown = |name: &str| boards.iter().flat_map(Board::families).any(|family| family.name == name);
    netmon::metrics::families().map(|family| family.name).filter(|name| !is_shown(name)).collect()
}
