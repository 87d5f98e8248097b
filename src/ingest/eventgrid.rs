//! `/webhooks/eventgrid`: Graph's change notifications by way of an Event Grid partner topic, as CloudEvents 1.0.
//!
//! The subscription proves the receiver by `OPTIONS` (Azure Event Grid, End point validation with CloudEvents schema); the
//! sender proves itself with the secret in the URL, and every event with the `clientState` inside its data, as over HTTP.
//! Event Grid waits 30 s, tries again after 503 and never after 400, 401, 404 or 413: what is refused so is lost, so the
//! route takes whatever Event Grid may send (Azure Event Grid, Delivery and retry).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ALLOW, HeaderName, HeaderValue};
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;

use super::door::{Door, Places, accepted};
use super::graph::Notifications;
use super::harvest::{Dropped, Harvest};
use super::refusal::Refusal;
use super::{Settings, body, query, wire};
use crate::event::Source;

const TIME_MAX: Duration = Duration::from_secs(10);
const SOURCE: Source = Source::Graph;
const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
/// Requests per minute that the sender may make: more than Graph sends of a large tenant, batched or not.
const RATE_MAX: HeaderValue = HeaderValue::from_static("6000");
/// Events of the largest batch that Event Grid can be told to send (Azure Event Grid, Delivery and retry, Output batching);
/// its 1,024 KB are our body limit.
const EVENTS_MAX: usize = 5000;
/// The longest host name (RFC 1035, 2.3.4).
const ORIGIN_CHARS_MAX: usize = 253;

pub(super) struct Route {
    door: Arc<Door>,
    places: Places,
    secrets: Vec<SecretString>,
    client_states: Vec<SecretString>,
}

impl Route {
    pub(super) fn new(settings: &Settings, door: &Arc<Door>) -> Option<Route> {
        let (secrets, client_states) =
            (settings.event_grid_secrets.clone(), settings.graph_client_states.clone());
        let is_set = !secrets.is_empty() && !client_states.is_empty();
        is_set.then(|| Route { door: door.clone(), places: Places::new(settings), secrets, client_states })
    }

    fn authenticate(&self, parts: &Parts) -> Result<(), Refusal> {
        let given = query::parameter(parts.uri.query(), "secret").map_err(|_| Refusal::Unsigned)?;
        let matches = self.secrets.iter().fold(Choice::from(0), |matches, ours| {
            matches | ours.expose_secret().as_bytes().ct_eq(given.as_bytes())
        });
        if matches.into() { Ok(()) } else { Err(Refusal::WrongSecret) }
    }
}

/// The handshake: whoever knows the secret is told that we expect deliveries.
pub(super) async fn shake_hands(State(route): State<Arc<Route>>, request: Request) -> Response {
    let answer = async {
        let (parts, _) = request.into_parts();
        route.authenticate(&parts)?;
        let origin = origin(&parts.headers).ok_or(Refusal::BadHandshake)?;
        route.door.note(SOURCE, "handshake");
        let headers =
            [(ALLOWED_ORIGIN, origin), (ALLOWED_RATE, RATE_MAX), (ALLOW, HeaderValue::from_static("POST"))];
        Ok(headers.into_response())
    };
    route.door.attend(SOURCE, answer).await
}

/// One name comes back as it is. What Event Grid calls itself is written down nowhere, so a scheme and a port pass; a star
/// does not, which would let everybody deliver.
fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = headers.get_all(REQUEST_ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
    let text = origin.to_str().ok()?;
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    let fits = !text.is_empty() && text.len() <= ORIGIN_CHARS_MAX && text.chars().all(is_of_name);
    fits.then(|| origin.clone())
}

pub(super) async fn receive(State(route): State<Arc<Route>>, request: Request) -> Response {
    route.door.attend(SOURCE, handle(&route, request)).await
}

async fn handle(route: &Route, request: Request) -> Result<Response, Refusal> {
    let deadline = Instant::now() + TIME_MAX;
    let (parts, body) = request.into_parts();
    route.authenticate(&parts)?;
    body::expect_json(&parts.headers)?;
    let (body, _place) = route.door.receive(&route.places, body, deadline).await?;
    let harvest = read(route, &body)?;
    drop(body);
    route.door.store(SOURCE, &harvest, deadline).await?;
    Ok(accepted())
}

fn read(route: &Route, body: &[u8]) -> Result<Harvest, Refusal> {
    body::expect_shallow(body)?;
    let items = items(body)?;
    let readable: Vec<&RawValue> =
        items.iter().filter_map(|item| Some(wire::object::<CloudEvent>(item)?.data)).collect();
    if readable.is_empty() {
        return Err(Refusal::Unreadable);
    }
    let unreadable = items.len() - readable.len();
    let notifications = Notifications::at(&route.door, &route.client_states);
    let mut harvest = notifications.harvest(readable, Harvest::of_at_most(EVENTS_MAX))?;
    (0..unreadable).for_each(|_| harvest.drop(Dropped::Unreadable));
    Ok(harvest)
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    /// The change notification as Graph would have sent it.
    #[serde(borrow)]
    data: &'a RawValue,
}

/// One event, or a batch of them.
fn items(body: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    let whole = wire::value(body)?;
    let items = match wire::elements(whole) {
        Some(items) => items,
        None => vec![whole],
    };
    if items.len() > EVENTS_MAX { Err(Refusal::TooMany) } else { Ok(items) }
}
