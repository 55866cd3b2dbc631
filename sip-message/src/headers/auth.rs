//! Challenges and credentials: WWW-Authenticate, Authorization, their Proxy- kin, Authentication-Info.
//!
//! Reads what the fields say. The arithmetic of Digest and the choice among challenges are not here.

use super::check::Check;
use super::lex::{self, Read, fault, slice};
use super::tokens::Token;
use crate::error::{ValueError, ValueFault};
use crate::params::{self, Param, ParamValue};
use crate::scan;
use crate::value::FieldValue;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// The parameters of a challenge or of credentials, in order: `name=value`, with commas between them.
///
/// Every value may be a token or a quoted string: RFC 7616 binds senders to one of the two, parameter by parameter,
/// and `auth-param` allows a receiver both.
#[derive(Clone, Copy, Debug)]
pub struct AuthParams<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the value, for errors.
    offset: usize,
}

impl<'a> AuthParams<'a> {
    /// The parameters as they were written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The value of the first parameter named `name`, in any case.
    ///
    /// # Errors
    ///
    /// A parameter before it is malformed.
    pub fn get(&self, name: &str) -> Read<Option<ParamValue<'a>>> {
        for param in *self {
            let param = param?;
            if param.name.eq_ignore_ascii_case(name) {
                return Ok(param.value);
            }
        }
        Ok(None)
    }

    /// The parameter `name` without quotes, read by `read`.
    fn get_as<T>(&self, name: &str, kind: ValueFault, read: impl FnOnce(&'a [u8]) -> Option<T>) -> Read<Option<T>> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match read(value.without_quotes()) {
            Some(value) => Ok(Some(value)),
            None => fault(kind, self.offset_of(value)),
        }
    }

    fn token(&self, name: &str) -> Read<Option<Token<'a>>> {
        let token = |v| scan::all(v, scan::TOKEN).then(|| Token::new(scan::text(v)));
        self.get_as(name, ValueFault::Param, token)
    }

    /// Whether the parameter `name` is there and says `true`.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //# If stale is false, or anything other than true, or the stale
    //# parameter is not present, the username and/or password are
    //# invalid, and new values MUST be obtained.
    fn flag(&self, name: &str) -> Read<bool> {
        Ok(self.get(name)?.is_some_and(|value| value.without_quotes().eq_ignore_ascii_case(b"true")))
    }

    fn qop(&self) -> Read<Option<QopOptions<'a>>> {
        self.get_as("qop", ValueFault::Param, |v| Some(QopOptions(v)))
    }

    fn nc(&self) -> Read<Option<u32>> {
        self.get_as("nc", ValueFault::Number, nonce_count)
    }

    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.7
    //# request-digest = LDQUOT *LHEX RDQUOT
    fn hex(&self, name: &str) -> Read<Option<&'a str>> {
        let hex = |v: &'a [u8]| scan::all_hex(v).then(|| scan::text(v));
        self.get_as(name, ValueFault::Param, hex)
    }

    fn offset_of(&self, value: ParamValue<'a>) -> usize {
        self.offset + (value.as_bytes().as_ptr() as usize).saturating_sub(self.rest.as_ptr() as usize)
    }

    /// Whether all parameters are well formed, none occurs twice and all of `required` are there.
    fn check(&self, required: &[&str]) -> Read<()> {
        let mut names = SmallVec::<[&[u8]; 16]>::new();
        for param in *self {
            names.push(param?.name.as_bytes());
        }
        if let Some(name) = params::repeated(&mut names) {
            let at = (name.as_ptr() as usize).saturating_sub(self.rest.as_ptr() as usize);
            return fault(ValueFault::Param, self.offset + at);
        }
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
        //# If a parameter or its value is improper, or required parameters are
        //# missing, the proper response is a 4xx error code.
        let missing = |name: &&str| !names.iter().any(|present| present.eq_ignore_ascii_case(name.as_bytes()));
        if required.iter().any(missing) {
            return fault(ValueFault::Incomplete, self.offset + self.rest.len());
        }
        Ok(())
    }
}

