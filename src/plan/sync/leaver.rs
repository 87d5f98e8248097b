//! Leavers: locked at once by containment, kept for the grace, then deleted where the policy says so.
//!
//! The grace counts from the first word of the deletion, in the case that locked the accounts: a release of that case also
//! takes the deletion back, and nothing is deleted that this case has not blocked.

use std::time::Duration;

use super::{Draft, Next, SyncPlan};
use crate::action::sync::SyncAction;
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::policy::sync::Delete;
use crate::snapshot::sync::{OpenCase, SyncSnapshot};
use crate::snapshot::{AccountsSeen, Blocked, Directory};

/// One pair of answers that know nobody may be a replica's; a purge is believed when it is still so after this long.
const PURGED_AFTER: Duration = Duration::from_secs(600);

pub(super) fn plan(snapshot: &SyncSnapshot, policy: &Policy, case: OpenCase, now: Timestamp) -> SyncPlan {
    let mut draft = Draft::of(snapshot);
    let over_at = clock::after(case.counts_from, policy.leavers.grace());
    let missing_since = match snapshot.directory {
        Directory::Missing => {
            Some(snapshot.remembered.as_ref().and_then(|known| known.missing_since).unwrap_or(now))
        }
        Directory::Present(_) | Directory::SoftDeleted(_) | Directory::Unread(_) => None,
    };
    draft.remembered.missing_since = missing_since;
    let purged_at = missing_since.map(|since| clock::after(since, PURGED_AFTER));
    let purged = purged_at.is_some_and(|at| now >= at);
    let due = match policy.leavers.delete {
        Delete::Never => {
            draft.hold(format!("deleted in Entra, locked by {}: the policy keeps the accounts", case.id));
            return draft.finish(snapshot);
        }
        Delete::AfterGrace => now >= over_at,
        Delete::AfterGraceOrPurge => purged || now >= over_at,
    };
    if !due {
        let waits_for_purge = policy.leavers.delete == Delete::AfterGraceOrPurge;
        let over_at = purged_at.filter(|_| waits_for_purge).map_or(over_at, |at| at.min(over_at));
        draft.hold(format!("deleted in Entra, locked by {}: accounts are kept until {over_at:.0}", case.id));
        draft.remembered.look_at = Some(over_at);
        return draft.finish(snapshot);
    }
    if snapshot.accounts_seen != AccountsSeen::All {
        draft.need_whole();
        return draft.finish(snapshot);
    }
    let because = if purged { "purged in Entra" } else { "deleted in Entra, the grace is over" };
    let mut locked = true;
    for (account, holding) in &snapshot.accounts {
        if policy.protected.accounts.contains(account) {
            draft.find(format!("{account} is protected: it is not deleted with its person"));
            continue;
        }
        let by_this_case = holding.stamp.as_ref().is_some_and(|stamp| stamp.case == case.id);
        if holding.blocked != Blocked::Yes || !by_this_case {
            locked = false;
            draft.find(format!("{account} is not blocked by {}: it is not deleted", case.id));
            continue;
        }
        draft.actions.push(SyncAction::Delete { account: account.clone(), because: because.to_owned() });
    }
    if draft.actions.is_empty() && locked {
        let plan = draft.finish(snapshot);
        return SyncPlan { remembered: None, next: Next::CloseCase, ..plan };
    }
    draft.finish(snapshot)
}
