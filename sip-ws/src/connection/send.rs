//! Messages and control frames out.

use super::{Connection, Misuse, Phase};
use crate::{
    close::{Cause, CloseFrame, Closed},
    config::Role,
    frame::{self, FrameHeader, MAX_CONTROL, Opcode},
    mask::{append_masked, apply_mask, masked_copy},
    outbox::{COPY_LIMIT, Outbox},
    sip::{self, Content},
    time::Instant,
    utf8,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use bytes::Bytes;
use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Text: the bytes must be UTF-8, which is checked each time that they are sent.
    Text(Bytes),
    /// Text that is known to be UTF-8.
    Utf8(Utf8),
    /// Binary.
    Binary(Bytes),
}

/// Shared bytes that are UTF-8: text that is checked once, however often it is sent.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Utf8(Bytes);

impl Utf8 {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<String> for Utf8 {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&'static str> for Utf8 {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

/// Checks the bytes, and hands them back if they are not UTF-8.
impl TryFrom<Bytes> for Utf8 {
    type Error = Bytes;

    fn try_from(bytes: Bytes) -> Result<Self, Bytes> {
        if utf8::is_valid(&bytes) { Ok(Self(bytes)) } else { Err(bytes) }
    }
}

/// Size only, as of a [`Message`].
impl core::fmt::Debug for Utf8 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Utf8({} bytes)", self.0.len())
    }
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Utf8(Utf8(bytes)) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Kind and size only: payloads are long, and may be secret.
impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = if matches!(self, Self::Binary(_)) { "Binary" } else { "Text" };
        write!(f, "{kind}({} bytes)", self.payload().len())
    }
}

/// Why a message was not queued. Nothing changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The connection is not open (yet, or any more).
    #[error("the connection is not open")]
    NotOpen,
    /// [`Config::max_queued_output`](crate::Config::max_queued_output) is reached: the peer reads too slowly.
    /// [`Event::Writable`](crate::Event::Writable) says when to try again.
    #[error("too much output is queued")]
    Full,
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The message cannot be written as it is: a client must mask it, it is to be compressed or cut into fragments
    /// ([`Config::fragment_size`](crate::Config::fragment_size)), or other output waits to be written before it.
    #[error("the message cannot be written as it is")]
    NotAsIs,
    /// Not a SIP message, on a connection with the subprotocol `sip`; or more than one.
    #[error("not a SIP message")]
    NotSip,
}

/// A message that was not queued, handed back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    /// Why.
    pub failure: SendFailure,
    /// The message.
    pub message: Message,
}

impl Connection {
    /// Queues a message that is owned. A large one is not copied (by a client only if it is shared, since a client must
    /// mask).
    ///
    /// # Errors
    /// [`SendError`] hands the message back.
    pub fn send(&mut self, now: Instant, message: Message) -> Result<(), SendError> {
        let failure = match &message {
            Message::Text(bytes) if !utf8::is_valid(bytes) => Err(SendFailure::NotUtf8),
            message => self.check_send(now, message.payload()),
        };
        if let Err(failure) = failure {
            return Err(SendError { failure, message });
        }
        let (opcode, payload) = match message {
            Message::Text(payload) | Message::Utf8(Utf8(payload)) => (Opcode::Text, payload),
            Message::Binary(payload) => (Opcode::Binary, payload),
        };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
        //# To _Send a WebSocket Message_ comprising of /data/ over a WebSocket
        //# connection, an endpoint MUST perform the following steps.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
        //# The frame(s) that have been formed MUST be transmitted over the
        //# underlying network connection.
        self.queue_message(opcode, payload);
        Ok(())
    }

    fn queue_message(&mut self, opcode: Opcode, payload: Bytes) {
        let is_small = payload.len() < COPY_LIMIT;
        if !self.is_plain(payload.len()) || is_small && (self.random.is_some() || !self.outbox.is_empty()) {
            self.write_message(opcode, &payload);
        } else {
            self.push_message(opcode, payload);
        }
    }

