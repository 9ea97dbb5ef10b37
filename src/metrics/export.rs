//! What the exports of flows say of themselves, as it becomes series.

use std::fmt;

/// Records that left and records that were lost, by reason; `None` where nothing of the kind is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportState {
    /// Data records of IPFIX, to all collectors together.
    pub ipfix: Option<(u64, [u64; LOSS_REASONS.len()])>,
    /// Lines of the flow log.
    pub flow_log: Option<(u64, [u64; LOSS_REASONS.len()])>,
}

/// Values of the `reason` label of lost records.
pub const LOSS_REASONS: [&str; 3] = ["queue_full", "write", "shutdown"];

/// Asks the exports how they fare.
pub(super) struct ExportSource(Box<dyn Fn() -> ExportState + Send + Sync>);

impl ExportSource {
    pub(super) fn new(ask: impl Fn() -> ExportState + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn ask(&self) -> ExportState {
        (self.0)()
    }
}

impl fmt::Debug for ExportSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportSource")
    }
}
