//! Writing one header line so that nothing malformed can leave: shared by edits and builders.
//!
//! Owns the check of every name and value that comes from the caller. Lines copied from a parsed message are not
//! checked again: framing has held them to one field each.

use crate::error::{ValueError, ValueFault};
use crate::header::{Header, HeaderName};
use crate::headers;
use crate::index::{BARE_LF, Entry, OTHER};
use crate::name_addr::NameAddr;
use crate::params;
use crate::scan;
use crate::uri::Uri;
use alloc::vec::Vec;
use core::fmt::{self, Display, Write};

/// Why a message could not be built or edited. The message or builder is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What is wrong.
    pub kind: BuildFault,
    /// The header field at fault, if it is one that is known.
    pub header: Option<Header>,
}

/// What is wrong with something handed to a builder or an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildFault {
    /// A CR, LF, NUL or other control character: it could end the line or the message early.
    Control {
        /// Where, in bytes from the start of the value.
        offset: usize,
    },
    /// The value is not of the form its header field has.
    Value(ValueError),
    /// The header name is not a token.
    Name,
    /// The method is not a token.
    Method,
    /// The Request-URI is malformed.
    Uri {
        /// Where, in bytes from the start of the URI.
        offset: usize,
    },
    /// A line that exceeds [`ParserConfig::HEADER_LEN_CEILING`](crate::ParserConfig::HEADER_LEN_CEILING), or a
    /// message that exceeds 4 GiB.
    TooLong,
    /// A mandatory header field is missing.
    Missing,
    /// A header field that can only stand once stands twice, or one that the builder writes itself was given.
    Repeated,
    /// CSeq names another method than the request line.
    MethodMismatch,
    /// Content-Length is not the length of the body.
    LengthMismatch,
    /// A final response to a request whose To has no tag needs one: RFC 3261 section 8.2.6.2.
    MissingToTag,
    /// The From of a request needs a tag: RFC 3261 section 8.1.1.3.
    MissingFromTag,
    /// The message lacks what the edit would change, or is not of the kind it applies to.
    NotApplicable,
    /// Max-Forwards is 0 already.
    TooManyHops,
}

impl BuildError {
    pub(crate) const fn new(kind: BuildFault, header: Option<Header>) -> Self {
        BuildError { kind, header }
    }
}

impl Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(header) = self.header {
            write!(f, "{header}: ")?;
        }
        match self.kind {
            BuildFault::Control { offset } => write!(f, "a control character (byte {offset})"),
            BuildFault::Value(error) => write!(f, "{error}"),
            BuildFault::Name => f.write_str("the header name is not a token"),
            BuildFault::Method => f.write_str("the method is not a token"),
            BuildFault::Uri { offset } => write!(f, "the Request-URI is malformed (byte {offset})"),
            BuildFault::TooLong => f.write_str("too long"),
            BuildFault::Missing => f.write_str("missing"),
            BuildFault::Repeated => f.write_str("given more often than it may stand"),
            BuildFault::MethodMismatch => f.write_str("names another method than the request line"),
            BuildFault::LengthMismatch => f.write_str("is not the length of the body"),
            BuildFault::MissingToTag => f.write_str("a final response needs a tag"),
            BuildFault::MissingFromTag => f.write_str("a request needs a tag"),
            BuildFault::NotApplicable => f.write_str("the message has nothing this applies to"),
            BuildFault::TooManyHops => f.write_str("is 0 already"),
        }
    }
}

impl core::error::Error for BuildError {}

/// A `fmt::Write` onto bytes.
pub(crate) struct Sink<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for Sink<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

/// Appends `name: value` CRLF to `out` and returns its entry. On error, `out` is as before.
pub(crate) fn line(out: &mut Vec<u8>, name: HeaderName<'_>, value: impl Display) -> Result<Entry, BuildError> {
    let from = out.len();
    let result = checked_line(out, name, value);
    if result.is_err() {
        out.truncate(from);
    }
    result
}

/// Appends `name: number` CRLF to `out` and returns its entry: a value that needs no check.
pub(crate) fn number_line(out: &mut Vec<u8>, header: Header, number: u32) -> Result<Entry, BuildError> {
    let (from, start) = (out.len(), header.line_start());
    out.extend_from_slice(start.as_bytes());
    let mut digits = [0; 10];
    out.extend_from_slice(decimal(number, &mut digits));
    tight_line(out, from, start.len(), header)
}

