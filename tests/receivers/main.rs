//! Receivers as their documentation describes them, real ones, and hostile ones.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![cfg(unix)]

mod alertmanager;
mod canaries;
mod checks;
mod cluster;
mod documents;
mod hostile;
mod messages;
#[path = "../rig/mod.rs"]
mod rig;
mod sample;
mod secrets;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tls;
