//! The history under real processes, real kills and real full disks; and the store of an earlier version.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod full;
mod kept;
#[cfg(unix)]
mod kill;
mod seconds;

/// For bounds on how long something takes.
#[expect(clippy::disallowed_methods, reason = "a test measures")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
