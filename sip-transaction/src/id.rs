//! Ids, and the slab they index.
//!
//! An id is an index and the generation of what stands there, so an id that has outlived its object names nothing:
//! look-ups answer `None`, never with another object.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $label:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name {
                index: u32,
                generation: NonZeroU32,
            }

            #[allow(dead_code, reason = "each kind of id uses what it needs")]
            impl $name {
                pub(crate) fn key(self) -> Key {
                    Key { index: self.index, generation: self.generation }
                }

                pub(crate) fn from_key(key: Key) -> Self {
                    $name { index: key.index, generation: key.generation }
                }

                /// The id as one number, for a host's own tables and logs.
                pub fn to_bits(self) -> u64 {
                    self.key().to_bits()
                }

                /// The id that [`to_bits`](Self::to_bits) gave; `None` for a number it cannot have given. An id made
                /// up this way may be stale, and is then answered as one.
                pub fn from_bits(bits: u64) -> Option<Self> {
                    Key::from_bits(bits).map(Self::from_key)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($label, "{}.{}"), self.index, self.generation)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Debug::fmt(self, f)
                }
            }
        )*
    };
}

ids! {
    /// A client transaction: one request sent, until its [`ClientEnded`](crate::Event::ClientEnded).
    ClientTxId = "c";
    /// A server transaction: one request received, until its [`ServerEnded`](crate::Event::ServerEnded).
    ServerTxId = "s";
    /// A flow: one connection or one datagram socket.
    ///
    /// Minted by [`Endpoint::bind`](crate::Endpoint::bind) for datagram sockets, by
    /// [`Endpoint::accept`](crate::Endpoint::accept) for connections others have opened to the host, and by the endpoint
    /// itself with [`Event::Connect`](crate::Event::Connect). Many remotes share the flow of a datagram socket, so
    /// there a flow is told by the pair of `FlowId` and remote address: a [`Path`](crate::Path) has both.
    FlowId = "f";
    /// A DNS question asked by [`Event::Query`](crate::Event::Query).
    QueryId = "q";
}

/// What an id is inside the crate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: NonZeroU32,
}

impl Key {
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Key> {
        NonZeroU32::new((bits >> 32) as u32).map(|generation| Key { index: bits as u32, generation })
    }
}

/// No object.
pub(crate) const NIL: u32 = u32::MAX;

enum Slot<T> {
    Used(T),
    /// Index of the next free slot, or `NIL`.
    Free(u32),
}

struct Cell<T> {
    generation: NonZeroU32,
    slot: Slot<T>,
}

/// Objects by generational key: insert, look up and remove in constant time.
pub(crate) struct Slab<T> {
    cells: Vec<Cell<T>>,
    free: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { cells: Vec::new(), free: NIL, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `None` when 2^32 - 1 objects are live.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        if let Some(cell) = self.cells.get_mut(self.free as usize) {
            let index = self.free;
            if let Slot::Free(next) = cell.slot {
                self.free = next;
            }
            cell.slot = Slot::Used(value);
            self.len += 1;
            return Some(Key { index, generation: cell.generation });
        }
        let index = u32::try_from(self.cells.len()).ok().filter(|&index| index != NIL)?;
        self.cells.push(Cell { generation: NonZeroU32::MIN, slot: Slot::Used(value) });
        self.len += 1;
        Some(Key { index, generation: NonZeroU32::MIN })
    }

    /// Puts an object back under the key it had elsewhere; `false` if the place is taken. Call `rebuild_free` when all are in.
    pub(crate) fn insert_at(&mut self, key: Key, value: T) -> bool {
        let index = key.index as usize;
        if key.index == NIL {
            return false;
        }
        while self.cells.len() <= index {
            self.cells.push(Cell { generation: NonZeroU32::MIN, slot: Slot::Free(NIL) });
        }
        match self.cells.get_mut(index) {
            Some(cell) if matches!(cell.slot, Slot::Free(_)) => {
                *cell = Cell { generation: key.generation, slot: Slot::Used(value) };
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// Makes all free places usable again.
    pub(crate) fn rebuild_free(&mut self) {
        let mut free = NIL;
        for (index, cell) in self.cells.iter_mut().enumerate().rev() {
            if let Slot::Free(next) = &mut cell.slot {
                *next = core::mem::replace(&mut free, index as u32);
            }
        }
        self.free = free;
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let cell = self.cells.get_mut(index as usize)?;
        if let Slot::Free(_) = cell.slot {
            return None;
        }
        // A cell whose generations are used up is not used again. They have 31 bits: a token needs one for itself.
        let (next, reuse) = match cell.generation.checked_add(1).filter(|generation| generation.get() < 1 << 31) {
            Some(generation) => {
                cell.generation = generation;
                (self.free, true)
            }
            None => (NIL, false),
        };
        let old = core::mem::replace(&mut cell.slot, Slot::Free(next));
        if reuse {
            self.free = index;
        }
        self.len -= 1;
        match old {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// What is live at `index`, of whatever generation.
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        match self.cells.get(index as usize) {
            Some(Cell { slot: Slot::Used(value), .. }) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.cells.get_mut(index as usize) {
            Some(Cell { slot: Slot::Used(value), .. }) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        match self.cells.get(index as usize) {
            Some(Cell { slot: Slot::Used(_), generation }) => Some(Key { index, generation: *generation }),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        match self.cells.get(key.index as usize) {
            Some(Cell { slot: Slot::Used(value), generation }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.cells.get_mut(key.index as usize) {
            Some(Cell { slot: Slot::Used(value), generation }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// All live objects in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| match &cell.slot {
            Slot::Used(value) => Some((index as u32, value)),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_names_nothing() {
        let mut slab = Slab::new();
        let a = slab.insert('a').unwrap();
        assert_eq!(slab.remove(a.index), Some('a'));
        assert_eq!(slab.remove(a.index), None);
        let b = slab.insert('b').unwrap();
        assert_eq!(b.index, a.index, "the place is used again");
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.get(b), Some(&'b'));
        assert_eq!(slab.len(), 1);
        assert_eq!(Key::from_bits(b.to_bits()), Some(b));
        assert_eq!(Key::from_bits(7), None);
    }
}
