//! Header field parameters: `;name` and `;name=value`.

use crate::error::{ValueError, ValueFault};
use crate::scan;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// The parameters of a header field value, in order (`generic-param` of RFC 3261 section 25.1).
///
/// An iterator over them, and look-ups by name. Names are compared without regard to case.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the value, for errors.
    offset: usize,
}

impl<'a> Params<'a> {
    /// `rest` is what follows the value proper: empty, or white space and parameters, the first `;` included.
    #[inline]
    pub(crate) fn new(rest: &'a [u8], offset: usize) -> Self {
        Params { rest, offset }
    }

    /// The parameters as they were written, the first `;` included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The first parameter named `name`.
    ///
    /// # Errors
    ///
    /// A parameter before it is malformed.
    #[inline]
    pub fn get(&self, name: &str) -> Result<Option<Param<'a>>, ValueError> {
        Ok(self.find(name)?.map(Raw::param))
    }

    #[inline]
    fn find(&self, name: &str) -> Result<Option<Raw<'a>>, ValueError> {
        let mut rest = *self;
        while let Some(raw) = rest.next_raw()? {
            if raw.name.eq_ignore_ascii_case(name.as_bytes()) {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }

    /// Takes the first parameter off.
    #[inline]
    pub(crate) fn next_raw(&mut self) -> Result<Option<Raw<'a>>, ValueError> {
        let v = self.rest;
        let at = if v.first() == Some(&b';') { 0 } else { scan::skip(v, 0, scan::LWS) };
        if at == v.len() {
            return Ok(None);
        }
        match one(v, at) {
            Ok((raw, end)) => {
                self.rest = v.get(end..).unwrap_or_default();
                self.offset += end;
                Ok(Some(raw))
            }
            Err((kind, at)) => {
                self.rest = &[];
                Err(ValueError::new(kind, self.offset + at))
            }
        }
    }

    /// The value of the first parameter named `name`; `None` also if it has no value.
    ///
    /// # Errors
    ///
    /// As [`get`](Params::get).
    #[inline]
    pub fn value(&self, name: &str) -> Result<Option<ParamValue<'a>>, ValueError> {
        Ok(self.get(name)?.and_then(|param| param.value))
    }

    /// Whether there is a parameter named `name`, with or without value.
    ///
    /// # Errors
    ///
    /// As [`get`](Params::get).
    pub fn has(&self, name: &str) -> Result<bool, ValueError> {
        Ok(self.get(name)?.is_some())
    }

    /// The value of the parameter `name` as a `token`.
    ///
    /// # Errors
    ///
    /// As [`get`](Params::get), and if the value is missing or not a token.
    #[inline]
    pub fn token(&self, name: &str) -> Result<Option<&'a str>, ValueError> {
        Ok(self.token_bytes(name)?.map(scan::text))
    }

    /// As [`token`](Params::token).
    #[inline]
    pub(crate) fn token_bytes(&self, name: &str) -> Result<Option<&'a [u8]>, ValueError> {
        if let Some(value) = self.first_token(name) {
            return Ok(Some(value));
        }
        match self.find(name)? {
            None => Ok(None),
            Some(Raw { value: Some(value), token: true, .. }) => Ok(Some(value)),
            Some(raw) => Err(ValueError::new(ValueFault::Param, self.offset_of(&raw.param()))),
        }
    }

    /// The value of the first parameter if that is `name=token`, as nearly all tags are, and nothing else; `None` says nothing.
    #[inline]
    fn first_token(&self, name: &str) -> Option<&'a [u8]> {
        let (written, value) = self.rest.strip_prefix(b";")?.split_at_checked(name.len())?;
        let value = value.strip_prefix(b"=").filter(|_| written.eq_ignore_ascii_case(name.as_bytes()))?;
        let end = scan::skip(value, 0, scan::TOKEN);
        let ended = matches!(value.get(end), None | Some(b';'));
        value.get(..end).filter(|token| ended && !token.is_empty())
    }

    /// Whether the value of `param`, one of these parameters, is a `token`.
    #[inline]
    pub(crate) fn check_token(&self, param: &Param<'a>) -> Result<(), ValueError> {
        match param.value {
            Some(ParamValue(v)) if scan::all(v, scan::TOKEN) => Ok(()),
            _ => Err(ValueError::new(ValueFault::Param, self.offset_of(param))),
        }
    }

    /// The value of the parameter `name` as a decimal number up to `max`.
    ///
    /// # Errors
    ///
    /// As [`get`](Params::get), and if the value is missing, not a number, or above `max`.
    pub fn number(&self, name: &str, max: u64) -> Result<Option<u64>, ValueError> {
        let Some(param) = self.get(name)? else { return Ok(None) };
        self.number_of(&param, max).map(Some)
    }

    /// The value of `param`, one of these parameters, as a decimal number up to `max`.
    pub(crate) fn number_of(&self, param: &Param<'a>, max: u64) -> Result<u64, ValueError> {
        let number = param.value.and_then(|v| scan::decimal(v.0)).filter(|&n| n <= max);
        number.ok_or(ValueError::new(ValueFault::Number, self.offset_of(param)))
    }

    /// Where the value of `param`, one of these parameters, stands in the header field value; for a parameter without
    /// value, where its name stands.
    pub(crate) fn offset_of(&self, param: &Param<'a>) -> usize {
        let at = param.value.map_or(param.name.as_bytes(), |value| value.0);
        self.offset + (at.as_ptr() as usize).saturating_sub(self.rest.as_ptr() as usize)
    }

    /// Where the first parameter named `name` stands, its semicolon included, counted as errors are.
    pub(crate) fn place(&self, name: &str) -> Result<Option<Range<usize>>, ValueError> {
        let mut rest = *self;
        loop {
            let from = rest.offset;
            match rest.next() {
                None => return Ok(None),
                Some(param) if param?.name.eq_ignore_ascii_case(name) => return Ok(Some(from..rest.offset)),
                Some(_) => {}
            }
        }
    }

    /// The same for several names, in one walk that goes on until all that are given have been met.
    pub(crate) fn places<const N: usize>(
        &self,
        mut names: [Option<&str>; N],
    ) -> Result<[Option<Range<usize>>; N], ValueError> {
        let mut places = [const { None }; N];
        let mut rest = *self;
        while names.iter().any(Option::is_some) {
            let from = rest.offset;
            let Some(raw) = rest.next_raw()? else { break };
            for (place, name) in places.iter_mut().zip(&mut names) {
                if name.is_some_and(|name| raw.name.eq_ignore_ascii_case(name.as_bytes())) {
                    (*place, *name) = (Some(from..rest.offset), None);
                }
            }
        }
        Ok(places)
    }

    /// Where the parameters end in the header field value.
    pub(crate) fn end(&self) -> usize {
        self.offset + self.rest.len()
    }

    /// Reads all parameters and says what is wrong with the first malformed one; a name must not occur twice.
    pub(crate) fn check(&self) -> Result<(), ValueError> {
        self.check_each(|_| Ok(()))
    }

    /// As [`check`](Params::check), and calls `check` for each parameter on the way.
    pub(crate) fn check_each(
        &self,
        mut check: impl FnMut(&Param<'a>) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        let mut names = smallvec::SmallVec::<[&[u8]; 16]>::new();
        for param in *self {
            let param = param?;
            check(&param)?;
            names.push(param.name.as_bytes());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
        //# Even though an arbitrary number of parameter pairs may be attached to
        //# a header field value, any given parameter-name MUST NOT appear more
        //# than once.
        match repeated(&mut names) {
            None => Ok(()),
            Some(name) => {
                let at = (name.as_ptr() as usize).saturating_sub(self.rest.as_ptr() as usize);
                Err(ValueError::new(ValueFault::Param, self.offset + at))
            }
        }
    }
}

/// The first of `names`, slices of one text in their order there, that stood before it already.
pub(crate) fn repeated<'a>(names: &mut [&'a [u8]]) -> Option<&'a [u8]> {
    if names.len() < 2 {
        return None;
    }
    names.sort_unstable_by(|a, b| {
        let by_name = a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
        by_name.then(a.as_ptr().cmp(&b.as_ptr()))
    });
    let again = names.windows(2).filter_map(|pair| match pair {
        [a, b] if a.eq_ignore_ascii_case(b) => Some(*b),
        _ => None,
    });
    again.min_by_key(|name| name.as_ptr())
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.next_raw() {
            Ok(raw) => raw.map(|raw| Ok(raw.param())),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A parameter as it was read.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
    /// Whether the value is a `token`.
    pub(crate) token: bool,
}