impl<'a> Iterator for AuthParams<'a> {
    type Item = Read<Param<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let v = self.rest;
        if v.is_empty() {
            return None;
        }
        let result = one(v);
        match result {
            Ok((param, next)) => {
                self.rest = lex::from(v, next);
                self.offset += next;
                Some(Ok(param))
            }
            Err(error) => {
                let error = error.shifted(self.offset);
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// The parameter at the start of `v`, and where the next one begins.
fn one(v: &[u8]) -> Read<(Param<'_>, usize)> {
    let (name, value, next) = raw_one(v, 0)?;
    Ok((Param { name: scan::text(name), value: Some(ParamValue(value)) }, next))
}

/// Name and value of the parameter at `v[from]`, and where the next one begins.
#[inline]
fn raw_one(v: &[u8], from: usize) -> Read<(&[u8], &[u8], usize)> {
    let at = scan::skip(v, from, scan::LWS);
    let (name, value, end) = lex::raw_pair(v, at, scan::TOKEN)?;
    let next = scan::skip(v, end, scan::LWS);
    let Some(value) = value else { return Err(ValueError::new(ValueFault::Param, next)) };
    match v.get(next) {
        None => Ok((name, value, next)),
        Some(b',') => match scan::skip(v, next + 1, scan::LWS) {
            end if end == v.len() => fault(ValueFault::Incomplete, end),
            next => Ok((name, value, next)),
        },
        Some(_) => fault(ValueFault::Trailing, next),
    }
}

/// As [`raw_one`], for what senders most often write: a token or a quoted string without escapes, and white space behind the comma alone. The
/// name is whatever stands before the equals sign. `None` for what is written otherwise.
#[inline(always)]
fn plain_one(v: &[u8], from: usize) -> Option<(&[u8], &[u8], usize)> {
    let equal = scan::find(v, from, b'=')?;
    let name = v.get(from..equal)?;
    let value = equal + 1;
    let end = match v.get(value)? {
        b'"' => match scan::plain_text_end(v, value + 1) {
            close if v.get(close) == Some(&b'"') => close + 1,
            _ => return None,
        },
        _ => scan::skip(v, value, scan::TOKEN),
    };
    let next = match v.get(end..)? {
        [] => end,
        [b',', b' ', b, ..] if !scan::is(*b, scan::LWS) => end + 2,
        [b',', b, ..] if !scan::is(*b, scan::LWS) => end + 1,
        _ => return None,
    };
    Some((name, v.get(value..end).filter(|value| !value.is_empty())?, next))
}

/// The parameters of [`DigestCredentials`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Username,
    UsernameExtended,
    Realm,
    Nonce,
    Uri,
    Response,
    Algorithm,
    Cnonce,
    Opaque,
    Qop,
    Nc,
    Userhash,
}

impl Known {
    /// The parameter of this name in lower case.
    #[inline(always)]
    fn of(name: &[u8]) -> Option<Known> {
        Some(match name {
            b"username" => Known::Username,
            b"username*" => Known::UsernameExtended,
            b"realm" => Known::Realm,
            b"nonce" => Known::Nonce,
            b"uri" => Known::Uri,
            b"response" => Known::Response,
            b"algorithm" => Known::Algorithm,
            b"cnonce" => Known::Cnonce,
            b"opaque" => Known::Opaque,
            b"qop" => Known::Qop,
            b"nc" => Known::Nc,
            b"userhash" => Known::Userhash,
            _ => return None,
        })
    }

    /// The parameter of this name in any case.
    fn in_any_case(name: &[u8]) -> Option<Known> {
        const LONGEST: usize = b"algorithm".len();
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        Known::of(lower)
    }
}

/// A token of `known` spelled as it is there, else any other: what nearly everybody sends needs no second look.
#[inline]
fn token_of<'a>(v: &'a [u8], known: &[&'static str]) -> Option<Token<'a>> {
    match known.iter().find(|known| known.as_bytes() == v) {
        Some(known) => Some(Token::new(known)),
        None => scan::all(v, scan::TOKEN).then(|| Token::new(scan::text(v))),
    }
}

/// The qualities of protection a challenge offers, or the one that credentials chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QopOptions<'a>(&'a [u8]);

impl<'a> QopOptions<'a> {
    /// The options in order: `auth`, `auth-int` or other tokens. What is not a token is left out.
    pub fn iter(&self) -> impl Iterator<Item = Token<'a>> {
        let tokens = self.0.split(|&b| b == b',').map(scan::trim);
        tokens.filter(|v| scan::all(v, scan::TOKEN)).map(|v| Token::new(scan::text(v)))
    }

    /// Whether `option` is among them.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //# Unrecognized options MUST be ignored.
    pub fn has(&self, option: &str) -> bool {
        self.iter().any(|token| token == option)
    }
}

/// `auth-scheme LWS` and the rest.
fn scheme(v: &[u8]) -> Read<(Token<'_>, AuthParams<'_>)> {
    const DIGEST: &[u8] = b"Digest ";
    if let Some(rest) = v.strip_prefix(DIGEST).filter(|rest| rest.first().is_some_and(|&b| !scan::is(b, scan::LWS))) {
        return Ok((Token::new("Digest"), AuthParams { rest, offset: DIGEST.len() }));
    }
    let (scheme, end) = lex::token(v, 0)?;
    let at = scan::skip(v, end, scan::LWS);
    if at == end || at == v.len() {
        return Err(lex::unexpected(v, at));
    }
    Ok((Token::new(scheme), AuthParams { rest: lex::from(v, at), offset: at }))
}

/// Takes the first challenge off a field: it ends at a comma behind which a new scheme begins.
///
/// RFC 3261 sections 20.7 and 20.28 forbid senders to join these fields with commas; HTTP allows it, and servers that
/// grew up with HTTP do so.
fn split_at_scheme(v: &[u8]) -> (&[u8], Option<usize>) {
    let mut at = 0;
    while let Some(skipped) = memchr::memchr2(b'"', b',', lex::from(v, at)) {
        at += skipped;
        if v.get(at) == Some(&b'"') {
            at = quoted_end(v, at);
        } else if begins_scheme(v, at + 1) {
            return (slice(v, 0, at), Some(at + 1));
        } else {
            at += 1;
        }
    }
    (v, None)
}

/// Where the quoted string that opens at `v[open]` ends; at the end of `v` if it does not.
fn quoted_end(v: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(skipped) = memchr::memchr2(b'"', b'\\', lex::from(v, at)) {
        at += skipped;
        if v.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    v.len()
}

/// Whether `token LWS token` stands at `v[at]`: the equals sign tells a parameter from a scheme.
fn begins_scheme(v: &[u8], at: usize) -> bool {
    let from = scan::skip(v, at, scan::LWS);
    let end = scan::skip(v, from, scan::TOKEN);
    let next = scan::skip(v, end, scan::LWS);
    end > from && next > end && v.get(next).is_some_and(|&b| scan::is(b, scan::TOKEN))
}

/// The `token68` of a scheme that has no parameters: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(super) fn token68(v: &[u8]) -> Option<&str> {
    let padding = v.iter().rev().take_while(|&&b| b == b'=').count();
    let body = slice(v, 0, v.len() - padding);
    let is_body = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    (!body.is_empty() && body.iter().all(is_body)).then(|| scan::text(v))
}

/// A parameter without quotes and escapes.
fn unescaped(value: ParamValue<'_>) -> Option<Cow<'_, str>> {
    match value.unquoted() {
        Cow::Borrowed(v) => core::str::from_utf8(v).ok().map(Cow::Borrowed),
        Cow::Owned(v) => String::from_utf8(v).ok().map(Cow::Owned),
    }
}

/// `ext-value` of RFC 5987: `UTF-8'language'percent-encoded`.
fn extended(v: &[u8]) -> Option<Cow<'_, str>> {
    let mut parts = core::str::from_utf8(v).ok()?.splitn(3, '\'');
    let (charset, _, text) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return None;
    }
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [b, behind @ ..] = rest {
        rest = match (b, behind) {
            (b'%', [a, b, behind @ ..]) => {
                let hex = |b: &u8| char::from(*b).to_digit(16);
                out.push((hex(a)? * 16 + hex(b)?) as u8);
                behind
            }
            (b'%', _) => return None,
            _ => {
                out.push(*b);
                behind
            }
        };
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

macro_rules! common {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// The authentication scheme.
            pub fn scheme(&self) -> Token<'a> {
                self.scheme
            }

            /// Whether the scheme is Digest.
            pub fn is_digest(&self) -> bool {
                self.scheme == "Digest"
            }

            /// All parameters.
            pub fn params(&self) -> AuthParams<'a> {
                self.params
            }

            /// What follows the scheme if it is one `token68` and no parameters, as in `Bearer eyJhb`.
            pub fn token68(&self) -> Option<&'a str> {
                token68(self.params.rest)
            }

