//! Answers against a recomputation from the seconds.

use super::tools::{Memory, keeping_all, mix, records, second, summed};
use crate::history::{Calendar, Error, FlowQuery, Point, Range, Second, SeriesQuery, Tier, Zone};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Seconds of two interfaces from `from` on, in order of time: runs and gaps as `seed` has it.
fn seconds(from: u64, count: usize, seed: u64) -> Vec<Second> {
    let (mut seconds, mut start, mut state) = (Vec::new(), from, seed);
    while seconds.len() < count {
        state = mix(state);
        match state % 40 {
            0 => start += state >> 32 & 0x7ff,
            1 => start += state >> 32 & 0x3f,
            2 => seconds.push(second("wlan0", start)),
            3..20 => seconds.push(second("eth0", start)),
            _ => seconds.extend([second("eth0", start), second("wlan0", start)]),
        }
        start += 1;
    }
    seconds
}

fn store(seconds: &[Second], retention: Option<[u64; 4]>, seed: u64) -> Memory {
    let mut config = keeping_all();
    if let Some(retention) = retention {
        config.retention = retention.map(Duration::from_secs);
    }
    let mut store = Memory::new(config);
    let (mut rest, mut state) = (seconds, seed);
    while !rest.is_empty() {
        state = mix(state);
        let (batch, more) = rest.split_at(rest.len().min(1 + (state % 300) as usize));
        store.seconds(batch);
        rest = more;
    }
    store
}

/// Points of all interfaces.
fn points(store: &Memory, query: &SeriesQuery) -> Vec<(Arc<str>, Point)> {
    let answer = store.reader().series(query).unwrap();
    assert_eq!((answer.bad_records, answer.truncated), (0, false));
    let named = answer.series.into_iter().flat_map(|series| {
        let interface = series.interface;
        series.points.into_iter().map(move |point| (Arc::clone(&interface), point))
    });
    named.collect()
}

