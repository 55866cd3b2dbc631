//! Locating targets: RFC 3263 as questions to DNS and answers from it.
//!
//! A search is evaluated over what is known: it ends in targets or in questions that must be asked first. Each answer leads to
//! another evaluation, so there is no state to go wrong between them. Owns the cache and the list of dead targets;
//! never resolves anything itself.

mod cache;
mod search;
#[cfg(test)]
mod tests;

use crate::config::EndpointConfig;
use crate::cores::HashKey;
use crate::cores::Slab;
use crate::destination::{Target, Wanted};
use crate::id::QueryId;
use crate::input::{Answer, Record};
use crate::output::RecordKind;
use crate::time::Instant;
use crate::transport::Transport;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use cache::Cache;
use core::net::SocketAddr;
use rand_chacha::rand_core::RngCore;
use search::Search;
pub(crate) use search::is_named;

/// A question, as a key.
pub(crate) type Asked = (String, RecordKind);

/// What `locate` came to.
#[derive(Debug)]
pub(crate) enum Located {
    /// The targets, best first; none if there is no transport for them.
    Now(VecDeque<Target>),
    /// DNS has to be asked.
    Later,
}

/// A question for the host.
pub(crate) struct Question {
    pub(crate) query: QueryId,
    pub(crate) name: String,
    pub(crate) kind: RecordKind,
}

/// What an answer led to.
pub(crate) struct Done {
    /// When the question would have been given up.
    pub(crate) deadline: Instant,
    /// Transactions whose search is over, and its targets.
    pub(crate) located: Vec<(u32, VecDeque<Target>)>,
}

struct Pending {
    asked: Asked,
    deadline: Instant,
}

/// Questions one search may ask: a NAPTR, some SRV, and two for each of their hosts.
const MOST_QUESTIONS: usize = 48;

pub(crate) struct Locator {
    cache: Cache,
    /// By transaction.
    searches: BTreeMap<u32, Search>,
    queries: Slab<QueryId, Pending>,
    pending: BTreeMap<Asked, QueryId>,
    questions: VecDeque<Question>,
    dead: BTreeMap<(Transport, SocketAddr), Instant>,
    dead_limit: usize,
}

impl Locator {
    pub(crate) fn new(_hash: HashKey, names: usize, dead_limit: usize) -> Self {
        Locator {
            cache: Cache::new(names),
            searches: BTreeMap::new(),
            queries: Slab::new(),
            pending: BTreeMap::new(),
            questions: VecDeque::new(),
            dead: BTreeMap::new(),
            dead_limit,
        }
    }

    /// Whether no search and no question is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.searches.is_empty() && self.queries.is_empty()
    }

    /// What the open search of a transaction is for.
    pub(crate) fn wanted(&self, owner: u32) -> Option<&Wanted> {
        self.searches.get(&owner).map(Search::wanted)
    }

    /// Drops the search of a transaction.
    pub(crate) fn forget(&mut self, owner: u32) {
        if !self.searches.is_empty() {
            self.searches.remove(&owner);
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3263#section-4
    //# The procedures here MUST be done exactly once per transaction, where
    //# transaction is as defined in [1].
    pub(crate) fn locate(
        &mut self,
        config: &EndpointConfig,
        now: Instant,
        rng: &mut impl RngCore,
        owner: u32,
        wanted: &Wanted,
    ) -> Located {
        let search = Search::new(wanted.clone(), rng.next_u64());
        match search.evaluate(config, &self.cache, now) {
            Ok(targets) => Located::Now(targets.into()),
            Err(missing) => {
                self.queue(missing);
                self.searches.insert(owner, search);
                Located::Later
            }
        }
    }

    fn queue(&mut self, missing: Vec<Asked>) {
        for asked in missing {
            if self.pending.contains_key(&asked) {
                continue;
            }
            let pending = Pending { asked: asked.clone(), deadline: Instant::MAX };
            let Some(query) = self.queries.insert(pending) else { continue };
            self.questions.push_back(Question { query, name: asked.0.clone(), kind: asked.1 });
            self.pending.insert(asked, query);
        }
    }

    pub(crate) fn next_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// A question has been put; it is given up at `deadline`.
    pub(crate) fn asked(&mut self, query: QueryId, deadline: Instant) {
        if let Some(pending) = self.queries.get_mut(query) {
            pending.deadline = deadline;
        }
    }

    /// An answer came. `None` if nobody asked.
    pub(crate) fn resolved(
        &mut self,
        config: &EndpointConfig,
        now: Instant,
        _rng: &mut impl RngCore,
        query: QueryId,
        answer: Answer<'_>,
    ) -> Option<Done> {
        let Pending { asked, deadline } = self.queries.remove(query)?;
        self.pending.remove(&asked);
        let records: &[Record] = match answer {
            Answer::Records(records) => {
                self.cache.insert(now, asked.clone(), records);
                records
            }
            Answer::Failed => &[],
        };
        let mut located = Vec::new();
        let mut questions = Vec::new();
        for (&owner, search) in &mut self.searches {
            if !search.wants(&asked) {
                continue;
            }
            search.learn(asked.clone(), records);
            match search.evaluate(config, &self.cache, now) {
                Ok(targets) => located.push((owner, targets.into())),
                Err(_) if search.questions() > MOST_QUESTIONS => located.push((owner, VecDeque::new())),
                Err(missing) => questions.extend(missing),
            }
        }
        for (owner, _) in &located {
            self.searches.remove(owner);
        }
        self.queue(questions);
        Some(Done { deadline, located })
    }

    /// Remembers that a target could not be reached.
    pub(crate) fn mark_dead(&mut self, target: &Target, until: Instant) {
        if self.dead.len() >= self.dead_limit {
            // The one that is forgotten soonest anyhow.
            let oldest = self.dead.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
            oldest.map(|key| self.dead.remove(&key));
        }
        if self.dead_limit > 0 {
            self.dead.insert((target.transport, target.address), until);
        }
    }

    /// Puts targets known to be dead behind the others.
    pub(crate) fn prefer_live(&mut self, targets: &mut VecDeque<Target>, now: Instant) {
        if self.dead.is_empty() || targets.len() < 2 {
            return;
        }
        let dead = &mut self.dead;
        let (mut live, mut rest) = (VecDeque::new(), VecDeque::new());
        for target in targets.drain(..) {
            let key = (target.transport, target.address);
            match dead.get(&key) {
                Some(&until) if until > now => rest.push_back(target),
                Some(_) => {
                    dead.remove(&key);
                    live.push_back(target);
                }
                None => live.push_back(target),
            }
        }
        live.append(&mut rest);
        *targets = live;
    }
}