impl<'a> Raw<'a> {
    #[inline]
    pub(crate) fn param(self) -> Param<'a> {
        Param { name: scan::text(self.name), value: self.value.map(ParamValue) }
    }
}

type At<T> = Result<T, (ValueFault, usize)>;

/// The parameter whose semicolon is at `v[at]`, and where it ends.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
//# These special characters MUST be in a quoted string to
//# be used within a parameter value.
#[inline]
fn one(v: &[u8], at: usize) -> At<(Raw<'_>, usize)> {
    if v.get(at) != Some(&b';') {
        return Err((ValueFault::Trailing, at));
    }
    let mut name_at = at + 1;
    if v.get(name_at).is_some_and(|&b| scan::is(b, scan::LWS)) {
        name_at = scan::skip(v, name_at, scan::LWS);
    }
    let name_end = scan::skip(v, name_at, scan::TOKEN);
    let name = v.get(name_at..name_end).unwrap_or_default();
    if name.is_empty() {
        return Err((ValueFault::Param, name_at));
    }
    let mut end = name_end;
    if v.get(end).is_some_and(|&b| scan::is(b, scan::LWS)) {
        end = scan::skip(v, end, scan::LWS);
    }
    if v.get(end) != Some(&b'=') {
        return Ok((Raw { name, value: None, token: false }, name_end));
    }
    let mut from = end + 1;
    if v.get(from).is_some_and(|&b| scan::is(b, scan::LWS)) {
        from = scan::skip(v, from, scan::LWS);
    }
    let token_end = scan::skip(v, from, scan::TOKEN);
    let end = match v.get(token_end) {
        Some(b'"') if token_end == from => quoted_string(v, from)?,
        Some(b'[' | b']' | b':') => scan::skip(v, token_end, scan::PARAM_VALUE),
        _ => token_end,
    };
    match v.get(from..end) {
        Some(value) if !value.is_empty() => Ok((Raw { name, value: Some(value), token: end == token_end }, end)),
        _ => Err((ValueFault::Param, from)),
    }
}

