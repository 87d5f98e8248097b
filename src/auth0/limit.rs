//! One of Auth0's rate limits: our share of it, and the pause that it asked for. The Management API, SCIM and the
//! Authentication API have one each (Auth0, Rate Limit Policy).

use std::sync::Arc;

use crate::auth0::wire;
use crate::clock::{self, SharedClock};
use crate::event::Lane;
use crate::outbound::budget::Budget;
use crate::outbound::gate::{BY_THE_SECOND, Gate, Told};
use crate::outbound::http::{Answer, Cause};
use crate::outbound::{Deps, Trouble};

#[derive(Debug)]
pub(super) struct Limit {
    clock: SharedClock,
    budget: Budget,
    gate: Gate,
}

impl Limit {
    pub(super) fn new(name: &'static str, per_second: f64, burst: u32, deps: &Deps) -> Limit {
        Limit {
            clock: Arc::clone(&deps.clock),
            budget: Budget::new(name, per_second, burst, Arc::clone(&deps.metrics)),
            gate: Gate::new(name, Arc::clone(&deps.clock), BY_THE_SECOND),
        }
    }

    /// Whether anything may be sent at all.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        self.gate.check().map_err(|until| Trouble::HeldBack { until })
    }

    /// Waits for a share of the budget, within bounds.
    pub(super) async fn take(&self, lane: Lane) -> Result<(), Trouble> {
        self.check()?;
        let until = |wait| clock::after(self.clock.now(), wait);
        self.budget.take(lane).await.map_err(|wait| Trouble::OverBudget { until: until(wait) })?;
        // Somebody may have been throttled while we waited.
        self.check()
    }

    /// What an answer tells about the limit and the vendor's health; a refusal of the request itself is no trouble.
    pub(super) fn heard(&self, answer: &Answer) -> Result<(), Trouble> {
        if let Some(remaining) = wire::remaining(answer) {
            self.budget.heard(remaining, wire::limit(answer));
        }
        let status = answer.status.as_u16();
        match status {
            429 => Err(self.throttled(answer)),
            503 if answer.header("retry-after").is_some() => Err(self.throttled(answer)),
            500.. => Err(Trouble::Failed { status }),
            408 => Err(Trouble::NoReply(Cause::TimedOut)),
            200..300 => {
                self.gate.passed();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn throttled(&self, answer: &Answer) -> Trouble {
        let until = wire::come_back_at(answer, self.clock.now());
        self.gate.close(until.map_or(Told::Nothing, Told::Until));
        Trouble::Throttled { status: answer.status.as_u16(), until }
    }
}
