//! Accounts that share only the person's e-mail address: looked for once per case, when the lockout is proven or late, and
//! shown to people. Nothing is done to them, and nothing waits for them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Rounds;
use crate::case::look_alikes::LookAlikes;
use crate::case::{AccountId, Case, CaseState};
use crate::clock::Timestamp;
use crate::snapshot::{Email, Snapshot};
use crate::worker::look::Verdict;
use crate::worker::record;

/// It is only shown: an Auth0 that takes longer is not asked.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Whom to look for.
pub(super) struct Seen {
    email: Email,
    ours: BTreeSet<AccountId>,
}

impl Seen {
    /// `None` when the address is not known.
    pub(super) fn of(snapshot: &Snapshot) -> Option<Seen> {
        let ours = snapshot.accounts.keys().cloned().collect();
        Some(Seen { email: snapshot.email()?.clone(), ours })
    }
}

impl Rounds<'_> {
    /// `None` when it cannot be told: best effort.
    pub(super) async fn read_look_alikes(&self) -> Option<LookAlikes> {
        let seen = self.seen.as_ref()?;
        let asked = self.looker.auth0.accounts_with_email(seen.email.as_str());
        let found = match tokio::time::timeout(WAIT_MAX, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(subject.id = %self.subject, "look-alikes are not known: {error}");
                return None;
            }
            Err(_) => return None,
        };
        Some(LookAlikes::of(found.into_iter().map(|other| other.id).filter(|id| !seen.ours.contains(id))))
    }

    /// After the proof, or when that is late, and never while something is still to be written down.
    pub(super) async fn show_look_alikes(&mut self, verdict: &Verdict) {
        let now = self.looker.deps.clock.now();
        let wanting = self.ledger.case.as_ref().filter(|case| is_time(case, verdict, now));
        let Some(mut case) = wanting.filter(|_| self.ledger.is_written()).cloned() else { return };
        let Some(found) = self.read_look_alikes().await else { return };
        let told = found
            .sentences()
            .into_iter()
            .map(|sentence| record::entry(&case, now, "case.look_alike", sentence))
            .collect();
        case.look_alikes = Some(found);
        let policy = self.looker.deps.policy.borrow().clone();
        // What could not be saved is looked for at the next look.
        let _ = self.save(case, told, Vec::new(), &policy, now).await;
    }
}

fn is_time(case: &Case, verdict: &Verdict, now: Timestamp) -> bool {
    let is_late = now > case.verify_by;
    let is_settled = match (case.state, verdict) {
        (CaseState::Verified | CaseState::NotActed, Verdict::Done | Verdict::Later { .. }) => true,
        (CaseState::Requested | CaseState::Accepted, Verdict::Later { .. }) => is_late,
        _ => false,
    };
    case.look_alikes.is_none() && is_settled
}
