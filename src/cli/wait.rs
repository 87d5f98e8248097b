//! Waits for a case to reach a state, by looking into the store until a deadline.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::case::also::AlsoState;
use crate::case::{Case, CaseId, CaseState, Cause, Reason};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Local;
use crate::event::{EventId, ObjectId};
use crate::store::{Store, WhichCases};

use super::admin::Admin;
use super::exit::Failure;
use super::output::plain;
use super::records;
use super::unrecorded::{Standing, Unrecorded};

/// How often the store is looked at; a look is one indexed read.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the server is asked for what is not on record. Almost always it is on record before the first time.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a case to take it up at all, unless told otherwise; the policy's default for a read-back.
const PATIENCE: Duration = Duration::from_secs(120);
/// A case may be overdue already; the look that was just asked for gets at least this long.
const PATIENCE_LEAST: Duration = Duration::from_secs(2);
/// Open cases that are searched for a person.
const OPEN_CASES_MAX: u32 = 1000;

/// Nobody looks at it any more, unless a person asks.
pub fn dead(reason: &str) -> anyhow::Error {
    let next = "mend that, then `lockstep dead replay` with the event that `lockstep dead list` shows";
    anyhow::anyhow!("the event is a dead letter: {}; {next}", plain(reason))
}

/// How a wait ended.
#[derive(Debug)]
pub enum Ended {
    /// As hoped.
    Reached(Box<Standing>),
    /// The case ended otherwise.
    Elsewhere(Box<Standing>),
    /// The event could not be handled; says why.
    Dead(String),
    TimeUp(Box<Unfinished>),
}

/// What is known when time is up, or when nothing more can become known.
#[derive(Debug)]
pub struct Unfinished {
    /// The case as it stands, if there is one.
    pub standing: Option<Standing>,
    /// Why the store cannot be written, if so.
    pub refusal: Option<String>,
    /// Whether the server would know of a case that is not on record.
    pub has_worker: bool,
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

/// Looks until the case has the state, has ended otherwise, or time is up. What the store could not take is asked of
/// the server. When that has no worker and the store cannot be written, nothing will become known, and the wait ends early.
pub async fn wait(local: &Local, admin: &Admin, awaited: Awaited) -> Result<Ended, Failure> {
    let started = Instant::now();
    let mut ask_at = started + ASK_EVERY;
    let mut store = open(local)?;
    loop {
        let on_record = match &store {
            Ok(store) => match look(store.as_ref(), &awaited).await? {
                ControlFlow::Break(ended) => return Ok(ended),
                ControlFlow::Continue(standing) => standing,
            },
            Err(_) => None,
        };
        if !is_over(&awaited, on_record.as_ref(), started) && Instant::now() < ask_at {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let told = told(admin, awaited.which).await;
        let unrecorded = told.standing().filter(|standing| is_meant(&standing.case, &awaited));
        if let Some(ended) = unrecorded.as_ref().and_then(|standing| settled(standing, awaited.state)) {
            return Ok(ended);
        }
        let has_worker = told.has_worker;
        let refusal = match (told.refusal, &store) {
            (None, Err(why)) => Some(why.clone()),
            (None, Ok(store)) if !has_worker => store.ready().await.err().map(|error| error.to_string()),
            (known, _) => known,
        };
        let is_over = is_over(&awaited, unrecorded.as_ref().or(on_record.as_ref()), started);
        let is_blind = !has_worker && on_record.is_none() && refusal.is_some();
        if is_over || is_blind {
            let standing = unrecorded.or(on_record);
            return Ok(Ended::TimeUp(Box::new(Unfinished { standing, refusal, has_worker })));
        }
        if store.is_err() {
            store = open(local)?;
        }
        ask_at = Instant::now() + ASK_EVERY;
    }
}

/// The store, or why it cannot be opened just now.
fn open(local: &Local) -> Result<Result<Box<dyn Store>, String>, Failure> {
    match records::open(local) {
        Ok(store) => Ok(Ok(store)),
        Err(Failure::TryLater(why)) => Ok(Err(format!("{why:#}"))),
        Err(other) => Err(other),
    }
}

async fn look(store: &dyn Store, awaited: &Awaited) -> Result<ControlFlow<Ended, Option<Standing>>, Failure> {
    let standing = find(store, awaited).await?.map(Standing::on_record);
    if let Some(ended) = standing.as_ref().and_then(|standing| settled(standing, awaited.state)) {
        return Ok(ControlFlow::Break(ended));
    }
    let letter = store.dead_letter(awaited.event).await?;
    Ok(match letter {
        Some(letter) => ControlFlow::Break(Ended::Dead(letter.reason)),
        None => ControlFlow::Continue(standing),
    })
}

async fn told(admin: &Admin, which: Which) -> Unrecorded {
    let told = match which {
        Which::Case(case) => Unrecorded::of(admin, case).await,
        Which::Of { person, .. } => Unrecorded::of(admin, person).await,
    };
    told.unwrap_or_else(|_| Unrecorded::untold())
}

fn is_meant(case: &Case, awaited: &Awaited) -> bool {
    match awaited.which {
        Which::Case(_) => true,
        Which::Of { asked_at, .. } => {
            case.id == CaseId::opened_by(awaited.event) || has_taken_up(case, asked_at)
        }
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
fn settled(standing: &Standing, wanted: CaseState) -> Option<Ended> {
    let case = &standing.case;
    // Entra's sessions are tried once before that; what comes of it is told, and proves nothing about Auth0.
    let is_untried = case.entra_sessions.as_ref().is_some_and(|also| also.state == AlsoState::Wanted);
    let is_proven_now = wanted != CaseState::Verified || (case.open.is_empty() && !is_untried);
    if case.state == wanted && is_proven_now {
        return Some(Ended::Reached(Box::new(standing.clone())));
    }
    (!case.state.is_open()).then(|| Ended::Elsewhere(Box::new(standing.clone())))
}

fn is_over(awaited: &Awaited, standing: Option<&Standing>, started: Instant) -> bool {
    let waited = started.elapsed();
    match (awaited.patience, standing) {
        (Some(patience), _) => waited >= patience,
        (None, Some(Standing { case, .. })) => {
            waited >= PATIENCE_LEAST && SystemClock.now() >= case.verify_by
        }
        (None, None) => waited >= PATIENCE,
    }
}
