//! Messages as their transactions keep them, requests until they are answered and responses until they are acknowledged: a copy of their
//! own, in memory that is used for one after the other, or, of long ones, a reference.

use alloc::vec::Vec;
use bytes::Bytes;
use sip_message::Message;

/// Up to how many bytes what is both sent and kept is copied. A count of references that threads may share costs memory of its own and
/// several locked instructions, a copy of a datagram less.
const COPIED: usize = 1500;

/// How many pieces of memory wait for the next messages. Most requests are answered as soon as they have come.
const WAITING: usize = 32;

/// A message that is kept.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Held {
    pub(crate) const NOTHING: Held = Held::Own(Vec::new());

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Held::Own(bytes) => bytes,
            Held::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The message once more: to be sent, or to be read.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Held::Own(bytes) => Bytes::copy_from_slice(bytes),
            Held::Shared(bytes) => bytes.clone(),
        }
    }
}

/// Memory of messages that are not needed any more, for others.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// Keeps what goes out.
    pub(crate) fn keep(&mut self, bytes: &Bytes) -> Held {
        if bytes.len() > COPIED {
            return Held::Shared(bytes.clone());
        }
        let mut own = self.take(bytes.len());
        own.extend_from_slice(bytes);
        Held::Own(own)
    }

    /// Keeps what goes out in place of what was kept there.
    #[inline]
    pub(crate) fn keep_at(&mut self, place: &mut Held, bytes: &Bytes) {
        self.give(core::mem::replace(place, Held::NOTHING));
        *place = self.keep(bytes);
    }

    /// Keeps a request that has come.
    #[inline(always)]
    pub(crate) fn keep_message(&mut self, request: &Message) -> Held {
        let len = request.encoded_len();
        if len > COPIED {
            return Held::Shared(request.to_bytes());
        }
        let mut own = self.take(len);
        request.write_to(&mut own);
        Held::Own(own)
    }

    /// An empty vector with room for so many bytes.
    #[inline(always)]
    fn take(&mut self, len: usize) -> Vec<u8> {
        self.0.pop().filter(|own| own.capacity() >= len).unwrap_or_else(|| Vec::with_capacity(len))
    }

    /// Takes back what need not be kept any more.
    #[inline]
    pub(crate) fn give(&mut self, held: Held) {
        if let Held::Own(mut own) = held {
            if self.0.len() < WAITING && (1..=COPIED).contains(&own.capacity()) {
                own.clear();
                self.0.push(own);
            }
        }
    }

    /// Gives the memory back to the system.
    pub(crate) fn release(&mut self) {
        self.0 = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_one_is_that_of_the_next_if_it_has_room() {
        let mut spare = Spare::default();
        let bytes = |len| Bytes::from(alloc::vec![b'x'; len]);
        let first = spare.keep(&bytes(100));
        let place = first.as_slice().as_ptr();
        spare.give(first);
        let second = spare.keep(&bytes(90));
        assert_eq!((second.as_slice(), second.as_slice().as_ptr()), (&[b'x'; 90][..], place));
        spare.give(second);
        let longer = spare.keep(&bytes(101));
        assert_eq!(longer.as_slice().len(), 101);
        // What is long is shared, and takes no place here.
        let long = bytes(COPIED + 1);
        let shared = spare.keep(&long);
        assert_eq!(shared.as_slice().as_ptr(), long.as_ptr());
        spare.give(shared);
        assert!(spare.0.is_empty());
        spare.give(Held::NOTHING);
        assert!(spare.0.is_empty(), "there is nothing to take back");
        (0..WAITING + 5).for_each(|_| spare.give(Held::Own(Vec::with_capacity(10))));
        assert_eq!(spare.0.len(), WAITING);
    }
}
