//! `Instant`: the time as the host tells it.
//!
//! Owns arithmetic that cannot overflow. Never reads a clock.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time: microseconds since an epoch the host chooses.
///
/// Only differences matter, so any monotonic clock will do: time since the process started, since boot, or the virtual
/// clock of a test. Arithmetic saturates; nothing here panics. The endpoint never lets time run backwards: an
/// instant earlier than one it has seen counts as that one.
///
/// ```
/// use core::time::Duration;
/// use sip_transaction::Instant;
///
/// let start = Instant::from_micros(1_000_000);
/// let later = start + Duration::from_millis(500);
/// assert_eq!(later - start, Duration::from_millis(500));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Instant = Instant(0);
    /// The last instant there is: "never" as a deadline.
    pub const MAX: Instant = Instant(u64::MAX);

    /// The instant `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Instant(micros)
    }

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Instant(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub(crate) const fn after_micros(self, micros: u64) -> Self {
        Instant(self.0.saturating_add(micros))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The instant at which a clock of the standard library showed `at`, if the epoch is the moment it showed `epoch`.
    ///
    /// ```
    /// use std::time::Duration;
    /// # fn demo(epoch: std::time::Instant) {
    /// let at = epoch + Duration::from_secs(1);
    /// assert_eq!(sip_transaction::Instant::from_std(epoch, at).as_micros(), 1_000_000);
    /// # }
    /// ```
    #[cfg(feature = "std")]
    pub fn from_std(epoch: std::time::Instant, at: std::time::Instant) -> Self {
        Instant::ZERO + at.saturating_duration_since(epoch)
    }

    /// The way back from [`from_std`](Instant::from_std); `None` if the platform cannot express it.
    #[cfg(feature = "std")]
    pub fn to_std(self, epoch: std::time::Instant) -> Option<std::time::Instant> {
        epoch.checked_add(Duration::from_micros(self.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::MAX + Duration::MAX, Instant::MAX);
        assert_eq!(Instant::ZERO - Instant::MAX, Duration::ZERO);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::MAX);
        assert_eq!(Instant::from_millis(3) - Instant::from_micros(1), Duration::from_micros(2999));
    }
}
