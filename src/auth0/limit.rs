//! One of Auth0's rate limits: our share of it, and the pause that it asked for. The tenant has one for the Management API,
//! each kind of request there, SCIM and the Authentication API have their own (Auth0, Rate Limit Policy).

use std::sync::Arc;

use crate::auth0::wire;
use crate::clock::{self, SharedClock, Timestamp};
use crate::event::Lane;
use crate::outbound::budget::Budget;
use crate::outbound::gate::{BY_THE_SECOND, Gate, Told};
use crate::outbound::http::{Answer, Cause};
use crate::outbound::{Deps, Trouble};

#[derive(Debug)]
pub(super) struct Limit {
    clock: SharedClock,
    pub(super) budget: Budget,
    pub(super) gate: Gate,
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

    /// Until when nothing may be sent, if so.
    pub(super) fn closed_until(&self) -> Option<Timestamp> {
        self.gate.check().err()
    }

    /// Waits for a share of the budget, within bounds.
    pub(super) async fn take(&self, lane: Lane) -> Result<(), Trouble> {
        self.check()?;
        self.take_share(lane).await?;
        // Somebody may have been throttled while we waited.
        self.check()
    }

    /// Whatever pause there is.
    pub(super) async fn take_share(&self, lane: Lane) -> Result<(), Trouble> {
        let until = |wait| clock::after(self.now(), wait);
        self.budget.take(lane).await.map_err(|wait| Trouble::OverBudget { until: until(wait) })
    }

    /// What an answer tells about the limit and the vendor's health; a refusal of the request itself is no trouble.
    pub(super) fn heard(&self, answer: &Answer) -> Result<(), Trouble> {
        if let Some(remaining) = wire::remaining(answer) {
            self.budget.heard(remaining, wire::limit(answer));
        }
        self.judge(answer)
    }

    /// The same without a look at the budget.
    pub(super) fn judge(&self, answer: &Answer) -> Result<(), Trouble> {
        let status = answer.status.as_u16();
        match status {
            429 => Err(self.throttled(answer)),
            503 if answer.header("retry-after").is_some() => Err(self.throttled(answer)),
            500.. => Err(Trouble::Failed { status }),
            408 => Err(Trouble::NoReply(Cause::TimedOut)),
            200..300 => {
                self.passed();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn passed(&self) {
        self.gate.passed();
    }

    /// What a throttled answer says about when to come back.
    pub(super) fn told(&self, answer: &Answer) -> Told {
        wire::come_back_at(answer, self.now()).map_or(Told::Nothing, Told::Until)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn throttled(&self, answer: &Answer) -> Trouble {
        let told = self.told(answer);
        self.gate.close(told);
        let until = match told {
            Told::Until(until) => Some(until),
            Told::Nothing => None,
        };
        Trouble::Throttled { status: answer.status.as_u16(), until }
    }
}
