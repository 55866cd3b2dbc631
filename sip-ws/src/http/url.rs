//! `ws` and `wss` URIs (RFC 6455 section 3).

use alloc::{borrow::ToOwned, string::String};

/// Why a text is not a WebSocket URI.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is not `ws` or `wss`.
    #[error("scheme is not ws or wss")]
    Scheme,
    /// No host, or a host with characters that no host has, or user information.
    #[error("bad host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("bad port")]
    Port,
    /// There is a fragment.
    #[error("fragment not allowed")]
    Fragment,
    /// A character that must be escaped, or a broken escape.
    #[error("unescaped character")]
    Character,
}

/// A WebSocket URI, split into what an opening handshake needs.
///
/// ```
/// use sip_ws::Url;
///
/// let url: Url = "wss://edge.example.com/sip?v=1".parse()?;
/// assert_eq!((url.is_secure(), url.host(), url.port()), (true, "edge.example.com", 443));
/// assert_eq!(url.resource(), "/sip?v=1");
/// # Ok::<(), sip_ws::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: Option<u16>,
    resource: String,
}

impl Url {
    /// True for `wss`: the transport must be TLS, with the host as server name.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host; an IPv6 address stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, by default 80 for `ws` and 443 for `wss`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.default_port())
    }

    fn default_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }

    /// The /resource name/: path and query.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The value of `Host`: the port only if it is not the default one.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The request MUST contain a |Host| header field whose value
    //# contains /host/ plus optionally ":" followed by /port/ (when not
    //# using the default port).
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port() == self.default_port() {
            self.host.clone()
        } else {
            alloc::format!("{}:{}", self.host, self.port())
        }
    }
}

/// As it is parsed, the port left out where it is the default one.
impl core::fmt::Display for Url {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.resource)
    }
}

impl core::str::FromStr for Url {
    type Err = UrlError;

    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //# The components of the WebSocket URI passed into this algorithm
    //# (/host/, /port/, /resource name/, and /secure/ flag) MUST be
    //# valid according to the specification of WebSocket URIs specified
    //# in Section 3.  If any of the components are invalid, the client
    //# MUST _Fail the WebSocket Connection_ and abort these steps.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UrlError::Scheme),
        };
        //= https://www.rfc-editor.org/rfc/rfc6455#section-3
        //# Fragment identifiers are meaningless in the context of WebSocket URIs
        //# and MUST NOT be used on these URIs.  As with any URI scheme, the
        //# character "#", when not indicating the start of a fragment, MUST be
        //# escaped as %23.
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at_checked(authority_end).ok_or(UrlError::Host)?;
        let (host, port) = split_authority(authority)?;
        let is_uri_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=%".contains(&byte);
        if !resource.bytes().all(is_uri_byte) || !has_valid_escapes(resource) {
            return Err(UrlError::Character);
        }
        // RFC 6455 section 3: "/" if the path is empty.
        let slash = if resource.starts_with('/') { "" } else { "/" };
        Ok(Self { secure, host: host.to_owned(), port, resource: alloc::format!("{slash}{resource}") })
    }
}

/// The host and the port of an authority without user information. The port may be left empty.
pub(crate) fn split_authority(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let host_end = match (authority.starts_with('['), authority.find(']')) {
        (true, Some(end)) => end + 1,
        (true, None) => return Err(UrlError::Host),
        (false, _) => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(host_end).ok_or(UrlError::Host)?;
    let host_is_valid = if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        address.parse::<core::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte))
            && has_valid_escapes(host)
    };
    if !host_is_valid {
        return Err(UrlError::Host);
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port != 0).ok_or(UrlError::Port)?)
        }
        _ => return Err(UrlError::Port),
    };
    Ok((host, port))
}

fn has_valid_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

#[cfg(test)]
mod tests {
    use super::{Url, UrlError};

    //= https://www.rfc-editor.org/rfc/rfc6455#section-3
    //= type=test
    //# Fragment identifiers are meaningless in the context of WebSocket URIs
    //# and MUST NOT be used on these URIs.  As with any URI scheme, the
    //# character "#", when not indicating the start of a fragment, MUST be
    //# escaped as %23.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    //= type=test
    //# The components of the WebSocket URI passed into this algorithm
    //# (/host/, /port/, /resource name/, and /secure/ flag) MUST be
    //# valid according to the specification of WebSocket URIs specified
    //# in Section 3.  If any of the components are invalid, the client
    //# MUST _Fail the WebSocket Connection_ and abort these steps.
    #[test]
    fn components_are_checked() {
        for (text, error) in [
            ("http://a/", UrlError::Scheme),
            ("a.example", UrlError::Scheme),
            ("ws:///x", UrlError::Host),
            ("ws://user@a/", UrlError::Host),
            ("ws://[::1/", UrlError::Host),
            ("ws://[::g]/", UrlError::Host),
            ("ws://a b/", UrlError::Host),
            ("ws://a:0/", UrlError::Port),
            ("ws://a:65536/", UrlError::Port),
            ("ws://a:+1/", UrlError::Port),
            ("ws://a/#b", UrlError::Fragment),
            ("ws://a/ b", UrlError::Character),
            ("ws://a/\r\nX: y", UrlError::Character),
            ("ws://a/%4", UrlError::Character),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }

    #[test]
    fn ports_and_paths_have_defaults() {
        for (text, authority, port, resource) in [
            ("ws://a", "a", 80, "/"),
            ("wss://a", "a", 443, "/"),
            ("WSS://a:443?x=%23", "a", 443, "/?x=%23"),
            ("ws://[::1]:8080/p/q", "[::1]:8080", 8080, "/p/q"),
            ("ws://a:/p", "a", 80, "/p"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.authority().as_str(), url.port(), url.resource()), (authority, port, resource), "{text}");
            assert_eq!(
                alloc::format!("{url}").parse(),
                Ok(Url { port: url.port.filter(|_| port != url.default_port()), ..url }),
                "{text}"
            );
        }
    }
}
