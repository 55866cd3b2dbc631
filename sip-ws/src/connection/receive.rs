//! Frames in: cuts the bytes of the transport into frames, puts messages together, answers control frames.
//!
//! A frame that lies whole in one input takes the short way: its payload is taken, unmasked, checked and handed out. Of
//! a frame that does not, each piece is unmasked and checked as it comes, so that what is wrong is found at the first
//! byte that shows it, and no piece is looked at twice.

use super::{Connection, End, Phase};
use crate::{
    close::{CloseCode, CloseFrame, Violation},
    config::Role,
    event::{Kind, Received},
    frame::{self, Header, MAX_HEADER, Opcode},
    mask::{MaskedCopy, apply_mask, masked_copy},
    sip::{self, Content},
    time::Instant,
    utf8::{self, Utf8Stream},
};
use alloc::{borrow::ToOwned, boxed::Box};
use bytes::{Buf, Bytes, BytesMut};

/// Memory for a message is taken ahead of its bytes, up to so many times what came of it.
const AHEAD: usize = 16;

/// Input bytes, lent or owned.
pub(super) trait Source {
    fn peek(&self) -> &[u8];
    /// Throws away `count` bytes, at most all.
    fn skip(&mut self, count: usize);
    /// Takes the next `count` bytes, at most all, as a buffer that can be changed.
    fn take(&mut self, count: usize) -> BytesMut;
    /// Takes a whole payload and unmasks it; says if it is known to be ASCII. Without a key nothing is known.
    fn take_payload(&mut self, count: usize, key: Option<[u8; 4]>) -> (Bytes, bool);
}

impl Source for &[u8] {
    fn peek(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, count: usize) {
        *self = self.get(count..).unwrap_or_default();
    }

    #[inline]
    fn take(&mut self, count: usize) -> BytesMut {
        let (taken, rest) = self.split_at_checked(count).unwrap_or((self, &[]));
        *self = rest;
        BytesMut::from(taken)
    }

    #[inline(always)]
    fn take_payload(&mut self, count: usize, key: Option<[u8; 4]>) -> (Bytes, bool) {
        let (taken, rest) = self.split_at_checked(count).unwrap_or((self, &[]));
        *self = rest;
        match key {
            Some(key) => masked_copy(taken, key),
            None => (Bytes::copy_from_slice(taken), false),
        }
    }
}

impl Source for BytesMut {
    fn peek(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, count: usize) {
        self.advance(count.min(self.len()));
    }

    #[inline]
    fn take(&mut self, count: usize) -> BytesMut {
        if count >= self.len() { core::mem::take(self) } else { self.split_to(count) }
    }

    #[inline(always)]
    fn take_payload(&mut self, count: usize, key: Option<[u8; 4]>) -> (Bytes, bool) {
        let mut payload = Source::take(self, count);
        let is_ascii = key.is_some_and(|key| apply_mask(&mut payload, key, 0));
        (payload.freeze(), is_ascii)
    }
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// The beginning of a header that is not complete.
    head: [u8; MAX_HEADER],
    head_len: u8,
    /// The frame whose payload is not complete.
    frame: Option<Frame>,
    /// The message that is not complete.
    message: Option<Box<Incoming>>,
}

#[derive(Debug)]
struct Frame {
    header: Header,
    /// Bytes of the payload that came.
    received: usize,
    /// The payload so far, if this is a control frame.
    control: BytesMut,
}

#[derive(Debug)]
struct Incoming {
    is_text: bool,
    body: Body,
    utf8: Utf8Stream,
    frames: u32,
}

#[derive(Debug)]
enum Body {
    /// As it came, unmasked.
    Plain(MaskedCopy),
    /// What was inflated so far.
    #[cfg(feature = "deflate")]
    Inflated(BytesMut),
}

impl Body {
    /// Of a message that begins with this frame.
    fn new(header: Header) -> Self {
        #[cfg(feature = "deflate")]
        if header.compressed {
            return Self::Inflated(BytesMut::new());
        }
        Self::Plain(MaskedCopy::new(header.len))
    }