/// Checks the quoted string that opens at `v[open]`; returns its end.
pub(crate) fn quoted_string(v: &[u8], open: usize) -> At<usize> {
    // Most have neither escapes nor white space other than SP: their inside is checked without a table.
    let inside = v.get(open + 1..).unwrap_or_default();
    if let Some(len) = memchr::memchr2(b'"', b'\\', inside) {
        let text = inside.get(..len).unwrap_or_default();
        if inside.get(len) == Some(&b'"') && text.iter().fold(true, |fits, &b| fits & (b >= b' ') & (b != 0x7f)) {
            return Ok(open + len + 2);
        }
    }
    let mut at = open + 1;
    loop {
        match v.get(at) {
            None => return Err((ValueFault::Unclosed, open)),
            Some(b'"') => return Ok(at + 1),
            // quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
            Some(b'\\') => match v.get(at + 1) {
                Some(0..=9 | 11 | 12 | 14..=0x7f) => at += 2,
                _ => return Err((ValueFault::Character, at)),
            },
            Some(&b) if scan::is(b, scan::QDTEXT) => at += 1,
            Some(_) => return Err((ValueFault::Character, at)),
        }
    }
}

/// One parameter of a header field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as it was written.
    pub name: &'a str,
    /// The value; `None` for a parameter without one.
    pub value: Option<ParamValue<'a>>,
}

/// The value of a parameter: a token, a host, or a quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamValue<'a>(pub(crate) &'a [u8]);

