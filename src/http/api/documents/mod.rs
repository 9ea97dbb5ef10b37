//! The documents that the API answers with: types whose form is the contract, made from snapshots.
//!
//! Bytes are wire bytes. Times are RFC 3339 in UTC with nine digits; durations are in seconds. What is not available is
//! null, never 0. Every list has a stable order.

mod capture;
mod flow;
mod interface;
mod talkers;
mod tcp;

pub(in crate::http) use capture::{Capture, Losses, ParseError, parse_errors};
pub(in crate::http) use flow::Flow;
pub(in crate::http) use interface::Interface;
pub(in crate::http) use talkers::{KINDS, TalkerList, window_name};

use crate::stats;
use crate::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Frames and their wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct Volume {
    pub packets: u64,
    pub bytes: u64,
}

impl From<stats::Volume> for Volume {
    fn from(volume: stats::Volume) -> Self {
        Self { packets: volume.packets, bytes: volume.bytes }
    }
}

/// A count for each direction.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct Counts {
    pub receive: u64,
    pub transmit: u64,
}

impl From<[u64; 2]> for Counts {
    fn from([receive, transmit]: [u64; 2]) -> Self {
        Self { receive, transmit }
    }
}

/// Counts by name.
pub(in crate::http) type Named = BTreeMap<&'static str, u64>;

pub(in crate::http) fn named<const N: usize>(names: [&'static str; N], counts: [u64; N]) -> Named {
    names.into_iter().zip(counts).collect()
}

pub(in crate::http) fn text(time: Timestamp) -> String {
    time.to_string()
}
