//! The messages the transaction layer makes by itself, and the Via it puts on top of requests.
//!
//! Each is written in one pass into one allocation. Lines of parsed messages are copied as they are.

use crate::cores;
use crate::matching::is_rfc3261;
use crate::transport::Transport;
use alloc::format;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::fmt::{self, Write as _};
use core::net::{IpAddr, SocketAddr};
use sip_message::{Header, HeaderField, Message, StatusCode};

/// What marks a branch as unique: RFC 3261 section 8.1.1.7.
pub(crate) const COOKIE: &str = "z9hG4bK";

/// Digits of the random part of a branch, 5 bits each.
const BRANCH_DIGITS: usize = 20;

/// A branch of 100 random bits. Small letters only, so that comparing with regard to case does no harm.
#[derive(Clone, Copy)]
pub(crate) struct Branch {
    text: [u8; 7 + BRANCH_DIGITS],
}

impl Branch {
    /// How many random bits it has.
    pub(crate) const BITS: u32 = BRANCH_DIGITS as u32 * 5;

    /// Of the low bits of a number.
    pub(crate) fn new(random: u128) -> Branch {
        let mut text = *b"z9hG4bK00000000000000000000";
        let places = text.iter_mut().skip(COOKIE.len());
        let digits = [0, 40, 80].map(|from| digits((random >> from) as u64).to_le_bytes());
        places.zip(digits.as_flattened()).for_each(|(place, &digit)| *place = digit);
        Branch { text }
    }

    /// The number whose digits these are. Case does not count. `None` if it was not written by [`new`](Branch::new).
    #[inline]
    pub(crate) fn read(text: &[u8; 7 + BRANCH_DIGITS]) -> Option<u128> {
        let places = text.get(COOKIE.len()..)?;
        let (first, places) = places.split_first_chunk()?;
        let (second, places) = places.split_first_chunk()?;
        // The digits that are not there are zeros.
        let last = u64::from(u32::from_le_bytes(*places.first_chunk()?)) | u64::from_le_bytes(*b"\0\0\0\x000000");
        let [first, second, last] = [u64::from_le_bytes(*first), u64::from_le_bytes(*second), last].map(number);
        let number = u128::from(first.0) | u128::from(second.0) << 40 | u128::from(last.0) << 80;
        (is_rfc3261(text) && first.1 | second.1 | last.1 == 0).then_some(number)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text).unwrap_or(COOKIE)
    }
}

/// The low 40 bits as eight digits of 5 bits, the lowest first: `0` to `9`, then `a` to `v`.
fn digits(bits: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // The upper half of each group moves away from the lower one, until each digit has a byte.
    let bits = (bits & 0xf_ffff) | (bits & 0xff_fff0_0000) << 12;
    let bits = (bits & 0x0000_03ff_0000_03ff) | (bits & 0x000f_fc00_000f_fc00) << 6;
    let bits = (bits & 0x001f_001f_001f_001f) | (bits & 0x03e0_03e0_03e0_03e0) << 3;
    let letters = (bits + EACH * (0x80 - 10)) >> 7 & EACH;
    bits + EACH * b'0' as u64 + letters * (b'a' - 10 - b'0') as u64
}

/// The number that [`digits`] wrote so, or with capitals; and 0, or anything else if it wrote nothing of the kind.
#[inline(always)]
fn number(text: u64) -> (u64, u64) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let letters = text >> 6 & EACH;
    let bits = (text & (EACH * 0x1f)).wrapping_add(letters | letters << 3 | letters << 4).wrapping_sub(EACH * 0x10);
    // Of the first byte that is wrong all this tells the truth: nothing is carried into it.
    let ten = bits.wrapping_add(EACH * (0x80 - 10)) >> 7 & EACH;
    let kind = ((text | letters << 5) ^ (EACH * 0x20)) & (EACH * 0xa0);
    let wrong = kind | (bits & (EACH * 0xe0)) | (ten ^ letters);
    let bits = (bits & 0x001f_001f_001f_001f) | (bits & 0x1f00_1f00_1f00_1f00) >> 3;
    let bits = (bits & 0x0000_03ff_0000_03ff) | (bits & 0x03ff_0000_03ff_0000) >> 6;
    ((bits & 0xf_ffff) | (bits & 0x000f_ffff_0000_0000) >> 12, wrong)
}

/// Digits of a tag, 5 bits each.
const TAG_DIGITS: usize = 10;

