//! Colours of the terminal's own sixteen, which fit a dark ground as well as a light one; none where none are wanted.

use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours. What matters is said in words as well.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::top) struct Theme {
    pub(in crate::cli::top) colours: bool,
}

impl Theme {
    /// No colours where `NO_COLOR` says so (<https://no-color.org>).
    pub(in crate::cli::top) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn receive(self) -> Style {
        self.colour(Color::Cyan)
    }

    pub(super) fn transmit(self) -> Style {
        self.colour(Color::Magenta)
    }

    pub(super) fn good(self) -> Style {
        self.colour(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn key(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What need not be read.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}
