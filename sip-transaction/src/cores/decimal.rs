//! Numbers as digits, without the formatter.

/// The decimal digits of `number`, without leading zeros, at the end of `digits`.
///
/// ```
/// assert_eq!(sip_transaction::cores::decimal(3600, &mut [0; 20]), b"3600");
/// ```
#[inline]
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(from..).unwrap_or_default()
}
