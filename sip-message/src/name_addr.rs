//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route and their kin.

use crate::error::{ValueError, ValueFault};
use crate::headers::lex;
use crate::params::{self, Param, ParamValue, Params};
use crate::scan;
use crate::uri::Uri;
use crate::value::FieldValue;
use alloc::borrow::Cow;

/// A display name, a URI and parameters: the value of From, To, Contact, Route, Record-Route, Refer-To and others
/// (RFC 3261 section 20.10).
///
/// In the form without angle brackets, parameters belong to the header field, not to the URI.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    display: &'a [u8],
    uri: &'a [u8],
    uri_offset: usize,
    bracketed: bool,
    params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// The display name as it was written, quotes included; empty if there is none.
    pub fn display_bytes(&self) -> &'a [u8] {
        self.display
    }

    /// The display name, unquoted and with each fold as one space; `None` if there is none. Bytes that are not UTF-8 are replaced by
    /// U+FFFD.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        if self.display.is_empty() {
            return None;
        }
        let name = match self.display {
            [b'"', inner @ .., b'"'] => inner,
            tokens => tokens,
        };
        Some(match params::unescape(name) {
            Cow::Borrowed(v) => alloc::string::String::from_utf8_lossy(v),
            Cow::Owned(v) => Cow::Owned(alloc::string::String::from_utf8_lossy(&v).into_owned()),
        })
    }

    /// The URI as it was written, without angle brackets.
    #[inline]
    pub fn uri_bytes(&self) -> &'a [u8] {
        self.uri
    }

    /// The URI.
    ///
    /// # Errors
    ///
    /// The URI is malformed for its scheme.
    #[inline]
    pub fn uri(&self) -> Result<Uri<'a>, ValueError> {
        Uri::parse(self.uri).map_err(|error| ValueError::new(ValueFault::Uri, self.uri_offset + error.offset))
    }

    /// Whether [`uri`](NameAddr::uri) reads the URI, without doing it if that can be told.
    #[inline]
    pub(crate) fn check_uri(&self) -> Result<(), ValueError> {
        Uri::check(self.uri).map_err(|error| ValueError::new(ValueFault::Uri, self.uri_offset + error.offset))
    }

    /// Whether the URI stood in angle brackets.
    pub fn is_bracketed(&self) -> bool {
        self.bracketed
    }

    /// The header parameters.
    #[inline]
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `tag` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    #[inline]
    pub fn tag(&self) -> Result<Option<&'a str>, ValueError> {
        self.params.token("tag")
    }

    /// Checks all of it: display name, URI and parameters. Whether this header may have a URI with a port or such
    /// parameters is not asked.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //# Elements processing URIs SHOULD ignore any disallowed components if
    //# they are present.
    pub(crate) fn check(&self) -> Result<(), ValueError> {
        self.check_uri()?;
        self.params.check()
    }
}

/// The address of a URI, without a name and parameters.
impl<'a> From<&'a Uri<'a>> for NameAddr<'a> {
    fn from(uri: &'a Uri<'a>) -> Self {
        let uri = uri.as_str().as_bytes();
        NameAddr { display: &[], uri, uri_offset: 0, bracketed: true, params: Params::new(&[], uri.len()) }
    }
}

impl<'a> FieldValue<'a> for NameAddr<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        let Some((open, close)) = brackets(v)? else { return addr_spec(v) };
        let behind = close + 1;
        let params = v.get(behind..).unwrap_or_default();
        Ok(NameAddr {
            display: scan::trim_end(v.get(..open).unwrap_or_default()),
            uri: v.get(open + 1..close).unwrap_or_default(),
            uri_offset: open + 1,
            bracketed: true,
            params: Params::new(params, behind),
        })
    }
}

/// Where the angle brackets around the URI are; `None` if the value is an addr-spec.
#[inline]
fn brackets(v: &[u8]) -> Result<Option<(usize, usize)>, ValueError> {
    let open = if v.first() == Some(&b'<') { Some(0) } else { behind_display_name(v)? };
    let Some(open) = open else { return Ok(None) };
    let close = scan::find(v, open + 1, b'>').ok_or(ValueError::new(ValueFault::Unclosed, open))?;
    Ok(Some((open, close)))
}

