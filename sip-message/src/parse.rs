//! Framing: from bytes to the index of a message, in one pass and without copying.
//!
//! Owns the line structure and the place of the body; never looks into a value, Content-Length excepted.

use crate::config::ParserConfig;
use crate::error::{FramingFault, ParseError};
use crate::header::{self, Header};
use crate::index::{BARE_LF, Entry, INLINE, Index, OTHER};
use crate::message::{Kind, Start, begins_response};
use crate::method::MethodTag;
use crate::scan;
use crate::status::StatusCode;

/// The head of a message: start line, index, and where the body begins.
pub(crate) struct Head {
    pub(crate) start: Start,
    pub(crate) body: usize,
    pub(crate) content_length: Option<u64>,
}

pub(crate) type Fault = (FramingFault, usize);

/// Parses the head that begins at `v[from]`, start line first, into `index`.
///
/// The caller has skipped empty lines. Offsets in the error count from the start of `v`.
#[inline(never)]
pub(crate) fn head(v: &[u8], from: usize, config: &ParserConfig, index: &mut Index) -> Result<Head, ParseError> {
    let response = begins_response(v, from);
    let error = |(kind, offset): Fault| ParseError { kind, offset, header: None, response };

    let (start, mut at) = start_line(v, from, config, response).map_err(|fault| match fault {
        (FramingFault::HeaderTooLong, at) => error((FramingFault::StartLineTooLong, at)),
        fault => error(fault),
    })?;
    let max_len = config.header_len();
    // Lines up to the next look at their number, and those that may come after it.
    let mut left = config.max_headers.min(INLINE);
    let mut beyond = config.max_headers - left;
    loop {
        at = plain_lines(v, at, max_len, index, &mut left);
        match v.get(at) {
            Some(b'\r') if v.get(at + 1) == Some(&b'\n') => {
                at += 2;
                break;
            }
            Some(b'\n') if config.bare_lf => {
                at += 1;
                break;
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-7
            //# Note that the empty line MUST be
            //# present even if the message-body is not.
            None if config.missing_empty_line && !index.entries().is_empty() => break,
            None => return Err(error((FramingFault::TruncatedHead, at))),
            Some(_) => {}
        }
        if left == 0 {
            left = more_lines(index, &mut beyond).ok_or(error((FramingFault::TooManyHeaders, at)))?;
        }
        left -= 1;
        let entry = header_line(v, at, max_len, config).map_err(error)?;
        at = entry.line_end() as usize;
        index.push(entry);
    }
    let content_length = content_length(v, index).map_err(|(kind, offset)| ParseError {
        kind,
        offset,
        header: Some(Header::ContentLength),
        response,
    })?;
    Ok(Head { start, body: at, content_length })
}

/// Makes room in the index for the lines beyond those it holds by itself, and says how many may come; `None` if none may.
#[cold]
fn more_lines(index: &mut Index, beyond: &mut usize) -> Option<usize> {
    let more = core::mem::take(beyond);
    if more == 0 {
        return None;
    }
    index.make_room();
    Some(more)
}

/// The end of a line: where its content ends, and where the next line begins.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7
//# The start-line, each message-header line, and the empty line MUST be
//# terminated by a carriage-return line-feed sequence (CRLF).
#[inline(always)]
fn line_end(v: &[u8], from: usize, config: &ParserConfig) -> Result<(usize, usize), Fault> {
    let mut at = scan::find_control_from(v, from);
    loop {
        match v.get(at) {
            Some(b'\r') => {
                return match v.get(at + 1) {
                    Some(b'\n') => Ok((at, at + 2)),
                    Some(_) => Err((FramingFault::BareCr, at)),
                    None => Err((FramingFault::TruncatedHead, at)),
                };
            }
            Some(b'\n') if config.bare_lf => return Ok((at, at + 1)),
            Some(b'\n') => return Err((FramingFault::BareLf, at)),
            // Other controls are the grammar's business: a quoted-pair may hold them.
            Some(_) => at = scan::find_control_from(v, at + 1),
            None => return Err((FramingFault::TruncatedHead, at)),
        }
    }
}

/// Parses header lines from `v[at]` on that are as nearly all are, `left` of them at most, and tells where it stopped: at the end of the
/// head, at another line, or at whatever is wrong.
///
/// By itself, as a loop that has few things to keep in mind: those of [`head`] would be in its way at each line.
#[inline(never)]
fn plain_lines(v: &[u8], mut at: usize, max_len: usize, index: &mut Index, left: &mut usize) -> usize {
    while *left > 0 {
        let Some(line) = v.get(at..).and_then(|rest| plain_line(rest, max_len)) else { break };
        index.push(Entry { line: at as u32, ..line });
        at += usize::from(line.line_len);
        *left -= 1;
    }
    at
}

/// The header line that `v` begins with if it is as nearly all are: name, colon, one space, a value without white space at its
/// ends, CRLF, and no fold. `None` says nothing of what is wrong, if anything is.
#[inline(always)]
fn plain_line(v: &[u8], max_len: usize) -> Option<Entry> {
    // Without as many bytes as the shortest line and the line behind it, there is nothing to gain here.
    let first = scan::load(v, 0)?;
    // The empty line that ends the head is no header line: this is known without a look for a name.
    if first as u8 == b'\r' {
        return None;
    }
    let name = header::scan_name_from(v, first)?;
    let &[space, begin] = v.get(name.colon + 1..)?.first_chunk::<2>()?;
    let value = v.get(name.colon + 2..)?;
    let end = scan::find_control(value);
    let &tail = value.get(end.checked_sub(1)?..)?.first_chunk::<4>()?;
    let [last, _, _, next] = tail;
    let value_end = name.colon + 2 + end;
    // Nothing that is LWS is above a space.
    let ends = u32::from_le_bytes(tail) & 0x00ff_ff00 == u32::from_le_bytes(*b"\0\r\n\0");
    let plain = space == b' ' && begin > b' ' && last > b' ' && ends;
    if !plain || next == b' ' || next == b'\t' || value_end + 2 > max_len {
        return None;
    }
    Some(Entry {
        line: 0,
        line_len: (value_end + 2) as u16,
        value: (name.colon + 2) as u16,
        value_end: value_end as u16,
        tag: name.header.map_or(OTHER, |header| header as u8),
        flags: 0,
    })
}

/// Any header line, and what is wrong with it.
#[cold]
fn header_line(v: &[u8], from: usize, max_len: usize, config: &ParserConfig) -> Result<Entry, Fault> {
    let Some(name) = header::scan_name(v, from) else {
        return Err(name_fault(v, from, config));
    };
    let (mut end, mut next) =
        line_end(v, from + name.colon + 1, config).map_err(|fault| too_long(fault, from, max_len))?;
    if matches!(v.get(next), Some(b' ' | b'\t')) {
        (end, next) = folds(v, from, next, max_len, config)?;
    }
    if next - from > max_len {
        return Err((FramingFault::HeaderTooLong, from));
    }
    let mut value = from + name.colon + 1;
    while value < end && v.get(value).is_some_and(|&b| scan::is(b, scan::LWS)) {
        value += 1;
    }
    while end > value && v.get(end - 1).is_some_and(|&b| scan::is(b, scan::LWS)) {
        end -= 1;
    }
    let line = v.get(from..next).unwrap_or_default();
    let bare = |at: usize| at.checked_sub(1).is_none_or(|before| line.get(before) != Some(&b'\r'));
    Ok(Entry {
        line: from as u32,
        line_len: (next - from) as u16,
        value: (value - from) as u16,
        value_end: (end - from) as u16,
        tag: name.header.map_or(OTHER, |header| header as u8),
        flags: if memchr::memchr_iter(b'\n', line).any(bare) { BARE_LF } else { 0 },
    })
}

/// A line that exceeds the limit and does not end is too long rather than truncated.
#[cold]
fn too_long(fault: Fault, from: usize, max_len: usize) -> Fault {
    if fault.1 - from > max_len { (FramingFault::HeaderTooLong, from) } else { fault }
}

/// Continuation lines from `next` on; returns the end of the last one's content and the line behind it.
#[cold]
fn folds(v: &[u8], from: usize, next: usize, max_len: usize, config: &ParserConfig) -> Result<(usize, usize), Fault> {
    let mut next = next;
    let mut end = next;
    let mut count = 0;
    while matches!(v.get(next), Some(b' ' | b'\t')) {
        count += 1;
        if count > config.max_folds {
            return Err((FramingFault::TooManyFolds, next));
        }
        (end, next) = line_end(v, next, config).map_err(|fault| too_long(fault, from, max_len))?;
        if next - from > max_len {
            return Err((FramingFault::HeaderTooLong, from));
        }
    }
    Ok((end, next))
}

/// Why a line has no name: it is cut short, or it is not a header line.
#[cold]
fn name_fault(v: &[u8], from: usize, config: &ParserConfig) -> Fault {
    let fault = match line_end(v, from, config) {
        Ok(_) => (FramingFault::HeaderName, from),
        Err(fault) => too_long(fault, from, config.header_len()),
    };
    match fault.0 {
        FramingFault::BareCr | FramingFault::BareLf if v.get(from..fault.1).is_some_and(|v| v.contains(&b':')) => fault,
        FramingFault::BareLf if fault.1 == from => fault,
        FramingFault::BareCr | FramingFault::BareLf => (FramingFault::HeaderName, from),
        _ => fault,
    }
}

fn start_line(v: &[u8], from: usize, config: &ParserConfig, response: bool) -> Result<(Start, usize), Fault> {
    let max_len = config.header_len();
    let (end, next) = line_end(v, from, config).map_err(|fault| too_long(fault, from, max_len))?;
    if next - from > max_len {
        return Err((FramingFault::HeaderTooLong, from));
    }
    let line = v.get(from..end).unwrap_or_default();
    let parsed = if response { status_line(line, config) } else { request_line(line) };
    let (kind, span, version_2) = parsed.map_err(|(kind, offset)| (kind, from + offset))?;
    let start = Start {
        kind,
        line: from as u32,
        line_len: (next - from) as u16,
        span: (span.0 as u16, span.1 as u16),
        version_2,
        edited: false,
    };
    Ok((start, next))
}

pub(crate) type StartParts = (Kind, (usize, usize), bool);

//= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
//# The Request-Line ends with CRLF.  No CR or
//# LF are allowed except in the end-of-line CRLF sequence.
#[inline]
pub(crate) fn request_line(line: &[u8]) -> Result<StartParts, Fault> {
    let fault = Err((FramingFault::StartLine, 0));
    let Some(method_end) = method_end(line) else { return fault };
    let (uri_end, version_2) = if line.ends_with(b" SIP/2.0") {
        (line.len() - 8, true)
    } else {
        let Some(space) = memchr::memrchr(b' ', line) else { return fault };
        match version(line.get(space + 1..).unwrap_or_default()) {
            Some(version_2) => (space, version_2),
            None => return fault,
        }
    };
    if uri_end <= method_end {
        return fault;
    }
    let tag = MethodTag::lookup_prefix(line, method_end);
    if tag == MethodTag::Other && !scan::all(line.get(..method_end).unwrap_or_default(), scan::TOKEN) {
        return Err((FramingFault::Method, 0));
    }
    Ok((Kind::Request(tag), (method_end + 1, uri_end), version_2))
}

/// Index of the first space.
#[inline(always)]
fn method_end(line: &[u8]) -> Option<usize> {
    let mark = scan::equal(scan::load(line, 0).unwrap_or(0), b' ');
    if mark != 0 {
        return Some((mark.trailing_zeros() / 8) as usize);
    }
    line.iter().position(|&b| b == b' ')
}

/// How long all but the Reason-Phrase of a usual status line is.
const USUAL_STATUS: usize = b"SIP/2.0 200 ".len();

/// The status of a line that begins as nearly all do; `None` says nothing.
#[inline(always)]
fn usual_status(line: &[u8]) -> Option<StatusCode> {
    let [code @ .., space] = line.strip_prefix(b"SIP/2.0 ")?.first_chunk::<4>()?;
    let [a, b, c] = code.map(|b| u16::from(b.wrapping_sub(b'0')));
    let digits = (a < 10) & (b < 10) & (c < 10);
    if digits && *space == b' ' { StatusCode::new(a * 100 + b * 10 + c) } else { None }
}

pub(crate) fn status_line(line: &[u8], config: &ParserConfig) -> Result<StartParts, Fault> {
    if let Some(status) = usual_status(line) {
        return Ok((Kind::Response(status), (USUAL_STATUS, line.len()), true));
    }
    any_status_line(line, config)
}

/// Any status line, and what is wrong with it.
fn any_status_line(line: &[u8], config: &ParserConfig) -> Result<StartParts, Fault> {
    let fault = Err((FramingFault::StartLine, 0));
    let Some(space) = line.iter().position(|&b| b == b' ') else { return fault };
    let Some(version_2) = version(line.get(..space).unwrap_or_default()) else { return fault };
    let rest = line.get(space + 1..).unwrap_or_default();
    let digits = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
    let code = rest.get(..digits).unwrap_or_default();
    let status = match code {
        [_, _, _] => scan::decimal(code).and_then(|n| StatusCode::new(n as u16)),
        _ => None,
    };
    let Some(status) = status else { return Err((FramingFault::StatusCode, space + 1)) };
    // Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF: the second space is there even before
    // an empty phrase.
    if digits == rest.len() && !config.missing_reason_space {
        return Err((FramingFault::StartLine, line.len()));
    }
    let reason = (space + 1 + digits + 1).min(line.len());
    Ok((Kind::Response(status), (reason, line.len()), version_2))
}

/// Whether a SIP-Version is 2.0; `None` if it is not a SIP-Version.
fn version(v: &[u8]) -> Option<bool> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
    //# The SIP-Version string is case-insensitive, but implementations MUST
    //# send upper-case.
    let number = v.get(..4).filter(|s| s.eq_ignore_ascii_case(b"SIP/")).and(v.get(4..))?;
    let dot = number.iter().position(|&b| b == b'.')?;
    let (major, minor) = (number.get(..dot)?, number.get(dot + 1..)?);
    (scan::all(major, scan::DIGIT) && scan::all(minor, scan::DIGIT)).then_some(number == b"2.0")
}

