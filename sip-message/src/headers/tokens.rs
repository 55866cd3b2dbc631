//! Values that are one token: option tags, event types, entity tags, directives, resource priorities.
//!
//! What is compared how is the type: a [`Token`] ignores case, an [`EventType`] or [`EntityTag`] does not.

use super::check::Check;
use super::lex::{self, Read, fault, slice};
use crate::error::{ValueError, ValueFault};
use crate::method::Method;
use crate::scan;
use crate::value::FieldValue;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A token that is compared without regard to case: an option tag, a content coding, a priority.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
//# Unless otherwise stated in the definition of a
//# particular header field, field values, parameter names, and parameter
//# values are case-insensitive.  Tokens are always case-insensitive.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Token<'a>(&'a str);

impl<'a> Token<'a> {
    /// The token as it was written.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    pub(crate) const fn new(text: &'a str) -> Self {
        Token(text)
    }
}

impl<'a> TryFrom<&'a str> for Token<'a> {
    type Error = ValueError;

    fn try_from(text: &'a str) -> Read<Self> {
        Token::parse_value(text.as_bytes())
    }
}

impl PartialEq for Token<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl PartialEq<str> for Token<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Token<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl Hash for Token<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for b in self.0.bytes() {
            state.write_u8(b.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One token and nothing else.
fn only_token(v: &[u8]) -> Read<&str> {
    match lex::token(v, 0)? {
        (text, end) if end == v.len() => Ok(text),
        (_, end) => fault(ValueFault::Character, end),
    }
}

impl<'a> FieldValue<'a> for Token<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        only_token(v).map(Token)
    }
}

impl Check for Token<'_> {}

/// A method of Allow. The grammar has the methods in capitals, letter by letter: they are case-sensitive.
impl<'a> FieldValue<'a> for Method<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        only_token(v)?;
        Method::parse(v).ok_or(ValueError::new(ValueFault::Method, 0))
    }
}

impl Check for Method<'_> {}

macro_rules! case_sensitive {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// The value as it was written.
            pub const fn as_str(self) -> &'a str {
                self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }

        impl PartialEq<&str> for $name<'_> {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl Check for $name<'_> {}
    };
}

case_sensitive! {
    /// An event type: a package and its templates, as in `presence.winfo` (RFC 6665 section 8.2.1). Compared byte by
    /// byte.
    EventType
}

impl<'a> EventType<'a> {
    /// The event package: what stands before the first dot.
    pub fn package(self) -> &'a str {
        self.0.split_once('.').map_or(self.0, |(package, _)| package)
    }

    /// The templates, innermost first.
    pub fn templates(self) -> impl Iterator<Item = &'a str> {
        self.0.split('.').skip(1)
    }

    /// The event type at the start of `v`, and where it ends.
    pub(crate) fn read(v: &'a [u8]) -> Read<(Self, usize)> {
        let (text, end) = lex::token(v, 0)?;
        // token-nodot on both sides of every dot
        let mut part = 0;
        for name in text.split('.') {
            if name.is_empty() {
                return fault(if part == v.len() { ValueFault::Incomplete } else { ValueFault::Character }, part);
            }
            part += name.len() + 1;
        }
        Ok((EventType(text), end))
    }
}

impl<'a> FieldValue<'a> for EventType<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        match EventType::read(v)? {
            (event, end) if end == v.len() => Ok(event),
            (_, end) => fault(ValueFault::Character, end),
        }
    }
}

case_sensitive! {
    /// An entity tag of SIP-ETag or SIP-If-Match (RFC 3903 section 11.3): opaque, compared byte by byte.
    EntityTag
}

impl<'a> FieldValue<'a> for EntityTag<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        only_token(v).map(EntityTag)
    }
}

case_sensitive! {
    /// A Call-ID of In-Reply-To (RFC 3261 section 20.21); compared byte by byte.
    CallIdRef
}

impl<'a> FieldValue<'a> for CallIdRef<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        crate::reads::CallId::parse_value(v).map(|id| CallIdRef(id.0))
    }

    /// Quotes and angle brackets are characters of a `word` like others: every comma counts.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        match memchr::memchr(b',', v) {
            Some(comma) => (slice(v, 0, comma), Some(comma + 1)),
            None => (v, None),
        }
    }
}

/// A language tag of Content-Language (RFC 3261 section 20.13); compared without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LanguageTag<'a>(Token<'a>);

