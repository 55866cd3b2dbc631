//! What users have published of their presence, for all shards, and whom somebody watches. Knows nothing of subscriptions: each shard
//! keeps its own.

use bytes::Bytes;
use sip_message::Message;
use sip_server::{EventState, EventStateConfig};
use sip_transaction::{Endpoint, Instant, ServerTxId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The one format of presence that is understood (RFC 3863).
pub(crate) const PIDF: &str = "application/pidf+xml";
/// How long a published state or a subscription is good for, at most.
pub(crate) const MOST_SECONDS: u32 = 3600;

/// The published states of this process.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    table: Mutex<Table>,
    /// Subscriptions of all shards.
    watchers: AtomicUsize,
}

#[derive(Debug)]
struct Table {
    state: EventState,
    watched: HashMap<String, usize>,
}

impl Default for Table {
    fn default() -> Table {
        let mut config = EventStateConfig::default();
        (config.default_expires, config.min_expires, config.max_expires) = (MOST_SECONDS, 1, MOST_SECONDS);
        Table { state: EventState::new(config), watched: HashMap::new() }
    }
}

impl Table {
    /// Whose state has changed.
    fn changed(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.state.poll_event()).map(|changed| changed.resource).collect()
    }
}

impl Presence {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a PUBLISH of somebody; gives when it ends, if it was good, and whose watchers are to be told.
    pub(crate) fn publish(
        &self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        message: &Message,
        aor: &str,
    ) -> (Option<Instant>, Vec<String>) {
        let mut table = self.table();
        let end = table.state.publish(endpoint, now, tx, message, Some(aor)).ok();
        (end, table.changed())
    }

    /// What a user has published last and still holds.
    pub(crate) fn of(&self, aor: &str, now: Instant) -> Option<Bytes> {
        let table = self.table();
        table.state.publications(aor, "presence", now).next().map(|last| last.body().clone())
    }

    /// Forgets what is over, and says whose it was.
    pub(crate) fn expire(&self, now: Instant) -> Vec<String> {
        let mut table = self.table();
        table.state.handle_timeout(now);
        table.changed()
    }

    /// There is one more subscription to somebody, or one less.
    pub(crate) fn watched(&self, aor: &str, more: bool) {
        let mut table = self.table();
        let count = table.watched.entry(aor.to_owned()).or_default();
        if more {
            *count += 1;
            self.watchers.fetch_add(1, Relaxed);
            return;
        }
        self.watchers.fetch_sub(1, Relaxed);
        *count -= 1;
        if *count == 0 {
            table.watched.remove(aor);
        }
    }

    /// Whether anybody is watched at all.
    pub(crate) fn has_watchers(&self) -> bool {
        self.watchers.load(Relaxed) > 0
    }

    /// Whether somebody is.
    pub(crate) fn is_watched(&self, aor: &str) -> bool {
        self.table().watched.contains_key(aor)
    }
}

/// The state of a user who has published nothing: open while registered.
pub(crate) fn state(aor: &str, open: bool) -> String {
    let mut entity = String::new();
    for c in aor.chars() {
        match c {
            '&' => entity.push_str("&amp;"),
            '<' => entity.push_str("&lt;"),
            '"' => entity.push_str("&quot;"),
            c => entity.push(c),
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{entity}\">\r\n\
         <tuple id=\"registration\"><status><basic>{}</basic></status></tuple>\r\n</presence>\r\n",
        if open { "open" } else { "closed" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const AOR: &str = "sip:bob@x";

    #[test]
    fn watchers_are_counted() {
        let presence = Presence::default();
        presence.watched(AOR, true);
        presence.watched(AOR, true);
        presence.watched(AOR, false);
        assert!(presence.is_watched(AOR) && presence.has_watchers());
        presence.watched(AOR, false);
        assert!(!presence.is_watched(AOR) && !presence.has_watchers());
    }

    #[test]
    fn the_state_of_a_registration_is_well_formed() {
        let text = state("sip:a&\"<b@x", false);
        assert!(
            text.contains("entity=\"sip:a&amp;&quot;&lt;b@x\"") && text.contains("<basic>closed</basic>"),
            "{text}"
        );
    }
}
