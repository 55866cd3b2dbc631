//! Edits as overlays: what a proxy or a user agent changes on its way, with every other line left as it is.
//!
//! Edited lines go to the message's arena as whole lines; the index points at them. An edit that fails leaves the
//! message as it was. The first edit allocates the arena; those that follow fit in it as a rule.

use crate::compose::{self, BuildError, BuildFault, Sink, fault};
use crate::error::{ValueError, ValueFault};
use crate::header::{Header, HeaderName};
use crate::headers;
use crate::index::{EDITED, Entries, Entry};
use crate::message::{HeaderField, Kind, Message};
use crate::scan;
use crate::value::{FieldValue as _, split_list};
use crate::via::Via;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{Display, Write};
use core::net::IpAddr;
use core::ops::Range;

/// What the arena holds before it grows: enough for what a proxy adds to a message.
const ARENA: usize = 512;

impl Message {
    /// Adds a field behind all others.
    ///
    /// # Errors
    ///
    /// The name is no token, the value is not one this header can have, [`BuildFault::Repeated`] for a second field of
    /// a header that may stand once only (From, To, Call-ID, CSeq, Max-Forwards, Content-Length and others whose value
    /// is not a list: [`set`](Message::set) replaces those), or [`BuildFault::LengthMismatch`] for a Content-Length that
    /// differs from the length of the body.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //# Multiple header field rows with these names MAY be present in a
    //# message, but since their grammar does not follow the general form
    //# listed in Section 7.3, they MUST NOT be combined into a single header
    //# field row.
    pub fn push<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Result<(), BuildError> {
        let entry = self.compose_new(name.into(), value)?;
        self.insert(self.index.entries().len(), entry);
        Ok(())
    }

    /// Adds a field before the first one of this name; if there is none, before all others.
    ///
    /// # Errors
    ///
    /// As [`push`](Message::push).
    pub fn push_front<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Result<(), BuildError> {
        let name = name.into().resolved();
        let entry = self.compose_new(name, value)?;
        let at = self.find(name).unwrap_or(0);
        self.insert(at, entry);
        Ok(())
    }

    /// Adds a field that is a byte-for-byte copy of `field`, behind all others.
    ///
    /// # Errors
    ///
    /// [`BuildFault::Repeated`] for Content-Length, and for a second field of a header that may stand once only;
    /// [`BuildFault::TooLong`] when the edited lines exceed 4 GiB.
    pub fn push_field(&mut self, field: &HeaderField<'_>) -> Result<(), BuildError> {
        match field.entry.header() {
            Some(Header::ContentLength) => return Err(fault(BuildFault::Repeated, Header::ContentLength)),
            Some(header) => self.check_room(header)?,
            None => {}
        }
        self.reserve();
        let mut entry = compose::copied_line(&mut self.arena, field.entry, field.line())?;
        entry.flags |= EDITED;
        self.insert(self.index.entries().len(), entry);
        Ok(())
    }

    /// Replaces all fields of this name by one, in the place of the first; adds it behind all others if there is
    /// none.
    ///
    /// # Errors
    ///
    /// As [`push`](Message::push).
    pub fn set<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Result<(), BuildError> {
        let name = name.into().resolved();
        let entry = self.compose(name, value)?;
        self.put(name, entry);
        Ok(())
    }

