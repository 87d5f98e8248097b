//! Reasons: what calls for containment, when each is over, and what a release has answered.
//!
//! The one rule: a case has reasons; each has the instant of its newest evidence and a way to be over (a risk when Entra
//! has cleared it since; disabled or deleted when the account is enabled again and Entra finds no risk; an operator's
//! only by an operator). A release answers what is not newer than its instant: a person's word answers every reason,
//! Entra's word about a risk answers alerts.
//!
//! One exception: where an account is blocked already for an event of this look and no case is on record, a former life
//! locked it and could not write that down. Then the event calls whatever is over by now, so that the case is there to
//! be released.

use std::cmp::Reverse;

use crate::case::{Case, CaseId, CaseState, Cause, Reason, Releaser, Response};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, EventKind, RiskEvidence, RiskLevel, RiskState};
use crate::policy::{Policy, ReleaseWhenCleared};
use crate::snapshot::{Account, Directory, Enabled, Risk, RiskView, Snapshot};

/// A reason that this look has found, and the event that told of it.
pub(super) struct Wanted {
    pub cause: Cause,
    pub event: EventId,
    pub correlation: EventId,
    pub signal_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

/// What this look has found, the strongest response first, and why anything else calls for nothing.
pub(super) struct Called {
    pub wanted: Vec<Wanted>,
    pub left: Option<String>,
}

/// Whose word gives a person back, and up to what instant it answers alerts.
pub(super) struct Release {
    pub because: String,
    pub by: Releaser,
    pub as_of: Option<Timestamp>,
}

enum Weighed {
    Calls(Wanted),
    Not(String),
}

/// Every reason that holds and that no release has answered.
pub(super) fn called_for(snapshot: &Snapshot, policy: &Policy) -> Called {
    let mut called = Called { wanted: Vec::new(), left: None };
    let found = operators(snapshot)
        .chain(gone_from_entra(snapshot, policy))
        .chain(alerts(snapshot, policy))
        .chain(off_the_record(snapshot));
    for weighed in found {
        match unanswered(snapshot, weighed) {
            Weighed::Calls(wanted) if wanted.cause.response == Response::Ignore => {
                let (why, source) = (wanted.cause.reason.sentence(), wanted.cause.source.word());
                called.left = Some(format!("the policy ignores this ({why}, told by {source})"));
            }
            Weighed::Calls(wanted) => called.wanted.push(wanted),
            Weighed::Not(why) => called.left = Some(why),
        }
    }
    called.wanted.sort_by_key(|wanted| {
        let named_by_block = is_off_the_record(snapshot, wanted.event);
        (!named_by_block, Reverse(wanted.cause.response), rank(&wanted.cause.reason))
    });
    called
}

impl Called {
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.wanted.iter().map(|wanted| &wanted.cause)
    }

    /// Whether anything calls for more than telling.
    pub fn holds(&self) -> bool {
        self.causes().any(Cause::holds)
    }
}

/// One of a kind: the newest evidence and the strongest response count, the first words stay.
pub(super) fn join<'a>(mut causes: Vec<Cause>, new: impl IntoIterator<Item = &'a Cause>) -> Vec<Cause> {
    for cause in new {
        match causes.iter_mut().find(|known| known.is_same_kind(cause)) {
            Some(known) => {
                known.as_of = known.as_of.max(cause.as_of);
                known.response = known.response.max(cause.response);
            }
            None => causes.push(cause.clone()),
        }
    }
    causes
}

/// Among equally strong responses a person's word names the case, then what is final.
fn rank(reason: &Reason) -> u8 {
    match reason {
        Reason::Operator { .. } => 0,
        Reason::Deleted => 1,
        Reason::Disabled => 2,
        Reason::Risk(_) => 3,
    }
}

