//! UTF-8 checks (RFC 3629) for text messages and close reasons: of a whole message at once, or of a stream of pieces
//! that fails at the first byte that no continuation can make valid.

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// True if `bytes` are UTF-8 from the first to the last.
#[inline]
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    #[cfg(feature = "simdutf8")]
    {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
    #[cfg(not(feature = "simdutf8"))]
    {
        core::str::from_utf8(bytes).is_ok()
    }
}

/// Cuts `bytes` in front of a character that begins in them but cannot end in them.
fn split_open(bytes: &[u8]) -> (&[u8], &[u8]) {
    for len in 1..=bytes.len().min(3) {
        let Some((before, end)) = bytes.split_at_checked(bytes.len() - len) else { break };
        match end.first() {
            Some(0x80..=0xbf) => {}
            // The first byte of a character says how long it is.
            Some(first) if first.leading_ones() as usize > len => return (before, end),
            _ => break,
        }
    }
    (bytes, &[])
}

/// The check of a message that arrives in pieces. Keeps at most three bytes between pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8Stream {
    open: [u8; 4],
    len: u8,
}

impl Utf8Stream {
    /// Checks the next piece.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let used = usize::from(self.len) + 1;
            let Some(open) = self.open.get_mut(..used) else { return Err(Invalid) };
            if let Some(last) = open.last_mut() {
                *last = byte;
            }
            match core::str::from_utf8(open) {
                Ok(_) => self.len = 0,
                Err(e) if e.error_len().is_none() => self.len += 1,
                Err(_) => return Err(Invalid),
            }
        }
        let (whole, open) = split_open(piece);
        let can_be_saved = || !matches!(core::str::from_utf8(open), Err(error) if error.error_len().is_some());
        if !is_valid(whole) || !can_be_saved() {
            return Err(Invalid);
        }
        let Some(slot) = self.open.get_mut(..open.len()) else { return Err(Invalid) };
        slot.copy_from_slice(open);
        self.len = open.len() as u8;
        Ok(())
    }

    /// True if the pieces so far end between two characters.
    pub(crate) fn is_complete(self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Utf8Stream, is_valid};

    const SAMPLES: [&[u8]; 14] = [
        b"",
        b"plain",
        "κόσμε".as_bytes(),
        "x\u{10ffff}y\u{10000}".as_bytes(),
        "\u{d7ff}\u{e000}".as_bytes(),
        b"\xf4\x90\x80\x80",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"ab\xff",
        b"\x80",
        b"abc\xe2\x82",
        b"\xf8\x88\x80\x80\x80",
    ];

    #[test]
    fn any_split_says_the_same_as_one_piece() {
        for sample in SAMPLES {
            let whole = core::str::from_utf8(sample).is_ok();
            assert_eq!(is_valid(sample), whole);
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let mut check = Utf8Stream::default();
                    let fed = [&sample[..first], &sample[first..second], &sample[second..]]
                        .iter()
                        .try_for_each(|piece| check.feed(piece));
                    assert_eq!(fed.is_ok() && check.is_complete(), whole, "{sample:x?} at {first}, {second}");
                }
            }
        }
    }

    #[test]
    fn fails_at_the_first_byte_that_cannot_be_saved() {
        // U+110000 and the surrogate U+D800 are known to be bad at their second byte.
        for (start, bad) in [(0xf4, 0x90), (0xed, 0xa0), (0xe0, 0x80), (0xf0, 0x80)] {
            let mut check = Utf8Stream::default();
            assert!(check.feed(&[start]).is_ok());
            assert!(check.feed(&[bad]).is_err(), "{start:x} {bad:x}");
            assert!(Utf8Stream::default().feed(&[start, bad]).is_err(), "{start:x} {bad:x}");
        }
    }
}
