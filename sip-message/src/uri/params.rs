//! Parameters and headers of URIs: `;name=value` and `?name=value&name=value`.
//!
//! The text has been checked when the URI was parsed; these iterators only take it apart.

use super::chars::{self, PARAM, Units};
use super::{Escaped, UriError, UriFault};
use smallvec::SmallVec;

/// One parameter of a URI.
#[derive(Clone, Copy, Debug)]
pub struct UriParam<'a> {
    /// The name as it was written.
    pub name: Escaped<'a>,
    /// The value; `None` if there is no `=`.
    pub value: Option<Escaped<'a>>,
}

/// The parameters of a URI, in order: an iterator, and look-ups by name without regard to case.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
//# Since the uri-parameter mechanism is extensible, SIP elements
//# MUST silently ignore any uri-parameters that they do not
//# understand.
#[derive(Clone, Copy, Debug)]
pub struct UriParams<'a>(pub(super) &'a [u8]);

impl<'a> UriParams<'a> {
    /// The parameters as they were written, the first `;` included; empty if there are none.
    pub fn as_str(&self) -> &'a str {
        crate::scan::text(self.0)
    }

    /// The parameter named `name`.
    #[inline]
    pub fn get(&self, name: &str) -> Option<UriParam<'a>> {
        { *self }.find(|param| param.name.eq_ignore_case(name))
    }

    /// The value of the parameter named `name`; `None` also if it has none.
    #[inline]
    pub fn value(&self, name: &str) -> Option<Escaped<'a>> {
        self.get(name)?.value
    }

    /// Whether there is a parameter named `name`, with or without value.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The parameter whose name equals `name`, which may hold escapes.
    pub(super) fn get_same(&self, name: Escaped<'_>) -> Option<UriParam<'a>> {
        { *self }.find(|param| chars::same_ignoring_case(param.name.0, name.0))
    }
}

impl<'a> Iterator for UriParams<'a> {
    type Item = UriParam<'a>;

    #[inline]
    fn next(&mut self) -> Option<UriParam<'a>> {
        let rest = self.0.get(1..)?;
        let end = rest.iter().position(|&b| matches!(b, b'=' | b';')).unwrap_or(rest.len());
        let name = Escaped(rest.get(..end).unwrap_or_default());
        let Some(after) = rest.get(end + 1..).filter(|_| rest.get(end) == Some(&b'=')) else {
            self.0 = rest.get(end..).unwrap_or_default();
            return Some(UriParam { name, value: None });
        };
        // isub of a tel URI may hold an = of its own, but no ;
        let end = after.iter().position(|&b| b == b';').unwrap_or(after.len());
        self.0 = after.get(end..).unwrap_or_default();
        Some(UriParam { name, value: Some(Escaped(after.get(..end).unwrap_or_default())) })
    }
}

/// Where the parameter without escapes ends whose semicolon is at `v[from]`; there, if it is none.
#[inline]
pub(super) fn one_end(v: &[u8], from: usize) -> usize {
    let name_end = chars::unescaped_end(v, from + 1, PARAM);
    let end = match v.get(name_end) {
        Some(b'=') => chars::unescaped_end(v, name_end + 1, PARAM),
        _ => return if name_end > from + 1 { name_end } else { from },
    };
    if name_end > from + 1 && end > name_end + 1 { end } else { from }
}

/// Checks the parameters at `v[from]`; returns where they end.
#[inline]
pub(super) fn parse(v: &[u8], from: usize) -> Result<usize, UriError> {
    let mut at = from;
    let mut count = 0;
    let mut names = Names::default();
    while v.get(at) == Some(&b';') {
        let name = at + 1;
        at = chars::run(v, name, PARAM);
        if at == name {
            return Err(UriError::new(UriFault::Param, at));
        }
        names.add(v.get(name..at).unwrap_or_default());
        if v.get(at) == Some(&b'=') {
            let value = at + 1;
            at = chars::run(v, value, PARAM);
            if at == value {
                return Err(UriError::new(UriFault::Param, at));
            }
        }
        count += 1;
    }
    if names.may_repeat {
        no_repeats(v.get(from..at).unwrap_or_default(), count, from)?;
    }
    Ok(at)
}

