//! What comes in: which flow it is for, where one message ends, what is a keepalive.

use super::server::Kind;
use super::{Chore, Endpoint};
use crate::error::InputError;
use crate::flow::FlowState;
use crate::id::{FlowId, QueryId};
use crate::input::{Answer, CloseCause, Input};
use crate::output::{Event, Path};
use crate::stamp::{self, Matched, Stamped};
use crate::stun;
use crate::time::Instant;
use crate::transport::Transport;
use alloc::boxed::Box;
use bytes::Bytes;
use core::net::SocketAddr;
use sip_message::{FramingFault, Message, ParseError, StatusCode, StreamItem, salvage};

/// What is known of a request before it is parsed.
pub(super) struct Read<'a> {
    /// Its topmost Via, and to which port of the source address it has responses go.
    pub(super) via: Matched<'a>,
    pub(super) port: u16,
    /// What it is matched by, and the transaction it belongs to.
    pub(super) tag: u128,
    pub(super) found: Option<u32>,
    pub(super) kind: Kind,
    /// Which counter of live transactions its source has.
    pub(super) source: u16,
}

impl Read<'_> {
    /// Where the response goes: RFC 3261 section 18.2.2, RFC 3581 section 4.
    pub(super) fn response_address(&self, path: &Path) -> SocketAddr {
        // With its zone, if it has one.
        let mut address = path.remote;
        address.set_port(self.port);
        address
    }
}

impl Endpoint {
    #[inline(always)]
    pub(super) fn receive(&mut self, input: Input<'_>) -> Result<(), InputError> {
        match input {
            Input::Datagram { flow, remote, bytes } => self.datagram(flow, remote, bytes),
            Input::Stream { flow, bytes } => self.stream(flow, bytes),
            Input::Message { flow, bytes } => self.whole_message(flow, bytes),
            Input::FlowOpened { flow, local } => self.flow_opened(flow, local),
            Input::FlowClosed { flow, cause } => {
                self.flows.get(flow).ok_or(InputError::UnknownFlow)?;
                self.end_flow(flow, cause);
                Ok(())
            }
            Input::SendFailed { token, cause } => self.send_failed(token, cause),
            Input::Resolved { query, answer } => self.resolved(query, answer),
        }
    }

    #[inline(never)]
    fn resolved(&mut self, query: QueryId, answer: Answer<'_>) -> Result<(), InputError> {
        let done = self.locator.resolved(&self.config, self.now, &mut self.rng, query, answer);
        let Some(done) = done else { return Err(InputError::UnknownQuery) };
        self.drop_chore(done.deadline, Chore::Resolve(query.to_bits()));
        self.ask();
        for (index, targets) in done.located {
            self.located(index, targets);
        }
        Ok(())
    }

    /// The path of an open connection whose transport fits.
    fn path_in(&self, flow: FlowId, fits: impl Fn(Transport) -> bool) -> Result<Path, InputError> {
        let on = self.flows.get(flow).ok_or(InputError::UnknownFlow)?;
        if on.state != FlowState::Open || !fits(on.transport) {
            return Err(InputError::WrongFlowKind);
        }
        Ok(Path { flow, transport: on.transport, local: on.local, remote: on.remote })
    }

