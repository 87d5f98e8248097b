//! Which means of ending access the tenant's plan allows, learned from its refusals and for a while only: a plan may grow,
//! and whoever stood on the way and was taken for Auth0 may be gone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::case::Means;
use crate::clock::{self, Timestamp};

/// How long a refusal is believed; then one look an hour asks once more, which costs it one request that is refused.
const BELIEVED_FOR: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Learned {
    /// What is left to try, and since when.
    weaker: Mutex<Option<(Means, Timestamp)>>,
}

impl Learned {
    /// The strongest means that is not known to be refused.
    pub(super) fn now(&self, now: Timestamp) -> Means {
        let known = *self.weaker();
        let fresh = known.filter(|(_, since)| clock::elapsed(*since, now) < BELIEVED_FOR);
        fresh.map_or(Means::RevokeAccess, |(means, _)| means)
    }

    pub(super) fn refused(&self, refused: Means, now: Timestamp) {
        let known = self.now(now);
        if let Some(next) = refused.next().filter(|next| known < *next) {
            tracing::info!("the tenant's plan refuses {}; for an hour {}", refused.word(), next.word());
            *self.weaker() = Some((next, now));
        }
    }

    fn weaker(&self) -> std::sync::MutexGuard<'_, Option<(Means, Timestamp)>> {
        // What is written under it is a single value.
        self.weaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_believed_for_an_hour_and_then_found_out_anew() {
        let began: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let after = |seconds| clock::after(began, Duration::from_secs(seconds));
        let learned = Learned::default();
        assert_eq!(learned.now(began), Means::RevokeAccess);
        learned.refused(Means::RevokeAccess, began);
        learned.refused(Means::SessionsAndTokens, after(10));
        learned.refused(Means::RevokeAccess, after(20));
        assert_eq!(
            learned.now(after(3600)),
            Means::GrantsAndDevices,
            "counted from the last that was learned"
        );
        assert_eq!(learned.now(after(3610)), Means::RevokeAccess);
        learned.refused(Means::RevokeAccess, after(3610));
        assert_eq!(learned.now(after(3611)), Means::SessionsAndTokens);
    }
}
