//! What a client asks for: the URI and the header fields of its opening handshake.

use crate::{
    Config, Url,
    auth::{AuthError, Challenge, Credentials},
    connection::is_handshake_field,
    http::{BadAnswer, ResponseHead, check_field},
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::Write as _;

/// The request of a client's opening handshake (RFC 6455 section 4.1), for [`Connection::client`](crate::Connection::client).
///
/// It can be used again: after a 401 with [`authorize`](Self::authorize) on a new transport, or to reconnect.
///
/// ```
/// use sip_ws::{ClientRequest, Config, Connection, Instant, sip};
///
/// let request = ClientRequest::new("wss://edge.example.com/sip".parse()?).cookie("session", "a1b2")?;
/// let mut config = Config::default();
/// config.protocols = vec![sip::SUBPROTOCOL.into()];
/// let mut connection = Connection::client(Instant::ZERO, config, &request, [7; 32])?;
/// let bytes = connection.poll_transmit().unwrap();
/// assert!(bytes.starts_with(b"GET /sip HTTP/1.1\r\nHost: edge.example.com\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    url: Url,
    origin: Option<String>,
    cookies: Vec<(String, String)>,
    authorization: Option<String>,
    fields: Vec<(String, String)>,
}

impl ClientRequest {
    /// A request for this URI.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, origin: None, cookies: Vec::new(), authorization: None, fields: Vec::new() }
    }

    /// The URI: where the transport must go.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sets `Origin`, which browsers must send and others may.
    ///
    /// # Errors
    /// [`BadAnswer::Value`] if it could break the head.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST include a header field with the name |Origin|
    //# [RFC6454] if the request is coming from a browser client.
    pub fn origin(mut self, origin: &str) -> Result<Self, BadAnswer> {
        check_field("Origin", origin)?;
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Adds a cookie (RFC 6265).
    ///
    /// # Errors
    /// [`BadAnswer`] if the name is no token or the value has a character that a cookie must not have.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-7
    //# A SIP WebSocket Client MUST be ready to add a session cookie when
    //# it runs in a web browser (or behaves like a browser navigating a
    //# website) and has previously retrieved a session cookie from the
    //# web server whose URL domain matches the domain in the WebSocket
    //# URI.
    pub fn cookie(mut self, name: &str, value: &str) -> Result<Self, BadAnswer> {
        check_field(name, value)?;
        if value.bytes().any(|byte| b" \t\",;\\".contains(&byte)) {
            return Err(BadAnswer::Value);
        }
        self.cookies.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Adds any other header field.
    ///
    /// # Errors
    /// [`BadAnswer`] if it could break the head, or is one that the handshake writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, BadAnswer> {
        check_field(name, value)?;
        let own = ["origin", "cookie", "authorization"];
        if is_handshake_field(name) || own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(BadAnswer::Reserved);
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Answers the challenges of a 401 with the strongest scheme that this crate knows: Digest with SHA-512-256,
    /// SHA-256 or MD5, then Basic. The new request goes over a new transport.
    ///
    /// `seed` makes the client nonce: it must be unpredictable and used once.
    ///
    /// # Errors
    /// [`AuthError`] if the response has no challenge that can be answered, or if it refuses credentials that this
    /// request has carried already (and does not say that they were stale).
    //= https://www.rfc-editor.org/rfc/rfc7118#section-7
    //# A SIP WebSocket Client MUST be ready to be challenged with an HTTP
    //# 401 status code [RFC2617] by the SIP WebSocket Server when
    //# performing the WebSocket handshake.
    pub fn authorize(
        mut self,
        response: &ResponseHead,
        credentials: &Credentials,
        seed: [u8; 32],
    ) -> Result<Self, AuthError> {
        let challenge = Challenge::strongest(response).ok_or(AuthError::NoChallenge)?;
        if self.authorization.is_some() && !challenge.is_stale() {
            return Err(AuthError::Refused);
        }
        self.authorization = Some(challenge.answer(credentials, "GET", self.url.resource(), seed));
        Ok(self)
    }

    /// The bytes of the request.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The handshake MUST be a valid HTTP request as specified by
    //# [RFC2616].
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The method of the request MUST be GET, and the HTTP version MUST
    //# be at least 1.1.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The "Request-URI" part of the request MUST match the /resource
    //# name/ defined in Section 3 (a relative URI)
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST contain an |Upgrade| header field whose value
    //# MUST include the "websocket" keyword.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST contain a |Connection| header field whose value
    //# MUST include the "Upgrade" token.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST include a header field with the name
    //# |Sec-WebSocket-Key|.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST include a header field with the name
    //# |Sec-WebSocket-Version|.  The value of this header field MUST be
    //# 13.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
    //# The client MUST
    //# include the value "sip" in the Sec-WebSocket-Protocol header in its
    //# handshake request.
    pub(crate) fn head(&self, key: &str, config: &Config) -> String {
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n",
            self.url.resource(),
            self.url.authority(),
        );
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if let Some(origin) = &self.origin {
            field("Origin", origin);
        }
        if !config.protocols.is_empty() {
            field("Sec-WebSocket-Protocol", &config.protocols.join(", "));
        }
        field("Sec-WebSocket-Version", "13");
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &config.deflate {
            field("Sec-WebSocket-Extensions", &crate::deflate::offer(deflate));
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            field("Cookie", &pairs.join("; "));
        }
        if let Some(authorization) = &self.authorization {
            field("Authorization", authorization);
        }
        for (name, value) in &self.fields {
            field(name, value);
        }
        head.push_str("\r\n");
        head
    }
}
