//! The table of transactions by tag: places in the slab, in buckets of one cache line each.
//!
//! A table of a million transactions lies in no cache, and what a look-up costs is the lines it touches: here one, mostly. A bucket
//! has 15 words, each with the place of a transaction and as many bits of its tag as there is room for, and the number of those that
//! belong here and found no room. The tags themselves lie with the transactions: their owner compares them.

use crate::cores::FEW;
use alloc::boxed::Box;
use alloc::vec;

/// Words of a bucket that hold a place.
const WORDS: usize = 15;
/// Words in use on average, from which on the table grows.
const FULL: usize = 11;
/// Bits of a word for the place, at least.
const LEAST_BITS: u32 = 16;

/// 15 places, 0 where there is none, and behind them how many that belong here lie in other buckets.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u32; WORDS + 1]);

const EMPTY: Bucket = Bucket([0; WORDS + 1]);

impl Bucket {
    /// Which words satisfy: one bit each, from bit 1 on. Looks at all of them, so that no branch has to be guessed; and at the number
    /// behind them, so that they are a power of two and all alike, for processors that compare several at a time.
    #[inline(always)]
    fn mask(&self, is: impl Fn(u32) -> bool) -> u32 {
        self.0.iter().enumerate().fold(0, |mask, (at, &word)| mask | u32::from(is(word)) << (at + 1))
    }

    /// The first word of a mask: beyond all places if there is none, or none but the number behind them.
    #[inline(always)]
    fn first(mask: u32) -> usize {
        mask.trailing_zeros() as usize - 1
    }

    #[inline(always)]
    fn places(&mut self) -> &mut [u32] {
        &mut self.0[..WORDS]
    }

    /// How many have gone past.
    #[inline(always)]
    fn passed(&mut self) -> &mut u32 {
        &mut self.0[WORDS]
    }
}

/// How many removals are saved up, to be done together.
const TOGETHER: usize = 8;

/// See the [module](self).
pub(crate) struct Table {
    /// None before the first transaction.
    buckets: Box<[Bucket]>,
    /// Bits of a word for the place; the others are of the tag, and not 0.
    bits: u32,
    /// Places entered and not removed.
    len: usize,
    /// Removals not done yet, as hash and place: lines that lie far apart are fetched at the same time rather than one after the
    /// other. Until then a look-up meets the places and is told that they are not what it looks for.
    leaving: [(u64, u32); TOGETHER],
    left: usize,
}

impl Table {
    /// How many places there may be: a word has one bit at least for the mark.
    pub(crate) const MOST: usize = 1 << 31;

