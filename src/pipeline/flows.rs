//! Which flows a replay keeps for its report: all of them, or the largest few in a bounded heap.

use crate::flow::{Best, FlowRecord};
use std::cmp::Reverse;

/// How many flows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// One compact record for every flow; memory grows with the number of flows.
    All,
    /// The largest by bytes.
    Largest(usize),
}

/// Flows for a report, which has them by bytes ([`FlowRecord::rank`]).
#[derive(Debug)]
pub enum Selection {
    /// Every flow.
    All(Vec<FlowRecord>),
    /// The largest, at most so many.
    Largest(usize, Best),
}

impl Selection {
    /// An empty selection.
    pub fn new(keep: Keep) -> Self {
        match keep {
            Keep::All => Self::All(Vec::new()),
            Keep::Largest(most) => Self::Largest(most, Best::new()),
        }
    }

    /// Offers a record.
    pub fn offer(&mut self, record: &FlowRecord) {
        match self {
            Self::All(records) => records.push(*record),
            Self::Largest(most, best) => best.offer_by_bytes(*most, record),
        }
    }

    /// Everything that was kept, in the order of reports; several selections of one run come out as one list.
    pub fn into_report(selections: Vec<Self>, keep: Keep) -> Vec<FlowRecord> {
        let (mut all, mut largest) = (Vec::new(), Best::new());
        for selection in selections {
            match selection {
                Self::All(mut records) => all.append(&mut records),
                Self::Largest(most, best) => largest.merge(most, best),
            }
        }
        all.sort_unstable_by_key(|record| Reverse(record.rank(record.bytes())));
        match keep {
            Keep::All => all,
            Keep::Largest(_) => largest.into_rows(),
        }
    }
}
