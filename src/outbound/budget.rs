//! Our own share of a vendor's rate limit, with a part that only containment may use.
//!
//! A token bucket per vendor and process. Contain takes any token; sync leaves a reserve to it, and bulk leaves a further
//! one to sync. Waiters of one class are served in the order they came, and contain never waits for the others: only for the refill
//! when even the reserve is gone. Nobody waits longer than [`WAIT_MOST`]; beyond that the caller is told when to come
//! back. What the vendor's answers say about the remaining budget lowers ours, never raises it: other programs may
//! share the tenant's limit. Only where we set ourselves no limit, the vendor's is followed both ways ([`Budget::follow`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Lane;
use crate::telemetry::Metrics;

/// The longest anybody waits for a token. A worker that waited longer would hold an event that another could handle.
pub const WAIT_MOST: Duration = Duration::from_secs(5);
/// The part of the burst that sync leaves alone.
const RESERVED_SHARE: f64 = 0.3;
/// The part of the burst that bulk leaves alone.
const RESERVED_FROM_BULK_SHARE: f64 = 0.5;
/// A budget of nothing would be a lockout of ourselves; a mistyped rate is at least one request in ten seconds.
const PER_SECOND_LEAST: f64 = 0.1;

/// One vendor's budget.
#[derive(Debug)]
pub struct Budget {
    vendor: &'static str,
    metrics: Arc<Metrics>,
    bucket: Mutex<Bucket>,
    contain_turn: tokio::sync::Mutex<()>,
    sync_turn: tokio::sync::Mutex<()>,
    bulk_turn: tokio::sync::Mutex<()>,
}

