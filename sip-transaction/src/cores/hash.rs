//! SipHash-1-3, the keyed hash behind every table that attackers' bytes index; and a hash for ids, which nobody chooses.

use core::hash::{BuildHasher, Hasher};

/// The key of a hash of bytes that peers choose: without it nobody can choose bytes that collide.
///
/// Draw it from the seed of whoever owns the table. It is a [`BuildHasher`], and it can be used by itself:
/// [`hash`](HashKey::hash) for 64 bits, [`build_hasher`](BuildHasher::build_hasher) and [`SipHasher::finish128`] for 128, with
/// which two different inputs never meet in practice, so that the hash can stand for what was hashed.
///
/// The same bytes under the same key give the same hash in every version of this crate: what is exported may hold it.
#[derive(Clone, Copy)]
pub struct HashKey {
    k0: u64,
    k1: u64,
}

/// The state of one hash: SipHash-1-3 in its 128-bit form.
#[derive(Clone)]
pub struct SipHasher {
    v: [u64; 4],
    /// Up to seven bytes not yet mixed in, low byte first.
    tail: u64,
    len: u64,
}

impl HashKey {
    /// A key of these bytes.
    pub fn new(key: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(key);
        HashKey { k0: number as u64, k1: (number >> 64) as u64 }
    }

    /// The bytes of the key: a secret.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.k1) << 64 | u128::from(self.k0)).to_le_bytes()
    }

    /// The hash of one run of bytes.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let mut hash = self.build_hasher();
        hash.write(bytes);
        hash.finish()
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher;

    #[inline]
    fn build_hasher(&self) -> SipHasher {
        let HashKey { k0, k1 } = *self;
        SipHasher {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            len: 0,
        }
    }
}

impl SipHasher {
    #[inline(always)]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }

    #[inline(always)]
    fn mix(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }

    /// Takes in the low `len` bytes of `word`, one to eight; the others are zero.
    #[inline(always)]
    fn push(&mut self, word: u64, len: u64) {
        let held = self.len % 8;
        self.len = self.len.wrapping_add(len);
        self.tail |= word << (held * 8);
        if held + len >= 8 {
            let full = self.tail;
            self.mix(full);
            self.tail = if held == 0 { 0 } else { word >> (64 - held * 8) };
        }
    }

    /// Takes in bytes with their ASCII letters made small: for tokens and hosts.
    #[inline]
    pub fn write_lowercase(&mut self, bytes: &[u8]) {
        self.run(bytes, lowercase);
    }

    #[inline(always)]
    fn run(&mut self, bytes: &[u8], word: impl Fn(u64) -> u64) {
        // Each word is mixed in with what was left of the one before: how much that is stays the same.
        let held = self.len % 8 * 8;
        let chunks = bytes.chunks_exact(8);
        let rest = chunks.remainder();
        let last = bytes.last_chunk().map(|last| u64::from_le_bytes(*last));
        for chunk in chunks {
            let word = word(chunk.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk)));
            let full = self.tail | word << held;
            self.mix(full);
            self.tail = word >> 1 >> (63 - held);
        }
        self.len = self.len.wrapping_add((bytes.len() - rest.len()) as u64);
        if !rest.is_empty() {
            // What has been taken in already is shifted out.
            let rest_word = last.map_or_else(|| partial(rest), |last| last >> (64 - rest.len() * 8));
            self.push(word(rest_word), rest.len() as u64);
        }
    }

    /// Takes in one of several parts, of which none holds bytes below 8, and ends it: the last word is filled up and tells how many of
    /// its bytes count, so that parts cannot run together and the next one begins with a word. That is what makes it the fastest way to
    /// hash a few short texts together; but all that is taken in before must be such parts, too.
    #[inline(always)]
    pub fn part(&mut self, bytes: &[u8]) {
        self.words(bytes, |word| word);
    }

    /// The same without regard to case, for tokens and hosts: of the bytes from `@` to DEL, those 32 apart count as one, and in neither is
    /// there such a pair but for letters.
    #[inline(always)]
    pub(crate) fn part_without_case(&mut self, bytes: &[u8]) {
        const EACH: u64 = 0x0101_0101_0101_0101;
        self.words(bytes, |word| word | (word & (EACH * 0x40)) >> 1);
    }

    #[inline(always)]
    fn words(&mut self, bytes: &[u8], made: impl Fn(u64) -> u64) {
        let chunks = bytes.chunks_exact(8);
        let rest = chunks.remainder();
        // Read from the end; what has been taken in already is shifted out, up to all of it.
        let last = bytes.last_chunk().map(|last| u64::from_le_bytes(*last) >> 8 >> (56 - rest.len() * 8));
        for chunk in chunks {
            self.mix(made(chunk.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))));
        }
        let last = last.unwrap_or_else(|| partial(rest));
        self.mix(made(last) | (rest.len() as u64) << 56);
        self.len = self.len.wrapping_add((bytes.len() - rest.len()) as u64 + 8);
    }

    /// Ends one part, so that the bytes of two neighbours cannot run together.
    #[inline]
    pub fn end_part(&mut self) {
        self.push(0, 1);
    }

    /// Half of the hash.
    #[inline(always)]
    fn low(&mut self) -> u64 {
        let last = self.tail | self.len << 56;
        self.mix(last);
        self.v[2] ^= 0xee;
        self.rounds()
    }

    #[inline(always)]
    fn rounds(&mut self) -> u64 {
        for _ in 0..3 {
            self.round();
        }
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }

    /// All 128 bits.
    #[inline(always)]
    pub fn finish128(mut self) -> u128 {
        let low = self.low();
        self.v[1] ^= 0xdd;
        u128::from(self.rounds()) << 64 | u128::from(low)
    }
}

