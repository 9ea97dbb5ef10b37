//! The notification engine as processes that are killed, receivers that fail in every way, and disks that are full or
//! damaged. What receivers saw is told by receivers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod disk;
mod engine;
mod fate;
mod kill;
mod ledger;
mod pace;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tests that look at time, or use the disk all the time, do not run side by side.
fn quiet() -> MutexGuard<'static, ()> {
    static QUIET: Mutex<()> = Mutex::new(());
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}
