//! From a message back to bytes: a gather of spans, untouched lines byte for byte.

use crate::index::Entry;
use crate::message::Message;
use alloc::vec::Vec;
use bytes::Bytes;

impl Message {
    /// The message as it will be sent, as slices to be written one after another (an iovec). Lines that lie next to
    /// each other come as one slice: a message that was not edited is one slice.
    #[inline]
    pub fn slices(&self) -> Slices<'_> {
        Slices::new(self)
    }

    /// How many bytes [`write_to`](Message::write_to) appends.
    pub fn encoded_len(&self) -> usize {
        if !self.edited {
            return self.body.1.saturating_sub(self.start.line) as usize;
        }
        self.slices().map(<[u8]>::len).sum()
    }

    /// Appends the message to `out`. Allocates nothing when `out` has room.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if !self.edited {
            let whole = self.bytes.get(self.start.line as usize..self.body.1 as usize);
            return out.extend_from_slice(whole.unwrap_or_default());
        }
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
        let whole = self.start.line == 0 && self.body.1 as usize == self.bytes.len();
        if !self.edited && whole { self.bytes } else { self.to_bytes() }
    }
}

/// The slices of a message in the order they are sent: [`Message::slices`].
#[derive(Clone, Debug)]
pub struct Slices<'a> {
    message: &'a Message,
    /// What comes next, as far as it is known.
    run: Option<Span>,
    /// The fields behind it.
    entries: core::slice::Iter<'a, Entry>,
    /// The empty line behind those, and the body unless it was replaced.
    tail: Option<Span>,
    /// What lies in neither buffer: the empty line of a head that came without one, and a new body.
    apart: [&'a [u8]; 2],
}

/// Bytes of the original message or of the arena.
#[derive(Clone, Copy, Debug)]
struct Span {
    edited: bool,
    from: u32,
    to: u32,
}

impl<'a> Slices<'a> {
    #[inline]
    fn new(message: &'a Message) -> Self {
        let start = &message.start;
        if !message.edited {
            let whole = Span { edited: false, from: start.line, to: message.body.1 };
            return Slices { message, run: Some(whole), entries: [].iter(), tail: None, apart: [&[]; 2] };
        }
        let tail_end = if message.new_body.is_some() { message.body.0 } else { message.body.1 };
        let empty_line: &[u8] = if message.head_end == message.body.0 { b"\r\n" } else { b"" };
        Slices {
            message,
            run: Some(Span { edited: start.edited, from: start.line, to: start.line + u32::from(start.line_len) }),
            entries: message.index.entries().iter(),
            tail: Some(Span { edited: false, from: message.head_end, to: tail_end }),
            apart: [empty_line, message.new_body.as_deref().unwrap_or_default()],
        }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let Some(mut run) = self.run.take() else {
            return self.apart.iter_mut().map(core::mem::take).find(|slice| !slice.is_empty());
        };
        for entry in self.entries.by_ref() {
            if entry.edited() == run.edited && entry.line == run.to {
                run.to = entry.line_end();
            } else {
                self.run = Some(Span { edited: entry.edited(), from: entry.line, to: entry.line_end() });
                break;
            }
        }
        if self.run.is_none() {
            match self.tail.take() {
                Some(tail) if tail.edited == run.edited && tail.from == run.to => run.to = tail.to,
                tail => self.run = tail.filter(|tail| tail.from < tail.to),
            }
        }
        self.message.source(run.edited).get(run.from as usize..run.to as usize)
    }
}
