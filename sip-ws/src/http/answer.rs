//! HTTP responses that a server sends instead of a 101.

use crate::http::list::is_token_byte;
use alloc::{borrow::Cow, format, string::String, vec::Vec};
use bytes::Bytes;
use core::fmt::Write as _;

/// A header or body that cannot be part of an [`Answer`]: an empty name, or a character that would break the head.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The status is not in 200 to 599.
    #[error("status out of range")]
    Status,
    /// The header name is not a token.
    #[error("header name is not a token")]
    Name,
    /// The header value has a control character.
    #[error("header value has a control character")]
    Value,
    /// The header is one that this crate writes itself.
    #[error("header is written by the connection itself")]
    Reserved,
}

/// A whole HTTP response: refuses an upgrade, or answers a plain request. The connection ends with it.
///
/// `Content-Length` and `Connection: close` are added.
///
/// ```
/// use sip_ws::Answer;
///
/// let page = Answer::new(200)?.body("text/html; charset=utf-8", "<title>hello</title>")?;
/// let busy = Answer::service_unavailable(30);
/// # assert_eq!((page.status(), busy.status()), (200, 503));
/// # Ok::<(), sip_ws::BadAnswer>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    fields: Vec<(Cow<'static, str>, String)>,
    body: Bytes,
}

impl Answer {
    /// An empty response of this status.
    ///
    /// # Errors
    /// [`BadAnswer::Status`] if it is not in 200 to 599.
    pub fn new(status: u16) -> Result<Self, BadAnswer> {
        if (200..600).contains(&status) { Ok(Self::bare(status)) } else { Err(BadAnswer::Status) }
    }

    const fn bare(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Bytes::new() }
    }

    /// 403 Forbidden: an origin, say, that may not use this server (RFC 6455 section 4.2.2).
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    //# If the server does not wish to accept this
    //# connection, it MUST return an appropriate HTTP error code
    //# (e.g., 403 Forbidden) and abort the WebSocket handshake
    //# described in this section.
    #[must_use]
    pub const fn forbidden() -> Self {
        Self::bare(403)
    }

    /// 404 Not Found: no service of that resource name.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    //# If the requested service is not available, the server MUST send an
    //# appropriate HTTP error code (such as 404 Not Found) and abort
    //# the WebSocket handshake.
    #[must_use]
    pub const fn not_found() -> Self {
        Self::bare(404)
    }

    /// 401 Unauthorized with these challenges, the strongest first.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-7
    //# A SIP WebSocket Server SHOULD be able to reject a WebSocket
    //# handshake request with an HTTP 401 status code by providing a
    //# Basic/Digest challenge as defined for the HTTP protocol.
    #[must_use]
    pub fn unauthorized(challenges: &[crate::auth::Challenge]) -> Self {
        let mut answer = Self::bare(401);
        for challenge in challenges {
            answer.fields.push((Cow::Borrowed("WWW-Authenticate"), format!("{challenge}")));
        }
        answer
    }

    /// 426 Upgrade Required, for a resource that is only served over WebSocket.
    #[must_use]
    pub fn upgrade_required() -> Self {
        let mut answer = Self::bare(426);
        answer.fields.push((Cow::Borrowed("Upgrade"), "websocket".into()));
        //= https://www.rfc-editor.org/rfc/rfc6455#section-4.4
        //# If the server doesn't support the requested version, it MUST
        //# respond with a |Sec-WebSocket-Version| header field (or multiple
        //# |Sec-WebSocket-Version| header fields) containing all versions it is
        //# willing to use.
        answer.fields.push((Cow::Borrowed("Sec-WebSocket-Version"), "13".into()));
        answer
    }

    /// 503 Service Unavailable with `Retry-After` in seconds.
    #[must_use]
    pub fn service_unavailable(retry_after: u32) -> Self {
        let mut answer = Self::bare(503);
        answer.fields.push((Cow::Borrowed("Retry-After"), format!("{retry_after}")));
        answer
    }

    /// The answer of this crate itself to a bad request.
    pub(crate) fn to_error(status: u16) -> Self {
        match status {
            426 => Self::upgrade_required(),
            status => Self::bare(status),
        }
    }

    /// Adds a header field.
    ///
    /// # Errors
    /// [`BadAnswer`] if it could break the head, or is `Connection`, `Content-Length` or `Transfer-Encoding`.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BadAnswer> {
        check_field(name, value)?;
        if ["connection", "content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(BadAnswer::Reserved);
        }
        self.fields.push((Cow::Owned(name.into()), value.into()));
        Ok(self)
    }

    /// Sets the body and its `Content-Type`.
    ///
    /// # Errors
    /// [`BadAnswer::Value`] if the type has a control character.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Result<Self, BadAnswer> {
        let mut answer = self.header("Content-Type", content_type)?;
        answer.body = body.into();
        Ok(answer)
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Head and body; without the body for a HEAD request.
    pub(crate) fn into_parts(self, head_only: bool) -> (Vec<u8>, Bytes) {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // RFC 7230 section 6.7: a sender of Upgrade lists it in Connection too.
        let upgrade = if self.status == 426 { "Upgrade, " } else { "" };
        let length = self.body.len();
        let _ = write!(head, "Content-Length: {length}\r\nConnection: {upgrade}close\r\n\r\n");
        (head.into_bytes(), if head_only { Bytes::new() } else { self.body })
    }
}

/// Checks that a field cannot break a head.
pub(crate) fn check_field(name: &str, value: &str) -> Result<(), BadAnswer> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(BadAnswer::Name);
    }
    if value.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
        return Err(BadAnswer::Value);
    }
    Ok(())
}

/// The usual reason phrase.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}
