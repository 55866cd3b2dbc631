//! How long to wait after a 491 before trying again (RFC 3261 section 14.1, RFC 3311 section 5.1).

use core::time::Duration;

/// The delay: `owner` says whether we made the Call-ID, `random` is any random number.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//# If a UAC receives a 491 response to a re-INVITE, it SHOULD start a timer
//# with a value T chosen as follows:
pub(crate) fn delay(owner: bool, random: u32) -> Duration {
    // In units of 10 ms: 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other.
    let units = if owner { 210 + random % 191 } else { random % 201 };
    Duration::from_millis(u64::from(units) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //= type=test
    //# If a UAC receives a 491 response to a re-INVITE, it SHOULD start a timer
    //# with a value T chosen as follows:
    #[test]
    fn the_two_ranges_do_not_meet() {
        let range = |owner| {
            let delays: alloc::vec::Vec<u64> = (0..1000).map(|n| delay(owner, n).as_millis() as u64).collect();
            (*delays.iter().min().unwrap(), *delays.iter().max().unwrap())
        };
        assert_eq!(range(true), (2100, 4000));
        assert_eq!(range(false), (0, 2000));
    }
}
