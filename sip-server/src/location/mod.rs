//! The location service: which contacts an address-of-record is bound to.
//!
//! Owns what a binding is, how a REGISTER changes the bindings of an address-of-record, the in-memory table, GRUUs, and
//! what any store must do. Knows nothing of messages on the wire beyond the values in them, and sends nothing.

mod binding;
mod conformance;
mod gruu;
mod store;
mod table;
mod update;

pub use binding::{Binding, BindingParts};
pub use conformance::{Nonconformance, store_conformance};
pub(crate) use gruu::{Gruus, latest};
pub use store::{Record, Store, StoreError};
pub(crate) use table::RegisterRefused;
pub use table::{LocationTable, is_unresolvable};
pub(crate) use update::{Asked, ContactAsked, Expiry, Refusal, Registration, Update};

use alloc::borrow::Cow;
use alloc::string::String;
use sip_message::uri::SipUri;

/// The key of an address-of-record in a location service: its canonical form (RFC 3261 section 10.3 step 5), always
/// with the scheme `sip`.
///
/// A user who has registered is the same user under `sip:` and `sips:`; which contacts may be used for a `sips:` URI is
/// decided when they are looked up (RFC 5630 section 5.3).
///
/// ```
/// use sip_message::Uri;
/// let uri = Uri::parse(b"sips:%61lice@Atlanta.example.com;user=phone")?;
/// assert_eq!(uri.as_sip().map(|uri| sip_server::aor_key(uri)).as_deref(), Some("sip:alice@atlanta.example.com"));
/// # Ok::<(), sip_message::uri::UriError>(())
/// ```
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//# The
//# registrar MUST consider AORs that are identical except for one having
//# the SIP scheme and the other having the SIPS scheme to be equivalent.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//# When accessing the
//# location service constructed by a registrar, the Request-URI
//# MUST first be canonicalized as described in Section 10.3 before
//# being used as an index.
pub fn aor_key(uri: &SipUri<'_>) -> String {
    let mut key = uri.address_of_record();
    if uri.is_sips() {
        key.replace_range(..5, "sip:");
    }
    key
}

/// As [`aor_key`], without a copy of what is its own key already.
pub(crate) fn aor_key_of<'a>(uri: &SipUri<'a>) -> Cow<'a, str> {
    match uri.as_address_of_record().filter(|_| !uri.is_sips()) {
        Some(key) => Cow::Borrowed(key),
        None => Cow::Owned(aor_key(uri)),
    }
}

/// Which of the domains `uri` is of if it is nothing but that domain, as the Request-URI of a REGISTER mostly is: found without taking the
/// URI apart.
pub(crate) fn plain_domain(domains: &[String], uri: &[u8]) -> Option<usize> {
    let host = uri.strip_prefix(b"sip:")?;
    domains.iter().position(|domain| domain.as_bytes() == host)
}

#[cfg(test)]
mod tests;
