//! What should hold for this person: contained, released, or left alone.
//!
//! An operator's release goes first; then what Entra says of the account; then risk. Absence is never evidence: a
//! person who cannot be found is contained only when Graph has also told us of the deletion.

use crate::case::{Case, CaseState, Reason, Response};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, EventKind, RiskEvidence, RiskLevel, RiskState, Source};
use crate::policy::{Policy, ReleaseWhenCleared};
use crate::snapshot::{Directory, Enabled, Risk, RiskView, Snapshot};

pub(super) enum Stance {
    Contain(Wanted),
    /// `as_of`: evidence up to this instant is answered by the release.
    Release {
        because: String,
        as_of: Timestamp,
    },
    Leave {
        why: String,
    },
}

/// Why, and how far, a person should be contained.
pub(super) struct Wanted {
    pub reason: Reason,
    pub response: Response,
    pub source: Source,
    pub event: EventId,
    pub signal_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

pub(super) fn decide(snapshot: &Snapshot, policy: &Policy) -> Stance {
    if let Some(release) = asked_to_release(snapshot) {
        return release;
    }
    if let Some(wanted) = asked_to_contain(snapshot).or_else(|| gone_from_entra(snapshot, policy)) {
        return or_ignore(wanted);
    }
    match at_risk(snapshot, policy) {
        AtRisk::Yes(wanted) => or_ignore(wanted),
        AtRisk::No(why) => {
            releasing(snapshot).or_else(|| cleared(snapshot, policy)).unwrap_or(Stance::Leave { why })
        }
    }
}

fn or_ignore(wanted: Wanted) -> Stance {
    match wanted.response {
        Response::Ignore => {
            let source = wanted.source.word();
            Stance::Leave {
                why: format!("the policy ignores this ({}, told by {source})", wanted.reason.sentence()),
            }
        }
        Response::Contain | Response::EndSessions | Response::Notify => Stance::Contain(wanted),
    }
}

/// A release names its case, so that one that comes late cannot release a later containment.
fn asked_to_release(snapshot: &Snapshot) -> Option<Stance> {
    let open = snapshot.case.as_ref()?;
    snapshot.asks.iter().find_map(|ask| match &ask.kind {
        EventKind::ReleaseRequested { by, case, reason } if *case == open.id => {
            Some(Stance::Release { because: format!("released by {by}: {reason}"), as_of: ask.received_at })
        }
        _ => None,
    })
}

/// A release that was decided goes on, whether or not Entra can be heard again.
fn releasing(snapshot: &Snapshot) -> Option<Stance> {
    let case = snapshot.case.as_ref().filter(|case| case.state == CaseState::Releasing)?;
    let because = case.released_because.clone().unwrap_or_default();
    Some(Stance::Release { because, as_of: case.released_as_of? })
}

fn asked_to_contain(snapshot: &Snapshot) -> Option<Wanted> {
    snapshot.asks.iter().find_map(|ask| match &ask.kind {
        EventKind::ContainRequested { by, reason } => {
            let reason = Reason::Operator { by: by.clone(), reason: reason.clone() };
            Some(Wanted::told_by(ask, reason, Response::Contain))
        }
        _ => None,
    })
}

fn gone_from_entra(snapshot: &Snapshot, policy: &Policy) -> Option<Wanted> {
    let ask = snapshot.asks.first()?;
    let told_deleted = snapshot.asks.iter().find(|ask| ask.kind == EventKind::UserDeleted);
    match &snapshot.directory {
        Directory::SoftDeleted(_) => Some(Wanted::told_by(ask, Reason::Deleted, policy.contain.on_deleted)),
        Directory::Missing => {
            told_deleted.map(|ask| Wanted::told_by(ask, Reason::Deleted, policy.contain.on_deleted))
        }
        Directory::Present(person) if person.enabled == Enabled::No => {
            Some(Wanted::told_by(ask, Reason::Disabled, policy.contain.on_disabled))
        }
        Directory::Present(_) | Directory::Unread(_) => None,
    }
}

enum AtRisk {
    Yes(Wanted),
    No(String),
}

fn at_risk(snapshot: &Snapshot, policy: &Policy) -> AtRisk {
    let mut answer = AtRisk::No("nothing calls for containment".into());
    for ask in &snapshot.asks {
        let EventKind::RiskReported(evidence) = &ask.kind else { continue };
        match weigh(snapshot, policy, ask, evidence) {
            yes @ AtRisk::Yes(_) => return yes,
            no @ AtRisk::No(_) => answer = no,
        }
    }
    answer
}

/// Weighs one alert. What Entra says now can raise it; only a newer "cleared" can lower it, because riskyUsers lags
/// behind the detections that lead to alerts.
fn weigh(snapshot: &Snapshot, policy: &Policy, ask: &Event, evidence: &RiskEvidence) -> AtRisk {
    let seen_at = evidence.detected_at.unwrap_or(ask.received_at);
    if let Some(why) = overtaken(snapshot, seen_at) {
        return AtRisk::No(why);
    }
    let needed = policy.risk_level(ask.source);
    let now = match &snapshot.risk {
        RiskView::Known(risk) => Some(*risk),
        RiskView::NotListed | RiskView::Unread(_) => None,
    };
    let strongest = match now.filter(|risk| calls(risk.level, risk.state, needed)) {
        Some(risk) if !calls(evidence.level, evidence.state, needed) => {
            RiskEvidence { level: risk.level, state: risk.state, ..evidence.clone() }
        }
        _ => evidence.clone(),
    };
    if calls(strongest.level, strongest.state, needed) {
        return AtRisk::Yes(Wanted::told_by(ask, Reason::Risk(strongest), policy.response(ask.source)));
    }
    AtRisk::No(format!(
        "risk {} ({}) is under the level that is acted on ({})",
        strongest.level.word(),
        strongest.state.word(),
        needed.word()
    ))
}

/// What an event asks can be answered by Graph alone, and Graph has not been heard. Such an event must not be settled:
/// a deletion nobody confirmed, a risk whose level the alert did not tell, a release nobody confirmed.
pub(super) fn unheard(snapshot: &Snapshot) -> Option<String> {
    if snapshot.case.as_ref().is_some_and(|case| case.state == CaseState::Releasing) {
        return None;
    }
    let directory = match &snapshot.directory {
        Directory::Unread(why) => Some(why),
        Directory::Present(_) | Directory::SoftDeleted(_) | Directory::Missing => None,
    };
    let risk = match &snapshot.risk {
        RiskView::Unread(why) => Some(why),
        RiskView::NotListed | RiskView::Known(_) => None,
    };
    let reason = snapshot.case.as_ref().map(|case| &case.reason);
    let why = snapshot.asks.iter().find_map(|ask| match (&ask.kind, reason) {
        (EventKind::Escalated, Some(Reason::Risk(_) | Reason::Disabled | Reason::Deleted)) => {
            directory.or(risk)
        }
        (EventKind::Escalated | EventKind::UserDeleted, _) => directory,
        (EventKind::RiskReported(evidence), Some(Reason::Risk(_) | Reason::Disabled | Reason::Deleted))
            if evidence.state.is_cleared() =>
        {
            directory.or(risk)
        }
        (EventKind::RiskReported(evidence), None) if evidence.level == RiskLevel::Unknown => risk,
        _ => None,
    })?;
    Some(format!("only Graph can tell, and it was not heard: {why}"))
}

/// Whether a level and state call for containment. "Confirmed compromised" does at any level.
fn calls(level: RiskLevel, state: RiskState, needed: RiskLevel) -> bool {
    match state {
        RiskState::ConfirmedCompromised => true,
        RiskState::AtRisk | RiskState::Unknown => level >= needed && level != RiskLevel::Unknown,
        RiskState::None | RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed => false,
    }
}

/// Something newer than the alert says that it is over: Entra cleared the risk, or a case was released since.
fn overtaken(snapshot: &Snapshot, seen_at: Timestamp) -> Option<String> {
    if let RiskView::Known(Risk { state, updated_at: Some(updated_at), .. }) = snapshot.risk
        && state.is_cleared()
        && updated_at >= seen_at
    {
        return Some(format!("Entra says {} since {updated_at}, after this alert", state.word()));
    }
    let given_back = snapshot.case.iter().chain(&snapshot.last_closed);
    given_back.filter(|case| matches!(case.state, CaseState::Releasing | CaseState::Released)).find_map(
        |case| {
            let as_of = case.released_as_of.filter(|as_of| *as_of >= seen_at)?;
            Some(format!("{} was released as of {as_of}, after this alert", case.id))
        },
    )
}

/// The reason of the open case no longer holds, and Entra has said so itself.
fn cleared(snapshot: &Snapshot, policy: &Policy) -> Option<Stance> {
    let case = snapshot.case.as_ref()?;
    if policy.contain.release_when_cleared == ReleaseWhenCleared::No {
        return None;
    }
    match &case.reason {
        Reason::Risk(evidence) => risk_cleared(snapshot, case, evidence),
        Reason::Disabled | Reason::Deleted => back_in_entra(snapshot),
        Reason::Operator { .. } => None,
    }
}

fn risk_cleared(snapshot: &Snapshot, case: &Case, evidence: &RiskEvidence) -> Option<Stance> {
    let RiskView::Known(Risk { state, updated_at: Some(updated_at), .. }) = snapshot.risk else {
        return None;
    };
    let seen_at = evidence.detected_at.unwrap_or(case.received_at);
    let is_back = !matches!(snapshot.directory, Directory::Unread(_) | Directory::Missing);
    let because = format!("Entra says that the risk is {}", state.word());
    (state.is_cleared() && updated_at >= seen_at && is_back)
        .then_some(Stance::Release { because, as_of: updated_at })
}

/// Enabled or restored, and not at risk by the latest reading: a risk that could not be read keeps the case open.
fn back_in_entra(snapshot: &Snapshot) -> Option<Stance> {
    let Directory::Present(person) = &snapshot.directory else { return None };
    let safe = match &snapshot.risk {
        RiskView::NotListed => true,
        RiskView::Known(risk) => risk.state.is_cleared() || risk.state == RiskState::None,
        RiskView::Unread(_) => false,
    };
    let as_of = snapshot.asks.iter().map(|ask| ask.received_at).max()?;
    let because = "the account is enabled in Entra again".into();
    (person.enabled == Enabled::Yes && safe).then_some(Stance::Release { because, as_of })
}

impl Wanted {
    fn told_by(ask: &Event, reason: Reason, response: Response) -> Wanted {
        Wanted {
            reason,
            response,
            source: ask.source,
            event: ask.id,
            signal_at: ask.signal_at,
            received_at: ask.received_at,
        }
    }
}