impl Budget {
    /// `per_second` tokens flow in, up to `burst`.
    pub fn new(vendor: &'static str, per_second: f64, burst: u32, metrics: Arc<Metrics>) -> Budget {
        let bucket = Bucket::full(per_second, burst, Instant::now());
        Budget {
            vendor,
            metrics,
            bucket: Mutex::new(bucket),
            contain_turn: tokio::sync::Mutex::new(()),
            sync_turn: tokio::sync::Mutex::new(()),
            bulk_turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Takes one token, waiting for it at most [`WAIT_MOST`].
    ///
    /// # Errors
    /// As [`Budget::take_several`].
    pub async fn take(&self, lane: Lane) -> Result<(), Duration> {
        self.take_several(lane, 1).await
    }

    /// Takes `cost` tokens at once, or as many as the bucket can hold for this lane, waiting at most [`WAIT_MOST`].
    ///
    /// # Errors
    /// How long from now they are to be expected, when that is too long to wait. Cancel-safe: a dropped call has
    /// taken nothing.
    pub async fn take_several(&self, lane: Lane, cost: u32) -> Result<(), Duration> {
        let give_up_at = Instant::now() + WAIT_MOST;
        let Ok(_turn) = tokio::time::timeout_at(give_up_at, self.turn(lane).lock()).await else {
            return Err(self.wait(lane, cost));
        };
        loop {
            let wait = match self.try_take(lane, cost) {
                Ok(()) => return Ok(()),
                Err(wait) => wait,
            };
            if Instant::now() + wait > give_up_at {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The vendor says how many requests are left in its bucket, and how large that is where it tells.
    pub fn heard(&self, remaining: u32, limit: Option<u32>) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.hear(remaining, limit);
        self.report(&bucket);
    }

    /// The same of an answer that may have told about another limit than this: what is containment's stays.
    pub fn heard_in_doubt(&self, remaining: u32, limit: Option<u32>) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.hear_in_doubt(remaining, limit);
        self.report(&bucket);
    }

    /// Goes by another size and pace from now on.
    pub fn fit(&self, per_second: f64, burst: u32) {
        let mut bucket = self.bucket();
        let now = Instant::now();
        bucket.refill(now);
        bucket.fit(Bucket::full(per_second, burst, now));
    }

    /// The vendor shows the very bucket that this one stands for: what is left in it can be taken, but for what those
    /// under way will take, who may be counted in it already.
    pub fn follow(&self, remaining: u32, under_way: u32) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.follow(remaining, under_way);
        self.report(&bucket);
    }

    /// There is no such limit after all.
    pub fn retire(&self) {
        for lane in Lane::ALL {
            self.metrics.vendor_budget_gone(self.vendor, lane.word());
        }
    }

    /// The vendor is close to its limit: what is left is for containment.
    pub fn lower_to_reserve(&self) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.tokens = bucket.tokens.min(bucket.reserve);
        self.report(&bucket);
    }

    fn turn(&self, lane: Lane) -> &tokio::sync::Mutex<()> {
        match lane {
            Lane::Contain => &self.contain_turn,
            Lane::Sync => &self.sync_turn,
            Lane::Bulk => &self.bulk_turn,
        }
    }

    fn try_take(&self, lane: Lane, cost: u32) -> Result<(), Duration> {
        let mut bucket = self.bucket();
        let taken = bucket.take(lane, cost, Instant::now());
        self.report(&bucket);
        taken
    }

    fn wait(&self, lane: Lane, cost: u32) -> Duration {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.wait(lane, cost)
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        // The arithmetic below cannot leave a bucket half changed.
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, bucket: &Bucket) {
        for lane in Lane::ALL {
            self.metrics.vendor_budget(self.vendor, lane.word(), bucket.remaining_ratio(lane));
        }
    }
}

/// The arithmetic; time is an argument.
#[derive(Debug, Clone)]
struct Bucket {
    tokens: f64,
    /// What the settings allow.
    burst_most: f64,
    /// That, or the vendor's smaller bucket.
    burst: f64,
    reserve: f64,
    reserve_from_bulk: f64,
    per_second: f64,
    refilled_at: Instant,
}

impl Bucket {
    fn full(per_second: f64, burst: u32, now: Instant) -> Bucket {
        let burst = f64::from(burst.max(1));
        let per_second =
            if per_second.is_finite() { per_second.max(PER_SECOND_LEAST) } else { PER_SECOND_LEAST };
        Bucket {
            tokens: burst,
            burst_most: burst,
            burst,
            reserve: reserve(burst, RESERVED_SHARE),
            reserve_from_bulk: reserve(burst, RESERVED_FROM_BULK_SHARE),
            per_second,
            refilled_at: now,
        }
    }

    /// A reserve counted from our own burst could be more than a smaller bucket of the vendor ever holds, and sync
    /// would wait for ever. So the reserve follows the bucket that the vendor shows.
    fn hear(&mut self, remaining: u32, limit: Option<u32>) {
        let limit = limit.map_or(self.burst_most, |limit| f64::from(limit.max(1)));
        self.burst = self.burst_most.min(limit);
        self.reserve = reserve(self.burst, RESERVED_SHARE);
        self.reserve_from_bulk = reserve(self.burst, RESERVED_FROM_BULK_SHARE);
        self.tokens = self.tokens.min(f64::from(remaining)).min(self.burst);
    }

    fn hear_in_doubt(&mut self, remaining: u32, limit: Option<u32>) {
        let before = self.tokens;
        self.hear(remaining, limit);
        self.tokens = self.tokens.max(self.reserve.min(before));
    }

    fn fit(&mut self, wanted: Bucket) {
        if (self.per_second, self.burst_most) != (wanted.per_second, wanted.burst_most) {
            *self = Bucket { tokens: self.tokens.min(wanted.burst), ..wanted };
        }
    }

    fn follow(&mut self, remaining: u32, under_way: u32) {
        self.tokens = f64::from(remaining.saturating_sub(under_way)).min(self.burst);
    }

