//! Answers of DNS, for as long as they may be kept, and no more of them than the limit.

use super::Asked;
use crate::input::Record;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// How long it is remembered that a name has no records of a kind: without the SOA record nobody tells (RFC 2308).
const NEGATIVE: Duration = Duration::from_secs(60);
/// No record is kept longer, whatever its TTL says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

struct Entry {
    until: Instant,
    records: Vec<Record>,
}

pub(super) struct Cache {
    entries: BTreeMap<Asked, Entry>,
    by_age: BTreeSet<(Instant, Asked)>,
    limit: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Cache { entries: BTreeMap::new(), by_age: BTreeSet::new(), limit }
    }

    pub(super) fn insert(&mut self, now: Instant, asked: Asked, records: &[Record]) {
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE).min(LONGEST);
        if let Some(old) = self.entries.remove(&asked) {
            self.by_age.remove(&(old.until, asked.clone()));
        }
        if ttl.is_zero() || self.limit == 0 {
            return;
        }
        while self.entries.len() >= self.limit {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.entries.remove(&oldest);
        }
        let until = now + ttl;
        self.by_age.insert((until, asked.clone()));
        self.entries.insert(asked, Entry { until, records: records.to_vec() });
    }

    pub(super) fn get(&self, now: Instant, asked: &Asked) -> Option<&[Record]> {
        self.entries.get(asked).filter(|entry| entry.until > now).map(|entry| entry.records.as_slice())
    }
}
