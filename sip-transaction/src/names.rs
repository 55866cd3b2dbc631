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

/// The SIP domains that a certificate with these names identifies: the hosts of `sip:` URIs without user part, and only where there is none the
/// DNS names. For connections that were accepted ([`Endpoint::set_identities`](crate::Endpoint::set_identities)).
///
/// ```
/// use sip_transaction::names::{CertificateName::{Dns, Uri}, domains};
/// let names = [Uri("sip:alice@example.com"), Uri("sip:example.com"), Dns("www.example.com")];
/// assert!(domains(&names).eq(["example.com"]));
/// assert!(domains(&[Dns("example.com")]).eq(["example.com"]));
/// ```
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.4
//# When authenticating the client, the server MUST obtain the set of SIP
//# domain identities from the client certificate as described in
//# Section 7.1.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
//# The client MUST
//# determine the SIP domain identities in the server certificate using
//# the procedure in Section 7.1.
pub fn domains<'n>(names: &'n [CertificateName<'n>]) -> impl Iterator<Item = &'n str> + Clone {
    let uri = |name: &CertificateName<'n>| match *name {
        CertificateName::Uri(uri) => sip_domain(uri).filter(|domain| !domain.is_empty()),
        CertificateName::Dns(_) => None,
    };
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //# An implementation MUST accept a domain name system
    //# identifier as a SIP domain identity if and only if no other
    //# identity is found that matches the "sip" URI type described
    //# above.
    let by_uri = names.iter().any(|name| uri(name).is_some());
    names.iter().filter_map(move |name| match *name {
        CertificateName::Dns(dns) if !by_uri => Some(dns),
        _ => uri(name),
    })
}

/// Whether a certificate with these names identifies the SIP `domain`: the `server_name` of
/// [`Event::Connect`](crate::Event::Connect). If not, the connection is to be closed at once.
///
/// It must be one of the [`domains`] of the certificate. Nothing is matched by wildcard or by suffix.
///
/// ```
/// use sip_transaction::names::{CertificateName::{Dns, Uri}, identifies};
/// assert!(identifies("example.com", &[Uri("sip:example.com")]));
/// assert!(!identifies("example.com", &[Dns("*.com"), Dns("sip.example.com")]));
/// ```
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
//# Then, the client MUST compare the
//# original domain portion of the SIP AUS used as input to the RFC 3263
//# [8] server location procedures to the SIP domain identities obtained
//# from the certificate.
pub fn identifies(domain: &str, names: &[CertificateName<'_>]) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    domains(names).any(|own| same(own, domain))
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
    use super::{domains, identifies};

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

    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.4
    //= type=test
    //# When authenticating the client, the server MUST obtain the set of SIP
    //# domain identities from the client certificate as described in
    //# Section 7.1.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
    //= type=test
    //# The client MUST
    //# determine the SIP domain identities in the server certificate using
    //# the procedure in Section 7.1.
    #[test]
    fn the_domains_of_a_certificate_are_its_uris_or_else_its_dns_names() {
        let uris = [Uri("sip:a.example"), Dns("b.example"), Uri("sip:bob@c.example"), Uri("sip:d.example:5061")];
        assert!(domains(&uris).eq(["a.example", "d.example"]));
        assert!(domains(&[Uri("sip:bob@c.example"), Dns("b.example"), Uri("sip:")]).eq(["b.example"]));
        assert!(domains(&[]).next().is_none());
    }
}