/// Where the bracket behind the display name is, with which `v` begins; `None` if it is an addr-spec.
fn behind_display_name(v: &[u8]) -> Result<Option<usize>, ValueError> {
    let error = |kind, offset| Err(ValueError::new(kind, offset));
    match v.first() {
        None => error(ValueFault::Empty, 0),
        Some(b'"') => {
            let end = params::quoted_string(v, 0).map_err(|(kind, at)| ValueError::new(kind, at))?;
            let open = scan::skip(v, end, scan::LWS);
            match v.get(open) {
                Some(b'<') => Ok(Some(open)),
                None => error(ValueFault::Incomplete, open),
                Some(_) => error(ValueFault::Character, open),
            }
        }
        Some(_) => {
            // A display name is tokens and white space up to `<`; in an addr-spec, `:` ends the scheme.
            let at = scan::skip(v, 0, scan::TOKEN | scan::LWS);
            match v.get(at) {
                Some(b'<') => Ok(Some(at)),
                Some(b':') => Ok(None),
                None => error(ValueFault::Incomplete, at),
                Some(_) => error(ValueFault::Character, at),
            }
        }
    }
}

/// Whether `v` can be read as a [`NameAddr`], without doing it.
#[inline]
pub(crate) fn check_form(v: &[u8]) -> Result<(), ValueError> {
    match brackets(v)? {
        Some(_) => Ok(()),
        None => addr_spec(v).map(drop),
    }
}

/// The tag of a [`NameAddr`] in brackets that has no parameter but that, or none at all; `None` says nothing.
#[inline]
pub(crate) fn only_tag(v: &[u8]) -> Option<Option<&[u8]>> {
    let (_, close) = brackets(v).ok()??;
    let params = v.get(close + 1..)?;
    if params.is_empty() {
        return Some(None);
    }
    let tag = params.strip_prefix(b";tag=")?;
    scan::all(tag, scan::TOKEN).then_some(Some(tag))
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
//# If no "<" and ">" are present, all
//# parameters after the URI are header parameters, not URI parameters.
fn addr_spec(v: &[u8]) -> Result<NameAddr<'_>, ValueError> {
    let end = v.iter().position(|&b| matches!(b, b';' | b'?' | b',') || scan::is(b, scan::LWS)).unwrap_or(v.len());
    if matches!(v.get(end), Some(b'?' | b',')) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //# If the URI contains a comma, question mark or semicolon, the URI
        //# MUST be enclosed in angle brackets (< and >).
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
        //# Even if the "display-name" is empty, the
        //# "name-addr" form MUST be used if the "addr-spec" contains a comma,
        //# semicolon, or question mark.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
        //# Even if the "display-name" is empty, the
        //# "name-addr" form MUST be used if the "addr-spec" contains a comma,
        //# question mark, or semicolon.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.31
        //# Even if the "display-name" is empty, the
        //# "name-addr" form MUST be used if the "addr-spec" contains a comma,
        //# question mark, or semicolon.
        return Err(ValueError::new(ValueFault::Brackets, end));
    }
    Ok(NameAddr {
        display: &[],
        uri: v.get(..end).unwrap_or_default(),
        uri_offset: 0,
        bracketed: false,
        params: Params::new(v.get(end..).unwrap_or_default(), end),
    })
}

