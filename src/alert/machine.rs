//! The life of one alert: inactive, pending, firing, resolved.
//!
//! ```text
//!              holds                 held for `for`               clear for `keep_firing_for`
//!  inactive ─────────────▶ pending ─────────────────▶ firing ───────────────────────────────▶ resolved = inactive
//!      ▲                      │                          ▲ │
//!      └── does not, or ──────┘                          └─┘ holds, or cannot be judged: it goes on, and being clear
//!          cannot be judged                                  begins anew
//! ```

use crate::time::Tick;

/// What a rule says of one label set at one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The condition holds; once firing, it has not cleared.
    Holds,
    /// It does not; once firing, it has cleared.
    Clear,
    /// Nothing can be said: the window is not full, or the capture is down.
    Held,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Inactive,
    /// Since this tick.
    Pending(Tick),
    /// And clear since this tick.
    Firing(Option<Tick>),
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Pended,
    Dropped,
    Fired,
    Resolved,
}

/// Durations of a rule in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delays {
    pub(super) hold: u64,
    pub(super) keep_firing: u64,
}

impl Phase {
    /// Takes the verdict of `now`. Ticks do not go back between calls, but for [`Phase::begin_anew`].
    pub(super) fn judge(&mut self, verdict: Verdict, now: Tick, delays: Delays) -> Option<Change> {
        let passed = |since: Tick| now.0.saturating_sub(since.0);
        let (next, change) = match (*self, verdict) {
            (Self::Inactive, Verdict::Holds) if delays.hold == 0 => (Self::Firing(None), Some(Change::Fired)),
            (Self::Inactive, Verdict::Holds) => (Self::Pending(now), Some(Change::Pended)),
            (Self::Inactive, _) => (Self::Inactive, None),
            (Self::Pending(since), Verdict::Holds) if passed(since) >= delays.hold => {
                (Self::Firing(None), Some(Change::Fired))
            }
            (Self::Pending(since), Verdict::Holds) => (Self::Pending(since), None),
            (Self::Pending(_), _) => (Self::Inactive, Some(Change::Dropped)),
            (Self::Firing(_), Verdict::Holds | Verdict::Held) => (Self::Firing(None), None),
            (Self::Firing(clear), Verdict::Clear) => {
                let since = clear.unwrap_or(now);
                match passed(since) >= delays.keep_firing {
                    true => (Self::Inactive, Some(Change::Resolved)),
                    false => (Self::Firing(Some(since)), None),
                }
            }
        };
        *self = next;
        change
    }

    /// Time stepped, or begins again after a restart: what was waited for is waited for anew from `now` on, so that no
    /// jump fires or resolves anything by itself.
    pub(super) fn begin_anew(&mut self, now: Tick) {
        *self = match *self {
            Self::Pending(_) => Self::Pending(now),
            Self::Firing(_) => Self::Firing(None),
            Self::Inactive => Self::Inactive,
        };
    }

    /// When it will change if the verdict stays.
    pub(super) fn deadline(self, delays: Delays) -> Option<Tick> {
        match self {
            Self::Pending(since) => Some(Tick(since.0.saturating_add(delays.hold))),
            Self::Firing(Some(since)) => Some(Tick(since.0.saturating_add(delays.keep_firing))),
            _ => None,
        }
    }

    pub(super) const fn is_firing(self) -> bool {
        matches!(self, Self::Firing(_))
    }

