//! The rules that netmon ships: each is run by the program it is for, and speaks only of what netmon exports.
#![cfg(target_os = "linux")]

#[path = "../rig/daemon.rs"]
#[expect(dead_code, reason = "a part of it is used here")]
mod daemon;
#[path = "../exposition/reader.rs"]
#[expect(dead_code, reason = "a part of it is used here")]
mod reader;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../exposition/snapshots.rs"]
#[expect(dead_code, reason = "a part of it is used here")]
mod snapshots;
#[path = "../support/mod.rs"]
mod support;

mod daemon_alerts;
mod exported;
mod files;
mod live;
mod netmon;
mod prometheus;