/// Appends Content-Length and the end of the head to `out`, and returns the entry.
pub(crate) fn last_line(out: &mut Vec<u8>, length: u32) -> Result<Entry, BuildError> {
    let (from, start) = (out.len(), Header::ContentLength.line_start());
    out.extend_from_slice(start.as_bytes());
    let mut digits = [0; 10];
    out.extend_from_slice(decimal(length, &mut digits));
    let end = out.len();
    out.extend_from_slice(b"\r\n\r\n");
    entry(from, start.len()..end - from, end + 2 - from, Some(Header::ContentLength))
}

/// Appends Max-Forwards as RFC 3261 section 8.1.1.6 wants it, and returns its entry.
pub(crate) fn max_forwards_line(out: &mut Vec<u8>) -> Result<Entry, BuildError> {
    let (from, line) = (out.len(), b"Max-Forwards: 70\r\n");
    out.extend_from_slice(line);
    entry(from, line.len() - 4..line.len() - 2, line.len(), Some(Header::MaxForwards))
}

/// Appends a line with the name and URI of `address` and this tag. The address was read, so that only the tag is checked.
pub(crate) fn address_line(
    out: &mut Vec<u8>,
    header: Header,
    address: &NameAddr<'_>,
    tag: Option<&[u8]>,
) -> Result<Entry, BuildError> {
    let wrong = |error| BuildError::new(BuildFault::Value(error), Some(header));
    address.check_uri().map_err(wrong)?;
    if tag.is_some_and(|tag| !scan::all(tag, scan::TOKEN)) {
        return Err(BuildError::new(of_value(ValueFault::Param), Some(header)));
    }
    let (from, start) = (out.len(), header.line_start());
    out.extend_from_slice(start.as_bytes());
    let display = scan::trim(address.display_bytes());
    if display.is_empty() {
        out.push(b'<');
    } else if is_plain(display) && core::str::from_utf8(display).is_ok() {
        out.extend_from_slice(display);
        out.extend_from_slice(b" <");
    } else if let Some(display) = address.display_name() {
        out.push(b'"');
        for c in display.chars() {
            if matches!(c, '"' | '\\') {
                out.push(b'\\');
            }
            // What no quoted string may hold came in folded or escaped: white space will do.
            let _ = Sink(out).write_char(if c.is_control() { ' ' } else { c });
        }
        out.extend_from_slice(b"\" <");
    }
    out.extend_from_slice(address.uri_bytes());
    match tag {
        Some(tag) => {
            out.extend_from_slice(b">;tag=");
            out.extend_from_slice(tag);
        }
        None => out.push(b'>'),
    }
    plain_value(out, header, from)?;
    tight_line(out, from, start.len(), header)
}

