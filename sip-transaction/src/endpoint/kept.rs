//! Where the final responses lie that are kept for retransmitted requests: one behind the other in blocks. They live for timer J
//! and end in the order they came, so that a block ends as a whole. Among other things of other lives, each by itself, they
//! would leave holes when they go, and the memory of a busy hour would be no use to anything else.

use crate::wire::Response;
use bytes::{Bytes, BytesMut};

/// The smallest block and the largest. Allocators get larger pieces from the system, page by page, and give them back at once: each
/// block would cost as many page faults as it has pages.
const BLOCK: (usize, usize) = (4096, 1 << 16);
/// What a block has for each live transaction: a fraction of what the transaction takes.
const SHARE: usize = 128;

/// The block that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Kept(BytesMut);

impl Kept {
    /// The same bytes, in the block. `live`: how many transactions there are.
    pub(crate) fn keep(&mut self, bytes: &Bytes, live: usize) -> Bytes {
        self.keep_parts([bytes], live).unwrap_or_else(|| bytes.clone())
    }

    /// Several texts one behind the other, in the block; `None` if they are too long for it.
    #[inline]
    pub(crate) fn keep_parts<const N: usize>(&mut self, parts: [&[u8]; N], live: usize) -> Option<Bytes> {
        if !self.has_room(parts.iter().map(|part| part.len()).sum(), live) {
            return None;
        }
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        Some(self.0.split().freeze())
    }

    /// The response, written into the block.
    pub(crate) fn write(&mut self, response: &Response<'_>, live: usize) -> Bytes {
        if !self.has_room(response.most(), live) {
            return response.bytes();
        }
        response.write(&mut self.0);
        self.0.split().freeze()
    }

    /// The response in memory of its own, of just its length: put together in the block, and copied from there.
    pub(crate) fn write_apart(&mut self, response: &Response<'_>, live: usize) -> Bytes {
        if !self.has_room(response.most(), live) {
            return response.bytes();
        }
        response.write(&mut self.0);
        let bytes = Bytes::copy_from_slice(&self.0);
        self.0.clear();
        bytes
    }

    /// Whether the block has room for so many bytes, if need be a new one. What would waste much of a block has none.
    #[inline]
    fn has_room(&mut self, len: usize, live: usize) -> bool {
        if len > self.0.capacity() - self.0.len() {
            let block = (live * SHARE).clamp(BLOCK.0, BLOCK.1);
            if len > block / 2 {
                return false;
            }
            self.0 = BytesMut::with_capacity(block);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_lie_one_behind_the_other() {
        let mut kept = Kept::default();
        let response = |n: u8| Bytes::from(alloc::vec![n; 300]);
        let all: alloc::vec::Vec<Bytes> = (0..20).map(|n| kept.keep(&response(n), 1)).collect();
        assert!(all.iter().enumerate().all(|(n, bytes)| *bytes == response(n as u8)));
        let beside = all.windows(2).filter(|two| two[0].as_ptr_range().end == two[1].as_ptr()).count();
        assert_eq!(beside, 18, "thirteen to a block");
        // With many transactions a block is larger; a large response has no place in a small one.
        let all: alloc::vec::Vec<Bytes> = (0..20).map(|n| kept.keep(&response(n), 1000)).collect();
        let beside = all.windows(2).filter(|two| two[0].as_ptr_range().end == two[1].as_ptr()).count();
        assert!(beside >= 18, "{beside}");
        let mut kept = Kept::default();
        let large = Bytes::from(alloc::vec![1; 3000]);
        assert_eq!(kept.keep(&large, 1).as_ptr(), large.as_ptr());
    }
}
