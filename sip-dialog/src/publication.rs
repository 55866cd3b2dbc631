//! Publication of event state (RFC 3903), kept up: refreshed before it runs out, published anew if the server has forgotten it.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;
use sip_message::headers::DeltaSeconds;
use sip_message::{Header, Message, Method};
use sip_transaction::{Endpoint, Instant};

use crate::agent::UserAgentCore;
use crate::agent::client::{Final, Purpose};
use crate::auth::AuthContext;
use crate::body::Body;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::error::CommandError;
use crate::event::{Event, Owner, PublicationEnd, PublicationEvent};
use crate::id::PublicationId;
use crate::origin::{ExtraHeaders, Origin, takes_headers};
use crate::subscription::text_of;

/// Event state to publish.
///
/// ```
/// use sip_dialog::{Body, Origin, Publish};
/// let here = Body::new("application/pidf+xml", "<presence/>");
/// let publish = Publish::new(Origin::new("<sip:alice@atlanta.com>"), "sip:alice@atlanta.com", "presence", here);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Publish {
    origin: Origin,
    target: String,
    event: String,
    expires: u32,
    headers: ExtraHeaders,
    body: Body,
}

impl Publish {
    /// Publishes state of the event package `event` of whoever is `target`; for an hour.
    pub fn new(origin: Origin, target: impl Into<String>, event: impl Into<String>, body: Body) -> Self {
        Publish {
            origin,
            target: target.into(),
            event: event.into(),
            expires: 3600,
            headers: ExtraHeaders::new(),
            body,
        }
    }

    /// For how many seconds; it is refreshed in time.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.expires = seconds;
        self
    }
}

takes_headers!(Publish);

/// A publication.
#[derive(Debug)]
pub(crate) struct Publication {
    wanted: Box<Publish>,
    etag: Option<Box<str>>,
    auth: Option<Box<AuthContext>>,
    /// A PUBLISH is under way.
    busy: bool,
    /// What is to be published when it is through: the state has changed meanwhile.
    changed: bool,
    leaving: bool,
}

impl UserAgentCore {
    fn pub_event(&mut self, publication: PublicationId, event: PublicationEvent) {
        self.emit(Event::Publication { publication, event });
    }

