//! Output waiting for the transport. Holds whole frames in order; knows nothing of what is in them.
//!
//! Small frames are written one behind the other into `tail`; a payload that is owned and large, or has nothing before
//! it, is queued as it is, behind its header. One Pong may overtake the queue (`urgent`), so that a peer that reads
//! slowly still gets its answer and a flood of Pings takes no memory.

use crate::frame::FrameHeader;
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use bytes::Bytes;

/// A `tail` of this size is closed and queued, so that appending never moves much.
const TAIL: usize = 16 * 1024;

/// Payloads from this size on are written as they are if they are owned; smaller ones are copied behind their header
/// where that saves a write.
pub(crate) const COPY_LIMIT: usize = 4096;

/// What waits, in this order: `first`, `chunks`, `tail`. Mostly there is only one message: that is in `first`, and takes
/// no memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    first: Option<Transmit>,
    chunks: VecDeque<Transmit>,
    tail: Vec<u8>,
    urgent: Option<Box<Bytes>>,
    /// Bytes in `first`, `chunks` and `tail`.
    queued: usize,
    /// The header of the next chunk was popped; its payload must follow.
    inside_frame: bool,
}

/// Output in two parts, to be written one right behind the other, best in one call that takes several slices
/// (`writev`): what [`poll_transmit_parts`](crate::Connection::poll_transmit_parts) gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The header of the frame whose payload follows; empty where `payload` is one or more whole frames.
    pub header: FrameHeader,
    /// What follows it.
    pub payload: Bytes,
}

impl Transmit {
    fn whole(payload: Bytes) -> Self {
        Self { header: FrameHeader::default(), payload }
    }
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
    pub(crate) fn push(&mut self, header: FrameHeader, payload: Bytes) {
        let is_first = self.queued == 0;
        self.queued += header.len() + payload.len();
        let chunk = Transmit { header, payload };
        if is_first {
            self.first = Some(chunk);
        } else {
            self.close_tail();
            self.chunks.push_back(chunk);
        }
    }

    /// Puts a whole frame before everything else, in the place of an earlier one that still waits there. Returns true
    /// if there was one.
    pub(crate) fn set_urgent(&mut self, frame: Bytes) -> bool {
        self.urgent.replace(Box::new(frame)).is_some()
    }

    /// The next bytes: whole frames, or the header of a large payload, or that payload.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let chunk = self.pop_parts()?;
        if chunk.header.is_empty() {
            return Some(chunk.payload);
        }
        if chunk.payload.len() < COPY_LIMIT {
            let mut frame = Vec::with_capacity(chunk.header.len() + chunk.payload.len());
            frame.extend_from_slice(&chunk.header);
            frame.extend_from_slice(&chunk.payload);
            return Some(frame.into());
        }
        // The payload goes back to where it was, before everything else.
        self.queued += chunk.payload.len();
        self.inside_frame = true;
        self.first = Some(Transmit::whole(chunk.payload));
        Some(Bytes::copy_from_slice(&chunk.header))
    }

    /// As [`pop`](Self::pop), with a header and its payload at once.
    #[inline]
    pub(crate) fn pop_parts(&mut self) -> Option<Transmit> {
        if self.urgent.is_none() {
            if let Some(chunk) = self.first.take() {
                self.inside_frame = false;
                self.queued -= chunk.header.len() + chunk.payload.len();
                return Some(chunk);
            }
            if self.chunks.is_empty() {
                if self.tail.is_empty() {
                    return None;
                }
                self.queued = 0;
                return Some(Transmit::whole(core::mem::take(&mut self.tail).into()));
            }
        }
        self.pop_of_many()
    }

    fn pop_of_many(&mut self) -> Option<Transmit> {
        if !self.inside_frame {
            if let Some(frame) = self.urgent.take() {
                return Some(Transmit::whole(*frame));
            }
        }
        self.inside_frame = false;
        let chunk = self.first.take().or_else(|| self.chunks.pop_front());
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
        let chunk = chunk.unwrap_or_else(|| Transmit::whole(core::mem::take(&mut self.tail).into()));
        self.queued -= chunk.header.len() + chunk.payload.len();
        Some(chunk)
    }

    /// Moves everything that waits to the end of `out`.
    pub(crate) fn drain_into(&mut self, out: &mut Vec<u8>) {
        while let Some(chunk) = self.pop_parts() {
            out.extend_from_slice(&chunk.header);
            out.extend_from_slice(&chunk.payload);
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(Transmit::whole(core::mem::take(&mut self.tail).into()));
        }
    }

    /// Heap bytes held.
    pub(crate) fn heap(&self) -> usize {
        self.chunks.capacity() * size_of::<Transmit>()
            + self.queued
            + (self.tail.capacity() - self.tail.len())
            + self.urgent.as_ref().map_or(0, |frame| size_of::<Bytes>() + frame.len())
    }
}