impl<'a> ParamValue<'a> {
    /// The value as it was written, the quotes of a quoted string included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value as it was written; `None` if it is not UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        core::str::from_utf8(self.0).ok()
    }

    /// Whether the value is a quoted string.
    pub fn is_quoted(self) -> bool {
        self.0.first() == Some(&b'"')
    }

    /// The value without its quotes, escapes left in.
    pub fn without_quotes(self) -> &'a [u8] {
        match self.0 {
            [b'"', inner @ .., b'"'] => inner,
            token => token,
        }
    }

    /// The value without quotes, with its `\` escapes resolved and each fold as one space: what Digest calls `unq()`. Borrowed unless there
    /// are escapes or folds.
    pub fn unquoted(self) -> Cow<'a, [u8]> {
        unquote(self.0)
    }

    /// Whether the value, unquoted, equals `text` without regard to case.
    pub fn eq_ignore_case(self, text: &str) -> bool {
        self.unquoted().eq_ignore_ascii_case(text.as_bytes())
    }
}

/// The contents of a quoted string, escapes and folds resolved; anything else as it is.
pub(crate) fn unquote(v: &[u8]) -> Cow<'_, [u8]> {
    match v {
        [b'"', inner @ .., b'"'] => unescape(inner),
        _ => Cow::Borrowed(v),
    }
}

/// What stands between the quotes of a quoted string, with its `\` escapes resolved: what a realm or nonce is to people and to Digest, kept
/// as it was written to be given back so. Borrowed unless there are escapes. A `\` at the end stands for nothing.
///
/// ```
/// assert_eq!(sip_message::unescaped(r#"say \"hi\""#), r#"say "hi""#);
/// ```
pub fn unescaped(inner: &str) -> Cow<'_, str> {
    match unescape(inner.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(inner),
        // Text without some of its backslashes is text.
        Cow::Owned(plain) => Cow::Owned(String::from_utf8_lossy(&plain).into_owned()),
    }
}

/// What a piece of a value means: escapes resolved, folds as spaces.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
//# The line break and the whitespace at the beginning of the next line
//# are treated as a single SP character.
pub(crate) fn unescape(inner: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr3(b'\\', b'\r', b'\n', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().peekable();
    while let Some(&b) = bytes.next() {
        match b {
            b'\\' => out.extend(bytes.next()),
            b'\r' | b'\n' => {
                while bytes.next_if(|&&b| scan::is(b, scan::LWS)).is_some() {}
                out.push(b' ');
            }
            _ => out.push(b),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(v: &str) -> Params<'_> {
        Params::new(v.as_bytes(), 0)
    }

    #[test]
    fn names_ignore_case_and_values_keep_theirs() {
        let p = params(";Tag=AbC ; lr;x = \"a;b\\\"c\"");
        assert_eq!(p.token("tag").unwrap(), Some("AbC"));
        assert!(p.has("LR").unwrap());
        assert_eq!(p.value("lr").unwrap(), None);
        assert_eq!(&*p.value("x").unwrap().unwrap().unquoted(), b"a;b\"c");
        assert_eq!(p.get("y").unwrap(), None);
        assert_eq!(p.count(), 3);
        p.check().unwrap();
    }

    #[test]
    fn malformed_parameters_are_errors_at_their_place() {
        for (v, kind, offset) in [
            (";;a", ValueFault::Param, 1),
            (";a=", ValueFault::Param, 3),
            (";a=1 b", ValueFault::Trailing, 5),
            ("a=1", ValueFault::Trailing, 0),
            (";a=\"b", ValueFault::Unclosed, 3),
            (";a=\"b\u{1}\"", ValueFault::Character, 5),
            (";a=@", ValueFault::Param, 3),
            (";a=1;", ValueFault::Param, 5),
        ] {
            assert_eq!(params(v).check(), Err(ValueError::new(kind, offset)), "{v:?}");
        }
    }

    #[test]
    fn a_name_must_not_occur_twice() {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
        //= type=test
        //# any given parameter-name MUST NOT appear more
        //# than once.
        assert!(params(";a=1;b;A=2").check().is_err());
        assert!(params(";a=1;b;ab=2").check().is_ok());
    }
}
