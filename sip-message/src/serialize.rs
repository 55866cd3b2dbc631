//! From a message back to bytes: a gather of spans, untouched lines byte for byte.

use crate::message::Message;
use alloc::vec::Vec;
use bytes::Bytes;

impl Message {
    /// The message as it will be sent, as slices to be written one after another (an iovec). Lines that lie next to
    /// each other come as one slice: a message that was not edited is one slice.
    pub fn slices(&self) -> Slices<'_> {
        Slices { message: self, next: 0 }
    }

    /// How many bytes [`write_to`](Message::write_to) appends.
    pub fn encoded_len(&self) -> usize {
        self.slices().map(<[u8]>::len).sum()
    }

    /// Appends the message to `out`. Allocates nothing when `out` has room.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for slice in self.slices() {
            out.extend_from_slice(slice);
        }
    }

    /// The message as bytes: a slice of what was parsed, without a copy, unless the message was edited.
    pub fn to_bytes(&self) -> Bytes {
        if !self.edited {
            return self.bytes.slice(self.start.line as usize..self.body.1 as usize);
        }
        let mut out = Vec::with_capacity(self.encoded_len());
        self.write_to(&mut out);
        out.into()
    }

    /// Like [`to_bytes`](Message::to_bytes), giving up the message.
    pub fn into_bytes(self) -> Bytes {
        self.to_bytes()
    }
}

/// The slices of a message in the order they are sent: [`Message::slices`].
#[derive(Clone, Debug)]
pub struct Slices<'a> {
    message: &'a Message,
    /// 0 is the start line, then come the fields, then the empty line, then the body.
    next: usize,
}

/// Where a part lies: in the original bytes or in the arena.
#[derive(Clone, Copy)]
enum Part {
    Original(usize, usize),
    Edited(usize, usize),
    /// The empty line of a head that came without one.
    EmptyLine,
    /// A body that lies in neither.
    NewBody,
}

impl Slices<'_> {
    fn part(&self, at: usize) -> Option<Part> {
        let message = self.message;
        let entries = message.index.entries();
        let place = |edited, from: u32, to: u32| {
            if edited { Part::Edited(from as usize, to as usize) } else { Part::Original(from as usize, to as usize) }
        };
        if at == 0 {
            let start = &message.start;
            return Some(place(start.edited, start.line, start.line + u32::from(start.line_len)));
        }
        if let Some(entry) = entries.get(at - 1) {
            return Some(place(entry.edited(), entry.line, entry.line_end()));
        }
        match at - 1 - entries.len() {
            0 if message.head_end == message.body.0 => Some(Part::EmptyLine),
            0 => Some(Part::Original(message.head_end as usize, message.body.0 as usize)),
            1 if message.new_body.is_some() => Some(Part::NewBody),
            1 => Some(Part::Original(message.body.0 as usize, message.body.1 as usize)),
            _ => None,
        }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let message = self.message;
        let first = self.part(self.next)?;
        self.next += 1;
        let (source, from, mut to): (&'a [u8], _, _) = match first {
            Part::EmptyLine => return Some(b"\r\n"),
            Part::NewBody => return message.new_body.as_deref(),
            Part::Original(from, to) => (&message.bytes, from, to),
            Part::Edited(from, to) => (&message.arena, from, to),
        };
        loop {
            match (first, self.part(self.next)) {
                (Part::Original(..), Some(Part::Original(next, end))) if next == to => to = end,
                (Part::Edited(..), Some(Part::Edited(next, end))) if next == to => to = end,
                _ => return source.get(from..to),
            }
            self.next += 1;
        }
    }
}
