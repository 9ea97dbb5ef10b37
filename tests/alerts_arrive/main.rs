//! Alerts from frames on a wire to whoever is told: through the daemon, its outbox, kills and silences.
//!
//! Needs root for network namespaces, and says so where it is skipped. `ALERT_KILLS` makes the kills more.
#![cfg(target_os = "linux")]

#[path = "../receivers/alertmanager.rs"]
mod alertmanager;
#[path = "../receivers/checks.rs"]
mod checks;
#[path = "../rig/daemon.rs"]
#[expect(dead_code, reason = "shared with other tests, each of which uses a part")]
mod daemon;
#[path = "../notify/fate.rs"]
mod fate;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../receivers/server.rs"]
#[expect(dead_code, reason = "shared with other tests, each of which uses a part")]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod history;
mod hook;
mod kill;
mod kinds;
mod latency;
mod place;
mod silences;

use std::time::Duration;

/// How long anything may take to arrive on a machine that is busy.
const SOON: Duration = Duration::from_secs(30);
