//! Identity in networks that vouch for it: P-Asserted-Identity, P-Preferred-Identity (RFC 3325) and Privacy (RFC 3323).
//!
//! History-Info, Diversion and Alert-Info are read with [`Message::values`] as they are: see `sip_message::headers`.

use alloc::string::String;
use alloc::vec::Vec;
use sip_message::headers::Privacy;
use sip_message::{Header, Message, NameAddr, RequestBuilder};

use crate::agent::UserAgentCore;

/// Who a request says it is from, beside From.
///
/// ```
/// use sip_dialog::Identity;
/// let hidden = Identity::new().preferred("<sip:alice@atlanta.com>").privacy("id");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Identity {
    preferred: Option<String>,
    asserted: Option<String>,
    privacy: Option<String>,
}

impl Identity {
    /// Nothing said.
    pub fn new() -> Self {
        Identity::default()
    }

    /// The identity we ask our proxy to assert: a P-Preferred-Identity value.
    pub fn preferred(mut self, value: impl Into<String>) -> Self {
        self.preferred = Some(value.into());
        self
    }

    /// The identity we assert ourselves: a P-Asserted-Identity value. It is sent only if the configuration says that the peers are
    /// [trusted](crate::UserAgentConfig::trusted): outside of the trust domain it would give away what Privacy is to
    /// hide, and nobody could believe it.
    pub fn asserted(mut self, value: impl Into<String>) -> Self {
        self.asserted = Some(value.into());
        self
    }

    /// The value of Privacy: `id`, `header;session`, `none`.
    pub fn privacy(mut self, value: impl Into<String>) -> Self {
        self.privacy = Some(value.into());
        self
    }

    pub(crate) fn on_request(&self, mut builder: RequestBuilder, trusted: bool) -> RequestBuilder {
        if let Some(value) = &self.preferred {
            builder = builder.header(Header::PPreferredIdentity, value);
        }
        if let (Some(value), true) = (&self.asserted, trusted) {
            builder = builder.header(Header::PAssertedIdentity, value);
        }
        match &self.privacy {
            Some(value) => builder.header(Header::Privacy, value),
            None => builder,
        }
    }
}

impl UserAgentCore {
    /// The URIs a message's P-Asserted-Identity asserts; none if the peers are not [trusted](crate::UserAgentConfig::trusted), since then
    /// anybody could have written them.
    pub fn asserted_identity(&self, message: &Message) -> Vec<String> {
        if !self.config.trusted {
            return Vec::new();
        }
        let values = message.values::<NameAddr<'_>>(Header::PAssertedIdentity).filter_map(Result::ok);
        values.filter_map(|value| value.uri().ok().map(|uri| uri.as_str().into())).take(8).collect()
    }

    /// Whether a message asks that its sender's identity be kept from others: Privacy with `id`, `user` or `header`.
    pub fn wants_privacy(message: &Message) -> bool {
        let privacy = message.value::<Privacy<'_>>(Header::Privacy).ok().flatten();
        privacy.is_some_and(|privacy| ["id", "user", "header"].iter().any(|value| privacy.has(value).unwrap_or(false)))
    }
}