/// A tag of 50 bits, more than the 32 that RFC 3261 section 19.3 asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
// Filled up with zeros, so that it is moved as a whole.
pub struct Tag([u8; 16]);

impl Tag {
    pub(crate) fn new(random: u64) -> Tag {
        let two = digits(random >> 40) & 0xffff;
        Tag((u128::from(two) << 64 | u128::from(digits(random))).to_le_bytes())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0[..TAG_DIGITS]).unwrap_or_default()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tag").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const RPORT: &[u8] = b";rport";

/// The parts of a Via this endpoint writes.
pub(crate) struct Via<'a> {
    /// The line up to the branch, as [`Flow::via`](crate::flow::Flow::via) has it.
    pub(crate) start: &'a str,
    pub(crate) branch: &'a [u8],
    pub(crate) transport: Transport,
    /// For a multicast destination.
    pub(crate) maddr: Option<SocketAddr>,
    /// How far the request and its response may go then.
    pub(crate) ttl: u8,
    pub(crate) alias: bool,
}

impl Via<'_> {
    /// How many bytes it comes to: just as many, in most cases, so that none are left over.
    fn len(&self) -> usize {
        let rare = if self.maddr.is_some() || self.alias { 64 } else { 0 };
        let rport = if self.has_rport() { RPORT.len() } else { 0 };
        self.start.len() + self.branch.len() + rport + rare + "\r\n".len()
    }

    fn has_rport(&self) -> bool {
        self.transport == Transport::Udp && self.maddr.is_none()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.start.as_bytes());
        match <&[u8; 7 + BRANCH_DIGITS]>::try_from(self.branch) {
            // Of a length that is known it is a few moves.
            Ok(usual) => out.extend_from_slice(usual),
            Err(_) => out.extend_from_slice(self.branch),
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //# A client that sends a request to a multicast address MUST add the
        //# "maddr" parameter to its Via header field value containing the
        //# destination multicast address, and for IPv4, SHOULD add the "ttl"
        //# parameter with a value of 1.
        match self.maddr {
            Some(SocketAddr::V4(group)) => {
                out.extend_from_slice(format!(";maddr={};ttl={}", group.ip(), self.ttl).as_bytes());
            }
            Some(SocketAddr::V6(group)) => out.extend_from_slice(format!(";maddr=[{}]", group.ip()).as_bytes()),
            None => {}
        }
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //# A client, compliant to this specification (clients include UACs and proxies), MAY include an "rport"
        //# parameter in the top Via header field value of requests it generates.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //= type=exception
        //= reason=keepalives (Endpoint::keep_alive, RFC 5626) keep the binding for more than INVITEs
        //# To keep the binding fresh, the client SHOULD retransmit its INVITE every 20 seconds or so.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //= type=exception
        //= reason=RFC 3489 is obsolete
        //# A UA MAY execute the binding lifetime discovery algorithm in Section 10.2 of RFC 3489 [4] to
        //# determine the actual binding lifetime in the NAT.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //= type=exception
        //= reason=RFC 3489 is obsolete; the interval of keepalives is the host's
        //# If it is longer than 1 minute, the client SHOULD increase the interval for request retransmissions
        //# up to half of the discovered lifetime.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //= type=exception
        //= reason=RFC 3489 is obsolete; the interval of keepalives is the host's
        //# If it is shorter than one minute, it SHOULD decrease the interval for request retransmissions to
        //# half of the discovered lifetime.
        //= https://www.rfc-editor.org/rfc/rfc3581#section-3
        //# This parameter MUST have no
        //# value; it serves as a flag to indicate to the server that this
        //# extension is supported and requested for the transaction.
        if self.has_rport() {
            out.extend_from_slice(RPORT);
        }
        if self.alias {
            out.extend_from_slice(b";alias");
        }
        out.extend_from_slice(b"\r\n");
    }
}

struct Out<'a>(&'a mut BytesMut);

impl fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn print(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // Appending to a vector cannot fail.
    let _ = Out(out).write_fmt(text);
}

/// Appends a number.
fn decimal(out: &mut BytesMut, number: u64) {
    out.extend_from_slice(cores::decimal(number, &mut [0; 20]));
}

/// How many bytes [`copy_with`] adds by itself: a Content-Length that is not there.
pub(crate) fn added_len(message: &Message) -> usize {
    if message.has(Header::ContentLength) {
        return 0;
    }
    let digits = message.body().len().checked_ilog10().map_or(1, |log| log as usize + 1);
    "Content-Length: \r\n".len() + digits
}

