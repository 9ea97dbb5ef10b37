//! Percentiles and commit rates.

use super::scan::{Row, View};
use super::{Range, Tier, Usage, layout};
use crate::packet::Direction;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What is asked.
pub(super) struct Terms {
    pub(super) interval: u64,
    pub(super) share: f64,
    pub(super) rate: u64,
}

/// Samples of one interface.
#[derive(Default)]
struct Samples {
    /// The sample that is being summed: its number, bytes by direction, recorded seconds, weight.
    open: Option<(u64, [u64; 2], u64, u64)>,
    /// Rates in bytes per second and how many intervals each stands for, by direction.
    rates: [Vec<(f64, u64)>; 2],
    seconds_over: [u64; 2],
    seconds: u64,
    tier: Option<Tier>,
}

pub(super) fn usage(
    view: &mut View<'_>,
    range: Range,
    terms: &Terms,
    interface: Option<&str>,
) -> Result<Vec<Usage>, redb::Error> {
    let Ok(only) = view.only(interface) else { return Ok(Vec::new()) };
    let mut all: BTreeMap<layout::Series, Samples> = BTreeMap::new();
    let parts = view.parts(range, Tier::Second, false);
    view.scan(&parts, only, |row| {
        all.entry(row.series).or_default().add(row, terms);
        ControlFlow::Continue(())
    })?;
    let named = all.into_iter().filter_map(|(series, samples)| Some((view.names.get(&series)?.clone(), samples)));
    let mut answers: Vec<_> = named.map(|(interface, samples)| samples.answer(interface, terms)).collect();
    answers.sort_by(|a, b| a.interface.cmp(&b.interface));
    Ok(answers)
}

impl Samples {
    fn add(&mut self, row: &Row, terms: &Terms) {
        let (number, seconds) = (row.start / terms.interval, row.measures.seconds);
        let bytes = Direction::ALL.map(|direction| row.measures.volume(direction).bytes);
        self.seconds = self.seconds.saturating_add(seconds);
        self.tier = self.tier.max(Some(row.tier));
        for (over, bytes) in self.seconds_over.iter_mut().zip(bytes) {
            if u128::from(bytes) > u128::from(terms.rate) * u128::from(seconds) {
                *over += seconds;
            }
        }
        match &mut self.open {
            Some((open, sums, recorded, _)) if *open == number => {
                sums.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
                *recorded += seconds;
            }
            _ => {
                self.close();
                // A record longer than the interval stands for all intervals in it.
                let weight = (row.tier.seconds() / terms.interval).max(1);
                self.open = Some((number, bytes, seconds, weight));
            }
        }
    }

    fn close(&mut self) {
        if let Some((_, bytes, seconds, weight)) = self.open.take() {
            for (rates, bytes) in self.rates.iter_mut().zip(bytes) {
                rates.push((bytes as f64 / seconds.max(1) as f64, weight));
            }
        }
    }

    fn answer(mut self, interface: std::sync::Arc<str>, terms: &Terms) -> Usage {
        self.close();
        let samples = self.rates[0].iter().map(|(_, weight)| weight).sum();
        Usage {
            interface,
            interval: terms.interval,
            samples,
            percentile: self.rates.map(|rates| nearest_rank(rates, samples, terms.share)),
            seconds_over: self.seconds_over,
            seconds: self.seconds,
            tier: self.tier.unwrap_or(Tier::Second),
        }
    }
}

/// The least rate that at least `share` of the samples do not exceed.
fn nearest_rank(mut rates: Vec<(f64, u64)>, samples: u64, share: f64) -> f64 {
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0;
    for (rate, weight) in &rates {
        below += weight;
        if below as f64 >= share * samples as f64 {
            return *rate;
        }
    }
    rates.last().map_or(0.0, |(rate, _)| *rate)
}
