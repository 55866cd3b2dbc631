//! SipHash-1-3: the keyed hash of every table that peers' bytes index.
//!
//! Without the key nobody can choose names that collide. Owns no table.

use core::hash::{BuildHasher, Hasher};

/// The key, drawn from the seed of the core that owns the table.
#[derive(Clone, Copy)]
pub(crate) struct HashKey {
    k0: u64,
    k1: u64,
}

impl HashKey {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(key);
        HashKey { k0: number as u64, k1: (number >> 64) as u64 }
    }

    /// The hash of one run of bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher;

    fn build_hasher(&self) -> SipHasher {
        SipHasher {
            v: [
                self.k0 ^ 0x736f_6d65_7073_6575,
                self.k1 ^ 0x646f_7261_6e64_6f6d,
                self.k0 ^ 0x6c79_6765_6e65_7261,
                self.k1 ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            len: 0,
        }
    }
}

/// The state of one hash.
pub(crate) struct SipHasher {
    v: [u64; 4],
    /// Up to seven bytes not yet mixed in, low byte first.
    tail: u64,
    len: u64,
}

impl SipHasher {
    #[inline]
    fn round(v: &mut [u64; 4]) {
        let [mut a, mut b, mut c, mut d] = *v;
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
        *v = [a, b, c, d];
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        self.v[3] ^= word;
        Self::round(&mut self.v);
        self.v[0] ^= word;
    }
}

impl Hasher for SipHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let shift = self.len % 8 * 8;
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut raw = [0; 8];
            raw.copy_from_slice(chunk);
            let next = u64::from_le_bytes(raw);
            if shift == 0 {
                self.mix(next);
            } else {
                let full = self.tail | next << shift;
                self.tail = next >> (64 - shift);
                self.mix(full);
            }
            self.len = self.len.wrapping_add(8);
        }
        for &byte in chunks.remainder() {
            self.tail |= u64::from(byte) << (self.len % 8 * 8);
            self.len = self.len.wrapping_add(1);
            if self.len % 8 == 0 {
                let word = core::mem::take(&mut self.tail);
                self.mix(word);
            }
        }
    }

    fn finish(&self) -> u64 {
        let mut v = self.v;
        let last = self.tail | self.len << 56;
        v[3] ^= last;
        Self::round(&mut v);
        v[0] ^= last;
        v[2] ^= 0xff;
        for _ in 0..3 {
            Self::round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

/// Hashes ids of this host's own making: nobody outside can choose them.
#[derive(Clone, Copy, Default)]
pub(crate) struct IdHash;

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(0)
    }
}

/// The state of a hash of one id.
pub(crate) struct IdHasher(u64);

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

    #[inline]
    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0.rotate_left(32) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 29;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_bytes_are_cut_makes_no_difference() {
        let key = HashKey::new(*b"0123456789abcdef");
        let bytes: &[u8] = b"sip:alice@atlanta.example.com";
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            let mut hasher = key.build_hasher();
            hasher.write(a);
            hasher.write(b);
            assert_eq!(hasher.finish(), key.hash(bytes), "cut at {at}");
        }
        assert_ne!(key.hash(bytes), HashKey::new(*b"0123456789abcdeg").hash(bytes), "the key counts");
    }
}
