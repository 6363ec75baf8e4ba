//! A token bucket: how many requests may come at once, and how many a second in the long run. The time is an argument.

use hearth_types::Timestamp;
use std::time::Duration;

/// How often something may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; at least 1.
    pub per_second: u32,
    /// Requests at once; at least 1.
    pub burst: u32,
}

/// What one request takes, in thousandths.
const REQUEST: u64 = 1000;

/// A bucket that refills at its rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    rate: Rate,
    /// What it holds, in thousandths of a request.
    held: u64,
    at: Timestamp,
}

impl Bucket {
    /// A bucket that nothing was taken from yet.
    pub(super) fn full(rate: Rate, at: Timestamp) -> Self {
        Self { rate, held: u64::from(rate.burst) * REQUEST, at }
    }

    /// Takes what a request needs, or says how long it is until there is as much. A clock that went back refills nothing.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let refill = millis.saturating_mul(u64::from(self.rate.per_second));
        self.held = self.held.saturating_add(refill).min(u64::from(self.rate.burst) * REQUEST);
        self.at = now;
        match self.held.checked_sub(REQUEST) {
            Some(rest) => {
                self.held = rest;
                Ok(())
            }
            None => {
                let missing = REQUEST - self.held;
                Err(Duration::from_millis(missing.div_ceil(u64::from(self.rate.per_second.max(1)))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (1..20_u32, 1..60_u32).prop_map(|(per_second, burst)| Rate { per_second, burst })
    }

    proptest! {
        #[test]
        fn no_window_grants_more_than_a_burst_and_what_its_length_refills(
            rate in rates(),
            // Milliseconds between requests; some come at once, and now and then the clock goes back.
            gaps in prop::collection::vec(prop_oneof![4 => Just(0_i64), 4 => 0..300_i64, 1 => -5_000..0_i64], 1..200),
        ) {
            let mut bucket = Bucket::full(rate, at(0));
            let mut clock = 0;
            let mut granted = Vec::new();
            // Time that passed, not counting steps back.
            let mut passed = 0_u64;
            for gap in gaps {
                clock += gap;
                passed += u64::try_from(gap).unwrap_or(0);
                if bucket.take(at(clock)).is_ok() {
                    granted.push(passed);
                }
            }
            for (first, from) in granted.iter().enumerate() {
                for (last, to) in granted.iter().enumerate().skip(first) {
                    let count = u64::try_from(last - first).expect("few") + 1;
                    let allowed = u64::from(rate.burst) * 1000 + (to - from) * u64::from(rate.per_second);
                    prop_assert!(count * 1000 <= allowed, "{count} within {} ms of {rate:?}", to - from);
                }
            }
        }

        #[test]
        fn who_waits_as_long_as_told_is_served_and_no_earlier(rate in rates(), spent in 0..500_i64) {
            let mut bucket = Bucket::full(rate, at(0));
            for _ in 0..rate.burst {
                prop_assert_eq!(bucket.take(at(0)), Ok(()));
            }
            // Another may be had meanwhile, which makes no difference to what is then said.
            let _either = bucket.take(at(spent));
            let Err(wait) = bucket.take(at(spent)) else { return Ok(()) };
            let ready = spent + i64::try_from(wait.as_millis()).expect("short");
            prop_assert!(bucket.clone().take(at(ready - 1)).is_err());
            prop_assert_eq!(bucket.take(at(ready)), Ok(()));
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(rate in rates(), requests in 1..300_i64) {
            let mut bucket = Bucket::full(rate, at(0));
            for number in 0..requests {
                let apart = i64::from(1000_u32.div_ceil(rate.per_second));
                prop_assert_eq!(bucket.take(at(number * apart)), Ok(()), "request {}", number);
            }
        }
    }
}
