//! Whether anything may be done for this person at all, and as whom: somebody to keep in step, somebody outside, or a
//! leaver.

use std::time::Duration;

use super::Next;
use crate::clock::{self, Timestamp};
use crate::policy::Policy;
use crate::policy::groups::GroupRule;
use crate::policy::sync::Guests;
use crate::snapshot::sync::{CaseAbout, Groups, OpenCase, SyncSnapshot};
use crate::snapshot::{Directory, Enabled};

/// A person whom neither the users nor the deleted items know may not have been replicated yet: somebody was told of
/// them a moment ago (Microsoft Graph, Delta query: replication delays). For this long the question is asked again.
pub(super) const NOT_REPLICATED_FOR: Duration = Duration::from_secs(120);
/// How often it is asked.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(5);

pub(super) enum Scope {
    In,
    /// Outside of `[people]`.
    Out {
        why: String,
    },
    /// Deleted in Entra, and locked for it.
    Gone(OpenCase),
    /// For a reason that is known.
    Leave {
        why: String,
        next: Next,
    },
    /// Not to be found, and nobody told of a deletion.
    Missing {
        why: String,
        next: Next,
    },
    /// What decides could not be read.
    Unread {
        why: String,
    },
}

pub(super) fn of(snapshot: &SyncSnapshot, policy: &Policy, now: Timestamp) -> Scope {
    let leave = |why: String| Scope::Leave { why, next: Next::Settled };
    if policy.protected.people.contains(&snapshot.subject.object) {
        return leave("protected by policy: nothing is given, changed or taken".into());
    }
    let person = match (&snapshot.directory, snapshot.case) {
        (Directory::Unread(why), _) => {
            return Scope::Unread { why: format!("Entra could not be read: {why}") };
        }
        (Directory::SoftDeleted(_) | Directory::Missing, Some(case))
            if case.about == CaseAbout::DeletionVerified =>
        {
            return Scope::Gone(case);
        }
        (_, Some(case)) => {
            return leave(format!("{} is open: kept in step again after its release", case.id));
        }
        (Directory::SoftDeleted(_), None) => {
            return leave("deleted in Entra: kept as it is".into());
        }
        (Directory::Missing, None) => return missing(snapshot, now),
        (Directory::Present(person), None) => person,
    };
    match person.enabled {
        Enabled::Yes => {}
        Enabled::No => return leave("disabled in Entra: nothing is given, changed or taken".into()),
        Enabled::NotTold => {
            let why = "Graph does not tell whether the account is enabled: a permission may be lost".into();
            return Scope::Unread { why };
        }
    }
    by_policy(snapshot, policy)
}

/// Not there is not gone. What tells of a deletion is the deleted items, or Graph's own word, which leads to a case.
fn missing(snapshot: &SyncSnapshot, now: Timestamp) -> Scope {
    let why = "Entra knows nobody by this id, neither among the users nor among the deleted".to_owned();
    let patient = clock::elapsed(snapshot.asked_at, now) < NOT_REPLICATED_FOR;
    let next = if patient { Next::Again(ASK_AGAIN) } else { Next::Settled };
    Scope::Missing { why, next }
}

fn by_policy(snapshot: &SyncSnapshot, policy: &Policy) -> Scope {
    if policy.people.guests == Guests::Ignore {
        match snapshot.profile.0.get("userType").map(serde_json::Value::as_str) {
            Some(Some("Guest")) => {
                return Scope::Out { why: "a guest: the policy keeps only members in step".into() };
            }
            Some(_) => {}
            None => {
                let why = "Graph does not tell whether this is a guest: a permission may be lost".into();
                return Scope::Unread { why };
            }
        }
    }
    let (any_of, none_of) = (policy.people.any_of.clone(), policy.people.none_of.clone());
    let rule = GroupRule { any_of, none_of, all_of: Default::default() };
    if rule == GroupRule::default() {
        return Scope::In;
    }
    match &snapshot.groups {
        Groups::Unread(why) => {
            let why = format!("whether the policy means this person is unknown, groups were not read: {why}");
            Scope::Unread { why }
        }
        Groups::Known(groups) if rule.holds(groups) => Scope::In,
        Groups::Known(_) => Scope::Out { why: "not among the people that [people] names".into() },
    }
}
