//! The index of a message: one small entry per header field line, and where the hot ones are.

use crate::header::Header;
use core::ops::Range;
use smallvec::SmallVec;

/// Headers with a discriminant below this are found without a search.
pub(crate) const HOT: usize = 16;
const NONE: u8 = u8::MAX;

/// `Entry::tag` of a name this crate does not know.
pub(crate) const OTHER: u8 = u8::MAX;

/// The line lies in the message's arena of edited lines, not in its original bytes.
pub(crate) const EDITED: u8 = 1;

/// The line, or a fold in it, ends with LF alone.
pub(crate) const BARE_LF: u8 = 2;

/// One header field: a complete line, its line end and folds included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Where the line starts.
    pub(crate) line: u32,
    /// Length of the line with its line end.
    pub(crate) line_len: u16,
    /// Start of the value, from the start of the line.
    pub(crate) value: u16,
    /// End of the value, from the start of the line; white space at both ends left out.
    pub(crate) value_end: u16,
    /// The `Header`, or `OTHER`.
    pub(crate) tag: u8,
    pub(crate) flags: u8,
}

impl Entry {
    #[inline]
    pub(crate) fn header(&self) -> Option<Header> {
        Header::ALL.get(self.tag as usize).copied()
    }

    #[inline]
    pub(crate) fn line_end(&self) -> u32 {
        self.line + u32::from(self.line_len)
    }

    /// Where the value is, in what the line lies in.
    #[inline]
    pub(crate) fn value_range(&self) -> Range<usize> {
        let line = self.line as usize;
        line + usize::from(self.value)..line + usize::from(self.value_end)
    }

    #[inline]
    pub(crate) fn edited(&self) -> bool {
        self.flags & EDITED != 0
    }

    /// Where the value starts, for a fault: in a line that was edited, faults count from the value.
    #[inline]
    pub(crate) fn fault_offset(&self) -> usize {
        if self.edited() { 0 } else { self.line as usize + usize::from(self.value) }
    }
}

/// How many entries are held without a heap allocation. Most messages have fewer; a message is moved as often as it is handed on,
/// and each entry makes that dearer.
pub(crate) const INLINE: usize = 24;

pub(crate) type Entries = SmallVec<[Entry; INLINE]>;

/// All header fields in order. Knows nothing of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    entries: Entries,
    /// Entry number of the first field of each hot header. `NONE` also for one beyond entry 254.
    first: [u8; HOT],
    /// Headers that occur, by discriminant.
    present: [u64; 2],
    /// Headers that occur in more than one field, likewise.
    repeated: [u64; 2],
}

