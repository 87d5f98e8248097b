//! Who is told of changes: subscriptions to Graph's change notifications (Graph, subscription resource type).
//!
//! A write whose reply was lost may have been carried out: list before trying again.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{self, Timestamp};
use crate::entra::call::{At, Caller, Operation, Service, Shared, trouble};
use crate::entra::wire::{self, subscription};
use crate::entra::{Error, Link};
use crate::event::Lane;
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::{self, Timeouts, Trouble};

/// Graph calls both of our addresses, up to ten seconds each, before it answers (Graph, Receive change notifications
/// through webhooks).
const TOTAL: Duration = Duration::from_secs(30);
/// The longest life of a subscription to users or groups: 41,760 minutes (Graph, subscription resource type). More is
/// tolerated here and there, and documented to fail one day.
pub const LIFETIME_MOST: Duration = Duration::from_secs(41_760 * 60);
/// 100 subscriptions are all that an application may have in a tenant.
const PAGES_MAX: usize = 10;

const USERS: &str = "User.Read.All";
const GROUPS: &str = "Group.Read.All";
/// Reading and renewing need what the subscription's resource needs.
const BASE: Operation =
    Operation { needs: "User.Read.All Group.Read.All", service: Service::Subscriptions, ..Operation::READ };
const LIST: Operation = Operation { word: "subscription.list", ..BASE };
const GET: Operation = Operation { word: "subscription.get", ..BASE };
const CREATE: Operation = Operation { word: "subscription.create", ..BASE };
const RENEW: Operation = Operation { word: "subscription.renew", ..BASE };
const DELETE: Operation = Operation { word: "subscription.delete", ..BASE };

/// Makes, renews and ends subscriptions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    caller: Caller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub Uuid);

impl std::fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A subscription as Graph shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub resource: String,
    pub change_type: String,
    pub notification_url: String,
    pub lifecycle_url: Option<String>,
    pub expires: Timestamp,
    pub application_id: Option<String>,
}

/// A subscription to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `users` or `groups`.
    pub resource: String,
    /// `updated,deleted`: what users and groups are documented to know.
    pub change_type: String,
    pub notification_url: reqwest::Url,
    /// Cannot be added later.
    pub lifecycle_url: reqwest::Url,
    /// At most 128 characters.
    pub client_state: SecretString,
    /// Shortened to the longest life that Graph allows.
    pub expires: Timestamp,
}

impl Subscriptions {
    pub(super) fn new(shared: &Arc<Shared>) -> Result<Subscriptions, Error> {
        let timeouts = Timeouts { total: TOTAL, ..Timeouts::default() };
        let http = outbound::client("ENTRA_GRAPH_URL", &shared.graph_url, timeouts)?;
        let caller = Caller { shared: Arc::clone(shared), http, lane: Lane::Sync, total: TOTAL };
        Ok(Subscriptions { caller })
    }

    /// All of this application's subscriptions in the tenant, other installations' included.
    ///
    /// # Errors
    /// When Graph did not show all of them.
    pub async fn list(&self) -> Result<Vec<Subscription>, Error> {
        let mut all = Vec::new();
        let mut answer = self.caller.get(LIST, At::Path("/subscriptions")).await?;
        for _ in 0..PAGES_MAX {
            let page: subscription::Subscriptions = json(LIST, &answer)?;
            let shown: Option<Vec<_>> = page.value.into_iter().map(subscription::Wire::understood).collect();
            all.extend(shown.ok_or_else(|| misfit(LIST, &answer, Unreadable::Shape))?);
            let Some(next) = page.next else { return Ok(all) };
            answer = self.caller.get(LIST, At::Link(&Link::new(next))).await?;
        }
        Err(Error::TooLong { operation: LIST.word, most: all.len() })
    }

    /// # Errors
    /// [`Error::Gone`] when it has ended.
    pub async fn get(&self, id: SubscriptionId) -> Result<Subscription, Error> {
        let answer = self.caller.get(GET, At::Path(&format!("/subscriptions/{id}"))).await?;
        read(GET, &answer)
    }

    /// Graph asks both addresses to prove themselves before it answers: the server must be listening.
    ///
    /// # Errors
    /// [`Error::Quota`], [`Error::Duplicate`] or [`Error::ValidationFailed`], beside what can happen to every request.
    pub async fn create(&self, wanted: &Wanted) -> Result<Subscription, Error> {
        let body = json!({
            "changeType": wanted.change_type,
            "notificationUrl": wanted.notification_url.as_str(),
            "lifecycleNotificationUrl": wanted.lifecycle_url.as_str(),
            "resource": wanted.resource,
            "expirationDateTime": self.bounded(wanted.expires),
            "clientState": wanted.client_state.expose_secret(),
        });
        let needs = if wanted.resource.starts_with("groups") { GROUPS } else { USERS };
        let operation = Operation { needs, ..CREATE };
        read(operation, &self.write(operation, Method::POST, "/subscriptions", &body).await?)
    }

    /// Also gives Graph a fresh token to go on with. One that asks for it (`reauthorizationRequired`) needs nothing else.
    ///
    /// # Errors
    /// [`Error::Gone`] when it has ended: then it has to be made again.
    pub async fn renew(&self, id: SubscriptionId, expires: Timestamp) -> Result<Subscription, Error> {
        let body = json!({ "expirationDateTime": self.bounded(expires) });
        let path = format!("/subscriptions/{id}");
        read(RENEW, &self.write(RENEW, Method::PATCH, &path, &body).await?)
    }

    /// # Errors
    /// [`Error::Gone`] when it has ended already.
    pub async fn delete(&self, id: SubscriptionId) -> Result<(), Error> {
        let path = format!("/subscriptions/{id}");
        self.caller.ask(DELETE, Method::DELETE, At::Path(&path), None).await.map(drop)
    }

    async fn write(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Error> {
        let (answer, _) = self.caller.exchange(operation, method, At::Path(path), Some(body)).await?;
        match refusal(operation, &answer) {
            Some(refusal) => Err(refusal),
            None => self.caller.judge(operation, answer),
        }
    }

    fn bounded(&self, expires: Timestamp) -> String {
        expires.min(clock::after(self.caller.now(), LIFETIME_MOST)).to_string()
    }
}

/// What only subscriptions are refused for.
fn refusal(operation: Operation, answer: &Answer) -> Option<Error> {
    let code = outbound::shown_code(&wire::error_code(answer)?);
    let message = wire::error_message(answer).unwrap_or_default();
    match answer.status.as_u16() {
        400 if code == "ValidationError"
            || message.to_ascii_lowercase().contains("validation request failed") =>
        {
            Some(Error::ValidationFailed { operation: operation.word, code })
        }
        403 if subscription::says_quota(&message) => Some(Error::Quota { code }),
        409 => Some(Error::Duplicate { id: subscription::duplicate_id(&message) }),
        _ => None,
    }
}

fn read(operation: Operation, answer: &Answer) -> Result<Subscription, Error> {
    let wire: subscription::Wire = json(operation, answer)?;
    wire.understood().ok_or_else(|| misfit(operation, answer, Unreadable::Shape))
}

fn json<T: serde::de::DeserializeOwned>(operation: Operation, answer: &Answer) -> Result<T, Error> {
    answer.json().map_err(|why| misfit(operation, answer, why))
}

fn misfit(operation: Operation, answer: &Answer, why: Unreadable) -> Error {
    trouble(operation, Trouble::Unreadable { status: answer.status.as_u16(), why })
}
