//! What the API answers from the history.

use super::Keeper;
use crate::http::{HistoryKind, HistoryQuery, Hook, Refusal};
use crate::lookback::{self, Topic};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Questions that are answered at a time; one holds up to 30 MiB (addresses of hosts) until it is.
const AT_ONCE: usize = 4;

/// Answers from what this keeper's store holds.
pub(super) fn room(keeper: Keeper) -> Hook<HistoryQuery> {
    let asked = AtomicUsize::new(0);
    Box::new(move |query| {
        let _turn = Turn::take(&asked)?;
        answer(&keeper, &query)
    })
}

fn answer(keeper: &Keeper, query: &HistoryQuery) -> Result<Value, Refusal> {
    let parameters = query.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    keeper.answer(topic(query.kind), parameters).map_err(|refusal| refused(refusal, &query.parameters))
}

const fn topic(kind: HistoryKind) -> Topic {
    match kind {
        HistoryKind::Bandwidth => Topic::Bandwidth,
        HistoryKind::Protocols => Topic::Protocols,
        HistoryKind::Flows => Topic::Flows,
        HistoryKind::Hosts => Topic::Hosts,
        HistoryKind::Totals => Topic::Totals,
        HistoryKind::Alerts => Topic::Alerts,
        HistoryKind::Percentile => Topic::Percentile,
        HistoryKind::Info => Topic::Info,
    }
}

fn refused(refusal: lookback::Refusal, given: &BTreeMap<String, String>) -> Refusal {
    match refusal {
        lookback::Refusal::Question(wrong) => Refusal::Question {
            value: given.get(&wrong.parameter).cloned(),
            field: wrong.parameter,
            found: wrong.found,
            allowed: wrong.allowed,
        },
        lookback::Refusal::Store(error) => Refusal::Unavailable(error.to_string()),
    }
}

/// One of the questions being answered.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(asked: &'a AtomicUsize) -> Result<Self, Refusal> {
        let turn = Self(asked);
        match asked.fetch_add(1, Relaxed) < AT_ONCE {
            true => Ok(turn),
            false => Err(Refusal::Unavailable("other questions to the history are being answered".into())),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn parts_and_parameters_are_those_of_the_command_line() {
        let of_api = HistoryKind::ALL.map(|(name, kind)| (name, topic(kind)));
        assert_eq!(of_api.map(|(name, _)| name), of_api.map(|(_, topic)| topic.name()));
        assert_eq!(of_api.len(), Topic::ALL.len());
        let of_topics: BTreeSet<_> = Topic::ALL.iter().flat_map(|topic| topic.parameters()).copied().collect();
        assert_eq!(BTreeSet::from(HistoryQuery::PARAMETERS), of_topics);
    }

    #[test]
    fn a_store_that_is_away_is_said_to_be_and_a_turn_comes_back() {
        let room = room(Keeper::default());
        for _ in 0..2 * AT_ONCE {
            let query = HistoryQuery { kind: HistoryKind::Info, parameters: BTreeMap::new() };
            let Err(Refusal::Unavailable(said)) = room(query) else { panic!("there is no store") };
            assert!(said.contains("history.redb"), "{said}");
        }
    }

    #[test]
    fn more_questions_than_there_is_room_for_are_refused() {
        let asked = AtomicUsize::new(0);
        let turns: Vec<_> = (0..AT_ONCE).filter_map(|_| Turn::take(&asked).ok()).collect();
        assert_eq!(turns.len(), AT_ONCE);
        assert!(Turn::take(&asked).is_err());
        drop(turns);
        assert!(Turn::take(&asked).is_ok());
    }
}
