//! The picture of a view in a terminal of any size.

mod interfaces;
mod panels;
mod table;
mod theme;
mod truth;

pub(super) use theme::Theme;

use super::format;
use super::view::{Kind, Panel, SORTS, TALKERS, View};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};
use std::time::Duration;

/// The least that is readable: columns and rows.
const LEAST: (u16, u16) = (60, 16);
/// From so many rows below the interfaces on, TCP health and alerts have panels beside each other.
const TALL: u16 = 30;
/// Silence of a daemon that is answered every second, beyond which it is shown.
const SILENCE: Duration = Duration::from_secs(3);

/// Where a panel is, and its lines.
struct Pane<'a> {
    panel: Panel,
    title: String,
    /// What stays when the others scroll.
    heading: Option<Line<'a>>,
    lines: Vec<Line<'a>>,
}

/// Draws all of it. `now` is since the start, as the view's times are.
pub(in crate::cli::top) fn draw(frame: &mut Frame<'_>, view: &View, theme: Theme, now: Duration) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(frame, area);
    }
    let truth = truth::lines(view, theme, usize::from(area.height / 8).max(1));
    let height = u16::try_from(truth.len()).unwrap_or(1);
    let [header, facts, body, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head(view, theme, now, usize::from(area.width)), header);
    frame.render_widget(Paragraph::new(truth), facts);
    match &view.picture {
        Some(_) => draw_body(frame, body, view, theme, now),
        None => nothing_yet(frame, body, view),
    }
    frame.render_widget(foot(view, theme, usize::from(area.width)), footer);
    if view.help {
        help(frame, body, theme);
    }
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let words = format!(
        "this terminal has {} x {} characters; netmon top needs {} x {}. q quits",
        area.width, area.height, LEAST.0, LEAST.1
    );
    frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), area);
}

fn nothing_yet(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let words = match (&view.trouble, view.kind) {
        (Some(_), _) => "No data yet; asking again every second.",
        (None, Kind::Daemon) => "Asking the daemon.",
        (None, Kind::Replay | Kind::Ended) => "Waiting for the first packets.",
    };
    frame.render_widget(Paragraph::new(vec![Line::default(), Line::from(words).centered()]), area);
}

/// What is shown, and how fresh it is.
fn head<'a>(view: &'a View, theme: Theme, now: Duration, width: usize) -> Line<'a> {
    let (words, style) = freshness(view, theme, now);
    let name = Span::styled("netmon top ", theme.strong());
    let room = width.saturating_sub(name.width() + words.chars().count() + 1);
    let of = table::cut(&view.of, room);
    let gap = " ".repeat(width.saturating_sub(name.width() + of.chars().count() + words.chars().count()));
    Line::from(vec![name, of.into(), gap.into(), Span::styled(words, style)])
}

fn freshness(view: &View, theme: Theme, now: Duration) -> (String, ratatui::style::Style) {
    let time = view.picture.as_ref().and_then(|picture| picture.interfaces.time.as_deref());
    let clock = time.map(format::clock).unwrap_or_default();
    let silence = view.silence(now);
    match (&view.trouble, view.last, view.kind) {
        (Some(why), None, _) => (format!("no answer: {}", table::cut(why, 40)), theme.bad()),
        (Some(why), Some(_), _) => {
            (format!("last data {} s ago: {}", silence.as_secs(), table::cut(why, 30)), theme.bad())
        }
        (None, Some(_), _) if silence > SILENCE => (format!("last data {} s ago", silence.as_secs()), theme.bad()),
        (None, None, _) => ("connecting".into(), theme.faint()),
        _ if view.paused => (format!("held at {clock}"), theme.warn()),
        (None, Some(_), Kind::Daemon) => (format!("live {clock}"), theme.good()),
        (None, Some(_), Kind::Replay) => (format!("replaying {clock}"), theme.good()),
        (None, Some(_), Kind::Ended) => (format!("at the end {clock}"), theme.strong()),
    }
}

fn foot(view: &View, theme: Theme, width: usize) -> Line<'static> {
    if let Some(typed) = &view.typed {
        let keys = "  Enter applies, Esc leaves it";
        // The end is what is being typed.
        let room = width.saturating_sub(keys.len() + 10);
        let shown: String = typed.chars().skip(typed.chars().count().saturating_sub(room)).collect();
        return Line::from(vec![
            Span::styled("filter: ", theme.strong()),
            shown.into(),
            Span::styled("▏", theme.strong()),
            Span::styled(keys, theme.faint()),
        ]);
    }
    let unit = if view.bits { "bytes" } else { "bits" };
    let pause = if view.paused { "go on" } else { "pause" };
    let keys =
        [("q", "quit"), ("p", pause), ("Tab", "panel"), ("s", "sort"), ("/", "filter"), ("t", "talkers"), ("u", unit)];
    // Help stands where it is never cut off.
    let keys = [("?", "help")].into_iter().chain(keys);
    Line::from_iter(keys.flat_map(|(key, does)| [Span::styled(key, theme.key()), Span::from(format!(" {does}  "))]))
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, view: &View, theme: Theme, now: Duration) {
    if view.enlarged {
        return draw_panel(frame, area, view, view.panel, theme, now);
    }
    let height = interfaces::height(view, area.height);
    let [top, rest] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
    draw_panel(frame, top, view, Panel::Interfaces, theme, now);
    let panels = if rest.height >= TALL { tall(rest) } else { low(rest, view) };
    panels.into_iter().for_each(|(panel, area)| draw_panel(frame, area, view, panel, theme, now));
}

