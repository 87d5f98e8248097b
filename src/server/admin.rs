//! The routes of the admin listener: health and metrics for anybody who reaches it, `/api/v1` with the token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::gauges::Gauges;
use super::{AdminToken, api, gauges, health};
use crate::clock::SharedClock;
use crate::event::TenantId;
use crate::problem::Problem;
use crate::queue::Queue;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::worker::Unwritten;

/// The longest that any admin request takes.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What the admin routes work with.
#[derive(Clone)]
pub struct AdminDeps {
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    pub tenant: TenantId,
    pub token: AdminToken,
    /// The configured address of the admin listener; the API answers to this name and to loopback names.
    pub address: IpAddr,
    /// What the worker of this process could not put on record yet; `None` when it has no worker.
    pub unwritten: Option<Arc<Unwritten>>,
}

/// What every admin handler is given.
pub(super) struct Admin {
    pub(super) deps: AdminDeps,
    pub(super) gauges: Gauges,
}

/// `/livez`, `/readyz`, `/metrics` and `/api/v1`.
pub fn admin_router(deps: AdminDeps) -> Router {
    let admin = Arc::new(Admin { deps, gauges: Gauges::default() });
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(gauges::scrape))
        .nest("/api/v1", api::router(&admin))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .with_state(admin)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIME_MAX))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("an admin request made us panic; it was answered with 500");
            Problem::Internal.into_response()
        }))
}
