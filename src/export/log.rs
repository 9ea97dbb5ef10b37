//! The flow log: JSON lines in a file or on standard output.
//!
//! Lines are written together, once a second or when there are many. A line is written whole or not at all as far as
//! the system lets it be: after a failed write the next one begins on a line of its own.

use super::counts::{Counts, Loss};
use super::outlet::{Inbox, Next, now};
use super::{Config, Error, line};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub(super) struct Log {
    /// `None`: standard output.
    path: Option<PathBuf>,
    file: Option<File>,
    text: Vec<u8>,
    lines: u64,
    due: Instant,
    /// How often it was asked to open the file anew, and what of that was done.
    asked: Arc<AtomicU64>,
    done: u64,
    complaint: Option<String>,
    is_cut: bool,
}

/// How long a line may wait for others.
const FLUSH: Duration = Duration::from_secs(1);
/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

impl Log {
    /// Flows that may wait: about 12 MiB.
    pub(super) const QUEUE: usize = 65_536;

    /// Opens the file for appending; makes it, readable for the group, if it is not there.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub(super) fn open(path: &Path, asked: Arc<AtomicU64>) -> Result<Self, Error> {
        let path = (path != Path::new(Config::STDOUT)).then(|| path.to_owned());
        let failed = |error| Error::Log { path: path.clone().unwrap_or_default(), error };
        let file = path.as_deref().map(open).transpose().map_err(failed)?;
        let done = asked.load(Relaxed);
        let (text, due) = (Vec::with_capacity(2 * CHUNK), now() + FLUSH);
        Ok(Self { path, file, text, lines: 0, due, asked, done, complaint: None, is_cut: false })
    }

    /// Writes until the end; gives what could not be written, if the last write failed.
    pub(super) fn run(mut self, inbox: &Inbox, counts: &Counts) -> Option<String> {
        loop {
            match inbox.next(self.due.saturating_duration_since(now())) {
                Next::Flow(flow) => {
                    line::append(&mut self.text, &flow);
                    self.lines += 1;
                    if self.text.len() >= CHUNK || now() >= self.due {
                        self.flush(counts);
                    }
                }
                Next::Quiet => self.flush(counts),
                Next::End => break,
            }
        }
        self.flush(counts);
        counts.lost(Loss::Shutdown, inbox.abandon());
        self.complaint
    }

    /// Writes what there is. What cannot be written is counted and gone: waiting would only lose others.
    fn flush(&mut self, counts: &Counts) {
        self.due = now() + FLUSH;
        self.follow_rotation();
        if self.lines == 0 {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        let written = self.write();
        self.text.clear();
        match written {
            Ok(()) => {
                counts.sent(lines);
                if self.complaint.take().is_some() {
                    tracing::info!("the flow log is written again");
                }
            }
            Err(error) => {
                counts.lost(Loss::Write, lines);
                self.is_cut = true;
                let complaint = format!("the flow log cannot be written: {error}");
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::error!("{complaint}");
                }
                self.complaint = Some(complaint);
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.path.is_some() && self.file.is_none() {
            self.reopen()?;
        }
        if std::mem::take(&mut self.is_cut) {
            self.text.insert(0, b'\n');
        }
        match &mut self.file {
            Some(file) => file.write_all(&self.text),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&self.text)?;
                out.flush()
            }
        }
    }

    /// Opens the file that has the name now, if that was asked for.
    fn follow_rotation(&mut self) {
        let asked = self.asked.load(Relaxed);
        if asked != self.done && self.path.is_some() {
            self.done = asked;
            // One that cannot be opened is tried again with the next line, which is when it is reported.
            self.file = None;
            let _ = self.reopen();
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = Some(open(path)?);
            self.is_cut = false;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}
