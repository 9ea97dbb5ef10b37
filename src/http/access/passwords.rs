//! Checking passwords against bcrypt hashes, one at a time, and of each address one after the other: a flood from a few
//! addresses is a short queue for who comes from another one.

use super::Known;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Semaphore;

/// Right ones that are remembered.
const MAX_REMEMBERED: usize = 256;
/// Addresses whose checks may wait; each check takes some 50 ms of a core, by the cost in the hash.
const MAX_LINES: usize = 64;
/// Checks of one address that may wait; a browser sends as many at once.
const MAX_OF_ONE: usize = 8;
/// The longest `user:password`, in base 64.
const MAX_BASIC: usize = 1024;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Too many are being checked.
    Busy,
}

/// Remembers right ones by a hash with a key of this process, so that a scraper costs one bcrypt in all, and nobody can
/// make up an entry.
#[derive(Debug)]
pub(super) struct Passwords {
    remembered: Mutex<HashSet<[u8; 32]>>,
    key: OnceLock<[u8; 32]>,
    turn: Arc<Semaphore>,
    lines: Mutex<HashMap<Option<IpAddr>, Line>>,
}

/// Checks of one address.
#[derive(Debug)]
struct Line {
    turn: Arc<Semaphore>,
    length: usize,
}

/// A place in a line; given back when dropped.
#[derive(Debug)]
struct InLine<'a> {
    passwords: &'a Passwords,
    from: Option<IpAddr>,
    turn: Arc<Semaphore>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut lines = self.passwords.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.from) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.from);
            }
        }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            remembered: Mutex::default(),
            key: OnceLock::new(),
            turn: Arc::new(Semaphore::new(1)),
            lines: Mutex::default(),
        }
    }
}

impl Passwords {
    /// Other users are known from now on.
    pub(super) fn forget(&self) {
        self.set().clear();
    }

    /// Whether these very credentials were right before.
    pub(super) fn is_remembered(&self, basic: &str) -> bool {
        self.hash(basic).is_some_and(|hash| self.set().contains(&hash))
    }

    /// Checks `user:password` in base 64, sent from an address. An unknown user takes as long as a wrong password.
    pub(super) async fn verify(&self, known: Arc<Known>, basic: &str, from: Option<IpAddr>) -> Verdict {
        let Some((user, password)) = decode(basic) else { return Verdict::Wrong };
        let Some(line) = self.stand_in_line(from) else { return Verdict::Busy };
        let Ok(_own) = line.turn.acquire().await else { return Verdict::Busy };
        // The one before may have been the same.
        if self.is_remembered(basic) {
            return Verdict::Right;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Verdict::Busy };
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let users = &known.web.users;
            let own = users.get(&user);
            let Some(hash) = own.or_else(|| users.values().next()) else { return false };
            // Both are done in any case.
            bcrypt::verify(password, hash).unwrap_or(false) & own.is_some()
        });
        if !checked.await.unwrap_or(false) {
            return Verdict::Wrong;
        }
        if let Some(hash) = self.hash(basic) {
            let mut remembered = self.set();
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(hash);
        }
        Verdict::Right
    }

    fn stand_in_line(&self, from: Option<IpAddr>) -> Option<InLine<'_>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_LINES && !lines.contains_key(&from) {
            return None;
        }
        let line = lines.entry(from).or_insert_with(|| Line { turn: Arc::new(Semaphore::new(1)), length: 0 });
        if line.length >= MAX_OF_ONE {
            return None;
        }
        line.length += 1;
        Some(InLine { passwords: self, from, turn: Arc::clone(&line.turn) })
    }

    /// `None` without randomness: then nothing is remembered.
    fn hash(&self, basic: &str) -> Option<[u8; 32]> {
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).ok()?;
                self.key.get_or_init(|| key)
            }
        };
        let hash = Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(basic);
        Some(hash.finalize().into_bytes().into())
    }

    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode(basic: &str) -> Option<(String, Vec<u8>)> {
    if basic.len() > MAX_BASIC {
        return None;
    }
    let bytes = from_base64(basic)?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    Some((String::from_utf8(bytes[..colon].to_vec()).ok()?, bytes[colon + 1..].to_vec()))
}

/// RFC 4648 section 4, padding optional.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::access::web_config::WebConfig;

    /// `right`, at the least cost there is.
    fn known() -> Arc<Known> {
        let hash = bcrypt::hash("right", 4).unwrap();
        let users = [("prometheus".to_owned(), hash)].into();
        Arc::new(Known { web: WebConfig { users, ..WebConfig::default() }, ..Known::default() })
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_right() {
        let (passwords, known) = (Passwords::default(), known());
        for (basic, expected) in [
            ("cHJvbWV0aGV1czpyaWdodA==", Verdict::Right), // prometheus:right
            ("cHJvbWV0aGV1czp3cm9uZw==", Verdict::Wrong), // prometheus:wrong
            ("bm9ib2R5OnJpZ2h0", Verdict::Wrong),         // nobody:right
            ("!!!", Verdict::Wrong),
            ("", Verdict::Wrong),
        ] {
            assert_eq!(passwords.verify(Arc::clone(&known), basic, None).await, expected, "{basic}");
            assert_eq!(passwords.is_remembered(basic), expected == Verdict::Right, "{basic}");
        }
        passwords.forget();
        assert!(!passwords.is_remembered("cHJvbWV0aGV1czpyaWdodA=="));
    }

    #[tokio::test]
    async fn a_hash_is_no_password() {
        let (passwords, known) = (Passwords::default(), known());
        assert_eq!(passwords.verify(Arc::clone(&known), "cHJvbWV0aGV1czpyaWdodA==", None).await, Verdict::Right);
        for n in 0..1000_u32 {
            assert!(!passwords.is_remembered(&format!("forged{n}")));
        }
    }

    #[tokio::test]
    async fn a_flood_from_one_address_is_one_check_in_front_of_another_one() {
        let (passwords, known) = (Passwords::default(), known());
        let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let flood: Vec<_> = (0..20).map(|_| passwords.stand_in_line(address(1))).collect();
        assert_eq!(flood.iter().flatten().count(), MAX_OF_ONE);
        let right = passwords.verify(Arc::clone(&known), "cHJvbWV0aGV1czpyaWdodA==", address(2));
        assert_eq!(right.await, Verdict::Right);
        drop(flood);
        assert!(passwords.lines.lock().unwrap().is_empty());
    }
}
