//! How far the numbers can be relied on, always in sight: coverage, and every loss in its place.

use super::Theme;
use crate::cli::top::documents::{Capture, Interface, Losses};
use crate::cli::top::format::{count, duration, percent};
use crate::cli::top::view::View;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::cmp::Reverse;

/// Below this share of the kernel's bytes, numbers are not to be relied on.
const BLIND: f64 = 0.9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Good,
    Warn,
    Bad,
}

/// At most so many lines, the worst captures first; one of them says how many there are beyond.
pub(super) fn lines(view: &View, theme: Theme, most: usize) -> Vec<Line<'static>> {
    let interfaces = view.picture.as_ref().map(|picture| picture.interfaces.interfaces.as_slice()).unwrap_or_default();
    if interfaces.is_empty() {
        return vec![Line::styled("nothing is captured yet", theme.faint())];
    }
    let mut facts: Vec<_> = interfaces.iter().map(|of| (severity(&faults(of)), of)).collect();
    facts.sort_by_key(|(severity, _)| Reverse(*severity));
    let shown = if facts.len() > most { most.saturating_sub(1).max(1) } else { facts.len() };
    let mut lines: Vec<_> = facts.iter().take(shown).map(|(_, of)| fact(of, theme)).collect();
    let hidden = facts.len() - shown;
    if hidden > 0 {
        let wrong = facts.iter().skip(shown).filter(|(severity, _)| *severity > Severity::Good).count();
        let rest =
            format!("{hidden} more, {}", if wrong == 0 { "all whole".into() } else { format!("{wrong} not whole") });
        match lines.last_mut() {
            Some(last) if most == 1 => last.push_span(format!("  ({rest})")),
            _ => lines.push(Line::from(rest)),
        }
    }
    lines
}

fn severity(faults: &[(Severity, String)]) -> Severity {
    faults.iter().map(|(severity, _)| *severity).max().unwrap_or(Severity::Good)
}

/// What is wrong, worst first.
fn faults(of: &Interface) -> Vec<(Severity, String)> {
    let mut found = Vec::new();
    if let Some(capture) = &of.capture {
        found.extend(state(capture));
    }
    let coverage = coverage(of).filter(|ratio| *ratio < BLIND);
    found.extend(coverage.map(|ratio| (Severity::Bad, format!("sees {} of the kernel's bytes", percent(Some(ratio))))));
    let recent = of.windows.last();
    let over = recent.map(|window| window.window.as_str()).unwrap_or_default();
    let lost = recent.map(|window| drops(&window.losses)).unwrap_or_default();
    found.extend(
        lost.iter()
            .map(|(stage, packets)| (Severity::Bad, format!("{} lost ({stage}) in the last {over}", count(*packets)))),
    );
    let since = drops(&of.losses);
    if found.is_empty() && !since.is_empty() {
        let lost: Vec<_> = since.iter().map(|(stage, packets)| format!("{stage} {}", count(*packets))).collect();
        found.push((Severity::Warn, format!("lost since the start: {}", lost.join(", "))));
    }
    found
}

fn state(capture: &Capture) -> Option<(Severity, String)> {
    match capture {
        Capture { paused: true, .. } => Some((Severity::Warn, "paused".into())),
        // A file that was read to its end is no capture that is missing.
        Capture { up: false, backend, .. } if backend != "replay" => Some((Severity::Bad, "not captured".into())),
        Capture { link_up: Some(false), .. } => Some((Severity::Warn, "link down".into())),
        _ => None,
    }
}

/// The places where packets were lost.
fn drops(losses: &Losses) -> Vec<(&str, u64)> {
    let dropped = losses.dropped_packets.iter().filter(|(_, packets)| **packets > 0);
    dropped.map(|(stage, packets)| (stage.as_str(), *packets)).collect()
}

/// The worst of all windows.
fn coverage(of: &Interface) -> Option<f64> {
    of.capture.iter().flat_map(|capture| &capture.coverage).map(|of| of.ratio).reduce(f64::min)
}

fn fact(of: &Interface, theme: Theme) -> Line<'static> {
    let faults = faults(of);
    let (mark, style) = match severity(&faults) {
        Severity::Good => ("✓", theme.good()),
        Severity::Warn => ("!", theme.warn()),
        Severity::Bad => ("✗", theme.bad()),
    };
    let mut spans = vec![Span::styled(format!("{mark} {}", of.interface), style)];
    let mut say = |words: String, style| spans.extend([Span::raw("  "), Span::styled(words, style)]);
    faults.iter().for_each(|(_, words)| say(words.clone(), style));
    facts(of, faults.is_empty()).into_iter().for_each(|words| say(words, Style::new()));
    Line::from(spans)
}

fn facts(of: &Interface, is_whole: bool) -> Vec<String> {
    let capture = of.capture.as_ref();
    let unreadable: u64 = of.losses.parse_errors.iter().map(|of| of.packets).sum();
    let gaps = capture.map_or(0, |capture| capture.gaps_total);
    let overlaps = capture.filter(|capture| !capture.overlaps.is_empty());
    let facts = [
        coverage(of).map(|ratio| format!("coverage {}", percent(Some(ratio)))),
        is_whole.then(|| "nothing lost".to_owned()),
        capture.and_then(|capture| capture.filter.as_ref()).map(|filter| format!("filter: {filter}")),
        (unreadable > 0).then(|| format!("{} unreadable", count(unreadable))),
        (gaps > 0).then(|| format!("{} gaps", count(gaps))),
        capture.and_then(|of| of.lag_seconds).map(|lag| format!("lag {}", duration(Some(lag)))),
        overlaps.map(|capture| format!("same packets on {}", capture.overlaps.join(", "))),
    ];
    facts.into_iter().flatten().collect()
}