impl Hasher for SipHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.run(bytes, |word| word);
    }

    /// The low half of [`finish128`](SipHasher::finish128).
    #[inline]
    fn finish(&self) -> u64 {
        self.clone().low()
    }
}

/// Hashes numbers of this host's own making, as ids are: fast, and of no use against chosen ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHash;

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    #[inline]
    fn build_hasher(&self) -> IdHasher {
        IdHasher(0)
    }
}

/// The state of a hash of one id.
#[derive(Clone, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    /// The discriminants of enums.
    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0.rotate_left(32) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 29;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Up to seven bytes as a word: read from both ends, as the middle may be read twice.
#[inline]
fn partial(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(&low), Some(&high)) => {
            u64::from(u32::from_le_bytes(low)) | u64::from(u32::from_le_bytes(high)) << ((bytes.len() - 4) * 8)
        }
        _ => bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Eight bytes with their ASCII capitals made small.
#[inline]
fn lowercase(word: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let seven = word & (LOW * 0x7f);
    // Bit 7 of each byte: at least 'A', and above 'Z'.
    let above_a = seven + LOW * (0x80 - b'A' as u64);
    let above_z = seven + LOW * (0x80 - b'Z' as u64 - 1);
    let capital = above_a & !above_z & !word & (LOW * 0x80);
    word | capital >> 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const KEY: HashKey = HashKey { k0: 1, k1: 2 };

    fn parts(parts: &[&[u8]]) -> u128 {
        let mut hash = KEY.build_hasher();
        parts.iter().for_each(|part| hash.write(part));
        hash.finish128()
    }

    #[test]
    fn how_bytes_are_cut_makes_no_difference() {
        let bytes: &[u8] = b"z9hG4bK-0123456789abcdefghijklmnopqrstuvwxyz";
        let whole = parts(&[bytes]);
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(parts(&[a, b]), whole, "cut at {at}");
        }
        assert_ne!(parts(&[&bytes[1..]]), whole);
        assert_eq!(KEY.hash(bytes), whole as u64);
        assert_ne!(HashKey { k0: 1, k1: 3 }.hash(bytes), KEY.hash(bytes), "the key counts");
    }

    #[test]
    fn it_is_siphash_1_3() {
        // Worked out by hand from the algorithm's definition. Exported states hold such hashes: they may not change.
        let key = HashKey::new(core::array::from_fn(|n| n as u8));
        let bytes: [u8; 15] = core::array::from_fn(|n| n as u8);
        let mut hash = key.build_hasher();
        hash.write(&bytes);
        assert_eq!(hash.finish128(), 0x0901_7e1e_eccd_2129_6c52_bdb2_0555_7ec1);
        assert_eq!(HashKey::new(key.to_bytes()).hash(&bytes), key.hash(&bytes));
    }

    #[test]
    fn parts_that_are_ended_do_not_run_together() {
        let of = |a: &[u8], b: &[u8]| {
            let mut hash = KEY.build_hasher();
            hash.write(a);
            hash.end_part();
            hash.write(b);
            hash.finish128()
        };
        assert_ne!(of(b"ab", b"c"), of(b"a", b"bc"));
    }

    #[test]
    fn parts_by_words_are_what_they_are_filled_up_to() {
        let text = b"abcdefghijklmnopqrst";
        for a in 0..=text.len() {
            for b in 0..9 {
                let mut hash = KEY.build_hasher();
                hash.part(&text[..a]);
                hash.part_without_case(&text.to_ascii_uppercase()[..b]);
                let mut whole = Vec::new();
                for part in [&text[..a], &text[..b]] {
                    whole.extend_from_slice(part);
                    whole.resize(whole.len().next_multiple_of(8) + if part.len() % 8 == 0 { 7 } else { 0 }, 0);
                    whole.resize(whole.len().next_multiple_of(8) - 1, 0);
                    whole.push(part.len() as u8 % 8);
                }
                assert_eq!(hash.finish128(), parts(&[&whole]), "{a} and {b}");
            }
        }
    }

    #[test]
    fn case_is_all_that_does_not_count_in_tokens_and_hosts() {
        let of = |byte: u8| {
            let mut hash = KEY.build_hasher();
            hash.part_without_case(&[byte; 9]);
            hash.finish128()
        };
        let stands = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~:[]".contains(b);
        for a in (0..=255).filter(stands) {
            for b in (0..=255).filter(stands) {
                assert_eq!(of(a) == of(b), a.eq_ignore_ascii_case(&b), "{a} {b}");
            }
        }
    }

    #[test]
    fn capitals_do_not_count_in_lowercase() {
        let of = |bytes: &[u8]| {
            let mut hash = KEY.build_hasher();
            hash.write_lowercase(bytes);
            hash.finish128()
        };
        assert_eq!(of(b"z9hG4bKABCDEFGHIJKLMNOPQRSTUVWXYZ"), of(b"Z9HG4BKabcdefghijklmnopqrstuvwxyz"));
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte; 8]);
            assert_eq!(lowercase(word), u64::from_le_bytes([byte.to_ascii_lowercase(); 8]), "{byte}");
        }
    }
}
