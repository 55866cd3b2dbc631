//! Nonces without state, and the little state that keeps each from being used twice.
//!
//! A nonce carries when it was made and a random number, and a MAC over these and, if asked for, its flow, with a key of its realm: it
//! needs no memory until it is used. Of a nonce that has been used, the counts seen are kept in a window. The memory of used
//! nonces is bounded: what is forgotten before its time makes all nonces of that age stale, so nothing can be replayed.

use crate::secret::{Mac, Random, same};
use alloc::collections::VecDeque;
use alloc::string::String;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashbrown::HashMap;
use sip_transaction::Instant;
use sip_transaction::cores::IdHash;

const TIME: usize = 4;
const SALT: usize = 8;
const TAG: usize = 9;
const LEN: usize = TIME + SALT + TAG;
/// Characters of a nonce: the base64 of `LEN` bytes.
pub(crate) const NONCE_CHARS: usize = LEN / 3 * 4;

/// Counts below the highest that may still come, as after reordering.
const WINDOW: u32 = 64;

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It may be used.
    Fresh,
    /// It may be used, and the client should have another soon.
    Aging,
}

/// The counts seen of one nonce.
#[derive(Clone, Copy)]
struct Seen {
    /// Bit n: `highest - n` has been seen.
    window: u64,
    /// The highest count.
    highest: u32,
    /// When it was made.
    made: u32,
    /// Which realm it is of.
    realm: u32,
    /// The tag it was proven with at its first use, unless that depends on who sends it: it need not be computed again for those that follow.
    tag: Option<[u8; TAG]>,
}

impl Seen {
    /// Whether `count` could be used: not yet seen.
    fn is_unused(&self, count: u32) -> bool {
        match self.highest.checked_sub(count) {
            None => true,
            Some(back) => back < WINDOW && self.window & (1 << back) == 0,
        }
    }

    fn use_up(&mut self, count: u32) {
        match self.highest.checked_sub(count) {
            Some(back) => self.window |= if back < WINDOW { 1 << back } else { 0 },
            None => {
                let ahead = count - self.highest;
                self.window = if ahead < WINDOW { self.window << ahead | 1 } else { 1 };
                self.highest = count;
            }
        }
    }
}

pub(crate) struct Nonces {
    mac: Mac,
    random: Random,
    /// Seconds a nonce may be used.
    lifetime: u32,
    capacity: usize,
    used: HashMap<u64, Seen, IdHash>,
    /// The used ones, in the order of their first use, with when they were made.
    order: VecDeque<(u64, u32)>,
    /// Nonces made at this second or before that are not among the used ones are stale: they may have been used.
    horizon: Option<u32>,
}