    /// Removes all fields of this name; tells whether there was one.
    pub fn remove<'n>(&mut self, name: impl Into<HeaderName<'n>>) -> bool {
        let name = name.into().resolved();
        self.remove_where(|message, entry| message.is_named(entry, name))
    }

    /// Removes all fields for which `unwanted` is true; tells whether there was one.
    pub fn remove_fields(&mut self, mut unwanted: impl FnMut(&HeaderField<'_>) -> bool) -> bool {
        self.remove_where(|message, entry| unwanted(&message.header_field(entry)))
    }

    /// Replaces the value number `at` of a list header, counted over all its fields from 0, and leaves the others as
    /// they are. Counted are the values that [`values`](Message::values) gives; `value` may be several, comma between.
    ///
    /// # Errors
    ///
    /// [`BuildFault::NotApplicable`] if there are not so many values; else as [`set`](Message::set).
    pub fn set_value(&mut self, header: Header, at: usize, value: impl Display) -> Result<(), BuildError> {
        let (number, span, _) = self.find_value(header, at).ok_or(fault(BuildFault::NotApplicable, header))?;
        let from = self.arena.len();
        // The value is checked as a line of its own before it is put between others.
        let entry = self.compose(HeaderName::Known(header), value)?;
        let spliced = self.splice_arena(
            number,
            span,
            entry.line as usize + usize::from(entry.value)..entry.line as usize + usize::from(entry.value_end),
        );
        if spliced.is_err() {
            self.arena.truncate(from);
        }
        self.replace_entry(number, spliced?);
        Ok(())
    }

    /// Removes the value number `at` of a list header, counted over all its fields from 0; tells whether it was
    /// there. A field that held nothing else goes as a whole.
    pub fn remove_value(&mut self, header: Header, at: usize) -> bool {
        let Some((number, span, alone)) = self.find_value(header, at) else { return false };
        if alone {
            self.edited = true;
            self.index.remove(number);
            return true;
        }
        let Some(entry) = self.index.entries().get(number).copied() else { return false };
        let value = self.value_of(&entry);
        // The comma behind the value goes with it, or the one before the last value.
        let behind = value.get(span.end..).unwrap_or_default();
        let span = match behind.iter().position(|&b| b == b',') {
            Some(comma) if scan::trim(behind.get(..comma).unwrap_or_default()).is_empty() => {
                span.start..scan::skip(value, span.end + comma + 1, scan::LWS)
            }
            _ => {
                let before = value.get(..span.start).unwrap_or_default();
                let kept = memchr::memrchr(b',', before).and_then(|comma| before.get(..comma)).unwrap_or(before);
                scan::trim_end(kept).len()..span.end
            }
        };
        self.reserve();
        match self.splice_arena(number, span, 0..0) {
            Ok(entry) => {
                self.replace_entry(number, entry);
                true
            }
            Err(_) => false,
        }
    }

    /// Adds a Via value on top, as a field of its own.
    ///
    /// # Errors
    ///
    /// As [`push`](Message::push).
    pub fn push_via(&mut self, value: impl Display) -> Result<(), BuildError> {
        self.push_front(Header::Via, value)
    }

    /// Removes the topmost Via value, and only that where a field holds several; tells whether there was one.
    pub fn pop_via(&mut self) -> bool {
        self.remove_value(Header::Via, 0)
    }

    /// Sets `received` of the topmost Via to the address the request came from (RFC 3261 section 18.2.1).
    ///
    /// # Errors
    ///
    /// There is no Via, or it is malformed.
    pub fn set_received(&mut self, address: IpAddr) -> Result<(), BuildError> {
        self.set_source(Some(address), None)
    }

    /// Sets `rport` of the topmost Via to the port the request came from (RFC 3581 section 4).
    ///
    /// # Errors
    ///
    /// There is no Via, or it is malformed.
    pub fn set_rport(&mut self, port: u16) -> Result<(), BuildError> {
        self.set_source(None, Some(port))
    }

    /// Sets what is given of `received` and `rport` in the topmost Via: as [`set_received`](Message::set_received) and then
    /// [`set_rport`](Message::set_rport), at the cost of one.
    ///
    /// # Errors
    ///
    /// There is no Via, or it is malformed.
    pub fn set_source(&mut self, received: Option<IpAddr>, rport: Option<u16>) -> Result<(), BuildError> {
        let missing = fault(BuildFault::NotApplicable, Header::Via);
        let bad = |error: ValueError| fault(compose::of_value(error.kind), Header::Via);
        let number = self.index.first(Header::Via).ok_or(missing)?;
        let entry = self.index.entries().get(number).copied().ok_or(missing)?;
        let (element, _) = split_list(self.value_of(&entry));
        let held = scan::trim_end(trim_start(element));
        let span = element.len() - trim_start(element).len();
        let span = span..span + held.len();
        let via = Via::parse_value(held).map_err(bad)?;
        if !via.is_sip() {
            return Err(fault(compose::of_value(ValueFault::Protocol), Header::Via));
        }
        let places = via.params().places([received.map(|_| "received"), rport.map(|_| "rport")]);
        let places = places.map_err(|error| fault(BuildFault::Value(error), Header::Via))?;
        // Places count from the first byte of this Via value. What has none stands behind all others.
        let end = span.len()..span.len();
        let [received_at, rport_at] = places.map(|place| place.unwrap_or(end.clone()));
        let mut texts = [(received_at, received.map(Source::Received)), (rport_at, rport.map(Source::Rport))];
        if texts[1].0.start < texts[0].0.start {
            texts.swap(0, 1);
        }
        self.reserve();
        let from = self.arena.len();
        let (line, value) = (entry.line as usize, entry.line as usize + usize::from(entry.value));
        let mut copied = line;
        for (place, text) in texts {
            let Some(text) = text else { continue };
            self.copy_line_part(&entry, copied..value + span.start + place.start);
            copied = value + span.start + place.end;
            text.write(&mut self.arena);
        }
        self.copy_line_part(&entry, copied..line + usize::from(entry.line_len));
        let line_len = self.arena.len() - from;
        let value_end = usize::from(entry.value_end) + line_len - usize::from(entry.line_len);
        let parts = u16::try_from(line_len).ok().zip(u32::try_from(from).ok()).zip(u16::try_from(value_end).ok());
        let Some(((line_len, line), value_end)) = parts else {
            self.arena.truncate(from);
            return Err(fault(BuildFault::TooLong, Header::Via));
        };
        self.replace_entry(number, Entry { line, line_len, value_end, flags: entry.flags | EDITED, ..entry });
        Ok(())
    }

    /// Sets a parameter of the topmost Via: in its place if it is there, behind the others if not.
    ///
    /// # Errors
    ///
    /// There is no Via, it is malformed, or the parameter is.
    pub fn set_via_param(&mut self, name: &str, value: impl Display) -> Result<(), BuildError> {
        let (number, span, _) = self.find_value(Header::Via, 0).ok_or(fault(BuildFault::NotApplicable, Header::Via))?;
        let entry = self.index.entries().get(number).copied().ok_or(fault(BuildFault::NotApplicable, Header::Via))?;
        let via = self
            .top_via()
            .map_err(|error| fault(error.fault.map_or(BuildFault::Missing, compose::of_value), Header::Via))?;
        let held = self.value_of(&entry).get(span.clone()).unwrap_or_default();
        let bad = |error| fault(BuildFault::Value(error), Header::Via);
        let place = via.params().place(name).map_err(bad)?;
        // `place` counts from the first byte of this Via value.
        let place = place.map_or(held.len()..held.len(), |place| place);
        let place = span.start + place.start..span.start + place.end;
        let from = self.arena.len();
        self.reserve();
        let _ = write!(Sink(&mut self.arena), ";{name}={value}");
        let written = from..self.arena.len();
        let param = self.arena.get(written.clone()).unwrap_or_default();
        let result = compose::check(None, param).and_then(|()| via_param(param, name).map_err(bad));
        let result = result.and_then(|()| self.splice_arena(number, place, written));
        if result.is_err() {
            self.arena.truncate(from);
        }
        self.replace_entry(number, result?);
        Ok(())
    }

    /// Takes one from Max-Forwards (RFC 3261 section 16.6 step 3) and returns what is left. Without the field,
    /// adds one of 70.
    ///
    /// # Errors
    ///
    /// [`BuildFault::TooManyHops`] if it is 0: 483 is owed. The value is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# If the copy contains a Max-Forwards header field, the proxy
    //# MUST decrement its value by one (1).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# If the copy does not contain a Max-Forwards header field, the
    //# proxy MUST add one with a field value, which SHOULD be 70.
    pub fn decrement_max_forwards(&mut self) -> Result<u32, BuildError> {
        let header = Header::MaxForwards;
        let held = self
            .max_forwards()
            .map_err(|error| fault(error.fault.map_or(BuildFault::Missing, compose::of_value), header))?;
        let left = match held {
            Some(n) => n.checked_sub(1).ok_or(fault(BuildFault::TooManyHops, header))?,
            None => 70,
        };
        self.put_number(header, left)?;
        Ok(left)
    }

    /// Replaces the Request-URI.
    ///
    /// # Errors
    ///
    /// The URI is malformed, or the message is a response.
    pub fn set_request_uri(&mut self, uri: impl Display) -> Result<(), BuildError> {
        let not_applicable = BuildError::new(BuildFault::NotApplicable, None);
        let Kind::Request(_) = self.start.kind else { return Err(not_applicable) };
        let from = self.arena.len();
        self.reserve();
        let result = self.compose_request_line(from, uri);
        if result.is_err() {
            self.arena.truncate(from);
        }
        let (span, line_len) = result?;
        self.start.line = from as u32;
        self.start.line_len = line_len;
        self.start.span = span;
        self.start.edited = true;
        self.start.version_2 = true;
        self.edited = true;
        Ok(())
    }

    fn compose_request_line(&mut self, from: usize, uri: impl Display) -> Result<((u16, u16), u16), BuildError> {
        let too_long = BuildError::new(BuildFault::TooLong, None);
        u32::try_from(from).map_err(|_| too_long)?;
        let method_len = usize::from(self.start.span.0);
        if self.start.edited {
            let line = self.start.line as usize;
            self.arena.extend_from_within(line..line + method_len);
        } else {
            let line = self.start.line as usize;
            self.arena.extend_from_slice(self.bytes.get(line..line + method_len).unwrap_or_default());
        }
        let uri_from = self.arena.len() - from;
        compose::request_uri(&mut self.arena, uri)?;
        let uri_end = self.arena.len() - from;
        self.arena.extend_from_slice(b" SIP/2.0\r\n");
        let line_len = u16::try_from(self.arena.len() - from).map_err(|_| too_long)?;
        Ok(((uri_from as u16, uri_end as u16), line_len))
    }

    /// Adds a Route value on top, as a field of its own.
    ///
    /// # Errors
    ///
    /// As [`push`](Message::push).
    pub fn push_route(&mut self, value: impl Display) -> Result<(), BuildError> {
        self.push_ordered(Header::Route, value)
    }

    /// Removes the topmost Route value; tells whether there was one.
    pub fn pop_route(&mut self) -> bool {
        self.remove_value(Header::Route, 0)
    }

    /// Adds a Record-Route value on top, as a field of its own (RFC 3261 section 16.6 step 4).
    ///
    /// # Errors
    ///
    /// As [`push`](Message::push).
    pub fn push_record_route(&mut self, value: impl Display) -> Result<(), BuildError> {
        self.push_ordered(Header::RecordRoute, value)
    }

    /// Adds a field before the first one of this header; if there is none, behind the Via fields.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //# However, it is RECOMMENDED that header fields which are
    //# needed for proxy processing (Via, Route, Record-Route, Proxy-Require,
    //# Max-Forwards, and Proxy-Authorization, for example) appear towards
    //# the top of the message to facilitate rapid parsing.
    fn push_ordered(&mut self, header: Header, value: impl Display) -> Result<(), BuildError> {
        let entry = self.compose(HeaderName::Known(header), value)?;
        let at = self.index.first(header).unwrap_or_else(|| {
            let via = self.index.entries().iter().rposition(|entry| entry.tag == Header::Via as u8);
            via.map_or(0, |at| at + 1)
        });
        self.insert(at, entry);
        Ok(())
    }

    /// Replaces the body, with Content-Type and Content-Length to match.
    ///
    /// # Errors
    ///
    /// The content type is malformed, or as [`replace_body`](Message::replace_body).
    pub fn set_body(&mut self, content_type: impl Display, body: impl Into<Bytes>) -> Result<(), BuildError> {
        let body = body.into();
        // Nothing is changed for a body that will not do.
        u32::try_from(body.len()).map_err(|_| fault(BuildFault::TooLong, Header::ContentLength))?;
        self.set(Header::ContentType, content_type)?;
        self.replace_body(body)
    }

    /// Removes the body and the fields that describe it; Content-Length becomes 0.
    pub fn clear_body(&mut self) {
        for header in
            [Header::ContentType, Header::ContentDisposition, Header::ContentEncoding, Header::ContentLanguage]
        {
            self.remove(header);
        }
        // `0` is a Content-Length in every case.
        let _ = self.replace_body(Bytes::new());
    }

    /// Replaces the bytes of the body and sets Content-Length.
    ///
    /// # Errors
    ///
    /// [`BuildFault::TooLong`] when the body or the edited lines exceed 4 GiB.
    pub fn replace_body(&mut self, body: Bytes) -> Result<(), BuildError> {
        let header = Header::ContentLength;
        let len = u32::try_from(body.len()).map_err(|_| fault(BuildFault::TooLong, header))?;
        self.put_number(header, len)?;
        self.new_body = Some(body);
        self.edited = true;
        Ok(())
    }

    fn header_field<'a>(&'a self, entry: &'a Entry) -> HeaderField<'a> {
        HeaderField { message: self, entry }
    }

    fn remove_where(&mut self, mut unwanted: impl FnMut(&Message, &Entry) -> bool) -> bool {
        let mut keep = Entries::new();
        keep.extend(self.index.entries().iter().copied().filter(|entry| !unwanted(self, entry)));
        let removed = keep.len() < self.index.entries().len();
        if removed {
            self.index.set(keep);
            self.edited = true;
        }
        removed
    }

    fn reserve(&mut self) {
        if self.arena.capacity() == 0 {
            self.arena.reserve(ARENA);
        }
    }

    /// Writes a line to the arena.
    fn compose(&mut self, name: HeaderName<'_>, value: impl Display) -> Result<Entry, BuildError> {
        self.reserve();
        let from = self.arena.len();
        let mut entry = compose::line(&mut self.arena, name, value)?;
        entry.flags |= EDITED;
        // A length that is not that of the body would let the rest of it pass as a message of its own.
        if entry.tag == Header::ContentLength as u8 {
            let written = scan::decimal(self.value_of(&entry));
            if written != Some(self.body().len() as u64) {
                self.arena.truncate(from);
                return Err(fault(BuildFault::LengthMismatch, Header::ContentLength));
            }
        }
        Ok(entry)
    }

    /// Writes a line to the arena that is to stand beside others of its name.
    fn compose_new(&mut self, name: HeaderName<'_>, value: impl Display) -> Result<Entry, BuildError> {
        if let Some(header) = name.known() {
            self.check_room(header)?;
        }
        self.compose(name, value)
    }

    /// Whether another field of `header` may join those there are.
    #[inline]
    fn check_room(&self, header: Header) -> Result<(), BuildError> {
        match header.is_single() && self.index.has(header) {
            true => Err(fault(BuildFault::Repeated, header)),
            false => Ok(()),
        }
    }

    /// Puts a field of this number in the place of all fields of `header`.
    fn put_number(&mut self, header: Header, number: u32) -> Result<(), BuildError> {
        self.reserve();
        let mut entry = compose::number_line(&mut self.arena, header, number)?;
        entry.flags |= EDITED;
        self.put(HeaderName::Known(header), entry);
        Ok(())
    }

    /// The number of the first entry of this name.
    fn find(&self, name: HeaderName<'_>) -> Option<usize> {
        match name {
            HeaderName::Known(header) => self.index.first(header),
            HeaderName::Other(_) => self.index.entries().iter().position(|held| self.is_named(held, name)),
        }
    }

    fn insert(&mut self, at: usize, entry: Entry) {
        self.edited = true;
        self.index.insert(at, entry);
    }

    fn replace_entry(&mut self, at: usize, entry: Entry) {
        self.edited = true;
        self.index.replace(at, entry);
    }

    /// Puts `entry` in the place of the first field of `name` and drops the others.
    fn put(&mut self, name: HeaderName<'_>, entry: Entry) {
        match self.find(name) {
            None => self.insert(self.index.entries().len(), entry),
            Some(at) => {
                let repeated = name.known().is_none_or(|header| self.index.is_repeated(header));
                if repeated {
                    let mut number = 0;
                    self.remove_where(|message, held| {
                        number += 1;
                        number - 1 > at && message.is_named(held, name)
                    });
                }
                self.replace_entry(at, entry);
            }
        }
    }

    /// The value number `at` of a list header: the number of its entry, its span in that entry's value, and whether
    /// it is the only one there.
    fn find_value(&self, header: Header, at: usize) -> Option<(usize, Range<usize>, bool)> {
        let mut left = at;
        let entries = self.index.entries();
        for number in self.index.first(header)?..entries.len() {
            let entry = entries.get(number)?;
            if entry.tag != header as u8 {
                continue;
            }
            let value = self.value_of(entry);
            if value.is_empty() && headers::may_be_empty(header) {
                continue;
            }
            let mut from = 0;
            loop {
                let (element, rest) = headers::split_first(header, value.get(from..)?);
                if left == 0 {
                    let lead = element.len() - trim_start(element).len();
                    let end = from + scan::trim_end(element).len();
                    return Some((number, (from + lead).min(end)..end, from == 0 && rest.is_none()));
                }
                left -= 1;
                match rest {
                    Some(rest) => from += rest,
                    None => break,
                }
            }
        }
        None
    }

    /// Copies the line of the entry `number` to the arena, with `span` of its value replaced by what lies at
    /// `by` in the arena.
    fn splice_arena(&mut self, number: usize, span: Range<usize>, by: Range<usize>) -> Result<Entry, BuildError> {
        let Some(held) = self.index.entries().get(number).copied() else {
            return Err(BuildError::new(BuildFault::NotApplicable, None));
        };
        let header = held.header();
        let too_long = BuildError::new(BuildFault::TooLong, header);
        let line = held.line as usize;
        let value = line + usize::from(held.value);
        let by_len = by.len();
        let from = self.arena.len();
        self.copy_line_part(&held, line..value + span.start);
        if by_len > 0 {
            self.arena.extend_from_within(by);
        }
        self.copy_line_part(&held, value + span.end..line + usize::from(held.line_len));
        let result = u16::try_from(self.arena.len() - from).ok().zip(u32::try_from(from).ok());
        let Some((line_len, from)) = result else {
            self.arena.truncate(from);
            return Err(too_long);
        };
        let value_len = usize::from(held.value_end - held.value) + by_len - span.len();
        let value_from = from as usize + usize::from(held.value);
        // What is left may end in white space that stood before what went.
        let left = self.arena.get(value_from..value_from + value_len).unwrap_or_default();
        let value_end = held.value + scan::trim_end(left).len() as u16;
        Ok(Entry { line: from, line_len, value_end, flags: held.flags | EDITED, ..held })
    }

    fn copy_line_part(&mut self, entry: &Entry, range: Range<usize>) {
        if entry.edited() {
            if range.end <= self.arena.len() && range.start <= range.end {
                self.arena.extend_from_within(range);
            }
        } else {
            self.arena.extend_from_slice(self.bytes.get(range).unwrap_or_default());
        }
    }

    /// The topmost Via value alone.
    pub(crate) fn top_via_raw(&self) -> Option<&[u8]> {
        let value = self.field(Header::Via)?;
        Some(scan::trim(split_list(value).0))
    }
}