impl<'a> LanguageTag<'a> {
    /// The tag as it was written.
    pub const fn as_str(self) -> &'a str {
        self.0.0
    }

    /// The primary tag: what stands before the first hyphen.
    pub fn primary(self) -> Token<'a> {
        Token(self.as_str().split_once('-').map_or(self.as_str(), |(primary, _)| primary))
    }
}

impl<'a> FieldValue<'a> for LanguageTag<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        match lex::language_tag(v, 0)? {
            (tag, end) if end == v.len() => Ok(LanguageTag(Token(tag))),
            (_, end) => fault(ValueFault::Character, end),
        }
    }
}

impl Check for LanguageTag<'_> {}

/// One value of Resource-Priority or Accept-Resource-Priority (RFC 4412): `namespace.priority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceValue<'a> {
    /// The namespace, as in `ets` or `wps`.
    pub namespace: Token<'a>,
    /// The priority within it.
    pub priority: Token<'a>,
}

impl<'a> FieldValue<'a> for ResourceValue<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let text = only_token(v)?;
        let dots = text.bytes().filter(|&b| b == b'.').count();
        match text.split_once('.') {
            Some((namespace, priority)) if dots == 1 && !namespace.is_empty() && !priority.is_empty() => {
                Ok(ResourceValue { namespace: Token(namespace), priority: Token(priority) })
            }
            _ => fault(ValueFault::Form, 0),
        }
    }
}

impl Check for ResourceValue<'_> {}

macro_rules! directives {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A directive of Request-Disposition (RFC 3841 section 9.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Directive<'a> {
            $($(#[$doc])* $variant,)*
            /// Any other token.
            Other(Token<'a>),
        }

        impl<'a> Directive<'a> {
            /// The directive as the RFC writes it.
            pub const fn as_str(self) -> &'a str {
                match self {
                    $(Directive::$variant => $text,)*
                    Directive::Other(token) => token.0,
                }
            }
        }

        impl<'a> FieldValue<'a> for Directive<'a> {
            fn parse_value(v: &'a [u8]) -> Read<Self> {
                let token = Token::parse_value(v)?;
                $(if token == $text { return Ok(Directive::$variant); })*
                Ok(Directive::Other(token))
            }
        }
    };
}

directives! {
    /// Proxy the request.
    Proxy = "proxy",
    /// Redirect instead of proxying.
    Redirect = "redirect",
    /// Cancel outstanding branches after the first 2xx.
    Cancel = "cancel",
    /// Leave outstanding branches.
    NoCancel = "no-cancel",
    /// Fork to several targets.
    Fork = "fork",
    /// Proxy to one target only.
    NoFork = "no-fork",
    /// Follow redirections.
    Recurse = "recurse",
    /// Pass redirections back.
    NoRecurse = "no-recurse",
    /// Try targets at once.
    Parallel = "parallel",
    /// Try targets one after another.
    Sequential = "sequential",
    /// Queue the call if the callee is busy.
    Queue = "queue",
    /// Refuse the call if the callee is busy.
    NoQueue = "no-queue",
}

impl Check for Directive<'_> {}

/// The values of Privacy (RFC 3323 section 4.2), which semicolons separate.
#[derive(Clone, Copy, Debug)]
pub struct Privacy<'a>(&'a [u8]);

impl<'a> Privacy<'a> {
    /// The values in order: `header`, `session`, `user`, `id`, `history`, `none`, `critical` or another token.
    pub fn iter(&self) -> impl Iterator<Item = Read<Token<'a>>> {
        let v = self.0;
        let mut at = Some(0);
        core::iter::from_fn(move || {
            let from = at?;
            let end = memchr::memchr(b';', lex::from(v, from)).map_or(v.len(), |semicolon| from + semicolon);
            at = (end < v.len()).then_some(end + 1);
            let start = scan::skip(v, from, scan::LWS).min(end);
            let value = scan::trim_end(slice(v, start, end));
            Some(match value {
                [] => Err(lex::unexpected(v, end)),
                _ => Token::parse_value(value).map_err(|error| error.shifted(start)),
            })
        })
    }

    /// Whether `value` is among the values.
    ///
    /// # Errors
    ///
    /// A value before it is not a token.
    pub fn has(&self, value: &str) -> Read<bool> {
        for token in self.iter() {
            if token? == value {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'a> FieldValue<'a> for Privacy<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        if v.is_empty() { fault(ValueFault::Empty, 0) } else { Ok(Privacy(v)) }
    }

    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for Privacy<'_> {
    fn check(&self) -> Read<()> {
        self.iter().try_for_each(|value| value.map(drop))
    }
}