    /// The length so far; not of what is compressed, which is measured as it is inflated.
    fn known_len(&self) -> Option<usize> {
        match self {
            Self::Plain(copy) => Some(copy.len()),
            #[cfg(feature = "deflate")]
            Self::Inflated(_) => None,
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Plain(copy) => copy.capacity(),
            #[cfg(feature = "deflate")]
            Self::Inflated(data) => data.capacity(),
        }
    }
}

impl Receiver {
    /// True if a frame or message has begun that is not complete.
    fn is_midway(&self) -> bool {
        self.head_len > 0 || self.frame.is_some() || self.message.is_some()
    }

    pub(super) fn heap(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.control.capacity())
            + self.message.as_ref().map_or(0, |message| size_of::<Incoming>() + message.body.capacity())
    }
}

impl Connection {
    /// Takes bytes of the transport that lie in a buffer of the host, and leaves the messages in that buffer: for a host
    /// that is done with each message before it reads on, and so can do without memory for it.
    ///
    /// Takes at most one message. A message that lies in `bytes` in one frame, and is not compressed, is unmasked and
    /// checked where it is and lent to the host. Everything else goes the way of
    /// [`handle_input`](Self::handle_input) and comes as an [`Event`](crate::Event): then, and at the end of the bytes, there is no
    /// message in the answer, and the host polls its events. While events wait nothing is taken, so that none is
    /// overtaken.
    ///
    /// After it all of the polls may have new answers.
    ///
    /// ```
    /// use sip_ws::{Connection, Event, Instant, Received};
    ///
    /// fn read(connection: &mut Connection, now: Instant, mut bytes: &mut [u8]) {
    ///     loop {
    ///         let (message, rest) = connection.handle_in_place(now, bytes);
    ///         bytes = rest;
    ///         match message {
    ///             Some(Received::Text(text)) => println!("{} bytes of text", text.len()),
    ///             Some(_) => {}
    ///             None => {
    ///                 while let Some(event) = connection.poll_event() {
    ///                     println!("{event:?}");
    ///                 }
    ///                 if bytes.is_empty() {
    ///                     return;
    ///                 }
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn handle_in_place<'a>(&mut self, now: Instant, bytes: &'a mut [u8]) -> (Option<Received<'a>>, &'a mut [u8]) {
        self.now = self.now.max(now);
        if !self.events.is_empty() || matches!(self.phase, Phase::Ending(_)) {
            return (None, bytes);
        }
        let Some(header) = self.message_in_place(bytes) else {
            return (None, self.take_until_event(bytes));
        };
        let (frame, rest) = match bytes.split_at_mut_checked(header.size + header.len) {
            Some(parts) => parts,
            None => return (None, &mut []),
        };
        self.note_life();
        self.counters.bytes_in += frame.len() as u64;
        let payload = frame.get_mut(header.size..).unwrap_or_default();
        let is_ascii = unmask(self.rules.role, payload, header.mask, 0);
        let is_text = header.opcode == Opcode::Text;
        if is_text && !is_ascii && !utf8::is_valid(payload) {
            return (None, self.rest_unless_failed(Err(Violation::InvalidUtf8), rest));
        }
        self.counters.messages_in += 1;
        let message = match (self.is_sip, is_text) {
            (false, true) => Received::Text(payload),
            (false, false) => Received::Binary(payload),
            (true, is_text) => match sip::classify(payload) {
                Ok(Content::Message(blank)) => Received::Sip(payload.get(blank..).unwrap_or_default()),
                Ok(content) => {
                    let paid = self.take_crlf(is_text, content);
                    return (None, self.rest_unless_failed(paid, rest));
                }
                Err(violation) => return (None, self.rest_unless_failed(Err(violation), rest)),
            },
        };
        (Some(message), rest)
    }

    /// The header of the frame at the beginning of `bytes`, if that frame is whole, a message, and nothing is wrong with
    /// its place.
    #[inline(always)]
    fn message_in_place(&self, bytes: &[u8]) -> Option<Header> {
        if !matches!(self.phase, Phase::Open | Phase::Closing) || self.receiver.is_midway() {
            return None;
        }
        let header = frame::parse(bytes, self.rules).ok()??;
        let is_message = header.fin && !header.compressed && matches!(header.opcode, Opcode::Text | Opcode::Binary);
        let is_whole = bytes.len() - header.size.min(bytes.len()) >= header.len;
        (is_message && is_whole && header.len <= self.config.max_message).then_some(header)
    }

    /// Takes bytes of `bytes` until something has happened, or a frame is complete. Returns the others.
    fn take_until_event<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let mut source = &*bytes;
        if let Phase::Head(_) | Phase::Waiting(_) = self.phase {
            let used = self.take_head(source);
            source.skip(used);
        } else {
            self.take_frames(&mut source, true);
        }
        let used = bytes.len() - source.len();
        self.counters.bytes_in += used as u64;
        bytes.get_mut(used..).unwrap_or_default()
    }

    fn rest_unless_failed<'a>(&mut self, result: Result<(), Violation>, rest: &'a mut [u8]) -> &'a mut [u8] {
        let Err(violation) = result else { return rest };
        self.counters.bytes_in += rest.len() as u64;
        self.counters.bytes_ignored += rest.len() as u64;
        self.fail(violation);
        &mut []
    }

    /// All input that is bytes.
    pub(super) fn take_bytes(&mut self, source: &mut impl Source) {
        while !source.peek().is_empty() && matches!(self.phase, Phase::Head(_) | Phase::Waiting(_)) {
            let used = self.take_head(source.peek());
            source.skip(used);
        }
        self.take_frames(source, false);
    }

    /// Takes all frames, or only `one`: with the fragments of its message, until there is an event.
    pub(super) fn take_frames(&mut self, source: &mut impl Source, one: bool) {
        if !source.peek().is_empty() {
            self.note_life();
        }
        while !source.peek().is_empty() {
            //= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
            //# Incoming data MUST be parsed as WebSocket frames as defined in
            //# Section 5.2.
            if !matches!(self.phase, Phase::Open | Phase::Closing) {
                self.ignore(source);
                break;
            }
            if let Err(violation) = self.take_some(source) {
                self.ignore(source);
                self.fail(violation);
                return;
            }
            if one && (!self.receiver.is_midway() || !self.events.is_empty()) {
                break;
            }
        }
        if !self.receiver.is_midway() || !matches!(self.phase, Phase::Open | Phase::Closing) {
            self.timers.message = Instant::MAX;
        } else if self.timers.message == Instant::MAX {
            self.timers.message = self.now + self.config.message_timeout;
        }
    }

    fn ignore(&mut self, source: &mut impl Source) {
        let count = source.peek().len();
        self.counters.bytes_ignored += count as u64;
        source.skip(count);
    }

    /// One header, or one payload, or a piece of either.
    #[inline(always)]
    fn take_some(&mut self, source: &mut impl Source) -> Result<(), Violation> {
        if self.receiver.frame.is_some() {
            return self.take_piece(source);
        }
        let header = if self.receiver.head_len == 0 {
            match frame::parse(source.peek(), self.rules)? {
                Some(header) => {
                    source.skip(header.size);
                    header
                }
                None => {
                    self.keep_head(source);
                    return Ok(());
                }
            }
        } else {
            self.keep_head(source);
            let head = self.receiver.head.get(..usize::from(self.receiver.head_len)).unwrap_or_default();
            match frame::parse(head, self.rules)? {
                Some(header) => {
                    self.receiver.head_len = 0;
                    header
                }
                None => return Ok(()),
            }
        };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-10.7
        //# Incoming data MUST always be validated by both clients and servers.
        self.check_order(header)?;
        if source.peek().len() >= header.len {
            self.take_whole(header, source)
        } else {
            self.receiver.frame = Some(Frame { header, received: 0, control: BytesMut::new() });
            Ok(())
        }
    }

    /// Moves bytes from `source` to the unfinished header, one at a time once it could be complete.
    fn keep_head(&mut self, source: &mut impl Source) {
        let receiver = &mut self.receiver;
        while let Some(&byte) = source.peek().first() {
            let Some(slot) = receiver.head.get_mut(usize::from(receiver.head_len)) else { return };
            *slot = byte;
            receiver.head_len += 1;
            source.skip(1);
            let head = receiver.head.get(..usize::from(receiver.head_len)).unwrap_or_default();
            if !matches!(frame::parse(head, self.rules), Ok(None)) {
                return;
            }
        }
    }

    /// The checks of a header against what came before it.
    #[inline(always)]
    fn check_order(&mut self, header: Header) -> Result<(), Violation> {
        match (header.opcode, &mut self.receiver.message) {
            (Opcode::Continuation, None) => Err(Violation::UnexpectedContinuation),
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
            //# The fragments of one message MUST NOT be interleaved between the
            //# fragments of another message unless an extension has been
            //# negotiated that can interpret the interleaving.
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::ExpectedContinuation),
            (Opcode::Text | Opcode::Binary, None) => {
                if !header.compressed && header.len > self.config.max_message {
                    return Err(Violation::MessageTooBig);
                }
                Ok(())
            }
            (Opcode::Continuation, Some(message)) => {
                //= https://www.rfc-editor.org/rfc/rfc6455#section-10.4
                //# Implementations that have implementation- and/or platform-specific
                //# limitations regarding the frame size or total message size after
                //# reassembly from multiple frames MUST protect themselves against
                //# exceeding those limits.
                let is_too_big = |len: usize| len.saturating_add(header.len) > self.config.max_message;
                if message.body.known_len().is_some_and(is_too_big) {
                    return Err(Violation::MessageTooBig);
                }
                message.frames = message.frames.saturating_add(1);
                if message.frames > self.config.max_fragments { Err(Violation::TooManyFragments) } else { Ok(()) }
            }
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
            //# An endpoint MUST be capable of handling control frames in the
            //# middle of a fragmented message.
            (Opcode::Ping | Opcode::Pong, _) => self.pay_control(),
            (Opcode::Close, _) => Ok(()),
        }
    }

    /// A frame whose payload lies whole in `source`.
    #[inline(always)]
    fn take_whole(&mut self, header: Header, source: &mut impl Source) -> Result<(), Violation> {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
        //# A server MUST remove masking for data frames received
        //# from a client as described in Section 5.3.
        let is_message = header.fin && !header.compressed && matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if is_message {
            let key = (self.rules.role == Role::Server).then_some(header.mask);
            let (payload, is_ascii) = source.take_payload(header.len, key);
            let is_text = header.opcode == Opcode::Text;
            //= https://www.rfc-editor.org/rfc/rfc6455#section-8.1
            //# When an endpoint is to interpret a byte stream as UTF-8 but finds
            //# that the byte stream is not, in fact, a valid UTF-8 stream, that
            //# endpoint MUST _Fail the WebSocket Connection_.
            if is_text && !is_ascii && !utf8::is_valid(&payload) {
                return Err(Violation::InvalidUtf8);
            }
            return self.deliver(is_text, payload);
        }
        if header.opcode.is_control() {
            let mut payload = source.take(header.len);
            unmask(self.rules.role, &mut payload, header.mask, 0);
            return self.take_control(header.opcode, payload);
        }
        self.add_piece(header, 0, header.len, source)?;
        self.end_of_frame(header)
    }

    /// A piece of the payload of the frame that is not complete.
    fn take_piece(&mut self, source: &mut impl Source) -> Result<(), Violation> {
        let Some(frame) = &mut self.receiver.frame else { return Ok(()) };
        let header = frame.header;
        let offset = frame.received;
        let count = (header.len - offset).min(source.peek().len());
        frame.received += count;
        let is_complete = frame.received == header.len;
        if header.opcode.is_control() {
            frame.control.extend_from_slice(source.peek().get(..count).unwrap_or_default());
            source.skip(count);
            if is_complete {
                let mut payload = core::mem::take(&mut frame.control);
                self.receiver.frame = None;
                unmask(self.rules.role, &mut payload, header.mask, 0);
                return self.take_control(header.opcode, payload);
            }
            return Ok(());
        }
        // The header belongs to the whole frame: only its first piece opens a message.
        self.add_piece(header, offset, count, source)?;
        if is_complete {
            self.receiver.frame = None;
            return self.end_of_frame(header);
        }
        Ok(())
    }

    /// Adds `count` bytes of a data frame to its message, which stand `offset` bytes behind the beginning of its payload.
    fn add_piece(
        &mut self,
        header: Header,
        offset: usize,
        count: usize,
        source: &mut impl Source,
    ) -> Result<(), Violation> {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
        //# Upon receiving a data frame (Section 5.6), the endpoint MUST note the
        //# /type/ of the data as defined by the opcode (frame-opcode) from
        //# Section 5.2.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
        //# the type for all fragments in a message MUST be either text, binary, or
        //# one of the reserved opcodes.
        let message = self.receiver.message.get_or_insert_with(|| {
            Box::new(Incoming {
                is_text: header.opcode == Opcode::Text,
                body: Body::new(header),
                utf8: Utf8Stream::default(),
                frames: 1,
            })
        });
        match &mut message.body {
            #[cfg(feature = "deflate")]
            Body::Inflated(data) => {
                let Some(codec) = &mut self.deflate else { return Err(Violation::ReservedBits) };
                let mut piece = source.take(count);
                unmask(self.rules.role, &mut piece, header.mask, offset);
                let before = data.len();
                let inflated = codec.inflate(&piece, data, self.config.max_message);
                // What is wrong first is reported, however the piece was cut.
                check_inflated(message.is_text, &mut message.utf8, data, before).and(inflated)
            }
            //= https://www.rfc-editor.org/rfc/rfc7692#section-6.2
            //# An endpoint MUST use the following algorithm to receive a message in the
            //# form of an uncompressed message.
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
            //# Message fragments MUST be delivered to the recipient in the order sent
            //# by the sender.
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
            //# Clients and servers MUST support receiving both fragmented and
            //# unfragmented messages.
            Body::Plain(copy) => {
                let before = copy.len();
                // Room for all of the frame, but not for much more than the peer has sent; and, lest a message of many
                // small frames is moved for each of them, for as much again as there is.
                let most = before.saturating_add(count).saturating_mul(AHEAD);
                copy.reserve(count, header.len.saturating_sub(offset).min(most).max(before));
                let is_ascii = copy.push(source.peek().get(..count).unwrap_or_default(), header.mask, offset);
                source.skip(count);
                if message.is_text && !(is_ascii && message.utf8.is_complete()) {
                    let utf8 = &mut message.utf8;
                    copy.check_from(before, |piece| utf8.feed(piece)).map_err(|_| Violation::InvalidUtf8)?;
                }
                Ok(())
            }
        }
    }

    /// The payload of a data frame is complete.
    fn end_of_frame(&mut self, header: Header) -> Result<(), Violation> {
        if !header.fin {
            return Ok(());
        }
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
        //# Subsequent data frames MUST be interpreted as belonging to a new
        //# WebSocket message.
        #[cfg(feature = "deflate")]
        if let (Some(codec), Some(message)) = (&mut self.deflate, &mut self.receiver.message) {
            if let Body::Inflated(data) = &mut message.body {
                let before = data.len();
                let inflated = codec.finish_inflate(data, self.config.max_message);
                check_inflated(message.is_text, &mut message.utf8, data, before).and(inflated)?;
            }
        }
        let Some(message) = self.receiver.message.take() else { return Ok(()) };
        self.timers.message = Instant::MAX;
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.6
        //# Note that a particular text frame might
        //# include a partial UTF-8 sequence; however, the whole message MUST
        //# contain valid UTF-8.
        if !message.utf8.is_complete() {
            return Err(Violation::InvalidUtf8);
        }
        let payload = match message.body {
            Body::Plain(copy) => copy.finish(),
            #[cfg(feature = "deflate")]
            Body::Inflated(data) => data.freeze(),
        };
        self.deliver(message.is_text, payload)
    }

    /// Hands out a message that is complete.
    #[inline(always)]
    fn deliver(&mut self, is_text: bool, payload: Bytes) -> Result<(), Violation> {
        self.counters.messages_in += 1;
        if self.is_sip {
            return self.deliver_sip(is_text, payload);
        }
        self.events.push_bytes(if is_text { Kind::Text } else { Kind::Binary }, payload);
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc7118#section-4.2
    //# Therefore, SIP WebSocket Clients and SIP
    //# WebSocket Servers MUST accept both text and binary frames.
    fn deliver_sip(&mut self, is_text: bool, mut payload: Bytes) -> Result<(), Violation> {
        match sip::classify(&payload)? {
            Content::Message(blank) => {
                payload.advance(blank);
                self.events.push_bytes(Kind::Sip, payload);
            }
            content => self.take_crlf(is_text, content)?,
        }
        Ok(())
    }

    /// RFC 5626 section 3.5.1; RFC 7118 section 6 keeps it usable.
    fn take_crlf(&mut self, is_text: bool, content: Content) -> Result<(), Violation> {
        self.pay_control()?;
        self.counters.crlf_in += 1;
        if let Content::Ping = content {
            self.answer_crlf(is_text);
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
    //# If a control frame (Section 5.5) is
    //# received, the frame MUST be handled as defined by Section 5.5.
    fn take_control(&mut self, opcode: Opcode, payload: BytesMut) -> Result<(), Violation> {
        match opcode {
            Opcode::Ping => {
                //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2
                //# Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
                //# response, unless it already received a Close frame.
                self.counters.pings_in += 1;
                self.answer_ping(&payload);
                self.events.push_bytes(Kind::Ping, payload.freeze());
            }
            Opcode::Pong => {
                self.counters.pongs_in += 1;
                self.events.push_bytes(Kind::Pong, payload.freeze());
            }
            Opcode::Close => self.take_close(&payload)?,
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
        Ok(())
    }

    fn take_close(&mut self, payload: &[u8]) -> Result<(), Violation> {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
        //# If there is a body, the first two bytes of
        //# the body MUST be a 2-byte unsigned integer (in network byte order)
        //# representing a status code with value /code/ defined in Section 7.4.
        let received = match payload {
            [] => CloseFrame::default(),
            [_] => return Err(Violation::BadCloseBody),
            [high, low, reason @ ..] => {
                let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
                if !code.is_sendable() {
                    return Err(Violation::BadCloseCode);
                }
                let reason = core::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
                CloseFrame { code: Some(code), reason: reason.to_owned() }
            }
        };
        self.end_behind_events(End::Close(received));
        Ok(())
    }
}

/// Unmasks what a reader of this role has received, and says whether the result is known to be ASCII: of what is not
/// masked nothing is known.
fn unmask(role: Role, payload: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    match role {
        Role::Server => apply_mask(payload, key, offset),
        Role::Client => false,
    }
}

/// Checks what was inflated behind `from`.
#[cfg(feature = "deflate")]
fn check_inflated(is_text: bool, utf8: &mut Utf8Stream, data: &[u8], from: usize) -> Result<(), Violation> {
    if is_text {
        utf8.feed(data.get(from..).unwrap_or_default()).map_err(|_| Violation::InvalidUtf8)?;
    }
    Ok(())
}