            /// The `realm` parameter.
            ///
            /// # Errors
            ///
            /// The parameters up to it are malformed.
            pub fn realm(&self) -> Read<Option<ParamValue<'a>>> {
                self.params.get("realm")
            }

            /// The `nonce` parameter.
            ///
            /// # Errors
            ///
            /// The parameters up to it are malformed.
            pub fn nonce(&self) -> Read<Option<ParamValue<'a>>> {
                self.params.get("nonce")
            }

            /// The `opaque` parameter.
            ///
            /// # Errors
            ///
            /// The parameters up to it are malformed.
            pub fn opaque(&self) -> Read<Option<ParamValue<'a>>> {
                self.params.get("opaque")
            }

            /// The `algorithm` parameter; without one, Digest means MD5.
            ///
            /// # Errors
            ///
            /// The parameters up to it are malformed, or it is not a token.
            pub fn algorithm(&self) -> Read<Option<Token<'a>>> {
                self.params.token("algorithm")
            }

            /// The `userhash` parameter (RFC 7616): whether the user name is, or may be, hashed.
            ///
            /// # Errors
            ///
            /// The parameters up to it are malformed.
            pub fn userhash(&self) -> Read<bool> {
                self.params.flag("userhash")
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            fn parse_value(v: &'a [u8]) -> Read<Self> {
                let (scheme, params) = scheme(v)?;
                Ok($name { scheme, params })
            }

            /// A comma separates parameters; a new value begins where a scheme does.
            fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
                split_at_scheme(v)
            }
        }
    };
}

