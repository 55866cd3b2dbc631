//! Secure URIs: what a user agent may ask, and answer, of peers whose URIs are `sips:` (RFC 5630), and what it makes of its own.

use alloc::string::String;
use alloc::sync::Arc;
use sip_message::headers::compose::Warning;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{Endpoint, Path, ServerTxId};

use super::way::{Way, is_sips, wants_sips};
use super::{UserAgentCore, status};
use crate::config::Sips;
use crate::origin::Origin;

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=exception
//= reason=no URI is given a transport parameter here; those of the host are written as they are
//# To emphasize what is already defined in [RFC3261], UAs MUST NOT use
//# the "transport=tls" parameter.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=exception
//= reason=no URI is given a transport parameter here; those of the host are written as they are
//# To emphasize what is already defined in [RFC3261], UACs MUST NOT use
//# the "transport=tls" parameter.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=exception
//= reason=no URI is given a transport parameter here; those of the host are written as they are
//# To emphasize what is already defined in [RFC3261], UASs MUST NOT use
//# the "transport=tls" parameter.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//# When presented with a SIPS URI, a UAC MUST NOT change it to a SIP
//# URI.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//# When presented with a SIPS URI, a UAS MUST NOT change it to a SIP
//# URI.

/// Where the URI begins in the value of a Contact, From, To or the like; and whether it is one of SIP, and secure.
fn scheme_of(value: &str) -> Option<(usize, bool)> {
    let (mut quoted, mut escaped) = (false, false);
    let open = value.bytes().position(|b| {
        let skip = core::mem::take(&mut escaped);
        escaped = quoted && !skip && b == b'\\';
        quoted ^= b == b'"' && !skip;
        b == b'<' && !quoted
    });
    let at = open.map_or_else(|| value.len() - value.trim_start().len(), |open| open + 1);
    let uri = value.as_bytes().get(at..)?;
    if is_sips(uri) {
        return Some((at, true));
    }
    uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sip:")).then_some((at, false))
}

/// Whether the URI of a Contact, From or Route value is a SIPS URI.
pub(crate) fn is_sips_value(value: &str) -> bool {
    scheme_of(value).is_some_and(|(_, secure)| secure)
}

/// The value with its URI turned to `sips:` or to `sip:`; `None` if that is what it is, or it is neither.
pub(crate) fn turned(value: &str, secure: bool) -> Option<String> {
    let (at, _) = scheme_of(value).filter(|(_, is)| *is != secure)?;
    let (head, uri) = value.split_at(at);
    let (_, rest) = uri.split_once(':')?;
    Some(alloc::format!("{head}{}:{rest}", if secure { "sips" } else { "sip" }))
}

/// A Contact value as those who are to use it need it.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//# If the "secure" flag is true, that URI MUST be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//# All SIP elements that support TLS MUST also support the SIPS URI scheme.
pub(crate) fn schemed(contact: &Arc<str>, secure: bool) -> Arc<str> {
    turned(contact, secure).map_or_else(|| contact.clone(), Into::into)
}

/// A route set of SIPS URIs alone.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//# Specifically, if the route set included any SIP
//# URI, the UAC MUST change the SIP URIs to SIPS URIs simply by changing
//# the scheme from "sip" to "sips" before sending the request.
pub(crate) fn secure_routes(routes: &str) -> Option<String> {
    let mut out = String::with_capacity(routes.len() + 8);
    let (mut rest, mut changed) = (routes, false);
    // Each value is one in angle brackets; what is behind has no bracket but in quotes, which no parameter of a route needs.
    while let Some((head, tail)) = rest.split_once('<') {
        out.push_str(head);
        out.push('<');
        rest = tail;
        if tail.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:")) {
            out.push_str("sips:");
            rest = tail.get(4..).unwrap_or_default();
            changed = true;
        }
    }
    out.push_str(rest);
    changed.then_some(out)
}

