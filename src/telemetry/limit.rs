//! How many lines one cause may write: a place in the code is one cause, whatever it says.

use std::collections::HashMap;
use std::time::Duration;
use tracing::Metadata;
use tracing::callsite::Identifier;

/// The most lines of one cause in each second since the start.
pub const LINES_PER_SECOND: u32 = 10;

/// Counts lines by cause and second. Bounded by the number of log statements in the program.
#[derive(Default)]
pub(super) struct Limiter {
    causes: HashMap<Identifier, Cause>,
    /// Whether any cause has held back lines, so that the usual call of [`Limiter::take_suppressed`] looks no further.
    pending: bool,
}

/// Whether a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    Suppress,
}

/// Lines of one cause that were not written.
pub(super) struct Suppressed {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) lines: u64,
}

struct Cause {
    metadata: &'static Metadata<'static>,
    second: u64,
    written: u32,
    suppressed: u64,
    /// The last second in which a line was not written.
    suppressed_in: u64,
}

impl Limiter {
    /// Judges one line of the cause `metadata`, `elapsed` after the start.
    pub(super) fn admit(&mut self, metadata: &'static Metadata<'static>, elapsed: Duration) -> Verdict {
        let second = elapsed.as_secs();
        let first = Cause { metadata, second, written: 0, suppressed: 0, suppressed_in: second };
        let cause = self.causes.entry(metadata.callsite()).or_insert(first);
        if cause.second != second {
            (cause.second, cause.written) = (second, 0);
        }
        if cause.written < LINES_PER_SECOND {
            cause.written += 1;
            return Verdict::Write;
        }
        cause.suppressed = cause.suppressed.saturating_add(1);
        cause.suppressed_in = second;
        self.pending = true;
        Verdict::Suppress
    }

    /// Takes the counts of causes that held nothing back in the second of `elapsed`, in the order of their place in the code.
    pub(super) fn take_suppressed(&mut self, elapsed: Duration) -> Vec<Suppressed> {
        if !self.pending {
            return Vec::new();
        }
        let mut taken = Vec::new();
        self.pending = false;
        for cause in self.causes.values_mut().filter(|cause| cause.suppressed > 0) {
            if cause.suppressed_in < elapsed.as_secs() {
                taken.push(Suppressed { metadata: cause.metadata, lines: std::mem::take(&mut cause.suppressed) });
            } else {
                self.pending = true;
            }
        }
        taken.sort_by_key(|suppressed| (suppressed.metadata.file(), suppressed.metadata.line()));
        taken
    }
}
