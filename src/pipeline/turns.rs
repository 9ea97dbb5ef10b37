//! Giving way to those who ask.

use std::time::{Duration, Instant};

/// Lets others have the processor now and then.
///
/// A replay never waits for frames. Where it keeps every processor busy, whoever is to answer a request would wait for the end
/// of a time slice, three milliseconds and more, and again for each step of the answer. Giving way costs a system call;
/// only where other work wants the processor does the replay take longer for it.
#[derive(Debug)]
pub struct Turns(Instant);

impl Turns {
    /// Others wait so long at most.
    const LENGTH: Duration = Duration::from_micros(500);

    /// A turn begins.
    #[expect(clippy::disallowed_methods, reason = "time slices are no matter of packet time")]
    #[expect(clippy::new_without_default, reason = "it begins now, which is no default")]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Gives way if the turn is over.
    #[inline]
    pub fn give_way(&mut self) {
        if self.0.elapsed() >= Self::LENGTH {
            std::thread::yield_now();
            *self = Self::new();
        }
    }
}
