//! The slab: objects by generational id.

use super::id::{Id, Key};
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem;
use core::num::NonZeroU32;

/// No place.
pub(crate) const NIL: u32 = u32::MAX;

/// Places that are kept though nothing is in them.
pub(crate) const FEW: usize = 1024;

enum Slot<T> {
    Used(T),
    /// Index of the next free place, or `NIL`.
    Free(u32),
}

struct Cell<T> {
    generation: NonZeroU32,
    slot: Slot<T>,
}

/// Objects by generational id: inserted, looked up and removed in constant time, listed in the order of their places.
///
/// Memory grows to the most objects there have been at one time; it is given back when the last of many is taken out. A slab has
/// no limit of its own: its owner compares [`len`](Slab::len) with the limit before inserting.
pub struct Slab<I, T> {
    cells: Vec<Cell<T>>,
    free: u32,
    len: usize,
    /// The generation of places not yet made.
    first: NonZeroU32,
    /// The highest generation of any place.
    highest: NonZeroU32,
    id: PhantomData<fn() -> I>,
}

impl<I: Id, T> Default for Slab<I, T> {
    fn default() -> Self {
        Slab::new()
    }
}

impl<I: Id, T> Slab<I, T> {
    /// A slab without objects or memory.
    pub const fn new() -> Self {
        Slab { cells: Vec::new(), free: NIL, len: 0, first: NonZeroU32::MIN, highest: NonZeroU32::MIN, id: PhantomData }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an object in. `None`, and the object is gone, if there are 2^32 - 1 already.
    #[inline]
    pub fn insert(&mut self, value: T) -> Option<I> {
        if self.free == NIL {
            self.make_place()?;
        }
        let index = self.free;
        let cell = self.cells.get_mut(index as usize)?;
        // A place of the list is free: so that none has to be dropped there.
        let Slot::Free(next) = cell.slot else { return None };
        self.free = next;
        cell.slot = Slot::Used(value);
        self.len += 1;
        Some(I::from_key(Key::at(index, cell.generation)))
    }

    /// One more place, which is free.
    #[inline(never)]
    fn make_place(&mut self) -> Option<()> {
        let index = u32::try_from(self.cells.len()).ok().filter(|&index| index != NIL)?;
        self.cells.push(Cell { generation: self.first, slot: Slot::Free(self.free) });
        self.free = index;
        Some(())
    }

    /// Takes an object out. Its id names nothing from now on.
    #[inline]
    pub fn remove(&mut self, id: I) -> Option<T> {
        let key = id.key();
        match self.cells.get(key.index() as usize) {
            Some(Cell { generation, .. }) if *generation == key.generation() => self.remove_at(key.index()),
            _ => None,
        }
    }

    /// Takes out what stands at `index`.
    #[inline]
    pub fn remove_at(&mut self, index: u32) -> Option<T> {
        let taken = self.free_at(index)?;
        self.release_if_empty();
        match taken {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Drops what stands at `index` where it stands.
    #[inline]
    pub(crate) fn drop_at(&mut self, index: u32) {
        if self.free_at(index).is_some() {
            self.release_if_empty();
        }
    }

    /// Frees a place and gives what stood there; `None` if nothing did.
    #[inline(always)]
    fn free_at(&mut self, index: u32) -> Option<Slot<T>> {
        let cell = self.cells.get_mut(index as usize)?;
        if let Slot::Free(_) = cell.slot {
            return None;
        }
        // A place whose generations are used up is not used again: no id comes back.
        let next = match cell.generation.checked_add(1).filter(|&next| next <= Key::LAST) {
            Some(generation) => {
                cell.generation = generation;
                self.highest = self.highest.max(generation);
                mem::replace(&mut self.free, index)
            }
            None => NIL,
        };
        self.len -= 1;
        Some(mem::replace(&mut cell.slot, Slot::Free(next)))
    }

    #[inline(always)]
    fn release_if_empty(&mut self) {
        if self.len == 0 && self.cells.len() > FEW {
            self.release();
        }
    }

    /// Gives the memory of an empty slab back. Places that are made anew begin with a generation that none has had.
    #[cold]
    fn release(&mut self) {
        // All places made anew begin where the busiest ended, so that one busy place would use up those of all others in time: the
        // second half of the generations is left to each place by itself. And a place that is used up must stay so.
        if self.highest.get() < Key::LAST.get() / 2 {
            self.first = self.highest;
            self.cells = Vec::new();
            self.free = NIL;
        }
    }

    /// What `id` names.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        let key = id.key();
        match self.cells.get(key.index() as usize) {
            Some(Cell { slot: Slot::Used(value), generation }) if *generation == key.generation() => Some(value),
            _ => None,
        }
    }

    /// What `id` names.
    #[inline]
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let key = id.key();
        match self.cells.get_mut(key.index() as usize) {
            Some(Cell { slot: Slot::Used(value), generation }) if *generation == key.generation() => Some(value),
            _ => None,
        }
    }

    /// Whether `id` names anything.
    pub fn contains(&self, id: I) -> bool {
        self.get(id).is_some()
    }

    /// What stands at `index`, of whatever generation: for tables of the owner's own that are cleared with the object.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        match self.cells.get(index as usize) {
            Some(Cell { slot: Slot::Used(value), .. }) => Some(value),
            _ => None,
        }
    }

    /// What stands at `index`, of whatever generation.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.cells.get_mut(index as usize) {
            Some(Cell { slot: Slot::Used(value), .. }) => Some(value),
            _ => None,
        }
    }

    /// The id of what stands at `index`.
    #[inline]
    pub fn id_at(&self, index: u32) -> Option<I> {
        match self.cells.get(index as usize) {
            Some(Cell { slot: Slot::Used(_), generation }) => Some(I::from_key(Key::at(index, *generation))),
            _ => None,
        }
    }

    /// All objects in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.cells.iter().enumerate().filter_map(|(index, cell)| match &cell.slot {
            Slot::Used(value) => Some((I::from_key(Key::at(index as u32, cell.generation)), value)),
            Slot::Free(_) => None,
        })
    }

    /// The highest generation there has been in any place that can be used again: what [`restore`](Slab::restore)
    /// wants to know beside the objects. Looks at every place.
    pub fn horizon(&self) -> NonZeroU32 {
        let generations = self.cells.iter().map(|cell| cell.generation);
        generations.filter(|&generation| generation < Key::LAST).fold(self.first, NonZeroU32::max)
    }

    /// The slab with objects that [`iter`](Slab::iter) gave elsewhere, in any order, under the ids they had. All other
    /// places have the generation `horizon`, so that ids which were stale there are stale here.
    ///
    /// `None` if two have one place, or if a place is not below `most`, which bounds the memory that an index made up can cost.
    pub fn restore(entries: impl IntoIterator<Item = (I, T)>, horizon: NonZeroU32, most: u32) -> Option<Slab<I, T>> {
        let horizon = Key::new(0, horizon)?.generation();
        let mut slab = Slab { first: horizon, highest: horizon, ..Slab::new() };
        for (id, value) in entries {
            let (index, generation) = (id.key().index(), id.key().generation());
            if index >= most || index == NIL {
                return None;
            }
            if slab.cells.len() <= index as usize {
                slab.cells.resize_with(index as usize + 1, || Cell { generation: horizon, slot: Slot::Free(NIL) });
            }
            let cell = slab.cells.get_mut(index as usize)?;
            if let Slot::Used(_) = cell.slot {
                return None;
            }
            *cell = Cell { generation, slot: Slot::Used(value) };
            slab.highest = slab.highest.max(generation);
            slab.len += 1;
        }
        for (index, cell) in slab.cells.iter_mut().enumerate().rev() {
            if let Slot::Free(next) = &mut cell.slot {
                *next = mem::replace(&mut slab.free, index as u32);
            }
        }
        Some(slab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_names_nothing() {
        let mut slab: Slab<Key, char> = Slab::new();
        let a = slab.insert('a').unwrap();
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!((slab.remove(a), slab.remove_at(a.index())), (None, None));
        let b = slab.insert('b').unwrap();
        assert_eq!(b.index(), a.index(), "the place is used again");
        assert!(slab.get(a).is_none() && slab.get_mut(a).is_none() && slab.remove(a).is_none());
        assert_eq!((slab.get(b), slab.id_at(b.index())), (Some(&'b'), Some(b)));
        assert_eq!(slab.len(), 1);
        assert_eq!(Key::from_bits(b.to_bits()), Some(b));
        assert_eq!(Key::from_bits(7), None, "no generation");
        assert_eq!(Key::from_bits(1 << 63), None, "a generation of 32 bits");
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_left() {
        let last = Key::at(0, Key::LAST);
        let mut slab = Slab::restore([(last, 'a')], NonZeroU32::MIN, 10).unwrap();
        assert_eq!(slab.remove(last), Some('a'));
        assert_eq!((slab.get(last), slab.len()), (None, 0));
        let next: Key = slab.insert('b').unwrap();
        assert_eq!(next.index(), 1);
        assert_eq!(slab.horizon(), NonZeroU32::MIN, "the place that is left does not count");
    }

    #[test]
    fn memory_is_given_back_with_the_last_of_many_and_no_id_comes_again() {
        let mut slab: Slab<Key, u32> = Slab::new();
        let mut given = alloc::collections::BTreeSet::new();
        for round in 0..3 {
            let keys: Vec<Key> = (0..2 * FEW as u32).map(|n| slab.insert(n).unwrap()).collect();
            // Some places are used more often than others.
            for &key in &keys[..round] {
                slab.remove(key);
                let again = slab.insert(7).unwrap();
                assert!(given.insert(again.to_bits()));
                slab.remove(again);
            }
            assert!(keys.iter().all(|key| given.insert(key.to_bits())), "round {round}");
            for &key in &keys[round..] {
                assert!(slab.cells.capacity() > FEW);
                slab.remove(key);
            }
            assert_eq!(slab.cells.capacity(), 0);
            assert!(keys.iter().all(|&key| slab.get(key).is_none() && slab.remove(key).is_none()));
        }
    }

    #[test]
    fn a_busy_place_does_not_use_up_the_others() {
        let half = NonZeroU32::new(Key::LAST.get() / 2).unwrap();
        for (generation, kept) in [(half.get() - 2, false), (half.get() - 1, true), (half.get(), true)] {
            let busy = Key::at(0, NonZeroU32::new(generation).unwrap());
            let mut slab = Slab::restore([(busy, 0)], NonZeroU32::MIN, 1).unwrap();
            let keys: Vec<Key> = (0..2 * FEW as u32).map(|n| slab.insert(n).unwrap()).collect();
            slab.remove(busy);
            keys.iter().for_each(|&key| assert!(slab.remove(key).is_some()));
            assert_eq!(slab.cells.capacity() > 0, kept, "{generation}");
            let next: Vec<Key> = (0..2 * FEW as u32).map(|n| slab.insert(n).unwrap()).collect();
            let young = next.iter().filter(|key| key.generation().get() < 3).count();
            assert_eq!(young > FEW, kept, "{generation}: the others go on where they stopped");
            assert!(next.iter().all(|key| *key != busy && !keys.contains(key)));
        }
    }

    #[test]
    fn a_restored_slab_goes_on_where_the_other_stopped() {
        let mut slab: Slab<Key, u32> = Slab::new();
        let keys: Vec<Key> = (0..6).map(|n| slab.insert(n).unwrap()).collect();
        for &key in keys.iter().step_by(2) {
            slab.remove(key);
        }
        let mut entries: Vec<(Key, u32)> = slab.iter().map(|(key, value)| (key, *value)).collect();
        entries.reverse();
        let mut again = Slab::restore(entries, slab.horizon(), 6).unwrap();
        assert!(again.iter().eq(slab.iter()));
        // The free places are filled in order, under ids that neither slab has given before.
        let new: Vec<Key> = (0..4).map(|n| again.insert(n).unwrap()).collect();
        assert_eq!(new.iter().map(|key| key.index()).collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert!(new.iter().all(|key| !keys.contains(key)));
        assert!(keys.iter().step_by(2).all(|&key| again.get(key).is_none()), "stale there, stale here");
    }

    #[test]
    fn what_no_slab_can_have_given_is_refused() {
        let at = |index| Key::at(index, NonZeroU32::MIN);
        let restore = |keys: &[Key], most| {
            Slab::restore(keys.iter().map(|&key| (key, ())), NonZeroU32::MIN, most).map(|slab| slab.len())
        };
        assert_eq!(restore(&[at(0), at(1)], 2), Some(2));
        assert_eq!(restore(&[at(1), at(1)], 2), None, "one place twice");
        assert_eq!(restore(&[at(2)], 2), None, "too far");
        assert_eq!(restore(&[at(NIL)], NIL), None, "no place at all");
    }
}
