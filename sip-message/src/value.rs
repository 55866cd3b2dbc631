//! Reading the value of a header field: the trait every typed value implements, and the walk over lists.
//!
//! Comma-joined and repeated fields read alike: [`Values`] goes through all fields of a header and takes each
//! value apart at its commas.

use crate::error::{HeaderError, ValueError};
use crate::header::Header;
use crate::headers;
use crate::index::Entry;
use crate::message::Message;
use crate::scan;
use core::fmt;
use core::marker::PhantomData;

/// A typed view of one value of a header field, borrowed from the message.
///
/// Implemented by the value types of this crate; a host may implement it for headers of its own and read them with
/// [`Message::value`] and [`Message::values`].
pub trait FieldValue<'a>: Sized {
    /// Reads one value. `v` has no comma outside quotes and angle brackets if the header is a list; white space at
    /// its ends has been taken off; folds in it are white space.
    ///
    /// # Errors
    ///
    /// What is wrong, and where in `v`.
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError>;

    /// Takes the first value off a field that may hold several: its bytes, and where the next one begins.
    ///
    /// By default a comma outside of quoted strings and angle brackets ends a value.
    #[inline]
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        split_list(v)
    }
}

/// A list of values across all fields of one header, in order: [`Message::values`].
///
/// A malformed value is an error of its own; the walk goes on behind it.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
//# It MUST be possible to combine
//# the multiple header field rows into one "field-name: field-value"
//# pair, without changing the semantics of the message, by appending
//# each subsequent field-value to the first, each separated by a comma.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
//# Implementations MUST be able to process multiple header field rows
//# with the same name in any combination of the single-value-per-line or
//# comma-separated value forms.
pub struct Values<'a, T> {
    message: &'a Message,
    header: Header,
    /// Fields not yet begun.
    entries: core::slice::Iter<'a, Entry>,
    /// What is left of the current field: bytes and their offset for errors.
    rest: Option<(&'a [u8], usize)>,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        Values {
            message: self.message,
            header: self.header,
            entries: self.entries.clone(),
            rest: self.rest,
            value: PhantomData,
        }
    }
}

impl<'a, T: FieldValue<'a> + fmt::Debug> fmt::Debug for Values<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a, T: FieldValue<'a>> Values<'a, T> {
    #[inline]
    fn new(message: &'a Message, header: Header) -> Self {
        let entries = message.index.entries();
        let from = message.index.first(header).unwrap_or(entries.len());
        // Nobody looks for another field behind the only one.
        let to = if message.index.is_repeated(header) { entries.len() } else { entries.len().min(from + 1) };
        let entries = entries.get(from..to).unwrap_or_default().iter();
        Values { message, header, entries, rest: None, value: PhantomData }
    }

    /// The bytes of the next value and their offset for errors.
    #[inline]
    fn next_raw(&mut self) -> Option<(&'a [u8], usize, bool)> {
        let (v, offset, first) = match self.rest.take() {
            Some((v, offset)) => (v, offset, false),
            None => {
                let tag = self.header as u8;
                let entry = self.entries.find(|entry| entry.tag == tag)?;
                (self.message.value_of(entry), entry.fault_offset(), true)
            }
        };
        let (element, rest) = T::split_first(v);
        self.rest = rest.map(|at| (v.get(at..).unwrap_or_default(), offset + at));
        let lead = scan::skip(element, 0, scan::LWS);
        let value = scan::trim_end(element.get(lead..).unwrap_or_default());
        let alone = first && self.rest.is_none();
        Some((value, offset + lead, alone))
    }

    /// The next value, and where it stands: its offset for errors.
    #[inline]
    pub(crate) fn next_at(&mut self) -> Option<(usize, Result<T, HeaderError>)> {
        loop {
            let (v, offset, alone) = self.next_raw()?;
            if v.is_empty() && alone && headers::may_be_empty(self.header) {
                continue;
            }
            return Some((offset, T::parse_value(v).map_err(|error| at(self.header, offset, error))));
        }
    }
}

impl<'a, T: FieldValue<'a>> Iterator for Values<'a, T> {
    type Item = Result<T, HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_at().map(|(_, value)| value)
    }
}

pub(crate) fn at(header: Header, offset: usize, error: ValueError) -> HeaderError {
    HeaderError { header, fault: Some(error.kind), offset: offset + error.offset }
}

/// Takes the first element off a comma-separated list: its bytes, and where the rest begins behind the comma.
/// Commas in quoted strings and angle brackets do not count.
#[inline]
pub(crate) fn split_list(v: &[u8]) -> (&[u8], Option<usize>) {
    match scan::find(v, 0, b',') {
        None => (v, None),
        Some(_) => split_at_comma(v),
    }
}

fn split_at_comma(v: &[u8]) -> (&[u8], Option<usize>) {
    let mut at = 0;
    while let Some(&b) = v.get(at) {
        match b {
            b',' => return (v.get(..at).unwrap_or_default(), Some(at + 1)),
            b'"' => at = scan::quoted_end(v, at).unwrap_or(v.len()),
            b'<' => match memchr::memchr(b'>', v.get(at..).unwrap_or_default()) {
                Some(close) => at += close + 1,
                None => at = v.len(),
            },
            _ => at += 1,
        }
    }
    (v, None)
}

impl Message {
    /// The values of all fields of `header`, comma-joined lists taken apart.
    ///
    /// ```
    /// # use sip_message::{Header, Message, NameAddr};
    /// # let message = Message::parse(bytes::Bytes::from_static(b"ACK sip:a@b SIP/2.0\r\n\
    /// #   Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\nRoute: <sip:p3.example.com;lr>\r\n\r\n"))?;
    /// for route in message.values::<NameAddr>(Header::Route) {
    ///     assert!(route?.uri_bytes().ends_with(b".example.com;lr"));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn values<'a, T: FieldValue<'a>>(&'a self, header: Header) -> Values<'a, T> {
        Values::new(self, header)
    }

    /// The whole value of the first field of `header`, commas and all; `None` if there is no such field.
    ///
    /// # Errors
    ///
    /// The value is not of this form.
    #[inline]
    pub fn value<'a, T: FieldValue<'a>>(&'a self, header: Header) -> Result<Option<T>, HeaderError> {
        let Some(entry) = self.index.first_entry(header) else { return Ok(None) };
        let value = T::parse_value(self.value_of(entry));
        value.map(Some).map_err(|error| at(header, entry.fault_offset(), error))
    }

    /// Like [`value`](Message::value), for a header that must be there.
    ///
    /// # Errors
    ///
    /// The field is missing or malformed.
    #[inline]
    pub fn required<'a, T: FieldValue<'a>>(&'a self, header: Header) -> Result<T, HeaderError> {
        self.value(header)?.ok_or(HeaderError::missing(header))
    }

    /// The first value of the first field of `header`, which must be there.
    #[inline]
    pub(crate) fn first_value<'a, T: FieldValue<'a>>(&'a self, header: Header) -> Result<T, HeaderError> {
        let entry = self.index.first_entry(header).ok_or(HeaderError::missing(header))?;
        let (element, _) = split_list(self.value_of(entry));
        T::parse_value(scan::trim_end(element)).map_err(|error| at(header, entry.fault_offset(), error))
    }
}
