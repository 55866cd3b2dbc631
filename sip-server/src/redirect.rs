//! The redirect server (RFC 3261 section 8.3), as a core on an endpoint.
//!
//! Owns the requests that wait for contacts, and their answers. Finds nothing by itself: the contacts are the host's, most
//! often those of the location service.

use crate::id::RedirectId;
use crate::push::push_public;
use crate::registrar::Located;
use crate::reply::{reply, reply_bare};
use crate::target::Target;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use hashbrown::HashMap;
use sip_message::{Header, Message, Method, StatusCode, Uri};
use sip_transaction::cores::{IdHash, Slab};
use sip_transaction::{Endpoint, Event, Instant, ServerTxId};

/// What a [`Redirect`] is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedirectConfig {
    /// The domains whose requests are redirected, in lower case. Others are handed on.
    pub domains: Vec<String>,
    /// Requests that may wait at once: 100,000. Beyond, the answer is 503.
    pub waiting: usize,
}

impl Default for RedirectConfig {
    fn default() -> Self {
        RedirectConfig { domains: Vec::new(), waiting: 100_000 }
    }
}

/// What a [`Redirect`] has to say. Handed out by [`Redirect::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectEvent {
    /// What contacts are there? Answer with [`Redirect::answer`]; [`Redirect::request`] shows the request.
    Request {
        /// The request that waits.
        id: RedirectId,
        /// Its transaction.
        tx: ServerTxId,
    },
}

struct Waiting {
    tx: ServerTxId,
    message: Box<Message>,
}

/// A redirect server.
#[derive(Default)]
pub struct Redirect {
    config: RedirectConfig,
    waiting: Slab<RedirectId, Waiting>,
    by_tx: HashMap<ServerTxId, RedirectId, IdHash>,
    events: VecDeque<RedirectEvent>,
    now: Instant,
}

impl Redirect {
    /// A redirect server without requests.
    pub fn new(config: RedirectConfig) -> Self {
        Redirect { config, ..Redirect::default() }
    }

    /// Takes an event of the endpoint. `None`: it was a request to redirect, or the CANCEL of one.
    pub fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
        self.now = self.now.max(now);
        match event {
            Event::Request { tx, message, .. } if self.is_for(&message) => {
                let waiting = Waiting { tx, message };
                if self.waiting.len() >= self.config.waiting {
                    reply_bare(endpoint, now, tx, &waiting.message, StatusCode::SERVICE_UNAVAILABLE);
                } else if let Some(key) = self.waiting.insert(waiting) {
                    self.by_tx.insert(tx, key);
                    self.events.push_back(RedirectEvent::Request { id: key, tx });
                }
                None
            }
            Event::Cancel { tx, message } => match self.take(tx) {
                //= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
                //# For well-formed CANCEL requests, it SHOULD
                //# return a 2xx response.
                // The endpoint has done that.
                Some(waiting) => {
                    reply_bare(endpoint, now, tx, &waiting.message, StatusCode::REQUEST_TERMINATED);
                    None
                }
                None => Some(Event::Cancel { tx, message }),
            },
            Event::ServerEnded { tx, .. } => {
                self.take(tx);
                Some(event)
            }
            event => Some(event),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
    //# Redirect servers MUST ignore features that are not understood (including
    //# unrecognized header fields, any unknown option tags in Require, or even
    //# method names) and proceed with the redirection of the request in
    //# question.
    fn is_for(&self, message: &Message) -> bool {
        if matches!(message.method(), None | Some(Method::Register | Method::Cancel | Method::Ack)) {
            return false;
        }
        let Some(Ok(Uri::Sip(uri))) = message.request_uri() else { return false };
        self.config.domains.iter().any(|domain| uri.has_host(domain))
    }

    fn take(&mut self, tx: ServerTxId) -> Option<Waiting> {
        let key = self.by_tx.remove(&tx)?;
        self.waiting.remove(key)
    }

    /// The request that waits; `None` for a stale id.
    pub fn request(&self, id: RedirectId) -> Option<&Message> {
        self.waiting.get(id).map(|waiting| &*waiting.message)
    }

    /// Answers [`RedirectEvent::Request`]: 302 with the contacts, or what [`Located`] says instead. A stale id is passed over.
    pub fn answer(&mut self, endpoint: &mut Endpoint, now: Instant, id: RedirectId, located: Located) {
        self.now = self.now.max(now);
        let Some(Waiting { tx, message }) = self.waiting.remove(id) else { return };
        self.by_tx.remove(&tx);
        let targets = match located {
            Located::Targets(targets) => targets,
            Located::Unavailable => Vec::new(),
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
            //# otherwise, the UAS MAY reject the request with a 480 (Temporarily
            //# Unavailable) response with a Warning header with warn-code 380 "SIPS
            //# Not Allowed".
            Located::NotSecure => {
                return reply(endpoint, now, tx, &message, StatusCode::TEMPORARILY_UNAVAILABLE, |response| {
                    response.header(Header::Warning, "380 - \"SIPS Not Allowed\"")
                });
            }
            Located::NotFound => return reply_bare(endpoint, now, tx, &message, StatusCode::NOT_FOUND),
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
        //# However, redirect servers MUST NOT redirect a request to a URI equal
        //# to the one in the Request-URI; instead, provided that the URI does
        //# not point to itself, the server MAY proxy the request to the
        //# destination URI, or MAY reject it with a 404.
        let own = message.request_uri().and_then(Result::ok);
        let is_own = |target: &Target| {
            let uri = Uri::parse(target.uri.as_bytes()).ok();
            own.zip(uri).is_some_and(|(own, uri)| own.equivalent(&uri))
        };
        let mut contacts: Vec<String> = Vec::with_capacity(targets.len());
        for target in targets.iter().filter(|target| !is_own(target)) {
            let mut contact = String::with_capacity(target.uri.len() + 10);
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
            //# If the target UAS had registered
            //# previously using a SIPS Contact header field, the redirect server
            //# SHOULD return a SIPS Contact header field if it is in an environment
            //# where TLS is usable (as described in the previous paragraph).
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
            //# If the target UAS had registered
            //# previously using a SIPS Contact header field, the redirect server
            //# SHOULD return a SIPS Contact header field if it is in an environment
            //# where TLS is usable.
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
            //# If the
            //# target UAS had registered previously using a SIP Contact header
            //# field, the redirect server MUST return a SIP Contact header field in
            //# a 3XX response if it redirects the request.
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
            //# If the target UAS had registered previously
            //# using a SIP Contact header field, the redirect server MUST return a
            //# SIP Contact header field in a 3XX response if it chooses to redirect;
            contact.push('<');
            push_public(&mut contact, &target.uri);
            contact.push('>');
            if target.q < 1000 {
                let _ = write!(contact, ";q=0.{:03}", target.q);
            }
            contacts.push(contact);
        }
        if contacts.is_empty() {
            let status = if targets.is_empty() { StatusCode::TEMPORARILY_UNAVAILABLE } else { StatusCode::NOT_FOUND };
            return reply_bare(endpoint, now, tx, &message, status);
        }
        reply(endpoint, now, tx, &message, StatusCode::MOVED_TEMPORARILY, |mut response| {
            for contact in &contacts {
                response = response.header(Header::Contact, contact);
            }
            response
        });
    }

    /// The next thing to say; `None` when all has been said. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<RedirectEvent> {
        self.events.pop_front()
    }

    /// The present while events wait to be polled, else nothing. Changes with any call that takes `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.events.is_empty()).then_some(self.now)
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl core::fmt::Debug for Redirect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Redirect").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
