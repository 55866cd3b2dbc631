//! The location service in memory: bindings by address-of-record, their ends in a heap, their flows in a tree.
//!
//! Owns the bindings of this node. A look-up costs the same for ten bindings as for a million; nothing is ever walked but
//! the bindings of one address-of-record or of one flow.

use super::store::{Record, Store, StoreError};
use super::update::{Refresh, Refusal, Registration, Update};
use super::{Binding, BindingParts, aor_key};
use crate::registrar::Change;
use crate::secret::Random;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{BuildHasher, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use hashbrown::HashTable;
use sip_message::Uri;
use sip_message::uri::SipUri;
use sip_transaction::cores::{HashKey, Key, Slab};
use sip_transaction::{FlowId, Instant, Path};
use smallvec::SmallVec;

/// The bindings of one address-of-record.
struct Entry {
    aor: Box<str>,
    version: u64,
    bindings: SmallVec<[Binding; 1]>,
    /// Where it is in the heap.
    place: u32,
}

impl Entry {
    /// When the first of its bindings ends.
    fn next_end(&self) -> Instant {
        self.bindings.iter().map(Binding::expires).min().unwrap_or(Instant::MAX)
    }
}

/// The location service in memory.
///
/// ```
/// use core::time::Duration;
/// use sip_server::{Binding, BindingParts, LocationTable, Store};
/// use sip_transaction::Instant;
///
/// let mut table = LocationTable::new([7; 32]);
/// let now = Instant::ZERO;
/// let binding = Binding::new(&BindingParts {
///     contact: "sip:alice@192.0.2.4",
///     q: 1000,
///     call_id: "843817637684230",
///     cseq: 1,
///     expires: now + Duration::from_secs(7200),
///     ..BindingParts::default()
/// });
/// table.store("sip:alice@example.com", 0, vec![binding], now)?;
/// assert_eq!(table.bindings("sip:alice@example.com", now).count(), 1);
/// assert_eq!(table.bindings("sip:alice@example.com", now + Duration::from_secs(7200)).count(), 0);
/// # Ok::<(), sip_server::StoreError>(())
/// ```
pub struct LocationTable {
    hash: HashKey,
    by_aor: HashTable<u32>,
    entries: Slab<Key, Entry>,
    /// A heap of the entries, the next to be looked at on top: each by a time at which none of its bindings has ended yet. A refresh makes that
    /// later and leaves the heap alone; the entry finds its place when that time has come, once, however often it was refreshed meanwhile.
    ends: Vec<(Instant, u32)>,
    by_flow: BTreeSet<(FlowId, SocketAddr, u32)>,
    /// Those with a contact under `.invalid`, by its hash.
    by_contact: BTreeSet<(u64, u32)>,
    bindings: usize,
    max_aors: usize,
    versions: u64,
}

impl LocationTable {
    /// An empty table. Its hash is keyed from `seed`, so that nobody can choose names that slow it down.
    pub fn new(seed: [u8; 32]) -> Self {
        LocationTable {
            hash: Random::new(&seed, "location table").hash_key(),
            by_aor: HashTable::new(),
            entries: Slab::new(),
            ends: Vec::new(),
            by_flow: BTreeSet::new(),
            by_contact: BTreeSet::new(),
            bindings: 0,
            max_aors: usize::MAX,
            versions: 0,
        }
    }

    /// Limits the number of addresses-of-record with bindings.
    #[must_use]
    pub fn with_max_aors(mut self, max: usize) -> Self {
        self.max_aors = max;
        self
    }

    /// How many bindings there are, those that have ended but have not been swept included.
    pub fn len(&self) -> usize {
        self.bindings
    }

    /// Whether there are no bindings.
    pub fn is_empty(&self) -> bool {
        self.bindings == 0
    }

    /// How many addresses-of-record have bindings.
    pub fn aors(&self) -> usize {
        self.entries.len()
    }

    /// The bindings of an address-of-record that last beyond `now`, in the order they were first made. `aor` is what
    /// [`aor_key`] gives.
    pub fn bindings<'t>(&'t self, aor: &str, now: Instant) -> impl Iterator<Item = &'t Binding> + use<'t> {
        let entry = self.find(aor).and_then(|index| self.entries.at(index));
        entry.map_or(&[][..], |entry| &entry.bindings).iter().filter(move |binding| binding.expires() > now)
    }

    /// The bindings that last beyond `now` of the address-of-record that `uri` is of.
    pub fn bindings_of<'t>(&'t self, uri: &SipUri<'_>, now: Instant) -> impl Iterator<Item = &'t Binding> + use<'t> {
        self.bindings(&aor_key(uri), now)
    }

    /// The bindings that last beyond `now` whose contact is `uri`, if its host is a name under `.invalid` ([`is_unresolvable`]); none for any
    /// other URI, and none if several addresses-of-record claim it from different places: one of them has it from the other.
    ///
    /// A user agent in a browser cannot be reached at its contact (RFC 7118 section 5.2.2), but tells it to others nevertheless, who call it
    /// or put it into Refer-To: that the server at which it is registered finds it there is all that makes such a URI work.
    pub fn bindings_at<'t>(&'t self, uri: &'t SipUri<'t>, now: Instant) -> impl Iterator<Item = &'t Binding> + use<'t> {
        let whole = Uri::Sip(*uri);
        let at = move |index: u32| {
            let live = self.at(Some(index)).iter().filter(move |binding| binding.expires() > now);
            live.filter(move |binding| binding.is_contact(&whole))
        };
        let hash = if is_unresolvable(uri) { contact_hash(self.hash, &whole) } else { 0 };
        let claims = self.by_contact.range((hash, 0)..=(hash, u32::MAX)).take(if hash == 0 { 0 } else { MAX_CLAIMS });
        let mut claims = claims.filter_map(|&(_, index)| at(index).next().map(|binding| (index, binding)));
        let place = |binding: &'t Binding| (binding.received(), binding.path());
        let first = claims.next();
        let undisputed = first.filter(|(_, binding)| claims.all(|(_, other)| place(other) == place(binding)));
        undisputed.into_iter().flat_map(move |(index, _)| at(index))
    }

    /// All addresses-of-record and their bindings, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Binding])> {
        self.entries.iter().map(|(_, entry)| (&*entry.aor, &*entry.bindings))
    }

    /// Until when no binding ends; `None` if there is none. When that time has come, the next [`expire`](Store::expire) finds a later one for those
    /// that have been refreshed.
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|&(at, _)| at)
    }

    fn find(&self, aor: &str) -> Option<u32> {
        let is_it = |&index: &u32| self.entries.at(index).is_some_and(|entry| &*entry.aor == aor);
        self.by_aor.find(self.hash.hash(aor.as_bytes()), is_it).copied()
    }

    /// Makes the changes of a registration, and shows them to `seen`: each binding and what happened to it. Gives back the bindings there
    /// are then.
    pub(crate) fn register(
        &mut self,
        aor: &str,
        registration: &Registration<'_>,
        max_bindings: usize,
        now: Instant,
        mut seen: impl FnMut(&Binding, Change),
    ) -> Result<&[Binding], RegisterRefused> {
        let found = self.find(aor);
        let current = self.at(found);
        if let (Some(index), Some(refresh)) = (found, registration.refresh(current, now)) {
            return Ok(self.refresh(index, refresh, now, seen));
        }
        let update = Update::plan(current, registration, max_bindings, now).map_err(RegisterRefused::Rule)?;
        if update.is_empty() {
            return Ok(self.at(found));
        }
        if found.is_none() && self.entries.len() >= self.max_aors {
            return Err(RegisterRefused::Full);
        }
        let index = match found {
            Some(index) => index,
            None => self.create(aor).ok_or(RegisterRefused::Full)?,
        };
        update.each_change(self.at(Some(index)), &mut seen);
        self.change(index, |bindings| update.apply(bindings));
        Ok(self.at(Some(index)))
    }

    /// Makes one binding last longer, in its place.
    fn refresh(
        &mut self,
        index: u32,
        Refresh { place, cseq, expires }: Refresh,
        now: Instant,
        mut seen: impl FnMut(&Binding, Change),
    ) -> &[Binding] {
        if let Some(entry) = self.entries.at_mut(index) {
            self.versions += 1;
            entry.version = self.versions;
            if let Some(binding) = entry.bindings.get_mut(place) {
                binding.refresh(cseq, now, expires);
                seen(binding, Change::Refreshed);
            }
            let (end, place) = (entry.next_end(), entry.place as usize);
            self.note_end(place, end);
        }
        self.at(Some(index))
    }

    /// An entry at this place of the heap ends then. If that is earlier than what the heap knows, it has to move; if later, it may stay.
    fn note_end(&mut self, place: usize, end: Instant) {
        if self.ends.get(place).is_some_and(|&(at, _)| end < at) {
            self.move_end(place, end);
        }
    }

    fn at(&self, index: Option<u32>) -> &[Binding] {
        index.and_then(|index| self.entries.at(index)).map_or(&[], |entry| &entry.bindings)
    }

    fn create(&mut self, aor: &str) -> Option<u32> {
        let place = u32::try_from(self.ends.len()).ok()?;
        let entry = Entry { aor: aor.into(), version: 0, bindings: SmallVec::new(), place };
        let index = self.entries.insert(entry)?.index();
        self.ends.push((Instant::MAX, index));
        let (entries, hash) = (&self.entries, self.hash);
        let rehash = |&index: &u32| entries.at(index).map_or(0, |entry| hash.hash(entry.aor.as_bytes()));
        self.by_aor.insert_unique(hash.hash(aor.as_bytes()), index, rehash);
        Some(index)
    }

    /// Changes the bindings of an entry and everything that follows from them. An entry without bindings goes.
    fn change(&mut self, index: u32, with: impl FnOnce(&mut SmallVec<[Binding; 1]>)) {
        let Some(entry) = self.entries.at_mut(index) else { return };
        let before = entry.bindings.len();
        let flows = paths(&entry.bindings);
        let contacts = contacts(self.hash, &entry.bindings);
        with(&mut entry.bindings);
        self.versions += 1;
        entry.version = self.versions;
        let after = entry.bindings.len();
        let flows_after = paths(&entry.bindings);
        let contacts_after = self::contacts(self.hash, &entry.bindings);
        let (end, place) = (entry.next_end(), entry.place as usize);
        self.bindings = self.bindings + after - before;
        if flows != flows_after {
            for path in flows {
                self.by_flow.remove(&(path.flow, path.remote, index));
            }
            for path in flows_after {
                self.by_flow.insert((path.flow, path.remote, index));
            }
        }
        if contacts != contacts_after {
            for contact in contacts {
                self.by_contact.remove(&(contact, index));
            }
            for contact in contacts_after {
                self.by_contact.insert((contact, index));
            }
        }
        if after == 0 {
            self.remove(index);
        } else {
            self.note_end(place, end);
        }
    }

    fn move_end(&mut self, place: usize, end: Instant) {
        if let Some(slot) = self.ends.get_mut(place) {
            slot.0 = end;
            self.sift(place);
        }
    }

    fn remove(&mut self, index: u32) {
        let Some(entry) = self.entries.remove_at(index) else { return };
        let hash = self.hash.hash(entry.aor.as_bytes());
        if let Ok(found) = self.by_aor.find_entry(hash, |&other| other == index) {
            found.remove();
        }
        let place = entry.place as usize;
        if place < self.ends.len() {
            self.ends.swap_remove(place);
            self.sift(place);
        }
    }

    /// Brings the heap in order again after the item at `place` has changed.
    fn sift(&mut self, mut place: usize) {
        if place >= self.ends.len() {
            return;
        }
        let at = |ends: &Vec<(Instant, u32)>, place: usize| ends.get(place).map(|&(at, _)| at);
        while let Some(parent) = place.checked_sub(1).map(|below| below / 2) {
            if at(&self.ends, parent) <= at(&self.ends, place) {
                break;
            }
            self.ends.swap(parent, place);
            self.placed(place);
            place = parent;
        }
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let least = match (at(&self.ends, left), at(&self.ends, right)) {
                (None, _) => break,
                (Some(a), Some(b)) if b < a => right,
                _ => left,
            };
            if at(&self.ends, place) <= at(&self.ends, least) {
                break;
            }
            self.ends.swap(place, least);
            self.placed(place);
            place = least;
        }
        self.placed(place);
    }

    /// Tells the entry at `place` of the heap where it is.
    fn placed(&mut self, place: usize) {
        let index = self.ends.get(place).map(|&(_, index)| index);
        if let Some(entry) = index.and_then(|index| self.entries.at_mut(index)) {
            entry.place = place as u32;
        }
    }

    /// Removes the bindings for which `unwanted` is true, after showing them to `gone`.
    fn drop_bindings(&mut self, index: u32, unwanted: impl Fn(&Binding) -> bool, gone: &mut dyn FnMut(&str, &Binding)) {
        let Some(entry) = self.entries.at(index) else { return };
        let mut any = false;
        for binding in entry.bindings.iter().filter(|binding| unwanted(binding)) {
            gone(&entry.aor, binding);
            any = true;
        }
        if !any {
            return;
        }
        self.change(index, |bindings| bindings.retain(|binding| !unwanted(binding)));
    }

    /// Removes the bindings that are reached over a path that has ended. Those that can be woken are kept and lose it: where their user
    /// agent is, it says when it is awake (RFC 8599).
    fn end_paths(&mut self, index: u32, over: impl Fn(Path) -> bool, gone: &mut dyn FnMut(&str, &Binding)) {
        let is_over = |binding: &Binding| binding.received().is_some_and(&over);
        let kept = |binding: &Binding| binding.wakes() && is_over(binding);
        if self.at(Some(index)).iter().any(kept) {
            self.change(index, |bindings| {
                for binding in bindings.iter_mut().filter(|binding| kept(binding)) {
                    *binding = Binding::new(&BindingParts { received: None, ..binding.parts() });
                }
            });
        }
        self.drop_bindings(index, is_over, gone);
    }

    /// Removes the bindings that end at or before `now`, at most those of `limit` addresses-of-record.
    pub(crate) fn sweep(&mut self, now: Instant, limit: usize, gone: &mut dyn FnMut(&str, &Binding)) {
        for _ in 0..limit {
            let Some(&(at, index)) = self.ends.first() else { break };
            if at > now {
                break;
            }
            self.drop_bindings(index, |binding| binding.expires() <= now, gone);
            // What is left of it ends later, or all of it has been refreshed.
            if let Some(entry) = self.entries.at(index) {
                let (place, end) = (entry.place as usize, entry.next_end());
                self.move_end(place, end);
            }
        }
    }

    /// Removes the bindings whose user agent is reached over `path` of a datagram socket.
    pub(crate) fn path_ended(&mut self, path: &Path, gone: &mut dyn FnMut(&str, &Binding)) {
        let range = (path.flow, path.remote, 0)..=(path.flow, path.remote, u32::MAX);
        let indices: Vec<u32> = self.by_flow.range(range).map(|&(_, _, index)| index).collect();
        let is_it = |received: Path| received.flow == path.flow && received.remote == path.remote;
        for index in indices {
            self.end_paths(index, is_it, gone);
        }
    }
}

