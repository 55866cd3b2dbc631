//! Values that are an address or a URI in angle brackets: History-Info, Diversion, Referred-By, Call-Info and its
//! kin, Identity.
//!
//! Those that are a [`NameAddr`] and nothing more (Path, Service-Route, Reply-To, Refer-To, P-Asserted-Identity,
//! P-Associated-URI and others) have no type of their own.

use super::check::Check;
use super::lex::{self, Read, fault, slice};
use super::tokens::Token;
use crate::error::{ValueError, ValueFault};
use crate::name_addr::NameAddr;
use crate::params::{ParamValue, Params};
use crate::scan;
use crate::uri::Uri;
use crate::value::FieldValue;

/// A URI in angle brackets, with parameters: one value of Alert-Info, Call-Info, Error-Info (RFC 3261 sections 20.4,
/// 20.9, 20.18), Geolocation, Identity-Info, Policy-Contact, or the value of Refer-Events-At.
#[derive(Clone, Copy, Debug)]
pub struct InfoUri<'a> {
    uri: &'a [u8],
    offset: usize,
    params: Params<'a>,
}

impl<'a> InfoUri<'a> {
    /// The URI as it was written, without angle brackets.
    pub fn uri_bytes(&self) -> &'a [u8] {
        self.uri
    }

    /// The URI.
    ///
    /// # Errors
    ///
    /// The URI is malformed for its scheme.
    pub fn uri(&self) -> Read<Uri<'a>> {
        Uri::parse(self.uri).map_err(|error| ValueError::new(ValueFault::Uri, self.offset + error.offset))
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `purpose` parameter of Call-Info: `icon`, `info`, `card` or another.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn purpose(&self) -> Read<Option<Token<'a>>> {
        Ok(self.params.token("purpose")?.map(Token::new))
    }
}

/// The inside of the angle brackets that open at `v[open]`, and where they end.
fn bracketed(v: &[u8], open: usize) -> Read<(&[u8], usize)> {
    if v.get(open) != Some(&b'<') {
        return Err(lex::unexpected(v, open));
    }
    match memchr::memchr(b'>', lex::from(v, open)) {
        Some(len) => Ok((slice(v, open + 1, open + len), open + len + 1)),
        None => fault(ValueFault::Unclosed, open),
    }
}

impl<'a> FieldValue<'a> for InfoUri<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (uri, end) = bracketed(v, 0)?;
        Ok(InfoUri { uri, offset: 1, params: lex::params(v, end)? })
    }
}

impl Check for InfoUri<'_> {
    fn check(&self) -> Read<()> {
        self.uri()?;
        self.params.check()
    }
}

macro_rules! addressed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(NameAddr<'a>);

        impl<'a> $name<'a> {
            /// The address with all its parameters.
            pub fn address(&self) -> NameAddr<'a> {
                self.0
            }

            /// The URI.
            ///
            /// # Errors
            ///
            /// The URI is malformed for its scheme.
            pub fn uri(&self) -> Read<Uri<'a>> {
                self.0.uri()
            }

            /// The parameters.
            pub fn params(&self) -> Params<'a> {
                self.0.params()
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            fn parse_value(v: &'a [u8]) -> Read<Self> {
                NameAddr::parse_value(v).map($name)
            }
        }
    };
}

addressed! {
    /// One value of History-Info (RFC 7044): a target the request was sent to, and its place in the history.
    HistoryEntry
}

impl<'a> HistoryEntry<'a> {
    /// The `index` parameter: the place in the history.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not numbers with dots between them.
    pub fn index(&self) -> Read<Option<HistoryIndex<'a>>> {
        self.place("index")
    }

    /// The `rc` parameter: the entry whose target was retargeted to this one for the same user.
    ///
    /// # Errors
    ///
    /// As [`index`](HistoryEntry::index).
    pub fn rc(&self) -> Read<Option<HistoryIndex<'a>>> {
        self.place("rc")
    }

    /// The `mp` parameter: the entry whose target was mapped to another user.
    ///
    /// # Errors
    ///
    /// As [`index`](HistoryEntry::index).
    pub fn mp(&self) -> Read<Option<HistoryIndex<'a>>> {
        self.place("mp")
    }

    /// The `np` parameter: the entry this one was taken from without a change.
    ///
    /// # Errors
    ///
    /// As [`index`](HistoryEntry::index).
    pub fn np(&self) -> Read<Option<HistoryIndex<'a>>> {
        self.place("np")
    }

    fn place(&self, name: &str) -> Read<Option<HistoryIndex<'a>>> {
        lex::param_as(&self.params(), name, ValueFault::Param, HistoryIndex::read)
    }
}

