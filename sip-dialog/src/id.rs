//! Ids, and the slab they index.
//!
//! An id is an index and the generation of what stands there: an id that has outlived its object names nothing.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

/// What an id is inside the crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    index: u32,
    generation: NonZeroU32,
}

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

                /// The id that [`to_bits`](Self::to_bits) gave; `None` for a number it cannot have given. An id made up
                /// this way may be stale, and is then answered as one.
                pub fn from_bits(bits: u64) -> Option<Self> {
                    let generation = NonZeroU32::new((bits >> 32) as u32)?;
                    Some($name(Key { index: bits as u32, generation }))
                }
            }

            impl From<Key> for $name {
                fn from(key: Key) -> Self {
                    $name(key)
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

impl RegistrationId {
    /// Before all others, for ranges.
    pub(crate) const FIRST: Self = RegistrationId(Key { index: 0, generation: NonZeroU32::MIN });
}

ids! {
    /// A call: one invitation sent or received, with all the dialogs it makes, until its
    /// [`Ended`](crate::CallEvent::Ended).
    CallHandle = "call";
    /// A dialog (RFC 3261 section 12), early or confirmed.
    DialogId = "dialog";
    /// A registration that is kept up, until its [`Ended`](crate::RegistrationEvent::Ended).
    RegistrationId = "reg";
    /// A subscription, as subscriber or as notifier, until its [`Ended`](crate::SubscriptionEvent::Ended).
    SubscriptionId = "sub";
    /// Event state that is published and kept up, until its [`Ended`](crate::PublicationEvent::Ended).
    PublicationId = "pub";
    /// A request of its own, sent or received: MESSAGE, OPTIONS, INFO and others, until its
    /// [`Ended`](crate::RequestEvent::Ended).
    RequestId = "req";
}

enum Slot<T> {
    Used(T),
    Free(Option<u32>),
}

struct Cell<T> {
    generation: NonZeroU32,
    slot: Slot<T>,
}

/// Objects by generational key: insert, look up and remove in constant time.
pub(crate) struct Slab<I, T> {
    cells: Vec<Cell<T>>,
    free: Option<u32>,
    len: usize,
    id: core::marker::PhantomData<fn() -> I>,
}

/// What an id of this crate is to a [`Slab`].
pub(crate) trait Id: Copy + From<Key> {
    fn key(self) -> Key;
}

macro_rules! id_impl {
    ($($name:ident)*) => { $(impl Id for $name { fn key(self) -> Key { self.0 } })* };
}

id_impl!(CallHandle DialogId RegistrationId SubscriptionId PublicationId RequestId);

impl<I: Id, T> Slab<I, T> {
    pub(crate) const fn new() -> Self {
        Slab { cells: Vec::new(), free: None, len: 0, id: core::marker::PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `None` when there is no index left.
    pub(crate) fn insert(&mut self, value: T) -> Option<I> {
        let key = match self.free {
            Some(index) => {
                let cell = self.cells.get_mut(index as usize)?;
                let Slot::Free(next) = cell.slot else { return None };
                self.free = next;
                cell.slot = Slot::Used(value);
                Key { index, generation: cell.generation }
            }
            None => {
                let index = u32::try_from(self.cells.len()).ok()?;
                self.cells.push(Cell { generation: NonZeroU32::MIN, slot: Slot::Used(value) });
                Key { index, generation: NonZeroU32::MIN }
            }
        };
        self.len += 1;
        Some(key.into())
    }

    /// Puts an object back where it was, under the id it had. `false` if something is there.
    pub(crate) fn restore(&mut self, id: I, value: T) -> bool {
        let key = id.key();
        let index = key.index as usize;
        // An index far beyond what is there would only be made up.
        if index > self.cells.len().saturating_add(1 << 20) {
            return false;
        }
        while self.cells.len() <= index {
            let place = self.cells.len() as u32;
            self.cells.push(Cell { generation: NonZeroU32::MIN, slot: Slot::Free(self.free) });
            self.free = Some(place);
        }
        self.unlink(key.index);
        match self.cells.get_mut(index) {
            Some(cell) if matches!(cell.slot, Slot::Free(_)) => {
                *cell = Cell { generation: key.generation, slot: Slot::Used(value) };
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// Takes a free place out of the row of free ones.
    fn unlink(&mut self, index: u32) {
        let next_of = |cells: &[Cell<T>], at: u32| match cells.get(at as usize).map(|cell| &cell.slot) {
            Some(Slot::Free(next)) => *next,
            _ => None,
        };
        if self.free == Some(index) {
            self.free = next_of(&self.cells, index);
            return;
        }
        let mut at = self.free;
        while let Some(place) = at {
            let next = next_of(&self.cells, place);
            if next == Some(index) {
                let after = next_of(&self.cells, index);
                if let Some(Cell { slot: Slot::Free(link), .. }) = self.cells.get_mut(place as usize) {
                    *link = after;
                }
                return;
            }
            at = next;
        }
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let key = id.key();
        match self.cells.get(key.index as usize) {
            Some(Cell { generation, slot: Slot::Used(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let key = id.key();
        match self.cells.get_mut(key.index as usize) {
            Some(Cell { generation, slot: Slot::Used(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn contains(&self, id: I) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        let key = id.key();
        let cell = self.cells.get_mut(key.index as usize)?;
        if cell.generation != key.generation || matches!(cell.slot, Slot::Free(_)) {
            return None;
        }
        // A generation that is used up retires its cell: no id may come back.
        let next = cell.generation.checked_add(1);
        let old = match next {
            Some(generation) => {
                cell.generation = generation;
                let old = core::mem::replace(&mut cell.slot, Slot::Free(self.free));
                self.free = Some(key.index);
                old
            }
            None => core::mem::replace(&mut cell.slot, Slot::Free(None)),
        };
        self.len -= 1;
        match old {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// All objects, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| match &cell.slot {
            Slot::Used(value) => Some((Key { index: index as u32, generation: cell.generation }.into(), value)),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_names_nothing() {
        let mut slab: Slab<CallHandle, u8> = Slab::new();
        let first = slab.insert(1).unwrap();
        assert_eq!(slab.remove(first), Some(1));
        let second = slab.insert(2).unwrap();
        assert_ne!(first, second);
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&2)));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
        assert_eq!(CallHandle::from_bits(second.to_bits()), Some(second));
        assert_eq!(CallHandle::from_bits(7), None);
    }
}
