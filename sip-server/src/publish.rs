//! Event state that is published (RFC 3903): what an event state compositor keeps.
//!
//! Owns the publications of resources, their entity-tags and their ends, and the answers to PUBLISH. Who may publish for a resource has been
//! decided before ([`DigestAuth`](crate::DigestAuth)); who is told of a change, and how several documents become one, is a notifier's, such as
//! that of sip-dialog, and the host's.

use crate::reply::reply_fields;
use crate::secret::push_u64;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use sip_message::{Header, Message, StatusCode};
use sip_transaction::cores::{Reader, Writer};
use sip_transaction::{Endpoint, ImportError, Instant, ServerTxId};
use smallvec::SmallVec;

const VERSION: u8 = 1;
const STATE: &[u8] = b"sip-server event state";

/// An event package whose state may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPackage {
    /// Its name, as Event has it.
    pub event: String,
    /// The types of documents that are understood, without parameters.
    pub types: Vec<String>,
}

impl EventPackage {
    /// Presence (RFC 3856), with documents of RFC 3863.
    pub fn presence() -> EventPackage {
        EventPackage { event: "presence".into(), types: vec!["application/pidf+xml".into()] }
    }
}

/// What an [`EventState`] is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EventStateConfig {
    /// What may be published. [`EventPackage::presence`] alone.
    pub packages: Vec<EventPackage>,
    /// Seconds a publication lasts if the client does not say. 3600.
    pub default_expires: u32,
    /// Seconds below which a request is refused with 423. 60.
    pub min_expires: u32,
    /// Seconds a publication lasts at most. 3600.
    pub max_expires: u32,
    /// Publications of one resource and package: that many devices of a user. Beyond, 403. 10.
    pub max_of_one: usize,
    /// Publications in all. Beyond, 503. 100,000.
    pub max: usize,
    /// Bytes of one document. Beyond, 413. 16,384.
    pub max_document: usize,
}

impl Default for EventStateConfig {
    fn default() -> Self {
        EventStateConfig {
            packages: vec![EventPackage::presence()],
            default_expires: 3600,
            min_expires: 60,
            max_expires: 3600,
            max_of_one: 10,
            max: 100_000,
            max_document: 16_384,
        }
    }
}

/// The state of a resource has changed: its subscribers are to be told. Handed out by [`EventState::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStateChanged {
    /// The resource, as the host has named it.
    pub resource: String,
    /// The event package.
    pub event: String,
}

/// One publication: what one client says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    tag: String,
    content_type: String,
    body: Bytes,
    expires: Instant,
    number: u64,
}

impl Publication {
    /// Its entity-tag. Another one after each PUBLISH.
    pub fn entity_tag(&self) -> &str {
        &self.tag
    }

    /// The Content-Type of its document, parameters included.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Its document.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// When it ends.
    pub fn expires(&self) -> Instant {
        self.expires
    }
}

/// Resource and package.
type Name = (Arc<str>, Arc<str>);

/// The event state of resources, as their user agents publish it.
///
/// ```
/// use sip_server::{EventState, EventStateConfig};
/// use sip_transaction::{Endpoint, Event, Instant};
///
/// fn on_event(state: &mut EventState, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
///     match event {
///         Event::Request { tx, message, .. } if message.method() == Some(sip_message::Method::Publish) => {
///             // The host says whose state it is; `None` for nobody of its own.
///             let uri = message.request_uri().and_then(Result::ok);
///             let resource = uri.as_ref().and_then(|uri| uri.as_sip()).map(|uri| sip_server::aor_key(uri));
///             let _ = state.publish(endpoint, now, tx, &message, resource.as_deref());
///             while let Some(changed) = state.poll_event() {
///                 let newest = state.publications(&changed.resource, &changed.event, now).next();
///                 let _tell_the_subscribers = newest.map(|publication| publication.body().clone());
///             }
///             None
///         }
///         event => Some(event),
///     }
/// }
/// # let _ = (on_event, EventState::new(EventStateConfig::default()));
/// ```
pub struct EventState {
    config: EventStateConfig,
    by_name: BTreeMap<Name, Vec<Publication>>,
    ends: BTreeMap<(Instant, u64), Name>,
    /// How many there have been: a part of each entity-tag, so that none comes twice.
    count: u64,
    events: VecDeque<EventStateChanged>,
    now: Instant,
}

