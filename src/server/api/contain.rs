//! `POST /api/v1/contain`: contain a person because somebody says so.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::{Admin, Json, answer, said};
use crate::event::{About, EventKind, ObjectId, Subject};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The person's Entra object id.
    user: ObjectId,
    by: String,
    reason: String,
}

pub(super) async fn ask(
    State(admin): State<Arc<Admin>>,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let kind = EventKind::ContainRequested { by: said(&request.by)?, reason: said(&request.reason)? };
    let subject = Subject { tenant: admin.deps.tenant, object: request.user };
    let accepted = admin.wish(About::Person(subject), kind).await?;
    answer(StatusCode::ACCEPTED, &accepted)
}
