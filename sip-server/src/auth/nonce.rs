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
    /// It was good once: ask again, the password may be right.
    Stale,
    /// It was never good.
    Forged,
}

/// The counts seen of one nonce.
#[derive(Clone, Copy)]
struct Seen {
    /// The highest count.
    highest: u32,
    /// Bit n: `highest - n` has been seen.
    window: u64,
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

/// The parts of a nonce that has been proven to be of our making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonce {
    made: u32,
    salt: u64,
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

    /// What `nonce` is worth for the realm with this key and `peer`, before any count is looked at.
    pub(crate) fn open(&self, nonce: &[u8], now: Instant, realm: &Mac, peer: &[u8]) -> Result<(Nonce, Worth), Worth> {
        let mut bytes = [0; LEN];
        if URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) != Ok(LEN) {
            return Err(Worth::Forged);
        }
        let made = bytes.first_chunk::<TIME>().map_or(0, |made| u32::from_be_bytes(*made));
        let salt = bytes.get(TIME..TIME + SALT).and_then(|salt| salt.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut expected = [0; LEN];
        seal(&mut expected, made, salt, realm, peer);
        if !same(&expected, &bytes) {
            return Err(Worth::Forged);
        }
        let age = seconds(now).saturating_sub(made);
        if age >= self.lifetime {
            return Err(Worth::Stale);
        }
        let worth = if age >= self.lifetime / 2 { Worth::Aging } else { Worth::Fresh };
        Ok((Nonce { made, salt }, worth))
    }

    /// Whether `count` of a nonce could be used: not yet seen. `None` is the single use without a count.
    pub(crate) fn is_unused(&self, nonce: &Nonce, count: Option<u32>) -> bool {
        match (self.used.get(&nonce.salt), count) {
            (None, _) => self.horizon.is_none_or(|horizon| nonce.made > horizon),
            (Some(_), None) => false,
            (Some(seen), Some(count)) => match seen.highest.checked_sub(count) {
                None => true,
                Some(back) => back < WINDOW && seen.window & (1 << back) == 0,
            },
        }
    }

    /// Uses `count` of a nonce up. Only for one that [`is_unused`](Self::is_unused), and whose digest was right: what anybody
    /// can send must not fill the memory.
    pub(crate) fn use_up(&mut self, nonce: &Nonce, count: Option<u32>, now: Instant) {
        // Without a count a nonce is good once: the highest there is stands for all.
        let count = count.unwrap_or(u32::MAX);
        self.forget(now);
        match self.used.get_mut(&nonce.salt) {
            Some(seen) => match seen.highest.checked_sub(count) {
                Some(back) => seen.window |= if back < WINDOW { 1 << back } else { 0 },
                None => {
                    let ahead = count - seen.highest;
                    seen.window = if ahead < WINDOW { seen.window << ahead | 1 } else { 1 };
                    seen.highest = count;
                }
            },
            None => {
                self.used.insert(nonce.salt, Seen { highest: count, window: 1 });
                self.order.push_back((nonce.salt, nonce.made));
            }
        }
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

    #[test]
    fn a_nonce_is_good_for_its_realm_its_peer_and_its_time() {
        let mut nonces = nonces(10);
        let text = make(&mut nonces, at(10));
        let worth = |now, realm, peer: &[u8]| {
            nonces.open(text.as_bytes(), now, &nonces.realm(realm), peer).map(|(_, worth)| worth)
        };
        assert_eq!(worth(at(10), "example.com", b"peer"), Ok(Worth::Fresh));
        assert_eq!(worth(at(160), "example.com", b"peer"), Ok(Worth::Aging));
        assert_eq!(worth(at(310), "example.com", b"peer"), Err(Worth::Stale));
        assert_eq!(worth(at(10), "example.org", b"peer"), Err(Worth::Forged));
        assert_eq!(worth(at(10), "example.com", b"other"), Err(Worth::Forged));
        let mut forged = text.clone().into_bytes();
        forged[0] ^= 1;
        assert_eq!(nonces.open(&forged, at(10), &nonces.realm("example.com"), b"peer").err(), Some(Worth::Forged));
        assert_eq!(nonces.open(b"", at(10), &nonces.realm("example.com"), b"peer").err(), Some(Worth::Forged));
    }

    #[test]
    fn each_count_is_good_once_in_any_order_within_the_window() {
        let mut nonces = nonces(10);
        let text = make(&mut nonces, at(0));
        let (nonce, _) = nonces.open(text.as_bytes(), at(0), &nonces.realm("example.com"), b"peer").unwrap();
        for count in [1, 3, 2, 70, 69, 7] {
            assert!(nonces.is_unused(&nonce, Some(count)), "{count}");
            nonces.use_up(&nonce, Some(count), at(0));
            assert!(!nonces.is_unused(&nonce, Some(count)), "{count} again");
        }
        assert!(!nonces.is_unused(&nonce, Some(6)), "behind the window");
        assert!(!nonces.is_unused(&nonce, None), "without a count, only as the first use");
        assert!(nonces.is_unused(&nonce, Some(u32::MAX)));
        nonces.use_up(&nonce, Some(u32::MAX), at(0));
        assert!(!nonces.is_unused(&nonce, Some(u32::MAX)));
    }

    #[test]
    fn what_is_forgotten_for_room_cannot_be_replayed() {
        let mut nonces = nonces(2);
        let texts: alloc::vec::Vec<_> = (0..4).map(|n| make(&mut nonces, at(n))).collect();
        for text in &texts {
            let (nonce, _) = nonces.open(text.as_bytes(), at(5), &nonces.realm("example.com"), b"peer").unwrap();
            assert!(nonces.is_unused(&nonce, Some(1)));
            nonces.use_up(&nonce, Some(1), at(5));
        }
        assert!(nonces.used() <= 2);
        for text in &texts {
            let (nonce, _) = nonces.open(text.as_bytes(), at(5), &nonces.realm("example.com"), b"peer").unwrap();
            assert!(!nonces.is_unused(&nonce, Some(1)));
        }
        let later = make(&mut nonces, at(6));
        let (nonce, _) = nonces.open(later.as_bytes(), at(6), &nonces.realm("example.com"), b"peer").unwrap();
        assert!(nonces.is_unused(&nonce, Some(1)), "new ones are good");
        nonces.use_up(&nonce, Some(1), at(1000));
        assert_eq!(nonces.used(), 1, "those past their time are forgotten");
    }
}
