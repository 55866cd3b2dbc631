//! Which names a certificate must show for a SIP domain: RFC 5922 section 7.
//!
//! Pure comparisons for the host, which owns TLS: it takes the names out of the certificate and asks here whether they will do.

/// A name from the subjectAltName of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateName<'a> {
    /// A uniformResourceIdentifier.
    Uri(&'a str),
    /// A dNSName.
    Dns(&'a str),
}

/// Whether a certificate with these names identifies the SIP `domain`: the `server_name` of
/// [`Event::Connect`](crate::Event::Connect).
///
/// `sip:` URIs without user part count; only where there is none do DNS names. Nothing is matched by wildcard or by suffix.
///
/// ```
/// use sip_transaction::names::{CertificateName::{Dns, Uri}, identifies};
/// assert!(identifies("example.com", &[Uri("sip:example.com")]));
/// assert!(!identifies("example.com", &[Dns("*.com"), Dns("sip.example.com")]));
/// ```
pub fn identifies(domain: &str, names: &[CertificateName<'_>]) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let mut uris = names.iter().filter_map(|name| match name {
        CertificateName::Uri(uri) => sip_domain(uri),
        CertificateName::Dns(_) => None,
    });
    if uris.clone().next().is_some() {
        //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
        //# An implementation MUST accept a domain name system
        //# identifier as a SIP domain identity if and only if no other
        //# identity is found that matches the "sip" URI type described
        //# above.
        return uris.any(|uri| same(uri, domain));
    }
    names.iter().any(|name| matches!(name, CertificateName::Dns(dns) if same(dns, domain)))
}

/// The domain of a `sip:` URI that identifies one: without user part.
fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //# If the scheme of the URI is not "sip", then the
    //# implementation MUST NOT accept the value as a SIP domain
    //# identity.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //# If the scheme of the URI value is "sip", and the URI value
    //# that contains a userpart (there is an '@'), the
    //# implementation MUST NOT accept the value as a SIP domain
    //# identity
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //# If the scheme of the URI value is "sip", and there is no
    //# userinfo component in the URI (there is no '@'), then the
    //# implementation MUST accept the hostpart as a SIP domain
    //# identity.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //# Implementations MUST compare only the DNS name component of each
    //# SIP domain identifier; an implementation MUST NOT use any scheme or
    //# parameters in the comparison.
    let host = rest.split([';', '?']).next().unwrap_or_default();
    // A port behind the name; the colons of an IPv6 address stand in brackets.
    let host = match host.rfind(']') {
        Some(end) => host.get(..=end).unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    Some(host)
}

/// Names in other scripts come as A-labels on both sides: that is how they stand in certificates and in URIs.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST compare the values as DNS names, which means
//# that the comparison is case insensitive as specified by RFC 4343
//# [3].
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST match the values in their entirety:
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST NOT match suffixes.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST NOT match any form of wildcard, such as a
//# leading "." or "*." with any other DNS label or sequence of
//# labels.
fn same(name: &str, domain: &str) -> bool {
    !name.is_empty() && name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(domain)
}

#[cfg(test)]
mod tests {
    use super::CertificateName::{Dns, Uri};
    use super::identifies;

    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //= type=test
    //# If the scheme of the URI value is "sip", and there is no
    //# userinfo component in the URI (there is no '@'), then the
    //# implementation MUST accept the hostpart as a SIP domain
    //# identity.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST compare only the DNS name component of each
    //# SIP domain identifier; an implementation MUST NOT use any scheme or
    //# parameters in the comparison.
    #[test]
    fn the_host_of_a_uri_counts_and_nothing_else_of_it() {
        for uri in [
            "sip:example.com",
            "SIP:Example.COM",
            "sip:example.com.",
            "sip:example.com:5061",
            "sip:example.com;transport=tls",
            "sip:example.com:5061;maddr=192.0.2.1?subject=x",
        ] {
            assert!(identifies("example.com", &[Uri(uri)]), "{uri}");
        }
        assert!(identifies("[2001:db8::1]", &[Uri("sip:[2001:db8::1]:5061")]));
    }

    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //= type=test
    //# If the scheme of the URI is not "sip", then the
    //# implementation MUST NOT accept the value as a SIP domain
    //# identity.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //= type=test
    //# If the scheme of the URI value is "sip", and the URI value
    //# that contains a userpart (there is an '@'), the
    //# implementation MUST NOT accept the value as a SIP domain
    //# identity
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST NOT match suffixes.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST NOT match any form of wildcard, such as a
    //# leading "." or "*." with any other DNS label or sequence of
    //# labels.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST match the values in their entirety:
    #[test]
    fn what_is_no_identity_is_none() {
        for name in [
            Uri("sips:example.com"),
            Uri("https://example.com"),
            Uri("sip:alice@example.com"),
            Uri("sip:"),
            Uri("example.com"),
            Uri("sip:*.com"),
            Uri("sip:.com"),
            Dns("sip.example.com"),
            Dns("*.example.com"),
            Dns("*.com"),
            Dns(".com"),
            Dns("com"),
            Dns("ample.com"),
            Dns(""),
        ] {
            assert!(!identifies("example.com", &[name]), "{name:?}");
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //= type=test
    //# An implementation MUST accept a domain name system
    //# identifier as a SIP domain identity if and only if no other
    //# identity is found that matches the "sip" URI type described
    //# above.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST compare the values as DNS names, which means
    //# that the comparison is case insensitive as specified by RFC 4343
    //# [3].
    #[test]
    fn dns_names_count_where_no_uri_does() {
        assert!(identifies("example.com", &[Dns("EXAMPLE.com")]));
        assert!(identifies("example.com.", &[Uri("sip:alice@example.com"), Dns("example.com")]));
        assert!(!identifies("example.com", &[Uri("sip:example.org"), Dns("example.com")]));
        assert!(!identifies("example.com", &[]));
    }
}