/// The panels below the interfaces where there is room.
fn tall(area: Rect) -> Vec<(Panel, Rect)> {
    let rows = Layout::vertical([Constraint::Length(area.height / 3), Constraint::Length(8), Constraint::Min(0)]);
    let [first, second, flows] = rows.areas(area);
    let [talkers, protocols] = halves(first);
    let [tcp, alerts] = halves(second);
    vec![
        (Panel::Talkers, talkers),
        (Panel::Protocols, protocols),
        (Panel::Tcp, tcp),
        (Panel::Alerts, alerts),
        (Panel::Flows, flows),
    ]
}

/// The panels below the interfaces where there is little: health gets a line, alerts a few.
fn low(area: Rect, view: &View) -> Vec<(Panel, Rect)> {
    let alerts = view.picture.as_ref().and_then(|picture| picture.alerts.as_ref()).map_or(0, Vec::len);
    let alerts = u16::try_from(alerts).unwrap_or(u16::MAX).clamp(1, (area.height / 5).max(1));
    let lists = (area.height.saturating_sub(3 + alerts) / 2).min(9);
    let rows = [Constraint::Length(lists), Constraint::Min(0), Constraint::Length(2), Constraint::Length(alerts + 1)];
    let [first, flows, tcp, alerts] = Layout::vertical(rows).areas(area);
    let [talkers, protocols] = halves(first);
    vec![
        (Panel::Talkers, talkers),
        (Panel::Protocols, protocols),
        (Panel::Flows, flows),
        (Panel::Tcp, tcp),
        (Panel::Alerts, alerts),
    ]
}

/// Side by side, with two columns between them.
fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(area)
}

fn draw_panel(frame: &mut Frame<'_>, area: Rect, view: &View, panel: Panel, theme: Theme, now: Duration) {
    let pane = match panel {
        Panel::Interfaces => interfaces::pane(view, theme, now, area),
        Panel::Talkers => panels::talkers(view, theme, area.width),
        Panel::Protocols => panels::protocols(view, theme, area.width),
        Panel::Flows => panels::flows(view, theme, area.width),
        Panel::Tcp => panels::tcp(view, theme, area),
        Panel::Alerts => panels::alerts(view, theme, area.width),
    };
    draw_pane(frame, area, view, pane, theme);
}

/// A rule with the title, the heading, and as many lines as there is room for.
fn draw_pane(frame: &mut Frame<'_>, area: Rect, view: &View, pane: Pane<'_>, theme: Theme) {
    let is_chosen = pane.panel == view.panel;
    let room = usize::from(area.height).saturating_sub(1 + usize::from(pane.heading.is_some()));
    let most = pane.lines.len().saturating_sub(room);
    let skipped = if is_chosen { view.scroll.min(most) } else { 0 };
    let hidden = pane.lines.len().saturating_sub(skipped + room);
    let more = if hidden > 0 && room > 0 { format!(" {hidden} more ") } else { String::new() };
    let width = usize::from(area.width);
    let title = format!("{} {} ", if is_chosen { "►" } else { "─" }, table::cut(&pane.title, width.saturating_sub(4)));
    let rule = "─".repeat(width.saturating_sub(title.chars().count() + more.chars().count()));
    let style = if is_chosen { theme.strong() } else { theme.faint() };
    let title = Line::from(vec![Span::styled(title, style), Span::styled(rule, theme.faint()), more.into()]);
    let lines = [Some(title), pane.heading].into_iter().flatten();
    let lines: Vec<_> = lines.chain(pane.lines.into_iter().skip(skipped).take(room)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let sorts = format!("sort flows by {}", SORTS.join(", "));
    let kinds = format!("talkers by {}", TALKERS.join(", "));
    let keys = [
        ("q, Ctrl-C", "quit"),
        ("p", "hold the picture, and go on"),
        ("Tab, Shift-Tab", "choose a panel"),
        ("Enter, Esc", "enlarge it, and back"),
        ("↑ ↓ PgUp PgDn", "scroll it"),
        ("s, r", sorts.as_str()),
        ("/", "filter flows: tcp 443 10.0.0.0/8 state=open"),
        ("t", kinds.as_str()),
        ("u", "rates in bits or bytes"),
        ("▲ ▼", "received, transmitted: 60 s, both to the higher peak"),
    ];
    let line = |(key, does)| Line::from(vec![Span::styled(format!(" {key:<16}"), theme.key()), Span::from(does)]);
    let lines: Vec<Line<'_>> = keys.into_iter().map(line).collect();
    let height = u16::try_from(lines.len()).unwrap_or(0) + 1;
    let area = Rect { height: height.min(area.height), ..area };
    frame.render_widget(Clear, area);
    let title = Line::styled(" Keys; any of them closes this", theme.strong());
    frame.render_widget(Paragraph::new([vec![title], lines].concat()), area);
}
