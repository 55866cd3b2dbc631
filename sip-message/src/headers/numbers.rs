//! Values that begin with a number: seconds, sequence numbers, Session-Expires, Min-SE, Retry-After, Timestamp,
//! MIME-Version.

use super::check::Check;
use super::lex::{self, Read, fault, from, slice};
use super::tokens::Token;
use crate::error::{ValueError, ValueFault};
use crate::params::Params;
use crate::scan;
use crate::value::FieldValue;
use core::time::Duration;

/// `delta-seconds` alone: Expires, Min-Expires, Flow-Timer. A number above 2^32 - 1 reads as that (RFC 4475 section
/// 3.1.2.4 lets an element do so).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaSeconds(pub u32);

impl FieldValue<'_> for DeltaSeconds {
    #[inline]
    fn parse_value(v: &[u8]) -> Read<Self> {
        match lex::delta_seconds(v, 0)? {
            (n, end) if end == v.len() => Ok(DeltaSeconds(n)),
            (_, end) => fault(ValueFault::Character, end),
        }
    }
}

impl Check for DeltaSeconds {}

/// A number of 32 bits alone: RSeq, Max-Breadth, Max-Forwards. A larger one is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integer(pub u32);

impl FieldValue<'_> for Integer {
    #[inline]
    fn parse_value(v: &[u8]) -> Read<Self> {
        crate::reads::Number::parse_value(v).map(|n| Integer(n.0))
    }
}

impl Check for Integer {}

/// Who refreshes a session (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The client of the request that negotiated the session timer.
    Uac,
    /// Its server.
    Uas,
}

impl Refresher {
    /// `uac` or `uas`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refresher::Uac => "uac",
            Refresher::Uas => "uas",
        }
    }
}

/// The value of Session-Expires (RFC 4028 section 4).
#[derive(Clone, Copy, Debug)]
pub struct SessionExpires<'a> {
    interval: u32,
    params: Params<'a>,
}

impl<'a> SessionExpires<'a> {
    /// The session interval in seconds; above 2^32 - 1 it reads as that.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// Who refreshes the session, if the value says so.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is neither `uac` nor `uas`.
    pub fn refresher(&self) -> Read<Option<Refresher>> {
        lex::param_as(&self.params, "refresher", ValueFault::Param, |v| match () {
            () if v.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            () if v.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            () => None,
        })
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for SessionExpires<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (interval, end) = lex::delta_seconds(v, 0)?;
        Ok(SessionExpires { interval, params: lex::params(v, end)? })
    }
}

impl Check for SessionExpires<'_> {
    fn check(&self) -> Read<()> {
        self.refresher()?;
        self.params.check()
    }
}

/// The value of Min-SE (RFC 4028 section 5).
#[derive(Clone, Copy, Debug)]
pub struct MinSe<'a> {
    interval: u32,
    params: Params<'a>,
}

impl<'a> MinSe<'a> {
    /// The smallest session interval in seconds; above 2^32 - 1 it reads as that.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for MinSe<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (interval, end) = lex::delta_seconds(v, 0)?;
        Ok(MinSe { interval, params: lex::params(v, end)? })
    }
}

impl Check for MinSe<'_> {
    fn check(&self) -> Read<()> {
        self.params.check()
    }
}

/// The value of Retry-After (RFC 3261 section 20.33): `18000 (at dinner);duration=3600`.
#[derive(Clone, Copy, Debug)]
pub struct RetryAfter<'a> {
    seconds: u32,
    comment: Option<&'a [u8]>,
    params: Params<'a>,
}

impl<'a> RetryAfter<'a> {
    /// After how many seconds the callee will be there again; above 2^32 - 1 it reads as that.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The comment as it was written, without its outer parentheses.
    pub fn comment(&self) -> Option<&'a [u8]> {
        self.comment
    }

    /// For how many seconds the callee will then be there.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a number.
    pub fn duration(&self) -> Read<Option<u32>> {
        lex::seconds_param(&self.params, "duration")
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for RetryAfter<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (seconds, mut end) = lex::delta_seconds(v, 0)?;
        let open = scan::skip(v, end, scan::LWS);
        let mut comment = None;
        if v.get(open) == Some(&b'(') {
            end = lex::comment(v, open)?;
            comment = Some(slice(v, open + 1, end - 1));
        }
        Ok(RetryAfter { seconds, comment, params: lex::params(v, end)? })
    }

    /// Not a list: the comment may hold commas.
    fn split_first(v: &'a [u8]) -> (&'a [u8], Option<usize>) {
        (v, None)
    }
}