    /// Publishes, and keeps it up until [`unpublish`](UserAgentCore::unpublish).
    ///
    /// # Errors
    ///
    /// A value is malformed, or the next hop cannot be reached.
    pub fn publish(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        publish: Publish,
    ) -> Result<PublicationId, CommandError> {
        self.advance(now);
        let publication = Publication {
            wanted: Box::new(publish),
            etag: None,
            auth: None,
            busy: false,
            changed: false,
            leaving: false,
        };
        let id = self.publications.insert(publication).ok_or(CommandError::Full)?;
        if let Err(error) = self.send_publish(ep, id, true) {
            self.publications.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    /// Publishes another state in place of the last one.
    ///
    /// # Errors
    ///
    /// The id is stale, or it is ending; a value is malformed, or the next hop cannot be reached.
    pub fn republish(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: PublicationId,
        body: Body,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.publications.get_mut(id).ok_or(CommandError::Unknown)?;
        if found.leaving {
            return Err(CommandError::WrongState);
        }
        body.check()?;
        let before = core::mem::replace(&mut found.wanted.body, body);
        //= https://www.rfc-editor.org/rfc/rfc3903#section-4
        //# EPAs MUST NOT send a new PUBLISH request (not a re-transmission) for the
        //# same Request-URI, until they have received a final response from the ESC
        //# for the previous one or the previous PUBLISH request has timed out.
        if found.busy {
            found.changed = true;
            return Ok(());
        }
        let sent = self.send_publish(ep, id, true);
        if let (Err(_), Some(found)) = (&sent, self.publications.get_mut(id)) {
            found.wanted.body = before;
        }
        sent
    }

    /// Removes what was published and ends the publication.
    ///
    /// # Errors
    ///
    /// The id is stale, or it is ending already.
    pub fn unpublish(&mut self, ep: &mut Endpoint, now: Instant, id: PublicationId) -> Result<(), CommandError> {
        self.advance(now);
        let parked = self.unpark(Owner::Publication(id));
        let found = self.publications.get_mut(id).ok_or(CommandError::Unknown)?;
        if found.leaving {
            return Err(CommandError::WrongState);
        }
        found.leaving = true;
        found.busy &= !parked;
        let (busy, known) = (found.busy, found.etag.is_some());
        self.deadlines.clear(Deadline::Publish(id));
        if busy {
            return Ok(());
        }
        if !known || self.send_publish(ep, id, false).is_err() {
            self.end_publication(id, PublicationEnd::Removed, None);
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
    //# For determining the type of the published event state, the EPA MUST
    //# include a single Event header field in PUBLISH requests.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
    //# When updating previously published event state, PUBLISH requests MUST
    //# contain a single SIP-If-Match header field identifying the specific
    //# event state that the request is refreshing, modifying or removing.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.2
    //# An initial PUBLISH request MUST NOT contain a SIP-If-Match header field.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
    //# Therefore, a PUBLISH request that refreshes event state MUST NOT have a
    //# body.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.5
    //# To request the immediate removal of event state, an EPA MUST create a
    //# PUBLISH request with an Expires value of "0", and set the SIP-If-Match
    //# header field to contain the entity-tag of the event state publication to
    //# be removed.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4
    //# The Record-Route header field has no meaning in PUBLISH requests or
    //# responses, and MUST be ignored if present.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4
    //# In particular, the UAC MUST NOT create a new route set based on the
    //# presence or absence of a Record-Route header field in any response to a
    //# PUBLISH request.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
    //# This header field MUST contain a single entity-tag that was returned by
    //# the ESC in the SIP-ETag header field of the response to a previous
    //# publication.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.2
    //# An initial PUBLISH request MUST contain a body that contains the
    //# published event state.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
    //# To refresh a publication, the EPA MUST create a PUBLISH request that
    //# includes in a SIP-If-Match header field the entity-tag of the
    //# publication to be refreshed.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
    //# To modify event state, the EPA MUST construct a PUBLISH request that
    //# includes in a SIP-If-Match header field the entity-tag of the event
    //# state publication to be modified.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
    //# A PUBLISH request that modifies event state MUST contain a body that
    //# includes the modified event state.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-4.5
    //# Therefore, a PUBLISH request that removes event state MUST NOT contain a
    //# body.
    //= https://www.rfc-editor.org/rfc/rfc3903#section-14.1
    //# ESCs and EPAs MUST implement Digest for authenticating PUBLISH requests,
    //# as defined in RFC 3261 [4].
    //= https://www.rfc-editor.org/rfc/rfc3903#section-14.2
    //# Implementations MUST support Digest authentication, as defined in RFC
    //# 3261 [4].
    fn send_publish(&mut self, ep: &mut Endpoint, id: PublicationId, with_body: bool) -> Result<(), CommandError> {
        let Some(found) = self.publications.get_mut(id) else { return Err(CommandError::Unknown) };
        let (wanted, etag, leaving) = (found.wanted.clone(), found.etag.clone(), found.leaving);
        let own_auth = found.auth.clone();
        let way = self.way_to(&wanted.origin, &wanted.target);
        let (mut builder, _) = self.outside(Method::Publish, &wanted.origin, &way, &wanted.target, None)?;
        builder = self
            .dress(builder)
            .header(Header::Event, &wanted.event)
            .header(Header::Expires, if leaving { 0 } else { wanted.expires });
        let initial = etag.is_none();
        if let Some(etag) = etag {
            builder = builder.header(Header::SipIfMatch, etag);
        }
        builder = wanted.headers.on_request(builder);
        if (with_body || initial) && !leaving {
            builder = wanted.body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        self.send(ep, message, way.over(), Purpose::Publish(id), None, own_auth.or(way.auth))?;
        if let Some(found) = self.publications.get_mut(id) {
            found.auth = None;
            found.busy = true;
            found.changed = false;
        }
        Ok(())
    }

    fn end_publication(&mut self, id: PublicationId, cause: PublicationEnd, message: Option<Box<Message>>) {
        self.deadlines.clear(Deadline::Publish(id));
        self.unpark(Owner::Publication(id));
        if self.publications.remove(id).is_some() {
            self.pub_event(id, PublicationEvent::Ended { cause, message });
        }
    }

    pub(crate) fn on_publish_due(&mut self, ep: &mut Endpoint, id: PublicationId) {
        if self.publications.get(id).is_some_and(|found| !found.busy) && self.send_publish(ep, id, false).is_err() {
            self.end_publication(id, PublicationEnd::Refused(crate::agent::status(503)), None);
        }
    }

    pub(crate) fn on_publish_done(&mut self, ep: &mut Endpoint, id: PublicationId, outcome: Final) {
        let Some(found) = self.publications.get_mut(id) else { return };
        found.busy = false;
        found.auth = outcome.auth;
        let code = outcome.status;
        let least = |message: &Message| message.value::<DeltaSeconds>(Header::MinExpires).ok().flatten().map(|n| n.0);
        match outcome.response {
            Some(message) if code.is_success() => {
                if found.leaving
                    && found.etag.is_some()
                    && message.value::<DeltaSeconds>(Header::Expires).ok().flatten().is_none_or(|n| n.0 == 0)
                {
                    return self.end_publication(id, PublicationEnd::Removed, Some(message));
                }
                //= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
                //# The EPA MUST store this entity-tag, replacing any existing entity-tag
                //# for the refreshed event state.
                //= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
                //# The EPA MUST store this entity-tag, replacing any existing entity-tag
                //# for the modified event state.
                let etag = text_of(&message, Header::SipEtag);
                found.etag = (!etag.is_empty()).then(|| etag.into());
                let expires = message.value::<DeltaSeconds>(Header::Expires).ok().flatten();
                let seconds = expires.map_or(found.wanted.expires, |expires| expires.0).max(1);
                let (leaving, changed) = (found.leaving, found.changed);
                let time = Duration::from_secs(u64::from(seconds));
                if leaving {
                    if self.send_publish(ep, id, false).is_err() {
                        self.end_publication(id, PublicationEnd::Removed, Some(message));
                    }
                    return;
                }
                self.pub_event(id, PublicationEvent::Published { message, expires: time });
                self.deadlines.after(Deadline::Publish(id), self.now, time - time / 10);
                if changed && self.send_publish(ep, id, true).is_err() {
                    self.end_publication(id, PublicationEnd::Refused(crate::agent::status(503)), None);
                }
            }
            response if found.leaving => self.end_publication(id, PublicationEnd::Removed, response),
            // The server has forgotten it: published as if for the first time.
            //= https://www.rfc-editor.org/rfc/rfc3903#section-5
            //# If an EPA receives a 412 (Conditional Request Failed) response, it MUST
            //# NOT reattempt the PUBLISH request.
            //= https://www.rfc-editor.org/rfc/rfc3903#section-5
            //# The EPA MUST also discard the entity-tag that produced this error
            //# response.
            Some(message) if code.code() == 412 && found.etag.is_some() => {
                found.etag = None;
                if self.send_publish(ep, id, true).is_err() {
                    self.end_publication(id, PublicationEnd::Refused(code), Some(message));
                }
            }
            Some(message) if code.code() == 423 && least(&message) > Some(found.wanted.expires) => {
                // At least twice as long: whoever always wants more gets it in 32 rounds.
                found.wanted.expires = least(&message).unwrap_or(3600).max(found.wanted.expires.saturating_mul(2));
                let initial = found.etag.is_none();
                if self.send_publish(ep, id, initial).is_err() {
                    self.end_publication(id, PublicationEnd::Refused(code), Some(message));
                }
            }
            response => {
                let cause = match code.code() {
                    401 | 407 => PublicationEnd::Unauthorized,
                    _ => PublicationEnd::Refused(code),
                };
                self.end_publication(id, cause, response);
            }
        }
    }
}

wire!(struct Publish { origin, target, event, expires, headers, body });
wire!(struct Publication { wanted, etag, busy, changed, leaving } skip { auth });