/// The value of a Contact header field: an address, or `*`.
#[derive(Clone, Copy, Debug)]
pub enum Contact<'a> {
    /// `*`: all bindings (RFC 3261 section 10.2.2).
    Any,
    /// An address with its parameters.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// The address; `None` for `*`.
    pub fn address(&self) -> Option<&NameAddr<'a>> {
        match self {
            Contact::Any => None,
            Contact::Address(address) => Some(address),
        }
    }

    /// The `q` parameter in thousandths, 0 to 1000.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a `qvalue`.
    pub fn q(&self) -> Result<Option<u16>, ValueError> {
        self.number("q", qvalue)
    }

    /// The `expires` parameter in seconds. A value above 2^32 - 1 reads as that (RFC 3261 section 20.10 makes a
    /// malformed one equal to 3600, which is the registrar's to apply).
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a number.
    pub fn expires(&self) -> Result<Option<u32>, ValueError> {
        self.number("expires", seconds)
    }

    /// The `+sip.instance` parameter without its quotes (RFC 5626): `<urn:uuid:...>`.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn instance_id(&self) -> Result<Option<Cow<'a, [u8]>>, ValueError> {
        let instance = self.address().map_or(Ok(None), |address| address.params.value("+sip.instance"))?;
        Ok(instance.map(ParamValue::unquoted))
    }

    /// The `reg-id` parameter (RFC 5626): 1 to 2^31 - 1.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not such a number.
    pub fn reg_id(&self) -> Result<Option<u32>, ValueError> {
        self.number("reg-id", reg_id)
    }

    /// The parameters a registrar reads, in one pass over all of them, each of which is shown to `each`. `*` has none.
    ///
    /// # Errors
    ///
    /// A parameter is malformed.
    pub fn read_params(&self, mut each: impl FnMut(&Param<'a>)) -> Result<ContactParams<'a>, ValueError> {
        let mut all = ContactParams::default();
        let Some(address) = self.address() else { return Ok(all) };
        let mut instance = false;
        for param in address.params {
            let param = param?;
            each(&param);
            let is = |name: &str| param.name.eq_ignore_ascii_case(name);
            let wrong = || ValueError::new(ValueFault::Number, address.params.offset_of(&param));
            let value = param.value.map(ParamValue::as_bytes);
            match param.name.len() {
                1 if is("q") && all.q == Ok(None) => all.q = value.and_then(qvalue).ok_or_else(wrong).map(Some),
                6 if is("reg-id") && all.reg_id == Ok(None) => {
                    all.reg_id = value.and_then(reg_id).ok_or_else(wrong).map(Some);
                }
                7 if is("expires") && all.expires == Ok(None) => {
                    all.expires = value.and_then(seconds).ok_or_else(wrong).map(Some);
                }
                13 if !instance && is("+sip.instance") => {
                    instance = true;
                    all.instance_id = param.value.map(ParamValue::unquoted);
                }
                _ => {}
            }
        }
        Ok(all)
    }

    fn number<T>(&self, name: &str, read: impl FnOnce(&'a [u8]) -> Option<T>) -> Result<Option<T>, ValueError> {
        self.address().map_or(Ok(None), |address| lex::param_as(&address.params, name, ValueFault::Number, read))
    }
}

impl<'a> FieldValue<'a> for Contact<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        match v {
            b"*" => Ok(Contact::Any),
            _ => NameAddr::parse_value(v).map(Contact::Address),
        }
    }
}

/// The parameters of a Contact value that a registrar reads: [`Contact::read_params`]. Of each the first, as the method of [`Contact`] with its
/// name gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContactParams<'a> {
    /// `q`.
    pub q: Result<Option<u16>, ValueError>,
    /// `expires`.
    pub expires: Result<Option<u32>, ValueError>,
    /// `+sip.instance`.
    pub instance_id: Option<Cow<'a, [u8]>>,
    /// `reg-id`.
    pub reg_id: Result<Option<u32>, ValueError>,
}

impl Default for ContactParams<'_> {
    fn default() -> Self {
        ContactParams { q: Ok(None), expires: Ok(None), instance_id: None, reg_id: Ok(None) }
    }
}

/// `reg-id`: 1 to 2^31 - 1.
fn reg_id(v: &[u8]) -> Option<u32> {
    scan::decimal(v).filter(|n| (1..1 << 31).contains(n)).map(|n| n as u32)
}

