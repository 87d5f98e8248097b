//! `GET /api/v1/unrecorded/{person or case}`: what the worker of this process has done and could not put on record yet.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::{Admin, answer};
use crate::case::Case;
use crate::clock::Timestamp;
use crate::event::{ObjectId, Subject};
use crate::problem::Problem;

#[derive(Serialize)]
struct Told {
    /// Whether this process has a worker: without one it knows nothing of this.
    has_worker: bool,
    /// What the store said when it did not take that worker's last save.
    refusal: Option<String>,
    /// As it stands, while the store does not know all of it.
    case: Option<Case>,
    since: Option<Timestamp>,
}

pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let unwritten = admin.deps.unwritten.as_ref();
    let found = match (name.parse(), Uuid::try_parse(&name)) {
        (Ok(case), _) => unwritten.and_then(|unwritten| unwritten.case(case)),
        (_, Ok(object)) => {
            let subject = Subject { tenant: admin.deps.tenant, object: ObjectId(object) };
            unwritten.and_then(|unwritten| unwritten.case_of(subject))
        }
        _ => return Err(Problem::InvalidRequest),
    };
    let refusal = unwritten.and_then(|unwritten| unwritten.refusal());
    let (case, since) = found.map(|found| (found.case, found.since)).unzip();
    answer(StatusCode::OK, &Told { has_worker: unwritten.is_some(), refusal, case, since })
}
