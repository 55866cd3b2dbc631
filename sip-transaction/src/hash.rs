//! SipHash-1-3 with 64 and 128 bits: the keyed hash behind every table that attackers' bytes index.
//!
//! Without the key, nobody can choose bytes that collide. With 128 bits two different inputs never meet in practice,
//! so a transaction keeps the hash of what identifies it instead of the bytes.

/// The key, drawn from the endpoint's seed.
#[derive(Clone, Copy)]
pub(crate) struct HashKey {
    pub(crate) k0: u64,
    pub(crate) k1: u64,
}

/// The state of one hash.
pub(crate) struct SipHash {
    v: [u64; 4],
    /// Up to seven bytes not yet mixed in, low byte first.
    tail: u64,
    len: u64,
}

impl HashKey {
    pub(crate) fn start(self) -> SipHash {
        let HashKey { k0, k1 } = self;
        SipHash {
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

    /// The hash of one run of bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        let mut hash = self.start();
        hash.write(bytes);
        hash.finish() as u64
    }
}

impl SipHash {
    #[inline]
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

    #[inline]
    fn mix(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.tail |= u64::from(byte) << (self.len % 8 * 8);
        self.len += 1;
        if self.len % 8 == 0 {
            let word = core::mem::take(&mut self.tail);
            self.mix(word);
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.run(bytes, |word| word, |byte| byte);
    }

    /// Like `write`, with ASCII letters made small: for tokens and hosts.
    pub(crate) fn write_lowercase(&mut self, bytes: &[u8]) {
        self.run(bytes, lowercase, |byte| byte.to_ascii_lowercase());
    }

    #[inline]
    fn run(&mut self, bytes: &[u8], word: impl Fn(u64) -> u64, byte: impl Fn(u8) -> u8) {
        let mut chunks = bytes.chunks_exact(8);
        let shift = self.len % 8 * 8;
        for chunk in &mut chunks {
            let mut raw = [0; 8];
            raw.copy_from_slice(chunk);
            let next = word(u64::from_le_bytes(raw));
            if shift == 0 {
                self.mix(next);
            } else {
                let full = self.tail | next << shift;
                self.tail = next >> (64 - shift);
                self.mix(full);
            }
            self.len += 8;
        }
        for &b in chunks.remainder() {
            self.byte(byte(b));
        }
    }

    /// Ends one part, so that the bytes of two neighbours cannot run together.
    pub(crate) fn end_part(&mut self) {
        self.byte(0);
    }

    /// All 128 bits; the low 64 are good by themselves.
    pub(crate) fn finish(mut self) -> u128 {
        let last = self.tail | self.len << 56;
        self.mix(last);
        self.v[2] ^= 0xee;
        for _ in 0..3 {
            self.round();
        }
        let low = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        self.v[1] ^= 0xdd;
        for _ in 0..3 {
            self.round();
        }
        let high = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        u128::from(high) << 64 | u128::from(low)
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

    const KEY: HashKey = HashKey { k0: 1, k1: 2 };

    fn parts(parts: &[&[u8]]) -> u128 {
        let mut hash = KEY.start();
        parts.iter().for_each(|part| hash.write(part));
        hash.finish()
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
    }

    #[test]
    fn parts_that_are_ended_do_not_run_together() {
        let of = |a: &[u8], b: &[u8]| {
            let mut hash = KEY.start();
            hash.write(a);
            hash.end_part();
            hash.write(b);
            hash.finish()
        };
        assert_ne!(of(b"ab", b"c"), of(b"a", b"bc"));
    }

    #[test]
    fn capitals_do_not_count_in_lowercase() {
        let of = |bytes: &[u8]| {
            let mut hash = KEY.start();
            hash.write_lowercase(bytes);
            hash.finish()
        };
        assert_eq!(of(b"z9hG4bKABCDEFGHIJKLMNOPQRSTUVWXYZ"), of(b"Z9HG4BKabcdefghijklmnopqrstuvwxyz"));
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte; 8]);
            assert_eq!(lowercase(word), u64::from_le_bytes([byte.to_ascii_lowercase(); 8]), "{byte}");
        }
    }
}