    fn take(&mut self, lane: Lane, cost: u32, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let wait = self.wait(lane, cost);
        if wait.is_zero() {
            self.tokens -= self.price(lane, cost);
            return Ok(());
        }
        Err(wait)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.refilled_at = now;
    }

    /// How long until `lane` may take `cost` tokens, if nobody else takes any.
    fn wait(&self, lane: Lane, cost: u32) -> Duration {
        let missing = self.untouchable(lane) + self.price(lane, cost) - self.tokens;
        // A billionth of a token is rounding; without this a waiter could wake up a hair too early, again and again.
        if missing <= 1e-9 { Duration::ZERO } else { Duration::from_secs_f64(missing / self.per_second) }
    }

    /// What never fits in would wait for ever.
    fn price(&self, lane: Lane, cost: u32) -> f64 {
        f64::from(cost).min(self.burst - self.untouchable(lane))
    }

    fn untouchable(&self, lane: Lane) -> f64 {
        match lane {
            Lane::Contain => 0.0,
            Lane::Sync => self.reserve,
            Lane::Bulk => self.reserve_from_bulk,
        }
    }

    fn remaining_ratio(&self, lane: Lane) -> f64 {
        let untouchable = self.untouchable(lane);
        ((self.tokens - untouchable) / (self.burst - untouchable)).clamp(0.0, 1.0)
    }
}

/// Whole tokens, and at least one stays within reach of everybody.
fn reserve(burst: f64, share: f64) -> f64 {
    (burst * share).ceil().min(burst - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(per_second: f64, burst: u32) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket::full(per_second, burst, now), now)
    }

    fn drain(bucket: &mut Bucket, lane: Lane, now: Instant) -> u32 {
        (0..).take_while(|_| bucket.take(lane, 1, now).is_ok()).last().map_or(0, |n| n + 1)
    }

    #[test]
    fn sync_leaves_three_tenths_of_the_burst_to_containment() {
        let (mut b, now) = bucket(10.0, 50);
        assert_eq!(drain(&mut b, Lane::Sync, now), 35);
        assert_eq!(drain(&mut b, Lane::Contain, now), 15);
        assert_eq!(b.take(Lane::Contain, 1, now), Err(Duration::from_millis(100)));
        assert_eq!(b.take(Lane::Sync, 1, now), Err(Duration::from_millis(1600)));
    }

    #[test]
    fn the_smallest_plans_starve_neither_lane() {
        for burst in [0, 1, 2, 3] {
            let (mut b, now) = bucket(2.0, burst);
            assert!(drain(&mut b, Lane::Sync, now) >= 1, "burst {burst}: sync");
            let later = now + Duration::from_secs(60);
            assert!(drain(&mut b, Lane::Contain, later) >= 1, "burst {burst}: contain");
        }
        let (b, _) = bucket(2.0, 2);
        assert_eq!(b.reserve, 1.0, "one whole token of the free plan's two is containment's");
    }

