//! The terminal: taken over while the view is shown, and given back as it was, however that ends.

use super::draw::{self, Theme};
use super::source::Source;
use super::view::{Next, View};
use crate::cli::Failure;
use anyhow::{Context, anyhow};
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::execute;
use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest between two looks at what has come.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether there is a terminal to draw on and to read keys from.
///
/// # Errors
/// There is none: the user's mistake.
pub(super) fn check() -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(missing("standard output is no terminal"));
    }
    if !std::io::stdin().is_terminal() && std::fs::File::open("/dev/tty").is_err() {
        return Err(missing("there is no terminal to read keys from"));
    }
    if std::env::var_os("TERM").is_some_and(|name| name == "dumb") {
        return Err(missing("this terminal cannot be drawn on (TERM=dumb)"));
    }
    Ok(())
}

fn missing(what: &str) -> Failure {
    let hint = "`netmon replay FILE` and the API (`/api/v1/interfaces`) are for programs";
    Failure::Usage(anyhow!("netmon top is drawn on a terminal: {what}\n  hint: {hint}"))
}

/// Gives the terminal back; a panic does it before its message, by the hook that comes with taking it over. A second time
/// would put the cursor back to where it was, and what comes next over the message.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        drop(execute!(std::io::stdout(), Show));
        if !std::thread::panicking() {
            drop(ratatui::try_restore());
        }
    }
}

/// Shows the view until the user goes, `stop` is set or `look` says that it is over; `look` sees the view before every
/// picture.
///
/// # Errors
/// The terminal cannot be drawn on or read.
pub(super) fn show(
    view: &mut View,
    source: &Source,
    stop: &AtomicBool,
    mut look: impl FnMut(&mut View) -> bool,
) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "how old a picture is goes by the machine's clock")]
    let begun = Instant::now();
    let theme = Theme::of_environment();
    let keys = Keys::open().context("cannot read keys").map_err(Failure::Run)?;
    let restored = Restored;
    let terminal = ratatui::try_init().context("cannot take over the terminal").map_err(Failure::Run)?;
    // Its own end complains on standard error, which panics where that is the terminal that is gone.
    let mut terminal = ManuallyDrop::new(terminal);
    let mut is_shown = || -> anyhow::Result<bool> {
        for news in source.news.try_iter() {
            view.take(news, begun.elapsed());
        }
        if look(view) || stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        terminal.draw(|frame| draw::draw(frame, view, theme, begun.elapsed()))?;
        Ok(!wait(&keys, view, source)?)
    };
    let ended = loop {
        match is_shown() {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(Failure::Run(error.context("the terminal is gone"))),
        }
    };
    drop(restored);
    ended
}

/// Waits for keys and does what they ask for, all that are there; whether the user goes.
fn wait(keys: &Keys, view: &mut View, source: &Source) -> anyhow::Result<bool> {
    keys.wait()?;
    while event::poll(Duration::ZERO)? {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match view.press(key) {
            Next::Quit => return Ok(true),
            Next::Ask => source.ask(view.question()),
            Next::Show => {}
        }
    }
    Ok(false)
}

/// The terminal that keys are read from, looked at before crossterm reads it: that goes round and round on a terminal
/// that has gone away.
#[cfg(unix)]
struct Keys(std::os::fd::OwnedFd);

#[cfg(unix)]
impl Keys {
    fn open() -> anyhow::Result<Self> {
        use std::os::fd::AsFd;
        let stdin = std::io::stdin();
        Ok(Self(match stdin.is_terminal() {
            true => stdin.as_fd().try_clone_to_owned()?,
            false => std::fs::File::open("/dev/tty")?.into(),
        }))
    }

    /// Until there is a key, a signal, or [`PAUSE`] has passed.
    fn wait(&self) -> anyhow::Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::try_from(PAUSE)?) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        match polled[0].revents() {
            Some(events) if events.intersects(is_gone) => Err(anyhow!("it was closed")),
            _ => Ok(()),
        }
    }
}

#[cfg(not(unix))]
struct Keys;

#[cfg(not(unix))]
impl Keys {
    fn open() -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn wait(&self) -> anyhow::Result<()> {
        event::poll(PAUSE)?;
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::cli::top::view::Kind;
    use nix::pty::{OpenptyResult, Winsize, openpty};
    use nix::sys::termios::tcgetattr;
    use std::fs::File;
    use std::io::Read;
    use std::process::Command;

    const ENTER: &str = "\u{1b}[?1049h";
    const LEAVE: &str = "\u{1b}[?1049l";

    #[test]
    #[ignore = "draws on a terminal: the test below has one for it"]
    fn the_third_picture_panics() {
        let (stop, mut pictures) = (AtomicBool::new(false), 0);
        let mut view = View::new("nobody".into(), Kind::Daemon);
        let source = Source::start("http://127.0.0.1:1", None, Duration::from_secs(1), view.question());
        let source = source.unwrap_or_else(|_| panic!("it can be started"));
        drop(show(&mut view, &source, &stop, |_| {
            pictures += 1;
            assert!(pictures < 3, "it cannot be drawn");
            false
        }));
    }

    /// What the test above writes to a terminal of its own, and whether it leaves that as it was.
    fn run_in_a_terminal() -> (String, bool) {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cli::top::screen::tests::the_third_picture_panics", "--ignored", "--nocapture"]);
        let [stdin, stdout, stderr] = [(); 3].map(|()| slave.try_clone().unwrap());
        command.stdin(stdin).stdout(stdout).stderr(stderr).env("TERM", "xterm-256color");
        let mut child = command.spawn().unwrap();
        drop(command);
        let reading = std::thread::spawn(move || {
            let mut written = Vec::new();
            // Ends with an error once nobody has the other side.
            drop(File::from(master).read_to_end(&mut written));
            String::from_utf8_lossy(&written).into_owned()
        });
        assert!(!child.wait().unwrap().success(), "it panics");
        let is_as_before = tcgetattr(&slave).unwrap() == before;
        drop(slave);
        (reading.join().unwrap(), is_as_before)
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message() {
        let (written, is_as_before) = run_in_a_terminal();
        assert!(is_as_before, "echo, line editing and signals are back: {written:?}");
        let (_, drawn) = written.split_once(ENTER).expect("it was taken over");
        let (drawn, after) = drawn.rsplit_once(LEAVE).expect("it was given back");
        assert!(drawn.contains("netmon top") && drawn.contains("\u{1b}[?25l"), "{drawn:?}");
        assert!(!drawn.contains("it cannot be drawn"), "not on the screen that goes away: {drawn:?}");
        assert!(after.contains("it cannot be drawn") && after.contains("\u{1b}[?25h"), "{after:?}");
    }
}
