//! The CSeq header field and RAck, which holds one.

use crate::error::{ValueError, ValueFault};
use crate::method::Method;
use crate::scan;
use crate::value::FieldValue;

/// The value of CSeq (RFC 3261 section 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> FieldValue<'a> for CSeq<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        let (number, end) = number(v, 0)?;
        let at = match v.get(end..) {
            Some([b' ', first, ..]) if *first > b' ' => end + 1,
            _ => scan::skip(v, end, scan::LWS),
        };
        if at == end {
            return Err(ValueError::new(ValueFault::Incomplete, at));
        }
        let method = Method::parse_from(v, at);
        method.map(|method| CSeq { number, method }).ok_or(ValueError::new(ValueFault::Method, at))
    }
}

/// The decimal number of up to 32 bits at `v[at]`, and where it ends.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
//# The sequence number value MUST be expressible as a 32-bit unsigned integer
//# and MUST be less than 2**31.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.16
//# The sequence
//# number MUST be expressible as a 32-bit unsigned integer.
#[inline]
pub(crate) fn number(v: &[u8], at: usize) -> Result<(u32, usize), ValueError> {
    // A sender keeps below 2**31; a receiver refuses only what 32 bits cannot hold (RFC 4475 section 3.1.2.4).
    let (mut end, mut number) = (at, 0u64);
    while let Some(digit) = v.get(end).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        // 19 digits are less than 2^64.
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    if end - at > 19 {
        // Of a number as long as that only what it begins with may be said in zeros.
        let digits = v.get(at..end).unwrap_or_default().iter();
        number = digits.fold(0, |n, b| (n * 10 + u64::from(b - b'0')).min(1 << 32));
    }
    let number = u32::try_from(number).ok().filter(|_| end > at);
    number
        .map(|n| (n, end))
        .ok_or(ValueError::new(if v.is_empty() { ValueFault::Empty } else { ValueFault::Number }, at))
}

/// The value of RAck (RFC 3262 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of the provisional response that is acknowledged.
    pub rseq: u32,
    /// The CSeq of that response.
    pub cseq: CSeq<'a>,
}

impl<'a> FieldValue<'a> for RAck<'a> {
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        let (rseq, end) = number(v, 0)?;
        let at = scan::skip(v, end, scan::LWS);
        if at == end {
            return Err(ValueError::new(ValueFault::Incomplete, at));
        }
        let cseq = CSeq::parse_value(v.get(at..).unwrap_or_default()).map_err(|error| error.shifted(at))?;
        Ok(RAck { rseq, cseq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_32_bits() {
        assert_eq!(CSeq::parse_value(b"0009\r\n  INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
        assert_eq!(CSeq::parse_value(b"4294967295 X").map(|c| c.number), Ok(u32::MAX));
        for v in [
            "36893488147419103232 REGISTER",
            "4294967296 A",
            "-1 A",
            "+1 A",
            "1",
            "1 ",
            "1A",
            "A",
            "",
            "1 A B",
            "1 A\0",
        ] {
            assert!(CSeq::parse_value(v.as_bytes()).is_err(), "{v}");
        }
    }

    #[test]
    fn rack_holds_both_numbers() {
        let rack = RAck::parse_value(b"776656 1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq), (776_656, CSeq { number: 1, method: Method::Invite }));
        assert!(RAck::parse_value(b"776656 1").is_err());
    }
}
