//! Masking (RFC 6455 section 5.3): XOR with a four-byte key, in place or into a copy.
//!
//! The pass that unmasks also ORs all bytes together, so that it can say for free whether the payload is ASCII; that
//! spares most text messages a second pass for their UTF-8 check.

use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// So many bytes are masked at a time: compilers make vectors of two.
const WORD: usize = 8;

/// The size of those vectors, and the alignment at which they do not lie across the lines of the cache.
const VECTOR: usize = 16;

/// So many bytes are masked at a time where each step has a price.
const BLOCK: usize = 64;

/// Masks or unmasks `data` in place: XORs it with `key` (RFC 6455 section 5.3). Returns true if every byte of the result
/// is ASCII.
///
/// The key begins `offset` bytes before `data`, so that a payload may be taken piece by piece. A
/// [`Connection`](crate::Connection) does this by itself; it is here for tools that make or read frames of their own.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//# Octet i of the transformed data ("transformed-octet-i") is the XOR of
//# octet i of the original data ("original-octet-i") with octet at index
//# i modulo 4 of the masking key ("masking-key-octet-j"):
pub fn apply_mask(data: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    // Those that do take twice the time.
    let (begin, rest) = data.split_at_mut(data.as_ptr().align_offset(VECTOR).min(data.len()));
    let begin_is_ascii = apply(begin, word(key, offset));
    apply(rest, word(key, offset % 4 + begin.len())) & begin_is_ascii
}

