//! A token bucket: the shape of every limit that the vendors document (Auth0, Rate Limit Policy; Microsoft Graph,
//! Throttling limits). Pure: the caller brings the time.

use std::time::Instant;

/// Tokens that refill steadily up to a burst size.
#[derive(Debug, Clone)]
pub struct Bucket {
    burst: f64,
    per_second: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket of `burst` tokens that gains `per_second` of them every second.
    pub fn full(burst: f64, per_second: f64, now: Instant) -> Bucket {
        Bucket { burst, per_second, level: burst, filled: now }
    }

    /// Takes `cost` tokens, or says in how many seconds they will be there.
    pub fn take(&mut self, cost: f64, now: Instant) -> Result<(), f64> {
        self.refill(now);
        if self.level >= cost {
            self.level -= cost;
            return Ok(());
        }
        Err((cost - self.level) / self.per_second)
    }

    /// Tokens in a full bucket.
    pub fn size(&self) -> u64 {
        self.burst as u64
    }

    /// Whole tokens left.
    pub fn remaining(&mut self, now: Instant) -> u64 {
        self.refill(now);
        self.level as u64
    }

    /// Seconds until the next whole token; 0 for a full bucket.
    pub fn next_in(&mut self, now: Instant) -> f64 {
        self.refill(now);
        if self.level >= self.burst { 0.0 } else { (self.level.floor() + 1.0 - self.level) / self.per_second }
    }

    /// How much of the bucket is spent, from 0.0 (full) to 1.0 (empty).
    pub fn spent(&self) -> f64 {
        1.0 - self.level / self.burst
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.per_second;
        self.level = (self.level + gained).min(self.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_spent_bucket_says_when_to_come_back() {
        let start = Instant::now();
        let mut bucket = Bucket::full(2.0, 4.0, start);
        assert_eq!(bucket.take(1.0, start), Ok(()));
        assert_eq!(bucket.take(1.0, start), Ok(()));
        assert_eq!(bucket.take(1.0, start), Err(0.25));
        assert_eq!(bucket.next_in(start), 0.25);
        assert_eq!(bucket.take(1.0, start + Duration::from_millis(250)), Ok(()));
        assert_eq!(bucket.remaining(start + Duration::from_secs(60)), 2);
    }
}
