//! `/api/v1/dead`: dead letters. They are replayed (enqueued durably, then removed) or dropped, each with a name in the
//! audit; what is dropped needs a reason too. A crash between the two steps of a replay leaves a letter whose event was enqueued already:
//! replaying it again is harmless, because an event only says "look".

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Accepted, Admin, Because, Json, answer, said, unavailable};
use crate::audit::{Actor, Entry};
use crate::clock::Timestamp;
use crate::event::{About, Event, EventId, Lane};
use crate::problem::Problem;
use crate::store::DeadLetter;

/// Dead letters of one listing; with more, look at what they have in common first.
const LIMIT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    by: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct List {
    dead: Vec<Letter>,
}

#[derive(Serialize)]
struct Letter {
    event: EventId,
    lane: Lane,
    reason: String,
    attempts: u32,
    died_at: Timestamp,
    /// The envelope where it is JSON; only when one letter is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Box<RawValue>>,
}

impl Letter {
    fn of(letter: DeadLetter) -> Letter {
        let DeadLetter { id, lane, reason, attempts, died_at, .. } = letter;
        Letter { event: id, lane, reason, attempts, died_at, envelope: None }
    }

    fn in_full(letter: DeadLetter) -> Letter {
        let envelope = serde_json::from_slice(&letter.envelope).ok();
        Letter { envelope, ..Letter::of(letter) }
    }
}

pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Result<Response, Problem> {
    let letters = admin.deps.store.dead_letters(LIMIT).await.map_err(unavailable)?;
    answer(StatusCode::OK, &List { dead: letters.into_iter().map(Letter::of).collect() })
}

pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    answer(StatusCode::OK, &Letter::in_full(find(&admin, &id).await?))
}

pub(super) async fn replay(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Json(request): Json<Replay>,
) -> Result<Response, Problem> {
    let reason = request.reason.as_deref().unwrap_or("asked for");
    let because = Because { by: said(&request.by)?, reason: said(reason)? };
    let letter = find(&admin, &id).await?;
    let event = Event::from_envelope(&letter.envelope).map_err(|_| Problem::LetterUnreadable)?;
    // It waits anew: what became a letter because it had waited too long must not become one again at its first wait.
    let event = Event { enqueued_at: Some(admin.now()), ..event };
    admin.enqueue(&event).await?;
    admin.deps.metrics.event(event.source.word(), event.kind.word(), "replayed_by_operator");
    remove(&admin, &letter, Some(&event), "dead_letter.replayed", because).await?;
    answer(StatusCode::ACCEPTED, &Accepted { event: event.id })
}

pub(super) async fn discard(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Json(because): Json<Because>,
) -> Result<Response, Problem> {
    let because = because.said()?;
    let letter = find(&admin, &id).await?;
    let event = Event::from_envelope(&letter.envelope).ok();
    remove(&admin, &letter, event.as_ref(), "dead_letter.dropped", because).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn find(admin: &Admin, id: &str) -> Result<DeadLetter, Problem> {
    let id = EventId(Uuid::try_parse(id).map_err(|_| Problem::LetterUnknown)?);
    admin.deps.store.dead_letter(id).await.map_err(unavailable)?.ok_or(Problem::LetterUnknown)
}

async fn remove(
    admin: &Admin,
    letter: &DeadLetter,
    event: Option<&Event>,
    what: &'static str,
    because: Because,
) -> Result<(), Problem> {
    let subject = event.and_then(|event| match event.about {
        About::Person(subject) => Some(subject),
        About::Group { .. } | About::Tenant(_) => None,
    });
    let done = what.rsplit('.').next().unwrap_or(what);
    let entry = Entry {
        at: admin.now(),
        actor: Actor::Operator(because.by),
        subject,
        case: None,
        event: Some(letter.id),
        account: None,
        what: what.to_owned(),
        sentence: format!("dead letter {done}: {}", because.reason),
        before: Some(letter.reason.clone()),
        after: None,
        outcome: None,
    };
    admin.deps.store.remove_dead_letter(letter.id, entry).await.map_err(unavailable)
}
