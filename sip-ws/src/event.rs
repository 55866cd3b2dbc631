//! What goes in and what comes out of a connection.

use crate::{
    close::Closed,
    http::{RequestHead, ResponseHead},
};
use alloc::{boxed::Box, collections::VecDeque};
use bytes::{Bytes, BytesMut};

/// One unit of input.
#[non_exhaustive]
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes of the transport, lent. Each message is copied into an allocation of its own, and unmasked on the way.
    Bytes(&'a [u8]),
    /// Bytes of the transport, given away. A frame that lies whole in them is unmasked in place and handed out as a
    /// slice of the same allocation: nothing is copied, but that slice keeps the whole buffer alive.
    Owned(BytesMut),
    /// The peer has shut down its side, or the transport has failed. Nothing more will come.
    Eof,
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<BytesMut> for Input<'_> {
    fn from(bytes: BytesMut) -> Self {
        Self::Owned(bytes)
    }
}

/// Input that was not taken.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum InputError<'a> {
    /// [`Config::max_queued_events`](crate::Config::max_queued_events) events wait for
    /// [`poll_event`](crate::Connection::poll_event). Nothing was consumed; the input comes back.
    #[error("events must be polled before more input is taken")]
    Backlog(Input<'a>),
}

/// What happened on a connection.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Server: a client asks for a WebSocket. The host owes [`accept`](crate::Connection::accept) or
    /// [`answer`](crate::Connection::answer).
    Upgrade(Box<RequestHead>),
    /// Server: a valid HTTP request that asks for no WebSocket. The host owes [`answer`](crate::Connection::answer), or
    /// takes the bytes to an HTTP server of its own with [`into_bytes`](crate::Connection::into_bytes).
    Http(Box<RequestHead>),
    /// The opening handshake is done; messages may flow.
    Open(Box<Open>),
    /// A text message; the bytes are UTF-8 (checked).
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A SIP message, on a connection with the subprotocol `sip`: one whole message, without empty lines before it. It
    /// is not parsed; it may lack `Content-Length` (RFC 7118 section 5).
    Sip(Bytes),
    /// A Ping was received; its Pong is queued already.
    Ping(Bytes),
    /// A Pong was received.
    Pong(Bytes),
    /// Output that was refused as [`SendFailure::Full`](crate::SendFailure::Full) fits again.
    Writable,
    /// The end. Nothing follows it.
    Closed(Box<Closed>),
}

/// A message that lies in the host's buffer: what [`handle_in_place`](crate::Connection::handle_in_place) finds.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// As [`Event::Text`].
    Text(&'a [u8]),
    /// As [`Event::Binary`].
    Binary(&'a [u8]),
    /// As [`Event::Sip`].
    Sip(&'a [u8]),
}

/// The events that carry bytes of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Sip,
    Ping,
    Pong,
}

impl Kind {
    #[inline(always)]
    fn event(self, bytes: Bytes) -> Event {
        match self {
            Self::Text => Event::Text(bytes),
            Self::Binary => Event::Binary(bytes),
            Self::Sip => Event::Sip(bytes),
            Self::Ping => Event::Ping(bytes),
            Self::Pong => Event::Pong(bytes),
        }
    }
}

/// Events in order. One that carries bytes has a place of its own if it is the first, so that a connection whose host
/// keeps up needs no other memory. It waits there in its parts: put together it would be copied at odd offsets, which
/// costs a processor more than all else that is done to it.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    /// The first event, if it carries `bytes`.
    first: Option<Kind>,
    /// Empty without `first`.
    bytes: Bytes,
    rest: VecDeque<Event>,
}

impl EventQueue {
    pub(crate) fn push(&mut self, event: Event) {
        self.rest.push_back(event);
    }

    #[inline(always)]
    pub(crate) fn push_bytes(&mut self, kind: Kind, bytes: Bytes) {
        if self.is_empty() {
            self.first = Some(kind);
            // What was there is empty: there is nothing to drop.
            core::mem::forget(core::mem::replace(&mut self.bytes, bytes));
        } else {
            self.push(kind.event(bytes));
        }
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        match self.first.take() {
            Some(kind) => Some(kind.event(core::mem::take(&mut self.bytes))),
            None => self.pop_rest(),
        }
    }

    fn pop_rest(&mut self) -> Option<Event> {
        let next = self.rest.pop_front();
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        next
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn heap(&self) -> usize {
        self.rest.capacity() * size_of::<Event>()
    }
}

/// The result of an opening handshake.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The subprotocol agreed on.
    pub protocol: Option<alloc::string::String>,
    /// permessage-deflate is in use.
    pub deflate: bool,
    /// Client: the server's answer.
    pub response: Option<ResponseHead>,
}