/// The request with `via` on top.
pub(crate) fn request(message: &Message, via: &Via<'_>) -> Bytes {
    copy_with(message, via.len(), |out| via.write(out))
}

/// The message with some `more` bytes behind its start line, those that `write` writes, and with Content-Length.
#[inline(always)]
fn copy_with(message: &Message, more: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut slices = message.slices();
    let mut out = Vec::with_capacity(message.encoded_len() + more + added_len(message));
    let first = slices.next().unwrap_or_default();
    // The first slice begins with the start line.
    let line_end = memchr::memchr(b'\n', first).map_or(first.len(), |at| at + 1);
    let (start, rest) = first.split_at(line_end);
    out.extend_from_slice(start);
    write(&mut out);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //# The Content-Length header field MUST be used with stream oriented transports.
    if !message.has(Header::ContentLength) {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(cores::decimal(message.body().len() as u64, &mut [0; 20]));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(rest);
    for slice in slices {
        out.extend_from_slice(slice);
    }
    out.into()
}

/// The first field of a header.
fn field(out: &mut BytesMut, message: &Message, header: Header) {
    if let Some(value) = message.field(header) {
        line(out, header, value);
    }
}

/// All fields of a header.
fn fields(out: &mut BytesMut, message: &Message, header: Header) {
    for value in message.fields(header) {
        line(out, header, value);
    }
}

fn line(out: &mut BytesMut, header: Header, value: &[u8]) {
    out.extend_from_slice(header.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A line as it came, its end as it has to be.
#[inline(always)]
fn copy(out: &mut BytesMut, line: &[u8]) {
    if line.ends_with(b"\r\n") { out.extend_from_slice(line) } else { mend(out, line) }
}

#[cold]
fn mend(out: &mut BytesMut, line: &[u8]) {
    out.extend_from_slice(line.trim_ascii_end());
    out.extend_from_slice(b"\r\n");
}

fn top_via(out: &mut BytesMut, request: &Message) {
    out.extend_from_slice(b"Via: ");
    // The topmost Via stands alone in its field: `request` wrote it.
    out.extend_from_slice(request.field(Header::Via).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// The line with To of a message, if it is written as most are and not folded.
pub(crate) fn to_line(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        rest = rest.get(memchr::memchr(b'\n', rest)? + 1..)?;
        match rest {
            [b'T', b'o', b':', b' ', ..] => {
                let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
                return (!matches!(after.first()?, b' ' | b'\t')).then_some(line);
            }
            // The end of the head.
            [b'\r' | b'\n', ..] => return None,
            _ => {}
        }
    }
}

/// The ACK for a response other than 2xx: RFC 3261 section 17.1.1.3.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
//= type=exception
//= reason=that ACK is the dialog layer's; Endpoint::send carries it
//# A UAC core that generates an ACK for 2xx MUST instead follow the rules described in Section 13.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
//= type=exception
//= reason=the ACK made here has no body
//# Although any request MAY contain a body, a body in an ACK is special since the request cannot be
//# rejected if the body is not understood.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
//= type=exception
//= reason=the ACK made here has no body
//# Therefore, placement of bodies in ACK for non-2xx is NOT RECOMMENDED, but if done, the body types
//# are restricted to any that appeared in the INVITE, assuming that the response to the INVITE was not
//# 415.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
//= type=exception
//= reason=the ACK made here has no body
//# If it was, the body in the ACK MAY be any type listed in the Accept header field in the 415.
pub(crate) fn ack(request: &Message, response: &Message) -> Bytes {
    in_transaction(request, "ACK", response.field(Header::To), None)
}

/// The CANCEL of a request: RFC 3261 section 9.1.
pub(crate) fn cancel(request: &Message, reason: Option<&str>) -> Bytes {
    in_transaction(request, "CANCEL", request.field(Header::To), reason)
}

fn in_transaction(request: &Message, method: &str, to: Option<&[u8]>, reason: Option<&str>) -> Bytes {
    let value = |header| request.field(header).map_or(0, <[u8]>::len);
    let routes: usize = request.fields(Header::Route).map(|route| route.len() + 9).sum();
    let copied = value(Header::Via) + value(Header::From) + value(Header::CallId) + to.map_or(0, <[u8]>::len);
    let uri = request.request_uri_bytes().map_or(0, <[u8]>::len);
    let mut out =
        BytesMut::with_capacity(120 + method.len() * 2 + uri + copied + routes + reason.map_or(0, |r| r.len() + 10));
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b" ");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# The ACK request constructed by the client transaction MUST contain
    //# values for the Call-ID, From, and Request-URI that are equal to the
    //# values of those header fields in the request passed to the transport
    //# by the client transaction (call this the "original request").
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //# The Request-URI, Call-ID, To, the numeric part of CSeq, and From header
    //# fields in the CANCEL request MUST be identical to those in the
    //# request being cancelled, including tags.
    out.extend_from_slice(request.request_uri_bytes().unwrap_or_default());
    out.extend_from_slice(b" SIP/2.0\r\n");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# The ACK MUST contain a single Via header field, and
    //# this MUST be equal to the top Via header field of the original
    //# request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //# A CANCEL constructed by a client
    //# MUST have only a single Via header field value matching the top Via
    //# value in the request being cancelled.
    top_via(&mut out, request);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# If the INVITE request whose response is being acknowledged had Route
    //# header fields, those header fields MUST appear in the ACK.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //# If the request being cancelled contains a Route header field, the
    //# CANCEL request MUST include that Route header field's values.
    fields(&mut out, request, Header::Route);
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    field(&mut out, request, Header::From);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# The To
    //# header field in the ACK MUST equal the To header field in the
    //# response being acknowledged
    out.extend_from_slice(b"To: ");
    out.extend_from_slice(to.unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    field(&mut out, request, Header::CallId);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# The CSeq header field in the ACK MUST contain the same
    //# value for the sequence number as was present in the original request,
    //# but the method parameter MUST be equal to "ACK".
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    out.extend_from_slice(b"CSeq: ");
    decimal(&mut out, number.into());
    out.extend_from_slice(b" ");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(reason) = reason {
        print(&mut out, format_args!("Reason: {reason}\r\n"));
    }
    out.extend_from_slice(NO_BODY);
    out.freeze()
}

/// What the topmost Via of a request has to be told of where the request came from: nothing, or what replaces the parameter, or joins
/// the others.
#[derive(Clone, Copy, Default)]
pub(crate) struct Source {
    pub(crate) received: Option<IpAddr>,
    pub(crate) rport: Option<u16>,
}

impl Source {
    /// The most bytes it adds to a Via: `;received=` and 39 of an address, `;rport=` and five digits.
    const MOST: usize = 61;

    pub(crate) fn is_empty(self) -> bool {
        self.received.is_none() && self.rport.is_none()
    }

    /// Appends the value of a Via field, the parameters in its first value.
    fn write(self, out: &mut BytesMut, field: &[u8]) {
        let Source { mut received, mut rport } = self;
        let mut put = |out: &mut BytesMut, of_received: bool, of_rport: bool| {
            if let Some(ip) = received.take_if(|_| of_received) {
                print(out, format_args!(";received={ip}"));
            }
            if let Some(port) = rport.take_if(|_| of_rport) {
                print(out, format_args!(";rport={port}"));
            }
        };
        let mut rest = field;
        // Part by part, each with the semicolon in front of it. A second parameter of a name that is written goes.
        loop {
            let (part, after) = rest.split_at(part_len(rest));
            let param = part.strip_prefix(b";").unwrap_or_default();
            let name = param.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
            match name {
                b if self.received.is_some() && b.eq_ignore_ascii_case(b"received") => put(out, true, false),
                b if self.rport.is_some() && b.eq_ignore_ascii_case(b"rport") => put(out, false, true),
                _ => out.extend_from_slice(part),
            }
            rest = after;
            if !rest.starts_with(b";") {
                break;
            }
        }
        put(out, true, true);
        out.extend_from_slice(rest);
    }
}

/// Up to the next semicolon or comma that is not quoted; one at the beginning does not count.
fn part_len(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let ends = text.iter().skip(1).position(|&b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' => return !quoted,
            _ => {}
        }
        false
    });
    ends.map_or(text.len(), |at| at + 1)
}

/// A response the endpoint gives by itself. With a tag, To gets it unless it has one.
pub(crate) struct Response<'a> {
    pub(crate) request: &'a Message,
    pub(crate) status: StatusCode,
    pub(crate) tag: Option<Tag>,
    /// The Server field, unless it is empty.
    pub(crate) product: &'a str,
    /// The seconds in Retry-After.
    pub(crate) retry: Option<u32>,
    /// What the request's topmost Via does not say yet.
    pub(crate) source: Source,
    pub(crate) fields: &'a [(Header, &'a str)],
}

