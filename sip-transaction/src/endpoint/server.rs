//! Server transactions: from the request to the user, from the user's response to the network.

use super::Endpoint;
use super::receive::Read;
use super::via::{ReadVia, TopVia, tag_of, via_target};
use crate::cores::{Id, Key, SipHasher};
use crate::destination::{Target, Wanted, WantedHost};
use crate::error::{CommandError, InputError, SendError, SendErrorKind};
use crate::held::Held;
use crate::id::{FlowId, ServerTxId};
use crate::locate::Located;
use crate::machine::{Actions, Status, invite_server, noninvite_server};
use crate::matching::{goes_with, is_rfc3261};
use crate::output::{Event, FailCause, Outcome, Path, SendId, SendToken};
use crate::record::Argument;
use crate::time::Instant;
use crate::timers::{Class, Timer, Which};
use crate::tx::{Flags, Machine, Tx};
use crate::wire::{self, Tag};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use bytes::Bytes;
use core::hash::{BuildHasher as _, Hasher as _};
use core::net::SocketAddr;
use sip_message::{Header, Message, Method, StatusCode};

impl Endpoint {
    /// Answers a request. Provisional responses may be repeated and followed by others; the final one decides what becomes of the
    /// transaction (RFC 3261 section 17.2). A 2xx to an INVITE may be sent again and again: it is the user who retransmits it
    /// (or see [`respond_until_ack`](Endpoint::respond_until_ack)).
    ///
    /// # Errors
    ///
    /// [`SendError`] hands the message back: it is no response; the transaction is over or has its final
    /// response; RFC 4320 forbids it.
    pub fn respond(&mut self, now: Instant, tx: ServerTxId, response: Message) -> Result<(), SendError> {
        if self.is_recording() {
            let arguments = [("tx", Argument::Number(tx.to_bits())), ("message", Argument::Message(&response))];
            self.note(now, "respond", arguments);
        }
        self.respond_in(now, tx, response)
    }

    /// As [`respond`](Endpoint::respond), for a user that keeps the response: to send it again, say.
    ///
    /// # Errors
    ///
    /// As [`respond`](Endpoint::respond).
    pub fn respond_ref(&mut self, now: Instant, tx: ServerTxId, response: &Message) -> Result<(), SendErrorKind> {
        if self.is_recording() {
            let arguments = [("tx", Argument::Number(tx.to_bits())), ("message", Argument::Message(response))];
            self.note(now, "respond", arguments);
        }
        self.advance(now);
        let status = self.status_to_send(tx, response)?;
        self.respond_bytes(tx, status, wire::response(response));
        Ok(())
    }

    fn respond_in(&mut self, now: Instant, tx: ServerTxId, response: Message) -> Result<(), SendError> {
        self.advance(now);
        match self.status_to_send(tx, &response) {
            Ok(status) => self.respond_bytes(tx, status, wire::into_response(response)),
            Err(kind) => return Err(SendError::new(kind, response)),
        }
        Ok(())
    }

    /// The status of a response, if the transaction can have it now.
    fn status_to_send(&self, tx: ServerTxId, response: &Message) -> Result<StatusCode, SendErrorKind> {
        let status = response.status().ok_or(SendErrorKind::WrongKind)?;
        self.check_response(tx, status)?;
        if self.answers(tx, response) { Ok(status) } else { Err(SendErrorKind::Mismatched) }
    }