fn operators(snapshot: &Snapshot) -> impl Iterator<Item = Weighed> + '_ {
    snapshot.asks.iter().filter_map(|ask| match &ask.kind {
        EventKind::ContainRequested { by, reason } => {
            let reason = Reason::Operator { by: by.clone(), reason: reason.clone() };
            Some(Weighed::told_by(ask, reason, Response::Contain, ask.received_at))
        }
        _ => None,
    })
}

/// What Entra says of the account is as new as the newest event that made us look. Absence is never evidence: whoever
/// cannot be found is gone only when Graph has also told us of the deletion.
fn gone_from_entra<'a>(snapshot: &'a Snapshot, policy: &Policy) -> impl Iterator<Item = Weighed> + use<'a> {
    let mut told = snapshot.asks.iter().filter(|ask| !matches!(ask.kind, EventKind::ReleaseRequested { .. }));
    let as_of = told.clone().map(|ask| ask.received_at).max();
    let found = match &snapshot.directory {
        Directory::SoftDeleted(_) => told.next().map(|ask| (ask, Reason::Deleted, policy.contain.on_deleted)),
        Directory::Missing => told
            .find(|ask| ask.kind == EventKind::UserDeleted)
            .map(|ask| (ask, Reason::Deleted, policy.contain.on_deleted)),
        Directory::Present(person) if person.enabled == Enabled::No => {
            told.next().map(|ask| (ask, Reason::Disabled, policy.contain.on_disabled))
        }
        Directory::Present(_) | Directory::Unread(_) => None,
    };
    let weighed = found.zip(as_of);
    weighed.map(|((ask, reason, response), as_of)| Weighed::told_by(ask, reason, response, as_of)).into_iter()
}

/// Whether a block of this event's case stands though there is no case.
pub(super) fn is_off_the_record(snapshot: &Snapshot, event: EventId) -> bool {
    let case = CaseId::opened_by(event);
    let stamped = |account: &Account| account.stamp.as_ref().is_some_and(|stamp| stamp.case == case);
    snapshot.case.is_none() && snapshot.accounts.values().any(stamped)
}

/// A change that no longer shows what it was about: that the account was disabled is the least that it can have been.
fn off_the_record(snapshot: &Snapshot) -> impl Iterator<Item = Weighed> + '_ {
    snapshot.asks.iter().filter_map(|ask| match &ask.kind {
        EventKind::Escalated | EventKind::UserDeleted if is_off_the_record(snapshot, ask.id) => {
            Some(Weighed::told_by(ask, Reason::Disabled, Response::Contain, ask.received_at))
        }
        _ => None,
    })
}

fn alerts<'a>(snapshot: &'a Snapshot, policy: &'a Policy) -> impl Iterator<Item = Weighed> + 'a {
    snapshot.asks.iter().filter_map(|ask| match &ask.kind {
        EventKind::RiskReported(evidence) => Some(weigh(snapshot, policy, ask, evidence)),
        _ => None,
    })
}

/// Weighs one alert by its own evidence. What Entra says now can raise it, unless the alert itself is newer and says
/// that it is over: riskyUsers lags behind what leads to alerts.
fn weigh(snapshot: &Snapshot, policy: &Policy, ask: &Event, evidence: &RiskEvidence) -> Weighed {
    let seen_at = evidence.seen_at(ask.received_at);
    let (needed, response) = (policy.risk_level(ask.source), policy.response(ask.source));
    if calls(evidence.level, evidence.state, needed) {
        return Weighed::told_by(ask, Reason::Risk(evidence.clone()), response, seen_at);
    }
    let newer = |risk: &Risk| risk.updated_at.is_none_or(|at| at > seen_at);
    match &snapshot.risk {
        RiskView::Known(risk) if calls(risk.level, risk.state, needed) => {
            if evidence.state.is_cleared() && !newer(risk) {
                let state = evidence.state.word();
                return Weighed::Not(format!("the alert says {state}, and Entra says nothing newer"));
            }
            let raised = RiskEvidence { level: risk.level, state: risk.state, ..evidence.clone() };
            let as_of = risk.updated_at.map_or(seen_at, |at| at.min(ask.received_at).max(seen_at));
            Weighed::told_by(ask, Reason::Risk(raised), response, as_of)
        }
        RiskView::Known(_) | RiskView::NotListed | RiskView::Unread(_) => Weighed::Not(format!(
            "risk {} ({}) is under the level that is acted on ({})",
            evidence.level.word(),
            evidence.state.word(),
            needed.word()
        )),
    }
}

