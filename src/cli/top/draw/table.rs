//! Columns as wide as what is in them, cut where that is more than there is.

use super::Theme;
use ratatui::text::{Line, Span};

/// Blanks between columns: few where there is little room.
fn between(width: usize) -> usize {
    if width < 60 { 1 } else { 2 }
}

/// A column: its title, and whether it holds words (to the left, and cut first) or numbers (to the right).
#[derive(Clone, Copy)]
pub(super) enum Column {
    Words(&'static str),
    Numbers(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Words(title) | Self::Numbers(title) => title,
        }
    }
}

/// The titles and the rows, `width` characters wide.
pub(super) fn table<'a>(
    columns: &[Column],
    rows: &[Vec<String>],
    width: u16,
    theme: Theme,
) -> (Line<'a>, Vec<Line<'a>>) {
    let (widths, between) = (widths(columns, rows, usize::from(width)), between(usize::from(width)));
    let titles: Vec<String> = columns.iter().map(|column| column.title().to_owned()).collect();
    let heading = Line::styled(line(columns, &titles, &widths, between), theme.faint());
    (heading, rows.iter().map(|row| Line::from(line(columns, row, &widths, between))).collect())
}

fn widths(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let longest = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| length(cell)).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        columns.iter().enumerate().map(|(n, column)| longest(n).max(length(column.title()))).collect();
    let room = width.saturating_sub(between(width) * columns.len().saturating_sub(1));
    let words: Vec<usize> = (0..columns.len()).filter(|n| matches!(columns[*n], Column::Words(_))).collect();
    while widths.iter().sum::<usize>() > room {
        // The longest words give way, one character at a time.
        match words.iter().copied().max_by_key(|n| widths[*n]) {
            Some(widest) if widths[widest] > 1 => widths[widest] -= 1,
            _ => break,
        }
    }
    // The first column takes what is left, so that numbers stand at the edge.
    if let (Some(first), used) = (words.first(), widths.iter().sum::<usize>()) {
        widths[*first] += room.saturating_sub(used);
    }
    widths
}

fn line(columns: &[Column], cells: &[String], widths: &[usize], between: usize) -> String {
    let cells = columns.iter().zip(cells).zip(widths);
    let padded = cells.map(|((column, cell), width)| {
        let cell = cut(cell, *width);
        let blanks = " ".repeat(width.saturating_sub(length(&cell)));
        match column {
            Column::Words(_) => cell + &blanks,
            Column::Numbers(_) => blanks + &cell,
        }
    });
    padded.collect::<Vec<_>>().join(&" ".repeat(between))
}

/// Columns of the terminal that a text takes.
fn length(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text of at most so many characters; it ends with an ellipsis where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "…" }
}
