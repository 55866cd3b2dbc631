//! Building multipart bodies.

use crate::compose::{self, BuildError, BuildFault};
use crate::header::{Header, HeaderName};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Display;

/// A multipart body ready to be put into a message: both go to [`Message::set_body`](crate::Message::set_body) or
/// [`RequestBuilder::body`](crate::RequestBuilder::body), or as a part into another multipart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipartBody {
    /// The value for Content-Type, with the boundary.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// Builds a multipart body.
///
/// The boundary is chosen so that it occurs in no part; the same parts give the same body. Content is binary, which in
/// SIP needs no Content-Transfer-Encoding.
#[derive(Clone, Debug)]
pub struct MultipartBuilder {
    subtype: String,
    /// Heads as they will be written, and contents.
    parts: Vec<(Vec<u8>, Bytes)>,
    error: Option<BuildError>,
}

const PREFIX: &str = "part-";
const DIGITS: usize = 8;

impl MultipartBuilder {
    /// Begins a body of type `multipart/` and `subtype`, which may have parameters: `related;type="x/y"`.
    pub fn new(subtype: impl Into<String>) -> Self {
        MultipartBuilder { subtype: subtype.into(), parts: Vec::new(), error: None }
    }

    /// Begins a `multipart/mixed` body: parts that stand beside each other.
    pub fn mixed() -> Self {
        Self::new("mixed")
    }

    /// Begins a `multipart/alternative` body: versions of the same, the best last.
    pub fn alternative() -> Self {
        Self::new("alternative")
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, content_type: impl Display, body: impl Into<Bytes>) -> Self {
        self.parts.push((Vec::new(), body.into()));
        self.field(Header::ContentType, content_type)
    }

    /// Adds a multipart as a part.
    #[must_use]
    pub fn nested(self, inner: MultipartBody) -> Self {
        self.part(inner.content_type, inner.body)
    }

    /// Adds a field to the part that was added last: Content-Disposition, Content-ID and their like.
    #[must_use]
    pub fn field<'a>(mut self, name: impl Into<HeaderName<'a>>, value: impl Display) -> Self {
        let result = match self.parts.last_mut() {
            Some((head, _)) => compose::line(head, name.into(), value).map(|_| ()),
            None => Err(BuildError::new(BuildFault::NotApplicable, None)),
        };
        self.error = self.error.or(result.err());
        self
    }

    /// The body.
    ///
    /// # Errors
    ///
    /// The first fault in a field: its value is malformed, holds control characters, or there was no part to add it to.
    /// [`BuildFault::Missing`] if there is no part; a fault in Content-Type if the subtype is malformed.
    pub fn build(self) -> Result<MultipartBody, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.parts.is_empty() {
            return Err(BuildError::new(BuildFault::Missing, None));
        }
        let boundary = boundary(&self.parts);
        let content_type = alloc::format!("multipart/{};boundary={boundary}", self.subtype);
        compose::check(Some(Header::ContentType), content_type.as_bytes())?;
        let len = self.parts.iter().map(|(head, body)| head.len() + body.len() + boundary.len() + 8);
        let mut out = Vec::with_capacity(len.sum::<usize>() + boundary.len() + 6);
        for (head, body) in &self.parts {
            out.extend_from_slice(b"--");
            out.extend_from_slice(boundary.as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(head);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
        Ok(MultipartBody { content_type, body: Bytes::from(out) })
    }
}

/// A boundary that is in no part. `count` occurrences of its beginning can rule out at most `count` numbers, so among
/// the first `count + 1` numbers one is free.
fn boundary(parts: &[(Vec<u8>, Bytes)]) -> String {
    let numbers = || {
        parts.iter().flat_map(|(head, body)| [head.as_slice(), body]).flat_map(|text| {
            memchr::memmem::find_iter(text, PREFIX).filter_map(move |at| {
                let digits = text.get(at + PREFIX.len()..at + PREFIX.len() + DIGITS)?;
                crate::scan::decimal(digits)
            })
        })
    };
    let mut taken = vec![false; numbers().count() + 1];
    for number in numbers() {
        if let Some(slot) = usize::try_from(number).ok().and_then(|number| taken.get_mut(number)) {
            *slot = true;
        }
    }
    let free = taken.iter().position(|taken| !taken).unwrap_or_default();
    alloc::format!("{PREFIX}{free:0DIGITS$}")
}
