//! `/subscriptions` (Graph, subscription resource type; Create, Update subscription): made, renewed, reauthorized, listed,
//! ended. Making one calls the notification URL, as Graph does: see [`reach`].

use super::super::call::{Answer, Call, Reply};
use super::{collection, entity, error, too_many};
use crate::bucket::Bucket;
use crate::send::handshake::{self, Failed};
use crate::world::{Kind, Subscription, Watched, WorldGuard, fresh_id, words};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Shortest life: less is raised to it without a word. Longest life of a subscription to users or groups: more "is
/// tolerated today in places but documented to fail", so it fails here.
const MINUTES_LEAST: i64 = 45;
const MINUTES_MOST: i64 = 41_760;
const CLIENT_STATE_CHARS_MAX: usize = 128;
/// Reauthorizing and renewing within this time may corrupt the subscription (lifecycle events page, 2026-03-24).
const APART: Duration = Duration::from_secs(600);
/// Object id of the application's service principal: the creator with application permissions.
const CREATOR: &str = "e5a07b3c-48d1-4f9e-86b2-0d7c91fa3e64";
const TLS_VERSIONS: [&str; 4] = ["v1_0", "v1_1", "v1_2", "v1_3"];
/// What may be in the body of a new subscription.
const FIELDS: [&str; 8] = [
    "changeType",
    "notificationUrl",
    "lifecycleNotificationUrl",
    "resource",
    "expirationDateTime",
    "clientState",
    "latestSupportedTlsVersion",
    "includeResourceData",
];

