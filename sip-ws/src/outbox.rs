//! Output waiting for the transport. Holds whole frames in order; knows nothing of what is in them.
//!
//! Small frames are written one behind the other into `tail`; a large payload that is owned is queued as it is, behind
//! its header. One Pong may overtake the queue (`urgent`), so that a peer that reads slowly still gets its answer and a
//! flood of Pings takes no memory.

use alloc::{collections::VecDeque, vec::Vec};
use bytes::Bytes;

/// A `tail` of this size is closed and queued, so that appending never moves much.
const TAIL: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    tail: Vec<u8>,
    urgent: Option<Bytes>,
    /// Bytes in `chunks` and `tail`.
    queued: usize,
    /// The last chunk popped was a header whose payload comes next.
    inside_frame: bool,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// The payload of this header is the next chunk.
    is_header: bool,
}

impl Outbox {
    /// Bytes that wait, without the urgent frame.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0 && self.urgent.is_none()
    }

    /// Room for `len` more bytes of whole frames; the caller appends exactly that many.
    pub(crate) fn append(&mut self, len: usize) -> &mut Vec<u8> {
        if !self.tail.is_empty() && self.tail.len().saturating_add(len) > TAIL {
            self.close_tail();
        }
        self.queued += len;
        if self.tail.capacity() == 0 {
            self.tail = Vec::with_capacity(len);
        }
        &mut self.tail
    }

    /// Queues a frame whose payload is not copied.
    pub(crate) fn push(&mut self, header: Vec<u8>, payload: Bytes) {
        self.close_tail();
        self.queued += header.len() + payload.len();
        let bytes = Bytes::from(header);
        self.chunks.push_back(Chunk { bytes, is_header: !payload.is_empty() });
        if !payload.is_empty() {
            self.chunks.push_back(Chunk { bytes: payload, is_header: false });
        }
    }

    /// Puts a whole frame before everything else, in the place of an earlier one that still waits there. Returns true
    /// if there was one.
    pub(crate) fn set_urgent(&mut self, frame: Bytes) -> bool {
        self.urgent.replace(frame).is_some()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        if self.chunks.is_empty() && self.urgent.is_none() {
            if self.tail.is_empty() {
                return None;
            }
            self.queued = 0;
            return Some(Bytes::from(core::mem::take(&mut self.tail)));
        }
        self.pop_of_many()
    }

    fn pop_of_many(&mut self) -> Option<Bytes> {
        if !self.inside_frame {
            if let Some(frame) = self.urgent.take() {
                return Some(frame);
            }
        }
        let chunk = self.chunks.pop_front()?;
        self.inside_frame = chunk.is_header;
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
        self.queued -= chunk.bytes.len();
        Some(chunk.bytes)
    }

    /// Moves everything that waits to the end of `out`.
    pub(crate) fn drain_into(&mut self, out: &mut Vec<u8>) {
        while let Some(bytes) = self.pop() {
            out.extend_from_slice(&bytes);
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let bytes = Bytes::from(core::mem::take(&mut self.tail));
            self.chunks.push_back(Chunk { bytes, is_header: false });
        }
    }

    /// Heap bytes held.
    pub(crate) fn heap(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
            + self.queued
            + (self.tail.capacity() - self.tail.len())
            + self.urgent.as_ref().map_or(0, Bytes::len)
    }
}
