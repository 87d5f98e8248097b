//! What should hold for this person: contained, released, or left alone.
//!
//! Weighs the reasons against each other ([`super::reasons`] says what each is worth): a person's release goes before
//! everything that is not newer than it, a release that was decided goes on, and otherwise whatever calls for
//! containment contains.

use super::reasons::{self, Called, Release};
use crate::case::{Case, CaseState, Cause, Releaser};
use crate::event::EventKind;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) enum Stance {
    /// Nobody contains the person yet, and somebody should.
    Open(Called),
    /// The open case goes on for these reasons. `held`: why it was not released though somebody asked.
    Continue {
        causes: Vec<Cause>,
        held: Option<String>,
    },
    Release {
        release: Release,
        causes: Vec<Cause>,
    },
    Leave {
        why: String,
    },
}

pub(super) fn decide(snapshot: &Snapshot, policy: &Policy) -> Stance {
    let called = reasons::called_for(snapshot, policy);
    match &snapshot.case {
        Some(case) => of_open_case(snapshot, case, &called, policy),
        None if called.wanted.is_empty() => {
            Stance::Leave { why: called.left.unwrap_or_else(|| "nothing calls for containment".into()) }
        }
        None => Stance::Open(called),
    }
}

fn of_open_case(snapshot: &Snapshot, case: &Case, called: &Called, policy: &Policy) -> Stance {
    let ever = reasons::join(case.every_cause(), called.causes());
    // What a release in progress has answered is over; only what is newer turns it round.
    let causes = match case.state {
        CaseState::Releasing => reasons::join(Vec::new(), called.causes()),
        _ => ever.clone(),
    };
    let asked = asked_to_release(snapshot, case);
    let newer =
        |release: &Release| causes.iter().find(|cause| cause.holds() && Some(cause.as_of) > release.as_of);
    let overtaken = match asked.as_ref().map(|release| (release, newer(release))) {
        Some((release, Some(cause))) => {
            let (newer, since) = (cause.reason.sentence(), cause.as_of);
            Some(format!("not {}: overtaken by what is newer ({newer}, {since})", release.because))
        }
        Some((_, None)) | None => None,
    };
    if let (Some(release), None) = (asked, &overtaken) {
        return Stance::Release { release, causes: ever };
    }
    match releasing(case).filter(|_| !called.holds()).or_else(|| reasons::over(&causes, snapshot, policy)) {
        Some(release) => Stance::Release { release, causes: ever },
        None => Stance::Continue { causes, held: overtaken },
    }
}

/// A release names its case, so that one that comes late cannot release a later containment. The newest one counts.
fn asked_to_release(snapshot: &Snapshot, open: &Case) -> Option<Release> {
    let asked = snapshot.asks.iter().filter_map(|ask| match &ask.kind {
        EventKind::ReleaseRequested { by, case, reason } if *case == open.id => {
            let because = format!("released by {by}: {reason}");
            Some(Release { because, by: Releaser::Operator, as_of: Some(ask.received_at) })
        }
        _ => None,
    });
    asked.max_by_key(|release| release.as_of)
}

/// A release that was decided goes on, whether or not Entra can be heard again.
fn releasing(case: &Case) -> Option<Release> {
    let because = case.released_because.clone().unwrap_or_default();
    let by = case.released_by.unwrap_or(Releaser::Operator);
    (case.state == CaseState::Releasing).then_some(Release { because, by, as_of: case.released_as_of })
}
