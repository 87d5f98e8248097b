//! Waits for a case to reach a state, by looking into the store until a deadline.

use std::time::Duration;

use tokio::time::Instant;

use crate::case::{Case, CaseId, CaseState, Cause, Reason};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::event::{EventId, ObjectId};
use crate::store::{Store, WhichCases};

use super::exit::Failure;

/// How often the store is looked at; a look is one indexed read.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for a case to take it up at all, unless told otherwise; the policy's default for a read-back.
const PATIENCE: Duration = Duration::from_secs(120);
/// A case may be overdue already; the look that was just asked for gets at least this long.
const PATIENCE_LEAST: Duration = Duration::from_secs(2);
/// Open cases that are searched for a person.
const OPEN_CASES_MAX: u32 = 1000;

/// How a wait ended.
#[derive(Debug)]
pub enum Ended {
    /// As hoped.
    Reached(Box<Case>),
    /// The case ended otherwise.
    Elsewhere(Box<Case>),
    /// The event could not be handled; says why.
    Dead(String),
    /// Time is up; the case as it stands, if there is one.
    TimeUp(Option<Box<Case>>),
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Awaited {
    pub event: EventId,
    pub which: Which,
    pub state: CaseState,
    /// As the caller wants it; otherwise the case's own deadline for the read-back.
    pub patience: Option<Duration>,
}

/// Whose case.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Case(CaseId),
    /// The case that the event opens for this person, or the one that was open already and has taken it up since
    /// `asked_at`: what was proven before that says nothing about now.
    Of {
        person: ObjectId,
        asked_at: Timestamp,
    },
}

/// Looks until the case has the state, has ended otherwise, or time is up.
pub async fn wait(store: &dyn Store, awaited: Awaited) -> Result<Ended, Failure> {
    let started = Instant::now();
    loop {
        let case = find(store, &awaited).await?;
        if let Some(case) = &case
            && let Some(ended) = settled(case, awaited.state)
        {
            return Ok(ended);
        }
        if let Some(letter) = store.dead_letter(awaited.event).await? {
            return Ok(Ended::Dead(letter.reason));
        }
        if is_over(&awaited, case.as_ref(), started) {
            return Ok(Ended::TimeUp(case.map(Box::new)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn find(store: &dyn Store, awaited: &Awaited) -> Result<Option<Case>, Failure> {
    let (person, asked_at) = match awaited.which {
        Which::Case(id) => return Ok(store.case(id).await?),
        Which::Of { person, asked_at } => (person, asked_at),
    };
    if let Some(case) = store.case(CaseId::opened_by(awaited.event)).await? {
        return Ok(Some(case));
    }
    let open = store.cases(WhichCases::Open, OPEN_CASES_MAX).await?;
    Ok(open.into_iter().find(|case| case.subject.object == person && has_taken_up(case, asked_at)))
}

/// A look saves what it was asked together with what it has seen.
fn has_taken_up(case: &Case, asked_at: Timestamp) -> bool {
    let is_operators = |cause: &Cause| matches!(cause.reason, Reason::Operator { .. });
    case.causes.iter().any(|cause| is_operators(cause) && cause.as_of >= asked_at)
}

/// A case that was proven stays so while Auth0 cannot be read, and says that: then nothing is proven now.
fn settled(case: &Case, wanted: CaseState) -> Option<Ended> {
    let is_proven_now = wanted != CaseState::Verified || case.open.is_empty();
    if case.state == wanted && is_proven_now {
        return Some(Ended::Reached(Box::new(case.clone())));
    }
    (!case.state.is_open()).then(|| Ended::Elsewhere(Box::new(case.clone())))
}

fn is_over(awaited: &Awaited, case: Option<&Case>, started: Instant) -> bool {
    let waited = started.elapsed();
    match (awaited.patience, case) {
        (Some(patience), _) => waited >= patience,
        (None, Some(case)) => waited >= PATIENCE_LEAST && SystemClock.now() >= case.verify_by,
        (None, None) => waited >= PATIENCE,
    }
}