/// Why the table refused a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterRefused {
    Rule(Refusal),
    Full,
}

/// The flows that bindings are reached over.
fn paths(bindings: &[Binding]) -> SmallVec<[Path; 1]> {
    bindings.iter().filter_map(Binding::received).collect()
}

/// Whether the host of `uri` is a name under `.invalid`, which no DNS knows (RFC 2606 section 2): what user agents without an address of
/// their own say in Via and Contact (RFC 7118 section 5).
pub fn is_unresolvable(uri: &SipUri<'_>) -> bool {
    let name = uri.host().domain().map(|name| name.strip_suffix('.').unwrap_or(name));
    let top = name.and_then(|name| name.get(name.len().checked_sub(".invalid".len())?..));
    top.is_some_and(|top| top.eq_ignore_ascii_case(".invalid"))
}

/// How many addresses-of-record with the same contact under `.invalid` are looked at.
const MAX_CLAIMS: usize = 8;

/// The hash of a contact, the same for equivalent ones, never 0.
fn contact_hash(hash: HashKey, contact: &Uri<'_>) -> u64 {
    let mut state = hash.build_hasher();
    contact.hash_canonical(&mut state);
    state.finish().max(1)
}

/// The hashes of the contacts under `.invalid`.
fn contacts(hash: HashKey, bindings: &[Binding]) -> SmallVec<[u64; 1]> {
    // Few contacts have the word at all: no other is parsed.
    let contacts = bindings.iter().filter(|binding| binding.says_invalid()).map(|binding| binding.contact().as_bytes());
    let unresolvable = |uri: &Uri<'_>| uri.as_sip().is_some_and(is_unresolvable);
    let parsed = contacts.filter_map(|contact| Uri::parse(contact).ok().filter(unresolvable));
    parsed.map(|contact| contact_hash(hash, &contact)).collect()
}

