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
    /// Bytes of the transport, lent. Each message is copied into an allocation of its own, of just its size.
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

/// Events in order. The first has a place of its own, so that a connection whose host keeps up needs no other memory.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    first: Option<Event>,
    /// Empty if `first` is.
    rest: VecDeque<Event>,
}

impl EventQueue {
    #[inline]
    pub(crate) fn push(&mut self, event: Event) {
        if self.first.is_none() {
            self.first = Some(event);
        } else {
            self.rest.push_back(event);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        if self.rest.capacity() == 0 { self.first.take() } else { self.pop_of_many() }
    }

    #[cold]
    fn pop_of_many(&mut self) -> Option<Event> {
        let next = self.rest.pop_front();
        if next.is_none() {
            self.rest = VecDeque::new();
        }
        core::mem::replace(&mut self.first, next)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

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
