//! Messages and control frames out.

use super::{Connection, Misuse, Phase};
use crate::{
    close::{Cause, CloseFrame, Closed},
    config::Role,
    frame::{self, MAX_CONTROL, MAX_HEADER, Opcode},
    mask::{apply_mask, masked_copy},
    outbox::Outbox,
    sip::{self, Content},
    time::Instant,
    utf8,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

/// Payloads from this size on are queued as they are if they are owned; smaller ones are copied behind their header.
const COPY_LIMIT: usize = 4096;

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Text: the bytes must be UTF-8.
    Text(Bytes),
    /// Binary.
    Binary(Bytes),
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Kind and size only: payloads are long, and may be secret.
impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = if matches!(self, Self::Text(_)) { "Text" } else { "Binary" };
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
            Message::Text(payload) => (Opcode::Text, payload),
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
        if payload.len() < COPY_LIMIT || !self.is_plain(payload.len()) {
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
        let mut header = Vec::with_capacity(MAX_HEADER);
        frame::put(&mut header, opcode, true, false, payload.len(), mask);
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
    let start = out.len();
    out.extend_from_slice(payload);
    //= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
    //# If the data is being sent by the client, the frame(s) MUST be
    //# masked as defined in Section 5.3.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
    //# a client MUST mask all frames that it
    //# sends to the server (see Section 5.3 for further details).
    if let (Some(key), Some(payload)) = (mask, out.get_mut(start..)) {
        apply_mask(payload, key, 0);
    }
}
