//! What is kept of an INVITE once its 2xx has its ACK: as little as what may still come asks for, since it is kept for 64*T1 and each call leaves
//! it behind. It never sends anything.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use sip_message::{Header, Message, RequestBuilder};
use smallvec::SmallVec;

use crate::agent::client::Over;
use crate::body;
use crate::codec::wire;

/// An INVITE that was accepted, and the ACKs for its 2xx responses.
#[derive(Debug)]
pub(crate) struct Acked {
    /// The Request-URI of the INVITE.
    uri: Box<[u8]>,
    /// What it has of Authorization and of Proxy-Authorization.
    credentials: Vec<(bool, Box<[u8]>)>,
    /// Whether it has an offer.
    offered: bool,
    acks: SmallVec<[Ack; 1]>,
}

/// An ACK, to be sent again when its 2xx is.
#[derive(Debug)]
pub(crate) struct Ack {
    /// The To tag, so long, and the ACK behind it: as bytes, for it is seldom wanted.
    tag_len: u16,
    bytes: Box<[u8]>,
    over: Over,
}

impl Ack {
    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(usize::from(self.tag_len)).unwrap_or_default()
    }
}

impl Acked {
    /// An INVITE without an ACK.
    pub(crate) fn of(request: &Message) -> Self {
        let mut credentials = Vec::new();
        for (proxy, header) in [(false, Header::Authorization), (true, Header::ProxyAuthorization)] {
            credentials.extend(request.fields(header).map(|value| (proxy, value.into())));
        }
        Acked {
            uri: request.request_uri_bytes().unwrap_or_default().into(),
            credentials,
            offered: body::carries_session(request),
            acks: SmallVec::new(),
        }
    }

    pub(crate) fn uri(&self) -> &[u8] {
        &self.uri
    }

    pub(crate) fn offered(&self) -> bool {
        self.offered
    }

    /// How many ACKs there are.
    pub(crate) fn len(&self) -> usize {
        self.acks.len()
    }

    /// Adds the credentials of the INVITE to an ACK.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# The ACK MUST contain the same credentials as the INVITE.
    pub(crate) fn authorize(&self, mut ack: RequestBuilder) -> RequestBuilder {
        for (proxy, value) in &self.credentials {
            let header = if *proxy { Header::ProxyAuthorization } else { Header::Authorization };
            ack = ack.header(header, core::str::from_utf8(value).unwrap_or_default());
        }
        ack
    }

    /// Keeps the ACK for the 2xx with this To tag.
    pub(crate) fn keep(&mut self, tag: &[u8], ack: &Message, over: Over) {
        let Ok(tag_len) = u16::try_from(tag.len()) else { return };
        let mut bytes = Vec::with_capacity(tag.len() + ack.encoded_len());
        bytes.extend_from_slice(tag);
        ack.write_to(&mut bytes);
        self.acks.push(Ack { tag_len, bytes: bytes.into(), over });
    }

    /// The ACK for the 2xx with this To tag, and how it goes.
    pub(crate) fn ack(&self, tag: &[u8]) -> Option<(Message, Over)> {
        let found = self.acks.iter().find(|ack| ack.parts().0 == tag)?;
        let ack = Message::parse(Bytes::copy_from_slice(found.parts().1)).ok()?;
        Some((ack, found.over))
    }
}

wire!(struct Ack { tag_len, bytes, over });
wire!(struct Acked { uri, credentials, offered, acks });
