//! What users have published of their presence (RFC 3903), for all shards, and whom somebody watches. Knows nothing of
//! subscriptions: each shard keeps its own.

use bytes::Bytes;
use sip_message::StatusCode;
use sip_transaction::Instant;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The one format of presence that is understood (RFC 3863).
pub(crate) const PIDF: &str = "application/pidf+xml";
/// How long a published state or a subscription is good for, at most.
pub(crate) const MOST_SECONDS: u32 = 3600;
/// Devices of one user that may publish.
const MOST_OF_ONE: usize = 10;
/// Published states in all.
const MOST: usize = 100_000;

/// The published states of this process.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    table: Mutex<Table>,
    /// Subscriptions of all shards.
    watchers: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    published: HashMap<String, Vec<Document>>,
    total: usize,
    watched: HashMap<String, usize>,
}

#[derive(Debug)]
struct Document {
    tag: String,
    body: Bytes,
    until: Instant,
}

/// What a PUBLISH did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// Watchers are to be told.
    Changed,
    /// It lasts longer now.
    Refreshed,
}

impl Presence {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a PUBLISH in: `matching` is its SIP-If-Match, `fresh` the entity-tag it gets.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-6
    //# If no match is found, the ESC
    //# MUST reject the publication with a response of 412
    //# (Conditional Request Failed), and skip the remaining steps.
    pub(crate) fn publish(
        &self,
        aor: &str,
        matching: Option<&str>,
        fresh: &str,
        body: Bytes,
        until: Instant,
        now: Instant,
    ) -> Result<Published, StatusCode> {
        let mut table = self.table();
        let Table { published, total, .. } = &mut *table;
        let of_user = published.entry(aor.to_owned()).or_default();
        let before = of_user.len();
        of_user.retain(|document| document.until > now);
        let done = match matching {
            Some(tag) => match of_user.iter().position(|document| document.tag == tag) {
                Some(place) if until <= now => {
                    of_user.remove(place);
                    Ok(Published::Changed)
                }
                Some(place) if body.is_empty() => {
                    let document = &mut of_user[place];
                    (document.tag, document.until) = (fresh.to_owned(), until);
                    Ok(Published::Refreshed)
                }
                Some(place) => {
                    of_user.remove(place);
                    of_user.push(Document { tag: fresh.to_owned(), body, until });
                    Ok(Published::Changed)
                }
                None => Err(StatusCode::new(412).unwrap_or(StatusCode::BAD_REQUEST)),
            },
            None if body.is_empty() => Err(StatusCode::BAD_REQUEST),
            // A state that is over at once: nobody will see it.
            None if until <= now => Ok(Published::Refreshed),
            None if of_user.len() >= MOST_OF_ONE || *total >= MOST => Err(StatusCode::SERVICE_UNAVAILABLE),
            None => {
                of_user.push(Document { tag: fresh.to_owned(), body, until });
                Ok(Published::Changed)
            }
        };
        *total = *total + of_user.len() - before;
        if of_user.is_empty() {
            published.remove(aor);
        }
        done
    }

    /// What a user has published last and still holds.
    pub(crate) fn of(&self, aor: &str, now: Instant) -> Option<Bytes> {
        let table = self.table();
        let documents = table.published.get(aor)?;
        documents.iter().rev().find(|document| document.until > now).map(|document| document.body.clone())
    }

    /// Forgets what is over; `true` if something was.
    pub(crate) fn expire(&self, aor: &str, now: Instant) -> bool {
        let mut table = self.table();
        let Table { published, total, .. } = &mut *table;
        let Some(of_user) = published.get_mut(aor) else { return false };
        let before = of_user.len();
        of_user.retain(|document| document.until > now);
        let gone = before - of_user.len();
        *total -= gone;
        if of_user.is_empty() {
            published.remove(aor);
        }
        gone > 0
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

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    #[test]
    fn what_is_published_is_refreshed_changed_and_removed_by_its_tag() {
        let presence = Presence::default();
        let publish = |matching, fresh, body: &'static str, until| {
            let done = presence.publish(AOR, matching, fresh, Bytes::from_static(body.as_bytes()), at(until), at(1));
            done.map_err(StatusCode::code)
        };
        assert_eq!(publish(None, "a", "", 10), Err(400), "nothing to publish");
        assert_eq!(publish(Some("a"), "b", "here", 10), Err(412), "no such tag");
        assert_eq!(publish(None, "a", "here", 10), Ok(Published::Changed));
        assert_eq!(publish(Some("a"), "b", "", 20), Ok(Published::Refreshed));
        assert_eq!(publish(Some("a"), "c", "", 20), Err(412), "each tag is good once");
        assert_eq!(presence.of(AOR, at(15)).unwrap(), "here");
        assert_eq!(publish(Some("b"), "c", "away", 20), Ok(Published::Changed));
        assert_eq!(presence.of(AOR, at(15)).unwrap(), "away");
        assert_eq!(publish(Some("c"), "d", "", 0), Ok(Published::Changed));
        assert_eq!(presence.of(AOR, at(2)), None);
        assert!(presence.table().published.is_empty() && presence.table().total == 0);
    }

    #[test]
    fn the_last_of_several_devices_counts_and_the_number_is_bounded() {
        let presence = Presence::default();
        for n in 0..MOST_OF_ONE {
            let body = Bytes::from(n.to_string());
            let until = at(10 + n as u64);
            assert_eq!(presence.publish(AOR, None, &n.to_string(), body, until, at(1)), Ok(Published::Changed));
        }
        let more = presence.publish(AOR, None, "more", Bytes::from_static(b"x"), at(10), at(1));
        assert_eq!(more.map_err(StatusCode::code), Err(503));
        assert_eq!(presence.of(AOR, at(5)).unwrap(), "9");
        assert!(!presence.expire(AOR, at(9)));
        assert!(presence.expire(AOR, at(15)));
        assert!(presence.expire(AOR, at(99)));
        assert_eq!(presence.table().total, 0);
    }

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