    #[inline(always)]
    fn datagram(&mut self, flow: FlowId, remote: SocketAddr, bytes: &[u8]) -> Result<(), InputError> {
        let on = self.flows.get(flow).ok_or(InputError::UnknownFlow)?;
        if on.state != FlowState::Socket {
            return Err(InputError::WrongFlowKind);
        }
        let path = Path { flow, transport: on.transport, local: on.local, remote };
        //= https://www.rfc-editor.org/rfc/rfc5626#section-8
        //# If a server compliant to this section receives SIP requests on a
        //# given interface and UDP port, it MUST also provide a limited version
        //# of a STUN server on the same interface and UDP port.
        // SIP begins with a letter, STUN with two zero bits.
        match bytes.first() {
            Some(0..=3) => return self.stun_in(path, bytes),
            // A datagram of white space or nothing keeps a NAT binding open.
            None | Some(b'\r' | b'\n' | 0x20 | 0x09)
                if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | b' ' | b'\t')) =>
            {
                self.counters.keepalives += 1;
                return Ok(());
            }
            _ => {}
        }
        self.one_message(&path, bytes)
    }

    #[inline(never)]
    fn whole_message(&mut self, flow: FlowId, bytes: &[u8]) -> Result<(), InputError> {
        let path = self.path_in(flow, |transport| transport.is_connected() && !transport.is_stream())?;
        // CRLF keepalives inside of WebSocket messages: answered as on a stream (RFC 5626 section 3.5.1).
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            return self.crlf(path, if bytes.len() >= 4 { 2 } else { 1 });
        }
        self.one_message(&path, bytes)
    }

    fn one_message(&mut self, path: &Path, bytes: &[u8]) -> Result<(), InputError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //# However, implementations MUST be able to handle messages up to the maximum datagram packet size.
        if bytes.len() > self.config.parser.max_message_len {
            let offset = self.config.parser.max_message_len;
            let response = bytes.starts_with(b"SIP/");
            let error = ParseError { kind: FramingFault::MessageTooLong, offset, header: None, response };
            self.refuse(*path, bytes, &error);
            return Err(InputError::Malformed(error));
        }
        let is_response = bytes.starts_with(b"SIP/");
        let source = if is_response { u16::MAX } else { self.source_of(path.remote.ip()) };
        if !is_response && self.is_pressed(source) {
            if let Some(refusal) = self.refused(path, source, bytes) {
                return Err(refusal);
            }
        }
        // Most requests have their Via where it can be completed while they are copied.
        let usual = !is_response && !path.transport.is_connected();
        let port = path.transport.default_port();
        let stamped = usual.then(|| stamp::stamped(bytes, path.remote, port)).flatten();
        let (copy, read) = match stamped {
            Some(Stamped { bytes: copy, matched, port }) => (copy, Some(self.look_up(bytes, matched, port, source))),
            None => (Bytes::copy_from_slice(bytes), None),
        };
        match Message::parse_boxed(copy, &self.config.parser) {
            Ok(message) => match read {
                Some(read) if message.is_request() => self.on_read_request(path, message, &read),
                _ => self.message(path, message),
            },
            Err(error) => self.on_unreadable(path, bytes, read.is_some(), error),
        }
    }

    /// A datagram whose copy cannot be parsed, which may have been told where it came from.
    #[cold]
    fn on_unreadable(&mut self, path: &Path, bytes: &[u8], stamped: bool, error: ParseError) -> Result<(), InputError> {
        // What was put in has moved all that is behind it, and may be what is too long. Parsed by another function than all the others, so that
        // theirs stays where it is inlined.
        let as_it_came = || Message::parse_with(Bytes::copy_from_slice(bytes), &self.config.parser).map(Box::new);
        let error = match stamped.then(as_it_came) {
            Some(Ok(message)) => return self.message(path, message),
            Some(Err(error)) => error,
            None => error,
        };
        self.refuse(*path, bytes, &error);
        Err(InputError::Malformed(error))
    }

    /// The transaction of a request whose Via has been read. Looked up before the request is parsed: by the time that is done, the
    /// table's line has come from memory.
    fn look_up<'a>(&self, bytes: &'a [u8], via: Matched<'a>, port: u16, source: u16) -> Read<'a> {
        let method = stamp::find(bytes, b' ').and_then(|end| bytes.get(..end)).unwrap_or_default();
        let kind = Kind::of(method);
        let method = if kind == Kind::Ack { b"INVITE" } else { method };
        let tag = self.hash.branch_tag(via.branch, via.sent_by, method);
        Read { tag, found: self.find(tag), kind, via, port, source }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //# Therefore, the client transport MUST be prepared to receive the response on the same connection used
    //# to send the request.
    #[inline]
    fn message(&mut self, path: &Path, message: Box<Message>) -> Result<(), InputError> {
        if message.is_request() { self.on_request(path, message) } else { self.on_response(*path, message) }
    }

    /// Answers what cannot be parsed, if enough of it can be read.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //# If the message is a response, it MUST be discarded.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //# If the message is a request, the element
    //# SHOULD generate a 400 (Bad Request) response.
    pub(super) fn refuse(&mut self, path: Path, bytes: &[u8], error: &ParseError) {
        if error.response || !self.has_room() {
            return;
        }
        if let Some(salvaged) = salvage(bytes) {
            // A retransmission that was spoiled on its way says nothing about the request that has arrived whole: a
            // 400 would end that at its client.
            if self.has_server(salvaged.request()) {
                return;
            }
            let status = error.status().unwrap_or(StatusCode::BAD_REQUEST);
            self.answer_stateless(&path, salvaged.request(), status);
        }
    }

    #[inline(never)]
    fn stream(&mut self, flow: FlowId, bytes: &[u8]) -> Result<(), InputError> {
        let path = self.path_in(flow, Transport::is_stream)?;
        let Some(decoder) = self.decoder(flow) else { return Err(InputError::UnknownFlow) };
        decoder.push(bytes);
        let mut result = Ok(());
        loop {
            // A message may have ended the flow.
            let Some(item) = self.decoder(flow).and_then(|decoder| decoder.next_item()) else { return result };
            match item {
                Ok(StreamItem::Message(message)) => {
                    let refused = self.refused_whole(&path, &message);
                    result = result.and(match refused {
                        Some(refusal) => Err(refusal),
                        None => self.message(&path, Box::new(message)),
                    });
                }
                Ok(StreamItem::Crlf { run }) => result = result.and(self.crlf(path, run)),
                Err(error) => {
                    self.refuse(path, &error.head, &error.error);
                    if error.fatal {
                        self.end_flow(flow, CloseCause::Framing);
                        return Err(InputError::Framing(error.error));
                    }
                    result = Err(InputError::Malformed(error.error));
                }
            }
        }
    }

    /// An empty line came in between messages: half of a ping, or a pong.
    fn crlf(&mut self, path: Path, run: u32) -> Result<(), InputError> {
        let awaited = self.flows.get(path.flow).and_then(|on| on.keepalive).is_some_and(|keepalive| keepalive.awaits);
        if awaited {
            self.pong_in(path);
        } else if run % 2 == 0 {
            if !self.has_room() {
                return Err(InputError::Overload);
            }
            self.counters.keepalives += 1;
            self.transmit(path.flow, path.remote, Bytes::from_static(b"\r\n"), None, None);
            self.emit(Event::KeepaliveReceived { path });
        }
        Ok(())
    }

    #[inline(never)]
    fn stun_in(&mut self, path: Path, bytes: &[u8]) -> Result<(), InputError> {
        match stun::read(bytes) {
            Some(stun::Packet::Request { id, unknown }) => {
                if !self.has_room() {
                    return Err(InputError::Overload);
                }
                self.counters.keepalives += 1;
                let answer = stun::answer(&id, path.remote, &unknown);
                self.transmit(path.flow, path.remote, answer, None, None);
                if unknown.is_empty() {
                    self.emit(Event::KeepaliveReceived { path });
                }
                Ok(())
            }
            Some(stun::Packet::Response { id, mapped }) => self.stun_answered(path, id, mapped),
            Some(stun::Packet::Indication) => Ok(()),
            None => Err(InputError::UnknownToken),
        }
    }

    /// Something other than a transaction's timer is due.
    pub(super) fn on_chore(&mut self, at: Instant, chore: Chore) {
        match chore {
            Chore::Connect(flow) => self.end_flow(flow, CloseCause::ConnectTimeout),
            Chore::Keepalive(flow) => self.keepalive_due(flow, at),
            Chore::Stun(id) => self.stun_due(id),
            Chore::Resolve(bits) => {
                let Some(query) = QueryId::from_bits(bits) else { return };
                let answer = Answer::Failed;
                let done = self.locator.resolved(&self.config, self.now, &mut self.rng, query, answer);
                self.ask();
                for (index, targets) in done.into_iter().flat_map(|done| done.located) {
                    self.located(index, targets);
                }
            }
        }
    }

    /// Hands the locator's questions on as events.
    pub(super) fn ask(&mut self) {
        while let Some(question) = self.locator.next_question() {
            let at = self.now + self.config.timers.resolve;
            self.locator.asked(question.query, at);
            self.add_chore(at, Chore::Resolve(question.query.to_bits()));
            self.emit(Event::Query { query: question.query, name: question.name, kind: question.kind });
        }
    }
}