/// Where a request came from, as a parameter of Via.
enum Source {
    Received(IpAddr),
    Rport(u16),
}

impl Source {
    fn write(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 10];
        match self {
            Source::Received(IpAddr::V4(address)) => {
                out.extend_from_slice(b";received");
                for (n, octet) in address.octets().into_iter().enumerate() {
                    out.push(if n == 0 { b'=' } else { b'.' });
                    out.extend_from_slice(compose::decimal(octet.into(), &mut digits));
                }
            }
            Source::Received(IpAddr::V6(address)) => {
                let _ = write!(Sink(out), ";received={address}");
            }
            Source::Rport(port) => {
                out.extend_from_slice(b";rport=");
                out.extend_from_slice(compose::decimal((*port).into(), &mut digits));
            }
        }
    }
}

/// Whether `v` is `;name=value` and nothing more, with such a value as a Via parameter of this name has.
fn via_param(v: &[u8], name: &str) -> Result<(), ValueError> {
    let via = Via::of_params(v);
    let mut params = via.params();
    let param = params.next().transpose()?.filter(|param| param.name == name);
    match (param, params.next()) {
        (Some(param), None) => via.check_param(&param),
        _ => Err(ValueError::new(ValueFault::Param, 0)),
    }
}

fn trim_start(v: &[u8]) -> &[u8] {
    v.get(scan::skip(v, 0, scan::LWS)..).unwrap_or_default()
}
