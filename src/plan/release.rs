//! What a release still needs: unblock what carries our stamp, and nothing else.
//!
//! The decision is saved as *releasing* before the first write, so that the read-back does not depend on hearing Entra
//! a second time.

use std::time::Duration;

use super::reasons::Release;
use super::{Next, Plan};
use crate::action::Action;
use crate::case::{Case, CaseState};
use crate::clock::Timestamp;
use crate::snapshot::{AccountsSeen, Snapshot};

/// How soon to look whether an unblock has arrived.
const RELEASE_AGAIN: Duration = Duration::from_millis(200);

/// Released when no account carries the stamp of this case any more: read back, like a containment.
pub(super) fn continue_release(snapshot: &Snapshot, case: &Case, release: Release, now: Timestamp) -> Plan {
    let mut case = Case {
        state: CaseState::Releasing,
        released_because: Some(release.because),
        released_as_of: release.as_of,
        released_by: Some(release.by),
        open: Vec::new(),
        ..case.clone()
    };
    if let AccountsSeen::Unread(why) | AccountsSeen::Partly { why, .. } = &snapshot.accounts_seen {
        case.open = vec![format!("release waits, Auth0 could not be read: {why}")];
        return Plan {
            case: Some(case),
            actions: Vec::new(),
            held: Vec::new(),
            next: Next::Again(RELEASE_AGAIN),
        };
    }
    let ours = |stamp: &crate::snapshot::Stamp| stamp.case == case.id;
    let actions: Vec<Action> = snapshot
        .accounts
        .values()
        .filter(|account| account.stamp.as_ref().is_some_and(ours))
        .map(|account| Action::Unblock { account: account.id.clone(), case: case.id })
        .collect();
    if !actions.is_empty() {
        return Plan { case: Some(case), actions, held: Vec::new(), next: Next::Again(RELEASE_AGAIN) };
    }
    case.state = CaseState::Released;
    case.released_at = Some(now);
    case.accounts.values_mut().for_each(|account| account.open.clear());
    Plan { case: Some(case), actions, held: Vec::new(), next: Next::Settled }
}
