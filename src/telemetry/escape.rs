//! Text from outside, made harmless for a terminal and a log: one line, no control sequences, no reordering.

use std::fmt::{self, Write};

/// Prints text with every character escaped that moves a cursor, ends a line, reorders or hides what is shown.
///
/// `\n`, `\r` and `\t` keep their usual names, others become `\u{202e}`. All else, non-Latin scripts included, is shown
/// as it is.
///
/// ```
/// # use netmon::telemetry::Escaped;
/// assert_eq!(Escaped("eth0\u{1b}[31m\n").to_string(), r"eth0\u{1b}[31m\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaping(f).write_str(self.0)
    }
}

/// A writer that escapes what passes through.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, character) in text.char_indices().filter(|&(_, character)| is_unsafe(character)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", character.escape_default())?;
            plain = at + character.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Whether a character must not reach a terminal or a log as it is.
///
/// Control characters (C0, DEL, C1), line and paragraph separators, and the invisible format characters: bidirectional
/// marks, overrides and isolates (Unicode UAX #9), zero-width and tag characters.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_line_breaks_and_overrides_are_escaped() {
        assert_eq!(Escaped("a\nb\r\tc").to_string(), r"a\nb\r\tc");
        assert_eq!(Escaped("\u{1b}[2J\u{9b}1m\u{7f}\0").to_string(), r"\u{1b}[2J\u{9b}1m\u{7f}\u{0}");
        assert_eq!(
            Escaped("\u{202e}\u{2066}\u{200f}\u{2028}\u{85}").to_string(),
            r"\u{202e}\u{2066}\u{200f}\u{2028}\u{85}"
        );
    }

    #[test]
    fn other_text_is_shown_as_it_is() {
        let text = r"\Device\NPF_{1} Büro 東京 `x` 🛰";
        assert_eq!(Escaped(text).to_string(), text);
    }
}
