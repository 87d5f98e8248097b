//! "Not before": a vendor that asked us to wait is left alone by everybody until then.
//!
//! One gate per limit of a vendor, shared by all its readers and writers. Both lanes obey it: the vendor counts
//! requests made while throttled, so that asking again only makes the pause longer (Microsoft Graph, Throttling).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{self, SharedClock, Timestamp};
use crate::retry::BackOff;

/// What a throttled answer said about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The vendor named this time.
    Until(Timestamp),
    /// It named none; the pause grows with every throttled answer in a row.
    Nothing,
}

/// Remembers one pause.
#[derive(Debug)]
pub struct Gate {
    vendor: &'static str,
    clock: SharedClock,
    back_off: BackOff,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Timestamp,
    /// How long it was when the vendor asked for it; it is never longer than that.
    length: Duration,
}

#[derive(Debug, Default)]
struct State {
    not_before: Option<Pause>,
    /// Throttled answers since the last good one.
    in_a_row: u32,
}

impl Gate {
    /// `back_off` is for answers that name no time.
    pub fn new(vendor: &'static str, clock: SharedClock, back_off: BackOff) -> Gate {
        Gate { vendor, clock, back_off, state: Mutex::default() }
    }

    /// # Errors
    /// The time until which nothing may be sent.
    pub fn check(&self) -> Result<(), Timestamp> {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(pause) = &mut state.not_before else { return Ok(()) };
        if clock::elapsed(now, pause.until) > pause.length {
            // The clock was set back: a pause of a second must not become one of an hour.
            pause.until = clock::after(now, pause.length);
        }
        if now < pause.until { Err(pause.until) } else { Ok(()) }
    }

    /// Closes the gate after a throttled answer. A pause that is already longer stays.
    pub fn close(&self, told: Told) {
        let mut state = self.state();
        state.in_a_row = state.in_a_row.saturating_add(1);
        let until = match told {
            Told::Until(until) => until,
            Told::Nothing => self.guess(state.in_a_row),
        };
        if state.not_before.is_none_or(|earlier| earlier.until < until) {
            tracing::warn!(vendor = self.vendor, %until, "the vendor throttles us; waiting");
            state.not_before = Some(Pause { until, length: clock::elapsed(self.clock.now(), until) });
        }
    }

    /// A good answer ends the count of throttled ones.
    pub fn passed(&self) {
        self.state().in_a_row = 0;
    }

    fn guess(&self, in_a_row: u32) -> Timestamp {
        clock::after(self.clock.now(), self.back_off.delay(in_a_row, fastrand::f64()))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause for vendors whose limits refill every second.
pub const BY_THE_SECOND: BackOff = BackOff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Hands(Mutex<Timestamp>);

    impl crate::clock::Clock for Hands {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    impl Hands {
        fn set(&self, at: Timestamp) {
            *self.0.lock().unwrap() = at;
        }
    }

    fn gate() -> (Gate, Arc<Hands>) {
        let hands = Arc::new(Hands(Mutex::new("2026-03-02T08:00:00Z".parse().unwrap())));
        (Gate::new("graph", hands.clone(), BY_THE_SECOND), hands)
    }

    fn later(hands: &Hands, seconds: u64) -> Timestamp {
        clock::after(hands.now(), Duration::from_secs(seconds))
    }

    #[test]
    fn it_stays_shut_until_the_time_the_vendor_named() {
        let (gate, hands) = gate();
        let until = later(&hands, 7);
        gate.close(Told::Until(until));
        gate.close(Told::Until(later(&hands, 2)));
        assert_eq!(gate.check(), Err(until), "the longer pause holds");
        hands.set(until);
        assert_eq!(gate.check(), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_pause_longer_than_it_was() {
        let (gate, hands) = gate();
        gate.close(Told::Until(later(&hands, 7)));
        hands.set(later(&hands, 5));
        hands.set("2026-03-02T02:00:00Z".parse().unwrap());
        let until = gate.check().unwrap_err();
        assert_eq!(clock::elapsed(hands.now(), until), Duration::from_secs(7));
        hands.set(until);
        assert_eq!(gate.check(), Ok(()));
    }

    #[test]
    fn without_a_time_the_pause_grows_and_a_good_answer_resets_it() {
        let (gate, hands) = gate();
        let mut pauses = Vec::new();
        for _ in 0..4 {
            gate.close(Told::Nothing);
            let until = gate.check().unwrap_err();
            pauses.push(clock::elapsed(hands.now(), until));
            hands.set(until);
        }
        assert!(pauses[0] <= Duration::from_secs(1) && pauses[3] >= Duration::from_secs(4), "{pauses:?}");
        gate.passed();
        gate.close(Told::Nothing);
        let again = clock::elapsed(hands.now(), gate.check().unwrap_err());
        assert!(again <= Duration::from_secs(1), "{again:?}");
    }
}
