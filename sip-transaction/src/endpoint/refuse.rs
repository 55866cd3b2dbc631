//! Turning requests away at a limit: without state, as RFC 3261 section 8.2.7 has it, and without memory of their own, so that a flood
//! of them costs no more than reading it.

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
use sip_message::{Message, Method, StatusCode};

/// Memory for answers that wait to be polled. What has no room in it is not answered: a client that sent it as a datagram sends it again.
const ANSWERS: usize = 32 << 10;
/// Answers that have a place in the queue from the beginning.
const PLACES: usize = 64;

/// What is used again and again for requests that are turned away.
#[derive(Default)]
pub(crate) struct Refusals {
    /// Where a request is copied to, to be read.
    inbox: BytesMut,
    message: Option<Box<Message>>,
    answers: BytesMut,
}

impl Endpoint {
    /// Which counter a source address has, if sources are counted. Few addresses share one, and nobody can tell which.
    pub(super) fn source_of(&self, ip: IpAddr) -> u16 {
        if self.config.limits.per_source.is_none() {
            return u16::MAX;
        }
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
    pub(super) fn turns_away(&self, source: u16, request: &Message, kind: Kind) -> bool {
        let begun = kind == Kind::Cancel || request.to().is_ok_and(|to| matches!(to.tag(), Ok(Some(_))));
        kind != Kind::Ack && (!begun || self.is_full(source))
    }

    /// Looks at a request that came in one piece while a limit is reached. `None`: it is to be taken in as ever.
    #[cold]
    #[inline(never)]
    pub(super) fn refused(&mut self, path: &Path, source: u16, bytes: &[u8]) -> Option<InputError> {
        let mut refusals = match self.refusals.take() {
            Some(refusals) => refusals,
            None => {
                self.transmits.reserve(PLACES);
                Box::new(Refusals { answers: BytesMut::with_capacity(ANSWERS), ..Refusals::default() })
            }
        };
        refusals.inbox.reserve(bytes.len());
        refusals.inbox.extend_from_slice(bytes);
        let copy = refusals.inbox.split().freeze();
        let read = match &mut refusals.message {
            Some(message) => message.parse_again(copy, &self.config.parser),
            None => Message::parse_boxed(copy, &self.config.parser).map(|message| refusals.message = Some(message)),
        };
        let result = match (read, &refusals.message) {
            (Ok(()), Some(message)) => self.refused_request(path, source, message, &mut refusals.answers),
            (Err(error), _) => Some(InputError::Malformed(error)),
            (Ok(()), None) => None,
        };
        // The copy is let go of, so that there is room for the next one.
        if let Some(message) = &mut refusals.message {
            let _ = message.parse_again(Bytes::new(), &self.config.parser);
        }
        self.refusals = Some(refusals);
        result
    }

    fn refused_request(
        &mut self,
        path: &Path,
        source: u16,
        request: &Message,
        answers: &mut BytesMut,
    ) -> Option<InputError> {
        if self.has_server(request) || !self.turns_away(source, request, Kind::of(request.method()?)) {
            return None;
        }
        self.counters.requests_received += 1;
        let Ok(via) = request.top_via() else { return Some(InputError::Unmatchable) };
        let read = ReadVia::of(&via);
        let (remote, ttl) = read.response_address(path);
        let method = request.method().unwrap_or(Method::Options);
        let tag = tag_of(self.hash.server_tag(request, &via, read.branch, method));
        let retry = Some(self.retry_after());
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let response =
            wire::Response { request, status, tag: Some(tag), product: &self.config.product, retry, fields: &[] };
        let len = response.len();
        let room = answers.capacity() - answers.len() >= len || answers.try_reclaim(len);
        if room && self.transmits.len() < self.transmits.capacity() {
            response.write(answers);
            let bytes = answers.split().freeze();
            self.send_over(path.flow, remote, bytes, ttl, None);
        }
        Some(InputError::Overload)
    }

    /// The seconds in the Retry-After of a 503.
    fn retry_after(&mut self) -> u32 {
        let (least, most) = self.config.limits.retry_after;
        let range = most.saturating_sub(least).saturating_add(1);
        least.saturating_add(self.rng.next_u32() % range.max(1))
    }

    /// Answers without keeping anything: RFC 3261 section 8.2.7.
    pub(super) fn answer_stateless(&mut self, path: &Path, request: &Message, status: StatusCode) {
        if request.method() == Some(Method::Ack) {
            return;
        }
        let Ok(via) = request.top_via() else { return };
        let read = ReadVia::of(&via);
        let (remote, ttl) = read.response_address(path);
        let method = request.method().unwrap_or(Method::Options);
        let tag = tag_of(self.hash.server_tag(request, &via, read.branch, method));
        let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then(|| self.retry_after());
        let bytes = wire::Response { retry, ..self.own_response(request, status, Some(tag), &[]) }.bytes();
        self.send_over(path.flow, remote, bytes, ttl, None);
    }
}
