//! Interfaces: what moves now, and the last 60 s of it.

use super::table::cut;
use super::{Pane, Theme};
use crate::cli::top::documents::{Interface, Rates};
use crate::cli::top::format::{per_second, rate};
use crate::cli::top::view::{Panel, View};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::time::Duration;

/// What the charts show.
const SECONDS: usize = 60;
/// Rows of a chart at most.
const HIGHEST: usize = 4;
/// Columns of a rate with its arrow, and of a number of packets.
const RATE: usize = 13;
const PACKETS: usize = 9;

/// Rows of the panel out of those of the body: a quarter at most while there are charts, a third without.
pub(super) fn height(view: &View, body: u16) -> u16 {
    let interfaces = interfaces(view).len();
    let most = usize::from(body / 4).max(3);
    let each = lines_of_each(interfaces, most - 1);
    let most = if each == 1 { usize::from(body / 3).max(3) } else { most };
    u16::try_from((1 + interfaces * each).clamp(2, most)).unwrap_or(body)
}

/// Two charts for each where they fit, else one line.
fn lines_of_each(interfaces: usize, room: usize) -> usize {
    match room / interfaces.max(1) {
        0 | 1 => 1,
        each => (each / 2).min(HIGHEST) * 2,
    }
}

fn interfaces(view: &View) -> &[Interface] {
    view.picture.as_ref().map(|picture| picture.interfaces.interfaces.as_slice()).unwrap_or_default()
}

pub(super) fn pane(view: &View, theme: Theme, now: Duration, area: Rect) -> Pane<'static> {
    let all = interfaces(view);
    let each = lines_of_each(all.len(), usize::from(area.height).saturating_sub(1));
    let longest = all.iter().map(|of| of.interface.chars().count()).max().unwrap_or(0).clamp(9, 15);
    let sheet = Sheet { view, theme, end: view.end(now), names: longest, width: usize::from(area.width) };
    let lines = all.iter().flat_map(|of| if each == 1 { vec![sheet.flat(of)] } else { sheet.charts(of, each / 2) });
    let mut lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        lines.push(Line::from("no interface is monitored"));
    }
    let title = "Interfaces: ▲ received ▼ transmitted, last 60 s".to_owned();
    Pane { panel: Panel::Interfaces, title, heading: None, lines }
}

/// What all lines have in common.
struct Sheet<'a> {
    view: &'a View,
    theme: Theme,
    end: i64,
    names: usize,
    width: usize,
}

impl Sheet<'_> {
    /// Both directions in one line.
    fn flat(&self, of: &Interface) -> Line<'static> {
        let chart = self.width.saturating_sub(self.names + 2 * (RATE + 3)) / 2;
        let [received, sent] = self.curves(of, chart, 1);
        let [receive, transmit] = self.now(of);
        let first = |curve: Vec<String>| curve.into_iter().next().unwrap_or_default();
        Line::from(vec![
            Span::styled(format!("{:<1$} ", cut(&of.interface, self.names), self.names), self.theme.strong()),
            Span::styled(format!("▲{:>RATE$} {} ", self.rate(receive), first(received)), self.theme.receive()),
            Span::styled(format!("▼{:>RATE$} {}", self.rate(transmit), first(sent)), self.theme.transmit()),
        ])
    }

    /// A chart of so many rows for each direction.
    fn charts(&self, of: &Interface, rows: usize) -> Vec<Line<'static>> {
        let chart = self.width.saturating_sub(self.names + RATE + PACKETS + 4);
        let [received, sent] = self.curves(of, chart, rows);
        let [receive, transmit] = self.now(of);
        let (up, down) = (self.theme.receive(), self.theme.transmit());
        let halves =
            [("▲", &of.interface[..], receive, received, up), ("▼", &link(of, self.view.bits), transmit, sent, down)];
        let lines = halves.into_iter().flat_map(|(arrow, name, rates, curve, style)| {
            let name = format!("{:<1$} ", cut(name, self.names), self.names);
            let name_style = if arrow == "▲" { self.theme.strong() } else { self.theme.faint() };
            let packets = rates.map(|rates| per_second(rates.packets_per_second)).unwrap_or_default();
            let words = format!("{arrow}{:>RATE$}{packets:>PACKETS$}  ", self.rate(rates));
            let blank = " ".repeat(self.names + RATE + PACKETS + 4);
            curve.into_iter().enumerate().map(move |(n, curve)| match n {
                0 => vec![Span::styled(name.clone(), name_style), Span::styled(words.clone() + &curve, style)],
                _ => vec![Span::styled(blank.clone() + &curve, style)],
            })
        });
        lines.map(Line::from).collect()
    }

    fn now(&self, of: &Interface) -> [Option<Rates>; 2] {
        let second = of.second();
        [second.map(|window| window.receive), second.map(|window| window.transmit)]
    }

    fn rate(&self, rates: Option<Rates>) -> String {
        rates.map_or_else(|| "–".into(), |rates| rate(rates.bytes_per_second, self.view.bits))
    }

    /// Both directions to one scale.
    fn curves(&self, of: &Interface, width: usize, rows: usize) -> [Vec<String>; 2] {
        let points = [0, 1].map(|direction| {
            let series = self.view.series.get(&of.interface);
            series.map_or_else(|| vec![None; SECONDS], |series| series.points(self.end, SECONDS, direction))
        });
        let greatest = points.iter().flatten().flatten().copied().fold(0.0, f64::max);
        points.map(|points| curve(&points, width, rows, greatest))
    }
}

/// What there is to say of the link, below the name.
fn link(of: &Interface, bits: bool) -> String {
    let Some(capture) = &of.capture else { return String::new() };
    match capture.speed_bytes_per_second {
        _ if capture.paused => "paused".into(),
        _ if capture.link_up == Some(false) => "down".into(),
        Some(speed) => rate(speed, bits).replace("bit/s", "bit").replace("B/s", "B"),
        None => String::new(),
    }
}

/// A curve of so many columns and rows, the top row first: nothing seen is blank, nothing moved is the base line.
pub(super) fn curve(points: &[Option<f64>], width: usize, rows: usize, greatest: f64) -> Vec<String> {
    let heights: Vec<Option<usize>> =
        (0..width).map(|column| column_height(points, column, width, rows, greatest)).collect();
    (0..rows).rev().map(|row| heights.iter().map(|height| cell(*height, row)).collect()).collect()
}

/// Eighths of a row; the greatest of the points that share the column.
fn column_height(points: &[Option<f64>], column: usize, width: usize, rows: usize, greatest: f64) -> Option<usize> {
    let begin = column * points.len() / width;
    let end = ((column + 1) * points.len() / width).max(begin + 1);
    let value = points.get(begin..end)?.iter().flatten().copied().reduce(f64::max)?;
    let share = if greatest > 0.0 { value / greatest } else { 0.0 };
    // One eighth is for nothing at all.
    (1..=rows * 8).find(|eighths| (*eighths as f64 - 1.0) >= share * (rows as f64 * 8.0 - 1.0) - 1e-9)
}

fn cell(height: Option<usize>, row: usize) -> char {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighths = height.unwrap_or(0).saturating_sub(row * 8).min(8);
    EIGHTHS.get(eighths).copied().unwrap_or(' ')
}