/// Appends a line with this value, folds as the white space they are, if it may stand there.
pub(crate) fn unfolded_line(out: &mut Vec<u8>, header: Header, value: &[u8]) -> Result<Entry, BuildError> {
    let (from, start) = (out.len(), header.line_start());
    out.extend_from_slice(start.as_bytes());
    let value_from = out.len();
    // White space stands behind each line end of a fold.
    out.extend(value.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
    if let Err(error) = check(Some(header), out.get(value_from..).unwrap_or_default()) {
        out.truncate(from);
        return Err(error);
    }
    finish_line(out, from, start.len() - 2, Some(header))
}

/// Appends a line with a value that was read from a message, so that its grammar need not be checked again, and that has no white space at its
/// ends.
pub(crate) fn read_line(out: &mut Vec<u8>, header: Header, value: &[u8]) -> Result<Entry, BuildError> {
    let (from, start) = (out.len(), header.line_start());
    out.extend_from_slice(start.as_bytes());
    out.extend_from_slice(value);
    plain_value(out, header, from)?;
    tight_line(out, from, start.len(), header)
}

/// Whether a value that has been read before may end here: only what could end the line early is looked for.
fn plain_value(out: &mut Vec<u8>, header: Header, from: usize) -> Result<(), BuildError> {
    let value = out.get(from + header.line_start().len()..).unwrap_or_default();
    if is_plain(value) {
        return Ok(());
    }
    let offset = value.iter().position(|&b| is_control(b)).unwrap_or(0);
    out.truncate(from);
    Err(BuildError::new(BuildFault::Control { offset }, Some(header)))
}

/// Whether nothing in a value can end its line.
fn is_plain(value: &[u8]) -> bool {
    // Without a way out of the loop, it looks at many bytes at once.
    !value.iter().fold(false, |any, &b| any | is_control(b))
}

fn is_control(b: u8) -> bool {
    (b < 0x20 && b != b'\t') || b == 0x7f
}

/// Appends CSeq with this number and the method that stands at `method` in `out`, a token.
pub(crate) fn cseq_line(out: &mut Vec<u8>, number: u32, method: core::ops::Range<usize>) -> Result<Entry, BuildError> {
    let (from, start) = (out.len(), Header::CSeq.line_start());
    out.extend_from_slice(start.as_bytes());
    let mut digits = [0; 10];
    out.extend_from_slice(decimal(number, &mut digits));
    out.push(b' ');
    out.extend_from_within(method);
    tight_line(out, from, start.len(), Header::CSeq)
}

pub(crate) fn decimal(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut at = digits.len();
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        at -= 1;
        if left == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}

/// Appends a line as [`line`] does, for a value that is text already.
pub(crate) fn text_line(out: &mut Vec<u8>, header: Header, value: &str) -> Result<Entry, BuildError> {
    check(Some(header), value.as_bytes())?;
    let (from, start) = (out.len(), header.line_start());
    out.extend_from_slice(start.as_bytes());
    let value = scan::trim(value.as_bytes());
    out.extend_from_slice(value);
    tight_line(out, from, start.len(), header)
}

fn checked_line(out: &mut Vec<u8>, name: HeaderName<'_>, value: impl Display) -> Result<Entry, BuildError> {
    let header = name.known();
    let from = out.len();
    let text = name.as_str();
    if header.is_none() && !scan::all(text.as_bytes(), scan::TOKEN) {
        return Err(BuildError::new(BuildFault::Name, None));
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b": ");
    let value_from = out.len();
    // Writing to a Vec does not fail; a `Display` that reports an error has written what it wanted to.
    let _ = write!(Sink(out), "{value}");
    let value = out.get(value_from..).unwrap_or_default();
    check(header, value)?;
    finish_line(out, from, text.len(), header)
}

/// Appends a copy of the line of another message and returns its entry. Only line ends change: one that came as LF
/// alone becomes CRLF.
#[inline]
pub(crate) fn copied_line(out: &mut Vec<u8>, entry: &Entry, line: &[u8]) -> Result<Entry, BuildError> {
    let from = out.len();
    let Ok(at) = u32::try_from(from) else { return Err(BuildError::new(BuildFault::TooLong, entry.header())) };
    if entry.flags & BARE_LF != 0 {
        return mended_line(out, entry, line, at);
    }
    out.extend_from_slice(line);
    Ok(Entry { line: at, flags: 0, ..*entry })
}

/// Appends a copy of a line whose line ends are LF alone, or some of them, to `out` at `from`.
#[cold]
fn mended_line(out: &mut Vec<u8>, entry: &Entry, line: &[u8], from: u32) -> Result<Entry, BuildError> {
    let too_long = BuildError::new(BuildFault::TooLong, entry.header());
    let bare = |at: usize| at.checked_sub(1).is_none_or(|before| line.get(before) != Some(&b'\r'));
    let added = |to: u16| {
        let before = line.get(..usize::from(to)).unwrap_or_default();
        memchr::memchr_iter(b'\n', before).filter(|&at| bare(at)).count()
    };
    let moved = |place: u16| u16::try_from(usize::from(place) + added(place)).map_err(|_| too_long);
    let (value, value_end, line_len) = (moved(entry.value)?, moved(entry.value_end)?, moved(entry.line_len)?);
    for (at, &b) in line.iter().enumerate() {
        if b == b'\n' && bare(at) {
            out.push(b'\r');
        }
        out.push(b);
    }
    Ok(Entry { line: from, value, value_end, line_len, flags: 0, ..*entry })
}

/// Ends the line that begins at `from`, with a value without white space around it behind as many bytes.
fn tight_line(out: &mut Vec<u8>, from: usize, start_len: usize, header: Header) -> Result<Entry, BuildError> {
    let value = start_len..out.len() - from;
    end_line(out, from, value, Some(header))
}

/// Ends the line that begins at `from`, whose name has `name_len` bytes and is followed by `: `.
pub(crate) fn finish_line(
    out: &mut Vec<u8>,
    from: usize,
    name_len: usize,
    header: Option<Header>,
) -> Result<Entry, BuildError> {
    let content = out.get(from + name_len + 1..).unwrap_or_default();
    let lead = scan::skip(content, 0, scan::LWS);
    let value_len = scan::trim_end(content.get(lead..).unwrap_or_default()).len();
    let value = name_len + 1 + lead;
    end_line(out, from, value..value + value_len, header)
}

/// Ends the line that begins at `from`; `value`: where its value is, from there.
#[inline]
fn end_line(
    out: &mut Vec<u8>,
    from: usize,
    value: core::ops::Range<usize>,
    header: Option<Header>,
) -> Result<Entry, BuildError> {
    out.extend_from_slice(b"\r\n");
    entry(from, value, out.len() - from, header)
}

/// The entry of a line of `line_len` bytes that begins at `from`; `value`: where its value is, from there.
#[inline]
fn entry(
    from: usize,
    value: core::ops::Range<usize>,
    line_len: usize,
    header: Option<Header>,
) -> Result<Entry, BuildError> {
    let too_long = BuildError::new(BuildFault::TooLong, header);
    Ok(Entry {
        // What is in the line is shorter than the line.
        line_len: u16::try_from(line_len).map_err(|_| too_long)?,
        line: u32::try_from(from).map_err(|_| too_long)?,
        value: value.start as u16,
        value_end: value.end as u16,
        tag: header.map_or(OTHER, |header| header as u8),
        flags: 0,
    })
}

/// Whether `value` may stand in a line of `header`.
pub(crate) fn check(header: Option<Header>, value: &[u8]) -> Result<(), BuildError> {
    if !is_plain(value) {
        let offset = value.iter().position(|&b| is_control(b)).unwrap_or(0);
        return Err(BuildError::new(BuildFault::Control { offset }, header));
    }
    let value = scan::trim(value);
    // What nearly all bodies are.
    if header == Some(Header::ContentType) && value == b"application/sdp" {
        return Ok(());
    }
    let grammar = match header.and_then(|header| headers::check_value(header, value)) {
        Some(result) => result,
        None => balanced_quotes(value),
    };
    grammar.map_err(|error| BuildError::new(BuildFault::Value(error), header))
}

/// In a value whose grammar is not known, each quote that opens must close.
fn balanced_quotes(v: &[u8]) -> Result<(), ValueError> {
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', v.get(at..).unwrap_or_default()) {
        let open = at + quote;
        at = params::quoted_string(v, open).map_err(|(kind, at)| ValueError::new(kind, at))?;
    }
    Ok(())
}

