//! Webhooks in: authenticate, parse, enqueue durably, answer.
//!
//! Every route takes the same steps: the whole body (408, 413), a place among the requests in hand (429), who sent it
//! (401, before the body where its head alone can tell), what it is (400, 415), one durable write (503), 202. What a
//! sender told us becomes [`crate::event::Event`]s and nothing else gets past this module: no raw payload, no name, no
//! token. A kind that we do not handle is accepted, counted and dropped; one bad item never costs the good ones
//! beside it. A request that is refused costs nothing durable, is counted by cause in `lockstep_events_total`, and
//! leaves neither its secrets nor its body in the log.
//!
//! Requests run at the same time without waiting for each other; the only state they share are the ids of deliveries
//! seen ([`ReplayGuard`]), the bodies of which only a part has come, and the count of requests in hand. Nothing is
//! looked up at a vendor, except the signing keys of Entra for secure webhooks.

mod azure_monitor;
mod body;
mod door;
mod entra_keys;
mod entra_token;
mod eventgrid;
mod graph;
mod harvest;
mod query;
mod refusal;
mod replay;
mod risk;
mod shapes;
mod signature;
mod unfinished;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use secrecy::SecretString;

use crate::clock::SharedClock;
use crate::event::TenantId;
use crate::problem::Problem;
use crate::queue::Queue;
use crate::telemetry::Metrics;

pub use replay::{ReplayGuard, spawn_flush};

/// Most bytes of one request body (DESIGN §4.2).
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most items of one request, and most events that one request may become.
pub const ITEMS_MAX: usize = 1000;

/// What the public routes are told. Two values of a secret are for rotation; a route without a secret answers 404.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    /// `GRAPH_CLIENT_STATE`, at most two.
    pub graph_client_states: Vec<SecretString>,
    /// `RISK_WEBHOOK_SECRET`, `whsec_…`, at most two.
    pub risk_secrets: Vec<SecretString>,
    /// `AZURE_MONITOR_SECRET`, compared with `?secret=`, at most two.
    pub azure_monitor_secrets: Vec<SecretString>,
    /// `EVENT_GRID_SECRET`, compared with `?secret=`, at most two. The events carry Graph's client state too.
    pub event_grid_secrets: Vec<SecretString>,
    /// Secure webhook: the audience and keys that Entra's bearer token is checked against.
    pub azure_monitor_jwt: Option<AzureMonitorJwt>,
    /// Requests in hand at each route before 429 is answered.
    pub requests_max: usize,
}

/// How a secure webhook's token is checked.
#[derive(Debug, Clone)]
pub struct AzureMonitorJwt {
    /// The app id URI or client id that the action group was given.
    pub audience: String,
    /// The app role that Azure Monitor's application was given in the application of the audience. Anybody's action group
    /// may ask for a token of any application that demands none.
    pub role: String,
    /// What Entra calls itself in this tenant's tokens.
    pub issuers: Vec<String>,
    /// Where Entra's signing keys are.
    pub login_url: reqwest::Url,
}

/// What the routes work with.
#[derive(Clone)]
pub struct Deps {
    pub queue: Arc<dyn Queue>,
    pub replays: Arc<ReplayGuard>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    /// Connections that the listener holds: most of them must be free of what strangers begin and do not finish.
    pub connections_max: usize,
}

/// The public routes. A route whose secret is not set is not there (404).
pub fn router(settings: &Settings, deps: Deps) -> Router {
    let door = Arc::new(door::Door::new(settings, deps));
    let mut router = Router::new();
    if let Some(route) = graph::Route::new(settings, &door) {
        router = router.route("/webhooks/graph", post(graph::receive).with_state(Arc::new(route)));
    }
    if let Some(route) = risk::Route::new(settings, &door) {
        router = router.route("/webhooks/risk", post(risk::receive).with_state(Arc::new(route)));
    }
    if let Some(route) = azure_monitor::Route::new(settings, &door) {
        router =
            router.route("/webhooks/azure-monitor", post(azure_monitor::receive).with_state(Arc::new(route)));
    }
    if let Some(route) = eventgrid::Route::new(settings, &door) {
        let methods = post(eventgrid::receive).options(eventgrid::shake_hands);
        router = router.route("/webhooks/eventgrid", methods.with_state(Arc::new(route)));
    }
    router
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
}
