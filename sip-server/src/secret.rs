//! Keys and random numbers, all of them from the seed given at construction.
//!
//! Owns key derivation, keyed MACs and the random text of tags and branches. Never asks the system for entropy.

use alloc::string::String;
use hmac::{Hmac, Mac as _};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::Sha256;
use sip_transaction::cores::HashKey;

/// 32 digits that may stand in a token and lose nothing when compared without regard to case.
const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// HMAC-SHA-256 under one key, ready to run.
#[derive(Clone)]
pub(crate) struct Mac(Hmac<Sha256>);

impl Mac {
    /// The key for one purpose, named by `label`.
    pub(crate) fn derive(seed: &[u8; 32], label: &str) -> Mac {
        let mut key = Mac::keyed(seed);
        key.0.update(label.as_bytes());
        let key: [u8; 32] = key.0.finalize().into_bytes().into();
        Mac::keyed(&key)
    }

    /// The key for one of several things of the same purpose.
    pub(crate) fn of_its_own(&self, name: &[u8]) -> Mac {
        Mac::keyed(&self.of(&[name]))
    }

    fn keyed(key: &[u8; 32]) -> Mac {
        // The key is as long as a SHA-256 block allows: it is padded, as HMAC says.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Mac(<Hmac<Sha256> as hmac::Mac>::new(&block.into()))
    }

    /// The MAC of these parts. Each is preceded by its length, so that neighbours cannot run together.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Whether both are the same, in a time that does not depend on where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Random numbers from the seed.
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    pub(crate) fn new(seed: &[u8; 32], label: &str) -> Random {
        Random(ChaCha12Rng::from_seed(Mac::derive(seed, label).of(&[])))
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn hash_key(&mut self) -> HashKey {
        let mut key = [0; 16];
        self.0.fill_bytes(&mut key);
        HashKey::new(key)
    }

    /// Appends `digits` random digits of five bits each.
    pub(crate) fn push_token(&mut self, out: &mut String, digits: usize) {
        let mut bits = 0;
        for n in 0..digits {
            if n % 12 == 0 {
                bits = self.u64();
            }
            out.push(digit(bits));
            bits >>= 5;
        }
    }

    /// A tag of 50 bits, more than the 32 that RFC 3261 section 19.3 asks for.
    pub(crate) fn tag(&mut self) -> String {
        let mut tag = String::with_capacity(10);
        self.push_token(&mut tag, 10);
        tag
    }
}

fn digit(bits: u64) -> char {
    DIGITS.get((bits & 31) as usize).map_or('0', |&digit| char::from(digit))
}

/// 13 digits: the 64 bits of `n`.
pub(crate) fn digits(n: u64) -> [u8; 13] {
    let mut digits = [b'0'; 13];
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = DIGITS.get((n >> (at * 5) & 31) as usize).copied().unwrap_or(b'0');
    }
    digits
}

/// Appends those digits.
pub(crate) fn push_u64(out: &mut String, n: u64) {
    out.push_str(core::str::from_utf8(&digits(n)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_rfc_4231s() {
        // RFC 4231 test case 2, without the lengths that `of` adds.
        let mut mac = Mac::keyed(&{
            let mut key = [0; 32];
            key[..4].copy_from_slice(b"Jefe");
            key
        });
        mac.0.update(b"what do ya want for nothing?");
        let bytes: [u8; 32] = mac.0.finalize().into_bytes().into();
        assert_eq!(bytes[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn parts_do_not_run_together_and_labels_count() {
        let mac = Mac::derive(&[7; 32], "a");
        assert_ne!(mac.of(&[b"ab", b"c"]), mac.of(&[b"a", b"bc"]));
        assert_ne!(mac.of(&[b"ab"]), Mac::derive(&[7; 32], "b").of(&[b"ab"]));
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"ab", b"abc"));
    }

    #[test]
    fn the_seed_decides_everything() {
        let (mut a, mut b) = (Random::new(&[1; 32], "x"), Random::new(&[1; 32], "x"));
        assert_eq!(a.tag(), b.tag());
        assert_ne!(a.tag(), a.tag());
        let mut text = String::new();
        push_u64(&mut text, u64::MAX);
        assert_eq!(text, "vvvvvvvvvvvvf");
    }
}