/// Tells most lists of different names from those in which one may be there twice.
#[derive(Default)]
struct Names {
    /// One bit per name, by its length and ends without regard to case.
    seen: u64,
    may_repeat: bool,
}

impl Names {
    #[inline]
    fn add(&mut self, name: &[u8]) {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return };
        let mixed = (first | 0x20).wrapping_mul(7) ^ (last | 0x20).wrapping_mul(13) ^ name.len() as u8;
        let bit = 1 << (mixed & 63);
        // What an escape stands for is not looked at here.
        let bits = if name.contains(&b'%') { u64::MAX } else { bit };
        self.may_repeat |= self.seen & bits != 0;
        self.seen |= bits;
    }
}

/// Checks that no name is in `params` twice. Allocates nothing up to 32 parameters.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
//# Even though an arbitrary number of URI parameters may be
//# included in a URI, any given parameter-name MUST NOT appear
//# more than once.
pub(super) fn no_repeats(params: &[u8], count: usize, offset: usize) -> Result<(), UriError> {
    let place = |name: &[u8]| offset + (name.as_ptr() as usize).saturating_sub(params.as_ptr() as usize);
    let error = |name| Err(UriError::new(UriFault::Param, place(name)));
    if count <= 6 {
        let mut params = UriParams(params);
        while let Some(param) = params.next() {
            if let Some(again) = params.get_same(param.name) {
                return error(again.name.0);
            }
        }
        return Ok(());
    }
    let mut names: SmallVec<[&[u8]; 32]> = UriParams(params).map(|param| param.name.0).collect();
    let by_name = |a: &[u8], b: &[u8]| Units(a).map(chars::fold).cmp(Units(b).map(chars::fold));
    names.sort_unstable_by(|a, b| by_name(a, b).then(a.as_ptr().cmp(&b.as_ptr())));
    let again = names.windows(2).filter_map(|pair| match pair {
        [a, b] if chars::same_ignoring_case(a, b) => Some(*b),
        _ => None,
    });
    again.min_by_key(|name| name.as_ptr()).map_or(Ok(()), error)
}

/// One header of a URI: to become a header field of a request formed from it, or its body.
#[derive(Clone, Copy, Debug)]
pub struct UriHeader<'a> {
    /// The name as it was written. `body` names the message body.
    pub name: Escaped<'a>,
    /// The value; may be empty.
    pub value: Escaped<'a>,
}

/// The headers of a SIP URI, in order.
#[derive(Clone, Copy, Debug)]
pub struct UriHeaders<'a>(pub(super) &'a [u8]);

impl<'a> UriHeaders<'a> {
    /// The headers as they were written, the `?` included; empty if there are none.
    pub fn as_str(&self) -> &'a str {
        crate::scan::text(self.0)
    }

    /// The value of the first header named `name`, without regard to case.
    pub fn get(&self, name: &str) -> Option<Escaped<'a>> {
        { *self }.find(|header| header.name.eq_ignore_case(name)).map(|header| header.value)
    }
}

impl<'a> Iterator for UriHeaders<'a> {
    type Item = UriHeader<'a>;

    fn next(&mut self) -> Option<UriHeader<'a>> {
        let rest = self.0.get(1..)?;
        let end = rest.iter().position(|&b| b == b'&').unwrap_or(rest.len());
        self.0 = rest.get(end..).unwrap_or_default();
        let header = rest.get(..end).unwrap_or_default();
        let equals = header.iter().position(|&b| b == b'=').unwrap_or(header.len());
        let name = Escaped(header.get(..equals).unwrap_or_default());
        Some(UriHeader { name, value: Escaped(header.get(equals + 1..).unwrap_or_default()) })
    }
}
