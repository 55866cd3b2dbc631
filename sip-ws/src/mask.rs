//! Masking (RFC 6455 section 5.3): XOR with a four-byte key, in place.
//!
//! The pass that unmasks also ORs all bytes together, so that it can say for free whether the payload is ASCII; that
//! spares most text messages a second pass for their UTF-8 check.

/// Masks or unmasks `data` in place: XORs it with `key` (RFC 6455 section 5.3). Returns true if every byte of the result
/// is ASCII.
///
/// The key begins `offset` bytes before `data`, so that a payload may be taken piece by piece. A
/// [`Connection`](crate::Connection) does this by itself; it is here for tools that make or read frames of their own.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//# Octet i of the transformed data ("transformed-octet-i") is the XOR of
//# octet i of the original data ("original-octet-i") with octet at index
//# i modulo 4 of the masking key ("masking-key-octet-j"):
#[inline]
pub fn apply_mask(data: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    let byte = |i: usize| key[(offset % 4 + i) % 4];
    let key = [byte(0), byte(1), byte(2), byte(3)];
    let word = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let mut seen = 0;
    // Eight bytes at a time: compilers make vectors of it.
    let mut words = data.chunks_exact_mut(8);
    for slot in &mut words {
        if let Ok(bytes) = <&mut [u8; 8]>::try_from(slot) {
            let plain = u64::from_ne_bytes(*bytes) ^ word;
            seen |= plain;
            *bytes = plain.to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::apply_mask;
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
                let mut data = source[..length].to_vec();
                let ascii = apply_mask(&mut data, [0x37, 0xfa, 0x21, 0x3d], offset);
                let expected = model(&source[..length], [0x37, 0xfa, 0x21, 0x3d], offset);
                assert_eq!(data, expected, "length {length} offset {offset}");
                assert_eq!(ascii, expected.is_ascii(), "length {length} offset {offset}");
            }
        }
    }

    #[test]
    fn one_high_bit_anywhere_is_seen() {
        for length in 1..200 {
            for at in 0..length {
                let mut data = alloc::vec![b'a'; length];
                data[at] = 0x80;
                assert!(!apply_mask(&mut data, [0; 4], 0), "{at} of {length}");
            }
        }
    }
}