    pub(super) const fn is_inactive(self) -> bool {
        matches!(self, Self::Inactive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What happens to an alert in a test.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// So many ticks later, this is found.
        Found(u64, Verdict),
        /// A time step, or a restart, to this tick.
        Anew(u64),
    }

    /// The same said plainly: the whole past is kept, and looked through at every tick.
    #[derive(Default)]
    struct Model {
        past: Vec<(u64, Verdict)>,
        firing: bool,
    }

    impl Model {
        /// For how long the past has been `verdict` without a break; `None` if it is not now.
        fn unbroken(&self, verdict: Verdict) -> Option<u64> {
            let (now, _) = *self.past.last()?;
            let run = self.past.iter().rev().take_while(|(_, found)| *found == verdict);
            run.last().map(|(since, _)| now - since)
        }

        fn found(&mut self, at: u64, verdict: Verdict, delays: Delays) -> &'static str {
            self.past.push((at, verdict));
            if self.firing {
                self.firing = self.unbroken(Verdict::Clear).is_none_or(|clear| clear < delays.keep_firing);
            } else {
                self.firing = self.unbroken(Verdict::Holds).is_some_and(|held| held >= delays.hold);
            }
            if !self.firing && self.past.len() > 1 && verdict == Verdict::Clear {
                self.past = vec![(at, verdict)];
            }
            self.state()
        }

        fn state(&self) -> &'static str {
            match (self.firing, self.unbroken(Verdict::Holds)) {
                (true, _) => "firing",
                (false, Some(_)) => "pending",
                (false, None) => "inactive",
            }
        }

        /// Only what is found now counts, as if it had just begun.
        fn anew(&mut self, at: u64) {
            let held = self
                .past
                .last()
                .map(|(_, verdict)| *verdict)
                .filter(|verdict| *verdict == Verdict::Holds && !self.firing);
            self.past = held.map(|verdict| (at, verdict)).into_iter().collect();
        }
    }

    fn name(phase: Phase) -> &'static str {
        match phase {
            Phase::Inactive => "inactive",
            Phase::Pending(_) => "pending",
            Phase::Firing(_) => "firing",
        }
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let verdict = prop_oneof![3 => Just(Verdict::Holds), 3 => Just(Verdict::Clear), 1 => Just(Verdict::Held)];
        // A few ticks, silence, and long silence.
        let later = prop_oneof![8 => 1_u64..4, 1 => 4_u64..40];
        let event = prop_oneof![
            12 => (later, verdict).prop_map(|(later, verdict)| Event::Found(later, verdict)),
            1 => (1_u64..100_000).prop_map(Event::Anew),
        ];
        prop::collection::vec(event, 1..200)
    }

    proptest! {
        #[test]
        fn an_alert_lives_as_the_plain_model_says(events in events(), hold in 0_u64..12, keep_firing in 0_u64..12) {
            let delays = Delays { hold, keep_firing };
            let (mut phase, mut model, mut now) = (Phase::default(), Model::default(), 50_000);
            for event in events {
                match event {
                    Event::Found(later, verdict) => {
                        now += later;
                        let before = name(phase);
                        let change = phase.judge(verdict, Tick(now), delays);
                        prop_assert_eq!(name(phase), model.found(now, verdict, delays));
                        let expected = match (before, name(phase)) {
                            ("inactive", "pending") => Some(Change::Pended),
                            ("inactive" | "pending", "firing") => Some(Change::Fired),
                            ("pending", "inactive") => Some(Change::Dropped),
                            ("firing", "inactive") => Some(Change::Resolved),
                            _ => None,
                        };
                        prop_assert_eq!(change, expected);
                    }
                    Event::Anew(to) => {
                        now = to;
                        phase.begin_anew(Tick(now));
                        model.anew(now);
                        prop_assert_eq!(name(phase), model.state());
                    }
                }
            }
        }

        #[test]
        fn nothing_changes_before_its_deadline_while_the_verdict_stays(
            hold in 1_u64..50, keep_firing in 1_u64..50, firing: bool, wait in 0_u64..49,
        ) {
            let delays = Delays { hold, keep_firing };
            let mut phase = if firing { Phase::Firing(None) } else { Phase::Inactive };
            let verdict = if firing { Verdict::Clear } else { Verdict::Holds };
            phase.judge(verdict, Tick(100), delays);
            let deadline = phase.deadline(delays).unwrap();
            let early = phase.judge(verdict, Tick(100 + wait.min(deadline.0 - 101)), delays);
            prop_assert_eq!(early, None);
            prop_assert!(phase.judge(verdict, deadline, delays).is_some());
        }
    }
}
