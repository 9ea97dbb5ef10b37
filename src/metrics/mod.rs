//! `/metrics`: every family declared once, rendered from one snapshot as OpenMetrics 1.0 or text 0.0.4.
//!
//! The catalogue is a table. A family's series are the product of its label sets, so both encoders, the order of
//! series, the initial zeros and the worst case follow from the same rows. What is not available makes no series.
//! Rendering reads no clock and no file; [`Exporter`] adds what the process knows of itself.
//!
//! ```
//! use netmon::metrics::{Exposition, Form, Scope, SelfState};
//! use std::sync::Arc;
//!
//! let exposition = Exposition::new(&netmon::stats::Config::default());
//! let page = exposition.render(&Arc::default(), &SelfState::default(), Form::OpenMetrics, Scope::Packets);
//! assert!(page.ends_with("# EOF\n"));
//! ```

mod catalogue;
mod decimal;
mod describe;
mod exporter;
mod family;
mod history;
mod notifications;
mod openmetrics;
mod process;
mod settings;
mod text;
mod view;

#[cfg(test)]
mod tests;

pub use describe::{Described, described};
pub use exporter::Exporter;
pub use history::{HistoryState, PRUNE_REASONS, TIERS, WRITE_BOUNDS};
pub use notifications::{
    DROP_REASONS, FAILURE_REASONS, MAX_RECEIVERS, NOTIFICATION_BOUNDS, NotificationState, ReceiverState,
};
pub use process::{
    BuildInfo, Confined, EVALUATION_BOUNDS, HttpFacts, HttpRequests, LAYERS, Privileges, Process, ProcessFiles,
    RENDER_BOUNDS, Reloads, SelfState,
};

use crate::alert;
use crate::stats::{Config, Snapshot};
use family::{Basis, Family};
use settings::Settings;
use std::fmt;
use std::sync::Arc;
use view::View;

/// Text form of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0 with exemplars, without creation times.
    OpenMetrics,
}

/// Which families are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that are declared.
    All,
    /// Only those that depend on packets and configuration alone: the same file gives the same bytes.
    Packets,
}

/// The families that a configuration declares, ready to be rendered. Made anew by a reload.
#[derive(Clone, Debug)]
pub struct Exposition {
    settings: Arc<Settings>,
}

impl Exposition {
    /// The exposition under `config`.
    pub fn new(config: &Config) -> Self {
        Self::with_alerts(config, &alert::Config::default())
    }

    /// The exposition under `config` with these rules.
    pub fn with_alerts(config: &Config, alerts: &alert::Config) -> Self {
        Self { settings: Arc::new(Settings::new(config, alerts)) }
    }

    /// Renders one page. Families, series and labels always come in the same order.
    ///
    /// Costs about 0.2 µs for each sample line; the page has at most [`Exposition::series_limit`] of them.
    pub fn render(&self, snapshot: &Arc<Snapshot>, own: &SelfState, form: Form, scope: Scope) -> String {
        let families = || self.settings.families().filter(move |family| scope.has(family));
        let mut view = View::new(&self.settings, snapshot, own);
        view.series = view.count(families());
        let mut page = String::with_capacity(usize::try_from(view.series).unwrap_or(0).saturating_mul(BYTES_PER_LINE));
        let rendered = match form {
            Form::Text => families().try_for_each(|family| text::encode(&mut page, family, &view)),
            Form::OpenMetrics => open_metrics(&mut page, families(), view),
        };
        // Writing to a string cannot fail, and every row of the catalogue has values of its own type (tested).
        debug_assert!(rendered.is_ok());
        page
    }

    /// The most sample lines a page can have: for each family the product of its label sets and caps.
    pub fn series_limit(&self) -> u64 {
        self.settings.series_limit()
    }

    /// [`Exposition::series_limit`] by group of families, for people who size their Prometheus.
    pub fn series_limit_by_group(&self) -> Vec<(&'static str, u64)> {
        let limit = |families: &[&'static Family]| view::limit(&self.settings, families.iter().copied());
        self.settings.groups.iter().map(|(group, families)| (*group, limit(families))).collect()
    }
}

/// About the length of a sample line.
const BYTES_PER_LINE: usize = 100;

fn open_metrics(page: &mut String, mut families: impl Iterator<Item = &'static Family>, view: View) -> fmt::Result {
    let view = Arc::new(view);
    families.try_for_each(|family| openmetrics::encode(page, family, &view))?;
    openmetrics::finish(page)
}

impl Scope {
    fn has(self, family: &Family) -> bool {
        self == Self::All || family.basis == Basis::Packets
    }
}