impl Check for HistoryEntry<'_> {
    fn check(&self) -> Read<()> {
        for name in ["index", "rc", "mp", "np"] {
            self.place(name)?;
        }
        check_name_addr(&self.0)
    }
}

/// A place in the request history: `1.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HistoryIndex<'a>(&'a str);

impl<'a> HistoryIndex<'a> {
    //= https://www.rfc-editor.org/rfc/rfc7044#section-5
    //# index-val =  number *("." number)
    fn read(v: &'a [u8]) -> Option<Self> {
        let text = core::str::from_utf8(v).ok()?;
        // number = [ %x31-39 *DIGIT ] DIGIT: no leading zero, and never past what `numbers` gives.
        let number = |part: &str| {
            part.parse::<u32>().is_ok() && !part.starts_with('+') && (part.len() == 1 || !part.starts_with('0'))
        };
        text.split('.').all(number).then_some(HistoryIndex(text))
    }

    /// The index as it was written.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The numbers, from the root on.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        self.0.split('.').filter_map(|part| part.parse().ok())
    }
}

addressed! {
    /// One value of Diversion (RFC 5806): who diverted the call, and why.
    Diversion
}

impl<'a> Diversion<'a> {
    /// The `reason` parameter: `user-busy`, `no-answer`, `unconditional` or another.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn reason(&self) -> Read<Option<ParamValue<'a>>> {
        self.params().value("reason")
    }

    /// The `counter` parameter: how many diversions this value stands for.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not 0 to 99.
    pub fn counter(&self) -> Read<Option<u32>> {
        Ok(self.params().number("counter", 99)?.map(|n| n as u32))
    }

    /// The `limit` parameter: how many more diversions are allowed.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not 0 to 99.
    pub fn limit(&self) -> Read<Option<u32>> {
        Ok(self.params().number("limit", 99)?.map(|n| n as u32))
    }

    /// The `privacy` parameter: `full`, `name`, `uri`, `off` or another.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn privacy(&self) -> Read<Option<ParamValue<'a>>> {
        self.params().value("privacy")
    }

    /// The `screen` parameter: `yes`, `no` or another.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn screen(&self) -> Read<Option<ParamValue<'a>>> {
        self.params().value("screen")
    }
}

impl Check for Diversion<'_> {
    fn check(&self) -> Read<()> {
        self.counter()?;
        self.limit()?;
        check_name_addr(&self.0)
    }
}

addressed! {
    /// The value of Referred-By (RFC 3892 section 3).
    //= https://www.rfc-editor.org/rfc/rfc3892#section-3
    //# If the referrer-uri contains a comma, question mark, or semicolon,
    //# (for example, if it contains URI parameters) the URI MUST be enclosed
    //# in angle brackets (< and >).
    ReferredBy
}

impl<'a> ReferredBy<'a> {
    /// The `cid` parameter without its quotes: the Content-ID of the Referred-By token in the body.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a quoted Content-ID.
    pub fn cid(&self) -> Read<Option<&'a str>> {
        lex::param_as(&self.params(), "cid", ValueFault::Param, |v| match v {
            [b'"', id @ .., b'"'] if id.contains(&b'@') && !id.contains(&b'\\') => core::str::from_utf8(id).ok(),
            _ => None,
        })
    }
}

impl Check for ReferredBy<'_> {
    fn check(&self) -> Read<()> {
        self.cid()?;
        self.0.check()
    }
}

impl Check for NameAddr<'_> {
    fn check(&self) -> Read<()> {
        NameAddr::check(self)
    }
}

