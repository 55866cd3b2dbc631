//! Content-Type and the Accept family: media types, codings and languages with preferences.

use super::check::Check;
use super::lex::{self, Read, fault};
use super::tokens::Token;
use crate::error::ValueFault;
use crate::params::{ParamValue, Params};
use crate::scan;
use crate::value::FieldValue;

/// `m-type SLASH m-subtype` at the start of `v`, and where it ends.
fn type_and_subtype(v: &[u8]) -> Read<(&str, &str, usize)> {
    let (kind, end) = lex::token(v, 0)?;
    let slash = scan::skip(v, end, scan::LWS);
    if v.get(slash) != Some(&b'/') {
        return Err(lex::unexpected(v, slash));
    }
    let (subtype, end) = lex::token(v, scan::skip(v, slash + 1, scan::LWS))?;
    Ok((kind, subtype, end))
}

/// Whether `v` is `type/subtype` without white space and parameters.
pub(crate) fn is_media_type(v: &[u8]) -> bool {
    let end = scan::skip(v, 0, scan::TOKEN);
    end > 0 && v.get(end) == Some(&b'/') && scan::all(v.get(end + 1..).unwrap_or_default(), scan::TOKEN)
}

/// The value of Content-Type (RFC 3261 section 20.15): `multipart/mixed;boundary=unique-boundary-1`.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    kind: Token<'a>,
    subtype: Token<'a>,
    params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// The type: `application`.
    pub fn kind(&self) -> Token<'a> {
        self.kind
    }

    /// The subtype: `sdp`.
    pub fn subtype(&self) -> Token<'a> {
        self.subtype
    }

    /// Whether this is `kind/subtype`, whatever the parameters: `is("application/sdp")`.
    pub fn is(&self, media_type: &str) -> bool {
        media_type.split_once('/').is_some_and(|(kind, subtype)| self.kind == kind && self.subtype == subtype)
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `charset` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn charset(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.value("charset")
    }

    /// The `boundary` parameter of a multipart type.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn boundary(&self) -> Read<Option<ParamValue<'a>>> {
        self.params.value("boundary")
    }
}

impl<'a> FieldValue<'a> for MediaType<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (kind, subtype, end) = type_and_subtype(v)?;
        Ok(MediaType { kind: Token::new(kind), subtype: Token::new(subtype), params: lex::params(v, end)? })
    }
}

impl Check for MediaType<'_> {
    fn check(&self) -> Read<()> {
        // m-parameter = m-attribute EQUAL m-value: the value is not optional.
        for param in self.params {
            let param = param?;
            if param.value.is_none() {
                return fault(ValueFault::Param, self.params.offset_of(&param));
            }
        }
        self.params.check()
    }
}

macro_rules! preference {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// The preference in thousandths: 1000 unless there is a `q` parameter.
            ///
            /// # Errors
            ///
            /// The parameters up to `q` are malformed, or it is not a `qvalue`.
            pub fn q(&self) -> Read<u16> {
                Ok(lex::q_param(&self.params, "q")?.unwrap_or(1000))
            }

            /// The parameters.
            pub fn params(&self) -> Params<'a> {
                self.params
            }
        }

        impl Check for $name<'_> {
            fn check(&self) -> Read<()> {
                self.q()?;
                self.params.check()
            }
        }
    };
}

/// One value of Accept (RFC 3261 section 20.1): `application/sdp;level=1`, `text/*;q=0.5`, `*/*`.
#[derive(Clone, Copy, Debug)]
pub struct MediaRange<'a> {
    kind: Token<'a>,
    subtype: Token<'a>,
    params: Params<'a>,
}

preference!(MediaRange);

impl<'a> MediaRange<'a> {
    /// The type; `*` for any.
    pub fn kind(&self) -> Token<'a> {
        self.kind
    }

    /// The subtype; `*` for any.
    pub fn subtype(&self) -> Token<'a> {
        self.subtype
    }

    /// Whether `media_type`, written `kind/subtype`, is in this range. Parameters are not looked at.
    pub fn accepts(&self, media_type: &str) -> bool {
        let Some((kind, subtype)) = media_type.split_once('/') else { return false };
        (self.kind == "*" || self.kind == kind) && (self.subtype == "*" || self.subtype == subtype)
    }
}

impl<'a> FieldValue<'a> for MediaRange<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (kind, subtype, end) = type_and_subtype(v)?;
        if kind == "*" && subtype != "*" {
            return fault(ValueFault::Form, 0);
        }
        Ok(MediaRange { kind: Token::new(kind), subtype: Token::new(subtype), params: lex::params(v, end)? })
    }
}

/// One value of Accept-Encoding (RFC 3261 section 20.2): `gzip`, `identity;q=0.5`, `*`.
#[derive(Clone, Copy, Debug)]
pub struct CodingRange<'a> {
    coding: Token<'a>,
    params: Params<'a>,
}

preference!(CodingRange);

impl<'a> CodingRange<'a> {
    /// The content coding; `*` for any.
    pub fn coding(&self) -> Token<'a> {
        self.coding
    }
}

impl<'a> FieldValue<'a> for CodingRange<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (coding, end) = lex::token(v, 0)?;
        Ok(CodingRange { coding: Token::new(coding), params: lex::params(v, end)? })
    }
}

/// One value of Accept-Language (RFC 3261 section 20.3): `da`, `en-gb;q=0.8`, `*`.
#[derive(Clone, Copy, Debug)]
pub struct LanguageRange<'a> {
    range: Token<'a>,
    params: Params<'a>,
}

preference!(LanguageRange);

impl<'a> LanguageRange<'a> {
    /// The language range; `*` for any.
    pub fn range(&self) -> Token<'a> {
        self.range
    }

    /// Whether `tag` is in this range: equal to it, or to its beginning up to a hyphen.
    pub fn accepts(&self, tag: &str) -> bool {
        let range = self.range.as_str();
        let begins = tag.as_bytes().get(..range.len()).is_some_and(|part| part.eq_ignore_ascii_case(range.as_bytes()));
        range == "*" || begins && matches!(tag.as_bytes().get(range.len()), None | Some(b'-'))
    }
}

impl<'a> FieldValue<'a> for LanguageRange<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (range, end) = match v.first() {
            Some(b'*') => ("*", 1),
            _ => lex::language_tag(v, 0)?,
        };
        Ok(LanguageRange { range: Token::new(range), params: lex::params(v, end)? })
    }
}
