//! How many wrong passwords one source may try: a counter that fills up again with time.
//!
//! Bounded: a fixed number of counters, each for whatever addresses hash to it under a secret key. Two sources that share
//! one share its budget.

use crate::secret::Random;
use alloc::boxed::Box;
use alloc::vec;
use core::net::IpAddr;
use core::time::Duration;
use sip_transaction::Instant;
use sip_transaction::cores::HashKey;

const COUNTERS: usize = 4096;

pub(crate) struct Budget {
    hash: HashKey,
    counters: Box<[(u32, Instant)]>,
    max: u32,
    /// How long until one failure is forgiven.
    refill: Duration,
}

impl Budget {
    pub(crate) fn new(seed: &[u8; 32], max: u32, refill: Duration) -> Budget {
        let hash = Random::new(seed, "failure budget").hash_key();
        Budget { hash, counters: vec![(0, Instant::ZERO); COUNTERS].into_boxed_slice(), max, refill }
    }

    fn counter(&mut self, source: IpAddr, now: Instant) -> Option<&mut (u32, Instant)> {
        let hash = match source {
            IpAddr::V4(ip) => self.hash.hash(&ip.octets()),
            // A host has a whole /64 to itself.
            IpAddr::V6(ip) => self.hash.hash(ip.octets().first_chunk::<8>().map_or(&[], |net| net)),
        };
        let refill = self.refill.as_micros().max(1) as u64;
        let counter = self.counters.get_mut(hash as usize % COUNTERS)?;
        let forgiven = (now - counter.1).as_micros() as u64 / refill;
        counter.0 = counter.0.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        counter.1 =
            if counter.0 == 0 { now } else { counter.1 + Duration::from_micros(forgiven.saturating_mul(refill)) };
        Some(counter)
    }

    /// Whether `source` may try.
    pub(crate) fn allows(&mut self, source: IpAddr, now: Instant) -> bool {
        let max = self.max;
        self.counter(source, now).is_none_or(|counter| counter.0 < max)
    }

    /// `source` has failed.
    pub(crate) fn failed(&mut self, source: IpAddr, now: Instant) {
        if let Some(counter) = self.counter(source, now) {
            counter.0 = counter.0.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_forgiven() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let mut budget = Budget::new(&[1; 32], 3, Duration::from_secs(10));
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        for _ in 0..3 {
            assert!(budget.allows(source, at(100)));
            budget.failed(source, at(100));
        }
        assert!(!budget.allows(source, at(109)));
        assert!(budget.allows(IpAddr::from([192, 0, 2, 2]), at(100)), "others have their own");
        assert!(budget.allows(source, at(110)));
        budget.failed(source, at(110));
        assert!(!budget.allows(source, at(119)));
        assert!(budget.allows(source, at(1000)));
    }

    #[test]
    fn one_v6_network_is_one_source() {
        let mut budget = Budget::new(&[1; 32], 1, Duration::from_secs(10));
        budget.failed("2001:db8::1".parse().unwrap(), Instant::ZERO);
        assert!(!budget.allows("2001:db8::2".parse().unwrap(), Instant::ZERO));
    }
}