impl Index {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Index { entries: Entries::new_const(), first: [NONE; HOT], present: [0; 2], repeated: [0; 2] }
    }

    /// Forgets all fields and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        (self.first, self.present, self.repeated) = ([NONE; HOT], [0; 2], [0; 2]);
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        let at = self.entries.len();
        self.entries.push(entry);
        self.note(entry.tag, at);
    }

    /// Adds entries of lines that lie behind one another, the first of them at `to`.
    #[inline]
    pub(crate) fn append(&mut self, entries: &[Entry], to: u32) {
        let Some(first) = entries.first() else { return };
        let at = self.entries.len();
        self.entries.extend(entries.iter().map(|entry| Entry { line: to + (entry.line - first.line), ..*entry }));
        for (entry, at) in entries.iter().zip(at..) {
            self.note(entry.tag, at);
        }
    }

    /// Makes room for far more entries at once: a message that has more than most has many.
    #[cold]
    pub(crate) fn make_room(&mut self) {
        self.entries.reserve(self.entries.len() + INLINE);
    }

    #[inline(always)]
    fn note(&mut self, tag: u8, at: usize) {
        let (word, bit) = place(tag);
        let seen = self.present[word] & bit;
        self.repeated[word] |= seen;
        self.present[word] |= bit;
        if let Some(first) = self.first.get_mut(tag as usize).filter(|_| seen == 0) {
            *first = u8::try_from(at).unwrap_or(NONE);
        }
    }

    #[inline]
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    #[inline]
    pub(crate) fn has(&self, header: Header) -> bool {
        let (word, bit) = place(header as u8);
        self.present[word] & bit != 0
    }

    /// Whether `header` occurs in more than one field.
    #[inline]
    pub(crate) fn is_repeated(&self, header: Header) -> bool {
        let (word, bit) = place(header as u8);
        self.repeated[word] & bit != 0
    }

    /// The first of these headers that does not occur.
    #[inline]
    pub(crate) fn missing<const N: usize>(&self, headers: [Header; N]) -> Option<Header> {
        headers.into_iter().find(|header| !self.has(*header))
    }

    /// A header of [`Header::SINGLE`] that occurs in more than one field.
    #[inline]
    pub(crate) fn repeated_single(&self) -> Option<Header> {
        // As many as there are fields: each occurs once.
        let headers = self.present[0].count_ones() + self.present[1].count_ones();
        if headers as usize == self.entries.len() { None } else { self.find_repeated_single() }
    }

    fn find_repeated_single(&self) -> Option<Header> {
        const SINGLE: [u64; 2] = bits(Header::SINGLE);
        let repeated = [self.repeated[0] & SINGLE[0], self.repeated[1] & SINGLE[1]];
        if repeated == [0; 2] { None } else { self.first_again(repeated) }
    }

    /// The header with one of these [`bits`] that is there again before any other is.
    #[cold]
    fn first_again(&self, bits: [u64; 2]) -> Option<Header> {
        let mut seen = [0; 2];
        for entry in &self.entries {
            let (word, bit) = place(entry.tag);
            if seen[word] & bit & bits[word] != 0 {
                return entry.header();
            }
            seen[word] |= bit;
        }
        None
    }

    /// Whether all of the headers with these [`bits`] occur.
    #[inline]
    pub(crate) fn has_all(&self, bits: [u64; 2]) -> bool {
        (bits[0] & !self.present[0]) | (bits[1] & !self.present[1]) == 0
    }

    /// The fields of these hot headers, if each has one and no other field stands between them or comes before the first of them.
    #[inline]
    pub(crate) fn together<const N: usize>(&self, headers: [Header; N]) -> Option<&[Entry]> {
        let mask = headers.iter().fold(0_u16, |mask, header| mask | 1_u16.checked_shl(*header as u32).unwrap_or(0));
        let first = self.first(*headers.first()?)?;
        let entries = self.entries().get(first..first + N)?;
        // As many as there are headers, none of them twice.
        let found = entries.iter().fold(0_u16, |found, entry| found | 1_u16.checked_shl(entry.tag.into()).unwrap_or(0));
        (found == mask && self.repeated[0] & u64::from(mask) == 0).then_some(entries)
    }

    /// The first field of `header`.
    #[inline]
    pub(crate) fn first_entry(&self, header: Header) -> Option<&Entry> {
        self.entries.get(self.first(header)?)
    }

    /// All fields of `header`.
    #[inline]
    pub(crate) fn fields(&self, header: Header) -> impl Iterator<Item = &Entry> {
        // Nobody looks for another one behind the only one.
        let first = self.first_entry(header);
        let from = if self.is_repeated(header) { self.first(header) } else { None };
        let others = from.and_then(|from| self.entries().get(from + 1..)).unwrap_or_default();
        first.into_iter().chain(others.iter().filter(move |entry| entry.tag == header as u8))
    }

    /// Entry number of the first field of `header`.
    #[inline]
    pub(crate) fn first(&self, header: Header) -> Option<usize> {
        match self.first.get(header as usize) {
            Some(&at) if at != NONE => Some(usize::from(at)),
            _ => self.search(header),
        }
    }

    /// The same for one of which it is not noted.
    fn search(&self, header: Header) -> Option<usize> {
        if !self.has(header) {
            return None;
        }
        self.entries.iter().position(|entry| entry.tag == header as u8)
    }

    /// Replaces an entry by another of the same header.
    #[inline]
    pub(crate) fn replace(&mut self, at: usize, entry: Entry) {
        if let Some(held) = self.entries.get_mut(at) {
            *held = entry;
        }
    }

    /// Moves all lines by as many bytes.
    pub(crate) fn shift(&mut self, by: i64) {
        for entry in &mut self.entries {
            entry.line = (i64::from(entry.line) + by) as u32;
        }
    }

    /// Notes that the value of the entry `at` grew by so many bytes at its end, and moves what lies behind.
    pub(crate) fn grow(&mut self, at: usize, line_len: u16, by: u16) {
        for (number, entry) in self.entries.iter_mut().enumerate().skip(at) {
            if number == at {
                entry.line_len = line_len;
                entry.value_end += by;
            } else {
                entry.line += u32::from(by);
            }
        }
    }

    /// Adds an entry before the one that is at `at` now.
    pub(crate) fn insert(&mut self, at: usize, entry: Entry) {
        let at = at.min(self.entries.len());
        self.entries.insert(at, entry);
        if self.entries.len() > usize::from(NONE) {
            return self.renew();
        }
        // No branch: all of them are one vector. `at` is below `NONE` here.
        for first in &mut self.first {
            *first += u8::from((*first >= at as u8) & (*first != NONE));
        }
        if let Some(first) = self.first.get_mut(entry.tag as usize) {
            // `NONE` is beyond every place.
            *first = (*first).min(at as u8);
        }
        let (word, bit) = place(entry.tag);
        self.repeated[word] |= self.present[word] & bit;
        self.present[word] |= bit;
    }

    /// Removes the entry at `at`.
    pub(crate) fn remove(&mut self, at: usize) {
        if at >= self.entries.len() {
            return;
        }
        let entry = self.entries.remove(at);
        let (word, bit) = place(entry.tag);
        if self.repeated[word] & bit != 0 || self.entries.len() >= usize::from(NONE) {
            return self.renew();
        }
        for first in &mut self.first {
            if *first != NONE && usize::from(*first) > at {
                *first -= 1;
            }
        }
        self.present[word] &= !bit;
        if let Some(first) = self.first.get_mut(entry.tag as usize) {
            *first = NONE;
        }
    }

    /// Takes over other entries.
    pub(crate) fn set(&mut self, entries: Entries) {
        self.entries = entries;
        self.renew();
    }

    fn renew(&mut self) {
        self.first = [NONE; HOT];
        self.present = [0; 2];
        self.repeated = [0; 2];
        for at in 0..self.entries.len() {
            if let Some(entry) = self.entries.get(at) {
                self.note(entry.tag, at);
            }
        }
    }
}