/// One challenge of WWW-Authenticate or Proxy-Authenticate (RFC 3261 sections 20.44 and 20.27).
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    scheme: Token<'a>,
    params: AuthParams<'a>,
}

common!(Challenge);

impl<'a> Challenge<'a> {
    /// The `domain` parameter: the URIs the credentials are good for, with spaces between them.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn domain(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("domain")
    }

    /// The `stale` parameter: whether only the nonce was wrong, and the same password will do.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn stale(&self) -> Read<bool> {
        self.params.flag("stale")
    }

    /// The `qop` parameter: the qualities of protection that are offered.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn qop(&self) -> Read<Option<QopOptions<'a>>> {
        self.params.qop()
    }
}

impl Check for Challenge<'_> {
    fn check(&self) -> Read<()> {
        if !self.is_digest() {
            return if self.token68().is_some() { Ok(()) } else { self.params.check(&[]) };
        }
        self.algorithm()?;
        self.params.check(&["realm", "nonce"])
    }
}

/// The credentials of Authorization or Proxy-Authorization (RFC 3261 sections 20.7 and 20.28).
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    scheme: Token<'a>,
    params: AuthParams<'a>,
}

common!(Credentials);

impl<'a> Credentials<'a> {
    /// The `username` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn username(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("username")
    }

    /// The user name as text: of `username` without quotes and escapes, of `username*` with its percent-encoding
    /// resolved (RFC 7616 section 3.4, UTF-8 only). Borrowed unless there is something to resolve.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not UTF-8.
    pub fn username_text(&self) -> Read<Option<Cow<'a, str>>> {
        let malformed = |value| ValueError::new(ValueFault::Param, self.params.offset_of(value));
        if let Some(value) = self.username()? {
            return unescaped(value).map(Some).ok_or(malformed(value));
        }
        let Some(value) = self.params.get("username*")? else { return Ok(None) };
        extended(value.as_bytes()).map(Some).ok_or(malformed(value))
    }

    /// The `uri` parameter: the Request-URI as the client hashed it.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn uri(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("uri")
    }

    /// The `response` parameter without quotes: hexadecimal digits, or nothing before there was a challenge.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it has other characters.
    pub fn response(&self) -> Read<Option<&'a str>> {
        self.params.hex("response")
    }

    /// The `cnonce` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn cnonce(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("cnonce")
    }

    /// The `qop` parameter: the quality of protection that was chosen.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn qop(&self) -> Read<Option<Token<'a>>> {
        self.params.token("qop")
    }

    /// The `nc` parameter: how often the client has used this nonce.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not eight hexadecimal digits.
    pub fn nc(&self) -> Read<Option<u32>> {
        self.params.nc()
    }
}