    /// The transaction, if it can have a response of this status now.
    #[inline(always)]
    fn check_response(&self, tx: ServerTxId, status: StatusCode) -> Result<&Tx, SendErrorKind> {
        let found = self.txs.get(tx.key()).filter(|tx| tx.machine.is_server() && !tx.flags.has(Flags::HIDDEN));
        let found = found.ok_or(SendErrorKind::UnknownTransaction)?;
        match found.machine {
            Machine::InviteServer(invite_server::State::Proceeding) => Ok(found),
            Machine::InviteServer(invite_server::State::Accepted) if Status::of(status) == Status::Success => Ok(found),
            Machine::NonInviteServer(noninvite_server::State::Trying | noninvite_server::State::Proceeding) => {
                let e_is_at_t2 = matches!(found.machine, Machine::NonInviteServer(noninvite_server::State::Proceeding));
                //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
                //# An SIP element MUST NOT send any provisional response with a Status-
                //# Code other than 100 to a non-INVITE request.
                //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
                //# An SIP element MUST NOT respond to a non-INVITE request with a
                //# Status-Code of 100 over any unreliable transport, such as UDP, before
                //# the amount of time it takes a client transaction's Timer E to be
                //# reset to T2.
                //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
                //# An SIP element MAY respond to a non-INVITE request with a
                //# Status-Code of 100 over a reliable transport at any time.
                //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
                //# A transaction-stateful SIP element MUST NOT send a response with
                //# Status-Code of 408 to a non-INVITE request.
                match status.code() {
                    100 if found.transport.is_reliable() || e_is_at_t2 => Ok(found),
                    100..=199 | 408 => Err(SendErrorKind::Forbidden),
                    _ => Ok(found),
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
            //# A transaction-stateful SIP proxy MUST NOT send any response to a non-INVITE request unless it has a
            //# matching server transaction that is not in the Terminated state.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
            //# Any other final responses passed by the TU to the server
            //# transaction MUST be discarded while in the "Completed" state.
            _ => Err(SendErrorKind::AlreadyAnswered),
        }
    }

    /// Whether a response has the topmost Via and the method of a transaction's request.
    fn answers(&self, tx: ServerTxId, response: &Message) -> bool {
        let Some(found) = self.txs.get(tx.key()) else { return false };
        // Most are made from the request, of which the transaction still has the bytes.
        let fields = response.field(Header::Via).zip(response.field(Header::CSeq));
        if fields.is_some_and(|(via, cseq)| goes_with(found.message.as_slice(), via, cseq)) {
            return true;
        }
        let (Ok(via), Ok(cseq)) = (response.top_via(), response.cseq()) else { return false };
        let branch = ReadVia::branch(&via);
        // What RFC 2543 clients are matched by stands in no response.
        !is_rfc3261(branch)
            || self.hash.branch_tag(branch, via.sent_by_bytes(), cseq.method.as_str().as_bytes()) == found.tag
    }

    fn respond_bytes(&mut self, tx: ServerTxId, status: StatusCode, bytes: Bytes) {
        let live = self.txs.len();
        if let Some(found) = self.txs.get_mut(tx.key()) {
            if stays(found, status) {
                found.last = Held::Shared(self.kept.keep(&bytes, live));
            } else {
                self.spare.keep_at(&mut found.last, &bytes);
            }
        }
        self.server_respond(tx.key().index(), Status::of(status), &mut Some(bytes));
    }

    /// A response of the endpoint's own.
    pub(super) fn own_response<'a>(
        &'a self,
        request: &'a Message,
        status: StatusCode,
        tag: Option<Tag>,
        fields: &'a [(Header, &'a str)],
    ) -> wire::Response<'a> {
        let source = wire::Source::default();
        wire::Response { request, status, tag, product: &self.config.product, retry: None, source, fields }
    }

    /// Answers a request with a response that has no more to say than its status: no Contact, no body, and the tag of
    /// [`local_tag`](Endpoint::local_tag). `request` is the one the transaction began with. A 503 has a Retry-After, as those that the
    /// endpoint sends for itself ([`Limits::retry_after`](crate::Limits::retry_after)).
    ///
    /// # Errors
    ///
    /// As [`respond`](Endpoint::respond).
    pub fn reply(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        status: StatusCode,
    ) -> Result<(), SendErrorKind> {
        self.reply_with(now, tx, request, status, &[])
    }

    /// As [`reply`](Endpoint::reply), with further header fields: each a header and its value; a Retry-After among them takes the place of
    /// that of a 503. For a server that answers much, this costs a fraction of what a [`Message`] costs that is built, read and taken apart
    /// again.
    ///
    /// # Errors
    ///
    /// As [`respond`](Endpoint::respond); [`SendErrorKind::Malformed`] if a value holds a line end or another control character.
    pub fn reply_with(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        status: StatusCode,
        fields: &[(Header, &str)],
    ) -> Result<(), SendErrorKind> {
        // Without a way out of the loop, it looks at many bytes at once.
        let control = |any, b: u8| any | ((b < 0x20) & (b != b'\t')) | (b == 0x7f);
        if fields.iter().any(|(_, value)| value.bytes().fold(false, control)) {
            return Err(SendErrorKind::Malformed);
        }
        if self.is_recording() {
            self.note_reply(now, tx, request, status, fields);
        }
        self.advance(now);
        let found = self.check_response(tx, status)?;
        let (stays, tag) = (stays(found, status), (status != StatusCode::TRYING).then(|| tag_of(found.tag)));
        let retry = self.retry_of(status, found.tag, fields);
        let (live, product) = (self.txs.len(), &*self.config.product);
        let source = wire::Source::default();
        let response = wire::Response { request, status, tag, product, retry, source, fields };
        let bytes = if stays { self.kept.write(&response, live) } else { self.kept.write_apart(&response, live) };
        if let Some(found) = self.txs.get_mut(tx.key()) {
            if stays {
                found.last = Held::Shared(bytes.clone());
            } else {
                self.spare.keep_at(&mut found.last, &bytes);
            }
        }
        self.server_respond(tx.key().index(), Status::of(status), &mut Some(bytes));
        Ok(())
    }

    /// Records a reply, if its transaction lives, as the response it is.
    #[cold]
    fn note_reply(
        &mut self,
        now: Instant,
        tx: ServerTxId,
        request: &Message,
        status: StatusCode,
        fields: &[(Header, &str)],
    ) {
        let Some(tag) = self.txs.get(tx.key()).map(|found| found.tag) else { return };
        let retry = self.retry_of(status, tag, fields);
        let tag = (status != StatusCode::TRYING).then(|| tag_of(tag));
        let bytes = wire::Response { retry, ..self.own_response(request, status, tag, fields) }.bytes();
        if let Ok(response) = Message::parse_with(bytes, &self.config.parser) {
            let arguments = [("tx", Argument::Number(tx.to_bits())), ("message", Argument::Message(&response))];
            self.note(now, "respond", arguments);
        }
    }

    /// Accepts an INVITE with a 2xx that the endpoint retransmits, at T1, then doubling up to T2, over any transport (RFC 3261 section
    /// 13.3.1.4), until [`acknowledge`](Endpoint::acknowledge) tells that the ACK has come. If that never happens the
    /// transaction ends as [`Outcome::NotAcknowledged`] after 64 * T1: send a BYE.
    ///
    /// # Errors
    ///
    /// As [`respond`](Endpoint::respond); also if it is not a 2xx or not an INVITE.
    pub fn respond_until_ack(&mut self, now: Instant, tx: ServerTxId, response: Message) -> Result<(), SendError> {
        if self.is_recording() {
            let arguments = [("tx", Argument::Number(tx.to_bits())), ("message", Argument::Message(&response))];
            self.note(now, "respond-until-ack", arguments);
        }
        self.advance(now);
        let success = response.status().is_some_and(StatusCode::is_success);
        let proceeding = Machine::InviteServer(invite_server::State::Proceeding);
        match self.txs.get(tx.key()) {
            Some(_) if !success => return Err(SendError::new(SendErrorKind::WrongKind, response)),
            Some(found) if found.machine == proceeding => {}
            Some(found) if matches!(found.machine, Machine::InviteServer(_)) => {
                return Err(SendError::new(SendErrorKind::AlreadyAnswered, response));
            }
            Some(_) => return Err(SendError::new(SendErrorKind::WrongKind, response)),
            None => return Err(SendError::new(SendErrorKind::UnknownTransaction, response)),
        }
        self.respond_in(now, tx, response)?;
        if let Some(found) = self.txs.get_mut(tx.key()) {
            found.flags.set(Flags::UNTIL_ACK);
            found.step = 1;
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
            //# The 2xx response is passed to the transport with an
            //# interval that starts at T1 seconds and doubles for each
            //# retransmission until it reaches T2 seconds (T1 and T2 are defined in
            //# Section 17).
            self.set_timer(tx.key().index(), Which::Retransmit, Timer::G, Class::T1x1);
        }
        Ok(())
    }

    /// The ACK for a 2xx has come: [`Event::Ack`] brings it, and the dialog it belongs to tells which INVITE it is for.
    ///
    /// # Errors
    ///
    /// The id is stale, or nothing is being retransmitted.
    pub fn acknowledge(&mut self, now: Instant, tx: ServerTxId) -> Result<(), CommandError> {
        if self.is_recording() {
            self.note(now, "acknowledge", [("tx", Argument::Number(tx.to_bits()))]);
        }
        self.advance(now);
        let live = self.txs.len();
        let found = self.txs.get_mut(tx.key()).ok_or(CommandError::Unknown)?;
        if !found.flags.has(Flags::UNTIL_ACK) {
            return Err(CommandError::Already);
        }
        found.flags.clear(Flags::UNTIL_ACK);
        // Neither this response nor its request is ever sent again. Its tag is that of the answer to a CANCEL that is late, and of an
        // ACK of RFC 2543: as much of a message as to tell that by.
        if let Some(to) = wire::to_line(found.last.as_slice()) {
            if let Some(short) = self.kept.keep_parts([b"SIP/2.0 200 OK\r\n", to, b"\r\n"], live) {
                self.spare.give(core::mem::replace(&mut found.last, Held::Shared(short)));
            }
        }
        self.timers.clear(tx.key().index(), Which::Retransmit);
        Ok(())
    }

    /// Gives a server transaction up without an answer, as a stateless element does. A retransmission of the request will come as a new
    /// one.
    ///
    /// # Errors
    ///
    /// The id is stale.
    pub fn abandon(&mut self, now: Instant, tx: ServerTxId) -> Result<(), CommandError> {
        if self.is_recording() {
            self.note(now, "abandon", [("tx", Argument::Number(tx.to_bits()))]);
        }
        self.advance(now);
        let found = self.txs.get(tx.key()).ok_or(CommandError::Unknown)?;
        if !found.machine.is_server() || found.flags.has(Flags::HIDDEN) {
            return Err(CommandError::Unknown);
        }
        self.finish(tx.key().index(), Outcome::Abandoned);
        Ok(())
    }

    /// A tag for the To of this transaction's responses: the one the endpoint uses if it has to answer a CANCEL before its user has
    /// answered the INVITE, which RFC 3261 section 9.2 wants to be the same. `None` for a stale id.
    pub fn local_tag(&self, tx: ServerTxId) -> Option<Tag> {
        let found = self.txs.get(tx.key()).filter(|tx| tx.machine.is_server())?;
        Some(tag_of(found.tag))
    }

    /// Over which flow and between which addresses the request came; `None` if the flow or the transaction has ended.
    pub fn server_path(&self, tx: ServerTxId) -> Option<Path> {
        let found = self.txs.get(tx.key()).filter(|tx| tx.machine.is_server())?;
        self.path_of(found.flow?, found.remote)
    }

    /// Answers a request that has no transaction: one taken from an ended or abandoned one, or made up. It is sent once. `path`
    /// is where the request came from.
    ///
    /// # Errors
    ///
    /// It is no response, its topmost Via cannot be read, or the flow has ended.
    pub fn respond_stateless(&mut self, now: Instant, path: Path, response: Message) -> Result<SendId, SendError> {
        if self.is_recording() {
            let arguments = [("path", Argument::Path(&path)), ("message", Argument::Message(&response))];
            self.note(now, "respond-stateless", arguments);
        }
        self.advance(now);
        if !response.is_response() {
            return Err(SendError::new(SendErrorKind::WrongKind, response));
        }
        let Ok(via) = response.top_via() else { return Err(SendError::new(SendErrorKind::Malformed, response)) };
        let (remote, ttl) = ReadVia::of(&via).response_address(&path);
        let Some(on) = self.flows.get(path.flow) else {
            return Err(SendError::new(SendErrorKind::UnknownFlow(path.flow), response));
        };
        let remote = if on.transport.is_connected() { on.remote } else { remote };
        let send = SendId(self.new_send_id());
        let token = Some(SendToken(super::client::SEND_TOKEN | send.0));
        self.send_over(path.flow, remote, wire::into_response(response), ttl, token);
        Ok(send)
    }

    /// Forwards a response that a stateless proxy received and has taken its Via from: by the topmost Via that is left (RFC 3261
    /// section 18.2.2). It is sent once.
    ///
    /// # Errors
    ///
    /// It is no response, or its topmost Via cannot be read or names no transport that is supported.
    pub fn forward_response(&mut self, now: Instant, response: Message) -> Result<SendId, SendError> {
        if self.is_recording() {
            self.note(now, "forward-response", [("message", Argument::Message(&response))]);
        }
        self.advance(now);
        if !response.is_response() {
            return Err(SendError::new(SendErrorKind::WrongKind, response));
        }
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.3
        //# If the server transaction is no longer available to handle the transmission, the element MUST
        //# forward the response statelessly by sending it to the server transport.
        let target = response.top_via().ok().and_then(|via| via_target(&via));
        let Some(target) = target else { return Err(SendError::new(SendErrorKind::NoTarget, response)) };
        let Some(flow) = self.flow_to(&target) else {
            return Err(SendError::new(SendErrorKind::NoTransport, response));
        };
        let send = SendId(self.new_send_id());
        let token = Some(SendToken(super::client::SEND_TOKEN | send.0));
        if !self.send_over(flow, target.address, wire::response(&response), None, token) {
            return Err(SendError::new(SendErrorKind::Full, response));
        }
        Ok(send)
    }

    /// The branch for a request that a stateless proxy forwards: the same for each retransmission, different for different
    /// transactions (RFC 3261 section 16.11), for one seed.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.4
    //= type=exception
    //= reason=a stateless proxy that needs one order pins the target: Destination::targets
    //# The stateless proxy MUST define a deterministic order to the records in that case, using any
    //# algorithm at its disposal.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.4
    //= type=exception
    //= reason=a decision of the proxy core
    //# As such, whenever a proxy does not successfully contact the first server, it SHOULD act as a
    //# stateful proxy.
    pub fn stateless_branch(&self, request: &Message) -> String {
        let mut hash = self.hash.build_hasher();
        // Nothing that a transaction is matched by begins so.
        hash.write(b"\x01");
        let part = |hash: &mut SipHasher, bytes: &[u8]| {
            hash.write(bytes);
            hash.end_part();
        };
        let branch = request.top_via().ok().and_then(|via| via.branch().ok().flatten()).unwrap_or_default();
        if is_rfc3261(branch.as_bytes()) {
            hash.write_lowercase(branch.as_bytes());
        } else {
            part(&mut hash, request.field(Header::Via).unwrap_or_default());
            let tag = request.from().ok().and_then(|from| from.tag().ok().flatten()).unwrap_or_default();
            part(&mut hash, tag.as_bytes());
            part(&mut hash, request.field(Header::CallId).unwrap_or_default());
            hash.write(&request.cseq().map_or(0, |cseq| cseq.number).to_le_bytes());
        }
        part(&mut hash, request.request_uri_bytes().unwrap_or_default());
        String::from(wire::Branch::new(hash.finish128()).as_str())
    }

    // What comes in.

    /// A request came in that is not turned away.
    pub(super) fn on_request(&mut self, path: &Path, message: Box<Message>) -> Result<(), InputError> {
        self.note_request(path, &message)?;
        let Some(method) = message.method() else { return Err(InputError::Unmatchable) };
        let kind = Kind::of(method.as_str().as_bytes());
        self.on_other_request(path, message, kind, None)
    }

    /// The same for one whose Via has been read before it was parsed, and stamped: responses go to the source address.
    #[inline]
    pub(super) fn on_read_request(
        &mut self,
        path: &Path,
        message: Box<Message>,
        read: &Read<'_>,
    ) -> Result<(), InputError> {
        self.note_request(path, &message)?;
        match read.kind {
            kind @ (Kind::Invite | Kind::Other) if read.found.is_none() => {
                let raw = self.keep_request(kind, &message);
                self.begin_server(
                    path,
                    message,
                    raw,
                    kind,
                    (read.tag, read.source),
                    (read.response_address(path), None),
                )
            }
            kind => match read.found {
                Some(index) => self.retransmission(index, *path, message, true),
                None => self.on_other_request(path, message, kind, Some(read)),
            },
        }
    }

    /// Counts a request, and answers one of another version.
    #[inline(always)]
    fn note_request(&mut self, path: &Path, request: &Message) -> Result<(), InputError> {
        self.counters.requests_received += 1;
        if request.is_version_2() {
            return Ok(());
        }
        // RFC 3261 section 21.5.6: what another version means by it is not known.
        self.answer_stateless(path, request, StatusCode::VERSION_NOT_SUPPORTED);
        Err(InputError::Version)
    }

    /// A request that is not stamped yet, or does not begin a transaction of its own.
    #[inline(never)]
    fn on_other_request(
        &mut self,
        path: &Path,
        mut message: Box<Message>,
        kind: Kind,
        read_before: Option<&Read<'_>>,
    ) -> Result<(), InputError> {
        let stamped = read_before.is_some();
        let top = match read_before {
            Some(Read { via, port, .. }) => TopVia::stamped(*via, *port),
            None => TopVia::of(&message).ok_or(InputError::Unmatchable)?,
        };
        let (tag, found) = match read_before {
            Some(read) => (read.tag, read.found),
            None => {
                let tag = top.tag(self.hash, &message, message.method().unwrap_or(Method::Options));
                (tag, self.find(tag))
            }
        };
        if let Some(index) = found {
            return self.retransmission(index, *path, message, false);
        }
        let cancelled = match kind {
            Kind::Cancel => CANCELLED.iter().find_map(|method| self.find(top.tag(self.hash, &message, *method))),
            _ => None,
        };
        let read = top.read;
        // The rest of what Via says, before the message is changed.
        let to = read.response_address(path);
        let alias = read.alias;
        let port = read.port.unwrap_or(path.transport.default_port());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
        //# When the server transport receives a request over any transport, it
        //# MUST examine the value of the "sent-by" parameter in the top Via
        //# header field value.
        // A `received` that is there already is the sender's word.
        let differs = !stamped && (read.received.is_some() || read.ip != Some(path.remote.ip()));
        let rport = read.rport == Some(None);
        let source = match read_before {
            Some(read) => read.source,
            None => self.source_of(path.remote.ip()),
        };
        // What is kept is what came, unless `make_response` could not tell from that where the request came from.
        let kept_whole = read.maddr.is_some() || read.received.is_some();
        let begins = kind != Kind::Ack && cancelled.is_none();
        let raw = if kept_whole || !begins { Held::NOTHING } else { self.keep_request(kind, &message) };
        self.stamp(&mut message, path, differs, rport);
        let raw = if kept_whole && begins { self.keep_request(kind, &message) } else { raw };
        if alias {
            self.know_alias(path, port);
        }
        match (kind, cancelled) {
            (Kind::Ack, _) => {
                self.emit(Event::Ack { tx: None, path: *path, message });
                Ok(())
            }
            (Kind::Cancel, Some(found)) => self.on_cancel(found, (tag, source), *path, to.0, message),
            _ => self.begin_server(path, message, raw, kind, (tag, source), to),
        }
    }

    /// The request as its transaction keeps it.
    #[inline(always)]
    fn keep_request(&mut self, kind: Kind, request: &Message) -> Held {
        match kind {
            // It may ring for long: it is kept together with the message, as long as that lives.
            Kind::Invite => Held::Shared(request.to_bytes()),
            _ => self.spare.keep_message(request),
        }
    }

    /// Begins a server transaction. `raw`: what is kept of its request; `remote`: where the response goes, and with which TTL.
    #[inline]
    fn begin_server(
        &mut self,
        path: &Path,
        message: Box<Message>,
        raw: Held,
        kind: Kind,
        (tag, source): (u128, u16),
        (remote, ttl): (SocketAddr, Option<u8>),
    ) -> Result<(), InputError> {
        let step = if kind == Kind::Invite { start_invite() } else { start_other() };
        let Ok(machine) = step.next else { return Err(InputError::Unmatchable) };
        let tx = Tx { transport: path.transport, remote, ttl, message: raw, source, ..Tx::new(machine) };
        let Some(key) = self.insert_server(tx, tag, path.flow) else { return Err(InputError::Overload) };
        self.counters.server_transactions += 1;
        self.emit(Event::Request { tx: ServerTxId::from_key(key), path: *path, message });
        self.set_timers(key.index(), &step);
        Ok(())
    }

    /// Whether a request belongs to a server transaction that lives.
    pub(super) fn has_server(&self, request: &Message) -> bool {
        let (Some(method), Ok(via)) = (request.method(), request.top_via()) else { return false };
        let method = if method == Method::Ack { Method::Invite } else { method };
        self.find(self.hash.server_tag(request, &via, ReadVia::branch(&via), method)).is_some()
    }

    #[inline(always)]
    fn insert_server(&mut self, tx: Tx, tag: u128, flow: FlowId) -> Option<Key> {
        let source = usize::from(tx.source);
        let key = self.insert(tx)?;
        if let Some(count) = self.sources.get_mut(source) {
            *count += 1;
        }
        self.enter(key.index(), tag);
        self.link_first(key.index(), flow);
        Some(key)
    }

    /// Writes where the request came from into its topmost Via.
    fn stamp(&self, message: &mut Message, path: &Path, differs: bool, rport: bool) {
        let source = self.source_for_via(path, differs, rport);
        if !source.is_empty() && message.set_source(source.received, source.rport).is_err() {
            // What is wrong may stand behind the one and not behind the other.
            let _ = source.received.map(|ip| message.set_received(ip));
            let _ = source.rport.map(|port| message.set_rport(port));
        }
    }

    /// What the topmost Via of a request is told of where it came from. `differs`: its sent-by is not the source address; `rport`: it
    /// has that parameter without a value.
    pub(super) fn source_for_via(&self, path: &Path, differs: bool, rport: bool) -> wire::Source {
        //= https://www.rfc-editor.org/rfc/rfc7118#section-1
        //# Section 3 in this specification relaxes the requirement in [RFC3261] by which the SIP server
        //# transport MUST add a "received" parameter in the top Via header in certain circumstances.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //# When a SIP WebSocket Server receives a request, it MAY decide not
        //# to add a "received" parameter to the top Via header.
        if path.transport.is_websocket() && !self.config.received_over_websocket {
            return wire::Source::default();
        }
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //# When the server transport receives a request over any transport, it MUST examine the value of the
        //# "sent-by" parameter in the top Via header field value.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //# If the host portion of the "sent-by" field contains a domain name, or if it contains an IP address
        //# that differs from the packet source address, the server MUST add a "received" parameter to that Via
        //# header field value.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //# This parameter MUST contain the source address from which the packet was received.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
        //# If the host portion of the "sent-by" parameter
        //# contains a domain name, or if it contains an IP address that differs
        //# from the packet source address, the server MUST add a "received"
        //# parameter to that Via header field value.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
        //# This parameter MUST contain
        //# the source address from which the packet was received.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-4
        //# In fact, the server MUST insert a "received" parameter
        //# containing the source IP address that the request came from, even if
        //# it is identical to the value of the "sent-by" component.
        let received = (differs || rport).then(|| path.remote.ip());
        //= https://www.rfc-editor.org/rfc/rfc3581#section-4
        //# If this Via header field value contains an "rport" parameter
        //# with no value, it MUST set the value of the parameter to the source
        //# port of the request.
        wire::Source { received, rport: rport.then(|| path.remote.port()) }
    }

    /// A request that belongs to a live transaction: sent again, or an ACK. `unique`: its branch is known to be one of RFC 3261, so that
    /// an ACK is for no other transaction.
    fn retransmission(
        &mut self,
        index: u32,
        path: Path,
        mut message: Box<Message>,
        unique: bool,
    ) -> Result<(), InputError> {
        let ack = message.method() == Some(Method::Ack);
        let Some(key) = self.txs.id_at(index) else { return Err(InputError::Stray) };
        let Some(tx) = self.txs.at_mut(index) else { return Err(InputError::Stray) };
        let reliable = tx.transport.is_reliable();
        // A client behind a NAT may have got another port meanwhile, or another connection.
        if tx.flow.is_none() && tx.transport == path.transport {
            tx.remote = path.remote;
            self.link(index, path.flow);
        }
        let Some(tx) = self.txs.at(index) else { return Err(InputError::Stray) };
        match tx.machine {
            Machine::InviteServer(state) => {
                let what = if ack { invite_server::Occurrence::Ack } else { invite_server::Occurrence::Invite };
                if ack && !unique && !self.ack_fits(index, &message) {
                    self.emit(Event::Ack { tx: None, path, message });
                    return Ok(());
                }
                let step = invite_server::on(state, what, reliable).map(Machine::InviteServer);
                if !ack && step.actions == Actions::NONE {
                    self.counters.absorbed += 1;
                }
                //= https://www.rfc-editor.org/rfc/rfc6026#section-6
                //# When receiving an ACK that matches an existing INVITE server transaction and that does not contain a
                //# branch parameter containing the magic cookie defined in RFC 3261, the matching transaction MUST be
                //# checked to see if it is in the "Accepted" state.
                if step.actions.has(Actions::PASS) {
                    let via = message.top_via().ok().and_then(|via| via.rport().ok().flatten());
                    self.stamp(&mut message, &path, true, via == Some(None));
                    self.emit(Event::Ack { tx: Some(ServerTxId::from_key(key)), path, message });
                }
                self.server_step(index, step, None);
            }
            Machine::NonInviteServer(state) => {
                let step = noninvite_server::on(state, noninvite_server::Occurrence::Request, reliable);
                if step.actions == Actions::NONE {
                    self.counters.absorbed += 1;
                }
                self.server_step(index, step.map(Machine::NonInviteServer), None);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an ACK of an RFC 2543 client is for the response this transaction sent: the To tag tells.
    fn ack_fits(&self, index: u32, ack: &Message) -> bool {
        let branch = ack.top_via().ok().and_then(|via| via.branch().ok().flatten()).unwrap_or_default();
        if is_rfc3261(branch.as_bytes()) {
            return true;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
        //# The ACK request matches a transaction if the Request-
        //# URI, From tag, Call-ID, CSeq number (not the method), and top Via
        //# header field match those of the INVITE request which created the
        //# transaction, and the To tag of the ACK matches the To tag of the
        //# response sent by the server transaction.
        let Some(tx) = self.txs.at(index) else { return false };
        let Ok(response) = Message::parse_with(tx.last.to_bytes(), &self.config.parser) else { return false };
        let sent = response.to().ok().and_then(|to| to.tag().ok().flatten());
        let came = ack.to().ok().and_then(|to| to.tag().ok().flatten());
        sent == came
    }

    /// A CANCEL for a live transaction: RFC 3261 section 9.2.
    fn on_cancel(
        &mut self,
        invite: u32,
        (tag, source): (u128, u16),
        path: Path,
        remote: SocketAddr,
        message: Box<Message>,
    ) -> Result<(), InputError> {
        let Some(key) = self.txs.id_at(invite) else { return Err(InputError::Stray) };
        let Some(tx) = self.txs.at(invite) else { return Err(InputError::Stray) };
        let pending = tx.machine == Machine::InviteServer(invite_server::State::Proceeding);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        //# the To tag of the response to the CANCEL and the To tag
        //# in the response to the original request SHOULD be the same.
        let sent = Message::parse_with(tx.last.to_bytes(), &self.config.parser).ok();
        let sent_tag = sent.as_ref().and_then(|sent| sent.to().ok()?.tag().ok().flatten());
        let local_tag = tag_of(tx.tag);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        //# Regardless of the method of the original request, as long as the
        //# CANCEL matched an existing transaction, the UAS answers the CANCEL
        //# request itself with a 200 (OK) response.
        let response =
            Message::response(&message, StatusCode::OK).to_tag(sent_tag.unwrap_or(local_tag.as_str())).build();
        let step = start_other();
        let Ok(machine) = step.next else { return Err(InputError::Unmatchable) };
        let mut cancel = Tx::new(machine);
        cancel.flags.set(Flags::HIDDEN);
        (cancel.transport, cancel.remote) = (path.transport, remote);
        let Ok(response) = response else { return Err(InputError::Unmatchable) };
        let response = wire::into_response(response);
        cancel.last = Held::Shared(response.clone());
        cancel.source = source;
        let Some(made) = self.insert_server(cancel, tag, path.flow) else { return Err(InputError::Overload) };
        self.set_timers(made.index(), &step);
        self.server_respond(made.index(), Status::Success, &mut Some(response));
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        //# If the original
        //# request was an INVITE, the UAS SHOULD immediately respond to the
        //# INVITE with a 487 (Request Terminated).
        if pending {
            self.emit(Event::Cancel { tx: ServerTxId::from_key(key), message });
        } else {
            self.counters.absorbed += 1;
        }
        Ok(())
    }

    // What goes out.

    /// The response lies in `last`, and has just been `made`: the machine's next step.
    pub(super) fn server_respond(&mut self, index: u32, class: Status, made: &mut Option<Bytes>) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        if class != Status::Provisional {
            self.spare.give(core::mem::replace(&mut tx.message, Held::NOTHING));
        }
        let reliable = tx.transport.is_reliable();
        match tx.machine {
            Machine::InviteServer(state) => {
                let step = invite_server::on(state, invite_server::Occurrence::Respond(class), reliable);
                self.responding_step(index, step.map(Machine::InviteServer), None, made);
            }
            Machine::NonInviteServer(state) => {
                // Without its connection the response has a way to find first: the transaction must outlive that.
                let done_when_sent = reliable && tx.flow.is_some();
                let step = noninvite_server::on(state, noninvite_server::Occurrence::Respond(class), done_when_sent);
                self.responding_step(index, step.map(Machine::NonInviteServer), None, made);
            }
            _ => {}
        }
    }

    /// Makes a response of the endpoint's own from the request of a transaction, keeps it, and hands it out to be sent.
    pub(super) fn make_response(&mut self, index: u32, status: StatusCode) -> Option<Bytes> {
        let tx = self.txs.at(index)?;
        let request = Message::parse_with(tx.message.to_bytes(), &self.config.parser).ok()?;
        let path = tx.flow.and_then(|flow| self.path_of(flow, tx.remote));
        let source = match (path, request.top_via().as_ref().map(ReadVia::of)) {
            // With `received` or `maddr` it was kept as it was handed on; without, responses go to where it came from.
            (Some(path), Ok(read)) if read.received.is_none() && read.maddr.is_none() => {
                self.source_for_via(&path, read.ip != Some(path.remote.ip()), read.rport == Some(None))
            }
            _ => wire::Source::default(),
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# The 100
        //# (Trying) response is constructed according to the procedures in
        //# Section 8.2.6, except that the insertion of tags in the To header
        //# field of the response (when none was present in the request) is
        //# downgraded from MAY to SHOULD NOT.
        let tag = (status != StatusCode::TRYING).then(|| tag_of(tx.tag));
        let (live, product) = (self.txs.len(), &*self.config.product);
        let response = wire::Response { request: &request, status, tag, product, retry: None, source, fields: &[] };
        let bytes = self.kept.write_apart(&response, live);
        let tx = self.txs.at_mut(index)?;
        self.spare.keep_at(&mut tx.last, &bytes);
        Some(bytes)
    }

    /// Sends the last response, which may have just been `made`, to where responses go: RFC 3261 section 18.2.2.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //# It MUST follow the following process:
    pub(super) fn send_response(&mut self, index: u32, made: &mut Option<Bytes>) {
        let Some(tx) = self.txs.at(index) else { return };
        if tx.last.is_empty() && made.is_none() {
            return;
        }
        match tx.flow {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
            //# If the "sent-protocol" is a reliable transport protocol such as
            //# TCP or SCTP, or TLS over those, the response MUST be sent using
            //# the existing connection to the source of the original request
            //# that created the transaction, if that connection is still open.
            //= https://www.rfc-editor.org/rfc/rfc3581#section-4
            //# The response MUST be sent from
            //# the same address and port that the corresponding request was received
            //# on.
            Some(flow) => {
                let bytes = made.take().unwrap_or_else(|| tx.last.to_bytes());
                let (remote, ttl) = (tx.remote, tx.ttl);
                let token = self.token(index);
                self.send_over(flow, remote, bytes, ttl, token);
            }
            None => self.detour(index, FailCause::Flow(crate::input::CloseCause::Closed)),
        }
    }

    /// The flow of the request ended: nothing to do until there is something to send.
    pub(super) fn server_lost_flow(&mut self, index: u32) {
        let Some(tx) = self.txs.at(index) else { return };
        // What was on its way over the detour is lost.
        if tx.flags.has(Flags::DETOUR) {
            self.detour(index, FailCause::Flow(crate::input::CloseCause::Closed));
        }
    }

    /// A response could not be sent.
    pub(super) fn response_failed(&mut self, index: u32, cause: FailCause) {
        self.unlink(index);
        self.detour(index, cause);
    }

    /// Sends the response some other way than back over the flow of its request.
    fn detour(&mut self, index: u32, cause: FailCause) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        let Ok(response) = Message::parse_with(tx.last.to_bytes(), &self.config.parser) else { return };
        let Ok(via) = response.top_via() else { return };
        let first = !tx.flags.has(Flags::DETOUR);
        tx.flags.set(Flags::DETOUR);
        // A WebSocket client cannot be connected to: RFC 7118 section 5.3.
        if tx.transport.is_websocket() {
            return self.server_transport_error(index, cause);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //# If that connection is no longer open, the server SHOULD open a
        //# connection to the IP address in the "received" parameter, if
        //# present, using the port in the "sent-by" value, or the default
        //# port for that transport, if no port is specified.
        if first && tx.transport.is_connected() {
            if let Some(target) = via_target(&via) {
                return self.respond_to(index, &target);
            }
        }
        if !tx.flags.has(Flags::ASKED) {
            tx.flags.set(Flags::ASKED);
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
            //# If that
            //# connection attempt fails, the server SHOULD use the procedures
            //# in [4] for servers in order to determine the IP address and
            //# port to open the connection and send the response to.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
            //# If this fails, for example, elicits an ICMP "port
            //# unreachable" response, the procedures of Section 5 of [4]
            //# SHOULD be used to determine where to send the response.
            let transport = tx.transport;
            if let Ok((host, port)) = via.sent_by() {
                if let Ok(host) = WantedHost::of(host) {
                    let port = port.filter(|port| *port != 0);
                    let wanted =
                        Wanted { host, port, transport: Some(transport), secure: transport.is_secure(), ttl: None };
                    match self.locate(index, &wanted) {
                        Located::Later => return,
                        Located::Now(targets) => return self.response_located(index, targets),
                    }
                }
            }
        }
        let next = self.txs.at_mut(index).and_then(|tx| tx.more.as_mut()?.targets.pop_front());
        match next {
            Some(target) => self.respond_to(index, &target),
            None => self.server_transport_error(index, cause),
        }
    }

    /// DNS has told where the response can go.
    pub(super) fn response_located(&mut self, index: u32, mut targets: VecDeque<Target>) {
        let next = targets.pop_front();
        if let Some(tx) = self.txs.at_mut(index) {
            tx.more().targets = targets;
        }
        match next {
            Some(target) => self.respond_to(index, &target),
            None => self.server_transport_error(index, FailCause::Unresolvable),
        }
    }

    fn respond_to(&mut self, index: u32, target: &Target) {
        let Some(flow) = self.flow_to(target) else {
            return self.server_transport_error(index, FailCause::Flow(crate::input::CloseCause::Local));
        };
        self.link(index, flow);
        let Some(tx) = self.txs.at_mut(index) else { return };
        tx.remote = target.address;
        let bytes = tx.last.to_bytes();
        let token = self.token(index);
        self.send_over(flow, target.address, bytes, None, token);
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.4
    //# If those should all fail, based on the
    //# definition of failure in [4], the server transaction SHOULD inform
    //# the TU that a failure has occurred, and SHOULD transition to the
    //# terminated state.
    fn server_transport_error(&mut self, index: u32, cause: FailCause) {
        let Some(tx) = self.txs.at(index) else { return };
        let reliable = tx.transport.is_reliable();
        match tx.machine {
            Machine::InviteServer(state) => {
                let step = invite_server::on(state, invite_server::Occurrence::TransportError, reliable);
                self.server_step(index, step.map(Machine::InviteServer), Some(cause));
            }
            Machine::NonInviteServer(state) => {
                let step = noninvite_server::on(state, noninvite_server::Occurrence::TransportError, reliable);
                self.server_step(index, step.map(Machine::NonInviteServer), Some(cause));
            }
            _ => {}
        }
    }
}

/// Whether a response stays with its transaction until timer J. Over streams it is forgotten when it has been sent: timer J is 0.
fn stays(tx: &Tx, status: StatusCode) -> bool {
    matches!(tx.machine, Machine::NonInviteServer(_)) && !tx.transport.is_connected() && !status.is_provisional()
}

/// Methods whose transactions a CANCEL may name: the one it cancels first, and those for which it is only answered.
const CANCELLED: [Method<'static>; 12] = [
    Method::Invite,
    Method::Subscribe,
    Method::Notify,
    Method::Refer,
    Method::Register,
    Method::Options,
    Method::Message,
    Method::Publish,
    Method::Bye,
    Method::Update,
    Method::Info,
    Method::Prack,
];

/// Methods, as far as server transactions tell them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invite,
    Ack,
    Cancel,
    Other,
}

impl Kind {
    #[inline(always)]
    pub(super) fn of(method: &[u8]) -> Kind {
        match method {
            b"INVITE" => Kind::Invite,
            b"ACK" => Kind::Ack,
            b"CANCEL" => Kind::Cancel,
            _ => Kind::Other,
        }
    }
}

fn start_invite() -> crate::machine::Step<Machine> {
    invite_server::start().map(Machine::InviteServer)
}

fn start_other() -> crate::machine::Step<Machine> {
    noninvite_server::start().map(Machine::NonInviteServer)
}