/// Where the bit of a tag is in `Index::present`. The last bit is that of all names that are not known.
#[inline(always)]
const fn place(tag: u8) -> (usize, u64) {
    ((tag >> 6 & 1) as usize, 1 << (tag & 63))
}

/// The bits of these headers.
pub(crate) const fn bits(headers: &[Header]) -> [u64; 2] {
    let mut bits = [0; 2];
    let mut n = 0;
    while n < headers.len() {
        let (word, bit) = place(headers[n] as u8);
        bits[word] |= bit;
        n += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn entry(tag: u8) -> Entry {
        Entry { line: 0, line_len: 0, value: 0, value_end: 0, tag, flags: 0 }
    }

    proptest! {
        /// Entries that are added at once are those that are added one by one, in place, on the heap and across.
        #[test]
        fn many_are_added_as_one_by_one(
            start in 0usize..60,
            parts in proptest::collection::vec(proptest::collection::vec((prop_oneof![0u8..20, Just(OTHER)], 0u32..9), 0..40), 0..4),
        ) {
            let (mut index, mut anew) = (Index::new(), Index::new());
            for n in 0..start {
                index.push(entry((n % 18) as u8));
                anew.push(entry((n % 18) as u8));
            }
            for (n, part) in parts.iter().enumerate() {
                let to = 1000 * n as u32;
                let mut line = 500;
                let entries: Vec<Entry> = part.iter().map(|(tag, len)| {
                    line += len;
                    Entry { line, ..entry(*tag) }
                }).collect();
                index.append(&entries, to);
                let first = entries.first().map_or(0, |entry| entry.line);
                entries.iter().for_each(|entry| anew.push(Entry { line: to + (entry.line - first), ..*entry }));
            }
            prop_assert_eq!((index.present, index.repeated, index.first), (anew.present, anew.repeated, anew.first));
            let places = |index: &Index| index.entries().iter().map(|entry| (entry.tag, entry.line)).collect::<Vec<_>>();
            prop_assert_eq!(places(&index), places(&anew));
        }

        /// Changes step by step lead to the same index as building it anew.
        #[test]
        fn changes_keep_the_index_true(
            start in prop_oneof![0usize..20, 250usize..260],
            changes in proptest::collection::vec((any::<bool>(), 0usize..300, prop_oneof![0u8..20, Just(OTHER)]), 0..40),
        ) {
            let mut index = Index::new();
            for n in 0..start {
                index.push(entry(if n % 3 == 0 { OTHER } else { (n % 18) as u8 }));
            }
            for (insert, at, tag) in changes {
                let at = at % (index.entries().len() + 1);
                if insert { index.insert(at, entry(tag)) } else { index.remove(at) }
                let mut anew = Index::new();
                for held in index.entries() {
                    anew.push(*held);
                }
                prop_assert_eq!((index.present, index.repeated), (anew.present, anew.repeated));
                for header in Header::ALL {
                    prop_assert_eq!(index.first(*header), anew.first(*header));
                    prop_assert_eq!(index.is_repeated(*header), anew.is_repeated(*header));
                }
            }
        }
    }
}
