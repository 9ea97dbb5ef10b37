//! Which flows a replay keeps for its report: all of them, or the largest few in a bounded heap.

use crate::flow::{FlowKey, FlowRecord};
use crate::time::Timestamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// How many flows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// One compact record for every flow; memory grows with the number of flows.
    All,
    /// The largest by bytes.
    Largest(usize),
}

/// Flows in the order of reports: bytes descending, then first seen, then key.
#[derive(Debug)]
pub enum Selection {
    /// Every flow.
    All(Vec<FlowRecord>),
    /// The largest, the least of them on top.
    Largest(usize, BinaryHeap<Reverse<Ranked>>),
}

/// A record that compares by its place in the report; greater comes first.
#[derive(Clone, Copy, Debug)]
pub struct Ranked(FlowRecord);

type Rank = (u64, Reverse<Timestamp>, Reverse<FlowKey>, Reverse<Timestamp>);

impl Ranked {
    fn rank(&self) -> Rank {
        let stats = &self.0.stats;
        (self.0.bytes(), Reverse(stats.first_seen), Reverse(self.0.key), Reverse(stats.last_seen))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Selection {
    /// An empty selection.
    pub fn new(keep: Keep) -> Self {
        match keep {
            Keep::All => Self::All(Vec::new()),
            Keep::Largest(most) => Self::Largest(most, BinaryHeap::new()),
        }
    }

    /// Offers a record.
    pub fn offer(&mut self, record: &FlowRecord) {
        match self {
            Self::All(records) => records.push(*record),
            Self::Largest(most, heap) => {
                if heap.len() < *most {
                    heap.push(Reverse(Ranked(*record)));
                } else if let Some(mut least) = heap.peek_mut()
                    && least.0 < Ranked(*record)
                {
                    *least = Reverse(Ranked(*record));
                }
            }
        }
    }

    /// Everything that was kept, in the order of reports; several selections of one run come out as one list.
    pub fn into_report(selections: Vec<Self>, keep: Keep) -> Vec<FlowRecord> {
        let mut ranked: Vec<Ranked> = Vec::new();
        for selection in selections {
            match selection {
                Self::All(records) => ranked.extend(records.into_iter().map(Ranked)),
                Self::Largest(_, heap) => ranked.extend(heap.into_iter().map(|Reverse(ranked)| ranked)),
            }
        }
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        if let Keep::Largest(most) = keep {
            ranked.truncate(most);
        }
        ranked.into_iter().map(|Ranked(record)| record).collect()
    }
}