/// Whether a level and state call for containment. "Confirmed compromised" does at any level.
fn calls(level: RiskLevel, state: RiskState, needed: RiskLevel) -> bool {
    match state {
        RiskState::ConfirmedCompromised => true,
        RiskState::AtRisk | RiskState::Unknown => level >= needed && level != RiskLevel::Unknown,
        RiskState::None | RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed => false,
    }
}

/// Something newer says that it is over: Entra cleared the risk, or a case was released since.
fn unanswered(snapshot: &Snapshot, weighed: Weighed) -> Weighed {
    let Weighed::Calls(wanted) = weighed else { return weighed };
    if is_off_the_record(snapshot, wanted.event) {
        return Weighed::Calls(wanted);
    }
    let what = if is_risk(&wanted.cause) { "this alert" } else { "this was told" };
    if is_risk(&wanted.cause)
        && let Some((state, since)) = cleared_since(&snapshot.risk, wanted.cause.as_of)
    {
        return Weighed::Not(format!("Entra says {} since {since}, after {what}", state.word()));
    }
    let releasing = snapshot.case.iter().filter(|case| case.state == CaseState::Releasing);
    for case in releasing.chain(&snapshot.released) {
        if let Some(as_of) = answers(case, &wanted.cause) {
            return Weighed::Not(format!("{} was released as of {as_of}, after {what}", case.id));
        }
    }
    Weighed::Calls(wanted)
}

fn answers(released: &Case, cause: &Cause) -> Option<Timestamp> {
    let answers = match released.released_by {
        Some(Releaser::Operator) | None => true,
        Some(Releaser::Entra) => is_risk(cause),
    };
    released.released_as_of.filter(|as_of| answers && *as_of >= cause.as_of)
}

fn is_risk(cause: &Cause) -> bool {
    matches!(cause.reason, Reason::Risk(_))
}

/// Entra has cleared the risk at or after this instant. A clearing without a time answers nothing.
fn cleared_since(risk: &RiskView, instant: Timestamp) -> Option<(RiskState, Timestamp)> {
    let RiskView::Known(Risk { state, updated_at: Some(updated_at), .. }) = risk else { return None };
    (state.is_cleared() && *updated_at >= instant).then_some((*state, *updated_at))
}

/// Every reason of the case is over, and Entra has said so itself.
pub(super) fn over(causes: &[Cause], snapshot: &Snapshot, policy: &Policy) -> Option<Release> {
    let unheard = matches!(snapshot.directory, Directory::Unread(_) | Directory::Missing);
    if unheard || policy.contain.release_when_cleared == ReleaseWhenCleared::No {
        return None;
    }
    let mut release = Release { because: String::new(), by: Releaser::Entra, as_of: None };
    let mut words = Vec::new();
    for cause in causes.iter().filter(|cause| cause.holds()) {
        let because = match &cause.reason {
            Reason::Operator { .. } => return None,
            Reason::Risk(_) => {
                let (state, since) = cleared_since(&snapshot.risk, cause.as_of)?;
                release.as_of = Some(since);
                format!("Entra says that the risk is {}", state.word())
            }
            Reason::Disabled | Reason::Deleted => {
                back_in_entra(snapshot).then(|| "the account is enabled in Entra again".to_owned())?
            }
        };
        if !words.contains(&because) {
            words.push(because);
        }
    }
    release.because = words.join(" and ");
    (!words.is_empty()).then_some(release)
}

