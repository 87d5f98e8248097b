//! Graph change and lifecycle notifications (Graph, Change notifications by webhooks; changeNotification resource type;
//! Change notifications lifecycle events).

use crate::setup::Setup;
use crate::world::PersonId;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What a notification says has happened. Creation, change, disabling and soft deletion are all `Updated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Updated,
    /// Deleted for good.
    Deleted,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Updated => "updated",
            Change::Deleted => "deleted",
        }
    }
}

/// Lifecycle events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    ReauthorizationRequired,
    SubscriptionRemoved,
    Missed,
}

/// Ids of the two subscriptions that Lockstep is taken to have.
pub const USERS_SUBSCRIPTION: &str = "3e1b6a90-7c52-4d1f-8f0e-a9c4d7b25e61";
pub const GROUPS_SUBSCRIPTION: &str = "b84c0d2f-15e7-49a3-92d6-0c7f83ae5d19";

/// Longest life of a subscription to users or groups (Graph, subscription resource type).
const LIFETIME_MINUTES: i64 = 41_760;

/// A notification about a user.
pub fn user(setup: &Setup, person: PersonId, change: Change) -> Value {
    directory_object(setup, "User", &person.to_string(), change, USERS_SUBSCRIPTION)
}

/// The same with the hints that older deliveries carried: a time with seven digits and a 64-bit sequence number.
pub fn user_with_hints(setup: &Setup, person: PersonId, change: Change) -> Value {
    let mut item = user(setup, person, change);
    item["resourceData"]["eventTime"] =
        Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string().into();
    item["resourceData"]["sequenceNumber"] = 637_628_640_120_385_565_i64.into();
    item
}

/// A notification about a group.
pub fn group(setup: &Setup, group: &str, change: Change) -> Value {
    directory_object(setup, "Group", group, change, GROUPS_SUBSCRIPTION)
}

/// A group whose members changed. `@removed` is a plain string here, unlike in delta queries (public captures).
pub fn group_members(setup: &Setup, id: &str, added: &[PersonId], removed: &[PersonId]) -> Value {
    let mut item = group(setup, id, Change::Updated);
    let came = added.iter().map(|person| json!({ "id": person.to_string() }));
    let went = removed.iter().map(|person| json!({ "id": person.to_string(), "@removed": "deleted" }));
    item["resourceData"]["members@delta"] = came.chain(went).collect();
    item
}

/// A lifecycle notification of the users subscription.
pub fn lifecycle(setup: &Setup, event: Lifecycle) -> Value {
    json!({
        "subscriptionId": USERS_SUBSCRIPTION,
        "subscriptionExpirationDateTime": expiry("%Y-%m-%dT%H:%M:%S.0000000Z"),
        "tenantId": setup.tenant_id,
        "clientState": setup.graph_client_state,
        "lifecycleEvent": match event {
            Lifecycle::ReauthorizationRequired => "reauthorizationRequired",
            Lifecycle::SubscriptionRemoved => "subscriptionRemoved",
            Lifecycle::Missed => "missed",
        },
    })
}

/// The body of one POST.
pub fn envelope(items: Vec<Value>) -> Value {
    json!({ "value": items })
}

fn directory_object(setup: &Setup, kind: &str, id: &str, change: Change, subscription: &str) -> Value {
    let resource = format!("{kind}s/{id}");
    json!({
        "changeType": change.word(),
        "clientState": setup.graph_client_state,
        "resource": resource,
        "resourceData": {
            "@odata.type": format!("#Microsoft.Graph.{kind}"),
            "@odata.id": resource,
            "id": id,
            "organizationId": setup.tenant_id,
        },
        "subscriptionExpirationDateTime": expiry("%Y-%m-%dT%H:%M:%S+00:00"),
        "subscriptionId": subscription,
        "tenantId": setup.tenant_id,
    })
}

fn expiry(format: &str) -> String {
    let lifetime = SignedDuration::from_mins(LIFETIME_MINUTES);
    let end = Timestamp::now().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
    end.strftime(format).to_string()
}
