//! Turning requests away at a limit: without state, as RFC 3261 section 8.2.7 has it, and without memory of their own, so that a flood
//! of them costs no more than reading it.
//!
//! Whether a request is answered depends on what has been polled, never on when the host lets go of the bytes: a replay sends the same.

use super::Endpoint;
use super::server::Kind;
use super::via::{ReadVia, tag_of};
use crate::error::InputError;
use crate::output::Path;
use crate::wire;
use alloc::boxed::Box;
use bytes::{Bytes, BytesMut};
use core::net::IpAddr;
use rand_chacha::rand_core::RngCore;
use sip_message::{Header, Message, Method, StatusCode};

/// Memory for answers, used again when the host has let go of all that lie in it. An answer that does not fit has memory
/// of its own.
const ANSWERS: usize = 32 << 10;
/// Answers to datagrams that may wait to be polled. What would be one more is not answered: a client sends a datagram again.
const PLACES: usize = 64;

/// What is used again and again for requests that are turned away.
pub(crate) struct Refusals {
    /// Where a request is copied to, to be read.
    inbox: BytesMut,
    message: Option<Box<Message>>,
    answers: BytesMut,
    waiting: Waiting,
}

impl Refusals {
    fn new() -> Refusals {
        let answers = BytesMut::with_capacity(ANSWERS);
        Refusals { inbox: BytesMut::new(), message: None, answers, waiting: Waiting::default() }
    }
}

/// The last answers: for each, how many transmits have been polled when it has been, the oldest at `next`.
struct Waiting {
    until: [u64; PLACES],
    next: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting { until: [0; PLACES], next: 0 }
    }
}

impl Waiting {
    /// Whether all of them wait, so many transmits having been polled.
    fn is_full(&self, polled: u64) -> bool {
        self.until.get(self.next).is_some_and(|&until| until > polled)
    }

    /// Another is queued, with which there have been so many transmits.
    fn add(&mut self, queued: u64) {
        if let Some(until) = self.until.get_mut(self.next) {
            *until = queued;
        }
        self.next = (self.next + 1) % PLACES;
    }
}

impl Endpoint {
    /// Which counter a source address has, if sources are counted. Few addresses share one, and nobody can tell which.
    #[inline]
    pub(super) fn source_of(&self, ip: IpAddr) -> u16 {
        if self.config.limits.per_source.is_some() { self.counter_of(ip) } else { u16::MAX }
    }

    fn counter_of(&self, ip: IpAddr) -> u16 {
        let hash = match ip {
            IpAddr::V4(ip) => self.hash.hash(&ip.octets()),
            // A network of 64 bits is one source.
            IpAddr::V6(ip) => self.hash.hash(ip.octets().get(..8).unwrap_or_default()),
        };
        (hash as usize & (self.sources.len() - 1)) as u16
    }

    /// Whether a limit is reached, for a source.
    #[inline]
    pub(super) fn is_pressed(&self, source: u16) -> bool {
        let limits = &self.config.limits;
        let live = self.sources.get(usize::from(source)).copied().unwrap_or(0) as usize;
        let over = |count: usize, limit: Option<usize>| limit.is_some_and(|limit| count >= limit);
        over(self.txs.len(), limits.transactions) || over(live, limits.per_source) || !self.has_room()
    }

    /// Whether a new request is turned away though it ends or goes on with a call: those are let in a little longer than what begins one.
    fn is_full(&self, source: u16) -> bool {
        let limits = &self.config.limits;
        let live = self.sources.get(usize::from(source)).copied().unwrap_or(0) as usize;
        let over = |count: usize, limit: Option<usize>| limit.is_some_and(|limit| count >= limit + limit / 4);
        over(self.txs.len(), limits.transactions) || over(live, limits.per_source)
    }

    /// Whether a request that belongs to no transaction is turned away while a limit is reached.
    fn turns_away(&self, source: u16, request: &Message, kind: Kind) -> bool {
        let begun = kind == Kind::Cancel || request.to().is_ok_and(|to| matches!(to.tag(), Ok(Some(_))));
        kind != Kind::Ack && (!begun || self.is_full(source))
    }

    fn take_refusals(&mut self) -> Box<Refusals> {
        self.refusals.take().unwrap_or_else(|| {
            self.transmits.reserve(PLACES);
            Box::new(Refusals::new())
        })
    }

    /// The same as [`refused`](Endpoint::refused) for a message that a stream has brought.
    pub(super) fn refused_whole(&mut self, path: &Path, message: &Message) -> Option<InputError> {
        if message.is_response() {
            return None;
        }
        let source = self.source_of(path.remote.ip());
        if !self.is_pressed(source) {
            return None;
        }
        let mut refusals = self.take_refusals();
        let answers = self.has_room_for_answers();
        let result = self.refused_request(path, source, message, answers.then_some(&mut refusals.answers));
        self.refusals = Some(refusals);
        result
    }

