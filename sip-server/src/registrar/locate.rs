//! The location service as a proxy and a redirect server ask it: which contacts a URI stands for by now.

use super::Registrar;
use crate::location::{Binding, Gruus, is_unresolvable};
use crate::target::Target;
use alloc::string::String;
use alloc::vec::Vec;
use sip_message::uri::SipUri;
use sip_transaction::Instant;
use smallvec::SmallVec;

/// What [`Registrar::locate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// Contacts, best first. Of one instance without `reg-id`s the one last refreshed comes first.
    Targets(Vec<Target>),
    /// There is such a URI, but nothing to reach it by now: 480.
    Unavailable,
    /// The URI is of a `sips:` resource that is registered by `sip:` contacts only: 480 with Warning 380 (RFC 5630 section 5.3).
    NotSecure,
    /// There is no such URI: 404.
    NotFound,
}

impl Registrar {
    /// The contacts a request for `uri` can be sent to, from the table of this registrar: [`Located::NotFound`] without
    /// one.
    ///
    /// `uri` may be an address-of-record, a GRUU, or the contact of a user agent that no DNS would find
    /// ([`LocationTable::bindings_at`](crate::LocationTable::bindings_at)).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.1
    //# The only requirement is that a registrar for some domain MUST be able to
    //# read and write data to the location service, and a proxy or a redirect
    //# server for that domain MUST be capable of reading that same data.
    pub fn locate(&self, uri: &SipUri<'_>, now: Instant) -> Located {
        let Some(table) = self.table() else { return Located::NotFound };
        if is_unresolvable(uri) && !self.is_responsible(uri) {
            return self.locate_among(uri, table.bindings_at(uri, now));
        }
        let aor = self.record_of(uri);
        match aor {
            Some(aor) => self.locate_among(uri, table.bindings(&aor, now)),
            None => Located::NotFound,
        }
    }

    /// The key of the record in which the bindings of `uri`, an address-of-record or a GRUU, are; `None` if it is
    /// a GRUU that is not of this registrar. For external stores.
    pub fn record_of(&self, uri: &SipUri<'_>) -> Option<String> {
        match self.gruus.read(uri) {
            None => Some(crate::location::aor_key(uri)),
            Some(target) => target.map(|target| target.aor),
        }
    }

    /// The targets for `uri` among the bindings of its record.
    pub fn locate_among<'b>(&self, uri: &SipUri<'_>, bindings: impl IntoIterator<Item = &'b Binding>) -> Located {
        let gruu = match self.gruus.read(uri) {
            //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
            //# If it contains the "gr" URI
            //# parameter but is not equivalent, based on URI comparison, to a
            //# currently valid GRUU within the domain, it SHOULD be rejected with a
            //# 404 (Not Found) response; this is the same behavior a proxy would
            //# exhibit for any other URI within the domain that is not valid.
            Some(None) => return Located::NotFound,
            Some(gruu) => gruu,
            None => None,
        };
        let mut found: SmallVec<[&Binding; 4]> = bindings.into_iter().collect();
        if let Some(gruu) = &gruu {
            self.gruus.retain_bound(gruu, &mut found);
        }
        if found.is_empty() {
            return match &gruu {
                Some(gruu) if !Gruus::is_public(gruu) => Located::NotFound,
                //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
                //# If there are no registered contacts bound to the GRUU, the server
                //# MUST return a 480 (Temporarily Unavailable) response.
                _ => Located::Unavailable,
            };
        }
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
        //# Proxies MUST NOT use the last-hop exception of [RFC3261] when
        //# forwarding or retargeting a request to the last hop.
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
        //# If
        //# the target UAS had registered previously using a SIP Contact header
        //# field instead of a SIPS Contact header field, the proxy MUST NOT
        //# forward the request to the URI indicated in the Contact header field.
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
        //# Specifically,
        //# when a proxy receives a request with a SIPS Request-URI, the proxy
        //# MUST only forward or retarget the request to a SIPS Request-URI.
        if uri.is_sips() {
            found.retain(|binding| binding.is_sips());
            if found.is_empty() {
                return Located::NotSecure;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
        //# The proxy MUST select the most recently refreshed
        //# contact.
        found.sort_by_key(|binding| core::cmp::Reverse((binding.q(), binding.registered())));
        // Who sleeps is woken by a REGISTER for the record the binding is of.
        let is_record = !is_unresolvable(uri) || self.is_responsible(uri);
        let sleeps = is_record && found.iter().any(|binding| binding.wakes());
        let aor = if sleeps { self.record_of(uri) } else { None };
        let target = |binding: &Binding| {
            let mut target = Target::of_binding(binding);
            if let Some(aor) = aor.as_ref().filter(|_| target.asleep) {
                target.aor.clone_from(aor);
            }
            target
        };
        Located::Targets(found.into_iter().map(target).collect())
    }
}
