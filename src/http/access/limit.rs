//! How often an address may be wrong.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Wrong ones in a row.
const BURST: f64 = 10.0;
/// Wrong ones a second, on and on.
const RATE: f64 = 0.5;
/// Addresses that are told apart; more share one account.
const MAX_ADDRESSES: usize = 4096;

/// Wrong passwords and tokens by address; an IPv6 network of 64 bits counts as one.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<Option<IpAddr>, Account>>);

#[derive(Clone, Copy, Debug)]
struct Account {
    left: f64,
    at: Instant,
}

impl Account {
    fn now(self) -> f64 {
        (self.left + self.at.elapsed().as_secs_f64() * RATE).min(BURST)
    }
}

impl Guesses {
    /// Whether another wrong one would be let through.
    pub(super) fn may_guess(&self, from: Option<IpAddr>) -> bool {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(&key(from)).is_none_or(|account| account.now() >= 1.0)
    }

    /// Counts a wrong one; whether it was let through.
    pub(super) fn count(&self, from: Option<IpAddr>) -> bool {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MAX_ADDRESSES {
            accounts.retain(|_, account| account.now() < BURST);
        }
        let key = key(from).filter(|address| accounts.len() < MAX_ADDRESSES || accounts.contains_key(&Some(*address)));
        let at = Instant::now();
        let account = accounts.entry(key).or_insert(Account { left: BURST, at });
        let left = account.now();
        *account = Account { left: (left - 1.0).max(0.0), at };
        left >= 1.0
    }
}

/// Who counts as one: an address, or an IPv6 network of 64 bits.
pub(super) fn key(from: Option<IpAddr>) -> Option<IpAddr> {
    from.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn an_account_runs_out_and_fills_up_again() {
        let (guesses, one, other) = (Guesses::default(), Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        let through = (0..20).filter(|_| guesses.count(one)).count();
        assert_eq!(through, 10);
        assert!(!guesses.may_guess(one) && guesses.may_guess(other));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!((0..20).filter(|_| guesses.count(one)).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_addresses_is_one() {
        let guesses = Guesses::default();
        let address = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        assert_eq!((0..50).filter(|n| guesses.count(address(*n))).count(), 10);
    }
}
