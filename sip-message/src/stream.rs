//! From a stream of bytes to messages: TCP, TLS, and whatever else has no message boundaries of its own.
//!
//! Owns the bytes that are not yet a message, and never more of them than one message may have.

use crate::config::ParserConfig;
use crate::error::{FramingFault, ParseError};
use crate::header::Header;
use crate::index::Index;
use crate::message::{Kind, Message, Start, begins_response};
use crate::parse;
use bytes::{Bytes, BytesMut};
use core::fmt;

/// Takes a stream apart into messages by Content-Length (RFC 3261 section 18.3).
///
/// However the bytes are cut, the items are the same. After [`push`](StreamDecoder::push), call
/// [`next_item`](StreamDecoder::next_item) until it returns `None`; what it returns changes only with a `push`.
///
/// ```
/// use sip_message::{ParserConfig, StreamDecoder, StreamItem};
///
/// let mut decoder = StreamDecoder::new(ParserConfig::default());
/// decoder.push(b"\r\n\r\nACK sip:a@b SIP/2.0\r\nContent-");
/// assert!(matches!(decoder.next_item(), Some(Ok(StreamItem::Crlf { run: 1 }))));
/// assert!(matches!(decoder.next_item(), Some(Ok(StreamItem::Crlf { run: 2 }))));
/// assert!(decoder.next_item().is_none());
/// decoder.push(b"Length: 0\r\n\r\n");
/// assert!(matches!(decoder.next_item(), Some(Ok(StreamItem::Message(_)))));
/// ```
pub struct StreamDecoder {
    config: ParserConfig,
    buffer: BytesMut,
    /// How far `buffer` has been searched for the end of the head.
    searched: usize,
    /// A head that waits for its body.
    pending: Option<Pending>,
    /// Empty lines in a row.
    run: u32,
    /// Bytes of a refused message that are still to come.
    skip: u64,
    /// Something of SIP has come: an empty line, or what ends as a head does.
    begun: bool,
    dead: bool,
}

struct Pending {
    start: Start,
    index: Index,
    body: usize,
    end: usize,
}

/// What a stream holds.
#[derive(Debug)]
// Nearly every item is a message: a box would cost an allocation each to save a copy of the rare other.
#[allow(clippy::large_enum_variant)]
pub enum StreamItem {
    /// A message.
    Message(Message),
    /// An empty line between messages: a keepalive (RFC 5626 section 3.5.1).
    Crlf {
        /// How many there have been in a row, this one included. A ping is two: answer each even one with a single
        /// CRLF. A pong is one: where a pong is awaited, the first one is it.
        run: u32,
    },
}

/// Why a message on a stream was refused.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What is wrong. The offset counts from the start of [`head`](StreamError::head).
    pub error: ParseError,
    /// Whether the stream is lost: it cannot be told where the next message begins. The decoder returns nothing
    /// more; answer, if something is owed, and close. If not, the message has been skipped and the stream goes on.
    pub fatal: bool,
    /// The head of the message, for [`salvage`](crate::salvage).
    pub head: Bytes,
    /// The length of its body, which is skipped as it comes; 0 if the stream is lost.
    pub skipped: u64,
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamError").field("error", &self.error).field("fatal", &self.fatal).finish_non_exhaustive()
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl core::error::Error for StreamError {}

