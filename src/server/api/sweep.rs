//! `POST /api/v1/sweep`: have the directory swept now. Whoever keeps the schedule does it; here it is only wished for.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Admin, Json, answer, said, unavailable};
use crate::audit::{Actor, Entry};
use crate::clock::Timestamp;
use crate::event::SweepDepth;
use crate::problem::Problem;
use crate::worker::scheduler::Wish;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    depth: SweepDepth,
    by: String,
}

#[derive(Serialize)]
struct Asked {
    /// By which it can be told whether it has happened.
    asked_at: Timestamp,
}

pub(super) async fn ask(
    State(admin): State<Arc<Admin>>,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let by = said(&request.by)?;
    let asked_at = admin.now();
    let (wishes, whom) = match request.depth {
        SweepDepth::Changed => (vec![Wish::Sweep], "what has changed in Entra"),
        // Who was purged is in no listing: only the changes tell.
        SweepDepth::Whole => (vec![Wish::Sweep, Wish::WholeSweep], "everybody"),
    };
    let entry = Entry {
        at: asked_at,
        actor: Actor::Operator(by),
        subject: None,
        case: None,
        event: None,
        account: None,
        what: "sweep.requested".to_owned(),
        sentence: format!("look at {whom} now"),
        before: None,
        after: None,
        outcome: None,
    };
    let store = admin.deps.store.as_ref();
    store.record(vec![entry]).await.map_err(unavailable)?;
    Wish::make(store, &wishes, asked_at).await.map_err(unavailable)?;
    tracing::info!("an operator asked for a sweep: {whom}");
    answer(StatusCode::ACCEPTED, &Asked { asked_at })
}
