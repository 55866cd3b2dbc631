//! Header fields of body parts and fragments: checked once, walked when asked for.

use super::{BodyError, BodyFault};
use crate::error::HeaderError;
use crate::header::{self, Header, HeaderName};
use crate::scan;
use crate::value::FieldValue;
use core::fmt;

/// The header fields of a body part or a fragment, in order. An iterator over them, and look-ups by name.
#[derive(Clone, Copy)]
pub struct BodyFields<'a> {
    /// Whole lines; the last may lack its line end.
    lines: &'a [u8],
}

impl<'a> BodyFields<'a> {
    pub(super) const EMPTY: BodyFields<'static> = BodyFields { lines: &[] };

    /// Reads the header fields that `v` begins with, up to an empty line or the end. Returns them and where the rest
    /// begins, behind the empty line.
    pub(super) fn parse(v: &'a [u8]) -> Result<(Self, usize), BodyError> {
        let mut at = 0;
        while at < v.len() {
            if v.get(at..at + 2) == Some(b"\r\n") {
                return Ok((BodyFields { lines: v.get(..at).unwrap_or_default() }, at + 2));
            }
            if header::scan_name(v, at).is_none() {
                return Err(BodyError::new(BodyFault::Field, at));
            }
            let (end, next) = field_end(v, at);
            let content = v.get(at..end).unwrap_or_default();
            if let Some(bare) = memchr::memchr2(b'\r', b'\n', content).filter(|_| !folded(content)) {
                return Err(BodyError::new(BodyFault::Field, at + bare));
            }
            at = next;
        }
        Ok((BodyFields { lines: v }, v.len()))
    }

    /// The fields as they were written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.lines
    }

    /// The raw value of the first field named `name`.
    pub fn field<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<&'a [u8]> {
        let name = name.into();
        { *self }.find(|field| field.name() == name).map(|field| field.value)
    }

    /// The whole value of the first field of `header`, read; `None` if there is no such field.
    ///
    /// # Errors
    ///
    /// The value is not of this form. The offset is from the start of the value.
    pub fn value<T: FieldValue<'a>>(&self, header: Header) -> Result<Option<T>, HeaderError> {
        let Some(value) = self.field(header) else { return Ok(None) };
        let error = |e: crate::ValueError| HeaderError { header, fault: Some(e.kind), offset: e.offset };
        T::parse_value(value).map(Some).map_err(error)
    }
}

/// Where the field that begins at `v[from]` ends, and where the next line begins. Folds belong to the field.
fn field_end(v: &[u8], from: usize) -> (usize, usize) {
    let mut at = from;
    while let Some(cr) = memchr::memchr(b'\r', v.get(at..).unwrap_or_default()) {
        let end = at + cr;
        if v.get(end + 1) == Some(&b'\n') && !matches!(v.get(end + 2), Some(b' ' | b'\t')) {
            return (end, end + 2);
        }
        at = end + 1;
    }
    (v.len(), v.len())
}

/// Whether each CR and LF in a field is part of a fold.
fn folded(v: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'\r', b'\n', v.get(at..).unwrap_or_default()) {
        if !matches!(v.get(at + found..), Some([b'\r', b'\n', b' ' | b'\t', ..])) {
            return false;
        }
        at += found + 3;
    }
    true
}

impl<'a> Iterator for BodyFields<'a> {
    type Item = BodyField<'a>;

    fn next(&mut self) -> Option<BodyField<'a>> {
        let name = header::scan_name(self.lines, 0)?;
        let (end, next) = field_end(self.lines, 0);
        let field = BodyField {
            name: scan::text(self.lines.get(..name.len).unwrap_or_default()),
            value: scan::trim(self.lines.get(name.colon + 1..end).unwrap_or_default()),
        };
        self.lines = self.lines.get(next..).unwrap_or_default();
        Some(field)
    }
}

impl fmt::Debug for BodyFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// One header field of a body part or a fragment.
#[derive(Clone, Copy)]
pub struct BodyField<'a> {
    name: &'a str,
    value: &'a [u8],
}

impl<'a> BodyField<'a> {
    /// The name: a known one, compact form resolved, or the text of another.
    pub fn name(&self) -> HeaderName<'a> {
        HeaderName::from(self.name)
    }

    /// The name as it was written.
    pub fn name_as_written(&self) -> &'a str {
        self.name
    }

    /// The raw value, without white space at its ends; folds are left in.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }
}

impl fmt::Debug for BodyField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value.escape_ascii())
    }
}
