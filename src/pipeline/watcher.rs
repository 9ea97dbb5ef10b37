//! Who must see every tick.

use crate::stats::Snapshot;
use crate::time::{Step, Tick};
use std::sync::Arc;

/// Sees the picture of every tick, in packet time and in order: alert rules, the history.
///
/// Called in the collector's thread: it must be quick, and live it never waits for anything. In replay a tick without
/// frames is shown until all windows are empty and as far as [`Watcher::deadline`] asks, then packet time jumps to the
/// next frame; the same frames give the same calls for any number of shards and at any pace. Live the wall clock brings
/// a tick every 100 ms; when the collector was held up, several go by in one call.
///
/// The owner learns of the end when the collector drops it.
pub trait Watcher: std::fmt::Debug + Send {
    /// The picture at the end of a tick.
    fn picture(&mut self, snapshot: &Arc<Snapshot>);

    /// The packet clock jumped; the next picture is at or after `step.to` and has empty windows.
    fn step(&mut self, step: Step);

    /// The last tick whose picture it needs even if nothing happens until then.
    fn deadline(&self) -> Option<Tick>;
}