/// Appends `uri` to `out` if it is a well-formed Request-URI. On error, `out` is as before.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
//# The Request-URI MUST NOT contain unescaped
//# spaces or control characters and MUST NOT be enclosed in "<>".
// Headers have no place in it either: table 1 of RFC 3261 section 19.1.1.
pub(crate) fn request_uri(out: &mut Vec<u8>, uri: impl Display) -> Result<(), BuildError> {
    let from = out.len();
    copied_request_uri(out, uri)?;
    let written = out.get(from..).unwrap_or_default();
    let offset = memchr::memchr(b'?', written).filter(|_| match Uri::parse(written) {
        Ok(Uri::Sip(uri)) => !uri.headers().as_str().is_empty(),
        _ => false,
    });
    match offset {
        None => Ok(()),
        Some(offset) => {
            out.truncate(from);
            Err(BuildError::new(BuildFault::Uri { offset }, None))
        }
    }
}

/// Appends the Request-URI of another request, whatever it has. On error, `out` is as before.
pub(crate) fn copied_request_uri(out: &mut Vec<u8>, uri: impl Display) -> Result<(), BuildError> {
    let from = out.len();
    let _ = write!(Sink(out), "{uri}");
    let written = out.get(from..).unwrap_or_default();
    match Uri::check(written).map_or_else(|error| Some(error.offset), |_| request_line_fault(written)) {
        None => Ok(()),
        Some(offset) => {
            out.truncate(from);
            Err(BuildError::new(BuildFault::Uri { offset }, None))
        }
    }
}

/// Where there is a byte in a URI that a request line cannot hold.
pub(crate) fn request_line_fault(uri: &[u8]) -> Option<usize> {
    let ends = |b: u8| b <= b' ' || b == 0x7f;
    // Without a way out of the loop, it looks at many bytes at once.
    if !uri.iter().fold(false, |any, &b| any | ends(b)) {
        return None;
    }
    uri.iter().position(|&b| ends(b))
}

/// A fault of this kind in `header`.
pub(crate) fn fault(kind: BuildFault, header: Header) -> BuildError {
    BuildError::new(kind, Some(header))
}

/// Bytes as `Display`, for values that come from a message.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is not UTF-8 is refused by the caller's check of the field it came from, or replaced here.
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// The fault of a value as a build fault.
pub(crate) fn of_value(error: ValueFault) -> BuildFault {
    BuildFault::Value(ValueError::new(error, 0))
}
