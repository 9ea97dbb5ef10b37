//! Rules over a store at rest: which of them the history can answer, from which tier, and what they would have done.

use crate::alert::{self, CAPTURE_BLIND, Evaluator, Past, Rule, Transition};
use crate::history::{Error, Info, Pictures, Range, Reader, Tier};
use crate::stats::Snapshot;
use crate::time::{NANOS_PER_SECOND, Timestamp};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What rules would have done.
pub(super) struct Tried {
    /// In order of time.
    pub(super) transitions: Vec<Transition>,
    /// The end of the last record that was looked at.
    pub(super) end: Timestamp,
    /// What each rule looked at.
    pub(super) looked: Vec<Looked>,
    /// Records that were skipped because their checksum was wrong.
    pub(super) bad_records: u64,
}

/// What of the history one rule was shown.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub(super) rule: Arc<str>,
    pub(super) tier: Tier,
    /// The first second and the end; equal where there was nothing.
    pub(super) span: Range,
    /// Seconds in between of which nothing was recorded.
    pub(super) missing: u64,
}

/// Why the history cannot answer for a rule.
pub(super) fn unanswerable(rule: &Rule) -> Option<String> {
    let metric = rule.metric;
    if !metric.is_recorded() {
        return Some(format!("the history does not keep `{}`", metric.name));
    }
    if metric.name == "active_flows" && rule.selectors.contains_key("transport") {
        return Some("the history keeps `active_flows` of all transports together".to_owned());
    }
    (rule.window.subsec_nanos() != 0).then(|| "the history keeps whole seconds, and its window is none".to_owned())
}

/// Runs rules over what the store holds of `range`.
pub(super) fn run(reader: &Reader, config: &alert::Config, range: Range, past: &Arc<dyn Past>) -> Result<Tried, Error> {
    let info = reader.info()?;
    let mut groups: BTreeMap<(Duration, Tier), Vec<Arc<Rule>>> = BTreeMap::new();
    for rule in &config.rules {
        groups.entry((rule.window, tier_for(rule.window, range, &info))).or_default().push(Arc::clone(rule));
    }
    let mut tried = Tried { transitions: Vec::new(), end: Timestamp::default(), looked: Vec::new(), bad_records: 0 };
    for (n, ((window, tier), rules)) in groups.into_iter().enumerate() {
        let config = alert::Config { rules, blind: config.blind.clone() };
        let mut evaluator = Evaluator::new(&config, Some(Arc::clone(past)));
        // That an interface is blind is said once, over the shortest window.
        let is_new = |transition: &Transition| n == 0 || &*transition.alert.rule != CAPTURE_BLIND;
        let shown = show(reader, tier, window, range, |picture| {
            tried.transitions.extend(evaluator.picture(picture).into_iter().filter(is_new));
        })?;
        tried.end = tried.end.max(Timestamp::from_nanos(shown.span.to.saturating_mul(NANOS_PER_SECOND)));
        tried.bad_records += shown.bad_records;
        let looked =
            |rule: &Arc<Rule>| Looked { rule: Arc::clone(&rule.name), tier, span: shown.span, missing: shown.missing };
        tried.looked.extend(config.rules.iter().map(looked));
    }
    tried.transitions.sort_by_key(|transition| transition.at);
    let place = |looked: &Looked| config.rules.iter().position(|rule| rule.name == looked.rule);
    tried.looked.sort_by_key(place);
    Ok(tried)
}

struct Shown {
    span: Range,
    missing: u64,
    bad_records: u64,
}

/// Shows every picture of a tier.
fn show(
    reader: &Reader,
    tier: Tier,
    window: Duration,
    range: Range,
    mut each: impl FnMut(&Snapshot),
) -> Result<Shown, Error> {
    let mut pictures = Pictures::new(tier, window);
    let mut span: Option<Range> = None;
    let bad_records = reader.records(tier, range, |record| {
        let from = span.map_or(record.start, |span| span.from);
        span = Some(Range { from, to: record.start + tier.seconds() });
        pictures.take(record, &mut each);
        ControlFlow::Continue(())
    })?;
    let missing = pictures.finish(&mut each);
    Ok(Shown { span: span.unwrap_or(Range { from: range.from, to: range.from }), missing, bad_records })
}

/// Steps of a window, at most: finer ones would only make it slower.
const STEPS: u64 = 60;

/// The finest tier whose records make up the window, not too many of them, and that reaches back over the range; where
/// none does, the one that reaches furthest.
fn tier_for(window: Duration, range: Range, info: &Info) -> Tier {
    let window = window.as_secs();
    let divides = |tier: &Tier| window.is_multiple_of(tier.seconds()) && (window > 0 || *tier == Tier::Second);
    let dividing: Vec<Tier> = Tier::ALL.into_iter().filter(|tier| window == 0 || divides(tier)).collect();
    let few: Vec<Tier> = dividing.iter().copied().filter(|tier| window / tier.seconds() <= STEPS).collect();
    let candidates = if few.is_empty() { &dividing[dividing.len().saturating_sub(1)..] } else { &few[..] };
    let reaches = |tier: &Tier| reaches(*tier, range, info);
    candidates.iter().copied().find(reaches).or(candidates.last().copied()).unwrap_or(Tier::Second)
}

/// Whether a tier has all that there is of the range: it is not pruned, or not there.
fn reaches(tier: Tier, range: Range, info: &Info) -> bool {
    let oldest = |tier: Tier| info.tiers[tier as usize].oldest;
    let Some(begin) = oldest(tier) else { return false };
    let is_whole = |coarser: Tier| oldest(coarser).is_none_or(|first| begin < first + coarser.seconds());
    begin <= range.from || tier.coarser().is_none_or(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{LeftOut, TierInfo};

    fn info(oldest: [u64; 4]) -> Info {
        let tiers = oldest.map(|oldest| TierInfo { records: 1, oldest: Some(oldest), newest: Some(1_000_000) });
        let (gaps, interfaces, left_out) = (Vec::new(), Vec::new(), LeftOut::default());
        Info {
            schema: 1,
            identity: [0; 16],
            created: 0,
            size_bytes: 0,
            tiers,
            flows: 0,
            alerts: 0,
            interfaces,
            gaps,
            left_out,
        }
    }

    #[test]
    fn the_tier_is_the_finest_that_makes_up_the_window_and_reaches_back() {
        let whole = info([36_005, 36_000, 36_000, 36_000]);
        let pruned = info([900_000, 500_000, 100_800, 36_000]);
        let of =
            |seconds, from, info: &Info| tier_for(Duration::from_secs(seconds), Range { from, to: u64::MAX }, info);
        for (window, tier) in [(0, Tier::Second), (1, Tier::Second), (60, Tier::Second), (97, Tier::Second)] {
            assert_eq!(of(window, 0, &whole), tier, "{window} s");
        }
        assert_eq!([of(600, 0, &whole), of(3600, 0, &whole)], [Tier::TenSeconds, Tier::Minute]);
        assert_eq!([of(10, 950_000, &pruned), of(10, 600_000, &pruned)], [Tier::Second, Tier::TenSeconds]);
        assert_eq!([of(60, 200_000, &pruned), of(60, 0, &pruned)], [Tier::Minute, Tier::Minute]);
        assert_eq!([of(1, 0, &pruned), of(10, 0, &pruned)], [Tier::Second, Tier::TenSeconds]);
        assert_eq!([of(0, 0, &pruned), of(3600, 0, &pruned)], [Tier::Hour, Tier::Hour]);
    }
}
