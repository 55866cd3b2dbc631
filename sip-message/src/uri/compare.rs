//! When two URIs are the same: RFC 3261 section 19.1.4 for SIP, RFC 3966 section 4 for telephone numbers; a hash that
//! agrees with both; and the address-of-record form of a SIP URI.
//!
//! Work is linear in the length of the URIs but for sorting their parameters. Up to eight parameters and no headers,
//! nothing is allocated.

use super::chars::{self, USER, Units};
use super::params::{UriHeaders, UriParam, UriParams};
use super::tel::is_separator;
use super::{Escaped, Host, OtherUri, SipUri, TelUri, Uri, UrnUri, build};
use crate::header::{Header, HeaderName};
use crate::name_addr::NameAddr;
use crate::params::Param;
use crate::value::FieldValue;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Write;
use core::hash::{Hash, Hasher};
use core::ops::Range;
use smallvec::SmallVec;

impl Uri<'_> {
    /// Whether both URIs name the same resource by the rules of their scheme: RFC 3261 section 19.1.4 for `sip:` and
    /// `sips:`, RFC 3966 section 4 for `tel:`. Of any other scheme, the scheme is compared without regard to case and
    /// the rest byte by byte; likewise the namespace of a URN, its escapes, and all of a `service` or `uuid` URN,
    /// without regard to case, and without what stands behind `?` or `#` in a URN (RFC 8141 section 3.1).
    ///
    /// Reflexive and symmetric. For SIP URIs it is not transitive: see [`SipUri::equivalent`].
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Uri::Sip(a), Uri::Sip(b)) => a.equivalent(b),
            (Uri::Tel(a), Uri::Tel(b)) => a.equivalent(b),
            (Uri::Urn(a), Uri::Urn(b)) => a.equivalent(b),
            (Uri::Other(a), Uri::Other(b)) => a.equivalent(b),
            _ => false,
        }
    }

    /// Hashes what equivalent URIs have in common: two URIs that are [`equivalent`](Uri::equivalent) hash alike.
    pub fn hash_canonical<H: Hasher>(&self, state: &mut H) {
        match self {
            Uri::Sip(uri) => uri.hash_canonical(state),
            Uri::Tel(uri) => uri.hash_canonical(state),
            Uri::Urn(uri) => uri.hash_canonical(state),
            Uri::Other(uri) => uri.hash_canonical(state),
        }
    }
}

impl<'a> SipUri<'a> {
    /// The URI as it was written, if that is its [address-of-record form](Self::address_of_record) already, as it is of most URIs in From and To.
    /// `None` when it is not, or when it would take longer to tell than to make that form.
    ///
    /// ```
    /// # use sip_message::Uri;
    /// let form = |uri: &'static str| Uri::parse(uri.as_bytes()).ok()?.as_sip()?.as_address_of_record();
    /// assert_eq!(form("sip:alice@atlanta.com"), Some("sip:alice@atlanta.com"));
    /// assert_eq!(form("sip:%61lice@atlanta.com"), None);
    /// assert_eq!(form("sip:alice@Atlanta.com"), None);
    /// ```
    pub fn as_address_of_record(&self) -> Option<&'a str> {
        let v = self.as_bytes();
        let lower = v.starts_with(b"sip:") || v.starts_with(b"sips:");
        let plain = |user: Range<usize>| chars::unescaped_end(v, user.start, USER) == user.end;
        let whole = lower
            && self.password().is_none()
            && self.user_range().is_none_or(plain)
            && self.ends_with_name()
            && !self.host_bytes().iter().any(u8::is_ascii_uppercase);
        if whole { core::str::from_utf8(v).ok() } else { None }
    }
}

