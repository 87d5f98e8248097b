//! `POST /webhooks/graph`: change and lifecycle notifications of Microsoft Graph, and its endpoint validation.
//!
//! A notification carries no signature; each item proves itself with the `clientState` that we gave the subscription and
//! with our tenant id, both compared in constant time. Items that do not are dropped and counted; a request in which
//! none does is not authentic. Nothing is looked up while Graph waits.
//!
//! Subscription ids are not judged: whatever subscription knows our client state is ours. An item without a readable one is
//! accepted too, and counted as `unknown_subscription`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;
use uuid::Uuid;

use super::door::{Door, Places, accepted};
use super::harvest::{Dropped, Harvest};
use super::query::{self, Missing};
use super::refusal::Refusal;
use super::wire::{self, Text};
use super::{Settings, body};
use crate::clock::Timestamp;
use crate::event::{
    About, Event, EventKind, GROUP_MEMBER_HINTS_MAX, LifecycleEvent, ObjectId, Source, Subject,
};

/// From the first byte of the body to the answer. Graph counts an answer after 3 s as a failure, and more than 10 % of
/// those delay everything by ten minutes ("Receive change notifications through webhooks").
const TIME_MAX: Duration = Duration::from_millis(2500);
/// Real tokens have about 120 characters.
const TOKEN_CHARS_MAX: usize = 2048;
const SOURCE: Source = Source::Graph;

pub(super) struct Route {
    door: Arc<Door>,
    places: Places,
    client_states: Vec<SecretString>,
}

impl Route {
    pub(super) fn new(settings: &Settings, door: &Arc<Door>) -> Option<Route> {
        let client_states = settings.graph_client_states.clone();
        let places = Places::new(settings);
        (!client_states.is_empty()).then(|| Route { door: door.clone(), places, client_states })
    }
}

pub(super) async fn receive(State(route): State<Arc<Route>>, request: Request) -> Response {
    route.door.attend(SOURCE, handle(&route, request)).await
}

async fn handle(route: &Route, request: Request) -> Result<Response, Refusal> {
    match query::parameter(request.uri().query(), "validationToken") {
        Ok(token) => return handshake(route, token),
        Err(Missing::Unclear) => return Err(Refusal::BadHandshake),
        Err(Missing::Absent) => {}
    }
    let deadline = Instant::now() + TIME_MAX;
    let (parts, body) = request.into_parts();
    body::expect_json(&parts.headers)?;
    let (body, _place) = route.door.receive(&route.places, body, deadline).await?;
    let harvest = Notifications::at(&route.door, &route.client_states).read(&body)?;
    drop(body);
    route.door.store(SOURCE, &harvest, deadline).await?;
    Ok(accepted())
}

/// Proves to Graph that we expect its notifications: its token comes back, decoded, as plain text. Anybody can ask
/// for this echo, so it is never anything that a browser could run.
fn handshake(route: &Route, token: String) -> Result<Response, Refusal> {
    let is_harmless =
        |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '<' | '>' | '&' | '"' | '\'' | '`');
    if token.is_empty() || token.len() > TOKEN_CHARS_MAX || !token.chars().all(is_harmless) {
        return Err(Refusal::BadHandshake);
    }
    route.door.note(SOURCE, "handshake");
    const HEADERS: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((HEADERS, token).into_response())
}

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

/// One notification. The same field names serve change and lifecycle notifications.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow, default)]
    subscription_id: Text<'a>,
    #[serde(borrow, default)]
    client_state: Text<'a>,
    #[serde(borrow, default)]
    tenant_id: Text<'a>,
    #[serde(borrow, default)]
    change_type: Text<'a>,
    #[serde(borrow, default)]
    lifecycle_event: Text<'a>,
    #[serde(borrow, default)]
    resource: Text<'a>,
    #[serde(borrow, default)]
    resource_data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    encrypted_content: Option<&'a RawValue>,
}

/// `resourceData` is an open type; these are the fields of users and groups.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ResourceData<'a> {
    #[serde(borrow, default, rename = "@odata.type")]
    odata_type: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    event_time: Text<'a>,
    #[serde(borrow, default, rename = "members@delta")]
    members: Option<&'a RawValue>,
}

/// A member that was added, or removed: `@removed` is a string in notifications and an object in delta queries.
/// Which of the two does not matter for a hint, so neither is read.
#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

enum Resource {
    User(ObjectId),
    Group(ObjectId),
}

/// The notifications of one request being read, however they were wrapped.
pub(super) struct Notifications<'r> {
    door: &'r Door,
    client_states: &'r [SecretString],
    received_at: Timestamp,
}

