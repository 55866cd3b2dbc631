//! The index of a message: one small entry per header field line, and where the hot ones are.

use crate::header::{self, Header};

pub(crate) use crate::header::OTHER;

use alloc::vec::Vec;
use core::ops::Range;

/// Headers with a discriminant below this are found without a search.
pub(crate) const HOT: usize = 16;
const NONE: u8 = u8::MAX;

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
    /// The `Header` as a number, or `OTHER`.
    pub(crate) tag: u8,
    pub(crate) flags: u8,
}

impl Entry {
    /// No field.
    const BLANK: Entry = Entry { line: 0, line_len: 0, value: 0, value_end: 0, tag: OTHER, flags: 0 };

    #[inline]
    pub(crate) fn header(&self) -> Option<Header> {
        header::of_tag(self.tag)
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

/// Entries in order: in place up to [`INLINE`], all of them on the heap beyond that.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    inline: [Entry; INLINE],
    /// How many of `inline` count. None do while there are any on the heap.
    len: u32,
    heap: Vec<Entry>,
}

impl Entries {
    pub(crate) const fn new() -> Self {
        Entries { inline: [Entry::BLANK; INLINE], len: 0, heap: Vec::new() }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Entry] {
        match &self.heap[..] {
            [] => self.inline.get(..self.len as usize).unwrap_or_default(),
            heap => heap,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Entry] {
        match &mut self.heap[..] {
            [] => self.inline.get_mut(..self.len as usize).unwrap_or_default(),
            heap => heap,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        if self.heap.is_empty() {
            if let Some(place) = self.inline.get_mut(self.len as usize) {
                *place = entry;
                self.len += 1;
                return;
            }
            self.spill();
        }
        self.heap.push(entry);
    }

    /// Places for entries to come, none if what is held in place is full; [`fill`](Entries::fill) says how many of them have been filled.
    #[inline]
    fn room(&mut self) -> &mut [Entry] {
        if self.heap.is_empty() {
            return self.inline.get_mut(self.len as usize..).unwrap_or_default();
        }
        let len = self.heap.len();
        self.heap.resize(len + INLINE, Entry::BLANK);
        self.heap.get_mut(len..).unwrap_or_default()
    }

    /// Counts the first `count` places of the [`room`](Entries::room) that was asked for last as entries, and returns them.
    #[inline]
    fn fill(&mut self, count: usize) -> (usize, &[Entry]) {
        let from = if self.heap.is_empty() {
            self.len += count as u32;
            self.len as usize - count
        } else {
            let from = self.heap.len().saturating_sub(INLINE);
            self.heap.truncate(from + count);
            from
        };
        (from, self.as_slice().get(from..).unwrap_or_default())
    }

    /// Moves all entries to the heap, with room for far more: a message that has more than most has many.
    #[cold]
    fn spill(&mut self) {
        self.heap.reserve(5 * INLINE);
        self.heap.extend_from_slice(self.inline.get(..self.len as usize).unwrap_or_default());
        self.len = 0;
    }

    fn insert(&mut self, at: usize, entry: Entry) {
        let at = at.min(self.as_slice().len());
        self.push(entry);
        if let Some(behind @ [_, ..]) = self.as_mut_slice().get_mut(at..) {
            behind.copy_within(..behind.len() - 1, 1);
            if let Some(place) = behind.first_mut() {
                *place = entry;
            }
        }
    }

    /// Removes the entry at `at`, if there is one.
    fn remove(&mut self, at: usize) {
        let Some(behind @ [_, ..]) = self.as_mut_slice().get_mut(at..) else { return };
        behind.copy_within(1.., 0);
        match self.heap.len() {
            0 => self.len -= 1,
            len => self.heap.truncate(len - 1),
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        self.heap.clear();
    }
}

impl Extend<Entry> for Entries {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

/// All header fields in order. Knows nothing of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    entries: Entries,
    marks: Marks,
}

/// Which headers occur, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marks {
    /// Entry number of the first field of each hot header. `NONE` also for one beyond entry 254.
    first: [u8; HOT],
    /// Headers that occur, by discriminant.
    present: [u64; 2],
    /// Headers that occur in more than one field, likewise.
    repeated: [u64; 2],
}

impl Marks {
    const NONE: Marks = Marks { first: [NONE; HOT], present: [0; 2], repeated: [0; 2] };

    /// Notes that the entry `at` has this tag. It is behind all that have been noted.
    #[inline(always)]
    fn note(&mut self, tag: u8, at: u8) {
        let (word, bit) = place(tag);
        let seen = self.present[word] & bit;
        self.repeated[word] |= seen;
        self.present[word] |= bit;
        if let Some(first) = self.first.get_mut(tag as usize).filter(|_| seen == 0) {
            *first = at;
        }
    }

    /// The same for entries in a row, the first of which is `at`.
    #[inline(always)]
    fn note_all(&mut self, entries: &[Entry], at: usize) {
        if at + entries.len() > usize::from(NONE) {
            return self.note_many(entries, at);
        }
        let mut at = at as u8;
        for entry in entries {
            self.note(entry.tag, at);
            at = at.wrapping_add(1);
        }
    }

    /// The same for so many of them that their numbers must be looked at.
    #[cold]
    fn note_many(&mut self, entries: &[Entry], at: usize) {
        for (entry, at) in entries.iter().zip(at..) {
            self.note(entry.tag, number(at));
        }
    }
}

impl Index {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Index { entries: Entries::new(), marks: Marks::NONE }
    }

    /// Forgets all fields and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.marks = Marks::NONE;
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.marks.note(entry.tag, number(self.entries().len()));
        self.entries.push(entry);
    }

