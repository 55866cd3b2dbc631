//! Masking (RFC 6455 section 5.3): XOR with a four-byte key, in place or into a copy.
//!
//! The pass that unmasks also ORs all bytes together, so that it can say for free whether the payload is ASCII; that
//! spares most text messages a second pass for their UTF-8 check.

use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// So many bytes are masked at a time: compilers make vectors of two.
const WORD: usize = 8;

/// The alignment of those vectors.
const VECTOR: usize = 16;

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
    // Vectors that lie across the lines of the cache take twice the time.
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

/// A masked or unmasked copy of `data`, made in one pass, and whether all of it is ASCII.
///
/// It is collected as whole words: so safe code can write memory that nothing was written to before. What is missing to
/// whole words is filled up in front and not behind, since a [`Bytes`] can be cut in front without an allocation.
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
    let word = word(key, begin.len());
    words.extend(rest.chunks_exact(WORD).map(|bytes| {
        let result = u64::from_le_bytes(<[u8; WORD]>::try_from(bytes).unwrap_or_default()) ^ word;
        seen |= result;
        result.to_le_bytes()
    }));
    let mut copy = Bytes::from(words.into_flattened());
    copy.advance(filler);
    (copy, is_ascii(seen))
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
    use super::{apply_mask, masked_copy};
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
            let (copy, ascii) = masked_copy(&source[..length], [0x37, 0xfa, 0x21, 0x3d]);
            let expected = model(&source[..length], [0x37, 0xfa, 0x21, 0x3d], 0);
            assert_eq!(copy, expected, "length {length}");
            assert_eq!(ascii, expected.is_ascii(), "length {length}");
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