/// A body that could become a subscription.
struct Wanted {
    resource: String,
    kind: Kind,
    change_type: String,
    notification_url: String,
    lifecycle_url: Option<String>,
    client_state: Option<String>,
    tls_version: String,
    expires: Timestamp,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let wanted = wanted(call)?;
    let mut world = call.world();
    check_room(call, &world, &wanted)?;
    let made = Subscription {
        id: fresh_id(),
        application_id: call.state.setup.entra_client_id.clone(),
        resource: wanted.resource,
        change_type: wanted.change_type,
        notification_url: wanted.notification_url,
        lifecycle_url: wanted.lifecycle_url,
        client_state: wanted.client_state,
        tls_version: wanted.tls_version,
        expires: wanted.expires,
        lapsed: false,
        since: 0,
        renewed: None,
        reauthorized: None,
    };
    let shown = shown(&made);
    world.add_subscription(made);
    call.state.outbox.wake();
    let mut reply = entity("subscriptions/$entity", shown);
    reply.status = 201;
    Ok(reply)
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    let own = world.subscriptions().filter(|one| one.application_id == call.state.setup.entra_client_id);
    Ok(collection("subscriptions", own.map(shown).collect(), None, None))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    Ok(entity("subscriptions/$entity", shown(own(call, &world)?)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.world();
    let id = own(call, &world)?.id.clone();
    world.remove_subscription(&id);
    Ok(Reply::empty(204))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let body = body(call)?;
    let changeable = ["expirationDateTime", "notificationUrl"];
    if let Some(name) = body.keys().find(|name| !changeable.contains(&name.as_str())) {
        call.complain(format!("{name} of a subscription cannot be changed"));
        return Err(invalid(call, &format!("The property '{name}' cannot be updated.")));
    }
    let expires = body.get("expirationDateTime").map(|_| expires(call, &body)).transpose()?;
    let url = body.get("notificationUrl").map(|_| url(call, &body, "notificationUrl")).transpose()?.flatten();
    let mut world = call.world();
    let id = own(call, &world)?.id.clone();
    let subscription = world.subscription_mut(&id);
    complain_if_near(call, subscription.reauthorized);
    subscription.renewed = Some(call.now);
    subscription.lapsed = false;
    subscription.expires = expires.unwrap_or(subscription.expires);
    if let Some(url) = url {
        subscription.notification_url = url;
    }
    let shown = shown(subscription);
    call.state.outbox.wake();
    Ok(entity("subscriptions/$entity", shown))
}

pub(super) fn reauthorize(call: &Call<'_>) -> Answer {
    if !call.body.is_empty() {
        call.complain("reauthorize takes no body");
    }
    let mut world = call.world();
    let id = own(call, &world)?.id.clone();
    let subscription = world.subscription_mut(&id);
    complain_if_near(call, subscription.renewed);
    subscription.reauthorized = Some(call.now);
    subscription.lapsed = false;
    call.state.outbox.wake();
    Ok(Reply::empty(204))
}

/// What Graph does before it says yes and what takes time: it calls the URLs that the body names and wants its token back.
/// Everything that can be refused without that is refused before.
pub(crate) async fn reach(call: &Call<'_>) -> Answer {
    let urls = match call.label() {
        "POST /v1.0/subscriptions" => {
            let wanted = wanted(call)?;
            check_room(call, &call.world(), &wanted)?;
            [Some(wanted.notification_url), wanted.lifecycle_url]
        }
        "PATCH /v1.0/subscriptions/{id}" => {
            own(call, &call.world())?;
            [url(call, &body(call)?, "notificationUrl")?, None]
        }
        _ => return Ok(Reply::empty(200)),
    };
    // One request for each URL, even when both are the same.
    for url in urls.into_iter().flatten().filter(|url| handshake::is_web(url)) {
        if let Err(failed) = handshake::perform(call.state, &url).await {
            return Err(unreachable(call, failed));
        }
    }
    Ok(Reply::empty(200))
}

fn unreachable(call: &Call<'_>, failed: Failed) -> Reply {
    let why = match failed {
        Failed::Silent => "The request timed out or the endpoint cannot be reached.".to_owned(),
        Failed::Status(status) => {
            format!("Notification endpoint must respond with 200 OK to validation request. It said {status}.")
        }
        Failed::ContentType => "The response must be text/plain.".to_owned(),
        Failed::Echo => "Response must exactly match validationToken query parameter.".to_owned(),
    };
    error(call, 400, "ValidationError", &format!("Subscription validation request failed. {why}"))
}

fn body(call: &Call<'_>) -> Result<Map<String, Value>, Reply> {
    call.json_object()
        .filter(|body| !body.is_empty())
        .ok_or_else(|| invalid(call, "Unable to read JSON request payload."))
}

fn wanted(call: &Call<'_>) -> Result<Wanted, Reply> {
    let body = body(call)?;
    if let Some(unknown) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        call.complain(format!("unknown subscription property {unknown}"));
        let text =
            format!("The property '{unknown}' is not supported on type 'microsoft.graph.subscription'.");
        return Err(invalid(call, &text));
    }
    if body.get("includeResourceData").is_some_and(|wanted| *wanted != Value::Bool(false)) {
        call.complain("rich notifications are not played");
        return Err(invalid(call, "includeResourceData is not supported for the resource."));
    }
    let resource = required(call, &body, "resource")?;
    let Some(watched) = Watched::parse(&resource) else {
        call.complain(format!("the twin plays no subscription to {resource}"));
        return Err(invalid(call, &format!("Unsupported resource '{resource}'.")));
    };
    check_permission(call, &call.world(), watched.kind)?;
    let change_type = change_type(call, &body)?;
    let Some(notification_url) = url(call, &body, "notificationUrl")? else {
        return Err(missing(call, "notificationUrl"));
    };
    Ok(Wanted {
        resource,
        kind: watched.kind,
        change_type,
        notification_url,
        lifecycle_url: url(call, &body, "lifecycleNotificationUrl")?,
        client_state: client_state(call, &body)?,
        tls_version: tls_version(call, &body)?,
        expires: expires(call, &body)?,
    })
}

fn change_type(call: &Call<'_>, body: &Map<String, Value>) -> Result<String, Reply> {
    let given = required(call, body, "changeType")?;
    let words = words(&given);
    if let Some(unknown) = words.iter().find(|w| !["created", "updated", "deleted"].contains(&w.as_str())) {
        return Err(invalid(call, &format!("The change type '{unknown}' is not valid.")));
    }
    if words.contains("created") {
        call.complain("users and groups are documented to know only updated and deleted, not created");
    }
    Ok(given)
}

fn client_state(call: &Call<'_>, body: &Map<String, Value>) -> Result<Option<String>, Reply> {
    let given = text(call, body, "clientState")?;
    if given.as_ref().is_some_and(|state| state.chars().count() > CLIENT_STATE_CHARS_MAX) {
        return Err(invalid(call, "The length of clientState exceeds the limit of 128 characters."));
    }
    Ok(given)
}

fn tls_version(call: &Call<'_>, body: &Map<String, Value>) -> Result<String, Reply> {
    let given = text(call, body, "latestSupportedTlsVersion")?.unwrap_or_else(|| "v1_2".into());
    if !TLS_VERSIONS.contains(&given.as_str()) {
        return Err(invalid(call, &format!("The TLS version '{given}' is not valid.")));
    }
    Ok(given)
}

fn expires(call: &Call<'_>, body: &Map<String, Value>) -> Result<Timestamp, Reply> {
    let given = required(call, body, "expirationDateTime")?;
    let given: Timestamp =
        given.parse().map_err(|_| invalid(call, "Cannot convert the expirationDateTime to a date."))?;
    let now = Timestamp::now();
    let ahead = |minutes| now.saturating_add(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MAX);
    if given > ahead(MINUTES_MOST) {
        let text = format!("Subscription expiration can only be {MINUTES_MOST} minutes in the future.");
        return Err(invalid(call, &text));
    }
    Ok(given.max(ahead(MINUTES_LEAST)))
}

/// HTTPS, another channel, or, in the twin alone, HTTP on loopback.
fn url(call: &Call<'_>, body: &Map<String, Value>, name: &str) -> Result<Option<String>, Reply> {
    let Some(given) = text(call, body, name)? else {
        return Ok(None);
    };
    if handshake::is_web(&given) || given.starts_with("EventGrid:") || given.starts_with("EventHub:") {
        return Ok(Some(given));
    }
    Err(invalid(call, &format!("{name} must be an https URL.")))
}

fn required(call: &Call<'_>, body: &Map<String, Value>, name: &str) -> Result<String, Reply> {
    text(call, body, name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(call, name))
}

fn text(call: &Call<'_>, body: &Map<String, Value>, name: &str) -> Result<Option<String>, Reply> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(call, &format!("Cannot convert the value of '{name}' to a string."))),
    }
}