/// The value that all Content-Length fields agree on. Nothing else says how long a body is.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.2
//# The "chunked" transfer encoding of HTTP/1.1 MUST NOT be used for SIP.
#[inline]
fn content_length(v: &[u8], index: &Index) -> Result<Option<u64>, Fault> {
    let Some(first) = index.first_entry(Header::ContentLength) else { return Ok(None) };
    let length = length_of(v, first)?;
    if index.is_repeated(Header::ContentLength) {
        for entry in index.entries().iter().filter(|entry| entry.tag == Header::ContentLength as u8) {
            if length_of(v, entry)? != length {
                return Err((FramingFault::ContentLengthConflict, entry.fault_offset()));
            }
        }
    }
    Ok(Some(length))
}

#[inline]
fn length_of(v: &[u8], entry: &Entry) -> Result<u64, Fault> {
    let line = entry.line as usize;
    let value = v.get(line + usize::from(entry.value)..line + usize::from(entry.value_end)).unwrap_or_default();
    scan::decimal(value).ok_or((FramingFault::ContentLength, entry.fault_offset()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shortcuts::nearly;
    use alloc::format;
    use proptest::prelude::*;

    const LINES: &[&str] = &[
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbnv8h5asgh7vavhkvn01\r\nFrom: <sip:1@192.0.2.1>;tag=b80be7cc\r\n",
        "Content-Length: 0\r\n\r\n",
        "Supported: \r\nl: 10\r\n\r\nv=0\r\n",
        "P-Asserted-Identity: \"\u{e4}\u{f6}\u{fc} \u{4f60}\u{597d}\" <sip:a@b>\r\n\r\n",
        "X-Geschm\u{e4}ck:1\r\nCSeq : 1 ACK\r\n\r\n",
        "Subject: I know you're there,\r\n  pick up the phone\r\n\r\nand more than twenty bytes",
        "Subscription-State: active;expires=60\r\n\r\n                   ",
        "s: one\nt: two\r\n and three\n\nfour and five and six",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn a_plain_line_is_what_any_way_reads(v in nearly(LINES), max_len in 10usize..100) {
            if let Some(line) = plain_line(&v, max_len) {
                let config = ParserConfig { max_header_len: max_len, ..ParserConfig::DEFAULT };
                prop_assert_eq!(format!("{:?}", header_line(&v, 0, max_len, &config)), format!("Ok({line:?})"));
            }
        }

        #[test]
        fn a_usual_status_is_what_any_way_reads(
            v in nearly(&["SIP/2.0 200 OK", "SIP/2.0 180 ", "sip/2.0 699 x", "SIP/2.0 404", "SIP/2.0 100 Trying"]),
        ) {
            if let Some(status) = usual_status(&v) {
                let (kind, span, version_2) = any_status_line(&v, &ParserConfig::DEFAULT).map_err(|_| TestCaseError::fail("refused"))?;
                prop_assert!(matches!(kind, Kind::Response(read) if read == status));
                prop_assert_eq!((span, version_2), ((USUAL_STATUS, v.len()), true));
            }
        }
    }
}