const STEPS: [Option<u64>; 8] = [Some(1), Some(7), Some(10), Some(60), Some(300), Some(3600), Some(86_400), None];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_tier_is_the_sum_of_its_seconds(from in 0u64..2_000_000_000, seed: u64) {
        let seconds = seconds(from, 1500, seed);
        let store = store(&seconds, None, seed);
        for tier in Tier::ALL {
            prop_assert_eq!(records(&store.reader(), tier), summed(&seconds, tier.seconds()));
        }
    }

    #[test]
    fn points_of_every_step_are_sums_of_their_seconds_and_gaps_are_no_points(from in 0u64..2_000_000_000, seed: u64) {
        let seconds = seconds(from, 1500, seed);
        let store = store(&seconds, None, seed);
        for step in STEPS {
            let query = SeriesQuery { step, ..SeriesQuery::over(Range::ALL) };
            let answer = points(&store, &query);
            let length = answer[0].1.length;
            let expected = summed(&seconds, step.unwrap_or(length));
            let found: BTreeMap<_, _> = answer.into_iter().map(|(name, p)| ((p.start, name), p.measures)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn across_tier_boundaries_every_second_is_told_once(from in 0u64..2_000_000_000, seed: u64) {
        let seconds = seconds(from, 1500, seed);
        let store = store(&seconds, Some([100, 900, 4000, 1 << 40]), seed);
        let pruned: u64 = store.state.pruned.iter().sum();
        prop_assert!(pruned > 0);
        for step in [1, 10, 60, 300, 3600] {
            let query = SeriesQuery { step: Some(step), ..SeriesQuery::over(Range::ALL) };
            let mut told = 0;
            for (name, point) in points(&store, &query) {
                let inside = seconds.iter().filter(|second| second.interface == name);
                let inside = inside.filter(|second| (point.start..point.start + point.length).contains(&second.start));
                let inside: Vec<_> = inside.cloned().collect();
                told += inside.len();
                let expected = summed(&inside, u64::MAX);
                prop_assert_eq!(expected.into_values().collect::<Vec<_>>(), vec![point.measures]);
            }
            prop_assert_eq!(told, seconds.len());
        }
    }

    #[test]
    fn a_range_is_answered_in_whole_points(from in 0u64..2_000_000_000, at in 0u64..2000, length in 1u64..2000, seed: u64) {
        let seconds = seconds(from, 600, seed);
        let store = store(&seconds, None, seed);
        let range = Range { from: from + at, to: from + at + length };
        for step in [1, 10, 60] {
            let query = SeriesQuery { step: Some(step), ..SeriesQuery::over(range) };
            let (first, last) = (range.from / step * step, range.to.div_ceil(step) * step);
            let inside: Vec<_> = seconds.iter().filter(|s| (first..last).contains(&s.start)).cloned().collect();
            let found: BTreeMap<_, _> =
                points(&store, &query).into_iter().map(|(name, p)| ((p.start, name), p.measures)).collect();
            prop_assert_eq!(found, summed(&inside, step));
        }
    }
}

/// One second in every half hour or so, over `days`.
fn sparse(from: u64, days: u64, seed: u64) -> Vec<Second> {
    let (mut seconds, mut start, mut state) = (Vec::new(), from, seed);
    while start < from + days * 86_400 {
        state = mix(state);
        seconds.push(second("eth0", start));
        start += 1 + state % 3600;
    }
    seconds
}

/// Totals by what the calendar of `zone` calls the second, each second asked for itself.
fn by_name(seconds: &[Second], zone: &TimeZone, format: &str) -> BTreeMap<String, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for second in seconds {
        let at = jiff::Timestamp::from_second(i64::try_from(second.start).unwrap()).unwrap().to_zoned(zone.clone());
        let sum: &mut (u64, u64) = sums.entry(at.strftime(format).to_string()).or_default();
        sum.0 += 1;
        sum.1 += second.measures.volume(crate::packet::Direction::Receive).bytes;
    }
    sums
}

fn assert_totals(zone: &str, from: &str, days: u64) {
    let Ok(asked) = Zone::named(zone) else {
        println!("skipped: this machine does not know {zone}");
        return;
    };
    let from = u64::try_from(from.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap();
    let (seconds, known) = (sparse(from, days, from), TimeZone::get(zone).unwrap());
    let reader = store(&seconds, None, 3).reader();
    for (unit, format) in
        [(Calendar::Month, "%Y-%m"), (Calendar::Day, "%Y-%m-%d"), (Calendar::Hour, "%Y-%m-%dT%H:00%:z")]
    {
        let totals = reader.totals(Range::ALL, unit, &asked, None).unwrap();
        assert!(totals.iter().all(|total| !total.inexact && total.from < total.to));
        let receive = crate::packet::Direction::Receive;
        let found: Vec<_> =
            totals.iter().map(|t| (t.label.clone(), (t.measures.seconds, t.measures.volume(receive).bytes))).collect();
        let expected = by_name(&seconds, &known, format);
        assert_eq!(found.len(), expected.len(), "{zone} {unit:?}");
        assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected, "{zone} {unit:?}");
    }
}

#[test]
fn days_hours_and_months_are_right_when_the_clock_is_set() {
    assert_totals("UTC", "2026-02-20T00:00:00Z", 40);
    assert_totals("Europe/Berlin", "2026-03-20T10:00:00Z", 20);
    assert_totals("Europe/Berlin", "2026-10-20T10:00:00Z", 20);
    assert_totals("America/New_York", "2026-10-28T03:00:00Z", 10);
    assert_totals("Asia/Kolkata", "2026-01-25T00:00:00Z", 10);
    assert_totals("Asia/Kathmandu", "2028-02-25T00:00:00Z", 10);
}

#[test]
fn days_are_23_and_25_hours_long_and_a_range_asks_for_whole_units() {
    let Ok(zone) = Zone::named("Europe/Berlin") else { return println!("skipped: no time zones here") };
    let noon =
        |day: &str| u64::try_from(format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second()).unwrap();
    for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)] {
        let at = noon(day);
        let reader = store(&[second("eth0", at - 7 * 3600), second("eth0", at)], None, 1).reader();
        let totals = reader.totals(Range { from: at, to: at + 1 }, Calendar::Day, &zone, Some("eth0")).unwrap();
        assert_eq!(totals.len(), 1);
        assert_eq!((totals[0].label.as_str(), (totals[0].to - totals[0].from) / 3600), (day, hours));
        assert_eq!(totals[0].measures.seconds, 2);
    }
}

