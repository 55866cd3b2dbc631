//! The credentials of a request, read: which of them are meant for this server, and what they claim.

use super::{Demand, DigestAuth};
use alloc::borrow::Cow;
use alloc::string::String;
use sip_message::digest::{DigestAlgorithm, DigestInput, NonceCount, Qop};
use sip_message::headers::{Credentials, DigestCredentials};
use sip_message::{Header, HeaderError, Message, ParamValue, Uri, ValueError, ValueFault};

/// The credentials of a request, read.
pub(super) struct Claim<'a> {
    pub(super) algorithm: DigestAlgorithm,
    pub(super) qop: Option<Qop>,
    pub(super) user: Cow<'a, str>,
    /// The user name was sent as a hash.
    pub(super) hashed: bool,
    pub(super) nonce: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) nc: &'a [u8],
    pub(super) count: Option<u32>,
    pub(super) cnonce: &'a [u8],
    pub(super) response: &'a [u8],
}

impl<'a> Claim<'a> {
    /// Whether the credentials were made for this Request-URI.
    pub(super) fn is_for(&self, message: &Message) -> bool {
        let Some(asked) = message.request_uri_bytes() else { return false };
        let equivalent = |(a, b): (Uri<'_>, Uri<'_>)| a.equivalent(&b);
        asked == self.uri || Uri::parse(asked).ok().zip(Uri::parse(self.uri).ok()).is_some_and(equivalent)
    }

    pub(super) fn input(&self, message: &'a Message) -> DigestInput<'a> {
        let method = message.method().map_or(&b""[..], |method| method.as_str().as_bytes());
        DigestInput {
            method,
            uri: self.uri,
            nonce: self.nonce,
            qop: self.qop,
            nc: self.nc,
            cnonce: self.cnonce,
            body: message.body(),
        }
    }
}

impl DigestAuth {
    /// The credentials for this server among those of the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
    //# When multiple proxies are used in a chain, a Proxy-Authorization
    //# header field value MUST NOT be consumed by any proxy whose realm does
    //# not match the "realm" parameter specified in that value.
    pub(super) fn claim<'a>(&self, message: &'a Message, demand: Demand) -> Result<Option<Claim<'a>>, HeaderError> {
        let realm = self.realm(demand.domain);
        let header = if demand.proxy { Header::ProxyAuthorization } else { Header::Authorization };
        // Most often the first field holds the credentials meant, alone; what does not is gone through value by value.
        if let Ok(Some(given)) =
            message.value::<Credentials<'a>>(header).map(|first| first.and_then(|c| c.digest().ok()?))
        {
            if given.realm.is_some_and(|given| *given.unquoted() == *realm.as_bytes()) {
                if let Ok(Some(claim)) = self.claim_of(&given) {
                    return Ok(Some(claim));
                }
            }
        }
        for credentials in message.values::<Credentials<'a>>(header) {
            let of_value = |error: ValueError| HeaderError { header, offset: error.offset, fault: Some(error.kind) };
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22
            //# Servers MUST NOT accept credentials
            //# using the "Basic" authorization scheme, and servers also MUST NOT
            //# challenge with "Basic".
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# Note, however, that SIP servers MUST NOT accept or request Basic authentication.
            //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
            //# SIP clients and servers MUST NOT accept or request Basic authentication.
            let Some(given) = credentials?.digest().map_err(of_value)? else { continue };
            if given.realm.is_none_or(|given| *given.unquoted() != *realm.as_bytes()) {
                continue;
            }
            if let Some(claim) = self.claim_of(&given).map_err(of_value)? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// `None` if these credentials cannot be right: an algorithm or protection that was not offered, parts that are missing.
    fn claim_of<'a>(&self, given: &DigestCredentials<'a>) -> Result<Option<Claim<'a>>, ValueError> {
        let algorithm = match given.algorithm {
            Some(token) => DigestAlgorithm::parse(token.as_str()),
            None => Some(DigestAlgorithm::Md5),
        };
        let Some(algorithm) = algorithm.filter(|algorithm| self.config.algorithms.contains(algorithm)) else {
            return Ok(None);
        };
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        //# A UAS MUST be able to properly handle a "qop" parameter received in an
        //# Authorization/Proxy-Authorization header field, and a UAC MUST be able to properly
        //# handle a "qop" parameter received in WWW-Authenticate and Proxy-Authenticate header
        //# fields.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
        //# Its value MUST be
        //# one of the alternatives the server indicated it supports in the
        //# WWW-Authenticate header field.
        let qop = match given.qop {
            Some(token) => match Qop::parse(token.as_str()) {
                Some(Qop::AuthInt) if !self.config.auth_int => return Ok(None),
                Some(qop) => Some(qop),
                None => return Ok(None),
            },
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# SIP servers supporting RFC 2617 MUST ensure they
            //# are backwards compatible with RFC 2069.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# These mechanisms MUST be used by a server to determine if the client supports the
            //# new mechanisms in RFC 2617 that were not specified in RFC 2069.
            None if self.config.without_qop => None,
            None => return Ok(None),
        };
        let text = |value: Option<ParamValue<'a>>| value.map(ParamValue::without_quotes);
        let (count, nc) = match (qop, given.nc) {
            (None, _) => (None, &b""[..]),
            (Some(_), None) => return Ok(None),
            (Some(_), Some(nc)) => {
                let count =
                    NonceCount::parse(nc.as_bytes()).ok_or(ValueError { kind: ValueFault::Number, offset: 0 })?;
                (Some(count), nc.as_bytes())
            }
        };
        let cnonce = text(given.cnonce);
        if cnonce.is_none() && (qop.is_some() || algorithm.is_session()) {
            return Ok(None);
        }
        // Of the name, the escapes go too: `unq()` is "without the surrounding quotes and with quoting slashes removed" (RFC 7616
        // section 3.3). What else is quoted comes from this server or is hashed as it is, and has none.
        let user = given.username_text();
        match (user, text(given.nonce), text(given.uri), given.response) {
            (Some(user), Some(nonce), Some(uri), Some(response)) if !user.is_empty() => {
                let (cnonce, response) = (cnonce.unwrap_or_default(), response.as_bytes());
                // RFC 7616 section 3.4.4.
                let hashed = given.userhash && self.config.userhash;
                let name = if hashed { self.hashed.get(user.to_ascii_lowercase().as_bytes()) } else { None };
                let user = name.map_or(user, |name| Cow::Owned(String::from(&**name)));
                Ok(Some(Claim { algorithm, qop, user, hashed, nonce, uri, nc, count, cnonce, response }))
            }
            _ => Ok(None),
        }
    }
}