impl SipUri<'_> {
    /// Whether both URIs are equivalent by RFC 3261 section 19.1.4, with addresses compared as RFC 5954 has it.
    ///
    /// Reflexive and symmetric but not transitive: a parameter that is in one URI only is ignored, unless it is `user`,
    /// `ttl`, `method`, `maddr` or `transport`; where it is in both, its values must match.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    //# o  For two URIs to be equal, the user, password, host, and port
    //# components must match.
    pub fn equivalent(&self, other: &SipUri<'_>) -> bool {
        self.as_bytes() == other.as_bytes() || self.matches(other, true)
    }

    fn matches(&self, other: &SipUri<'_>, by_header_rules: bool) -> bool {
        self.is_sips() == other.is_sips()
            && self.user() == other.user()
            && self.password() == other.password()
            && self.host() == other.host()
            && self.port() == other.port()
            && same_params(self.params(), other.params())
            && same_headers(self.headers(), other.headers(), by_header_rules)
    }

    /// Hashes what equivalent URIs have in common: two URIs that are [`equivalent`](SipUri::equivalent) hash alike.
    pub fn hash_canonical<H: Hasher>(&self, state: &mut H) {
        self.is_sips().hash(state);
        for component in [self.user(), self.password()] {
            state.write_u8(u8::from(component.is_some()));
            for unit in Units(component.map_or(&b""[..], |component| component.0)) {
                state.write_u16(unit);
            }
        }
        self.host().hash(state);
        self.port().hash(state);
        // The order of parameters and headers does not count: a sum does not see it.
        let mut sum = 0u64;
        for param in self.params() {
            // The value of maddr may be an address written in many ways.
            let value = param.value.filter(|_| !param.name.eq_ignore_case("maddr"));
            if never_ignored(param.name) {
                let value = value.map_or(&b""[..], |value| value.0);
                sum = sum.wrapping_add(digest([param.name.0, value].into_iter().flat_map(folded)));
            }
        }
        for header in self.headers() {
            let name = header.name.decoded();
            let canonical = header_name(&name).map_or(&*name, |name| name.as_str().as_bytes());
            sum = sum.wrapping_add(digest(canonical.iter().map(|b| u16::from(b.to_ascii_lowercase()))));
        }
        state.write_u64(sum);
    }

    /// The address-of-record form: scheme, user, host and port, without parameters and headers, in one spelling.
    ///
    /// Two URIs with the same address-of-record form are the same AOR, so it can be the key of a table. It is itself a
    /// SIP URI: what the grammar does not let stand in a user stays escaped, all other escapes are resolved. Host names
    /// are in lower case, addresses in the form of RFC 5952.
    ///
    /// ```
    /// # use sip_message::Uri;
    /// let uri = Uri::parse(b"sip:%61lice@AtLanTa.CoM;user=phone;transport=tcp")?;
    /// assert_eq!(uri.as_sip().map(|sip| sip.address_of_record()).as_deref(), Some("sip:alice@atlanta.com"));
    /// # Ok::<(), sip_message::uri::UriError>(())
    /// ```
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# The URI
    //# MUST then be converted to a canonical form.  To do that, all
    //# URI parameters MUST be removed (including the user-param), and
    //# any escaped characters MUST be converted to their unescaped
    //# form.
    pub fn address_of_record(&self) -> String {
        if let Some(form) = self.as_address_of_record() {
            return String::from(form);
        }
        let mut out = String::with_capacity(self.as_bytes().len());
        out.push_str(self.scheme());
        out.push(':');
        if let Some(user) = self.user() {
            let plain = user.as_str();
            match plain.bytes().all(|b| b != b'%' && chars::is(b, USER)) {
                true => out.push_str(plain),
                false => build::escape(&mut out, user.octets(), USER),
            }
            if let Some(password) = self.password() {
                out.push(':');
                build::escape(&mut out, password.octets(), chars::PASSWORD);
            }
            out.push('@');
        }
        match self.host() {
            Host::Domain(name) => {
                let from = out.len();
                out.push_str(name);
                if let Some(name) = out.get_mut(from..) {
                    name.make_ascii_lowercase();
                }
            }
            address => {
                let _ = write!(out, "{address}");
            }
        }
        if let Some(port) = self.port() {
            let _ = write!(out, ":{port}");
        }
        out
    }
}

/// Whether a parameter of this name must be in both URIs or in neither. `transport` is one of them because a URI that
/// omits it does not match one that states the default.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
//# -  A user, ttl, or method uri-parameter appearing in only one
//# URI never matches, even if it contains the default value.
fn never_ignored(name: Escaped<'_>) -> bool {
    ["user", "ttl", "method", "maddr", "transport"].iter().any(|known| name.eq_ignore_case(known))
}

fn folded(v: &[u8]) -> impl Iterator<Item = u16> + '_ {
    Units(v).map(chars::fold)
}

fn by_name(a: &UriParam<'_>, b: &UriParam<'_>) -> Ordering {
    folded(a.name.0).cmp(folded(b.name.0))
}