#[test]
fn where_only_hours_are_left_a_half_hour_zone_says_that_it_is_not_exact() {
    let Ok(zone) = Zone::named("Asia/Kolkata") else { return println!("skipped: no time zones here") };
    let seconds: Vec<_> = (0..40_000).step_by(50).map(|at| second("eth0", 1_767_225_600 + at)).collect();
    let reader = store(&seconds, Some([60, 600, 3600, 1 << 40]), 9).reader();
    let totals = reader.totals(Range::ALL, Calendar::Hour, &zone, None).unwrap();
    assert!(totals.iter().any(|total| total.inexact));
    assert_eq!(totals.iter().map(|total| total.measures.seconds).sum::<u64>(), seconds.len() as u64);
}

#[test]
fn the_percentile_is_the_nearest_rank_and_seconds_over_the_rate_are_counted() {
    let seconds: Vec<_> = (0..6000).map(|at| second("eth0", 3_000_000 + at)).collect();
    let reader = store(&seconds, None, 2).reader();
    let receive = |second: &Second| second.measures.volume(crate::packet::Direction::Receive).bytes;
    let mut rates: Vec<f64> =
        seconds.chunks(300).map(|chunk| chunk.iter().map(receive).sum::<u64>() as f64 / chunk.len() as f64).collect();
    rates.sort_by(f64::total_cmp);
    let usage = reader.usage(Range::ALL, 300, 0.95, 40_000_000, None).unwrap();
    assert_eq!((usage[0].samples, usage[0].seconds), (20, 6000));
    assert_eq!(usage[0].percentile[0], rates[18]);
    let over = seconds.iter().filter(|second| receive(second) > 40_000_000).count() as u64;
    assert_eq!(usage[0].seconds_over[0], over);
    assert!(reader.usage(Range::ALL, 0, 0.95, 1, None).is_err());
    assert!(reader.usage(Range::ALL, 300, 1.5, 1, None).is_err());
}

#[test]
fn a_question_from_1970_on_costs_what_is_there_and_a_limit_counts_points() {
    let seconds: Vec<_> = (0..500).map(|at| second("eth0", 1_790_000_000 + at)).collect();
    let reader = store(&seconds, None, 2).reader();
    let query = SeriesQuery { step: Some(1), limit: 100, ..SeriesQuery::over(Range::ALL) };
    let answer = reader.series(&query).unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.series[0].points.len(), 100);
    assert_eq!(answer.series[0].points[0].start, 1_790_000_000);
    let query = SeriesQuery { interface: Some("eth9".into()), ..SeriesQuery::over(Range::ALL) };
    assert_eq!(reader.series(&query).unwrap().series, []);
    let forced = SeriesQuery { tier: Some(Tier::Minute), ..SeriesQuery::over(Range::ALL) };
    assert_eq!(reader.series(&forced).unwrap().step, 60);
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused_and_no_damage() {
    let store = store(&[second("eth0", 60)], None, 1);
    let (reader, range) = (store.reader(), Range { from: 100, to: 99 });
    let zone = &Zone::UTC;
    assert!(matches!(reader.series(&SeriesQuery::over(range)), Err(Error::Question(_))));
    assert!(matches!(reader.totals(range, Calendar::Day, zone, None), Err(Error::Question(_))));
    assert!(matches!(reader.usage(range, 300, 0.95, 1, None), Err(Error::Question(_))));
    assert!(matches!(reader.flows(&FlowQuery::over(range)), Err(Error::Question(_))));
    assert!(matches!(reader.hosts(&FlowQuery::over(range)), Err(Error::Question(_))));
    assert!(matches!(reader.alerts(range, None, 1), Err(Error::Question(_))));
    for range in [Range { from: 7, to: 7 }, Range { from: u64::MAX, to: u64::MAX }, Range::ALL] {
        reader.series(&SeriesQuery::over(range)).unwrap();
        reader.totals(range, Calendar::Month, zone, None).unwrap();
        reader.flows(&FlowQuery::over(range)).unwrap();
        reader.alerts(range, None, 1).unwrap();
    }
    assert!(!store.shared.is_suspect.load(std::sync::atomic::Ordering::Relaxed));
}
