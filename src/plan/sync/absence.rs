//! What is not in a list of memberships: asked for in another way before anything rests on it. The list comes with 200
//! whether it is whole or not.

use super::scope::{ASK_AGAIN, NOT_REPLICATED_FOR};
use super::{Next, SyncPlan};
use crate::action::sync::SyncAction;
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::policy::sync::Target;
use crate::snapshot::sync::{Groups, GroupsTold, SyncSnapshot};

/// The plan, or the question that has to be answered before it.
pub(super) fn asked_for(plan: SyncPlan, snapshot: &SyncSnapshot, policy: &Policy) -> SyncPlan {
    let concerns_somebody = !snapshot.accounts.is_empty() || !plan.actions.is_empty();
    let rests = concerns_somebody && has_lost_a_group(snapshot, policy)
        || plan.actions.iter().any(|action| takes(action, policy));
    if snapshot.groups_told == GroupsTold::Once && rests {
        SyncPlan::undecided(snapshot, plan.held, Next::AskForGroups)
    } else {
        plan
    }
}

/// Graph may only be late with what it has changed, and then it agrees with itself within seconds.
pub(super) fn again(snapshot: &SyncSnapshot, now: Timestamp) -> Option<Next> {
    let late = snapshot.groups_told == GroupsTold::Differently
        && clock::elapsed(snapshot.asked_at, now) < NOT_REPLICATED_FOR;
    late.then_some(Next::Again(ASK_AGAIN))
}

/// Whether the list leaves out a group that the person was last seen in. With `none_of` such a loss can also give.
fn has_lost_a_group(snapshot: &SyncSnapshot, policy: &Policy) -> bool {
    let (Groups::Known(listed), Some(remembered)) = (&snapshot.groups, &snapshot.remembered) else {
        return false;
    };
    let named = policy.groups();
    remembered.groups.iter().any(|group| named.contains(group) && !listed.contains(group))
}

fn takes(action: &SyncAction, policy: &Policy) -> bool {
    match action {
        SyncAction::RemoveRoles { .. }
        | SyncAction::LeaveOrganization { .. }
        | SyncAction::RemoveOrganizationRoles { .. }
        | SyncAction::EndAccess { .. } => true,
        // The demand for a second factor is lifted.
        SyncAction::SetAttributes { values, .. } => values.iter().any(|(target, value)| {
            let is_demand =
                matches!(target, Target::AppMetadata(key) if Some(key) == policy.mfa.metadata_key.as_ref());
            is_demand && value.is_none()
        }),
        _ => false,
    }
}