/// The check of a `name-addr`: the angle brackets are not optional.
pub(crate) fn check_name_addr(address: &NameAddr<'_>) -> Read<()> {
    if !address.is_bracketed() {
        return fault(ValueFault::Brackets, 0);
    }
    address.check()
}

/// The check of From and To: the tag is a token.
pub(crate) fn check_tagged(address: &NameAddr<'_>) -> Read<()> {
    address.tag()?;
    address.check()
}

/// The check of P-Asserted-Identity and P-Preferred-Identity, which have no parameters.
//= https://www.rfc-editor.org/rfc/rfc3325#section-9.1
//# A P-Asserted-Identity header field value MUST consist of exactly one
//# name-addr or addr-spec.
//= https://www.rfc-editor.org/rfc/rfc3325#section-9.2
//# A P-Preferred-Identity header field value MUST consist of exactly one
//# name-addr or addr-spec.
pub(crate) fn check_identity(address: &NameAddr<'_>) -> Read<()> {
    address.uri()?;
    match address.params().next() {
        None => Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok(param)) => fault(ValueFault::Trailing, address.params().offset_of(&param)),
    }
}

/// The value of Identity (RFC 8224 section 4): a signed PASSporT, and where the certificate is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    digest: &'a str,
    /// Parameters before and behind `info`, whose value in angle brackets is no `gen-value`.
    before: Params<'a>,
    info: InfoUri<'a>,
}

impl<'a> Identity<'a> {
    /// The PASSporT: `header.payload.signature`, or `..signature` in its compact form.
    pub fn digest(&self) -> &'a str {
        self.digest
    }

    /// Whether the PASSporT is in its compact form.
    pub fn is_compact(&self) -> bool {
        self.digest.starts_with("..")
    }

    /// The `info` parameter: the URI of the certificate.
    pub fn info(&self) -> InfoUri<'a> {
        self.info
    }

    /// The `alg` parameter: the signature algorithm.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn algorithm(&self) -> Read<Option<ParamValue<'a>>> {
        self.get("alg")
    }

    /// The `ppt` parameter: the PASSporT extension.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn ppt(&self) -> Read<Option<ParamValue<'a>>> {
        self.get("ppt")
    }

    /// The value of any parameter but `info`.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn get(&self, name: &str) -> Read<Option<ParamValue<'a>>> {
        match self.before.get(name)? {
            Some(param) => Ok(param.value),
            None => self.info.params.value(name),
        }
    }
}

impl<'a> FieldValue<'a> for Identity<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        // The RFC's base64-char lacks what base64url, in which its own examples are, has besides: "-" and "_".
        let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+' | b'-' | b'_' | b'=' | b'.');
        let digest_end = v.iter().position(|b| !base64(b)).unwrap_or(v.len());
        if digest_end == 0 {
            return Err(lex::unexpected(v, 0));
        }
        // The grammar has `info` first; it is looked for among the others too, since a signature does not depend on it.
        let mut at = digest_end;
        loop {
            let semicolon = scan::skip(v, at, scan::LWS);
            if v.get(semicolon) != Some(&b';') {
                return fault(
                    if semicolon == v.len() { ValueFault::Incomplete } else { ValueFault::Trailing },
                    semicolon,
                );
            }
            let name_at = scan::skip(v, semicolon + 1, scan::LWS);
            let (name, name_end) = lex::token(v, name_at)?;
            let equal = scan::skip(v, name_end, scan::LWS);
            let open = scan::skip(v, equal + 1, scan::LWS);
            if v.get(equal) == Some(&b'=') && name.eq_ignore_ascii_case("info") {
                let (uri, end) = bracketed(v, open)?;
                return Ok(Identity {
                    digest: scan::text(slice(v, 0, digest_end)),
                    before: Params::new(slice(v, digest_end, at), digest_end),
                    info: InfoUri { uri, offset: open + 1, params: lex::params(v, end)? },
                });
            }
            at = lex::pair(v, name_at, scan::PARAM_VALUE)?.1;
        }
    }
}

impl Check for Identity<'_> {
    fn check(&self) -> Read<()> {
        self.info.check()?;
        self.before.check()
    }
}