/// The parameters of Digest credentials, found in one pass: [`Credentials::digest`].
///
/// The methods of [`Credentials`] look for one parameter each; a server that needs them all takes this.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DigestCredentials<'a> {
    /// `username`.
    pub username: Option<ParamValue<'a>>,
    /// `username*`: [`username_text`](Self::username_text) decodes it.
    pub username_extended: Option<ParamValue<'a>>,
    /// `realm`.
    pub realm: Option<ParamValue<'a>>,
    /// `nonce`.
    pub nonce: Option<ParamValue<'a>>,
    /// `uri`.
    pub uri: Option<ParamValue<'a>>,
    /// `response` without quotes: hexadecimal digits or nothing.
    pub response: Option<&'a str>,
    /// `algorithm`; without one, MD5 is meant.
    pub algorithm: Option<Token<'a>>,
    /// `cnonce`.
    pub cnonce: Option<ParamValue<'a>>,
    /// `opaque`.
    pub opaque: Option<ParamValue<'a>>,
    /// `qop`.
    pub qop: Option<Token<'a>>,
    /// `nc`: the eight hexadecimal digits, in the case they go into the digest.
    pub nc: Option<&'a str>,
    /// Whether `userhash` says that the user name is hashed.
    pub userhash: bool,
}

impl<'a> DigestCredentials<'a> {
    /// The user name as text, as [`Credentials::username_text`] gives it; `None` if there is none or it is not UTF-8.
    pub fn username_text(&self) -> Option<Cow<'a, str>> {
        match self.username {
            Some(value) => unescaped(value),
            None => extended(self.username_extended?.as_bytes()),
        }
    }
}