fn seconds(now: Instant) -> u32 {
    u32::try_from(now.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

impl Nonces {
    pub(crate) fn new(seed: &[u8; 32], lifetime: u32, capacity: usize) -> Nonces {
        Nonces {
            mac: Mac::derive(seed, "digest nonces"),
            random: Random::new(seed, "digest nonces"),
            lifetime,
            capacity: capacity.max(1),
            used: HashMap::with_hasher(IdHash),
            order: VecDeque::new(),
            horizon: None,
        }
    }

    /// The key of a realm: its nonces are good for no other.
    pub(crate) fn realm(&self, realm: &str) -> Mac {
        self.mac.of_its_own(realm.as_bytes())
    }

    /// Appends a new nonce, good for the realm with this key and whoever `peer` stands for.
    pub(crate) fn write(&mut self, out: &mut String, now: Instant, realm: &Mac, peer: &[u8]) {
        let salt = self.random.u64();
        let mut bytes = [0; LEN];
        seal(&mut bytes, seconds(now), salt, realm, peer);
        URL_SAFE_NO_PAD.encode_string(bytes, out);
    }

    /// Uses `count` of a nonce up, and tells what it is worth for the realm with this number and key and for `peer`. `None`: it was not made for
    /// them, it is too old, or the count has been used. No count is the single use of a nonce without one.
    ///
    /// Only for one whose digest was right: what anybody can send must not fill the memory.
    pub(crate) fn use_up(
        &mut self,
        nonce: &[u8],
        count: Option<u32>,
        now: Instant,
        realm: usize,
        key: &Mac,
        peer: &[u8],
    ) -> Option<Worth> {
        self.forget(now);
        let bytes = decoded(nonce)?;
        let made = bytes.first_chunk::<TIME>().map_or(0, |made| u32::from_be_bytes(*made));
        let salt = bytes.get(TIME..TIME + SALT).and_then(|salt| salt.try_into().ok()).map_or(0, u64::from_be_bytes);
        let tag = bytes.last_chunk::<TAG>().copied().unwrap_or_default();
        let realm = realm as u32;
        let seen = self.used.get_mut(&salt);
        let proven = |seen: &&mut Seen| {
            seen.made == made && seen.realm == realm && seen.tag.is_some_and(|proven| same(&proven, &tag))
        };
        if !(peer.is_empty() && seen.as_ref().is_some_and(proven)) {
            let mut expected = [0; LEN];
            seal(&mut expected, made, salt, key, peer);
            if !same(&expected, &bytes) {
                return None;
            }
        }
        let age = seconds(now).saturating_sub(made);
        if age >= self.lifetime {
            return None;
        }
        match (seen, count) {
            (None, _) => {
                if self.horizon.is_some_and(|horizon| made <= horizon) {
                    return None;
                }
                // Without a count a nonce is good once: the highest there is stands for all.
                let highest = count.unwrap_or(u32::MAX);
                self.used.insert(salt, Seen { window: 1, highest, made, realm, tag: peer.is_empty().then_some(tag) });
                self.order.push_back((salt, made));
            }
            (Some(seen), Some(count)) if seen.is_unused(count) => seen.use_up(count),
            (Some(_), _) => return None,
        }
        Some(if age >= self.lifetime / 2 { Worth::Aging } else { Worth::Fresh })
    }

    /// Forgets nonces that are stale by age, and the oldest beyond the capacity.
    fn forget(&mut self, now: Instant) {
        while let Some(&(salt, made)) = self.order.front() {
            let aged = seconds(now).saturating_sub(made) >= self.lifetime;
            if !aged && self.order.len() < self.capacity {
                break;
            }
            if !aged {
                self.horizon = Some(self.horizon.map_or(made, |horizon| horizon.max(made)));
            }
            self.order.pop_front();
            self.used.remove(&salt);
        }
    }

    /// How many nonces are remembered as used.
    pub(crate) fn used(&self) -> usize {
        self.used.len()
    }
}

/// The values of the digits of base64 with the alphabet for URLs (RFC 4648 section 5); all bits for what is none.
static DIGITS: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// The bytes of a nonce from its text. The text has as many digits as the bytes need, so that each text is of one nonce alone.
fn decoded(text: &[u8]) -> Option<[u8; LEN]> {
    if text.len() != NONCE_CHARS {
        return None;
    }
    let mut bytes = [0; LEN];
    let mut wrong = 0;
    for (three, four) in bytes.chunks_exact_mut(3).zip(text.chunks_exact(4)) {
        let mut bits = 0u32;
        for digit in four {
            let value = DIGITS[usize::from(*digit)];
            wrong |= value;
            bits = bits << 6 | u32::from(value);
        }
        let [_, value @ ..] = bits.to_be_bytes();
        three.copy_from_slice(&value);
    }
    (wrong < 64).then_some(bytes)
}

/// Time, salt and tag. Time and salt are one part, so that one block of the hash holds all.
fn seal(bytes: &mut [u8; LEN], made: u32, salt: u64, realm: &Mac, peer: &[u8]) {
    let (head, tag) = bytes.split_at_mut(TIME + SALT);
    let parts = made.to_be_bytes().into_iter().chain(salt.to_be_bytes());
    for (to, from) in head.iter_mut().zip(parts) {
        *to = from;
    }
    for (to, from) in tag.iter_mut().zip(realm.of(&[head, peer])) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn nonces(capacity: usize) -> Nonces {
        Nonces::new(&[3; 32], 300, capacity)
    }

    fn make(nonces: &mut Nonces, now: Instant) -> String {
        let mut text = String::new();
        let realm = nonces.realm("example.com");
        nonces.write(&mut text, now, &realm, b"peer");
        assert_eq!(text.len(), NONCE_CHARS);
        text
    }

    /// What the use of a nonce is worth for a realm and a peer.
    fn used(nonces: &mut Nonces, text: &str, count: u32, now: Instant, realm: &str, peer: &[u8]) -> Option<Worth> {
        let key = nonces.realm(realm);
        let number = usize::from(realm != "example.com");
        nonces.use_up(text.as_bytes(), Some(count), now, number, &key, peer)
    }

    #[test]
    fn a_nonce_is_good_for_its_realm_its_peer_and_its_time() {
        let mut nonces = nonces(10);
        let text = make(&mut nonces, at(10));
        let mut forged = text.clone();
        forged.replace_range(..1, if text.starts_with('A') { "B" } else { "A" });
        // Before its first use and after it.
        for count in [1, 3] {
            assert_eq!(used(&mut nonces, &text, 9, at(10), "example.org", b"peer"), None, "another realm");
            assert_eq!(used(&mut nonces, &text, 9, at(10), "example.com", b"other"), None, "another peer");
            assert_eq!(used(&mut nonces, &text, 9, at(10), "example.com", b""), None, "no peer");
            assert_eq!(used(&mut nonces, &forged, 9, at(10), "example.com", b"peer"), None, "another time");
            assert_eq!(used(&mut nonces, "", 9, at(10), "example.com", b"peer"), None, "nothing");
            assert_eq!(used(&mut nonces, &text, count, at(10), "example.com", b"peer"), Some(Worth::Fresh));
            assert_eq!(used(&mut nonces, &text, count + 1, at(160), "example.com", b"peer"), Some(Worth::Aging));
        }
        assert_eq!(used(&mut nonces, &text, 9, at(310), "example.com", b"peer"), None, "too late");
    }

    #[test]
    fn a_used_nonce_is_proven_by_its_whole_text_each_time() {
        let mut nonces = nonces(10);
        let mut text = String::new();
        let realm = nonces.realm("example.com");
        nonces.write(&mut text, at(10), &realm, b"");
        assert_eq!(used(&mut nonces, &text, 1, at(10), "example.com", b""), Some(Worth::Fresh));
        for place in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(used(&mut nonces, &forged, 2, at(10), "example.com", b""), None, "{place}");
        }
        assert_eq!(used(&mut nonces, &text, 2, at(10), "example.org", b""), None, "another realm");
        assert_eq!(used(&mut nonces, &text, 2, at(10), "example.com", b""), Some(Worth::Fresh));
        assert_eq!(used(&mut nonces, &text, 2, at(10), "example.com", b""), None, "twice");
    }

    #[test]
    fn each_count_is_good_once_in_any_order_within_the_window() {
        let mut nonces = nonces(10);
        let text = make(&mut nonces, at(0));
        let key = nonces.realm("example.com");
        let mut good = |count| nonces.use_up(text.as_bytes(), count, at(0), 0, &key, b"peer").is_some();
        for count in [1, 3, 2, 70, 69, 7] {
            assert!(good(Some(count)), "{count}");
            assert!(!good(Some(count)), "{count} again");
        }
        assert!(!good(Some(6)), "behind the window");
        assert!(!good(None), "without a count, only as the first use");
        assert!(good(Some(u32::MAX)));
        assert!(!good(Some(u32::MAX)));
    }

    #[test]
    fn without_counts_a_nonce_is_good_once() {
        let mut nonces = nonces(10);
        let text = make(&mut nonces, at(0));
        let key = nonces.realm("example.com");
        let mut good = |count| nonces.use_up(text.as_bytes(), count, at(0), 0, &key, b"peer").is_some();
        assert!(good(None));
        assert!(!good(None));
        assert!(!good(Some(1)));
    }

    #[test]
    fn what_is_forgotten_for_room_cannot_be_replayed() {
        let mut nonces = nonces(2);
        let texts: alloc::vec::Vec<_> = (0..4).map(|n| make(&mut nonces, at(n))).collect();
        let mut good = |text: &str, now| used(&mut nonces, text, 1, now, "example.com", b"peer").is_some();
        for text in &texts {
            assert!(good(text, at(5)));
        }
        for text in &texts {
            assert!(!good(text, at(5)));
        }
        assert!(nonces.used() <= 2);
        let later = make(&mut nonces, at(6));
        assert!(used(&mut nonces, &later, 1, at(6), "example.com", b"peer").is_some(), "new ones are good");
        let last = make(&mut nonces, at(1000));
        assert!(used(&mut nonces, &last, 1, at(1000), "example.com", b"peer").is_some());
        assert_eq!(nonces.used(), 1, "those past their time are forgotten");
    }
}
