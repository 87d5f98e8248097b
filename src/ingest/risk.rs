//! `POST /webhooks/risk`: signed risk alerts from Sentinel, Logic Apps or any SIEM.
//!
//! Signature first, on the raw body; then what it is; then one durable write. A delivery that was accepted is refused
//! when it is repeated as it is, and answered with 202 when its sender signed it anew. `docs/webhooks.md` has the schema.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use tokio::time::Instant;

use super::door::{Door, Places, accepted};
use super::refusal::Refusal;
use super::replay::Attempt;
use super::shapes::Reader;
use super::signature::{Claim, Keys};
use super::{Settings, body};
use crate::event::Source;

/// From the first byte of the body to the answer. Logic Apps and SIEMs wait 15 s and more.
const TIME_MAX: Duration = Duration::from_secs(10);
const SOURCE: Source = Source::Risk;

pub(super) struct Route {
    door: Arc<Door>,
    places: Places,
    keys: Keys,
}

impl Route {
    pub(super) fn new(settings: &Settings, door: &Arc<Door>) -> Option<Route> {
        let keys = Keys::new(&settings.risk_secrets)?;
        Some(Route { door: door.clone(), places: Places::new(settings), keys })
    }
}

pub(super) async fn receive(State(route): State<Arc<Route>>, request: Request) -> Response {
    route.door.attend(SOURCE, handle(&route, request)).await
}

async fn handle(route: &Route, request: Request) -> Result<Response, Refusal> {
    let deadline = Instant::now() + TIME_MAX;
    let (parts, body) = request.into_parts();
    let now = route.door.now();
    let claim = Claim::read(&parts.headers, now)?;
    let (body, _place) = route.door.receive(&route.places, body, deadline).await?;
    let signed = route.keys.verify(&claim, body)?;
    body::expect_json(&parts.headers)?;
    let harvest = Reader { tenant: route.door.tenant, source: SOURCE, received_at: now }.read(&signed)?;
    // What waits for the queue holds events, not payloads.
    drop(signed);
    let in_hand = match route.door.replays().begin(SOURCE, claim.id, claim.signed_at) {
        Attempt::First(in_hand) => in_hand,
        Attempt::Replayed => return Err(Refusal::Replayed),
        Attempt::InHand => return Err(Refusal::InHand),
        Attempt::Duplicate => {
            route.door.note(SOURCE, "duplicate");
            return Ok(accepted());
        }
    };
    route.door.store(SOURCE, &harvest, deadline).await?;
    in_hand.accepted();
    Ok(accepted())
}
