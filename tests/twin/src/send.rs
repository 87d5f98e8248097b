//! The vendors' outgoing side: signed risk alerts, Graph change notifications, Event Grid events, Azure Monitor alerts.
//!
//! What Graph's subscribers are told, the twin tells by itself: see [`Deliveries`]. A [`Sender`] posts to a Lockstep and returns what it answered; it never retries, so a test decides what a retry is.
//! The bodies can be had without sending them, for tests that bend them first. Own fixtures, composed from the vendors'
//! documentation pages named at each.

pub mod azure;
pub(crate) mod deliverer;
pub mod eventgrid;
pub(crate) mod handshake;
pub mod notifications;
pub(crate) mod outbox;
pub mod risk;
pub mod signature;

use crate::Twin;
use crate::world::PersonId;
use serde_json::Value;
use std::time::Duration;

pub use deliverer::Deliveries;
pub use notifications::{Change, Lifecycle};
pub use outbox::Delivery;
pub use signature::RawAlert;

/// What Lockstep answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    /// A header's value, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Nothing came back: Lockstep is not there, closed the connection, or took longer than [`TIMEOUT`].
#[derive(Debug)]
pub struct SendError(reqwest::Error);

impl SendError {
    /// Whether the connection could not even be made, so that nothing can have been accepted.
    pub fn is_connect(&self) -> bool {
        self.0.is_connect()
    }
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Longest wait for an answer: Graph's longest on a retry (Graph, Change notifications by webhooks).
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Posts to one Lockstep. Cheap to clone, one connection pool for all clones, usable from many tasks.
#[derive(Clone)]
pub struct Sender {
    twin: Twin,
    base: String,
    http: reqwest::Client,
}

impl Sender {
    pub(crate) fn new(twin: Twin, base: String) -> Sender {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .expect("a client without certificates to load can be built");
        Sender { twin, base: base.trim_end_matches('/').to_owned(), http }
    }

    /// Lockstep's own risk alert about this person, signed, with a fresh id.
    pub async fn signed_risk_alert(&self, person: PersonId, level: &str) -> Result<Answer, SendError> {
        self.signed(&self.alert_body(person, level)).await
    }

    /// The body that [`Sender::signed_risk_alert`] sends.
    pub fn alert_body(&self, person: PersonId, level: &str) -> Value {
        risk::alert(&self.twin.world(), person, level)
    }

    /// Any JSON as a signed risk alert with a fresh id.
    pub async fn signed(&self, body: &Value) -> Result<Answer, SendError> {
        let secret = &self.twin.setup().risk_webhook_secret;
        self.raw_alert(RawAlert::signed(secret, body.to_string())).await
    }

    /// A risk alert whose every part is the caller's: for bad input, replays and rotation.
    pub async fn raw_alert(&self, alert: RawAlert) -> Result<Answer, SendError> {
        let mut request = self.http.post(format!("{}/webhooks/risk", self.base));
        for (name, value) in alert.headers() {
            request = request.header(name, value);
        }
        self.send(request.body(alert.body)).await
    }

    /// The person as Graph's riskyUser, signed.
    pub async fn risky_user(&self, person: PersonId) -> Result<Answer, SendError> {
        let body = risk::risky_user(&self.twin.world(), person);
        self.signed(&body).await
    }

    /// The person's detection as Graph's riskDetection, signed.
    pub async fn risk_detection(&self, person: PersonId) -> Result<Answer, SendError> {
        let body = risk::detection(&self.twin.world(), person);
        self.signed(&body).await
    }

    /// The person's risk as a security alert (alerts_v2) of Identity Protection, signed.
    pub async fn security_alert(&self, person: PersonId) -> Result<Answer, SendError> {
        let body = risk::security_alert(&self.twin.world(), person);
        self.signed(&body).await
    }

    /// The person's risk as an Entra diagnostic record of category `RiskyUsers`, signed.
    pub async fn diagnostic_risky_user(&self, person: PersonId) -> Result<Answer, SendError> {
        let body = risk::diagnostic_risky_user(&self.twin.world(), person);
        self.signed(&body).await
    }

    /// The person's detection as an Entra diagnostic record of category `UserRiskEvents`, signed.
    pub async fn diagnostic_detection(&self, person: PersonId) -> Result<Answer, SendError> {
        let body = risk::diagnostic_detection(&self.twin.world(), person);
        self.signed(&body).await
    }

    /// A change notification about one user.
    pub async fn user_changed(&self, person: PersonId, change: Change) -> Result<Answer, SendError> {
        let item = notifications::user(self.twin.setup(), person, change);
        self.notifications(vec![item]).await
    }