#[inline]
fn apply(data: &mut [u8], word: u64) -> bool {
    let mut seen = 0;
    let mut words = data.chunks_exact_mut(WORD);
    for slot in &mut words {
        if let Ok(bytes) = <&mut [u8; WORD]>::try_from(slot) {
            let plain = u64::from_le_bytes(*bytes) ^ word;
            seen |= plain;
            *bytes = plain.to_le_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(word.to_le_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    is_ascii(seen)
}

/// Appends `data` to `out`, masked on the way.
pub(crate) fn append_masked(out: &mut Vec<u8>, data: &[u8], key: [u8; 4]) {
    out.reserve(data.len());
    let key_word = word(key, 0);
    let mut blocks = data.chunks_exact(BLOCK);
    for bytes in &mut blocks {
        // Lives in registers, and is appended by plain stores.
        let mut block = [0; BLOCK];
        for (slot, bytes) in block.chunks_exact_mut(WORD).zip(bytes.chunks_exact(WORD)) {
            let result = u64::from_le_bytes(<[u8; WORD]>::try_from(bytes).unwrap_or_default()) ^ key_word;
            slot.copy_from_slice(&result.to_le_bytes());
        }
        out.extend_from_slice(&block);
    }
    let start = out.len();
    out.extend_from_slice(blocks.remainder());
    apply(out.get_mut(start..).unwrap_or_default(), key_word);
}

/// A masked or unmasked copy of `data`, made in one pass, and whether all of it is ASCII: what [`MaskedCopy`] does, but
/// with less to do before and behind it.
#[inline(always)]
pub(crate) fn masked_copy(data: &[u8], key: [u8; 4]) -> (Bytes, bool) {
    let (begin, rest) = data.split_at_checked(data.len() % WORD).unwrap_or((data, &[]));
    let mut words: Vec<[u8; WORD]> = Vec::with_capacity(data.len().div_ceil(WORD));
    let (mut seen, mut filler) = (0, 0);
    if !begin.is_empty() {
        let first = data.first_chunk().copied().unwrap_or_else(|| {
            let mut short = [0; WORD];
            short.iter_mut().zip(begin).for_each(|(slot, byte)| *slot = *byte);
            short
        });
        filler = WORD - begin.len();
        // In little-endian order a shift to the left moves the first bytes to the end, and the others out.
        let result = (u64::from_le_bytes(first) ^ word(key, 0)) << (filler * 8);
        seen = result;
        words.push(result.to_le_bytes());
    }
    extend_masked(&mut words, rest, word(key, begin.len()), &mut seen);
    let mut copy = Bytes::from(words.into_flattened());
    copy.advance(filler);
    (copy, is_ascii(seen))
}

/// Appends `data`, whole words, XORed with `word`, and ORs them into `seen`.
#[inline(always)]
fn extend_masked(words: &mut Vec<[u8; WORD]>, data: &[u8], word: u64, seen: &mut u64) {
    words.extend(data.chunks_exact(WORD).map(|bytes| {
        let result = u64::from_le_bytes(<[u8; WORD]>::try_from(bytes).unwrap_or_default()) ^ word;
        *seen |= result;
        result.to_le_bytes()
    }));
}

/// A copy of bytes that come in pieces, masked or unmasked on the way: each byte is read once and written once.
///
/// It is collected as words: so safe code can write memory that nothing was written to before. Their number is even, so
/// that each piece is written to an aligned place. What is missing to whole vectors is filled up in front and not behind,
/// since a [`Bytes`] can be cut in front without an allocation.
#[derive(Debug)]
pub(crate) struct MaskedCopy {
    whole: Vec<[u8; WORD]>,
    /// What stands behind `whole`: less than a vector, in little-endian order, with zeros behind it.
    open: u128,
    open_len: usize,
    /// So many bytes in front are not of the copy.
    filler: usize,
}

impl MaskedCopy {
    /// An empty copy. If `expected` bytes come, the last vector will be full and nothing needs to be moved at the end.
    #[inline(always)]
    pub(crate) fn new(expected: usize) -> Self {
        let filler = expected.wrapping_neg() % VECTOR;
        Self { whole: Vec::new(), open: 0, open_len: filler, filler }
    }

    pub(crate) fn len(&self) -> usize {
        self.whole.len() * WORD + self.open_len - self.filler
    }

    pub(crate) fn capacity(&self) -> usize {
        self.whole.capacity() * WORD
    }

    /// Takes memory for `soon` more bytes, if there is none for `now` of them.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, now: usize, soon: usize) {
        let words = |bytes: usize| (self.open_len + bytes).div_ceil(VECTOR) * (VECTOR / WORD);
        if self.whole.capacity() - self.whole.len() < words(now) {
            self.whole.reserve_exact(words(soon.max(now)));
        }
    }

    /// Appends `data` XORed with `key`, which begins `offset` bytes before it. Returns true if all that was appended is
    /// ASCII.
    #[inline(always)]
    pub(crate) fn push(&mut self, data: &[u8], key: [u8; 4], offset: usize) -> bool {
        let mut seen = 0;
        let missing = if self.open_len == 0 { 0 } else { VECTOR - self.open_len };
        let (begin, rest) = data.split_at_checked(missing).unwrap_or((data, &[]));
        if !begin.is_empty() {
            seen = self.push_open(data, begin.len(), word(key, offset));
        }
        let word = word(key, offset % 4 + begin.len());
        let (rest, end) = rest.split_at_checked(rest.len() / VECTOR * VECTOR).unwrap_or((rest, &[]));
        extend_masked(&mut self.whole, rest, word, &mut seen);
        if !end.is_empty() {
            seen |= self.push_open(end, end.len(), word);
        }
        is_ascii(seen)
    }

    /// Appends the first `count` bytes of `data` to the vector that is not full, which must have room; 1 to 15. Returns
    /// all their bits, as one word.
    #[inline(always)]
    fn push_open(&mut self, data: &[u8], count: usize, word: u64) -> u64 {
        let bytes = data.first_chunk().copied().unwrap_or_else(|| {
            let mut short = [0; VECTOR];
            short.iter_mut().zip(data).for_each(|(slot, byte)| *slot = *byte);
            short
        });
        let word = u128::from(word);
        let result = (u128::from_le_bytes(bytes) ^ (word | word << 64)) & (u128::MAX >> ((VECTOR - count) * 8));
        self.open |= result << (self.open_len * 8);
        self.open_len += count;
        if self.open_len == VECTOR {
            self.whole.extend([self.open as u64, (self.open >> 64) as u64].map(u64::to_le_bytes));
            (self.open, self.open_len) = (0, 0);
        }
        (result | result >> 64) as u64
    }

    /// Gives `check` what was appended behind the first `from` bytes, in one piece or two.
    pub(crate) fn check_from<E>(&self, from: usize, mut check: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (from, whole) = (self.filler + from, self.whole.as_flattened());
        check(whole.get(from..).unwrap_or_default())?;
        let open = self.open.to_le_bytes();
        check(open.get(from.saturating_sub(whole.len())..self.open_len).unwrap_or_default())
    }

    /// The bytes.
    #[inline(always)]
    pub(crate) fn finish(self) -> Bytes {
        let mut bytes = self.whole.into_flattened();
        if self.open_len > 0 {
            bytes.extend_from_slice(self.open.to_le_bytes().get(..self.open_len).unwrap_or_default());
        }
        let mut bytes = Bytes::from(bytes);
        bytes.advance(self.filler);
        bytes
    }
}

/// `key` for a word, in little-endian order, that stands `offset` bytes behind the beginning of the payload.
#[inline]
fn word(key: [u8; 4], offset: usize) -> u64 {
    let key = u64::from(u32::from_le_bytes(key).rotate_right((offset % 4) as u32 * 8));
    key | key << 32
}

/// True if no byte has its high bit among those ORed together.
#[inline]
fn is_ascii(seen: u64) -> bool {
    seen & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::{MaskedCopy, append_masked, apply_mask, masked_copy};
    use alloc::vec::Vec;

    /// The definition of RFC 6455 section 5.3, byte by byte.
    fn model(data: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        data.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect()
    }

    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
    //= type=test
    //# Octet i of the transformed data ("transformed-octet-i") is the XOR of
    //# octet i of the original data ("original-octet-i") with octet at index
    //# i modulo 4 of the masking key ("masking-key-octet-j"):
    #[test]
    fn every_length_and_offset_matches_the_definition() {
        let source: Vec<u8> = (0..300_u32).map(|i| (i * 7 + 3) as u8).collect();
        for length in 0..source.len() {
            for offset in 0..5 {
                let expected = model(&source[..length], [0x37, 0xfa, 0x21, 0x3d], offset);
                for shift in [0, 1, 3, 8, 15] {
                    let mut data = [&[0; 15][..shift], &source[..length]].concat();
                    let ascii = apply_mask(&mut data[shift..], [0x37, 0xfa, 0x21, 0x3d], offset);
                    assert_eq!(data[shift..], expected, "length {length} offset {offset} shift {shift}");
                    assert_eq!(ascii, expected.is_ascii(), "length {length} offset {offset} shift {shift}");
                }
            }
            let mut appended = alloc::vec![7];
            append_masked(&mut appended, &source[..length], [0x37, 0xfa, 0x21, 0x3d]);
            assert_eq!(appended[1..], model(&source[..length], [0x37, 0xfa, 0x21, 0x3d], 0), "length {length}");
            let (copy, ascii) = masked_copy(&source[..length], [0x37, 0xfa, 0x21, 0x3d]);
            let expected = model(&source[..length], [0x37, 0xfa, 0x21, 0x3d], 0);
            assert_eq!(copy, expected, "length {length}");
            assert_eq!(ascii, expected.is_ascii(), "length {length}");
        }
    }

    #[test]
    fn a_copy_in_pieces_is_the_copy() {
        let source: Vec<u8> = (0..60_u32).map(|i| (i * 7 + 3) as u8).collect();
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..source.len() {
            let expected = model(&source[..length], key, 0);
            for piece in 1..20 {
                // More or less may come than was expected.
                for promised in [length, length / 2, length + 3] {
                    let mut copy = MaskedCopy::new(promised);
                    let mut checked = Vec::new();
                    for (i, bytes) in source[..length].chunks(piece).enumerate() {
                        let from = copy.len();
                        assert_eq!(from, i * piece);
                        let is_ascii = copy.push(bytes, key, from);
                        assert_eq!(is_ascii, expected[from..from + bytes.len()].is_ascii());
                        let all = copy.check_from(from, |bytes| {
                            checked.extend_from_slice(bytes);
                            Ok::<_, ()>(())
                        });
                        assert_eq!(all, Ok(()));
                    }
                    assert_eq!(checked, expected, "length {length} in {piece}s");
                    assert_eq!(copy.len(), length);
                    assert_eq!(copy.finish(), expected, "length {length} in {piece}s");
                }
            }
        }
    }

    #[test]
    fn one_high_bit_anywhere_is_seen() {
        for length in 1..200 {
            for at in 0..length {
                let mut data = alloc::vec![b'a'; length];
                data[at] = 0x80;
                assert!(!masked_copy(&data, [0; 4]).1, "{at} of {length}");
                assert!(!apply_mask(&mut data, [0; 4], 0), "{at} of {length}");
            }
        }
    }
}
