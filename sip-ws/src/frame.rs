//! The frame header of RFC 6455 section 5.2: reading it with every check that needs no state, and writing it.

use crate::{Violation, config::Role};
use alloc::vec::Vec;

/// The longest header: two bytes, eight of length, four of mask.
pub(crate) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame.
pub(crate) const MAX_CONTROL: usize = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Opcode {
    pub(crate) const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame header as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: Opcode,
    pub(crate) fin: bool,
    /// RSV1: the message is compressed (RFC 7692 section 6).
    pub(crate) compressed: bool,
    /// Zero for a frame without a mask: XOR with it changes nothing.
    pub(crate) mask: [u8; 4],
    /// Length of the payload, checked against the limit.
    pub(crate) len: usize,
    /// Length of the header itself.
    pub(crate) size: usize,
}

/// What a reader accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The role of the reader.
    pub(crate) role: Role,
    /// permessage-deflate is in use.
    pub(crate) deflate: bool,
    pub(crate) max_frame: usize,
}

/// Reads the header at the beginning of `bytes`; `None` if it is not complete.
#[inline]
pub(crate) fn parse(bytes: &[u8], rules: Rules) -> Result<Option<Header>, Violation> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let fin = first & 0x80 != 0;
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# MUST be 0 unless an extension is negotiated that defines meanings
    //# for non-zero values.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# If a nonzero value is received and none of
    //# the negotiated extensions defines the meaning of such a nonzero
    //# value, the receiving endpoint MUST _Fail the WebSocket
    //# Connection_.
    let reserved = first & 0x70;
    let compressed = reserved == 0x40 && rules.deflate;
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# frame-rsv1 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
    //# otherwise
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# frame-rsv2 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
    //# otherwise
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# frame-rsv3 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
    //# otherwise
    if reserved != 0 && !compressed {
        return Err(Violation::ReservedBits);
    }
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# If an unknown
    //# opcode is received, the receiving endpoint MUST _Fail the
    //# WebSocket Connection_.
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        _ => return Err(Violation::ReservedOpcode),
    };
    //= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
    //# An endpoint MUST NOT set the "Per-Message Compressed" bit of control
    //# frames and non-first fragments of a data message.  An endpoint
    //# receiving such a frame MUST _Fail the WebSocket Connection_.
    if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(Violation::ReservedBits);
    }
    let masked = second & 0x80 != 0;
    match (rules.role, masked) {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
        //# The server MUST close the connection upon receiving a
        //# frame that is not masked.
        (Role::Server, false) => return Err(Violation::Unmasked),
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
        //# A client MUST close a connection if it detects a masked
        //# frame.
        (Role::Client, true) => return Err(Violation::Masked),
        _ => {}
    }
    let short = second & 0x7f;
    if opcode.is_control() {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5
        //# All control frames MUST have a payload length of 125 bytes or less
        //# and MUST NOT be fragmented.
        if usize::from(short) > MAX_CONTROL {
            return Err(Violation::ControlTooLong);
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
        //# Control frames themselves MUST NOT be fragmented.
        if !fin {
            return Err(Violation::ControlFragmented);
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    //# Note that in all cases, the minimal number of bytes MUST be used to encode
    //# the length, for example, the length of a 124-byte-long string
    //# can't be encoded as the sequence 126, 0, 124.
    let (len, length_size) = match short {
        126 => {
            let Some((&bytes, _)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let len = u16::from_be_bytes(bytes);
            if len < 126 {
                return Err(Violation::NonMinimalLength);
            }
            (u64::from(len), 2)
        }
        127 => {
            let Some((&bytes, _)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            let len = u64::from_be_bytes(bytes);
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
            //# If 127, the
            //# following 8 bytes interpreted as a 64-bit unsigned integer (the
            //# most significant bit MUST be 0) are the payload length.
            if len >> 63 != 0 {
                return Err(Violation::LengthOverflow);
            }
            if len <= u64::from(u16::MAX) {
                return Err(Violation::NonMinimalLength);
            }
            (len, 8)
        }
        short => (u64::from(short), 0),
    };
    //= https://www.rfc-editor.org/rfc/rfc6455#section-10.4
    //# Implementations that have implementation- and/or platform-specific
    //# limitations regarding the frame size or total message size after
    //# reassembly from multiple frames MUST protect themselves against
    //# exceeding those limits.
    let Some(len) = usize::try_from(len).ok().filter(|&len| len <= rules.max_frame) else {
        return Err(Violation::FrameTooBig);
    };
    let mut mask = [0; 4];
    let mut size = 2 + length_size;
    if masked {
        let Some((&key, _)) = rest.get(length_size..).and_then(<[u8]>::split_first_chunk::<4>) else {
            return Ok(None);
        };
        mask = key;
        size += 4;
    }
    Ok(Some(Header { opcode, fin, compressed, mask, len, size }))
}

/// The header of a frame to send, up to 14 bytes. Its payload goes right behind it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameHeader {
    /// The header, zeros, and in the last byte its length: all of it is written and read at once.
    bytes: [u8; 16],
}

impl AsRef<[u8]> for FrameHeader {
    #[inline(always)]
    fn as_ref(&self) -> &[u8] {
        let [bytes @ .., len] = &self.bytes;
        bytes.get(..usize::from(*len)).unwrap_or_default()
    }
}

impl core::ops::Deref for FrameHeader {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl core::fmt::Debug for FrameHeader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("FrameHeader").field(&self.as_ref()).finish()
    }
}

/// A header that is being made, in little-endian order, and its length.
#[derive(Default)]
struct Builder {
    bits: u128,
    len: u32,
}

impl Sink for Builder {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let mut wide = [0; 16];
        wide.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        self.bits |= u128::from_le_bytes(wide) << (self.len * 8);
        self.len += N as u32;
    }
}

/// Where a header is written to.
pub(crate) trait Sink {
    fn put<const N: usize>(&mut self, bytes: [u8; N]);
}

impl Sink for Vec<u8> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }
}

/// The header of a frame to send.
#[inline(always)]
pub(crate) fn header(opcode: Opcode, fin: bool, compressed: bool, len: usize, mask: Option<[u8; 4]>) -> FrameHeader {
    let mut header = Builder::default();
    put(&mut header, opcode, fin, compressed, len, mask);
    FrameHeader { bytes: (header.bits | u128::from(header.len) << 120).to_le_bytes() }
}

/// Appends the header of a frame to send.
#[inline(always)]
pub(crate) fn put(out: &mut impl Sink, opcode: Opcode, fin: bool, compressed: bool, len: usize, mask: Option<[u8; 4]>) {
    let first = opcode as u8 | (u8::from(fin) << 7) | (u8::from(compressed) << 6);
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
    //# A masked frame MUST have the field frame-masked set to 1, as defined
    //# in Section 5.2.
    let masked = u8::from(mask.is_some()) << 7;
    // Arrays of a fixed length become plain stores.
    if len < 126 {
        out.put([first, masked | len as u8]);
    } else if let Ok(len) = u16::try_from(len) {
        let [high, low] = len.to_be_bytes();
        out.put([first, masked | 126, high, low]);
    } else {
        out.put([first, masked | 127]);
        out.put((len as u64).to_be_bytes());
    }
    if let Some(key) = mask {
        out.put(key);
    }
}