    /// Change or lifecycle notifications in one POST.
    pub async fn notifications(&self, items: Vec<Value>) -> Result<Answer, SendError> {
        let body = notifications::envelope(items);
        self.post_json("/webhooks/graph", &body).await
    }

    /// A lifecycle notification of the users subscription.
    pub async fn lifecycle(&self, event: Lifecycle) -> Result<Answer, SendError> {
        let item = notifications::lifecycle(self.twin.setup(), event);
        self.notifications(vec![item]).await
    }

    /// The endpoint validation handshake (Graph, Change notifications by webhooks). `query` is what the notification URL
    /// had already, without the question mark, or empty.
    pub async fn handshake(&self, token: &str, query: &str) -> Result<Answer, SendError> {
        let encoded: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let joint = if query.is_empty() { "" } else { "&" };
        let url = format!("{}/webhooks/graph?{query}{joint}validationToken={encoded}", self.base);
        self.send(self.http.post(url).header("content-type", "text/plain; charset=utf-8")).await
    }

    /// The handshake of Event Grid before it delivers CloudEvents to a webhook: `OPTIONS` that asks for permission.
    /// [`eventgrid::is_allowed`] reads the answer.
    pub async fn eventgrid_handshake(&self) -> Result<Answer, SendError> {
        let request = self.http.request(reqwest::Method::OPTIONS, self.eventgrid_url());
        let request = request.header("webhook-request-origin", eventgrid::ORIGIN);
        self.send(request.header("webhook-request-rate", "120").timeout(eventgrid::TIMEOUT)).await
    }

    /// One event, as Event Grid delivers without batching.
    pub async fn cloud_event(&self, event: &Value) -> eventgrid::Delivered {
        self.eventgrid(eventgrid::SINGLE, event).await
    }

    /// Several events in one request: all of them arrive, or none does.
    pub async fn cloud_events(&self, events: &[Value]) -> eventgrid::Delivered {
        self.eventgrid(eventgrid::BATCH, &events.into()).await
    }

    async fn eventgrid(&self, content_type: &str, body: &Value) -> eventgrid::Delivered {
        let request = self.http.post(self.eventgrid_url()).header("content-type", content_type);
        let request = request.header("origin", eventgrid::ORIGIN).header("aeg-delivery-count", "0");
        let answer = self.send(request.body(body.to_string()).timeout(eventgrid::TIMEOUT)).await;
        eventgrid::Delivered::judged(answer)
    }

    fn eventgrid_url(&self) -> String {
        let secret = self.twin.setup().event_grid_secret.as_bytes();
        let secret: String = form_urlencoded::byte_serialize(secret).collect();
        format!("{}/webhooks/eventgrid?secret={secret}", self.base)
    }

    /// A fired log search alert about this person's risk, in the common alert schema, with the secret in the URL.
    pub async fn azure_alert(&self, person: PersonId, level: &str) -> Result<Answer, SendError> {
        let body = azure::fired(&self.twin.world(), person, level);
        let secret = self.twin.setup().azure_monitor_secret.clone();
        self.azure_alert_raw(&body, &secret).await
    }

    /// The same alert to a secure webhook: with the token that Azure Monitor gets for this audience.
    pub async fn azure_alert_secure(
        &self,
        person: PersonId,
        level: &str,
        audience: &str,
    ) -> Result<Answer, SendError> {
        let claims = azure::claims(self.twin.setup(), audience);
        let token = self.twin.entra_token(&claims);
        let body = azure::fired(&self.twin.world(), person, level);
        self.azure_alert_with_token(&body, &token).await
    }

    /// Any body to the Azure Monitor webhook, with any bearer token (see [`azure::claims`] and
    /// [`Twin::entra_token`]).
    pub async fn azure_alert_with_token(&self, body: &Value, token: &str) -> Result<Answer, SendError> {
        let request = self.http.post(format!("{}/webhooks/azure-monitor", self.base));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json; charset=utf-8");
        self.send(request.body(body.to_string())).await
    }

    /// Any body to the Azure Monitor webhook, with any secret.
    pub async fn azure_alert_raw(&self, body: &Value, secret: &str) -> Result<Answer, SendError> {
        let secret: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        self.post_json(&format!("/webhooks/azure-monitor?secret={secret}"), body).await
    }

    /// Any JSON to any path.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Answer, SendError> {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json; charset=utf-8");
        self.send(request.body(body.to_string())).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, SendError> {
        let response = request.send().await.map_err(SendError)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.text().await.map_err(SendError)?;
        Ok(Answer { status, headers, body })
    }
}
