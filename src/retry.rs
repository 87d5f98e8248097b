//! What to do after a failure, and how long to wait before attempt *n*.
//!
//! Every edge error answers one question, [`WhatNow`]; the worker reads that and nothing else.

use std::time::Duration;

use crate::clock::{self, Timestamp};

/// The answer of an edge error to the only question its caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhatNow {
    /// The vendor named a time. Obeyed as given; costs no attempt.
    RetryAt(Timestamp),
    /// The vendor or the network is in trouble: wait, longer each time; costs no attempt.
    BackOff,
    /// Something else than the vendor answered, perhaps only for a while (a proxy's page): wait; costs an attempt, so that
    /// it ends.
    TryAgain,
    /// The same request will fail the same way: dead letter with the reason.
    GiveUp,
    /// Only a person can mend it (a permission, a secret, a plan limit): dead letter, and tell people.
    AskHuman,
}

/// Exponential back-off with full jitter over the upper half, so that waits grow and never align.
#[derive(Debug, Clone, Copy)]
pub struct BackOff {
    pub first: Duration,
    pub most: Duration,
}

impl BackOff {
    /// The wait before attempt `attempt` (1 is the first retry); `jitter` is drawn from `0.0..1.0` by the caller.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1).min(31)));
        let whole = doubled.min(self.most);
        whole.div_f64(2.0) + whole.div_f64(2.0).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

/// A vendor may ask for a long pause; beyond this it is treated as this long, so that a hostile or broken header
/// cannot put a lane to sleep for days.
pub const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

/// Reads `Retry-After`: seconds, also fractional (Graph sends `2.128`, see docs/vendors.md), or an HTTP date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Timestamp> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Duration::try_from_secs_f64(seconds).unwrap_or(RETRY_AFTER_MOST)
        }
        Ok(_) => return None,
        Err(_) => clock::elapsed(now, jiff::fmt::rfc2822::parse(value).ok()?.timestamp()),
    };
    Some(clock::after(now, wait.min(RETRY_AFTER_MOST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-02T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn waits_double_up_to_the_most_and_jitter_keeps_at_least_half() {
        let b = BackOff { first: Duration::from_millis(200), most: Duration::from_secs(5) };
        assert_eq!(b.delay(1, 0.0), Duration::from_millis(100));
        assert_eq!(b.delay(1, 1.0), Duration::from_millis(200));
        assert_eq!(b.delay(3, 1.0), Duration::from_millis(800));
        assert_eq!(b.delay(30, 1.0), Duration::from_secs(5));
        assert_eq!(b.delay(u32::MAX, 0.0), Duration::from_millis(2500));
    }

    #[test]
    fn retry_after_reads_whole_and_fractional_seconds_and_dates() {
        let at = |text: &str| retry_after(text, now()).map(|t| clock::elapsed(now(), t));
        assert_eq!(at("3"), Some(Duration::from_secs(3)));
        assert_eq!(at(" 2.128 "), Some(Duration::from_secs_f64(2.128)));
        assert_eq!(at("Mon, 02 Mar 2026 08:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(at("Mon, 02 Mar 2026 07:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn a_nonsense_or_hostile_retry_after_cannot_stop_the_lane() {
        assert_eq!(retry_after("soon", now()), None);
        assert_eq!(retry_after("-5", now()), None);
        assert_eq!(retry_after("NaN", now()), None);
        let year = retry_after("31536000", now()).unwrap();
        assert_eq!(clock::elapsed(now(), year), RETRY_AFTER_MOST);
        let huge = retry_after("1e300", now()).unwrap();
        assert_eq!(clock::elapsed(now(), huge), RETRY_AFTER_MOST);
    }
}
