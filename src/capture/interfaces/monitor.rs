//! The interfaces of this machine as they are now, while they come, go and change.

use super::{Interface, system};
use crate::capture::CaptureError;
use std::time::Duration;

/// A picture of the interfaces that is kept up to date.
///
/// On Linux it is two rtnetlink sockets, opened once: one is told of changes, one is asked. Neither needs a privilege,
/// /proc or /sys while it runs, and both stay in the network namespace they were opened in. What /sys alone knows (speed,
/// wireless) is as it was when it could last be read. Elsewhere the interfaces are listed once a second of waiting.
///
/// Bounds: one picture, 64 KiB for two datagrams, and what the kernel keeps of unread news; news that overflow are
/// answered with a new picture.
#[derive(Debug)]
pub struct Monitor {
    source: system::Source,
    links: Vec<Interface>,
    /// Other than at the last [`Monitor::poll`].
    changed: bool,
    /// News were taken that no picture has answered yet.
    stale: bool,
}

impl Monitor {
    /// Takes the first picture.
    ///
    /// # Errors
    /// [`CaptureError::ListInterfaces`] when the system does not say.
    pub fn open() -> Result<Self, CaptureError> {
        let mut source = system::Source::open()?;
        let links = source.picture()?;
        Ok(Self { source, links, changed: false, stale: false })
    }

    /// Waits at most `wait` for news and takes a new picture when there are some.
    ///
    /// True when anything but counters is other than at the last call, also where [`Monitor::refresh`] found that. It may
    /// return before `wait` has passed with false: news that change nothing shown here.
    ///
    /// # Errors
    /// [`CaptureError::ListInterfaces`]; the picture is the last one, and the next call takes it anew.
    pub fn poll(&mut self, wait: Duration) -> Result<bool, CaptureError> {
        let wait = if self.changed { Duration::ZERO } else { wait };
        self.stale |= self.source.wait(wait)?;
        if self.stale {
            self.refresh()?;
        }
        Ok(std::mem::take(&mut self.changed))
    }

    /// Takes a new picture, for its counters; what else it finds changed, the next [`Monitor::poll`] reports.
    ///
    /// # Errors
    /// [`CaptureError::ListInterfaces`]; the picture is the last one.
    pub fn refresh(&mut self) -> Result<(), CaptureError> {
        let links = self.source.picture()?;
        self.stale = false;
        let same = links.len() == self.links.len()
            && links.iter().zip(&self.links).all(|(new, old)| new.is_same_but_counters(old));
        self.changed |= !same;
        self.links = links;
        Ok(())
    }

    /// The last picture; on Linux in the order of the indices.
    pub fn links(&self) -> &[Interface] {
        &self.links
    }
}
