//! Bodies: bytes from the host and what they are.

use alloc::borrow::Cow;
use bytes::Bytes;
use sip_message::headers::{ContentDisposition, MediaType};
use sip_message::{BuildError, FieldValue, Header, Lines, Message, RequestBuilder, ResponseBuilder};

use crate::codec::wire;

/// A body to send. This crate never looks into it, except to tell whether a body that came in is a session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of Content-Type.
    pub content_type: Cow<'static, str>,
    /// The value of Content-Disposition, if there is to be one.
    pub disposition: Option<Cow<'static, str>>,
    /// The bytes.
    pub bytes: Bytes,
}

impl Body {
    /// A body of any type.
    pub fn new(content_type: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Self {
        Body { content_type: content_type.into(), disposition: None, bytes: bytes.into() }
    }

    /// A session description: `application/sdp`.
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Body::new("application/sdp", bytes)
    }

    /// The body of a message that came in; `None` if it has none.
    pub fn of(message: &Message) -> Option<Body> {
        if message.body().is_empty() {
            return None;
        }
        let text = |header| {
            message.field(header).and_then(|value| core::str::from_utf8(value).ok()).map(alloc::string::String::from)
        };
        Some(Body {
            content_type: text(Header::ContentType).map_or(Cow::Borrowed("application/octet-stream"), Cow::Owned),
            disposition: text(Header::ContentDisposition).map(Cow::Owned),
            bytes: message.body_bytes(),
        })
    }

    /// Whether it can stand in a message: for what is sent later, or after something that cannot be taken back.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let mut trial = Lines::new();
        trial.push(Header::ContentType, &self.content_type)?;
        self.disposition.as_ref().map_or(Ok(()), |value| trial.push(Header::ContentDisposition, value))
    }

    pub(crate) fn on_request(self, builder: RequestBuilder) -> RequestBuilder {
        let builder = match self.disposition {
            Some(disposition) => builder.text(Header::ContentDisposition, &disposition),
            None => builder,
        };
        builder.typed_body(&self.content_type, self.bytes)
    }

    pub(crate) fn on_response(self, builder: ResponseBuilder) -> ResponseBuilder {
        let builder = match self.disposition {
            Some(disposition) => builder.text(Header::ContentDisposition, &disposition),
            None => builder,
        };
        builder.typed_body(&self.content_type, self.bytes)
    }
}

/// Whether the message carries a session description: SDP, alone or in a multipart, whose disposition is `session` or not
/// given.
pub fn carries_session(message: &Message) -> bool {
    if message.body().is_empty() {
        return false;
    }
    if !message.has(Header::ContentDisposition) && message.field(Header::ContentType) == Some(b"application/sdp") {
        return true;
    }
    let Some(kind) = message.field(Header::ContentType).and_then(|value| MediaType::parse_value(value).ok()) else {
        return false;
    };
    let disposition = message.value::<ContentDisposition<'_>>(Header::ContentDisposition).ok().flatten();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.11
    //# For backward-compatibility, if the Content-Disposition header field is
    //# missing, the server SHOULD assume bodies of Content-Type
    //# application/sdp are the disposition "session", while other content
    //# types are "render".
    if disposition.is_some_and(|disposition| disposition.disposition() != "session") {
        return false;
    }
    if kind.is("application/sdp") {
        return true;
    }
    kind.kind() == "multipart" && memchr::memmem::find(message.body(), b"application/sdp").is_some()
}

/// The answer that takes nothing of the offer in a message: where one is owed and the host gives none. `None` if there is no offer that
/// can be read.
pub(crate) fn refusal(offer: &Message) -> Option<Body> {
    crate::sdp::refusal(offer.body_of_type("application/sdp")?).map(Body::sdp)
}

wire!(struct Body { content_type, disposition, bytes });
