//! Capture truth on a wire of its own: nothing is lost silently, bytes and tags are what was sent, interfaces may come and
//! go, and a flood costs what the configuration says.
//!
//! The tests need root for network namespaces and say so where they are skipped. With `SOAK` in the environment each runs
//! its long form and prints figures (`make soak`). The identity they hold netmon to is in `rig/ledger.rs`.
#![cfg(target_os = "linux")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

mod bulk;
mod flood;
mod interface;
mod losses;
mod tags;

use std::fmt::Display;

/// What every test here uses.
const TOOLS: &[&str] = &["ip", "curl", "python3"];

/// Makes a test for each backend out of a function that takes its name.
macro_rules! with_each_backend {
    ($($claim:ident),+ $(,)?) => {
        mod pcap {
            $(#[test]
            fn $claim() {
                super::$claim("pcap");
            })+
        }

        mod raw {
            $(#[test]
            fn $claim() {
                super::$claim("raw");
            })+
        }
    };
}
use with_each_backend;

/// The short form for every run of the tests, or the long one.
fn short_or_soak<T>(short: T, soak: T) -> T {
    if is_soak() { soak } else { short }
}

fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// A line for who reads the output of `make soak`.
fn figure(what: &str, value: impl Display) {
    println!("figure: {what}: {value}");
}
