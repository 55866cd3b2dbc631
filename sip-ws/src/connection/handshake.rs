//! The opening handshake, both ends (RFC 6455 section 4, RFC 7118 section 4.1).

use super::{Connection, HeadPhase, Misuse, Phase};
use crate::{
    client::ClientRequest,
    close::Cause,
    config::Config,
    event::{Event, Open},
    frame::FrameHeader,
    http::{
        Answer, AnswerError, BadAnswer, Fields, HeadBuffer, HeadFault, RequestError, RequestHead, ResponseHead,
        check_field, extensions, is_token, split_authority,
    },
    time::Instant,
};
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, sync::Arc, vec::Vec};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Bytes, BytesMut};
use core::fmt::Write as _;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use sha1::{Digest as _, Sha1};

/// A server has handed out a request and waits for the host's answer.
#[derive(Debug)]
pub(super) struct Waiting {
    head: RequestHead,
    /// Bytes that came behind the head, too early.
    early: BytesMut,
    /// The upgrade that was asked for; `None` for a plain request.
    upgrade: Option<Upgrade>,
}

/// What the checks of an upgrade request found.
#[derive(Debug)]
struct Upgrade {
    accept_key: String,
    /// The subprotocol that the configuration prefers among those offered.
    protocol: Option<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<crate::deflate::Agreement>,
}

impl Waiting {
    pub(super) fn heap(&self) -> usize {
        size_of::<Self>() + self.head.fields().raw().len() + self.early.capacity()
    }
}

/// What a client remembers of its request until the answer comes.
#[derive(Debug)]
pub(super) struct ClientHandshake {
    accept_key: String,
    /// How many interim responses have come.
    interim: u8,
}

/// The most interim responses (1xx other than 101) that a client passes over. Servers send one at most.
const MOST_INTERIM: u8 = 16;

/// How a host accepts an upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    protocol: Option<String>,
    identity: Option<String>,
    fields: Vec<(String, String)>,
}

impl Accept {
    /// Accepts with the subprotocol that [`Config::protocols`] prefers among those the client offers, or without one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the subprotocol, which must be one that the client offers.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.to_owned());
        self
    }

    /// Keeps with the connection who authenticated in the handshake (RFC 7118 section 7): see
    /// [`Connection::identity`].
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        self.identity = Some(identity.to_owned());
        self
    }

    /// Adds a header field to the 101, `Set-Cookie` for example.
    ///
    /// # Errors
    /// [`BadAnswer`] if it could break the head, or is one of the handshake's own.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BadAnswer> {
        check_field(name, value)?;
        if is_handshake_field(name) {
            return Err(BadAnswer::Reserved);
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }
}

/// True for the fields that the handshake itself writes.
pub(crate) fn is_handshake_field(name: &str) -> bool {
    let own = ["host", "upgrade", "connection", "content-length", "transfer-encoding"];
    own.iter().any(|own| name.eq_ignore_ascii_case(own))
        || name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("sec-websocket-"))
}

/// Why an upgrade could not be accepted. Nothing changed; the host may accept otherwise.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// No upgrade waits for an answer.
    #[error("no upgrade waits for an answer")]
    NothingToAccept,
    /// The client did not offer this subprotocol.
    #[error("the client did not offer this subprotocol")]
    NotOffered,
}

/// Why a client could not be made.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// [`Config::protocols`] has an element that is no token, or the same one twice.
    #[error("subprotocols must be different tokens")]
    Protocols,
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(hash.finalize())
}