    pub(crate) fn new() -> Table {
        Table { buckets: Box::default(), bits: LEAST_BITS, len: 0, leaving: [(0, 0); TOGETHER], left: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bucket that a hash belongs to: from its low half.
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.buckets.len() as u64) >> 32) as usize
    }

    /// What stands beside the place in a word: from the high half.
    #[inline(always)]
    fn mark(&self, hash: u64) -> u32 {
        ((hash >> 32) as u32 >> self.bits).max(1)
    }

    #[inline(always)]
    fn behind(&self, at: usize) -> usize {
        if at + 1 < self.buckets.len() { at + 1 } else { 0 }
    }

    /// The place under `hash` that `is` says is it.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let (mark, mut at) = (self.mark(hash), self.home(hash));
        let places = (1 << self.bits) - 1;
        // Once around at most.
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get(at)?;
            let mut mask = bucket.mask(|word| word >> self.bits == mark);
            while let Some(word) = bucket.0[..WORDS].get(Bucket::first(mask)) {
                if is(word & places) {
                    return Some(word & places);
                }
                mask &= mask - 1;
            }
            if bucket.0[WORDS] == 0 {
                return None;
            }
            at = self.behind(at);
        }
        None
    }

    /// Enters a place under `hash`. `hash_of` gives that of the places already there, should the table have to grow.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if self.len + TOGETHER >= self.buckets.len() * FULL || place >> self.bits != 0 {
            self.tidy();
            self.grow(place, hash_of);
        }
        self.put(hash, place);
        self.len += 1;
    }

    #[inline(always)]
    fn put(&mut self, hash: u64, place: u32) {
        let (word, mut at) = (self.mark(hash) << self.bits | place, self.home(hash));
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get_mut(at) else { return };
            let free = Bucket::first(bucket.mask(|word| word == 0));
            if let Some(free) = bucket.places().get_mut(free) {
                *free = word;
                return;
            }
            *bucket.passed() = bucket.passed().saturating_add(1);
            at = self.behind(at);
        }
    }

    /// Takes out a place entered under `hash`. It must be there.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, place: u32) {
        if self.left == TOGETHER {
            self.tidy();
        }
        if let Some(next) = self.leaving.get_mut(self.left) {
            *next = (hash, place);
            self.left += 1;
            self.len = self.len.saturating_sub(1);
        }
    }

    /// Does the removals saved up.
    #[inline(never)]
    fn tidy(&mut self) {
        let leaving = self.leaving;
        let leaving = leaving.get(..core::mem::take(&mut self.left)).unwrap_or_default();
        // Nothing here waits for anything else: the processor asks for all lines before it has the first.
        let mut first = [WORDS; TOGETHER];
        for (found, &(hash, place)) in first.iter_mut().zip(leaving) {
            let word = self.mark(hash) << self.bits | place;
            let bucket = self.buckets.get(self.home(hash));
            *found = Bucket::first(bucket.map_or(0, |bucket| bucket.mask(|held| held == word)));
        }
        for (&(hash, place), found) in leaving.iter().zip(first) {
            let home = self.home(hash);
            let word = self.mark(hash) << self.bits | place;
            match self.buckets.get_mut(home).and_then(|bucket| bucket.places().get_mut(found)) {
                // Two may be the same word: the other has another place then, if it is not this one.
                Some(held) if *held == word => *held = 0,
                _ => self.take_out(hash, place),
            }
        }
    }

    fn take_out(&mut self, hash: u64, place: u32) {
        let (word, home) = (self.mark(hash) << self.bits | place, self.home(hash));
        let mut at = home;
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get_mut(at) else { return };
            let found = Bucket::first(bucket.mask(|held| held == word));
            if let Some(found) = bucket.places().get_mut(found) {
                *found = 0;
                return self.unpass(home, at);
            }
            if *bucket.passed() == 0 {
                return;
            }
            at = self.behind(at);
        }
    }

    /// One that lay at `end` and belonged to `home` is gone: those between hold one less that went past.
    #[inline(always)]
    fn unpass(&mut self, home: usize, end: usize) {
        let mut at = home;
        while at != end {
            if let Some(bucket) = self.buckets.get_mut(at) {
                *bucket.passed() = bucket.passed().saturating_sub(1);
            }
            at = self.behind(at);
        }
    }

    /// Gives memory back, if there was much of it: nothing is in the table.
    pub(crate) fn release(&mut self) {
        if self.len == 0 && self.buckets.len() * WORDS > FEW {
            *self = Table::new();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, place: u32, hash_of: impl Fn(u32) -> u64) {
        let full = self.len + TOGETHER >= self.buckets.len() * FULL;
        let count = if full { (self.buckets.len() * 2).max(2) } else { self.buckets.len() };
        let places = (1 << self.bits) - 1;
        let old = core::mem::replace(&mut self.buckets, vec![EMPTY; count].into_boxed_slice());
        // A place has 32 bits less one: there is always room for a mark.
        self.bits = self.bits.max(u32::BITS - place.leading_zeros()).min(u32::BITS - 1);
        for word in old.iter().flat_map(|bucket| bucket.0.into_iter().take(WORDS)).filter(|&word| word != 0) {
            self.put(hash_of(word & places), word & places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    #[test]
    fn it_holds_what_a_map_holds() {
        let mut rng = ChaCha8Rng::from_seed([5; 32]);
        let (mut table, mut map) = (Table::new(), BTreeMap::new());
        for round in 0..200_000u32 {
            // Up and down, past several sizes, with hashes of which many share bucket and mark.
            let rising = round / 20_000 % 2 == 0;
            if rising || map.is_empty() {
                let hash = rng.next_u64() & 0xffff_0000_fff0_0000;
                map.insert(round, hash);
                table.insert(hash, round, |place| map[&place]);
            } else {
                let from = rng.next_u32() % round;
                let found = map.range(from..).next().or(map.iter().next()).map(|(&place, &hash)| (place, hash));
                let (place, hash) = found.unwrap();
                table.remove(hash, place);
                map.remove(&place);
                if round % 3 == 0 {
                    table.tidy();
                    assert_eq!(table.find(hash, |at| at == place), None);
                }
            }
            assert_eq!(table.len, map.len());
        }
        assert!(map.iter().all(|(&place, &hash)| table.find(hash, |at| at == place) == Some(place)));
        for (&place, &hash) in &map {
            table.remove(hash, place);
        }
        assert!(table.is_empty());
        table.tidy();
        assert!(table.buckets.iter().all(|bucket| bucket.0 == EMPTY.0), "nothing stays");
    }

    #[test]
    fn many_under_one_hash_are_all_found() {
        let mut table = Table::new();
        (0..100).for_each(|place| table.insert(7, place, |_| 7));
        assert!((0..100).all(|place| table.find(7, |at| at == place) == Some(place)));
        (0..100).filter(|place| place % 2 == 0).for_each(|place| table.remove(7, place));
        table.tidy();
        assert!((0..100).all(|place| table.find(7, |at| at == place).is_some() == (place % 2 == 1)));
    }

    #[test]
    fn places_of_any_width_fit() {
        let mut table = Table::new();
        let places = [0, 1, 0xffff, 0x1_0000, 0xff_ffff, 0x7fff_fffe];
        places
            .iter()
            .for_each(|&place| table.insert(u64::MAX - u64::from(place), place, |at| u64::MAX - u64::from(at)));
        let found = |place: u32| table.find(u64::MAX - u64::from(place), |at| at == place);
        assert!(places.iter().all(|&place| found(place) == Some(place)));
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }
}
