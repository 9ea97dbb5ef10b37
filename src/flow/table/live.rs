//! A flow where it is in the table.

use super::Table;
use crate::flow::query::FlowView;
use crate::flow::{FlowKey, FlowRecord, State};
use crate::time::Timestamp;

/// A live record in its place. Each question reads what it needs and no more: of a million flows, a search wants a
/// number or two of nearly all.
#[derive(Clone, Copy, Debug)]
pub struct LiveFlow<'a> {
    pub(super) table: &'a Table,
    pub(super) slot: u32,
}

impl FlowView for LiveFlow<'_> {
    fn key(&self) -> FlowKey {
        self.table.key(self.slot)
    }

    fn state(&self) -> State {
        self.table.records[self.slot as usize].state
    }

    #[inline]
    fn bytes(&self) -> u64 {
        let slot = self.slot as usize;
        self.table.totals[slot].iter().sum::<u64>() + self.table.records[slot].bytes()
    }

    fn packets(&self) -> u64 {
        let slot = self.slot as usize;
        self.table.rests[slot].packets.iter().sum::<u64>() + self.table.records[slot].packets()
    }

    fn first_seen(&self) -> Timestamp {
        self.table.rests[self.slot as usize].first_seen
    }

    fn last_seen(&self) -> Timestamp {
        self.table.records[self.slot as usize].last_seen
    }

    fn record(&self) -> FlowRecord {
        self.table.read(self.slot, self.table.records[self.slot as usize].end_reason_so_far())
    }
}
