//! Ids, and the slab they index.
//!
//! An id is an index and the generation of what stands there: an id that has outlived its object names nothing.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $label:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub(crate) Key);

            impl $name {
                /// The id as one number, for a host's own tables and logs.
                pub fn to_bits(self) -> u64 {
                    u64::from(self.0.generation.get()) << 32 | u64::from(self.0.index)
                }

                /// The id that [`to_bits`](Self::to_bits) gave; `None` for a number it cannot have given. An id made
                /// up this way may be stale, and is then answered as one.
                pub fn from_bits(bits: u64) -> Option<Self> {
                    let generation = NonZeroU32::new((bits >> 32) as u32)?;
                    Some($name(Key { index: bits as u32, generation }))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($label, "{}.{}"), self.0.index, self.0.generation)
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
    /// A REGISTER whose bindings have been asked for or are being stored: until it is answered.
    RegisterId = "r";
    /// A request that waits for a routing decision, and the response context it becomes.
    ProxyId = "p";
    /// A request that waits for contacts to redirect to.
    RedirectId = "d";
    /// A request that waits for the credentials of its user.
    AuthId = "a";
}

/// What an id is inside the crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: NonZeroU32,
}

/// No object.
const NIL: u32 = u32::MAX;

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

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab::new()
    }
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

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let cell = self.cells.get_mut(key.index as usize)?;
        if cell.generation != key.generation || matches!(cell.slot, Slot::Free(_)) {
            return None;
        }
        // A cell whose generations are used up is not used again.
        let next = match cell.generation.checked_add(1) {
            Some(generation) => {
                cell.generation = generation;
                core::mem::replace(&mut self.free, key.index)
            }
            None => NIL,
        };
        self.len -= 1;
        match core::mem::replace(&mut cell.slot, Slot::Free(next)) {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
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

    /// All live objects in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| match &cell.slot {
            Slot::Used(value) => Some((Key { index: index as u32, generation: cell.generation }, value)),
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
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        let b = slab.insert('b').unwrap();
        assert_eq!(b.index, a.index, "the place is used again");
        assert_eq!((slab.get(a), slab.get(b)), (None, Some(&'b')));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.len(), 1);
        assert_eq!(ProxyId::from_bits(ProxyId(b).to_bits()), Some(ProxyId(b)));
        assert_eq!(ProxyId::from_bits(7), None);
    }
}
