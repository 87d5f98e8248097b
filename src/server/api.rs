//! `/api/v1`: what operators may ask for, one file per resource. JSON in and out, problem+json on refusal.
//!
//! Every call needs the admin token, and a `Host` that is ours: a web page that an operator has open must not reach
//! this API by making its own name point here.

mod cases;
mod contain;
mod dead;
mod queue;
mod sweep;
mod unrecorded;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::admin::Admin;
use crate::clock::Timestamp;
use crate::event::{About, Event, EventId, EventKind, Source, clip};
use crate::problem::Problem;
use crate::store;

/// Requests are a few short fields.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// As for webhooks: an operator who waits longer than this should hear that it did not work.
const ENQUEUE_WAIT: Duration = Duration::from_millis(2500);

pub(super) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    Router::new()
        .route("/contain", post(contain::ask))
        .route("/cases", get(cases::list))
        .route("/cases/{case}", get(cases::show))
        .route("/cases/{case}/release", post(cases::release))
        .route("/dead", get(dead::list))
        .route("/dead/{event}", get(dead::show).delete(dead::discard))
        .route("/dead/{event}/replay", post(dead::replay))
        .route("/queue", get(queue::show))
        .route("/sweep", post(sweep::ask))
        .route("/unrecorded/{name}", get(unrecorded::show))
        .fallback(async || Problem::NotFound)
        .layer(middleware::from_fn_with_state(admin.clone(), guard))
}

/// Host and token, before anything else is looked at.
async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Result<Response, Problem> {
    if !is_ours(request.headers(), request.uri(), admin.deps.address) {
        return Err(Problem::WrongHost);
    }
    let offered =
        request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !offered.is_some_and(|token| admin.deps.token.is(token)) {
        return Err(Problem::TokenRequired);
    }
    Ok(next.run(request).await)
}

/// Loopback by name or address, or the configured address. A listener on every address takes any address, because
/// an address, unlike a name, cannot be made to point somewhere else.
fn is_ours(headers: &HeaderMap, uri: &Uri, configured: IpAddr) -> bool {
    let Some(host) = headers.get(HOST).and_then(|value| value.to_str().ok()).or(uri.host()) else {
        return false;
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == configured || configured.is_unspecified())
}

/// A JSON body with exactly the fields of `T`.
struct Json<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Admin>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Admin>) -> Result<Json<T>, Problem> {
        let (parts, body) = request.into_parts();
        let declared =
            parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if declared.split(';').next().unwrap_or_default().trim() != "application/json" {
            return Err(Problem::WrongContentType);
        }
        let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::TooLarge)?;
        serde_json::from_slice(&bytes).map(Json).map_err(|_| Problem::InvalidRequest)
    }
}

/// Who asks, and why; both go into the audit.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    by: String,
    reason: String,
}

impl Because {
    /// Both said, and cut to what an event carries.
    fn said(self) -> Result<Because, Problem> {
        Ok(Because { by: said(&self.by)?, reason: said(&self.reason)? })
    }
}

fn said(text: &str) -> Result<String, Problem> {
    let text = clip(text.trim());
    if text.is_empty() { Err(Problem::InvalidRequest) } else { Ok(text) }
}

/// The id to follow through log, audit and case.
#[derive(Serialize)]
struct Accepted {
    event: EventId,
}

fn answer(status: http::StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|_| Problem::Internal)?;
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(bytes))
        .map_err(|_| Problem::Internal)
}

impl Admin {
    fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    /// An operator's wish takes the same path as a webhook.
    async fn wish(&self, about: About, kind: EventKind) -> Result<Accepted, Problem> {
        let received_at = self.now();
        let event = Event::told(Source::Operator, about, kind, Some(received_at), received_at);
        self.enqueue(&event).await?;
        self.deps.metrics.event(event.source.word(), event.kind.word(), "accepted");
        tracing::info!(event.id = %event.id, kind = event.kind.word(), "an operator's request was accepted");
        Ok(Accepted { event: event.id })
    }

    async fn enqueue(&self, event: &Event) -> Result<(), Problem> {
        let stored =
            tokio::time::timeout(ENQUEUE_WAIT, self.deps.queue.enqueue(std::slice::from_ref(event))).await;
        match stored {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => {
                tracing::error!(event.id = %event.id, %error, "an operator's request was not stored")
            }
            Err(_) => tracing::error!(event.id = %event.id, "an operator's request was not stored in time"),
        }
        Err(Problem::NotStored)
    }
}

fn unavailable(error: store::Error) -> Problem {
    let error: &dyn std::error::Error = &error;
    tracing::error!(error, "the store could not answer an operator");
    Problem::StoreUnavailable
}