/// The resource's read permission, for every verb; a write permission is no substitute (Create subscription).
fn check_permission(call: &Call<'_>, world: &WorldGuard<'_>, kind: Kind) -> Answer {
    let needed = match kind {
        Kind::Users => "User.Read.All",
        Kind::Groups => "Group.Read.All",
    };
    let token = call.bearer().unwrap_or_default();
    if world.token_allows(call.vendor, token, needed) {
        return Ok(Reply::empty(200));
    }
    let text = "Insufficient privileges to complete the operation.";
    Err(error(call, 403, "Authorization_RequestDenied", text))
}

/// Duplicates, and the quotas of application and tenant (Graph, Change notifications: supported resources).
fn check_room(call: &Call<'_>, world: &WorldGuard<'_>, wanted: &Wanted) -> Answer {
    let setup = &call.state.setup;
    let alike =
        |one: &&Subscription| one.is_like(&setup.entra_client_id, &wanted.resource, &wanted.change_type);
    if let Some(there) = world.subscriptions().find(alike) {
        let text = format!("Subscription Id <{}> already exists for the requested combination", there.id);
        return Err(error(call, 409, "ExtensionError", &text));
    }
    let same_kind = || {
        world
            .subscriptions()
            .filter(|one| Watched::parse(&one.resource).is_some_and(|watched| watched.kind == wanted.kind))
    };
    let own = same_kind().filter(|one| one.application_id == setup.entra_client_id).count();
    if own >= setup.subscriptions_per_app {
        return Err(quota(call, setup.subscriptions_per_app, "application and tenant"));
    }
    if same_kind().count() >= setup.subscriptions_per_tenant {
        return Err(quota(call, setup.subscriptions_per_tenant, "tenant"));
    }
    Ok(Reply::empty(200))
}

/// The page says that the message names the limit, not how.
fn quota(call: &Call<'_>, limit: usize, of: &str) -> Reply {
    let text = format!("Subscription limit of {limit} per {of} has been reached.");
    error(call, 403, "ExtensionError", &text)
}

/// The subscription that the path names, if it is alive and this application's.
fn own<'a>(call: &Call<'_>, world: &'a WorldGuard<'_>) -> Result<&'a Subscription, Reply> {
    let found = world.find_subscription(call.id());
    let own = found.filter(|one| one.application_id == call.state.setup.entra_client_id);
    let own = own.ok_or_else(|| error(call, 404, "ResourceNotFound", "The object was not found."))?;
    if let Some(watched) = Watched::parse(&own.resource) {
        check_permission(call, world, watched.kind)?;
    }
    Ok(own)
}

fn complain_if_near(call: &Call<'_>, other: Option<Instant>) {
    if other.is_some_and(|other| call.now.saturating_duration_since(other) < APART) {
        call.complain("a subscription was renewed and reauthorized within ten minutes");
    }
}

fn missing(call: &Call<'_>, name: &str) -> Reply {
    invalid(call, &format!("Required property '{name}' is missing."))
}

fn invalid(call: &Call<'_>, text: &str) -> Reply {
    error(call, 400, "InvalidRequest", text)
}

fn shown(subscription: &Subscription) -> Value {
    json!({
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.application_id,
        "changeType": subscription.change_type,
        "clientState": subscription.client_state,
        "notificationUrl": subscription.notification_url,
        "notificationQueryOptions": null,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": subscription.expires.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string(),
        "creatorId": CREATOR,
        "includeResourceData": null,
        "latestSupportedTlsVersion": subscription.tls_version,
        "encryptionCertificate": null,
        "encryptionCertificateId": null,
        "notificationUrlAppId": null,
    })
}

/// Requests per 20 s for this application and tenant (Graph, Throttling limits: subscriptions). What is not named here
/// shares the first row.
const LIMITS: [(&str, f64); 4] = [
    ("writes", 500.0),
    ("GET /v1.0/subscriptions", 25.0),
    ("GET /v1.0/subscriptions/{id}", 500.0),
    ("POST /v1.0/subscriptions/{id}/reauthorize", 1_000.0),
];

pub(crate) fn buckets(now: Instant) -> BTreeMap<&'static str, Bucket> {
    LIMITS
        .into_iter()
        .map(|(class, per_20_s)| (class, Bucket::full(per_20_s, per_20_s / 20.0, now)))
        .collect()
}

pub(super) fn check_limits(call: &Call<'_>) -> Answer {
    let named = LIMITS.iter().find(|(class, _)| *class == call.label());
    let class = named.unwrap_or(&LIMITS[0]).0;
    let mut limits = call.state.limits();
    match limits.subscriptions.get_mut(class).map(|bucket| bucket.take(1.0, call.now)) {
        Some(Err(seconds)) => Err(too_many(call).with("retry-after", format!("{}", seconds.ceil()))),
        _ => Ok(Reply::empty(200)),
    }
}