    /// Places for entries to come; none if more than [`INLINE`] are to come that need memory of their own, which
    /// [`make_room`](Index::make_room) gets.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [Entry] {
        self.entries.room()
    }

    /// Takes as entries what has been written to the first `count` places of the [`room`](Index::room) that was asked for last.
    #[inline]
    pub(crate) fn fill(&mut self, count: usize) {
        let (from, entries) = self.entries.fill(count);
        self.marks.note_all(entries, from);
    }

    /// Adds entries of lines that lie behind one another, the first of them at `to`.
    #[inline]
    pub(crate) fn append(&mut self, entries: &[Entry], to: u32) {
        let Some(first) = entries.first() else { return };
        let moved = |entry: &Entry| Entry { line: to + (entry.line - first.line), ..*entry };
        let room = self.entries.room();
        if room.len() < entries.len() {
            self.fill(0);
            return entries.iter().for_each(|entry| self.push(moved(entry)));
        }
        room.iter_mut().zip(entries).for_each(|(place, entry)| *place = moved(entry));
        self.fill(entries.len());
    }

    /// Whether the next entry needs memory of its own.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len as usize == INLINE
    }

    #[cold]
    pub(crate) fn make_room(&mut self) {
        self.entries.spill();
    }

    #[inline]
    pub(crate) fn entries(&self) -> &[Entry] {
        self.entries.as_slice()
    }

    #[inline]
    pub(crate) fn has(&self, header: Header) -> bool {
        let (word, bit) = place(header as u8);
        self.marks.present[word] & bit != 0
    }

    /// Whether `header` occurs in more than one field.
    #[inline]
    pub(crate) fn is_repeated(&self, header: Header) -> bool {
        let (word, bit) = place(header as u8);
        self.marks.repeated[word] & bit != 0
    }

    /// The first of these headers that does not occur.
    #[inline]
    pub(crate) fn missing<const N: usize>(&self, headers: [Header; N]) -> Option<Header> {
        headers.into_iter().find(|header| !self.has(*header))
    }

    /// A header of [`Header::SINGLE`] that occurs in more than one field.
    #[inline]
    pub(crate) fn repeated_single(&self) -> Option<Header> {
        const SINGLE: [u64; 2] = bits(Header::SINGLE);
        let repeated = [self.marks.repeated[0] & SINGLE[0], self.marks.repeated[1] & SINGLE[1]];
        if repeated == [0; 2] { None } else { self.first_again(repeated) }
    }

    /// The header with one of these [`bits`] that is there again before any other is.
    #[cold]
    fn first_again(&self, bits: [u64; 2]) -> Option<Header> {
        let mut seen = [0; 2];
        for entry in self.entries() {
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
        (bits[0] & !self.marks.present[0]) | (bits[1] & !self.marks.present[1]) == 0
    }

    /// The fields of these hot headers, if each has one and no other field stands between them or comes before the first of them.
    #[inline]
    pub(crate) fn together<const N: usize>(&self, headers: [Header; N]) -> Option<&[Entry]> {
        let mask = headers.iter().fold(0_u16, |mask, header| mask | 1_u16.checked_shl(*header as u32).unwrap_or(0));
        let first = self.first(*headers.first()?)?;
        let entries = self.entries().get(first..first + N)?;
        // As many as there are headers, none of them twice.
        let found = entries.iter().fold(0_u16, |found, entry| found | 1_u16.checked_shl(entry.tag.into()).unwrap_or(0));
        (found == mask && self.marks.repeated[0] & u64::from(mask) == 0).then_some(entries)
    }

    /// The first field of `header`.
    #[inline]
    pub(crate) fn first_entry(&self, header: Header) -> Option<&Entry> {
        match self.marks.first.get(header as usize) {
            // What is noted is there.
            Some(&at) if at != NONE && self.entries.heap.is_empty() => self.entries.inline.get(usize::from(at)),
            _ => self.entries().get(self.first(header)?),
        }
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
        match self.marks.first.get(header as usize) {
            Some(&at) if at != NONE => Some(usize::from(at)),
            _ => self.search(header),
        }
    }

    /// The same for one of which it is not noted.
    fn search(&self, header: Header) -> Option<usize> {
        if !self.has(header) {
            return None;
        }
        self.entries().iter().position(|entry| entry.tag == header as u8)
    }

    /// Replaces an entry by another of the same header.
    #[inline]
    pub(crate) fn replace(&mut self, at: usize, entry: Entry) {
        if let Some(held) = self.entries.as_mut_slice().get_mut(at) {
            *held = entry;
        }
    }

    /// Moves all lines by as many bytes.
    pub(crate) fn shift(&mut self, by: i64) {
        for entry in self.entries.as_mut_slice() {
            entry.line = (i64::from(entry.line) + by) as u32;
        }
    }

    /// Notes that the value of the entry `at` grew by so many bytes at its end, and moves what lies behind.
    pub(crate) fn grow(&mut self, at: usize, line_len: u16, by: u16) {
        for (number, entry) in self.entries.as_mut_slice().iter_mut().enumerate().skip(at) {
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
        let at = at.min(self.entries().len());
        self.entries.insert(at, entry);
        if self.entries().len() > usize::from(NONE) {
            return self.renew();
        }
        let marks = &mut self.marks;
        // No branch: all of them are one vector. `at` is below `NONE` here.
        for first in &mut marks.first {
            *first += u8::from((*first >= at as u8) & (*first != NONE));
        }
        if let Some(first) = marks.first.get_mut(entry.tag as usize) {
            // `NONE` is beyond every place.
            *first = (*first).min(at as u8);
        }
        let (word, bit) = place(entry.tag);
        marks.repeated[word] |= marks.present[word] & bit;
        marks.present[word] |= bit;
    }

    /// Removes the entry at `at`.
    pub(crate) fn remove(&mut self, at: usize) {
        let Some(&Entry { tag, .. }) = self.entries().get(at) else { return };
        self.entries.remove(at);
        let (word, bit) = place(tag);
        if self.marks.repeated[word] & bit != 0 || self.entries().len() >= usize::from(NONE) {
            return self.renew();
        }
        let marks = &mut self.marks;
        for first in &mut marks.first {
            if *first != NONE && usize::from(*first) > at {
                *first -= 1;
            }
        }
        marks.present[word] &= !bit;
        if let Some(first) = marks.first.get_mut(tag as usize) {
            *first = NONE;
        }
    }

    /// Takes over other entries.
    pub(crate) fn set(&mut self, entries: Entries) {
        self.entries = entries;
        self.renew();
    }

    fn renew(&mut self) {
        self.marks = Marks::NONE;
        self.marks.note_all(self.entries.as_slice(), 0);
    }
}

/// Where the bit of a tag is in [`Marks::present`]. The last bit is that of all names that are not known.
#[inline(always)]
const fn place(tag: u8) -> (usize, u64) {
    ((tag >> 6 & 1) as usize, 1 << (tag & 63))
}

/// The number of an entry, as [`Marks::first`] holds it.
#[inline(always)]
fn number(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(NONE)
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
            prop_assert_eq!(&index.marks, &anew.marks);
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
                prop_assert_eq!(&index.marks, &anew.marks);
                for header in Header::ALL {
                    prop_assert_eq!(index.first(*header), anew.first(*header));
                    prop_assert_eq!(index.is_repeated(*header), anew.is_repeated(*header));
                }
            }
        }
    }
}