impl Connection {
    /// The client's end of a transport that was just opened to the host and port of the request's
    /// [`Url`](crate::Url), for `wss` after its TLS handshake. The request is queued for output at once.
    ///
    /// `now` starts [`Config::handshake_timeout`]. `seed` is the source of the handshake key and of all masking keys: it
    /// must be unpredictable, and must not be used for two connections.
    ///
    /// # Errors
    /// [`ClientError::Protocols`] if [`Config::protocols`] cannot be offered.
    pub fn client(
        now: Instant,
        config: impl Into<Arc<Config>>,
        request: &ClientRequest,
        seed: [u8; 32],
    ) -> Result<Self, ClientError> {
        let config = config.into();
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# The elements that comprise this value MUST be non-empty strings
        //# with characters in the range U+0021 to U+007E not including
        //# separator characters as defined in [RFC2616] and MUST all be
        //# unique strings.
        let mut protocols = config.protocols.iter();
        while let Some(protocol) = protocols.next() {
            if !is_token(protocol) || protocols.as_slice().contains(protocol) {
                return Err(ClientError::Protocols);
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# The value of this header field MUST be a
        //# nonce consisting of a randomly selected 16-byte value that has
        //# been base64-encoded (see Section 4 of [RFC4648]).  The nonce
        //# MUST be selected randomly for each connection.
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut nonce = [0; 16];
        random.fill_bytes(&mut nonce);
        let key = BASE64.encode(nonce);
        let head = request.head(&key, &config);
        let client = ClientHandshake { accept_key: accept_key(&key), interim: 0 };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# it MUST open a connection, send an opening handshake, and read the
        //# server's handshake in response.
        let mut connection = Self::new(now, config, crate::Role::Client, Some((client, random)));
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# Once a connection to the server has been established (including a
        //# connection via a proxy or over a TLS-encrypted tunnel), the client
        //# MUST send an opening handshake to the server.
        connection.write_bytes(head.as_bytes());
        Ok(connection)
    }

    fn write_bytes(&mut self, bytes: &[u8]) {
        self.counters.bytes_out += bytes.len() as u64;
        self.outbox.append(bytes.len()).extend_from_slice(bytes);
    }

    /// Bytes before the connection is open. Says how many belong to the head; the rest are frames, or another head after an interim
    /// response.
    pub(super) fn take_head(&mut self, bytes: &[u8]) -> usize {
        match &mut self.phase {
            Phase::Waiting(waiting) => {
                // A client has no business to send more, but one that does is not punished for a little.
                if waiting.early.len().saturating_add(bytes.len()) > self.config.max_head {
                    self.refuse(RequestError::EarlyData);
                } else {
                    waiting.early.extend_from_slice(bytes);
                }
                bytes.len()
            }
            Phase::Head(head) => {
                // RFC 7230 section 3.5: a server skips empty lines before a request line.
                let is_blank = |byte: &u8| head.client.is_none() && matches!(byte, b'\r' | b'\n');
                let skipped =
                    if head.buffer.is_empty() { bytes.iter().take_while(|byte| is_blank(byte)).count() } else { 0 };
                let fresh = bytes.get(skipped..).unwrap_or_default();
                match head.buffer.feed(fresh, self.config.max_head) {
                    Ok(None) => bytes.len(),
                    Ok(Some((complete, used))) => {
                        if let Phase::Head(head) = core::mem::replace(&mut self.phase, Phase::Ended) {
                            self.head_complete(*head, complete);
                        }
                        let used = skipped + used;
                        if let Phase::Waiting(_) = self.phase {
                            return used + self.take_head(bytes.get(used..).unwrap_or_default());
                        }
                        used
                    }
                    Err(fault) => {
                        match (head.client.is_some(), fault) {
                            (true, HeadFault::Full) => self.finish(Cause::BadAnswer(AnswerError::HeadTooLong), None),
                            (true, HeadFault::LineFeed) => self.finish(Cause::BadAnswer(AnswerError::Malformed), None),
                            (false, HeadFault::Full) => self.refuse(RequestError::HeadTooLong),
                            (false, HeadFault::LineFeed) => self.refuse(RequestError::Malformed),
                        }
                        0
                    }
                }
            }
            _ => 0,
        }
    }

    fn head_complete(&mut self, phase: HeadPhase, head: Bytes) {
        let max_fields = self.config.max_head_fields;
        match phase.client {
            None => match RequestHead::parse(head, max_fields).and_then(|head| self.take_request(head)) {
                Ok(()) => {}
                Err(error) => self.refuse(error),
            },
            Some(mut client) => {
                let answer = ResponseHead::parse(head, max_fields).and_then(|head| {
                    if !is_interim(head.status()) {
                        return self.take_response(&client, head);
                    }
                    client.interim += 1;
                    if client.interim > MOST_INTERIM {
                        return Err(AnswerError::HeadTooLong);
                    }
                    let (buffer, client) = (HeadBuffer::default(), Some(client));
                    self.phase = Phase::Head(Box::new(HeadPhase { buffer, client }));
                    Ok(())
                });
                if let Err(error) = answer {
                    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
                    //# If the server's response does not conform to the requirements for
                    //# the server's handshake as defined in this section and in
                    //# Section 4.2.2, the client MUST _Fail the WebSocket Connection_.
                    //= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.1
                    //# To do so, the client MUST _Fail the WebSocket Connection_ as defined in
                    //# Section 7.1.7.
                    self.finish(Cause::BadAnswer(error), None);
                }
            }
        }
    }

    // ---- server

    fn take_request(&mut self, head: RequestHead) -> Result<(), RequestError> {
        let upgrade = if head.fields().has_token("upgrade", "websocket") {
            Some(check_upgrade(&head, &self.config)?)
        } else {
            if head.minor_version() >= 1 && !has_host(head.fields(), true) {
                return Err(RequestError::Host);
            }
            if !self.config.serve_http {
                return Err(RequestError::NotUpgrade);
            }
            None
        };
        let shown = Box::new(head.clone());
        self.events.push(if upgrade.is_some() { Event::Upgrade(shown) } else { Event::Http(shown) });
        self.phase = Phase::Waiting(Box::new(Waiting { head, early: BytesMut::new(), upgrade }));
        Ok(())
    }

    /// Answers a request that is not to be served, and ends.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
    //# If
    //# the server, while reading the handshake, finds that the client did
    //# not send a handshake that matches the description below (note that as
    //# per [RFC2616], the order of the header fields is not important),
    //# including but not limited to any violations of the ABNF grammar
    //# specified for the components of the handshake, the server MUST stop
    //# processing the client's handshake and return an HTTP response with an
    //# appropriate error code (such as 400 Bad Request).
    //= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.2
    //# Certain algorithms require or recommend that the server _Abort the
    //# WebSocket Connection_ during the opening handshake.  To do so, the
    //# server MUST simply _Close the WebSocket Connection_ (Section 7.1.1).
    pub(super) fn refuse(&mut self, error: RequestError) {
        let status = error.status();
        self.write_answer(Answer::to_error(status));
        self.finish(Cause::BadRequest { status, error }, None);
    }

    pub(super) fn write_answer(&mut self, answer: Answer) {
        let head_only = matches!(&self.phase, Phase::Waiting(waiting) if waiting.head.method() == "HEAD");
        let (head, body) = answer.into_parts(head_only);
        self.counters.bytes_out += (head.len() + body.len()) as u64;
        self.outbox.append(head.len()).extend_from_slice(&head);
        if !body.is_empty() {
            self.outbox.push(FrameHeader::default(), body);
        }
    }

    /// Accepts the upgrade that waits: queues the 101, and [`Event::Open`].
    ///
    /// permessage-deflate is agreed on here if the client offers it and [`Config`] has it.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing changed.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    //# When a client establishes a WebSocket connection to a server, the
    //# server MUST complete the following steps to accept the connection and
    //# send the server's opening handshake.
    pub fn accept(&mut self, now: Instant, accept: Accept) -> Result<(), AcceptError> {
        let Phase::Waiting(waiting) = &mut self.phase else { return Err(AcceptError::NothingToAccept) };
        let Some(upgrade) = &mut waiting.upgrade else { return Err(AcceptError::NothingToAccept) };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
        //# The value chosen MUST be derived
        //# from the client's handshake, specifically by selecting one of
        //# the values from the |Sec-WebSocket-Protocol| field that the
        //# server is willing to use for this connection (if any).
        if let Some(protocol) = &accept.protocol {
            if !waiting.head.protocols().any(|offered| offered == protocol) {
                return Err(AcceptError::NotOffered);
            }
        }
        self.now = self.now.max(now);
        let protocol = accept.protocol.or_else(|| upgrade.protocol.take());
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
        //# If the server chooses to accept the incoming connection, it MUST
        //# reply with a valid HTTP response indicating the following.
        let mut head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            upgrade.accept_key
        );
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
        //# if the server does not wish to agree to one of the suggested
        //# subprotocols, it MUST NOT send back a |Sec-WebSocket-Protocol|
        //# header field in its response
        //= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
        //# The 101 reply from the server MUST contain "sip"
        //# in its corresponding Sec-WebSocket-Protocol header.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4
        //# However, the |Sec-WebSocket-Protocol| header field
        //# MUST NOT appear more than once in an HTTP response.
        if let Some(protocol) = &protocol {
            let _ = write!(head, "Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        #[cfg(feature = "deflate")]
        if let Some(agreement) = upgrade.deflate.take() {
            //= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.2
            //# However, the |Sec-WebSocket-Extensions| header field
            //# MUST NOT appear more than once in an HTTP response.
            let _ = write!(head, "Sec-WebSocket-Extensions: {}\r\n", agreement.response());
            self.rules.deflate = true;
            self.deflate = Some(Box::new(agreement.codec()));
        }
        for (name, value) in &accept.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        self.write_bytes(head.as_bytes());
        self.identity = accept.identity.map(String::into_boxed_str);
        let mut early = waiting_early(&mut self.phase);
        self.open(protocol, None);
        self.take_frames(&mut early, false);
        Ok(())
    }

    /// Answers the request that waits, an upgrade or a plain one, with an HTTP response, and ends.
    ///
    /// # Errors
    /// [`Misuse`] if nothing waits for an answer.
    pub fn answer(&mut self, now: Instant, answer: Answer) -> Result<(), Misuse> {
        match self.phase {
            Phase::Waiting(_) => {}
            Phase::Ended => return Err(Misuse::Ended),
            _ => return Err(Misuse::NothingToAnswer),
        }
        self.now = self.now.max(now);
        let status = answer.status();
        self.write_answer(answer);
        self.finish(Cause::Answered(status), None);
        Ok(())
    }

    /// Gives back all bytes that were received, for an HTTP server that takes over the transport.
    ///
    /// `None` if bytes were used up already: the host must ask while a request waits for its answer.
    #[must_use]
    pub fn into_bytes(self) -> Option<BytesMut> {
        match self.phase {
            Phase::Waiting(waiting) => {
                let mut bytes = BytesMut::from(waiting.head.fields().raw().as_ref());
                bytes.extend_from_slice(&waiting.early);
                Some(bytes)
            }
            Phase::Head(head) => Some(BytesMut::from(head.buffer.into_bytes().as_ref())),
            _ => None,
        }
    }

    fn open(&mut self, protocol: Option<String>, response: Option<ResponseHead>) {
        self.phase = Phase::Open;
        self.timers.phase = Instant::MAX;
        self.note_life();
        self.set_protocol(protocol.clone());
        self.events.push(Event::Open(Box::new(Open { protocol, deflate: self.rules.deflate, response })));
    }

    // ---- client

    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The client MUST validate the server's response as follows:
    fn take_response(&mut self, client: &ClientHandshake, head: ResponseHead) -> Result<(), AnswerError> {
        // Step 1: anything but 101 is plain HTTP.
        if head.status() != 101 {
            self.finish(Cause::Refused(Box::new(head)), None);
            return Ok(());
        }
        if head.minor_version() < 1 {
            return Err(AnswerError::Malformed);
        }
        let fields = head.fields();
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# If the response lacks an |Upgrade| header field or the |Upgrade|
        //# header field contains a value that is not an ASCII case-
        //# insensitive match for the value "websocket", the client MUST
        //# _Fail the WebSocket Connection_.
        if !fields.only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Err(AnswerError::Upgrade);
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# If the response lacks a |Connection| header field or the
        //# |Connection| header field doesn't contain a token that is an
        //# ASCII case-insensitive match for the value "Upgrade", the client
        //# MUST _Fail the WebSocket Connection_.
        if !fields.has_token("connection", "upgrade") {
            return Err(AnswerError::Connection);
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# If the response lacks a |Sec-WebSocket-Accept| header field or
        //# the |Sec-WebSocket-Accept| contains a value other than the
        //# base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-
        //# Key| (as a string, not base64-decoded) with the string "258EAFA5-
        //# E914-47DA-95CA-C5AB0DC85B11" but ignoring any leading and
        //# trailing whitespace, the client MUST _Fail the WebSocket
        //# Connection_.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.3
        //# The |Sec-WebSocket-Accept| header MUST NOT appear more than once in
        //# an HTTP response.
        if fields.only("sec-websocket-accept").map(str::trim) != Some(client.accept_key.as_str()) {
            return Err(AnswerError::Accept);
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# If the response includes a |Sec-WebSocket-Extensions| header
        //# field and this header field indicates the use of an extension
        //# that was not present in the client's handshake (the server has
        //# indicated an extension not requested by the client), the client
        //# MUST _Fail the WebSocket Connection_.
        let mut agreed = Vec::new();
        for value in fields.all("sec-websocket-extensions") {
            agreed.extend(extensions(value).ok_or(AnswerError::Extensions)?);
        }
        #[cfg(feature = "deflate")]
        if let Some(offer) = &self.config.deflate {
            //= https://www.rfc-editor.org/rfc/rfc7692#section-5
            //# both endpoints MUST use the algorithm described in Section 6 and the
            //# message payload transformation (compressing and decompressing) procedure
            //# of the PMCE configured with the "agreed parameters" returned by the
            //# server to exchange messages.
            if let Some(agreement) = crate::deflate::Agreement::of_response(&agreed, offer)? {
                self.rules.deflate = true;
                self.deflate = Some(Box::new(agreement.codec()));
                agreed.clear();
            }
        }
        if !agreed.is_empty() {
            return Err(AnswerError::Extensions);
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# If the response includes a |Sec-WebSocket-Protocol| header field
        //# and this header field indicates the use of a subprotocol that was
        //# not present in the client's handshake (the server has indicated a
        //# subprotocol not requested by the client), the client MUST _Fail
        //# the WebSocket Connection_.
        let protocol = match fields.count("sec-websocket-protocol") {
            0 if self.config.require_protocol => return Err(AnswerError::NoProtocol),
            0 => None,
            _ => {
                let chosen = fields.only("sec-websocket-protocol").map(str::trim);
                let offered = self.config.protocols.iter().find(|offered| Some(offered.as_str()) == chosen);
                Some(offered.ok_or(AnswerError::Protocol)?.clone())
            }
        };
        self.open(protocol, Some(head));
        Ok(())
    }
}

/// Whether a response says only that the one that counts is still to come.
fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
}

fn waiting_early(phase: &mut Phase) -> BytesMut {
    match phase {
        Phase::Waiting(waiting) => core::mem::take(&mut waiting.early),
        _ => BytesMut::new(),
    }
}

/// Whether there is one `Host`, with a host and perhaps a port. It may be empty where the target has no authority.
//= https://www.rfc-editor.org/rfc/rfc7230#section-5.4
//# A server MUST respond with a 400 (Bad Request) status code to any
//# HTTP/1.1 request message that lacks a Host header field and to any
//# request message that contains more than one Host header field or a
//# Host header field with an invalid field-value.
fn has_host(fields: &Fields, may_be_empty: bool) -> bool {
    fields.only("host").map(str::trim).is_some_and(|host| match host {
        "" => may_be_empty,
        host => split_authority(host).is_ok(),
    })
}

/// The checks of RFC 6455 section 4.2.1 on a request that has `Upgrade: websocket`.
fn check_upgrade(head: &RequestHead, config: &Config) -> Result<Upgrade, RequestError> {
    let fields = head.fields();
    if head.method() != "GET" {
        return Err(RequestError::Method);
    }
    if head.minor_version() < 1 {
        return Err(RequestError::HttpVersion);
    }
    //= https://www.rfc-editor.org/rfc/rfc6455#section-3
    //# Fragment identifiers are meaningless in the context of WebSocket URIs
    //# and MUST NOT be used on these URIs.
    if !head.resource().starts_with('/') || head.target().contains('#') {
        return Err(RequestError::Target);
    }
    if !has_host(fields, false) {
        return Err(RequestError::Host);
    }
    // Another reader of the same bytes, a proxy in front, would take the beginning of what follows for the body.
    let is_empty = |length: &str| !length.is_empty() && length.bytes().all(|digit| digit == b'0');
    if fields.count("transfer-encoding") > 0 || !fields.all("content-length").all(is_empty) {
        return Err(RequestError::Body);
    }
    if !fields.has_token("connection", "upgrade") {
        return Err(RequestError::Connection);
    }
    // The version comes before the key, which another version may not have.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.5
    //# However, the |Sec-WebSocket-Version| header field MUST NOT
    //# appear more than once in an HTTP request.
    let version = fields.only("sec-websocket-version").ok_or(RequestError::Version)?;
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    //# If this
    //# version does not match a version understood by the server, the
    //# server MUST abort the WebSocket handshake described in this
    //# section and instead send an appropriate HTTP error code (such
    //# as 426 Upgrade Required) and a |Sec-WebSocket-Version| header
    //# field indicating the version(s) the server is capable of
    //# understanding.
    if version.trim() != "13" {
        return Err(RequestError::UnsupportedVersion);
    }
    //= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.1
    //# The |Sec-WebSocket-Key| header field MUST NOT appear more than once
    //# in an HTTP request.
    let key = fields.only("sec-websocket-key").ok_or(RequestError::Key)?.trim();
    if BASE64.decode(key).ok().is_none_or(|nonce| nonce.len() != 16) {
        return Err(RequestError::Key);
    }
    let offered: Vec<&str> = head.protocols().collect();
    if offered.iter().any(|protocol| !is_token(protocol))
        || (offered.is_empty() && fields.count("sec-websocket-protocol") > 0)
    {
        return Err(RequestError::Protocol);
    }
    // RFC 6455 leaves subprotocol names to their registry; they are compared byte by byte, as browsers do.
    let protocol = config.protocols.iter().find(|own| offered.iter().any(|offered| offered == own)).cloned();
    if protocol.is_none() && config.require_protocol {
        return Err(RequestError::NoProtocol);
    }
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.8
    //# The endpoints of a connection MUST negotiate the use of any extensions
    //# during the opening handshake.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    //# If the server supports multiple extensions, then the value MUST be
    //# derived from the client's handshake, specifically by selecting one or
    //# more of the values from the |Sec-WebSocket-Extensions| field.
    let mut offers = Vec::new();
    for value in fields.all("sec-websocket-extensions") {
        offers.extend(extensions(value).ok_or(RequestError::Extensions)?);
    }
    Ok(Upgrade {
        accept_key: accept_key(key),
        protocol,
        //= https://www.rfc-editor.org/rfc/rfc6455#section-9
        //# A server MUST NOT respond with any extension
        //# not requested by the client.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
        //# Extensions not listed by the client MUST NOT be
        //# listed.
        #[cfg(feature = "deflate")]
        deflate: config.deflate.as_ref().and_then(|own| crate::deflate::Agreement::of_offers(&offers, own)),
    })
}
