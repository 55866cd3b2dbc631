//! Time as this crate knows it: a number the host hands in. Nothing here reads a clock.

use core::{
    ops::{Add, AddAssign},
    time::Duration,
};

/// A point in time: microseconds since an epoch that the host chooses.
///
/// The epoch may be anything (process start, a simulation's zero) as long as one [`Connection`](crate::Connection)
/// always sees the same one. All arithmetic saturates.
///
/// ```
/// use core::time::Duration;
/// use sip_ws::Instant;
///
/// let start = Instant::from_micros(1_000);
/// assert_eq!(start + Duration::from_millis(2), Instant::from_micros(3_000));
/// assert_eq!(start.saturating_duration_since(Instant::MAX), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The end of time: later than every instant a host will ever hand in.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub(crate) const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The instant of `time` when `epoch` is taken as zero; a `time` before `epoch` is [`Instant::ZERO`].
    #[cfg(feature = "std")]
    #[must_use]
    pub fn from_std(epoch: std::time::Instant, time: std::time::Instant) -> Self {
        Self::ZERO + time.saturating_duration_since(epoch)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}