impl EventState {
    /// No state.
    pub fn new(config: EventStateConfig) -> Self {
        EventState {
            config,
            by_name: BTreeMap::new(),
            ends: BTreeMap::new(),
            count: 0,
            events: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    /// How many publications there are, those that have ended but for [`handle_timeout`](Self::handle_timeout) included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The publications of a resource that last beyond `now`, the one last published or changed first.
    pub fn publications<'s>(
        &'s self,
        resource: &str,
        event: &str,
        now: Instant,
    ) -> impl Iterator<Item = &'s Publication> + use<'s> {
        let found = self.by_name.get(&(Arc::from(resource), Arc::from(event)));
        let all = found.map_or(&[][..], |found| found);
        all.iter().rev().filter(move |publication| publication.expires > now)
    }

    /// Answers a PUBLISH for `resource`, whatever name the host has for what its Request-URI means; `None` if that is nothing whose state is
    /// kept here. Tells when the publication ends, which is `now` if it has been removed.
    ///
    /// # Errors
    ///
    /// It has been refused with this status, and nothing has changed.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-6
    //# The ESC MUST ignore the Record-Route header field if it is included
    //# in a PUBLISH request.  The ESC MUST NOT include a Record-Route header
    //# field in any response to a PUBLISH request.  The ESC MUST ignore the
    //# Contact header field if one is present in a PUBLISH request.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-6
    //# PUBLISH requests with the same Request-URI MUST be processed in the
    //# order that they are received.  PUBLISH requests MUST also be
    //# processed atomically, meaning that a particular PUBLISH request is
    //# either processed completely or not at all.
    pub fn publish(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        resource: Option<&str>,
    ) -> Result<Instant, StatusCode> {
        self.handle_timeout(now);
        // Nobody waits for an answer any more.
        let fresh = endpoint.local_tag(tx).ok_or(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST)?;
        let (status, fields) = match self.judge(now, request, resource) {
            Ok(wanted) => {
                let (expires, seconds) = (wanted.expires, wanted.seconds);
                let tag = self.carry_out(now, wanted, fresh.as_str().into());
                //= https://www.rfc-editor.org/rfc/rfc3903#section-6
                //# The response MUST contain an
                //# Expires header field indicating the expiration interval chosen by
                //# the ESC.  The response MUST also contain a SIP-ETag header field
                //# that contains a single entity-tag identifying the publication.
                let fields = [(Header::SipEtag, tag.as_str()), (Header::Expires, &*seconds.to_string())];
                reply_fields(endpoint, now, tx, request, StatusCode::OK, &fields);
                return Ok(expires);
            }
            Err(refused) => refused,
        };
        let fields: SmallVec<[(Header, &str); 1]> =
            fields.iter().map(|(header, value)| (*header, value.as_str())).collect();
        reply_fields(endpoint, now, tx, request, status, &fields);
        Err(status)
    }

    /// What a PUBLISH asks for, or how it is refused. Changes nothing.
    fn judge<'m>(&self, now: Instant, request: &'m Message, resource: Option<&str>) -> Result<Wanted<'m>, Refusal> {
        const BAD: Refusal = (StatusCode::BAD_REQUEST, None);
        let config = &self.config;
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# If not, the ESC MUST return a 404 (Not
        //# Found) response and skip the remaining steps.
        let resource = resource.ok_or((StatusCode::NOT_FOUND, None))?;
        // RFC 3261 section 8.2.2.3: nothing that a client could require is understood.
        let required = request.require().flatten().map(|tag| tag.as_str().to_string()).next();
        if let Some(tag) = required {
            return Err((StatusCode::BAD_EXTENSION, Some((Header::Unsupported, tag))));
        }
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# If the Event header field is missing or contains an event package
        //# which the ESC does not support, the ESC MUST respond to the
        //# PUBLISH request with a 489 (Bad Event) response, and skip the
        //# remaining steps.
        let event = request.event().ok().flatten();
        let named = |package: &&EventPackage| event.is_some_and(|event| event.event_type().as_str() == package.event);
        let Some(package) = config.packages.iter().find(named) else {
            let known: Vec<&str> = config.packages.iter().map(|package| package.event.as_str()).collect();
            return Err((StatusCode::BAD_EVENT, Some((Header::AllowEvents, known.join(", ")))));
        };
        let name: Name = (Arc::from(resource), Arc::from(package.event.as_str()));
        let there = self.by_name.get(&name).map_or(&[][..], |there| there);
        let place = match request.has(Header::SipIfMatch) {
            false => None,
            true => {
                //= https://www.rfc-editor.org/rfc/rfc3903#section-6
                //# checks whether the header field contains a single entity-tag.
                //# If not, the request is invalid, and the ESC MUST return with a
                //# 400 (Invalid Request) response and skip the remaining steps.
                let alone = request.fields(Header::SipIfMatch).count() == 1;
                let tag = request.sip_if_match().ok().flatten().filter(|_| alone).ok_or(BAD)?;
                let place = there.iter().position(|publication| *publication.tag == *tag.as_str());
                //= https://www.rfc-editor.org/rfc/rfc3903#section-6
                //# If no match is found, the ESC MUST reject the publication with
                //# a response of 412 (Conditional Request Failed), and skip the
                //# remaining steps.
                Some(place.ok_or((StatusCode::CONDITIONAL_REQUEST_FAILED, None))?)
            }
        };
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# *  If the request has an Expires header field, that value MUST be
        //# taken as the requested expiration.
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# *  Else, a locally-configured default value MUST be taken as the
        //# requested expiration.
        let asked = request.expires().map_err(|_| BAD)?.unwrap_or(config.default_expires);
        if asked > 0 && asked < config.min_expires {
            //= https://www.rfc-editor.org/rfc/rfc3903#section-6
            //# This
            //# response MUST contain a Min-Expires header field that states
            //# the minimum expiration interval the ESC is willing to honor.
            return Err((StatusCode::INTERVAL_TOO_BRIEF, Some((Header::MinExpires, config.min_expires.to_string()))));
        }
        let seconds = asked.min(config.max_expires);
        let body = request.body();
        let kind = request.field(Header::ContentType).unwrap_or_default();
        let media = request.content_type().ok().flatten();
        let understood = media.is_some_and(|media| package.types.iter().any(|known| media.is(known)));
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# If the content type of the request does
        //# not match the event package, or is not understood by the ESC, the
        //# ESC MUST reject the request with an appropriate response, such as
        //# 415 (Unsupported Media Type), and skip the remainder of the steps.
        if !body.is_empty() && !understood {
            let accept = (Header::Accept, package.types.join(", "));
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, Some(accept)));
        }
        if !body.is_empty() && request.has(Header::ContentEncoding) {
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, Some((Header::AcceptEncoding, "identity".to_string()))));
        }
        if body.len() > config.max_document {
            return Err((StatusCode::REQUEST_ENTITY_TOO_LARGE, None));
        }
        if place.is_none() && seconds > 0 {
            //= https://www.rfc-editor.org/rfc/rfc3903#section-6
            //# *  If the request has no message body and contained no entity-tag,
            //# the ESC SHOULD reject the request with an appropriate response,
            //# such as 400 (Invalid Request), and skip the remainder of the
            //# steps.
            if body.is_empty() {
                return Err(BAD);
            }
            if there.len() >= config.max_of_one {
                return Err((StatusCode::FORBIDDEN, None));
            }
            if self.ends.len() >= config.max {
                return Err((StatusCode::SERVICE_UNAVAILABLE, None));
            }
        }
        let kind = core::str::from_utf8(kind).map_err(|_| BAD)?;
        let expires = now + Duration::from_secs(seconds.into());
        Ok(Wanted { name, place, seconds, expires, kind, body })
    }

    /// Does what has been asked for and found good. `tag` is random; with a number behind it, it is the entity-tag given back.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-6
    //# The processing of the PUBLISH request MUST be atomic.
    fn carry_out(&mut self, now: Instant, wanted: Wanted<'_>, mut tag: String) -> String {
        let Wanted { name, place, seconds, expires, kind, body } = wanted;
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# The ESC MUST generate a new entity-tag for each successful
        //# publication, replacing any previous entity-tag associated with
        //# that event state. The generated entity-tag MUST be unique from any
        //# other entity-tags currently assigned to event state associated
        //# with that Request-URI, and MUST be different from any entity-tag
        //# assigned previously to event state for that Request-URI.
        self.count += 1;
        let number = self.count;
        push_u64(&mut tag, number);
        let of_name = self.by_name.entry(name.clone()).or_default();
        let old = place.filter(|&place| place < of_name.len()).map(|place| of_name.remove(place));
        if let Some(old) = &old {
            self.ends.remove(&(old.expires, old.number));
        }
        // A refresh says nothing new, unless it takes away.
        let changed = !body.is_empty() && seconds > 0 || seconds == 0 && old.is_some();
        //= https://www.rfc-editor.org/rfc/rfc3903#section-6
        //# *  If the chosen expiration interval has a special value of "0",
        //# the event state identified by the entity-tag MUST be
        //# immediately removed.  The ESC MUST NOT store any event state as
        //# a result of such a request.
        if seconds > 0 {
            //= https://www.rfc-editor.org/rfc/rfc3903#section-6
            //# *  If the request does not contain a SIP-If-Match header field,
            //# the ESC MUST generate and store a locally unique entity-tag for
            //# identifying the publication.
            let publication = match old {
                Some(old) if body.is_empty() => Publication { tag: tag.clone(), expires, number, ..old },
                _ => Publication {
                    tag: tag.clone(),
                    content_type: kind.into(),
                    body: Bytes::copy_from_slice(body),
                    expires,
                    number,
                },
            };
            // What is only refreshed keeps its place among the others.
            let at = place.filter(|_| body.is_empty()).unwrap_or(of_name.len()).min(of_name.len());
            of_name.insert(at, publication);
            self.ends.insert((expires, number), name.clone());
        }
        if of_name.is_empty() {
            self.by_name.remove(&name);
        }
        if changed {
            self.tell(&name);
        }
        self.now = self.now.max(now);
        tag
    }

    fn tell(&mut self, name: &Name) {
        let (resource, event) = (name.0.to_string(), name.1.to_string());
        self.events.push_back(EventStateChanged { resource, event });
    }

    /// All publications that last beyond `now`, as bytes for [`import`](EventState::import). Queued changes are not part of it: drain them
    /// first.
    pub fn export(&self, now: Instant) -> Vec<u8> {
        let mut out = Writer::new(STATE, VERSION);
        out.u64(self.count);
        let all = self.by_name.iter().flat_map(|(name, all)| all.iter().map(move |publication| (name, publication)));
        let lasting: Vec<_> = all.filter(|(_, publication)| publication.expires > now).collect();
        out.each(lasting.into_iter(), |out, ((resource, event), publication)| {
            for text in [&**resource, &**event, publication.tag.as_str(), publication.content_type.as_str()] {
                out.text(text);
            }
            out.bytes(&publication.body);
            out.duration(publication.expires - now);
        });
        out.finish()
    }

    /// Takes in what another one has exported, which must not go on itself: its entity-tags hold, and none of them comes again. Publications
    /// of packages that are not known here, and those beyond the limits, are left out. Gives back how many came. They are no change.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or there are publications here. Nothing has changed.
    pub fn import(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, ImportError> {
        // Tags are told apart by how many there have been.
        if self.count > 0 {
            return Err(ImportError::NotEmpty);
        }
        let mut input = Reader::new(bytes, STATE, VERSION, ())?;
        let (count, read) = read_publications(&mut input, now).ok_or(ImportError::Malformed)?;
        input.finish().ok_or(ImportError::Malformed)?;
        let config = &self.config;
        for (resource, event, publication) in read {
            let known = config.packages.iter().any(|package| package.event == event);
            let there = self.ends.len() < config.max && publication.body.len() <= config.max_document;
            let name: Name = (Arc::from(resource), Arc::from(event));
            let alike = self.by_name.get(&name).map_or(0, Vec::len);
            if known && there && alike < config.max_of_one {
                self.ends.insert((publication.expires, publication.number), name.clone());
                self.by_name.entry(name).or_default().push(publication);
            }
        }
        self.count = count;
        self.now = self.now.max(now);
        Ok(self.ends.len())
    }

    /// Removes the publications that have ended. Without any it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(first) = self.ends.first_entry() {
            let (at, number) = *first.key();
            if at > now {
                break;
            }
            let name = first.remove();
            if let Some(of_name) = self.by_name.get_mut(&name) {
                of_name.retain(|publication| publication.number != number);
                if of_name.is_empty() {
                    self.by_name.remove(&name);
                }
            }
            self.tell(&name);
        }
    }

    /// The next change; `None` when all have been told. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<EventStateChanged> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; the present while events wait to be polled. Changes with any call that takes
    /// `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() {
            return Some(self.now);
        }
        self.ends.first_key_value().map(|(&(at, _), _)| at)
    }
}