    /// Queues a SIP message, as text if its bytes are UTF-8 and else as binary.
    ///
    /// # Errors
    /// [`SendError`] hands the message back.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-4.2
    //# If there is at least one non-UTF-8 symbol in the whole SIP message
    //# (including headers and the body), then the whole message MUST be
    //# sent within a WebSocket binary message.
    pub fn send_sip(&mut self, now: Instant, message: Bytes) -> Result<(), SendError> {
        let is_text = utf8::is_valid(&message);
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        match self.check_send(now, &message) {
            Ok(()) => self.queue_message(opcode, message),
            Err(failure) => {
                let message = if is_text { Message::Text(message) } else { Message::Binary(message) };
                return Err(SendError { failure, message });
            }
        }
        Ok(())
    }

    /// Queues a text message; it is copied.
    ///
    /// # Errors
    /// [`SendFailure`]; nothing was queued.
    pub fn send_text(&mut self, now: Instant, text: &str) -> Result<(), SendFailure> {
        self.check_send(now, text.as_bytes())?;
        self.write_message(Opcode::Text, text.as_bytes());
        Ok(())
    }

    /// Queues a binary message; it is copied.
    ///
    /// # Errors
    /// [`SendFailure`]; nothing was queued.
    pub fn send_binary(&mut self, now: Instant, bytes: &[u8]) -> Result<(), SendFailure> {
        self.check_send(now, bytes)?;
        self.write_message(Opcode::Binary, bytes);
        Ok(())
    }

    /// Writes what is queued and then a text message to the end of `out`: for a host that has room to write right now.
    ///
    /// # Errors
    /// [`SendFailure`]; nothing was written.
    pub fn send_text_into(&mut self, now: Instant, text: &str, out: &mut Vec<u8>) -> Result<(), SendFailure> {
        self.send_into(now, Opcode::Text, text.as_bytes(), out)
    }

    /// Writes what is queued and then a binary message to the end of `out`: for a host that has room to write right
    /// now.
    ///
    /// # Errors
    /// [`SendFailure`]; nothing was written.
    pub fn send_binary_into(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), SendFailure> {
        self.send_into(now, Opcode::Binary, bytes, out)
    }

    /// Sends a text message as a server without taking or copying it: gives the header of its frame, and the host
    /// writes that and then the text, at once (`writev`). For a host that has room to write right now.
    ///
    /// # Errors
    /// [`SendFailure`], and nothing has changed; after [`SendFailure::NotAsIs`] another way to send may work.
    #[inline(always)]
    pub fn send_text_header(&mut self, now: Instant, text: &str) -> Result<FrameHeader, SendFailure> {
        self.send_header(now, Opcode::Text, text.as_bytes())
    }

    /// As [`send_text_header`](Self::send_text_header), a binary message.
    ///
    /// # Errors
    /// As [`send_text_header`](Self::send_text_header).
    #[inline(always)]
    pub fn send_binary_header(&mut self, now: Instant, bytes: &[u8]) -> Result<FrameHeader, SendFailure> {
        self.send_header(now, Opcode::Binary, bytes)
    }