impl Response<'_> {
    /// The fields of the request that stand in the response, in their order; of those that can be but one, the first.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //# The From field of the response MUST equal the From header field of
    //# the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //# The Call-ID header field of the response MUST equal the
    //# Call-ID header field of the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //# The CSeq header field of the response
    //# MUST equal the CSeq field of the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //# The Via header field
    //# values in the response MUST equal the Via header field values in the
    //# request and MUST maintain the same ordering.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.1
    //# When a 100 (Trying) response is generated, any
    //# Timestamp header field present in the request MUST be copied into
    //# this 100 (Trying) response.
    #[inline(always)]
    fn copied(&self) -> impl Iterator<Item = (Header, HeaderField<'_>)> {
        const VIA: u32 = 1 << Header::Via as u32;
        const OTHERS: u32 =
            1 << Header::From as u32 | 1 << Header::To as u32 | 1 << Header::CallId as u32 | 1 << Header::CSeq as u32;
        let trying = self.status == StatusCode::TRYING;
        let mut wanted = VIA | OTHERS;
        let mut timestamp = trying;
        self.request.headers().filter_map(move |field| {
            let header = field.header()?;
            let bit = 1u32.checked_shl(header as u32).unwrap_or(0);
            let copied = wanted & bit != 0 || header == Header::Timestamp && core::mem::take(&mut timestamp);
            wanted &= !bit | VIA;
            copied.then_some((header, field))
        })
    }

    /// How many bytes it comes to: at least as many, and few more.
    fn len(&self) -> usize {
        self.len_with(self.copied().map(|(_, field)| field.line().len() + 1).sum())
    }

    /// How many bytes it comes to at most, without a look at each field.
    #[inline(always)]
    pub(crate) fn most(&self) -> usize {
        // A line may be longer than it came: LF becomes CRLF.
        let head = self.request.encoded_len().saturating_sub(self.request.body().len());
        self.len_with(head + self.request.headers().len())
    }

    #[inline(always)]
    fn len_with(&self, copied: usize) -> usize {
        let Response { status, tag, product, retry, source, fields, .. } = self;
        let fields = fields.iter().map(|(header, value)| header.as_str().len() + value.len() + 4).sum::<usize>();
        let product = if product.is_empty() { 0 } else { product.len() + 10 };
        let source = if source.is_empty() { 0 } else { Source::MOST };
        let rest = source + retry.map_or(0, |_| 25) + tag.map_or(0, |_| ";tag=".len() + TAG_DIGITS);
        LEAST + status.reason().len() + copied + fields + product + rest
    }

    /// The response in memory of its own.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        self.write(&mut out);
        out.freeze()
    }

    /// Appends the response.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let Response { status, mut tag, mut source, .. } = *self;
        let code = status.code();
        let [a, b, c] = [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8);
        out.extend_from_slice(&[b'S', b'I', b'P', b'/', b'2', b'.', b'0', b' ', a, b, c, b' ']);
        out.extend_from_slice(status.reason().as_bytes());
        out.extend_from_slice(b"\r\n");
        for (header, field) in self.copied() {
            match header {
                // The topmost alone is this hop's.
                Header::Via if !source.is_empty() => {
                    self.via(out, field.value(), core::mem::take(&mut source));
                    continue;
                }
                Header::To => {
                    if let Some(tag) = tag.take().filter(|_| !self.has_tag(field)) {
                        self.to(out, field, tag);
                        continue;
                    }
                }
                _ => {}
            }
            copy(out, field.line());
        }
        if self.retry.is_some() || !self.fields.is_empty() || !self.product.is_empty() {
            self.more(out);
        }
        out.extend_from_slice(NO_BODY);
    }

    /// Appends the fields that are not the request's.
    #[inline(never)]
    fn more(&self, out: &mut BytesMut) {
        if let Some(seconds) = self.retry {
            out.extend_from_slice(b"Retry-After: ");
            decimal(out, seconds.into());
            out.extend_from_slice(b"\r\n");
        }
        for (header, value) in self.fields {
            line(out, *header, value.as_bytes());
        }
        if !self.product.is_empty() {
            line(out, Header::Server, self.product.as_bytes());
        }
    }

    #[cold]
    fn via(&self, out: &mut BytesMut, value: &[u8], source: Source) {
        out.extend_from_slice(b"Via: ");
        source.write(out, value);
        out.extend_from_slice(b"\r\n");
    }

    /// Whether To has a tag.
    #[inline(always)]
    fn has_tag(&self, to: HeaderField<'_>) -> bool {
        // After a closing bracket nothing can stand but parameters.
        !to.value().ends_with(b">") && matches!(self.request.to().map(|to| to.tag()), Ok(Ok(Some(_))))
    }

    /// Appends To with a tag.
    #[inline(always)]
    fn to(&self, out: &mut BytesMut, field: HeaderField<'_>, tag: Tag) {
        out.extend_from_slice(b"To: ");
        out.extend_from_slice(field.value());
        let [a, b, c, d, e, f, g, h, i, j, ..] = tag.0;
        out.extend_from_slice(&[b';', b't', b'a', b'g', b'=', a, b, c, d, e, f, g, h, i, j, b'\r']);
        out.extend_from_slice(b"\n");
    }
}

