//! Time as an argument. [`SystemClock`] is the one place that reads the real time; everything else is told.

use std::fmt;
use std::sync::Arc;

pub use jiff::{SignedDuration, Timestamp};

/// Tells what time it is. Implementations may be asked from many tasks at once.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The clock every part of one process shares.
pub type SharedClock = Arc<dyn Clock>;

/// The real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// `to - from`, never negative: for "how long until", "how old is".
pub fn elapsed(from: Timestamp, to: Timestamp) -> std::time::Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// `at + by`, saturating at the end of representable time.
pub fn after(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.saturating_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}
