//! The progress bar of long work: on a terminal only, on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;

/// Bytes of input read, packets, rate and time left. Does nothing when stderr is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over `total` bytes of input; `None` when the length is not known (standard input).
    pub(super) fn new(total: Option<u64>, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() {
            "{bar:30} {percent:>3} %  {bytes} of {total_bytes}  {msg}  {bytes_per_sec}  {left}"
        } else {
            "{spinner} {bytes}  {msg}  {bytes_per_sec}  {elapsed}"
        };
        let left = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{} s left", state.eta().as_secs());
        };
        // The templates are constants, checked by the test below.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("left", left).progress_chars("━╸ "));
        }
        Self { bar }
    }

    /// Where reading stands.
    pub(super) fn update(&self, bytes: u64, packets: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{} packets", super::table::count(packets)));
    }

    /// Takes the bar off the screen.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};

    #[test]
    fn the_bar_shows_packets_and_share() {
        let term = InMemoryTerm::new(5, 120);
        let progress = Progress::new(Some(200), true);
        progress.bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(term.clone())));
        progress.update(100, 12_345);
        progress.bar.force_draw();
        assert!(term.width() == 120 && term.contents().contains("50 %") && term.contents().contains("12,345 packets"));
    }
}
