//! The keyed hash of flow keys, and the fixed one of flow ids.
//!
//! The table's hash is NH, the universal hash of UMAC (RFC 4418 section 5.2) in its 64-bit form as VMAC uses it:
//! pairs of words, each with a secret word added, are multiplied to 128 bits and summed. Two keys that were chosen
//! without knowing the secret have the same sum with a probability of at most 2^-64, so no list of colliding tuples
//! can be prepared. A mixer then spreads the sum over 64 bits. Three multiplications make it as fast as hashes that
//! promise nothing.

#![expect(clippy::cast_possible_truncation, reason = "products and hashes are cut into parts on purpose")]

use super::{FlowKey, PARTITIONS};
use crate::time::Timestamp;
use std::fmt;

/// The secret of the table's hash: one word for each word of a [`FlowKey`], and one for the mixer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey {
    words: [u64; FlowKey::WORDS],
    mixer: u64,
}

/// Without its words, which must not reach a log.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashKey").finish_non_exhaustive()
    }
}

impl HashKey {
    /// The key that replay uses, so that results do not depend on the run (digits of π).
    pub const FIXED: Self = Self {
        words: [
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
            0x4528_21e6_38d0_1377,
            0xbe54_66cf_34e9_0c6c,
        ],
        mixer: 0xc0ac_29b7_c97c_50dd,
    };

    /// A key drawn from the operating system's randomness.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut words = [0; FlowKey::WORDS];
        for word in &mut words {
            *word = getrandom::u64()?;
        }
        Ok(Self { words, mixer: getrandom::u64()? })
    }

    /// The hash of a key.
    #[inline]
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        self.hash_words(key.words())
    }

    /// The hash of a key by its words.
    #[inline]
    pub(super) fn hash_words(&self, [a, b, c, d, e, f]: [u64; FlowKey::WORDS]) -> u64 {
        let [ka, kb, kc, kd, ke, kf] = self.words;
        let product = |x: u64, kx, y: u64, ky| u128::from(x.wrapping_add(kx)) * u128::from(y.wrapping_add(ky));
        let sum = product(a, ka, b, kb).wrapping_add(product(c, kc, d, kd)).wrapping_add(product(e, ke, f, kf));
        let folded = (sum as u64) ^ ((sum >> 64) as u64) ^ self.mixer;
        let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    /// The partition of a key: the top bits of its hash.
    pub fn partition(&self, key: &FlowKey) -> usize {
        partition(self.hash(key))
    }
}

/// The partition of a hash.
#[inline]
pub(super) fn partition(hash: u64) -> usize {
    (hash >> (u64::BITS - PARTITIONS.trailing_zeros())) as usize
}

/// The id of a flow: the hash of its key under [`HashKey::FIXED`], mixed with the first time in nanoseconds. It needs no
/// secret: ids name flows, they do not find them.
pub(super) fn flow_id(key: &FlowKey, first_seen: Timestamp) -> u64 {
    mix(HashKey::FIXED.hash(key) ^ mix(first_seen.as_nanos()))
}

/// Spreads a word over 64 bits: the finaliser of SplitMix64, a bijection.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Address, InterfaceId, VlanStack};

    fn key(low_port: u16) -> FlowKey {
        FlowKey {
            low: Address::v4([10, 0, 0, 1]),
            high: Address::v4([10, 0, 0, 2]),
            vlan: VlanStack::default(),
            low_port,
            high_port: 443,
            interface: InterfaceId(0),
            protocol: 6,
            kind: 2,
        }
    }

    #[test]
    fn partitions_of_neighbouring_keys_are_even() {
        let mut counts = [0u32; PARTITIONS];
        (0..=u16::MAX).for_each(|port| counts[HashKey::FIXED.partition(&key(port))] += 1);
        let mean = 65_536 / PARTITIONS as u32;
        assert!(counts.iter().all(|count| count.abs_diff(mean) < mean / 5), "{counts:?}");
    }

    #[test]
    fn two_keys_order_the_same_flows_differently() {
        let other = HashKey::random().unwrap();
        let same =
            (0..1000).filter(|port| HashKey::FIXED.partition(&key(*port)) == other.partition(&key(*port))).count();
        assert!(same < 100, "{same} of 1000 in the same partition");
    }

    #[test]
    fn a_flow_id_is_the_same_on_every_machine() {
        assert_eq!(flow_id(&key(1), Timestamp::from_nanos(1)), 0xfaaa_8cb0_82ca_e879);
    }
}
