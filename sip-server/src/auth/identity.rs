//! Who may act for which address-of-record, and whom a request is asserted to be from.

use super::DigestAuth;
use crate::location::aor_key;
use alloc::string::String;
use sip_message::uri::SipUri;
use sip_message::{Message, Method, NameAddr, Uri};
use sip_transaction::ServerTxId;

/// Somebody known acts for somebody else.
pub(super) struct NotTheirs;

impl DigestAuth {
    /// The one who sent the request is known: may they?
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# If
    //# the authenticated user is not authorized to modify bindings,
    //# the registrar MUST return a 403 (Forbidden) and skip the
    //# remaining steps.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# The registrar SHOULD determine if the authenticated user is authorized to modify
    //# registrations for this address-of-record.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22
    //# Once the originator has been identified, the recipient of
    //# the request SHOULD ascertain whether or not this user is authorized
    //# to make the request in question.
    pub(super) fn may_send<'m>(
        &self,
        message: &'m Message,
        user: &str,
        realm: &str,
    ) -> Result<Option<SipUri<'m>>, NotTheirs> {
        let address = match message.method() {
            Some(Method::Register) => message.to(),
            _ => message.from(),
        };
        let uri = address.map_err(|_| NotTheirs)?.uri().map_err(|_| NotTheirs)?;
        let sip = uri.as_sip().copied();
        let allowed =
            sip.is_some_and(|uri| self.permits(user, realm, &uri)) || self.config.anonymous && is_anonymous(&uri);
        if allowed { Ok(sip) } else { Err(NotTheirs) }
    }

    /// The P-Preferred-Identity of a request that is of one of the domains, and which of them.
    pub(super) fn preferred<'a>(&self, message: &'a Message) -> Option<(usize, NameAddr<'a>)> {
        let domains = &self.config.domains;
        message.p_preferred_identity().flatten().find_map(|address| {
            let uri = address.uri().ok()?;
            let sip = uri.as_sip()?;
            Some((domains.iter().position(|domain| sip.has_host(domain))?, address))
        })
    }

    /// The identity to assert of the sender of a request who has proven to be somebody (RFC 3325 section 5), as a name-addr: what it prefers
    /// among what it may act for, else what From says, else its user name in its realm. It is the address-of-record alone, without parameters
    /// and headers. `None` if nothing has been proven.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-6
    //# If such a
    //# hint does not correspond to any valid identity known to the proxy for
    //# that user, the proxy can add a P-Asserted-Identity header of its own
    //# construction
    pub fn asserted_identity(&self, tx: ServerTxId, message: &Message) -> Option<String> {
        let identity = self.identities.get(&tx)?;
        let preferred = self.preferred(message).map(|(_, address)| address);
        let claimed = preferred.into_iter().chain(message.from().ok());
        let proven = claimed.filter_map(|address| address.uri().ok()?.as_sip().copied());
        let mut own = proven.filter(|uri| self.permits(&identity.user, &identity.realm, uri));
        // Who it is has been proven. What the client's URI says beyond that is its own word, which nobody vouches for.
        let proven = own.find(|uri| uri.password().is_none()).map(|uri| uri.address_of_record());
        Some(match proven {
            Some(address) => alloc::format!("<{address}>"),
            None if identity.user.contains('@') => alloc::format!("<sip:{}>", identity.user),
            None => alloc::format!("<sip:{}@{}>", identity.user, identity.realm),
        })
    }

    /// Whether somebody may act for an address-of-record: their own, in each domain of their realm, or one granted.
    fn permits(&self, name: &str, realm: &str, uri: &SipUri<'_>) -> bool {
        let in_realm = match &self.config.realm {
            Some(_) => self.config.domains.iter().any(|domain| uri.has_host(domain)),
            None => uri.has_host(realm),
        };
        let own = uri.user().is_some_and(|user| match name.split_once('@') {
            Some((local, domain)) => user.eq_text(local) && uri.has_host(domain),
            None => user.eq_text(name),
        });
        let granted = || (aor_key(uri), String::from(realm), String::from(name));
        in_realm && own || self.grants.contains(&granted())
    }
}

/// Whether a From says no more than that somebody wants to be nobody.
pub(super) fn is_anonymous(uri: &Uri<'_>) -> bool {
    uri.as_sip().is_some_and(|uri| uri.has_host("anonymous.invalid"))
}
