//! Capture files: replayed in this process, and asked for by the same API as a daemon, on a socket that only this user
//! reaches.

use super::source::Source;
use super::view::{Kind, View};
use super::{Arguments, screen};
use crate::app::Server;
use crate::cli::replay::{Found, Run, replay};
use crate::cli::signals::Signals;
use crate::cli::{Common, Failure, load, say};
use crate::http;
use crate::pipeline::{Keep, Pace};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hundredths of a second that files have to turn out to be none before the screen is taken over.
const GRACE: u32 = 15;

/// A place for the socket; gone when it is dropped.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let number = getrandom::u64().context("there are no random numbers")?;
        let directory = std::env::temp_dir().join(format!("netmon-top-{number:016x}"));
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only unix has modes"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
        Ok(Self { directory })
    }

    /// A socket in it; systems without such have a port of this machine that is free.
    fn bind(&self) -> http::Bind {
        match cfg!(unix) {
            true => http::Bind::Unix(self.directory.join("socket")),
            false => http::Bind::Tcp(([127, 0, 0, 1], 0).into()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of it is an empty directory of the temporary ones.
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// Replays the files and shows them until the user goes.
pub(super) fn main(common: &Common, arguments: &Arguments) -> Result<(), Failure> {
    let mut loaded = load(common, &[])?;
    let signals = Signals::of_terminal()?;
    let place = Place::new().map_err(Failure::Run)?;
    loaded.config.api = http::Config { bind: vec![place.bind()], ..http::Config::default() };
    let server = Server::start(&loaded, None).map_err(Failure::of)?;
    let url = server.urls().first().cloned().unwrap_or_default();
    let interrupted = Arc::new(AtomicBool::new(false));
    let run = Run {
        files: &arguments.files,
        config: &loaded.config,
        interface: arguments.interface.clone(),
        bpf: arguments.bpf.clone().or_else(|| loaded.config.capture.bpf.clone()),
        pace: arguments.pace.0,
        shards: 1,
        keep: Keep::Largest(0),
        quiet: true,
        interrupted: &interrupted,
        server: Some(&server),
        store: None,
        past: None,
        export: crate::export::Config::default(),
    };
    let read = AtomicBool::new(false);
    let (shown, found) = std::thread::scope(|scope| {
        let replaying = scope.spawn(|| replay(&run).inspect(|_| read.store(true, Ordering::Release)));
        let state = || match (replaying.is_finished(), read.load(Ordering::Acquire)) {
            (true, false) => State::Failed,
            (_, true) => State::Read,
            (false, false) => State::Reading,
        };
        let shown = watch(arguments, &url, &signals.stop, state);
        let was_read = read.load(Ordering::Acquire);
        interrupted.store(true, Ordering::Relaxed);
        let found = replaying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (shown, found.map(|found| (found, was_read)))
    });
    server.stop();
    let (found, was_read) = found?;
    shown?;
    // Who goes before the end knows that there was more.
    if was_read { end(&found) } else { Ok(()) }
}

/// How far the files are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Read,
    /// Not to their end, and not because somebody went.
    Failed,
}

/// Shows what is replayed until the user goes or it fails. Files that are no captures do not even begin.
fn watch(arguments: &Arguments, url: &str, stop: &AtomicBool, state: impl Fn() -> State) -> Result<(), Failure> {
    for _ in 0..GRACE {
        std::thread::sleep(Duration::from_millis(10));
        match state() {
            State::Reading => {}
            State::Read => break,
            State::Failed => return Ok(()),
        }
    }
    let mut view = View::new(names(arguments), Kind::Replay);
    let source = Source::start(url, None, interval(arguments.pace.0), view.question())?;
    screen::show(&mut view, &source, stop, |view| {
        match state() {
            State::Reading => {}
            State::Read => view.kind = Kind::Ended,
            State::Failed => return true,
        }
        false
    })
}

/// Once in a second of packet time, within what is sensible.
fn interval(pace: Pace) -> Duration {
    match pace {
        Pace::Times(factor) => Duration::from_secs_f64((1.0 / factor).clamp(0.2, 1.0)),
        Pace::Max => Duration::from_millis(200),
    }
}

/// The files without their directories.
fn names(arguments: &Arguments) -> String {
    let name = |file| Path::new(file).file_name().unwrap_or(file).to_string_lossy().into_owned();
    arguments.files.iter().map(|file| name(file.as_os_str())).collect::<Vec<_>>().join(", ")
}

/// Says what could not be read.
fn end(found: &Found) -> Result<(), Failure> {
    found.complaints.iter().for_each(say);
    if found.failed { Err(Failure::Said(1)) } else { Ok(()) }
}
