//! `GET /api/v1/queue`: how much waits in each lane, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{Admin, answer};
use crate::clock::Timestamp;
use crate::event::Lane;
use crate::problem::Problem;

#[derive(Serialize)]
struct Depth {
    events: u64,
    oldest: Option<Timestamp>,
}

pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Response, Problem> {
    let depths = admin.deps.queue.depths().await.map_err(|error| {
        tracing::error!(%error, "the queue could not tell its depth to an operator");
        Problem::NotStored
    })?;
    let of = |lane| {
        let depth = depths.get(&lane).copied().unwrap_or_default();
        (lane, Depth { events: depth.events, oldest: depth.oldest })
    };
    let lanes: BTreeMap<Lane, Depth> = Lane::ALL.into_iter().map(of).collect();
    answer(StatusCode::OK, &lanes)
}