impl Default for EventState {
    /// Presence alone, with the limits of [`EventStateConfig::default`].
    fn default() -> Self {
        EventState::new(EventStateConfig::default())
    }
}

impl core::fmt::Debug for EventState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EventState").field("publications", &self.len()).finish_non_exhaustive()
    }
}

/// A publication with its resource and package.
type Named<'a> = (&'a str, &'a str, Publication);

/// How many publications there have been, and those that are left, with the numbers from 1 on: all are below that of the next.
fn read_publications<'a>(input: &mut Reader<'a, ()>, now: Instant) -> Option<(u64, Vec<Named<'a>>)> {
    let count = input.u64()?;
    let mut tags = BTreeSet::new();
    let read = input.each(|input| {
        let (resource, event, tag) = (input.text()?, input.text()?, input.text()?);
        let (content_type, body, left) = (input.text()?, input.bytes()?, input.duration()?);
        let publication = Publication {
            tag: tag.into(),
            content_type: content_type.into(),
            body: Bytes::copy_from_slice(body),
            expires: now + left,
            number: tags.len() as u64 + 1,
        };
        (tags.insert(tag) && !left.is_zero()).then_some((resource, event, publication))
    })?;
    (read.len() as u64 <= count).then_some((count, read))
}

/// The status owed, and the field it needs.
type Refusal = (StatusCode, Option<(Header, String)>);

/// A PUBLISH that is good.
struct Wanted<'m> {
    name: Name,
    /// The publication that its entity-tag names.
    place: Option<usize>,
    seconds: u32,
    expires: Instant,
    kind: &'m str,
    body: &'m [u8],
}
