//! What is kept of an INVITE once its 2xx has its ACK: as little as what may still come asks for, since it is kept for 64*T1 and each call leaves
//! it behind. It never sends anything.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use sip_message::{Header, Message, ParserConfig, RequestBuilder};

use crate::agent::client::Over;
use crate::body;
use crate::codec::wire;

/// An INVITE that was accepted, and the ACKs for its 2xx responses.
#[derive(Debug)]
pub(crate) struct Acked {
    /// The first ACK, with the Request-URI of the INVITE in front of it.
    first: Ack,
    uri_len: u16,
    /// Whether the INVITE has an offer.
    offered: bool,
    /// What it has of Authorization and of Proxy-Authorization.
    credentials: Vec<(bool, Box<[u8]>)>,
    /// The ACKs for those that lost.
    more: Vec<Ack>,
}

/// An ACK, to be sent again when its 2xx is.
#[derive(Debug)]
pub(crate) struct Ack {
    /// The To tag ends there, and the ACK begins: in one piece, and as bytes, for it is seldom wanted.
    tag_end: u16,
    bytes: Box<[u8]>,
    over: Over,
}

impl Ack {
    fn new(before: &[u8], tag: &[u8], ack: &Message, over: Over) -> Option<Self> {
        let tag_end = u16::try_from(before.len() + tag.len()).ok()?;
        let mut bytes = Vec::with_capacity(usize::from(tag_end) + ack.encoded_len());
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(tag);
        ack.write_to(&mut bytes);
        Some(Ack { tag_end, bytes: bytes.into(), over })
    }

    /// What stands before the tag and has `before` bytes, the tag, and the ACK.
    fn parts(&self, before: u16) -> Option<[&[u8]; 3]> {
        let (head, ack) = self.bytes.split_at_checked(usize::from(self.tag_end))?;
        let (before, tag) = head.split_at_checked(usize::from(before))?;
        Some([before, tag, ack])
    }
}

/// Adds the credentials of an INVITE that is still there to the ACK for its 2xx.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//# The ACK MUST contain the same credentials as the INVITE.
pub(crate) fn authorize(ack: RequestBuilder, invite: &Message) -> RequestBuilder {
    ack.copy_all(invite, Header::Authorization).copy_all(invite, Header::ProxyAuthorization)
}

impl Acked {
    /// An INVITE whose 2xx with this To tag has had this ACK; `None` if its Request-URI is longer than any that could be sent.
    pub(crate) fn new(invite: &Message, tag: &[u8], ack: &Message, over: Over) -> Option<Self> {
        let uri = invite.request_uri_bytes().unwrap_or_default();
        let mut credentials = Vec::new();
        for (proxy, header) in [(false, Header::Authorization), (true, Header::ProxyAuthorization)] {
            credentials.extend(invite.fields(header).map(|value| (proxy, value.into())));
        }
        Some(Acked {
            first: Ack::new(uri, tag, ack, over)?,
            uri_len: u16::try_from(uri.len()).ok()?,
            offered: body::carries_session(invite),
            credentials,
            more: Vec::new(),
        })
    }

    pub(crate) fn uri(&self) -> &[u8] {
        self.first.parts(self.uri_len).map_or(&[], |[uri, _, _]| uri)
    }

    pub(crate) fn offered(&self) -> bool {
        self.offered
    }

    /// How many ACKs there are.
    pub(crate) fn len(&self) -> usize {
        1 + self.more.len()
    }

    /// Adds the credentials of the INVITE to another ACK.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# The ACK MUST contain the same credentials as the INVITE.
    pub(crate) fn authorize(&self, mut ack: RequestBuilder) -> RequestBuilder {
        for (proxy, value) in &self.credentials {
            let header = if *proxy { Header::ProxyAuthorization } else { Header::Authorization };
            ack = ack.text(header, core::str::from_utf8(value).unwrap_or_default());
        }
        ack
    }

    /// Keeps the ACK for the 2xx with this To tag.
    pub(crate) fn keep(&mut self, tag: &[u8], ack: &Message, over: Over) {
        self.more.extend(Ack::new(&[], tag, ack, over));
    }

    /// The ACK for the 2xx with this To tag, and how it goes.
    pub(crate) fn ack(&self, tag: &[u8]) -> Option<(Message, Over)> {
        let all = [(&self.first, self.uri_len)].into_iter().chain(self.more.iter().map(|ack| (ack, 0)));
        let parts = all.filter_map(|(ack, before)| Some((ack.parts(before)?, ack.over)));
        let ([_, _, ack], over) = parts.into_iter().find(|([_, known, _], _)| *known == tag)?;
        Some((Message::parse_with(Bytes::copy_from_slice(ack), &ParserConfig::WIDEST).ok()?, over))
    }
}

wire!(struct Ack { tag_end, bytes, over });
wire!(struct Acked { first, uri_len, offered, credentials, more });
