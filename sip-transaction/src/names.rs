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
    (scheme.eq_ignore_ascii_case("sip") && !rest.contains('@')).then_some(rest)
}

//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST compare the values as DNS names, which means
//# that the comparison is case insensitive as specified by RFC 4343
//# [3].
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
//# Implementations MUST match the values in their entirety:
fn same(name: &str, domain: &str) -> bool {
    !name.is_empty() && name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(domain)
}