    #[inline(always)]
    fn send_header(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<FrameHeader, SendFailure> {
        self.check_open(now, payload)?;
        if self.rules.role == Role::Client || !self.is_plain(payload.len()) || !self.outbox.is_empty() {
            return Err(SendFailure::NotAsIs);
        }
        let header = frame::header(opcode, true, false, payload.len(), None);
        self.counters.messages_out += 1;
        self.counters.bytes_out += (header.len() + payload.len()) as u64;
        Ok(header)
    }

    #[inline]
    fn send_into(
        &mut self,
        now: Instant,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendFailure> {
        self.check_open(now, payload)?;
        if self.is_plain(payload.len()) && self.outbox.is_empty() {
            let mask = next_mask(&mut self.random);
            let before = out.len();
            put_frame(out, opcode, true, false, payload, mask);
            self.counters.messages_out += 1;
            self.counters.bytes_out += (out.len() - before) as u64;
        } else {
            self.write_message(opcode, payload);
            self.drain_transmit(out);
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
    //# The endpoint MUST ensure the WebSocket connection is in the OPEN
    //# state (cf. Sections 4.1 and 4.2.2.)  If at any point the state of
    //# the WebSocket connection changes, the endpoint MUST abort the
    //# following steps.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
    //# The application MUST NOT send any more data frames after sending a
    //# Close frame.
    #[inline]
    fn check_open(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendFailure> {
        self.now = self.now.max(now);
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
        //# Once the client's opening handshake has been sent, the client MUST wait
        //# for a response from the server before sending any further data.
        if !self.is_open() {
            return Err(SendFailure::NotOpen);
        }
        //= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
        //# Messages other than SIP requests and responses MUST NOT
        //# be transmitted over this connection.
        if self.is_sip && !matches!(sip::classify(payload), Ok(Content::Message(_))) {
            return Err(SendFailure::NotSip);
        }
        Ok(())
    }

    #[inline]
    fn check_send(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendFailure> {
        self.check_open(now, payload)?;
        if self.outbox.queued() >= self.config.max_queued_output {
            self.counters.messages_refused += 1;
            self.owes_writable = true;
            return Err(SendFailure::Full);
        }
        Ok(())
    }

    /// True if a message of this size is sent as it is, as one frame.
    #[inline]
    fn is_plain(&self, len: usize) -> bool {
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            return false;
        }
        self.config.fragment_size.is_none_or(|size| len <= size)
    }

    fn write_message(&mut self, opcode: Opcode, payload: &[u8]) {
        self.counters.messages_out += 1;
        #[cfg(feature = "deflate")]
        if let Some(codec) = &mut self.deflate {
            if let Some(compressed) = codec.compress(payload) {
                self.write_frames(opcode, true, &compressed);
                return;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
        //# An endpoint MUST use the following algorithm to send a message in the
        //# form of an uncompressed message.
        self.write_frames(opcode, false, payload);
    }

    /// One message as frames of at most [`Config::fragment_size`](crate::Config::fragment_size).
    //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
    //# An endpoint MUST encapsulate the /data/ in a WebSocket frame as
    //# defined in Section 5.2.
    fn write_frames(&mut self, opcode: Opcode, compressed: bool, payload: &[u8]) {
        let size = self.config.fragment_size.unwrap_or(usize::MAX).max(1);
        let mut rest = payload;
        //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
        //# The opcode (frame-opcode) of the first frame containing the data
        //# MUST be set to the appropriate value from Section 5.2 for data
        //# that is to be interpreted by the recipient as text or binary data.
        let mut opcode = opcode;
        let mut compressed = compressed;
        loop {
            let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
            //# The FIN bit (frame-fin) of the last frame containing the data MUST
            //# be set to 1 as defined in Section 5.2.
            let fin = after.is_empty();
            self.write_frame(opcode, fin, compressed, piece);
            if fin {
                return;
            }
            rest = after;
            opcode = Opcode::Continuation;
            compressed = false;
        }
    }

    #[inline]
    fn write_frame(&mut self, opcode: Opcode, fin: bool, compressed: bool, payload: &[u8]) {
        let mask = next_mask(&mut self.random);
        let size = frame_size(payload.len(), mask.is_some());
        self.counters.bytes_out += size as u64;
        put_frame(self.outbox.append(size), opcode, fin, compressed, payload, mask);
    }

    /// Queues a large message whose payload is owned, as one frame.
    fn push_message(&mut self, opcode: Opcode, payload: Bytes) {
        self.counters.messages_out += 1;
        let mask = next_mask(&mut self.random);
        let header = frame::header(opcode, true, false, payload.len(), mask);
        self.counters.bytes_out += (header.len() + payload.len()) as u64;
        let payload = match mask {
            None => payload,
            Some(key) => match payload.try_into_mut() {
                Ok(mut own) => {
                    apply_mask(&mut own, key, 0);
                    own.freeze()
                }
                Err(shared) => masked_copy(&shared, key).0,
            },
        };
        self.outbox.push(header, payload);
    }

    pub(super) fn send_control(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), Misuse> {
        self.now = self.now.max(now);
        match self.phase {
            Phase::Open | Phase::Ending(_) => {}
            Phase::Head(_) | Phase::Waiting(_) => return Err(Misuse::NotOpen),
            Phase::Closing | Phase::Draining(_) | Phase::Ended => return Err(Misuse::Ended),
        }
        if payload.len() > MAX_CONTROL {
            return Err(Misuse::TooLong);
        }
        self.write_control(opcode, payload);
        Ok(())
    }

    pub(super) fn write_control(&mut self, opcode: Opcode, payload: &[u8]) {
        self.write_frame(opcode, true, false, payload);
    }

    /// Answers a Ping: in its turn, or, if the peer does not read, in a place of its own that only the last one keeps.
    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if self.outbox.queued() < self.config.max_queued_output {
            self.write_control(Opcode::Pong, payload);
            return;
        }
        let mut pong = Outbox::default();
        let mask = next_mask(&mut self.random);
        put_frame(pong.append(frame_size(payload.len(), mask.is_some())), Opcode::Pong, true, false, payload, mask);
        if let Some(pong) = pong.pop() {
            self.counters.bytes_out += pong.len() as u64;
            if self.outbox.set_urgent(pong) {
                self.counters.pongs_merged += 1;
            }
        }
    }

    /// Answers a CRLF keepalive, in a message of its own kind; not if the peer does not read.
    pub(super) fn answer_crlf(&mut self, is_text: bool) {
        if self.outbox.queued() < self.config.max_queued_output && self.is_open() {
            self.write_message(if is_text { Opcode::Text } else { Opcode::Binary }, b"\r\n");
        }
    }

    /// Queues a Close frame; remembers it for the terminal event.
    pub(super) fn send_close(&mut self, frame: CloseFrame) {
        let mut payload = [0; MAX_CONTROL];
        let mut len = 0;
        if let Some(code) = frame.code {
            [payload[0], payload[1]] = code.get().to_be_bytes();
            let reason = frame.reason.as_bytes();
            len = 2 + reason.len().min(MAX_CONTROL - 2);
            if let (Some(slot), Some(reason)) = (payload.get_mut(2..len), reason.get(..len - 2)) {
                slot.copy_from_slice(reason);
            }
        }
        self.write_control(Opcode::Close, payload.get(..len).unwrap_or_default());
        self.close_sent = Some(Box::new(frame));
    }

    /// Both Close frames are exchanged: the client waits for the server to close the transport.
    pub(super) fn drain(&mut self, cause: Cause, received: CloseFrame) {
        let sent = self.close_sent.take().map(|frame| *frame);
        self.phase = Phase::Draining(Box::new(Closed { cause, sent, received: Some(received) }));
        self.timers.phase = self.now + self.config.close_timeout;
        self.timers.keep_alive = Instant::MAX;
        debug_assert_eq!(self.rules.role, Role::Client);
    }
}

/// A client's key for its next frame; a server has none.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//# When preparing a masked frame, the client MUST pick a
//# fresh masking key from the set of allowed 32-bit values.  The masking
//# key needs to be unpredictable; thus, the masking key MUST be derived
//# from a strong source of entropy, and the masking key for a given
//# frame MUST NOT make it simple for a server/proxy to predict the
//# masking key for a subsequent frame.
//= https://www.rfc-editor.org/rfc/rfc6455#section-10.3
//# Clients MUST choose a new masking key for each frame, using an
//# algorithm that cannot be predicted by end applications that provide
//# data.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//# A server MUST NOT mask any frames that it sends to
//# the client.
#[inline]
fn next_mask(random: &mut Option<Box<ChaCha20Rng>>) -> Option<[u8; 4]> {
    random.as_mut().map(|random| random.next_u32().to_ne_bytes())
}

/// The size of a frame on the wire.
#[inline]
fn frame_size(len: usize, is_masked: bool) -> usize {
    let length = match len {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    2 + length + if is_masked { 4 } else { 0 } + len
}

#[inline(always)]
fn put_frame(out: &mut Vec<u8>, opcode: Opcode, fin: bool, compressed: bool, payload: &[u8], mask: Option<[u8; 4]>) {
    out.reserve(frame_size(payload.len(), mask.is_some()));
    frame::put(out, opcode, fin, compressed, payload.len(), mask);
    //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
    //# If the data is being sent by the client, the frame(s) MUST be
    //# masked as defined in Section 5.3.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
    //# a client MUST mask all frames that it
    //# sends to the server (see Section 5.3 for further details).
    match mask {
        Some(key) => append_masked(out, payload, key),
        None => out.extend_from_slice(payload),
    }
}