impl Store for LocationTable {
    fn lookup(&mut self, aor: &str, now: Instant) -> Record {
        let entry = self.find(aor).and_then(|index| self.entries.at(index));
        let Some(entry) = entry else { return Record::default() };
        let live = entry.bindings.iter().filter(|binding| binding.expires() > now);
        Record { version: entry.version, bindings: live.cloned().collect() }
    }

    fn store(&mut self, aor: &str, expected: u64, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError> {
        let found = self.find(aor);
        let version = found.and_then(|index| self.entries.at(index)).map_or(0, |entry| entry.version);
        if version != expected {
            return Err(StoreError::Conflict);
        }
        let mut bindings = bindings;
        bindings.retain(|binding| binding.expires() > now);
        let index = match found {
            Some(index) => index,
            None if bindings.is_empty() => return Ok(()),
            None if self.entries.len() >= self.max_aors => return Err(StoreError::Full),
            None => self.create(aor).ok_or(StoreError::Full)?,
        };
        // Moved one by one: one binding lies in the entry itself, and several take no more room than they need.
        self.change(index, |old| *old = bindings.into_iter().collect());
        Ok(())
    }

    fn expire(&mut self, now: Instant, gone: &mut dyn FnMut(&str, &Binding)) {
        self.sweep(now, usize::MAX, gone);
    }

    fn flow_ended(&mut self, flow: FlowId, gone: &mut dyn FnMut(&str, &Binding)) {
        let first = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let last = SocketAddr::new(IpAddr::V6(Ipv6Addr::from([0xff; 16])), u16::MAX);
        let range = (flow, first, 0)..=(flow, last, u32::MAX);
        let mut indices: Vec<u32> = self.by_flow.range(range).map(|&(_, _, index)| index).collect();
        // One address-of-record may have several bindings on the flow, from several remotes of a socket.
        indices.dedup();
        for index in indices {
            self.end_paths(index, |path| path.flow == flow, gone);
        }
    }
}

impl fmt::Debug for LocationTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocationTable").field("aors", &self.aors()).field("bindings", &self.len()).finish()
    }
}

#[cfg(test)]
impl LocationTable {
    /// Whether every index agrees with every other.
    pub(super) fn is_consistent(&self) -> bool {
        let heap = self.ends.iter().enumerate().all(|(place, &(at, index))| {
            let entry = self.entries.at(index);
            let parent = place.checked_sub(1).and_then(|below| self.ends.get(below / 2));
            entry.is_some_and(|entry| entry.place as usize == place && entry.next_end() >= at)
                && parent.is_none_or(|&(above, _)| above <= at)
        });
        let count: usize = self.entries.iter().map(|(_, entry)| entry.bindings.len()).sum();
        let flows: BTreeSet<_> = self
            .entries
            .iter()
            .flat_map(|(key, entry)| paths(&entry.bindings).into_iter().map(move |p| (p.flow, p.remote, key.index())))
            .collect();
        let named: BTreeSet<_> = self
            .entries
            .iter()
            .flat_map(|(key, entry)| contacts(self.hash, &entry.bindings).into_iter().map(move |h| (h, key.index())))
            .collect();
        named == self.by_contact
            && heap
            && self.ends.len() == self.entries.len()
            && self.by_aor.len() == self.entries.len()
            && count == self.bindings
            && flows == self.by_flow
    }
}
