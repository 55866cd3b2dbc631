//! What is needed to answer a request that is too broken to use.

use crate::builder::ResponseBuilder;
use crate::cseq::CSeq;
use crate::header::Header;
use crate::message::{Message, begins_response};
use crate::method::Method;
use crate::scan;
use crate::status::StatusCode;
use crate::value::FieldValue;
use alloc::vec::Vec;
use bytes::Bytes;

/// The header fields that an answer repeats, from a request that did not parse: [`salvage`].
#[derive(Clone, Debug)]
pub struct Salvaged {
    /// A request that does parse and has just those fields.
    request: Message,
}

impl Salvaged {
    /// Via, From, To, Call-ID and CSeq of the broken request, under a request line that stands in for its own.
    pub fn request(&self) -> &Message {
        &self.request
    }

    /// Begins the answer. It needs a tag, as every response but 100 does.
    pub fn response(&self, status: StatusCode) -> ResponseBuilder {
        Message::response(&self.request, status)
    }
}

/// Finds in `bytes`, a request that [`Message::parse`] refused, what is needed to answer it: the Via fields with a
/// topmost one that can be routed by, From, To, Call-ID and CSeq.
///
/// `None` if one of them is missing or cannot be made out, and for a response and an ACK, which are never answered.
/// Looks at no more than the first 64 KiB.
///
/// ```
/// use sip_message::{Message, StatusCode, salvage};
///
/// let broken = b"INVITE sip:bob@biloxi.com SIP/2.0\r\n\
///     Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n\
///     this line has no colon\r\n\
///     To: <sip:bob@biloxi.com>\r\n\
///     From: <sip:alice@atlanta.com>;tag=88sja8x\r\n\
///     Call-ID: 987asjd97y7atg\r\n\
///     CSeq: 986759 INVITE\r\n\r\n";
/// let error = Message::parse(bytes::Bytes::from_static(broken)).unwrap_err();
/// let salvaged = salvage(broken).ok_or("nothing to answer")?;
/// let answer = salvaged.response(error.status().ok_or("no status")?).to_tag("8321234356").build()?;
/// assert_eq!(answer.status(), Some(StatusCode::BAD_REQUEST));
/// assert_eq!(answer.call_id()?, "987asjd97y7atg");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(bytes: &[u8]) -> Option<Salvaged> {
    const MOST: usize = 65_536;
    let mut rest = bytes.get(..bytes.len().min(MOST))?;
    while let [b'\r' | b'\n', tail @ ..] = rest {
        rest = tail;
    }
    if begins_response(rest, 0) || rest.starts_with(b"ACK ") {
        return None;
    }
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"OPTIONS sip:invalid.invalid SIP/2.0\r\n");
    let (_, mut rest) = line(rest);
    let mut method = None;
    let mut seen = [false; 5];
    while !rest.is_empty() {
        let (mut field, mut tail) = line(rest);
        if field.is_empty() {
            break;
        }
        // A field and its continuation lines.
        while matches!(tail.first(), Some(b' ' | b'\t')) {
            let (more, behind) = line(tail);
            let len = rest.len() - tail.len() + more.len();
            field = rest.get(..len)?;
            tail = behind;
        }
        rest = tail;
        let Some((header, value)) = named(field) else { continue };
        let wanted = [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq];
        let Some(slot) = wanted.iter().position(|&wanted| wanted == header) else { continue };
        let seen = seen.get_mut(slot)?;
        // One each but for Via; the first counts.
        if *seen && header != Header::Via {
            continue;
        }
        *seen = true;
        if header == Header::CSeq {
            method = Some(CSeq::parse_value(value).ok()?.method);
        }
        // Only the value is taken over, its folds as spaces and without control characters: it is to be framed
        // anew.
        out.extend_from_slice(header.as_str().as_bytes());
        out.extend_from_slice(b": ");
        for &b in value {
            match b {
                b'\r' | b'\n' => out.push(b' '),
                0..=8 | 11..=31 | 0x7f => return None,
                b => out.push(b),
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    if seen.contains(&false) || method.is_none_or(|method| method == Method::Ack) {
        return None;
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    let request = Message::parse(Bytes::from(out)).ok()?;
    request.top_via().ok()?.sent_by().ok()?;
    request.call_id().ok()?;
    Some(Salvaged { request })
}

/// The first line of `v` without its line end, and what follows it. LF alone ends a line here: what comes of it is
/// framed anew.
fn line(v: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr::memchr(b'\n', v) {
        Some(lf) => (v.get(..lf).unwrap_or_default(), v.get(lf + 1..).unwrap_or_default()),
        None => (v, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn named(field: &[u8]) -> Option<(Header, &[u8])> {
    let colon = memchr::memchr(b':', field)?;
    let header = Header::lookup(scan::trim_end(field.get(..colon)?))?;
    Some((header, scan::trim(field.get(colon + 1..)?)))
}
