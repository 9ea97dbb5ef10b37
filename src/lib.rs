//! netmon: a real-time network monitor. This crate is built room by room; the map of the whole comes with the wiring.

pub mod capture;
pub mod config;
pub mod flow;
pub mod http;
pub mod metrics;
pub mod packet;
pub mod pipeline;
pub mod stats;
pub mod telemetry;
pub mod time;