impl<'a> Credentials<'a> {
    /// All parameters of Digest credentials in one pass; `None` for another scheme.
    ///
    /// # Errors
    ///
    /// A parameter is malformed, one of those of [`DigestCredentials`] occurs twice, or both `username` and `username*`
    /// do.
    pub fn digest(&self) -> Read<Option<DigestCredentials<'a>>> {
        if !self.is_digest() {
            return Ok(None);
        }
        let mut all = DigestCredentials::default();
        let mut seen = 0u16;
        let (v, mut at) = (self.params.rest, 0);
        while at < v.len() {
            let plain = plain_one(v, at).and_then(|(name, value, next)| Some((Known::of(name)?, value, next)));
            let (known, value, next) = match plain {
                Some((known, value, next)) => (Some(known), value, next),
                None => {
                    let (name, value, next) = raw_one(v, at).map_err(|error| error.shifted(self.params.offset))?;
                    (Known::in_any_case(name), value, next)
                }
            };
            at = next;
            let Some(known) = known else { continue };
            let value = ParamValue(value);
            let wrong = |kind| ValueError::new(kind, self.params.offset_of(value));
            let bare = || value.without_quotes();
            match known {
                Known::Username => all.username = Some(value),
                Known::UsernameExtended => all.username_extended = Some(value),
                Known::Realm => all.realm = Some(value),
                Known::Nonce => all.nonce = Some(value),
                Known::Uri => all.uri = Some(value),
                Known::Response if scan::all_hex(bare()) => all.response = Some(scan::text(bare())),
                Known::Response => return Err(wrong(ValueFault::Param)),
                Known::Algorithm => {
                    let token = token_of(bare(), &["MD5", "SHA-256"]);
                    all.algorithm = Some(token.ok_or(wrong(ValueFault::Param))?);
                }
                Known::Cnonce => all.cnonce = Some(value),
                Known::Opaque => all.opaque = Some(value),
                Known::Qop => all.qop = Some(token_of(bare(), &["auth"]).ok_or(wrong(ValueFault::Param))?),
                Known::Nc if bare().len() == 8 && scan::all_hex(bare()) => all.nc = Some(scan::text(bare())),
                Known::Nc => return Err(wrong(ValueFault::Number)),
                Known::Userhash => all.userhash = bare().eq_ignore_ascii_case(b"true"),
            }
            //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
            //# Sending both username and username* in the same
            //# header option MUST be treated as an error.
            let user = matches!(known, Known::Username | Known::UsernameExtended);
            let both = user && all.username.is_some() && all.username_extended.is_some();
            if both || seen & 1 << known as u16 != 0 {
                return Err(wrong(ValueFault::Param));
            }
            seen |= 1 << known as u16;
        }
        Ok(Some(all))
    }
}

/// Eight hexadecimal digits.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//# For historical reasons, the nc value MUST be exactly 8 hexadecimal
//# digits.
fn nonce_count(v: &[u8]) -> Option<u32> {
    scan::eight_hex(v)
}

impl Check for Credentials<'_> {
    fn check(&self) -> Read<()> {
        let Some(digest) = self.digest()? else {
            return if self.token68().is_some() { Ok(()) } else { self.params.check(&[]) };
        };
        self.username_text()?;
        let username = if digest.username_extended.is_some() { "username*" } else { "username" };
        self.params.check(&[username, "realm", "nonce", "uri", "response"])
    }
}

/// The value of Authentication-Info (RFC 3261 section 20.6) or Proxy-Authentication-Info (RFC 7615).
#[derive(Clone, Copy, Debug)]
pub struct AuthenticationInfo<'a> {
    params: AuthParams<'a>,
}

impl<'a> AuthenticationInfo<'a> {
    /// All parameters.
    pub fn params(&self) -> AuthParams<'a> {
        self.params
    }

    /// The `nextnonce` parameter: the nonce for the next request.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn nextnonce(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("nextnonce")
    }

    /// The `qop` parameter: the quality of protection of the response.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn qop(&self) -> Read<Option<Token<'a>>> {
        self.params.token("qop")
    }

    /// The `rspauth` parameter without quotes: the digest that proves the server knows the password.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it has other characters than hexadecimal digits.
    pub fn rspauth(&self) -> Read<Option<&'a str>> {
        self.params.hex("rspauth")
    }

    /// The `cnonce` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn cnonce(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.get("cnonce")
    }

    /// The `nc` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not eight hexadecimal digits.
    pub fn nc(&self) -> Read<Option<u32>> {
        self.params.nc()
    }
}

impl<'a> FieldValue<'a> for AuthenticationInfo<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        if v.is_empty() {
            return fault(ValueFault::Empty, 0);
        }
        Ok(AuthenticationInfo { params: AuthParams { rest: v, offset: 0 } })
    }

    /// A comma separates parameters, not values.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for AuthenticationInfo<'_> {
    fn check(&self) -> Read<()> {
        self.qop()?;
        self.rspauth()?;
        self.nc()?;
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
        //# The
        //# rspauth, cnonce, and nc parameters MUST be present if "qop=auth" or
        //# "qop=auth-int" is specified.
        let required: &[&str] = if self.qop()?.is_some() { &["rspauth", "cnonce", "nc"] } else { &[] };
        self.params.check(required)
    }
}
