//! Stderr that never holds up who logs: a pipe that nobody reads, or a journal that stands still, loses lines.

use std::io::{self, Write};

/// What a pipe with room takes at once (PIPE_BUF of Linux); only longer lines are written in parts.
const PART: usize = 4096;
/// How long a reader that is merely slow is waited for, in milliseconds.
#[cfg(unix)]
const PATIENCE: u16 = 20;

/// The stderr of the process.
pub(super) struct Stderr;

impl Write for Stderr {
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nobody makes room in time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait_for_room()?;
        io::stderr().write(&bytes[..bytes.len().min(PART)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Switching the descriptor to non-blocking would do the same, but also to everyone who shares it, such as a shell.
#[cfg(unix)]
fn wait_for_room() -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd;
    let stderr = io::stderr();
    let mut polled = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut polled, PATIENCE) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        // Room, an error that writing will name, or no answer at all, as for a file.
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn wait_for_room() -> io::Result<()> {
    Ok(())
}