impl fmt::Debug for StreamDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDecoder").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl StreamDecoder {
    /// A decoder at the start of a stream. It allocates nothing before the first byte.
    pub fn new(config: ParserConfig) -> Self {
        StreamDecoder {
            config,
            buffer: BytesMut::new(),
            searched: 0,
            pending: None,
            run: 0,
            skip: 0,
            begun: false,
            dead: false,
        }
    }

    /// Adds what came in. The bytes are copied once; hand in what one read returned, and take the items before the
    /// next one: the decoder holds what it was given until then, and beyond that never more than
    /// [`ParserConfig::max_message_len`].
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead {
            return;
        }
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        self.buffer.extend_from_slice(bytes.get(skipped as usize..).unwrap_or_default());
    }

    /// The next item; `None` until more bytes come, and for ever after a fatal error.
    ///
    /// # Errors
    ///
    /// A message that cannot be read. See [`StreamError::fatal`].
    pub fn next_item(&mut self) -> Option<Result<StreamItem, StreamError>> {
        if self.dead {
            return None;
        }
        if self.pending.is_none() {
            if self.take_crlf() {
                return Some(Ok(StreamItem::Crlf { run: self.run }));
            }
            match self.find_head()? {
                Ok(pending) => self.pending = Some(pending),
                Err(error) => return Some(Err(error)),
            }
        }
        let end = self.pending.as_ref().map(|pending| pending.end)?;
        if self.buffer.len() < end {
            return None;
        }
        let pending = self.pending.take()?;
        let bytes = self.take(end);
        Some(Ok(StreamItem::Message(Message::assemble(bytes, pending.start, pending.index, pending.body, end))))
    }

    /// How many bytes wait for the rest of their message.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the stream may end here: no message has begun that has not ended.
    pub fn is_between_messages(&self) -> bool {
        self.buffer.is_empty() && self.skip == 0
    }

    fn take(&mut self, len: usize) -> Bytes {
        self.searched = 0;
        self.run = 0;
        self.begun = true;
        self.buffer.split_to(len.min(self.buffer.len())).freeze()
    }

    fn take_crlf(&mut self) -> bool {
        let len = match (self.buffer.first(), self.buffer.get(1)) {
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b'\n'), _) if self.config.bare_lf => 1,
            _ => return false,
        };
        bytes::Buf::advance(&mut self.buffer, len);
        self.searched = 0;
        self.begun = true;
        self.run = self.run.saturating_add(1);
        true
    }

    /// Looks for the end of a head and reads it.
    fn find_head(&mut self) -> Option<Result<Pending, StreamError>> {
        // A stream of no text: another protocol, such as TLS at a port that has none. The end of a line would be waited for in vain.
        if !self.begun && self.buffer.first().is_some_and(|b| !matches!(b, b'\t'..=b'\r' | b' '..=b'~')) {
            return Some(Err(self.refuse(FramingFault::StartLine, 0, None, 1, None)));
        }
        let end = self.head_end();
        let limit = self.config.message_len();
        let Some(end) = end.filter(|&end| end <= limit) else {
            let long = self.buffer.len() > limit;
            return long.then(|| Err(self.refuse(FramingFault::MessageTooLong, limit, None, limit, None)));
        };
        let mut index = Index::new();
        let head = match parse::head(&self.buffer, 0, &self.config, &mut index) {
            Ok(head) => head,
            Err(error) => return Some(Err(self.refuse_parsed(error, end))),
        };
        let length = match head.content_length {
            Some(length) => length,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
            //# The Content-Length header field MUST be used with stream oriented
            //# transports.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
            //# If a stream-based protocol (such as TCP) is used as transport,
            //# the header field MUST be used.
            None if self.config.stream_without_content_length => 0,
            None => {
                let mut error =
                    self.refuse(FramingFault::ContentLengthMissing, end, Some(Header::ContentLength), end, None);
                error.error.response = matches!(head.start.kind, Kind::Response(_));
                return Some(Err(error));
            }
        };
        if length > (limit - end.min(limit)) as u64 {
            // Where the next message begins is known; a body of this size is not worth the wait if it is far.
            let skip = (length <= 16 * limit as u64).then_some(length);
            let mut error = self.refuse(FramingFault::MessageTooLong, limit, Some(Header::ContentLength), end, skip);
            error.error.response = matches!(head.start.kind, Kind::Response(_));
            return Some(Err(error));
        }
        Some(Ok(Pending { start: head.start, index, body: head.body, end: head.body + length as usize }))
    }

    /// The end of the head in the buffer, its empty line included. Each byte is looked at once.
    fn head_end(&mut self) -> Option<usize> {
        loop {
            let rest = self.buffer.get(self.searched..)?;
            let Some(lf) = memchr::memchr(b'\n', rest) else {
                self.searched = self.buffer.len();
                return None;
            };
            let lf = self.searched + lf;
            match (self.buffer.get(lf + 1), self.buffer.get(lf + 2)) {
                (Some(b'\r'), Some(b'\n')) => return Some(lf + 3),
                // Lines that end in LF alone, allowed or not: what is refused is refused now, not when memory ends.
                (Some(b'\n'), _) => return Some(lf + 2),
                // What decides is not here yet.
                (None, _) | (Some(b'\r'), None) => {
                    self.searched = lf;
                    return None;
                }
                _ => self.searched = lf + 1,
            }
        }
    }

    /// Refuses the message whose head ends at `end`. If its lines are whole and it says how long its body is, the
    /// stream goes on behind it.
    fn refuse_parsed(&mut self, error: ParseError, end: usize) -> StreamError {
        let keeps_lines = matches!(
            error.kind,
            FramingFault::StartLine
                | FramingFault::Method
                | FramingFault::StatusCode
                | FramingFault::HeaderName
                | FramingFault::TooManyHeaders
                | FramingFault::TooManyFolds
                | FramingFault::StartLineTooLong
                | FramingFault::HeaderTooLong
        );
        let head = self.buffer.get(..end).unwrap_or_default();
        let length = keeps_lines.then(|| lone_content_length(head)).flatten();
        let length = length.filter(|&length| length <= 16 * self.config.message_len() as u64);
        let mut refused = self.refuse(error.kind, error.offset, error.header, end, length);
        refused.error = error;
        refused
    }

    /// Drops the message whose head ends at `end`. `skip` is the length of its body; the stream is lost without.
    fn refuse(
        &mut self,
        kind: FramingFault,
        offset: usize,
        header: Option<Header>,
        end: usize,
        skip: Option<u64>,
    ) -> StreamError {
        let response = begins_response(&self.buffer, 0);
        let error = ParseError { kind, offset, header, response };
        let head = self.take(end);
        let Some(length) = skip else {
            self.dead = true;
            self.buffer = BytesMut::new();
            return StreamError { error, fatal: true, head, skipped: 0 };
        };
        let here = length.min(self.buffer.len() as u64);
        bytes::Buf::advance(&mut self.buffer, here as usize);
        self.skip = length - here;
        StreamError { error, fatal: false, head, skipped: length }
    }
}

/// The Content-Length of a head that did not parse, if exactly one line gives one and no line is doubtful.
fn lone_content_length(head: &[u8]) -> Option<u64> {
    let mut length = None;
    let mut rest = head;
    while let Some(lf) = memchr::memchr(b'\n', rest) {
        let line = rest.get(..lf)?.strip_suffix(b"\r")?;
        rest = rest.get(lf + 1..)?;
        if memchr::memchr(b'\r', line).is_some() {
            return None;
        }
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = crate::scan::trim_end(line.get(..colon)?);
        if Header::lookup(name) == Some(Header::ContentLength) {
            let folded = matches!(rest.first(), Some(b' ' | b'\t'));
            if length.is_some() || folded {
                return None;
            }
            length = Some(crate::scan::decimal(crate::scan::trim(line.get(colon + 1..)?))?);
        }
    }
    length
}
