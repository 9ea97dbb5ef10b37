//! Waiting for frames, and noticing that the interface is down or gone.
//!
//! Both show as ENETDOWN, and a second notice need not come: so the socket is asked whether it still has its interface,
//! then and once a second when nothing comes.

use super::{RETIRE_MS, ring};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How often the socket is asked when nothing comes.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long frames that came before the end may stay in a block that is not full.
const LAST_FRAMES: Duration = Duration::from_millis(2 * RETIRE_MS as u64);

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// By a block, by time, by a signal, or because the interface went down.
    Waited,
    /// The interface is gone, and what it had sent is in the ring or was read.
    Gone,
}

/// What is known of the interface.
#[derive(Debug)]
pub(super) struct Watch {
    asked: Instant,
    /// When it was found to be gone.
    gone: Option<Instant>,
    /// poll(2) said that there was something.
    woken: bool,
    /// How often in a row there was nothing all the same.
    for_nothing: u32,
}

#[expect(clippy::disallowed_methods, reason = "asks about the interface by the monotonic clock")]
impl Watch {
    pub(super) fn new() -> Self {
        Self { asked: Instant::now(), gone: None, woken: false, for_nothing: 0 }
    }

    /// Waits for a block at most `wait`. Errors of the socket that only say that the interface is down are taken.
    pub(super) fn wait(&mut self, socket: BorrowedFd<'_>, wait: Duration) -> io::Result<Woken> {
        if self.gone.is_some_and(|gone| gone.elapsed() >= LAST_FRAMES) {
            return Ok(Woken::Gone);
        }
        let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
        self.woken = match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => ready > 0,
            Err(Errno::EINTR) => false,
            Err(error) => return Err(error.into()),
        };
        let failed = fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
        if failed {
            // Reading the error is what makes the next poll(2) wait again.
            let error = Errno::from_raw(getsockopt(&socket, sockopt::SocketError)?);
            if error != Errno::ENETDOWN && error != Errno::from_raw(0) {
                return Err(error.into());
            }
        }
        if failed || (!self.woken && self.asked.elapsed() >= INTERVAL) {
            self.ask(socket)?;
        }
        Ok(Woken::Waited)
    }

    fn ask(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.asked = Instant::now();
        let (index, _) = ring::bound_to(socket)?;
        if index <= 0 && self.gone.is_none() {
            self.gone = Some(self.asked);
        }
        Ok(())
    }

    /// After [`Watch::wait`]: whether no block was there. Twice in a row woken for nothing, and the wait is slept, so
    /// that whatever a kernel means by it cannot keep a processor busy.
    pub(super) fn woke_for_nothing(&mut self, nothing: bool, wait: Duration) {
        self.for_nothing = if self.woken && nothing { self.for_nothing + 1 } else { 0 };
        if self.for_nothing > 1 {
            std::thread::sleep(wait);
        }
    }
}
