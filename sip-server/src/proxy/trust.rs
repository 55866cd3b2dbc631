//! Asserted identities (RFC 3325): whom the proxy believes, what it asserts itself, and to whom it shows that.
//!
//! Owns nothing but the rules. Who has proven to be whom is known before ([`DigestAuth`](crate::DigestAuth)).

use super::Proxy;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use sip_message::{Header, Host, Message, Method};
use sip_transaction::Path;

/// The trust domain a proxy is in (RFC 3325 section 2.3): with whom it shares who users are.
///
/// What others outside of it assert is removed. What is asserted within is removed toward others if the user wants that:
/// `Privacy: id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustDomain {
    /// The other nodes: addresses, and names as next hops are called by. User agents are seldom among them.
    ///
    /// What they assert is believed over connections (TCP, TLS, WS, WSS), which nobody can open in the name of another's address.
    pub peers: Vec<String>,
    /// Whether to believe what comes from their addresses over UDP, too. Anybody can send a datagram in their name: only for a network that
    /// lets none of these in. Off.
    pub datagrams: bool,
}

impl TrustDomain {
    /// The trust domain of this proxy and these nodes.
    pub fn of<T: Into<String>>(peers: impl IntoIterator<Item = T>) -> TrustDomain {
        TrustDomain { peers: peers.into_iter().map(Into::into).collect(), datagrams: false }
    }

    /// Whether what came over this path is believed: it is a peer's, and surely so.
    fn believes(&self, from: &Path) -> bool {
        (self.datagrams || from.transport.is_connected()) && self.has_address(from.remote.ip())
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        self.peers.iter().any(|peer| peer.parse() == Ok(ip))
    }

    fn has_name(&self, host: &str) -> bool {
        self.peers.iter().any(|peer| peer.eq_ignore_ascii_case(host))
    }
}

//= https://www.rfc-editor.org/rfc/rfc3325#section-7
//# This
//# decision is a policy matter of the Trust Domain and MUST be specified
//# in Spec(T).
// It stays, as the section recommends. Whoever says something of privacy that cannot be read does not want to be shown.
fn wants_privacy(message: &Message) -> bool {
    match message.privacy() {
        Ok(None) => false,
        Ok(Some(privacy)) => message.fields(Header::Privacy).nth(1).is_some() || privacy.has("id") != Ok(false),
        Err(_) => true,
    }
}

fn conceal(message: &mut Message) {
    message.remove(Header::PAssertedIdentity);
}

impl Proxy {
    /// Makes the asserted identity of a request what it may be: that of one it can be believed from, or `asserted`, which has been proven.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-5
    //# If the proxy received the message from an element that it does
    //# not trust and there is a P-Asserted-Identity header present which
    //# contains a SIP or SIPS URI, the proxy MUST replace that SIP or SIPS
    //# URI with a single SIP or SIPS URI or remove this header field.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-5
    //# Similarly, if the proxy received the message from an element that it
    //# does not trust and there is a P-Asserted-Identity header present
    //# which contains a tel URI, the proxy MUST replace that tel URI with a
    //# single tel URI or remove the header field.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-5
    //# When a proxy receives a
    //# message from a node it does not trust and it wishes to add a P-
    //# Asserted-Identity header field, the proxy MUST authenticate the
    //# originator of the message, and use the identity which results from
    //# this authentication to insert a P-Asserted-Identity header field into
    //# the message.
    pub(super) fn take_identity(&self, message: &mut Message, path: &Path, asserted: Option<&str>) {
        let Some(domain) = &self.config.trust_domain else { return };
        //= https://www.rfc-editor.org/rfc/rfc3325#section-6
        //# The proxy MUST remove the user-provided P-Preferred-
        //# Identity header from any message it forwards.
        message.remove(Header::PPreferredIdentity);
        if !domain.believes(path) {
            conceal(message);
        }
        let may_have = !matches!(message.method(), Some(Method::Ack | Method::Cancel | Method::Register));
        if let Some(asserted) = asserted.filter(|_| may_have && !message.has(Header::PAssertedIdentity)) {
            // It has been a name-addr of a URI that was read before.
            let _ = message.push(Header::PAssertedIdentity, asserted);
        }
    }

    /// Takes the asserted identity off a request if the next hop may not see it.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-4
    //# A proxy that is about to
    //# forward a message to a proxy server or UA that it does not trust MUST
    //# remove all the P-Asserted-Identity header field values if the user
    //# requested that this information be kept private.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-5
    //# If it
    //# does not trust the element, then the proxy MUST examine the Privacy
    //# header field (if present) to determine if the user requested that
    //# asserted identity information be kept private.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-7
    //# If this token is present, proxies MUST remove all the P-Asserted-
    //# Identity header fields before forwarding messages to elements that
    //# are not trusted.  If the Privacy header field value is set to "none"
    //# then the proxy MUST NOT remove the P-Asserted-Identity header fields.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-7
    //# If multiple P-Asserted-Identity header field values are present in a
    //# message, and privacy of the P-Asserted-Identity header field is
    //# requested, then all instances of the header field values MUST be
    //# removed before forwarding the request to an entity that is not
    //# trusted.
    pub(super) fn guard_request(&self, message: &mut Message, out: Option<&Path>) {
        let Some(domain) = &self.config.trust_domain else { return };
        if !message.has(Header::PAssertedIdentity) || !wants_privacy(message) {
            return;
        }
        let trusted = match (out, super::forward::next_hop(message)) {
            (Some(out), _) => domain.has_address(out.remote.ip()),
            (None, Some(uri)) => uri.as_sip().is_some_and(|uri| domain.has_name(uri.host_str())),
            (None, None) => false,
        };
        if !trusted {
            conceal(message);
        }
    }

    /// The same for a response that came over `from` and goes to `to`.
    pub(super) fn guard_response(&self, message: &mut Message, from: &Path, to: &Path) {
        self.guard_answer(message, from, |domain, _| domain.has_address(to.remote.ip()));
    }

    /// The same for a response that goes where its Via, the topmost by now, says: that of a proxy without transactions.
    pub(super) fn guard_stray_response(&self, message: &mut Message, from: &Path) {
        self.guard_answer(message, from, |domain, message| {
            let Ok(via) = message.top_via() else { return false };
            // Where it came from is what counts, if that is noted.
            match via.received() {
                Ok(Some(ip)) => domain.has_address(ip),
                Ok(None) => via.sent_by().is_ok_and(|(host, _)| match host {
                    Host::Domain(name) => domain.has_name(name),
                    address => address.ip().is_some_and(|ip| domain.has_address(ip)),
                }),
                Err(_) => false,
            }
        });
    }

    fn guard_answer(&self, message: &mut Message, from: &Path, to_peer: impl Fn(&TrustDomain, &Message) -> bool) {
        let Some(domain) = &self.config.trust_domain else { return };
        message.remove(Header::PPreferredIdentity);
        if !message.has(Header::PAssertedIdentity) {
            return;
        }
        let shown = !wants_privacy(message) || to_peer(domain, message);
        if !(domain.believes(from) && shown) {
            conceal(message);
        }
    }
}