fn same_params(a: UriParams<'_>, b: UriParams<'_>) -> bool {
    if a.0.eq_ignore_ascii_case(b.0) && !a.has("method") {
        return true;
    }
    let mut a: SmallVec<[UriParam<'_>; 8]> = a.collect();
    let mut b: SmallVec<[UriParam<'_>; 8]> = b.collect();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    //# -  All other uri-parameters appearing in only one URI are
    //# ignored when comparing the URIs.
    merge(&mut a, &mut b, by_name, same_value, |alone| !never_ignored(alone.name))
}

fn same_value(a: &UriParam<'_>, b: &UriParam<'_>) -> bool {
    let (va, vb) = match (a.value, b.value) {
        (None, None) => return true,
        (Some(va), Some(vb)) => (va.0, vb.0),
        _ => return false,
    };
    if a.name.eq_ignore_case("method") {
        // Methods are defined to be case-sensitive.
        return chars::same(va, vb);
    }
    let same_host = || matches!((Host::parse(va), Host::parse(vb)), (Ok(va), Ok(vb)) if va == vb);
    chars::same_ignoring_case(va, vb) || a.name.eq_ignore_case("maddr") && same_host()
}

/// Sorts both lists and walks them side by side. `both` decides of two items that compare equal, `alone` of an item
/// that only one list has; all must agree.
fn merge<T>(
    a: &mut [T],
    b: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering,
    both: impl Fn(&T, &T) -> bool,
    alone: impl Fn(&T) -> bool,
) -> bool {
    a.sort_unstable_by(&compare);
    b.sort_unstable_by(&compare);
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return true,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => compare(x, y),
        };
        let agreed = match order {
            Ordering::Less => a.next().is_some_and(&alone),
            Ordering::Greater => b.next().is_some_and(&alone),
            Ordering::Equal => a.next().zip(b.next()).is_some_and(|(x, y)| both(x, y)),
        };
        if !agreed {
            return false;
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
//# o  URI header components are never ignored.  Any present header
//# component MUST be present in both URIs and match for the URIs
//# to match.
fn same_headers(a: UriHeaders<'_>, b: UriHeaders<'_>, by_rules: bool) -> bool {
    if a.0.is_empty() || b.0.is_empty() {
        return a.0.len() == b.0.len();
    }
    let (a, b) = (fields(a), fields(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.0 == y.0 && same_field(&x.0, &x.1, &y.1, by_rules))
}

/// The header fields that the headers stand for, sorted by name: the full name in lower case, and the value. Those of
/// one name keep their order, as header fields do.
fn fields(headers: UriHeaders<'_>) -> Vec<(Vec<u8>, Cow<'_, [u8]>)> {
    let mut list: Vec<_> = headers
        .map(|header| {
            let name = header.name.decoded();
            let canonical = header_name(&name).map_or(&*name, |name| name.as_str().as_bytes());
            (canonical.to_ascii_lowercase(), header.value.decoded())
        })
        .collect();
    list.sort_by(|x, y| x.0.cmp(&y.0));
    list
}

fn header_name(name: &[u8]) -> Option<HeaderName<'_>> {
    core::str::from_utf8(name).ok().map(HeaderName::from)
}

/// Whether two values of the header `name` match.
fn same_field(name: &[u8], a: &[u8], b: &[u8], by_rules: bool) -> bool {
    if a == b {
        return true;
    }
    match header_name(name).map(|name| (name.known(), name)) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.8
        //# Call-IDs are case-sensitive and
        //# are simply compared byte-by-byte.
        Some((Some(Header::CallId | Header::CSeq | Header::Date), _)) => false,
        // The message body.
        Some((None, HeaderName::Other("body"))) => false,
        Some((Some(Header::From | Header::To), _)) if by_rules => same_address(a, b).unwrap_or_else(|| same_text(a, b)),
        _ => same_text(a, b),
    }
}

/// Compares header field values without regard to case, quoted strings with.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
//# Unless otherwise stated in the definition of a
//# particular header field, field values, parameter names, and parameter
//# values are case-insensitive.
fn same_text(a: &[u8], b: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    a.len() == b.len()
        && a.iter().zip(b).all(|(&x, &y)| {
            let same = if quoted { x == y } else { x.eq_ignore_ascii_case(&y) };
            quoted ^= x == b'"' && !escaped;
            escaped = quoted && x == b'\\' && !escaped;
            same
        })
}

/// Compares two values of From or To; `None` if one of them is malformed. A URI in there is not compared by header
/// rules again, so that nesting is bounded.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
//# Two From header fields are equivalent if their URIs match, and their
//# parameters match.
fn same_address(a: &[u8], b: &[u8]) -> Option<bool> {
    let (a, b) = (NameAddr::parse_value(a).ok()?, NameAddr::parse_value(b).ok()?);
    let same_uri = match (a.uri().ok()?, b.uri().ok()?) {
        (Uri::Sip(a), Uri::Sip(b)) => a.matches(&b, false),
        (a, b) => a.equivalent(&b),
    };
    a.params().check().ok()?;
    b.params().check().ok()?;
    let mut a: SmallVec<[Param<'_>; 4]> = a.params().flatten().collect();
    let mut b: SmallVec<[Param<'_>; 4]> = b.params().flatten().collect();
    let same_params = merge(
        &mut a,
        &mut b,
        |x, y| lower(x.name).cmp(lower(y.name)),
        |x, y| match (x.value, y.value) {
            (None, None) => true,
            (Some(x), Some(y)) => same_text(x.as_bytes(), y.as_bytes()),
            _ => false,
        },
        |alone| !alone.name.eq_ignore_ascii_case("tag"),
    );
    Some(same_uri && same_params)
}

fn lower(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().map(|b| b.to_ascii_lowercase())
}

impl TelUri<'_> {
    /// Whether both are the same telephone number by RFC 3966 section 4: visual separators, case and the order of
    /// parameters do not count; a parameter that only one has does.
    pub fn equivalent(&self, other: &TelUri<'_>) -> bool {
        if !same_digits(self.number().as_bytes(), other.number().as_bytes()) {
            return false;
        }
        let mut a: SmallVec<[UriParam<'_>; 8]> = self.params().collect();
        let mut b: SmallVec<[UriParam<'_>; 8]> = other.params().collect();
        merge(&mut a, &mut b, by_name, same_tel_value, |_| false)
    }

    /// Hashes what equivalent URIs have in common: two URIs that are [`equivalent`](TelUri::equivalent) hash alike.
    pub fn hash_canonical<H: Hasher>(&self, state: &mut H) {
        for digit in self.digits() {
            state.write_u8(digit.to_ascii_lowercase() as u8);
        }
        let names = self.params().map(|param| digest(folded(param.name.0)));
        state.write_u64(names.fold(0, u64::wrapping_add));
    }
}

/// Whether two numbers are equal without their visual separators.
fn same_digits(a: &[u8], b: &[u8]) -> bool {
    let digits = |v| <[u8]>::iter(v).filter(|&&b| !is_separator(b)).map(u8::to_ascii_lowercase);
    digits(a).eq(digits(b))
}

fn same_tel_value(a: &UriParam<'_>, b: &UriParam<'_>) -> bool {
    let (Some(va), Some(vb)) = (a.value, b.value) else { return a.value.is_none() && b.value.is_none() };
    let is_number = a.name.eq_ignore_case("ext") || a.name.eq_ignore_case("phone-context") && va.0.starts_with(b"+");
    if is_number { same_digits(va.0, vb.0) } else { chars::same_ignoring_case(va.0, vb.0) }
}

impl UrnUri<'_> {
    /// Whether the rest is compared without regard to case.
    fn ignores_case(&self) -> bool {
        ["service", "uuid"].iter().any(|namespace| self.namespace().eq_ignore_ascii_case(namespace))
    }

    /// The name itself, without what RFC 8141 lets stand behind it and leaves out of comparisons.
    fn name(&self) -> &[u8] {
        let v = self.specific().as_bytes();
        v.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default()
    }

    fn equivalent(&self, other: &UrnUri<'_>) -> bool {
        let (a, b) = (self.name(), other.name());
        self.namespace().eq_ignore_ascii_case(other.namespace())
            && a.eq_ignore_ascii_case(b)
            && (self.ignores_case() || same_but_escapes(a, b))
    }

    fn hash_canonical<H: Hasher>(&self, state: &mut H) {
        for b in self.namespace().bytes().chain([b':']).chain(self.name().iter().copied()) {
            state.write_u8(b.to_ascii_lowercase());
        }
    }
}

/// Whether two texts that differ in case at most differ in the digits of `%` escapes alone.
fn same_but_escapes(a: &[u8], b: &[u8]) -> bool {
    let escaped = |at: usize| (1..=2).any(|back| at.checked_sub(back).is_some_and(|at| a.get(at) == Some(&b'%')));
    a.iter().zip(b).enumerate().all(|(at, (x, y))| x == y || escaped(at))
}

impl OtherUri<'_> {
    fn equivalent(&self, other: &OtherUri<'_>) -> bool {
        self.scheme().eq_ignore_ascii_case(other.scheme()) && self.rest() == other.rest()
    }

    fn hash_canonical<H: Hasher>(&self, state: &mut H) {
        for b in self.scheme().bytes() {
            state.write_u8(b.to_ascii_lowercase());
        }
        self.rest().hash(state);
    }
}

/// FNV-1a over the units: for sums that become part of a hash.
fn digest(units: impl Iterator<Item = u16>) -> u64 {
    units.fold(0xcbf2_9ce4_8422_2325, |hash, unit| (hash ^ u64::from(unit)).wrapping_mul(0x0100_0000_01b3))
}