/// Enabled or restored, and not at risk by the latest reading: a risk that could not be read keeps the case open.
fn back_in_entra(snapshot: &Snapshot) -> bool {
    let safe = match &snapshot.risk {
        RiskView::NotListed => true,
        RiskView::Known(risk) => risk.state.is_cleared() || risk.state == RiskState::None,
        RiskView::Unread(_) => false,
    };
    is_enabled(&snapshot.directory) && safe
}

fn is_enabled(directory: &Directory) -> bool {
    matches!(directory, Directory::Present(person) if person.enabled == Enabled::Yes)
}

/// Whether the answer of riskyUsers can change the plan: it may be asked once a second for the whole tenant. Never for
/// what the case holds already, which is what a read-back comes with.
pub(super) fn risk_can_matter(asks: &[Event], case: Option<&Case>) -> bool {
    let Some(case) = case else {
        return asks.iter().any(|ask| matches!(ask.kind, EventKind::RiskReported(_)));
    };
    let causes = case.every_cause();
    let known = |instant| causes.iter().any(|cause| is_risk(cause) && cause.as_of >= instant);
    let may_grow = case.state == CaseState::Releasing || case.response != Response::Contain;
    asks.iter().any(|ask| match &ask.kind {
        EventKind::RiskReported(evidence) if !evidence.state.is_cleared() => {
            may_grow && !known(evidence.seen_at(ask.received_at))
        }
        EventKind::RiskReported(_) | EventKind::Escalated | EventKind::UserDeleted => {
            may_be_released(case, &causes)
        }
        _ => false,
    })
}

/// Entra's word can end it: no operator holds it, and the release is not decided yet.
fn may_be_released(case: &Case, causes: &[Cause]) -> bool {
    let by_operator = |cause: &Cause| matches!(cause.reason, Reason::Operator { .. });
    case.state != CaseState::Releasing && !causes.iter().any(by_operator)
}

/// What an event asks can be answered by Graph alone, and Graph has not been heard. Such an event must not be settled:
/// a deletion nobody confirmed, a risk whose level the alert did not tell, a release nobody confirmed.
pub(super) fn unheard(snapshot: &Snapshot) -> Option<String> {
    let directory = match &snapshot.directory {
        Directory::Unread(why) => Some(why),
        Directory::Present(_) | Directory::SoftDeleted(_) | Directory::Missing => None,
    };
    let risk = match &snapshot.risk {
        RiskView::Unread(why) => Some(why),
        RiskView::NotListed | RiskView::Known(_) => None,
    };
    let case = snapshot.case.as_ref();
    if case.is_some_and(|case| case.state == CaseState::Releasing) {
        return None;
    }
    let hinges_on_risk = match case {
        Some(case) => may_be_released(case, &case.every_cause()) && is_enabled(&snapshot.directory),
        None => false,
    };
    let why = snapshot.asks.iter().find_map(|ask| match &ask.kind {
        EventKind::Escalated | EventKind::UserDeleted => directory.or(risk.filter(|_| hinges_on_risk)),
        EventKind::RiskReported(evidence) if case.is_some() && evidence.state.is_cleared() => {
            directory.or(risk).filter(|_| case.is_some_and(|case| may_be_released(case, &case.every_cause())))
        }
        EventKind::RiskReported(evidence) if case.is_none() && evidence.level == RiskLevel::Unknown => risk,
        _ => None,
    })?;
    Some(format!("only Graph can tell, and it was not heard: {why}"))
}

impl Weighed {
    fn told_by(ask: &Event, reason: Reason, response: Response, as_of: Timestamp) -> Weighed {
        let cause = Cause { reason, source: ask.source, response, as_of };
        let (signal_at, received_at) = (ask.signal_at, ask.received_at);
        Weighed::Calls(Wanted {
            cause,
            event: ask.id,
            correlation: ask.correlation(),
            signal_at,
            received_at,
        })
    }
}