impl UserAgentCore {
    /// The way of a request to a URI, with the Contact that such a request has.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
    //# If the request has a Request-URI or a topmost Route header field value
    //# with a SIPS URI, the Contact header field MUST contain a SIPS URI.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
    //# If the Request-URI or top Route header field value contains a SIPS URI,
    //# the Contact header field MUST contain a SIPS URI as well.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-3.3
    //# If
    //# a@A sends a request to b@B using a SIPS Request-URI, then, according
    //# to [RFC3261], Section 8.1.1.8, "the Contact header field MUST contain
    //# a SIPS URI as well".
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
    //# As mandated by [RFC3261], Section 8.1.1.8, in a request, "if the
    //# Request-URI or top Route header field value contains a SIPS URI, the
    //# Contact header field MUST contain a SIPS URI as well".
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.2
    //# If the top Route header field
    //# does not contain a SIPS URI, the UAC MUST use a SIP URI in the
    //# Contact header field, even if the request is sent over a secure
    //# transport (e.g., the first hop could be re-using a TLS connection to
    //# the proxy as would be the case with [RFC5626]).
    pub(crate) fn way_to(&self, origin: &Origin, target: &str) -> Way {
        let mut way = self.way(origin);
        let secure = is_sips(target.as_bytes()) || is_sips_value(&way.routes);
        way.contact = schemed(&way.contact, secure);
        way
    }

    /// The Contact to answer a request with that makes a dialog.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
    //# If the request that initiated the dialog contained a SIPS URI in
    //# the Request-URI or in the top Record-Route header field value, if
    //# there was any, or the Contact header field if there was no Record-
    //# Route header field, the Contact header field in the response MUST
    //# be a SIPS URI.
    pub(crate) fn contact_to(&self, path: Path, request: &Message) -> Arc<str> {
        schemed(&self.contact_for(path, request), wants_sips(request))
    }

    /// Refuses a request outside of any dialog whose scheme is not ours. Whether it did.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
    //# If a UAS does not wish to be reached with a SIPS URI but only with a
    //# SIP URI, the UAS MUST respond with a 480 (Temporarily Unavailable)
    //# response.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
    //# If a UAS does not wish to be contacted with a SIP URI but instead by
    //# a SIPS URI, it MUST reject a request to a SIP Request-URI with a 480
    //# (Temporarily Unavailable) response.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
    //# If a UAS needs to reject a request because the URIs are used
    //# inconsistently (e.g., the Request-URI is a SIPS URI, but the Contact
    //# header field is a SIP URI), the UAS MUST reject the request with a
    //# 400 (Bad Request) response.
    pub(crate) fn refused_scheme(&mut self, ep: &mut Endpoint, tx: ServerTxId, request: &Message) -> bool {
        let policy = self.config.sips;
        if policy == Sips::Either {
            return false;
        }
        let asked = request.request_uri_bytes().unwrap_or_default();
        let secure = is_sips(asked);
        // A number or a service is reached by neither scheme.
        let plain = asked.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sip:"));
        let (code, text) = match (policy, secure) {
            (Sips::Never, true) => (380, "SIPS Not Allowed"),
            (Sips::Only, false) if plain => (381, "SIPS Required"),
            (Sips::Only, true) => {
                let plain = request.contacts().next().and_then(Result::ok).is_some_and(|contact| {
                    let uri = contact.address().map(|address| address.uri_bytes());
                    uri.is_some_and(|uri| !is_sips(uri))
                });
                let makes = matches!(request.method(), Some(Method::Invite | Method::Subscribe | Method::Refer));
                if plain && makes {
                    self.reply(ep, tx, request, StatusCode::BAD_REQUEST);
                }
                return plain && makes;
            }
            _ => return false,
        };
        let mut builder = self.response(ep, tx, request, status(480));
        if let Ok(warning) = Warning::new(code, "ua", text) {
            builder = builder.header(Header::Warning, warning);
        }
        self.finish(ep, tx, builder);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_turned_and_nothing_else() {
        for (plain, secure) in [
            ("<sip:a@b>;q=1", "<sips:a@b>;q=1"),
            ("\"sip:\\\"<\" <sip:a@b;x=sip:>", "\"sip:\\\"<\" <sips:a@b;x=sip:>"),
            ("sip:a@b", "sips:a@b"),
        ] {
            assert_eq!(turned(plain, true).as_deref(), Some(secure));
            assert_eq!(turned(secure, false).as_deref(), Some(plain));
            assert_eq!((turned(plain, false), turned(secure, true)), (None, None));
        }
        for other in ["<tel:1>", "*", "", "<", "mailto:sip:x@y"] {
            assert_eq!((turned(other, true), turned(other, false)), (None, None));
        }
        assert_eq!(
            secure_routes("<sip:a;lr>, <sips:b;lr>,<SIP:c>").as_deref(),
            Some("<sips:a;lr>, <sips:b;lr>,<sips:c>")
        );
        assert_eq!(secure_routes("<sips:b;lr>"), None);
    }
}
