//! When to try again.

use std::time::Duration;

/// Draws waiting times: exponential with full jitter, so that receivers that failed together are not met again together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    state: u64,
}

impl Backoff {
    /// The greatest wait after the first failure; it doubles with each.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// The greatest wait.
    pub const MAX: Duration = Duration::from_secs(300);
    /// The longest that a receiver's own wish is obeyed.
    pub const MAX_ASKED: Duration = Duration::from_secs(3600);
    /// The least time between two requests to a receiver that said that there are too many.
    pub const LEAST_WHEN_LIMITED: Duration = Duration::from_secs(1);

    /// Any seed; 0 stands for another one.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.max(1) }
    }

    /// How long to wait after so many failures, of which there is at least one.
    pub fn after(&mut self, failures: u32) -> Duration {
        let doubled = Self::FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let most = u64::try_from(doubled.min(Self::MAX).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.draw() % (most + 1))
    }

    /// What a receiver asked for, within reason; its own wait where it asked for nothing.
    pub fn asked(&mut self, after: Option<Duration>, failures: u32) -> Duration {
        after.unwrap_or_else(|| self.after(failures)).clamp(Self::LEAST_WHEN_LIMITED, Self::MAX_ASKED)
    }

    /// xorshift64*, which is random enough to spread requests.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_are_spread_over_all_below() {
        let mut backoff = Backoff::new(7);
        for failures in 1..100 {
            let most = Duration::from_secs(1_u64 << (failures - 1).min(20)).min(Backoff::MAX);
            let waits: Vec<_> = (0..400).map(|_| backoff.after(failures)).collect();
            assert!(waits.iter().all(|wait| *wait <= most), "{failures}");
            assert!(waits.iter().any(|wait| *wait < most / 4) && waits.iter().any(|wait| *wait > most * 3 / 4));
        }
    }

    #[test]
    fn a_receivers_wish_is_obeyed_from_a_second_to_an_hour() {
        let mut backoff = Backoff::new(0);
        let cases = [(0, 1), (1, 1), (5, 5), (3600, 3600), (315_360_000, 3600)];
        for (asked, obeyed) in cases {
            assert_eq!(backoff.asked(Some(Duration::from_secs(asked)), 1), Duration::from_secs(obeyed));
        }
        assert!(backoff.asked(None, 1) >= Duration::from_secs(1));
    }
}