    /// Looks at a request that came in one piece while a limit is reached. `None`: it is to be taken in as ever.
    #[cold]
    #[inline(never)]
    pub(super) fn refused(&mut self, path: &Path, source: u16, bytes: &[u8]) -> Option<InputError> {
        let mut refusals = self.take_refusals();
        // Over a connection nothing is sent again.
        let datagram = !path.transport.is_connected();
        refusals.inbox.reserve(bytes.len());
        refusals.inbox.extend_from_slice(bytes);
        let copy = refusals.inbox.split().freeze();
        let read = match &mut refusals.message {
            Some(message) => message.parse_again(copy, &self.config.parser),
            None => Message::parse_boxed(copy, &self.config.parser).map(|message| refusals.message = Some(message)),
        };
        let before = self.counters.transmits;
        let answers = match datagram {
            true => !refusals.waiting.is_full(before - self.transmits.len() as u64),
            false => self.has_room_for_answers(),
        };
        let result = match (read, &refusals.message) {
            (Ok(()), Some(message)) => {
                self.refused_request(path, source, message, answers.then_some(&mut refusals.answers))
            }
            (Err(error), _) => {
                if answers {
                    self.refuse(*path, bytes, &error);
                }
                Some(InputError::Malformed(error))
            }
            (Ok(()), None) => None,
        };
        if datagram && self.counters.transmits != before {
            refusals.waiting.add(self.counters.transmits);
        }
        // The copy is let go of, so that there is room for the next one.
        if let Some(message) = &mut refusals.message {
            let _ = message.parse_again(Bytes::new(), &self.config.parser);
        }
        self.refusals = Some(refusals);
        result
    }

    /// Answers in `memory`, if it is given.
    fn refused_request(
        &mut self,
        path: &Path,
        source: u16,
        request: &Message,
        memory: Option<&mut BytesMut>,
    ) -> Option<InputError> {
        if self.has_server(request)
            || !self.turns_away(source, request, Kind::of(request.method()?.as_str().as_bytes()))
        {
            return None;
        }
        self.counters.requests_received += 1;
        if request.top_via().is_err() {
            return Some(InputError::Unmatchable);
        }
        if let Some(memory) = memory {
            self.answer_in(path, request, StatusCode::SERVICE_UNAVAILABLE, |response| {
                // From its beginning, if nobody holds anything in it any more; else in what is left of it.
                let _ = memory.try_reclaim(ANSWERS);
                if memory.capacity() - memory.len() < response.most() {
                    return response.bytes();
                }
                response.write(memory);
                memory.split().freeze()
            });
        }
        Some(InputError::Overload)
    }

    /// The seconds in the Retry-After of a 503.
    fn retry_after(&self, random: u32) -> u32 {
        let (least, most) = self.config.limits.retry_after;
        let range = most.saturating_sub(least).saturating_add(1);
        least.saturating_add(random % range.max(1))
    }

    /// The seconds in the Retry-After of a 503 that a layer above answers with, if its fields have none. They come from the tag: a replay,
    /// which is told the whole response, draws no number for it. Without one, a 503 is a 500 to its client (RFC 3261 section 21.5.4).
    pub(super) fn retry_of(&self, status: StatusCode, tag: u128, fields: &[(Header, &str)]) -> Option<u32> {
        let owed = status == StatusCode::SERVICE_UNAVAILABLE
            && !fields.iter().any(|(header, _)| *header == Header::RetryAfter);
        owed.then(|| self.retry_after(tag as u32))
    }

    /// Whether one more answer may be queued of which nothing is kept: these may wait to be polled beyond the limit of queued bytes, which
    /// may be what they tell, but not without end.
    fn has_room_for_answers(&self) -> bool {
        let room = |limit: usize| self.queued_bytes < limit.saturating_add(limit / 4);
        self.config.limits.queued_bytes.is_none_or(room)
    }

    /// Answers without keeping anything: RFC 3261 section 8.2.7.
    pub(super) fn answer_stateless(&mut self, path: &Path, request: &Message, status: StatusCode) {
        if !self.has_room_for_answers() {
            return;
        }
        self.answer_in(path, request, status, |response| response.bytes());
    }

    /// Sends an answer to a request of which nothing is kept, in the memory that `write` finds for it.
    fn answer_in(
        &mut self,
        path: &Path,
        request: &Message,
        status: StatusCode,
        write: impl FnOnce(&wire::Response<'_>) -> Bytes,
    ) {
        if request.method() == Some(Method::Ack) {
            return;
        }
        let Ok(via) = request.top_via() else { return };
        let read = ReadVia::of(&via);
        let (remote, ttl) = read.response_address(path);
        let method = request.method().unwrap_or(Method::Options);
        let tag = tag_of(self.hash.server_tag(request, &via, read.branch, method));
        let retry = (status == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| self.rng.next_u32())
            .map(|random| self.retry_after(random));
        // The copy of the request that is at hand has not been told where it came from.
        let source = self.source_for_via(
            path,
            read.received.is_some() || read.ip != Some(path.remote.ip()),
            read.rport == Some(None),
        );
        let bytes = write(&wire::Response { retry, source, ..self.own_response(request, status, Some(tag), &[]) });
        self.send_over(path.flow, remote, bytes, ttl, None);
    }
}
