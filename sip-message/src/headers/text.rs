//! Text for people: Subject and Organization, the products of User-Agent and Server, Warning.

use super::check::Check;
use super::lex::{self, Read, fault, from, slice};
use crate::error::{ValueError, ValueFault};
use crate::params::ParamValue;
use crate::scan;
use crate::uri::host_port;
use crate::value::FieldValue;
use alloc::borrow::Cow;
use alloc::string::String;

/// Free text: Subject, Organization (`TEXT-UTF8-TRIM` of RFC 3261 section 25.1). May be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The text as it was written, folds included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text with every fold as one space, bytes that are not UTF-8 replaced by U+FFFD. Borrowed if there is
    /// neither.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //# The line break and the whitespace at the beginning of the next line
    //# are treated as a single SP character.
    pub fn to_text(self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.0);
        if memchr::memchr2(b'\r', b'\n', self.0).is_none() {
            return text;
        }
        let mut unfolded = String::with_capacity(text.len());
        for line in text.split(['\r', '\n']) {
            let line = if unfolded.is_empty() { line } else { line.trim_start_matches([' ', '\t']) };
            if !unfolded.is_empty() && !line.is_empty() {
                unfolded.push(' ');
            }
            unfolded.push_str(line);
        }
        Cow::Owned(unfolded)
    }
}

impl<'a> FieldValue<'a> for Text<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        match scan::skip(v, 0, scan::TEXT) {
            end if end == v.len() => Ok(Text(v)),
            end => fault(ValueFault::Character, end),
        }
    }

    /// Not a list.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for Text<'_> {
    fn check(&self) -> Read<()> {
        match core::str::from_utf8(self.0) {
            Ok(_) => Ok(()),
            Err(error) => fault(ValueFault::Character, error.valid_up_to()),
        }
    }
}

/// One part of User-Agent or Server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product<'a> {
    /// A product, and its version if it tells it: `softphone/1.2`.
    Product {
        /// The name.
        name: &'a str,
        /// The version.
        version: Option<&'a str>,
    },
    /// A comment without its outer parentheses.
    Comment(&'a [u8]),
}

/// The value of User-Agent or Server (RFC 3261 sections 20.41 and 20.35): products and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Products<'a>(&'a [u8]);

impl<'a> Products<'a> {
    /// The value as it was written.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its products and comments in order. A malformed part is an error, and the last item.
    pub fn iter(&self) -> impl Iterator<Item = Read<Product<'a>>> {
        let v = self.0;
        let mut at = 0;
        core::iter::from_fn(move || {
            at = scan::skip(v, at, scan::LWS);
            if at >= v.len() {
                return None;
            }
            let result = product(v, at);
            at = result.as_ref().map_or(v.len(), |(_, end)| *end);
            Some(result.map(|(product, _)| product))
        })
    }
}

/// `product / comment` at `v[at]`, and where it ends.
fn product(v: &[u8], at: usize) -> Read<(Product<'_>, usize)> {
    if v.get(at) == Some(&b'(') {
        let end = lex::comment(v, at)?;
        return Ok((Product::Comment(slice(v, at + 1, end - 1)), end));
    }
    let (name, end) = lex::token(v, at)?;
    let slash = scan::skip(v, end, scan::LWS);
    let (version, end) = match v.get(slash) {
        Some(b'/') => {
            let (version, end) = lex::token(v, scan::skip(v, slash + 1, scan::LWS))?;
            (Some(version), end)
        }
        _ => (None, end),
    };
    match v.get(end) {
        // LPAREN takes the white space before it, so that a comment may follow at once.
        Some(&b) if b != b'(' && !scan::is(b, scan::LWS) => fault(ValueFault::Character, end),
        _ => Ok((Product::Product { name, version }, end)),
    }
}

impl<'a> FieldValue<'a> for Products<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        if v.is_empty() { fault(ValueFault::Empty, 0) } else { Ok(Products(v)) }
    }

    /// Not a list: a comment may hold commas.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for Products<'_> {
    fn check(&self) -> Read<()> {
        self.iter().try_for_each(|product| product.map(drop))
    }
}

/// One value of Warning (RFC 3261 section 20.43): `307 isi.edu "Session parameter 'foo' not understood"`.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    code: u16,
    agent: &'a [u8],
    text: ParamValue<'a>,
}

impl<'a> Warning<'a> {
    /// The code: three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Who warns, as it was written: a host with or without port, or a pseudonym.
    pub fn agent(&self) -> &'a [u8] {
        self.agent
    }

    /// The text, a quoted string.
    pub fn text(&self) -> ParamValue<'a> {
        self.text
    }
}

impl<'a> FieldValue<'a> for Warning<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let code = match lex::run(v, 0, scan::DIGIT)? {
            (digits, 3) => scan::decimal(digits.as_bytes()).unwrap_or(0) as u16,
            _ => return fault(ValueFault::Number, 0),
        };
        let gap = |at| match scan::skip(v, at, scan::LWS) {
            next if next > at => Ok(next),
            _ => Err(lex::unexpected(v, at)),
        };
        let agent_at = gap(3)?;
        let agent_end = agent_at
            + from(v, agent_at).iter().position(|&b| scan::is(b, scan::LWS) || b == b'"').unwrap_or(v.len() - agent_at);
        let agent = slice(v, agent_at, agent_end);
        // hostport / pseudonym
        let is_host = || matches!(host_port::parse_prefix(agent), Ok((_, _, end)) if end == agent.len());
        if !scan::all(agent, scan::TOKEN) && !is_host() {
            return Err(match agent {
                [] => lex::unexpected(v, agent_at),
                _ => ValueError::new(ValueFault::Host, agent_at),
            });
        }
        let text_at = gap(agent_end)?;
        if v.get(text_at) != Some(&b'"') {
            return Err(lex::unexpected(v, text_at));
        }
        let end = lex::quoted_string(v, text_at)?;
        lex::end(v, end)?;
        Ok(Warning { code, agent, text: ParamValue(slice(v, text_at, end)) })
    }
}

impl Check for Warning<'_> {}
