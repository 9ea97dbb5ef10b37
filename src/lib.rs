//! netmon: a real-time network monitor that tells the truth about the traffic of a host, a container or a mirror port.
//!
//! This page is the map of the house; `design.md` has the reasons. The middle is a pure machine: a timestamp and some
//! bytes go in, counts and events come out. It reads no clock and opens no socket. Libpcap, files, HTTP and the wall
//! clock live at the edge, one room each. Live capture and replay run the same machine; only the source of frames and
//! the clock differ, so every claim can be tested with a file.
//!
//! ```text
//!  capture ─▶ pipeline::Dealer ─▶ pipeline::Shard ─▶ pipeline::Collector ─▶ Arc<Snapshot> ─▶ metrics, http
//!  Adapter    packet clock,       ConnectionTracker,  StatsAggregator,
//!             packet::parse       Tally               windows
//! ```
//!
//! The core, which imports only what stands above it here:
//!
//! - [`time`]: packet time, the 100 ms grid, the packet clock.
//! - [`packet`]: what a frame is, and what could be read of it.
//! - [`flow`]: biflows, TCP's life and health, the bounded table.
//! - [`stats`]: tallies, rolling windows, talkers, the snapshot.
//! - [`alert`]: rules over snapshots, and the alerts they raise.
//!
//! The edges, which import the core and never each other:
//!
//! - [`capture`]: libpcap handles, capture files, filters, the interfaces of this machine.
//! - [`metrics`]: every metric family, in both text formats.
//! - [`http`]: the server.
//! - [`history`]: what was counted, kept in a file.
//! - [`export`]: flows that leave: IPFIX, and a log of JSON lines.
//! - [`otlp`]: metrics and spans, pushed to a collector.
//! - [`notify`]: notifications of alerts: a durable outbox, silences, receivers.
//! - [`telemetry`]: netmon's own log and spans.
//! - [`privilege`]: what is given up before the first thread starts.
//!
//! Between them: [`pipeline`] (threads and queues from an adapter to a snapshot), [`config`] (the YAML file and what it
//! means), [`lookback`] (questions to the history and the documents that answer them), [`app`] (the wiring of the daemon) and [`cli`] (what people type).

pub mod alert;
pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod export;
pub mod flow;
pub mod history;
pub mod http;
pub mod lookback;
pub mod metrics;
pub mod notify;
pub mod otlp;
pub mod packet;
pub mod pipeline;
pub mod privilege;
pub mod stats;
pub mod telemetry;
pub mod time;
