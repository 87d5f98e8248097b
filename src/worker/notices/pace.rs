//! Obeying a vendor's "not so fast", per kind of request.
//!
//! Nothing is slowed down before the vendor says so. After that the kind of request rests until the time it named, and
//! then goes one at a time for a while: what piled up would otherwise run into the same wall together.

use std::time::Duration;

use crate::clock::{self, Timestamp};

/// Slack admits one post per second and channel in the long run (docs.slack.dev/apis/web-api/rate-limits).
const ONE_AT_A_TIME: Duration = Duration::from_secs(1);
/// How long requests go one at a time after a throttling.
const CAREFUL_FOR: Duration = Duration::from_secs(60);

/// Slack counts each method on its own, so a throttled post need not stop an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Post,
    Update,
    Look,
}

#[derive(Debug, Default)]
pub(super) struct Paces {
    post: Pace,
    update: Pace,
    look: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    open_at: Timestamp,
    careful_until: Timestamp,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { open_at: Timestamp::MIN, careful_until: Timestamp::MIN }
    }
}

impl Paces {
    /// Lets one request go, or says when to come again.
    pub fn admit(&mut self, call: Call, now: Timestamp) -> Result<(), Timestamp> {
        let pace = self.of(call);
        if now < pace.open_at {
            return Err(pace.open_at);
        }
        if now < pace.careful_until {
            pace.open_at = clock::after(now, ONE_AT_A_TIME);
        }
        Ok(())
    }

    pub fn throttled(&mut self, call: Call, until: Timestamp) {
        let pace = self.of(call);
        pace.open_at = pace.open_at.max(until);
        pace.careful_until = clock::after(pace.open_at, CAREFUL_FOR);
    }

    fn of(&mut self, call: Call) -> &mut Pace {
        match call {
            Call::Post => &mut self.post,
            Call::Update => &mut self.update,
            Call::Look => &mut self.look,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn nothing_waits_before_the_vendor_asks_for_it() {
        let mut paces = Paces::default();
        assert!((0..100).all(|_| paces.admit(Call::Post, at(0)).is_ok()));
    }

    #[test]
    fn a_throttled_call_rests_and_then_goes_one_at_a_time() {
        let mut paces = Paces::default();
        paces.throttled(Call::Post, at(30));
        paces.throttled(Call::Post, at(10));
        assert_eq!(paces.admit(Call::Post, at(29)), Err(at(30)));
        assert_eq!(paces.admit(Call::Post, at(30)), Ok(()));
        assert_eq!(paces.admit(Call::Post, at(30)), Err(at(31)));
        assert_eq!(paces.admit(Call::Post, at(31)), Ok(()));
        assert_eq!(paces.admit(Call::Post, at(95)), Ok(()));
        assert_eq!(paces.admit(Call::Post, at(95)), Ok(()));
    }

    #[test]
    fn one_method_does_not_stop_another() {
        let mut paces = Paces::default();
        paces.throttled(Call::Post, at(30));
        assert_eq!(paces.admit(Call::Update, at(0)), Ok(()));
    }
}
