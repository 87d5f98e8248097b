//! `/api/v1/cases`: look at cases, and ask for a release.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Admin, Because, Json, answer, unavailable};
use crate::case::{Case, CaseId};
use crate::event::{About, EventKind};
use crate::problem::Problem;
use crate::store::WhichCases;

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 1000;

#[derive(Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    open: bool,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct List {
    cases: Vec<Case>,
}

/// Newest first.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::InvalidRequest)?;
    let which = if filter.open { WhichCases::Open } else { WhichCases::All };
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let cases = admin.deps.store.cases(which, limit).await.map_err(unavailable)?;
    answer(StatusCode::OK, &List { cases })
}

pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    answer(StatusCode::OK, &find(&admin, &id).await?)
}

pub(super) async fn release(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Json(because): Json<Because>,
) -> Result<Response, Problem> {
    let because = because.said()?;
    let case = find(&admin, &id).await?;
    if !case.state.is_open() {
        return Err(Problem::CaseNotOpen);
    }
    let kind = EventKind::ReleaseRequested { by: because.by, case: case.id, reason: because.reason };
    let accepted = admin.wish(About::Person(case.subject), kind).await?;
    answer(StatusCode::ACCEPTED, &accepted)
}

/// On record, or only in this worker's memory: who is locked out can be let in again either way.
async fn find(admin: &Admin, id: &str) -> Result<Case, Problem> {
    let id: CaseId = id.parse().map_err(|_| Problem::CaseUnknown)?;
    let stored = admin.deps.store.case(id).await.map_err(unavailable)?;
    let unrecorded = || Some(admin.deps.unwritten.as_ref()?.case(id)?.case);
    stored.or_else(unrecorded).ok_or(Problem::CaseUnknown)
}