impl<'r> Notifications<'r> {
    pub(super) fn at(door: &'r Door, client_states: &'r [SecretString]) -> Notifications<'r> {
        Notifications { door, client_states, received_at: door.now() }
    }

    fn read(&self, body: &[u8]) -> Result<Harvest, Refusal> {
        body::expect_shallow(body)?;
        let collection: Collection = wire::object(wire::value(body)?).ok_or(Refusal::Unreadable)?;
        let items = wire::elements(collection.value).ok_or(Refusal::Unreadable)?;
        wire::expect_few(items.len())?;
        self.harvest(items, Harvest::default())
    }

    /// What the items become, in a harvest that is empty so far. A request of which none proves itself is not authentic.
    pub(super) fn harvest<'a>(
        &self,
        items: impl IntoIterator<Item = &'a RawValue>,
        mut harvest: Harvest,
    ) -> Result<Harvest, Refusal> {
        let mut is_authentic = false;
        for item in items {
            match wire::object(item) {
                Some(item) => is_authentic |= self.take(&item, &mut harvest)?,
                None => harvest.drop(Dropped::Unreadable),
            }
        }
        if is_authentic {
            return Ok(harvest);
        }
        self.door.count(SOURCE, &harvest);
        Err(Refusal::NoAuthenticItem)
    }

    /// Every known state is compared, whatever matched before.
    fn knows(&self, client_state: &str) -> bool {
        let matches = self.client_states.iter().fold(Choice::from(0), |matches, ours| {
            matches | ours.expose_secret().as_bytes().ct_eq(client_state.as_bytes())
        });
        matches.into()
    }

    /// Takes one item; whether it did prove itself, or had nothing to prove.
    fn take(&self, item: &Notification<'_>, harvest: &mut Harvest) -> Result<bool, Refusal> {
        if is_validation_dummy(item) {
            harvest.drop(Dropped::Nothing);
            return Ok(true);
        }
        if let Err(why) = self.authenticate(item) {
            harvest.drop(why);
            return Ok(false);
        }
        if item.subscription_id.guid().is_none() {
            self.door.note(SOURCE, "unknown_subscription");
        }
        match self.event(item) {
            Ok(event) => harvest.keep(event)?,
            Err(why) => harvest.drop(why),
        }
        Ok(true)
    }

    fn authenticate(&self, item: &Notification<'_>) -> Result<(), Dropped> {
        if !self.knows(item.client_state.get().unwrap_or_default()) {
            return Err(Dropped::WrongClientState);
        }
        let ours = self.door.tenant.0;
        let theirs = item.tenant_id.guid().unwrap_or(Uuid::nil());
        if ours.as_bytes().ct_eq(theirs.as_bytes()).into() { Ok(()) } else { Err(Dropped::WrongTenant) }
    }

    fn event(&self, item: &Notification<'_>) -> Result<Event, Dropped> {
        if let Some(word) = item.lifecycle_event.get() {
            let event = lifecycle(word).ok_or(Dropped::Unhandled)?;
            let about = About::Tenant(self.door.tenant);
            return Ok(self.made(about, EventKind::SubscriptionLifecycle { event }, None));
        }
        if item.encrypted_content.is_some() {
            return Err(Dropped::Unhandled);
        }
        let data: ResourceData = match item.resource_data {
            Some(raw) => wire::object(raw).ok_or(Dropped::Unreadable)?,
            None => ResourceData::default(),
        };
        let tenant = self.door.tenant;
        let is_deleted = item.change_type.is("deleted");
        let (about, kind) = match resource(item, &data)? {
            Resource::User(object) => {
                let kind = if is_deleted { EventKind::UserDeleted } else { EventKind::UserUpdated };
                (About::Person(Subject { tenant, object }), kind)
            }
            Resource::Group(group) if is_deleted => (About::Group { tenant, group }, EventKind::GroupDeleted),
            Resource::Group(group) => {
                (About::Group { tenant, group }, EventKind::GroupUpdated { members: member_hints(&data) })
            }
        };
        Ok(self.made(about, kind, data.event_time.time()))
    }

    fn made(&self, about: About, kind: EventKind, signal_at: Option<Timestamp>) -> Event {
        Event::told(SOURCE, about, kind, signal_at, self.received_at)
    }
}

/// What Event Hubs delivery sends when a subscription is created: every field is `NA` ("Receive change notifications
/// through Azure Event Hubs"). It knows no client state and means nothing.
fn is_validation_dummy(item: &Notification<'_>) -> bool {
    let says_so = item.change_type.get().is_some_and(|word| word.starts_with("Validation:"));
    says_so && item.subscription_id.is("NA")
}

fn lifecycle(word: &str) -> Option<LifecycleEvent> {
    match word {
        "missed" => Some(LifecycleEvent::Missed),
        "subscriptionRemoved" => Some(LifecycleEvent::SubscriptionRemoved),
        "reauthorizationRequired" => Some(LifecycleEvent::ReauthorizationRequired),
        _ => None,
    }
}

/// The type that Graph names decides; without it, the path. A user's message is not a user.
fn resource(item: &Notification<'_>, data: &ResourceData<'_>) -> Result<Resource, Dropped> {
    let mut path = item.resource.get().unwrap_or_default().split('/');
    let (collection, in_path) = (path.next().unwrap_or_default(), path.next());
    let is = |type_name, collection_name| match data.odata_type.get() {
        Some(name) => name.eq_ignore_ascii_case(type_name),
        None => collection.eq_ignore_ascii_case(collection_name),
    };
    let object = || {
        let named = data.id.get().or(in_path).and_then(wire::guid);
        named.map(ObjectId).ok_or(Dropped::Unreadable)
    };
    if is("#Microsoft.Graph.User", "users") {
        object().map(Resource::User)
    } else if is("#Microsoft.Graph.Group", "groups") {
        object().map(Resource::Group)
    } else {
        Err(Dropped::Unhandled)
    }
}

/// Empty, which means "list the group", unless every member is named and they are not too many.
fn member_hints(data: &ResourceData<'_>) -> Vec<ObjectId> {
    let Some(members) = data.members.and_then(wire::elements) else { return Vec::new() };
    if members.len() > GROUP_MEMBER_HINTS_MAX {
        return Vec::new();
    }
    let id = |raw: &RawValue| wire::object::<Member>(raw)?.id.guid().map(ObjectId);
    members.into_iter().map(id).collect::<Option<Vec<_>>>().unwrap_or_default()
}