    #[test]
    fn a_vendor_with_a_smaller_bucket_than_ours_does_not_starve_sync() {
        let (mut b, now) = bucket(100.0, 1000);
        b.hear(49, Some(50));
        assert_eq!(drain(&mut b, Lane::Sync, now), 34);
        assert_eq!(drain(&mut b, Lane::Contain, now), 15);
        assert!(b.take(Lane::Sync, 1, now + Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn a_dear_request_waits_until_all_of_its_price_is_there_and_none_waits_for_ever() {
        let (mut b, now) = bucket(10.0, 20);
        assert_eq!(b.take(Lane::Bulk, 4, now), Ok(()));
        assert_eq!(b.take(Lane::Bulk, 8, now), Err(Duration::from_millis(200)), "16 left, 10 untouchable");
        assert_eq!(b.take(Lane::Contain, 8, now), Ok(()));
        assert_eq!(b.take(Lane::Bulk, 1000, now + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn nonsense_rates_still_let_something_through() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (mut b, now) = bucket(rate, 5);
            drain(&mut b, Lane::Contain, now);
            assert!(b.take(Lane::Contain, 1, now + Duration::from_secs(10)).is_ok(), "{rate}");
        }
    }

    proptest! {
        /// Over any stretch no more leaves than the burst and the refill, and sync never digs into the reserve.
        #[test]
        fn never_more_than_burst_and_refill(steps in prop::collection::vec((0u64..500, any::<bool>()), 1..200)) {
            let (mut b, start) = bucket(7.0, 20);
            let (mut now, mut taken) = (start, 0.0);
            for (millis, contain) in steps {
                now += Duration::from_millis(millis);
                let lane = if contain { Lane::Contain } else { Lane::Sync };
                if b.take(lane, 1, now).is_ok() {
                    taken += 1.0;
                    prop_assert!(contain || b.tokens >= b.reserve - 1e-6);
                }
            }
            prop_assert!(taken <= 20.0 + (now - start).as_secs_f64() * 7.0 + 1e-6);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn containment_overtakes_waiting_sync_and_only_waits_for_the_refill() {
        let budget = Arc::new(Budget::new("auth0", 2.0, 10, Metrics::new()));
        let start = Instant::now();
        let waiting: Vec<_> = (0..40)
            .map(|_| {
                let budget = Arc::clone(&budget);
                tokio::spawn(async move { budget.take(Lane::Sync).await })
            })
            .collect();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            assert_eq!(budget.take(Lane::Contain).await, Ok(()));
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "the reserve is there at once");
        assert_eq!(budget.take(Lane::Contain).await, Ok(()));
        assert_eq!(start.elapsed(), Duration::from_millis(500), "then the next token is containment's");
        let mut served = 0;
        for task in waiting {
            served += u32::from(task.await.unwrap().is_ok());
        }
        assert!(start.elapsed() <= WAIT_MOST + Duration::from_secs(1), "{:?}", start.elapsed());
        assert!((7..40).contains(&served), "the rest was told to come back: {served}");
    }

    #[test]
    fn what_may_be_another_limit_leaves_containment_its_share() {
        let (mut b, now) = bucket(1.0, 50);
        b.hear_in_doubt(0, Some(20));
        assert!(b.take(Lane::Sync, 1, now).is_err());
        assert_eq!(drain(&mut b, Lane::Contain, now), 6, "three tenths of twenty");
        b.hear_in_doubt(0, Some(20));
        assert!(b.take(Lane::Contain, 1, now).is_err(), "it gives nothing either");
    }

    #[test]
    fn a_bucket_that_is_followed_rises_and_falls_with_the_vendors() {
        let (mut b, now) = bucket(1.0, 20);
        b.follow(8, 2);
        assert_eq!(drain(&mut b, Lane::Contain, now), 6, "two are under way");
        b.follow(19, 0);
        assert_eq!(drain(&mut b, Lane::Sync, now), 13);
        b.fit(Bucket::full(0.5, 10, now));
        assert_eq!(drain(&mut b, Lane::Contain, now), 6, "another size makes no tokens");
        assert_eq!(b.take(Lane::Contain, 1, now), Err(Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_vendor_says_lowers_the_budget_and_never_raises_it() {
        let budget = Budget::new("auth0", 1.0, 10, Metrics::new());
        budget.heard(50, None);
        budget.heard(1, None);
        assert_eq!(budget.try_take(Lane::Contain, 1), Ok(()));
        assert_eq!(budget.try_take(Lane::Contain, 1), Err(Duration::from_secs(1)));
        assert_eq!(budget.try_take(Lane::Sync, 1), Err(Duration::from_secs(4)), "the reserve fills first");
        tokio::time::advance(Duration::from_secs(60)).await;
        budget.lower_to_reserve();
        assert_eq!(budget.try_take(Lane::Sync, 1), Err(Duration::from_secs(1)));
        assert_eq!(budget.try_take(Lane::Contain, 1), Ok(()));
    }
}