/// `delta-seconds`, capped at 2^32 - 1; `None` if it is not made of digits.
pub(crate) fn seconds(v: &[u8]) -> Option<u32> {
    scan::all(v, scan::DIGIT).then(|| scan::decimal(v).map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` in thousandths.
pub(crate) fn qvalue(v: &[u8]) -> Option<u16> {
    let (whole, fraction) = match v {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = 0;
    for i in 0..3 {
        let digit = fraction.get(i).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    match (whole, thousandths) {
        (b'1', 0) => Some(1000),
        (b'0', n) => Some(n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(v: &str) -> Result<NameAddr<'_>, ValueError> {
        NameAddr::parse_value(v.as_bytes())
    }

    #[test]
    fn a_tag_inside_a_quoted_display_name_is_not_the_tag() {
        let from = read(r#""x;tag=evil <sip:no@no>" <sip:alice@atlanta.com>;tag=good"#).unwrap();
        assert_eq!(from.tag(), Ok(Some("good")));
        assert_eq!(from.display_name().unwrap(), "x;tag=evil <sip:no@no>");
        let from = read(r#""say \"hi\"" <sip:alice@atlanta.com> ;TAG=1"#).unwrap();
        assert_eq!(from.tag(), Ok(Some("1")));
        assert_eq!(from.display_name().unwrap(), r#"say "hi""#);
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
        //= type=test
        //# If no "<" and ">" are present, all
        //# parameters after the URI are header parameters, not URI parameters.
        let to = read("sip:bob@biloxi.com;tag=a6c85cf;x=y").unwrap();
        assert_eq!((to.uri_bytes(), to.tag()), (&b"sip:bob@biloxi.com"[..], Ok(Some("a6c85cf"))));
        assert!(!to.is_bracketed());
    }

    #[test]
    fn a_question_mark_or_comma_needs_brackets() {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //= type=test
        //# If the URI contains a comma, question mark or semicolon, the URI
        //# MUST be enclosed in angle brackets (< and >).
        for v in ["sip:user@example.com?Route=%3Csip:sip.example.com%3E", "sip:a,b@example.com"] {
            assert_eq!(read(v).unwrap_err().kind, ValueFault::Brackets, "{v}");
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# The line break and the whitespace at the beginning of the next line
    //# are treated as a single SP character.
    #[test]
    fn a_fold_in_a_display_name_is_a_space() {
        for (v, name) in [
            ("Bob\r\n\t The Builder <sip:b@c>", "Bob The Builder"),
            ("\"Bob\r\n The \\\"Builder\\\"\" <sip:b@c>", "Bob The \"Builder\""),
            ("\"Bob \" <sip:b@c>", "Bob "),
        ] {
            assert_eq!(read(v).unwrap().display_name().as_deref(), Some(name), "{v:?}");
        }
    }

    #[test]
    fn display_names_are_tokens_or_quoted() {
        for v in ["Bob <sip:b@c>", "Bob The  Builder<sip:b@c>", "<sip:b@c>", "\"\"<sip:b@c>", "caller<sip:b@c>;tag=1"] {
            assert_eq!(read(v).unwrap().uri_bytes(), b"sip:b@c", "{v}");
        }
        for v in [
            "Bell, Alexander <sip:b@c>",
            "\"Bob <sip:b@c>",
            "Bob",
            "\"Bob\"",
            "Bob <sip:b@c",
            "\"a\" x <sip:b@c>",
            "",
            "\u{e9} <sip:a@b>",
        ] {
            assert!(read(v).is_err(), "{v}");
        }
    }

    #[test]
    fn q_values_have_at_most_three_digits() {
        for (v, q) in [("1", 1000), ("1.000", 1000), ("0", 0), ("0.5", 500), ("0.25", 250), ("0.", 0), ("0.001", 1)] {
            assert_eq!(qvalue(v.as_bytes()), Some(q), "{v}");
        }
        for v in ["", "2", "1.1", "0.0001", ".5", "-0", "0.a", "01"] {
            assert_eq!(qvalue(v.as_bytes()), None, "{v}");
        }
    }
}