/// The end of a message without a body.
const NO_BODY: &[u8] = b"Content-Length: 0\r\n\r\n";

/// The bytes of a response that are the same in all: the status line, the end.
const LEAST: usize = "SIP/2.0 200 \r\nTo: \r\n".len() + NO_BODY.len();

/// A response as the transaction user made it, with Content-Length.
pub(crate) fn into_response(message: Message) -> Bytes {
    if message.has(Header::ContentLength) { message.into_bytes() } else { response(&message) }
}

/// The same of one that its user keeps.
pub(crate) fn response(message: &Message) -> Bytes {
    if message.has(Header::ContentLength) { message.to_bytes() } else { copy_with(message, 0, |_| {}) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 65_535, 1 << 31, u64::MAX] {
            let mut out = BytesMut::new();
            decimal(&mut out, number);
            assert_eq!(out, alloc::format!("{number}").as_bytes());
        }
    }

    #[test]
    fn the_line_with_to_is_found_in_the_head_alone() {
        let of = |text: &'static str| to_line(text.as_bytes());
        assert_eq!(of("SIP/2.0 200 OK\r\nVia: x\r\nTo: <sip:a>;tag=1\r\n\r\n"), Some(&b"To: <sip:a>;tag=1\r\n"[..]));
        for text in [
            "SIP/2.0 200 OK\r\nVia: x\r\n\r\nTo: <sip:a>;tag=1\r\nb\r\n",
            "SIP/2.0 200 OK\r\nVia: x\r\nTo: <sip:a>\r\n ;tag=1\r\n\r\n",
            "SIP/2.0 200 OK\r\nt: <sip:a>;tag=1\r\n\r\n",
            "To: <sip:a>;tag=1\r\n",
            "\r\nTo: 1",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_branch_is_read_back_and_nothing_else_is() {
        let numbers = (1..200_u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        for number in numbers.map(|number| number & ((1 << Branch::BITS) - 1)) {
            let branch = Branch::new(number);
            assert_eq!(Branch::read(&branch.text), Some(number));
            let capitals: [u8; 27] = branch.text.to_ascii_uppercase().try_into().unwrap();
            assert_eq!(Branch::read(&capitals), Some(number), "case does not count");
        }
        let branch = Branch::new(0x1_2345_6789_abcd_ef01_2345_6789);
        for at in 0..branch.text.len() {
            for byte in 0..=u8::MAX {
                let mut other = branch.text;
                other[at] = byte;
                let digit = byte.is_ascii_digit() || matches!(byte, b'a'..=b'v' | b'A'..=b'V');
                let written = if at < COOKIE.len() { byte.eq_ignore_ascii_case(&branch.text[at]) } else { digit };
                let read = Branch::read(&other);
                assert_eq!(read.is_some(), written, "{byte:#x} at {at}");
                let same = read.map(|number| Branch::new(number).text.eq_ignore_ascii_case(&other));
                assert_ne!(same, Some(false), "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn each_digit_has_five_bits_of_its_own() {
        let single = (0..128).map(|bit| 1 << bit);
        let many = (1..1000_u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        for random in single.chain(many) {
            let digit = |at: usize| b"0123456789abcdefghijklmnopqrstuv"[(random >> (5 * at)) as usize & 31];
            let branch = Branch::new(random);
            assert_eq!(&branch.as_bytes()[..COOKIE.len()], COOKIE.as_bytes());
            for (at, &written) in branch.as_bytes()[COOKIE.len()..].iter().enumerate() {
                assert_eq!(written, digit(at), "digit {at} of the branch of {random:x}");
            }
            for (at, &written) in Tag::new(random as u64).as_str().as_bytes().iter().enumerate() {
                assert_eq!(written, digit(at), "digit {at} of the tag of {random:x}");
            }
        }
    }
}