impl Check for RetryAfter<'_> {
    fn check(&self) -> Read<()> {
        self.duration()?;
        self.params.check()
    }
}

/// The value of Timestamp (RFC 3261 section 20.38): when a request was sent, by the clock of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    value: &'a [u8],
    time_end: usize,
}

impl<'a> Timestamp<'a> {
    /// The time as it was written, to be copied into the response.
    pub fn time_bytes(&self) -> &'a [u8] {
        slice(self.value, 0, self.time_end)
    }

    /// The delay as it was written; `None` if there is none.
    pub fn delay_bytes(&self) -> Option<&'a [u8]> {
        let at = scan::skip(self.value, self.time_end, scan::LWS);
        (at < self.value.len()).then(|| from(self.value, at))
    }

    /// The time since the epoch of the sender's choice; `None` if the seconds exceed 64 bits. Digits below a
    /// nanosecond are dropped.
    pub fn time(&self) -> Option<Duration> {
        decimal_seconds(self.time_bytes())
    }

    /// The delay between the arrival of the request and the response; `None` if there is none, or if its seconds
    /// exceed 64 bits.
    pub fn delay(&self) -> Option<Duration> {
        self.delay_bytes().and_then(decimal_seconds)
    }
}

/// `*DIGIT [ "." *DIGIT ]`; the caller has checked that it is.
fn decimal_seconds(v: &[u8]) -> Option<Duration> {
    let dot = memchr::memchr(b'.', v).unwrap_or(v.len());
    let whole = slice(v, 0, dot);
    let seconds = if whole.is_empty() { 0 } else { scan::decimal(whole)? };
    let mut nanos = 0;
    for i in 0..9 {
        let digit = v.get(dot + 1 + i).map_or(0, |b| b.wrapping_sub(b'0'));
        nanos = nanos * 10 + u32::from(digit);
    }
    Some(Duration::new(seconds, nanos))
}

/// Where `*DIGIT [ "." *DIGIT ]` at `v[at]` ends.
fn decimal_end(v: &[u8], at: usize) -> usize {
    match scan::skip(v, at, scan::DIGIT) {
        end if v.get(end) == Some(&b'.') => scan::skip(v, end + 1, scan::DIGIT),
        end => end,
    }
}

impl<'a> FieldValue<'a> for Timestamp<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        if !v.first().is_some_and(u8::is_ascii_digit) {
            return fault(if v.is_empty() { ValueFault::Empty } else { ValueFault::Number }, 0);
        }
        let time_end = decimal_end(v, 0);
        let delay = scan::skip(v, time_end, scan::LWS);
        let end = if delay > time_end { decimal_end(v, delay) } else { time_end };
        if end < v.len() {
            return fault(ValueFault::Character, end);
        }
        Ok(Timestamp { value: v, time_end })
    }
}

impl Check for Timestamp<'_> {}

/// The value of MIME-Version (RFC 3261 section 20.24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MimeVersion {
    /// The number before the dot.
    pub major: u32,
    /// The number behind it.
    pub minor: u32,
}

impl FieldValue<'_> for MimeVersion {
    fn parse_value(v: &[u8]) -> Read<Self> {
        let (major, dot) = crate::cseq::number(v, 0)?;
        if v.get(dot) != Some(&b'.') {
            return Err(lex::unexpected(v, dot));
        }
        let (minor, end) = crate::cseq::number(v, dot + 1)?;
        if end < v.len() { fault(ValueFault::Character, end) } else { Ok(MimeVersion { major, minor }) }
    }
}

impl Check for MimeVersion {}

/// The value of Refer-Sub (RFC 4488 section 4): whether a REFER makes a subscription.
#[derive(Clone, Copy, Debug)]
pub struct ReferSub<'a> {
    wanted: bool,
    params: Params<'a>,
}

impl<'a> ReferSub<'a> {
    /// Whether the subscription is wanted: `true` or `false`.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for ReferSub<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (text, end) = lex::token(v, 0)?;
        let wanted = match Token::new(text) {
            text if text == "true" => true,
            text if text == "false" => false,
            _ => return Err(ValueError::new(ValueFault::Form, 0)),
        };
        Ok(ReferSub { wanted, params: lex::params(v, end)? })
    }
}

impl Check for ReferSub<'_> {
    fn check(&self) -> Read<()> {
        self.params.check()
    }
}
