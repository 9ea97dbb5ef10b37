//! What is shown: the last picture, the minute before it, and what the keys have chosen.

use super::filter;
use super::format;
use super::series::Series;
use super::source::{News, Picture, Question};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::time::Duration;

/// What flows are sorted by, as the API names it.
pub(super) const SORTS: [&str; 5] = ["bytes", "packets", "first_seen", "last_seen", "duration"];
/// The lists of talkers, as the API names them.
pub(super) const TALKERS: [&str; 3] = ["hosts", "pairs", "ports"];
/// The longest filter.
const LONGEST: usize = 200;

/// What can be chosen with Tab, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Interfaces,
    Talkers,
    Protocols,
    Flows,
    Tcp,
    Alerts,
}

impl Panel {
    pub(super) const ALL: [Self; 6] =
        [Self::Interfaces, Self::Talkers, Self::Protocols, Self::Flows, Self::Tcp, Self::Alerts];
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The view may look different.
    Show,
    /// Something else is to be asked.
    Ask,
    /// The user goes.
    Quit,
}

/// Where the packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Daemon,
    /// Capture files that are being replayed.
    Replay,
    /// Capture files, at their end.
    Ended,
}

/// Everything that is drawn. Times are since the program's start.
#[derive(Debug)]
pub(super) struct View {
    /// The URL, or the files.
    pub(super) of: String,
    pub(super) kind: Kind,
    pub(super) picture: Option<Box<Picture>>,
    /// When the last picture came.
    pub(super) last: Option<Duration>,
    /// Why the last question has no answer.
    pub(super) trouble: Option<String>,
    pub(super) series: BTreeMap<String, Series>,
    pub(super) paused: bool,
    pub(super) bits: bool,
    pub(super) panel: Panel,
    /// The panel has the room of all others.
    pub(super) enlarged: bool,
    pub(super) help: bool,
    /// The filter that is in force.
    pub(super) filter: String,
    /// The filter that is being typed.
    pub(super) typed: Option<String>,
    /// What is wrong with it.
    pub(super) mistake: Option<String>,
    pub(super) sort: usize,
    pub(super) ascending: bool,
    pub(super) talkers: usize,
    /// Rows that are left out at the top of the panel.
    pub(super) scroll: usize,
}

impl View {
    /// Before the first picture.
    pub(super) fn new(of: String, kind: Kind) -> Self {
        Self {
            of,
            kind,
            picture: None,
            last: None,
            trouble: None,
            series: BTreeMap::new(),
            paused: false,
            bits: true,
            panel: Panel::Flows,
            enlarged: false,
            help: false,
            filter: String::new(),
            typed: None,
            mistake: None,
            sort: 0,
            ascending: false,
            talkers: 0,
            scroll: 0,
        }
    }

    /// What is to be asked.
    pub(super) fn question(&self) -> Question {
        let order = if self.ascending { "asc" } else { "desc" };
        let filter = filter::read(&self.filter).unwrap_or_default();
        Question { flows: format!("sort={}&order={order}{filter}", SORTS[self.sort]), talkers: TALKERS[self.talkers] }
    }

    /// Takes what was answered. While the view is held only the minute goes on.
    pub(super) fn take(&mut self, news: News, now: Duration) {
        let mut picture = match news {
            Ok(picture) => picture,
            Err(why) => return self.trouble = Some(why),
        };
        (self.trouble, self.last) = (None, Some(now));
        self.remember(&picture);
        if self.paused {
            return;
        }
        if picture.flows.is_none() {
            picture.flows = self.picture.take().and_then(|before| before.flows);
        }
        self.picture = Some(picture);
    }

    fn remember(&mut self, picture: &Picture) {
        let document = &picture.interfaces;
        let Some(second) = document.time.as_deref().and_then(format::seconds) else { return };
        self.series.retain(|name, _| document.interfaces.iter().any(|of| of.interface == *name));
        for of in &document.interfaces {
            let Some(window) = of.second() else { continue };
            let rates = [window.receive.bytes_per_second, window.transmit.bytes_per_second];
            self.series.entry(of.interface.clone()).or_default().push(second, rates);
        }
    }

    /// The last second of the charts: that of the picture, and as much later as nothing came.
    pub(super) fn end(&self, now: Duration) -> i64 {
        let picture = self.picture.as_ref();
        let second = picture.and_then(|of| of.interfaces.time.as_deref()).and_then(format::seconds).unwrap_or(0);
        let is_going = self.kind == Kind::Daemon && !self.paused && self.trouble.is_some();
        let silence = if is_going { self.silence(now).as_secs() } else { 0 };
        second.saturating_add_unsigned(silence)
    }

    /// How long nothing has come.
    pub(super) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last.unwrap_or_default())
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Next::Quit } else { Next::Show };
        }
        if let Some(typed) = self.typed.take() {
            return self.type_filter(typed, key.code);
        }
        if self.help {
            self.help = false;
            return if key.code == KeyCode::Char('q') { Next::Quit } else { Next::Show };
        }
        match key.code {
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('u') => self.bits = !self.bits,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('/') => (self.typed, self.mistake) = (Some(self.filter.clone()), None),
            KeyCode::Char('s') => return self.ask(|view| view.sort = (view.sort + 1) % SORTS.len()),
            KeyCode::Char('r') => return self.ask(|view| view.ascending = !view.ascending),
            KeyCode::Char('t') => return self.ask(|view| view.talkers = (view.talkers + 1) % TALKERS.len()),
            KeyCode::Tab => self.choose(1),
            KeyCode::BackTab => self.choose(Panel::ALL.len() - 1),
            KeyCode::Enter => self.enlarged = !self.enlarged,
            KeyCode::Esc => self.enlarged = false,
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
        Next::Show
    }

    /// A view that is held would not show what is asked: it goes on.
    fn ask(&mut self, change: impl FnOnce(&mut Self)) -> Next {
        change(self);
        (self.scroll, self.paused) = (0, false);
        Next::Ask
    }

    fn choose(&mut self, steps: usize) {
        let place = Panel::ALL.iter().position(|panel| *panel == self.panel).unwrap_or(0);
        (self.panel, self.scroll) = (Panel::ALL[(place + steps) % Panel::ALL.len()], 0);
    }

    fn type_filter(&mut self, mut typed: String, key: KeyCode) -> Next {
        match key {
            KeyCode::Esc => {
                self.mistake = None;
                return Next::Show;
            }
            KeyCode::Enter => match filter::read(&typed) {
                Ok(_) => {
                    self.mistake = None;
                    return self.ask(|view| view.filter = typed.trim().to_owned());
                }
                Err(mistake) => self.mistake = Some(mistake),
            },
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(of) if typed.len() < LONGEST => typed.push(of),
            _ => {}
        }
        self.typed = Some(typed);
        Next::Show
    }
}
