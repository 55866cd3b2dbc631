//! What a message means where a header is missing or gives preferences: Accept and its kin, Content-Disposition,
//! Priority.

use super::tokens::Token;
use crate::error::HeaderError;
use crate::header::Header;
use crate::message::Message;

impl Message {
    /// How much the sender likes a body of `media_type` (written `type/subtype`) in an answer, in thousandths: 0 is
    /// not acceptable.
    ///
    /// Of the ranges of Accept the most specific one counts. Media type parameters are not looked at; malformed ranges
    /// are passed over.
    pub fn accept_quality(&self, media_type: &str) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.1
        //# The
        //# semantics are also identical, with the exception that if no Accept
        //# header field is present, the server SHOULD assume a default value of
        //# application/sdp.
        if !self.has(Header::Accept) {
            return if media_type.eq_ignore_ascii_case("application/sdp") { 1000 } else { 0 };
        }
        let ranges = self.accept().flatten().filter(|range| range.accepts(media_type));
        most_specific(ranges.map(|range| {
            let specificity = usize::from(range.kind() != "*") + usize::from(range.subtype() != "*");
            (specificity, range.q().unwrap_or(0))
        }))
        .unwrap_or(0)
    }

    /// How much the sender likes a body with the content coding `coding`, in thousandths: 0 is not acceptable.
    ///
    /// `identity`, no coding at all, is acceptable unless the sender says otherwise.
    pub fn accept_encoding_quality(&self, coding: &str) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.2
        //# If no
        //# Accept-Encoding header field is present, the server SHOULD assume a
        //# default value of identity.
        let identity = if coding.eq_ignore_ascii_case("identity") { 1000 } else { 0 };
        let ranges = self.accept_encoding().flatten();
        let ranges = ranges.filter(|range| range.coding() == "*" || range.coding() == coding);
        most_specific(ranges.map(|range| (usize::from(range.coding() != "*"), range.q().unwrap_or(0))))
            .unwrap_or(identity)
    }

    /// How much the sender likes a text in the language `tag`, in thousandths: 0 is not acceptable.
    ///
    /// Of the ranges of Accept-Language the longest one that `tag` begins with counts.
    pub fn accept_language_quality(&self, tag: &str) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.3
        //# If no Accept-Language header field is present, the server SHOULD
        //# assume all languages are acceptable to the client.
        if !self.has(Header::AcceptLanguage) {
            return 1000;
        }
        let ranges = self.accept_language().flatten().filter(|range| range.accepts(tag));
        let length = |range: &str| if range == "*" { 0 } else { range.len() };
        most_specific(ranges.map(|range| (length(range.range().as_str()), range.q().unwrap_or(0)))).unwrap_or(0)
    }

    /// How the body is to be taken: the disposition type, or what its absence means.
    ///
    /// # Errors
    ///
    /// Content-Disposition or Content-Type is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.11
    //# For backward-compatibility, if the Content-Disposition header field
    //# is missing, the server SHOULD assume bodies of Content-Type
    //# application/sdp are the disposition "session", while other content
    //# types are "render".
    pub fn body_disposition(&self) -> Result<Token<'_>, HeaderError> {
        if let Some(disposition) = self.content_disposition()? {
            return Ok(disposition.disposition());
        }
        let is_session = self.content_type()?.is_some_and(|media| media.is("application/sdp"));
        Ok(Token::new(if is_session { "session" } else { "render" }))
    }

    /// How urgent the request is (RFC 3261 section 20.26): `emergency`, `urgent`, `normal`, `non-urgent` or another
    /// token; `normal` if there is no Priority.
    ///
    /// # Errors
    ///
    /// The value is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.26
    //# For these decisions, a message containing no
    //# Priority header field SHOULD be treated as if it specified a Priority
    //# of "normal".
    pub fn priority(&self) -> Result<Token<'_>, HeaderError> {
        Ok(self.value(Header::Priority)?.unwrap_or(Token::new("normal")))
    }
}

/// The preference that goes with the greatest specificity; the first of equals.
fn most_specific(ranges: impl Iterator<Item = (usize, u16)>) -> Option<u16> {
    let best = ranges.reduce(|best, range| if range.0 > best.0 { range } else { best });
    best.map(|(_, quality)| quality)
}
