//! Signals as flags: what the system says in the middle of anything is looked at when there is time.

use super::Failure;
use anyhow::Context;
#[cfg(unix)]
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What was asked for by signals.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Set by the first SIGINT or SIGTERM (Windows: console event). A second one ends the process at once with code 1, whatever it is doing: the
    /// handler itself does it.
    pub stop: Arc<AtomicBool>,
    /// Set by SIGHUP, to be cleared by who reads the configuration again. Many in a row are one.
    pub reload: Arc<AtomicBool>,
}

impl Signals {
    /// For a command: SIGHUP keeps its usual meaning, the end.
    pub(super) fn of_command() -> Result<Self, Failure> {
        let signals = Self::default();
        handled(on_stop(&signals.stop))?;
        Ok(signals)
    }

    /// For what is shown on a terminal: a terminal that goes away (SIGHUP) is a stop too.
    pub(super) fn of_terminal() -> Result<Self, Failure> {
        let signals = Self::of_command()?;
        #[cfg(unix)]
        handled(flag::register(SIGHUP, Arc::clone(&signals.stop)).map(drop))?;
        Ok(signals)
    }

    /// For the daemon: SIGHUP asks for a reload.
    pub(super) fn of_daemon() -> Result<Self, Failure> {
        let signals = Self::of_command()?;
        #[cfg(unix)]
        handled(flag::register(SIGHUP, Arc::clone(&signals.reload)).map(drop))?;
        Ok(signals)
    }
}

#[cfg(unix)]
fn on_stop(stop: &Arc<AtomicBool>) -> io::Result<()> {
    let early = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&early))?;
        // In this order: the first signal must not find the flag that it sets itself.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(stop))?;
        flag::register(signal, Arc::clone(stop))?;
    }
    // One that came between these lines is not lost.
    if early.load(std::sync::atomic::Ordering::Relaxed) {
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(windows)]
use super::console::on_stop;

fn handled(registered: io::Result<()>) -> Result<(), Failure> {
    registered.context("cannot handle signals").map_err(Failure::Run)
}
