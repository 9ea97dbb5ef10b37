//! The dashboards: that they are what the catalogue makes, and that every query has an answer from a real Prometheus that
//! scrapes a real netmon under mixed traffic.
#![cfg(target_os = "linux")]

#[path = "../../examples/dashboards/boards/mod.rs"]
mod boards;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod committed;
mod documents;
mod expected;
mod live;
mod scene;
