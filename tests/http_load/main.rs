//! Whoever connects costs a connection and some time, and never a frame: crowds, scrapers, streams and guesses against the
//! built program, with traffic beside them.
//!
//! The tests need root for network namespaces and say so where they are skipped. With `SOAK` in the environment each runs
//! its long form; both print figures. Clients live in the generator's namespace, in threads of the test.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "clients outside of the program go by the machine's clock")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod client;
mod crowd;
mod guesses;
mod queries;
mod scrapers;
mod server;
mod streams;
mod times;

use std::fmt::Display;

/// What every test here uses.
const TOOLS: &[&str] = &["ip", "curl"];

/// The short form for every run of the tests, or the long one.
fn short_or_soak<T>(short: T, soak: T) -> T {
    if std::env::var_os("SOAK").is_some() { soak } else { short }
}

/// A line for who reads the output.
fn figure(what: &str, value: impl Display) {
    println!("figure: {what}: {value}");
}
