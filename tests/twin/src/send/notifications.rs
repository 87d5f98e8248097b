//! Graph change and lifecycle notifications (Graph, Change notifications by webhooks; changeNotification resource type;
//! Change notifications lifecycle events).

use crate::setup::Setup;
use crate::world::{Changed, GroupId, Moved, PersonId, Subscription};
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

/// What a notification repeats of the subscription that it is for.
struct Addressee<'a> {
    subscription: &'a str,
    client_state: Option<&'a str>,
    expires: Timestamp,
}

impl<'a> Addressee<'a> {
    /// A subscription that Lockstep is taken to have.
    fn assumed(setup: &'a Setup, subscription: &'a str) -> Addressee<'a> {
        let lifetime = SignedDuration::from_mins(LIFETIME_MINUTES);
        let expires = Timestamp::now().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        Addressee { subscription, client_state: Some(&setup.graph_client_state), expires }
    }

    fn of(subscription: &'a Subscription) -> Addressee<'a> {
        let client_state = subscription.client_state.as_deref();
        Addressee { subscription: &subscription.id, client_state, expires: subscription.expires }
    }
}

/// A notification about a user.
pub fn user(setup: &Setup, person: PersonId, change: Change) -> Value {
    let addressee = Addressee::assumed(setup, USERS_SUBSCRIPTION);
    directory_object(setup, "User", &person.to_string(), change, &addressee)
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
    directory_object(setup, "Group", group, change, &Addressee::assumed(setup, GROUPS_SUBSCRIPTION))
}

/// A group whose members changed.
pub fn group_members(setup: &Setup, id: &str, added: &[PersonId], removed: &[PersonId]) -> Value {
    let mut item = group(setup, id, Change::Updated);
    let came = added.iter().map(|person| member(person.to_string(), Moved::Added));
    let went = removed.iter().map(|person| member(person.to_string(), Moved::Removed));
    item["resourceData"]["members@delta"] = came.chain(went).collect();
    item
}

/// `@removed` is a plain string here, unlike in delta queries (public captures).
fn member(id: String, moved: Moved) -> Value {
    match moved {
        Moved::Added => json!({ "id": id }),
        Moved::Removed => json!({ "id": id, "@removed": "deleted" }),
    }
}

/// What a real subscription is told of a change of the world.
pub(crate) fn of_change(setup: &Setup, subscription: &Subscription, change: &crate::world::Change) -> Value {
    let addressee = Addressee::of(subscription);
    let user = |id: &PersonId, change| directory_object(setup, "User", &id.to_string(), change, &addressee);
    let group = |id: &GroupId, change| directory_object(setup, "Group", &id.to_string(), change, &addressee);
    match &change.what {
        Changed::UserUpdated { id, .. } => user(id, Change::Updated),
        Changed::UserDeleted(id) => user(id, Change::Deleted),
        Changed::GroupDeleted(id) => group(id, Change::Deleted),
        Changed::GroupUpdated { id, members, .. } => {
            let mut item = group(id, Change::Updated);
            if !members.is_empty() {
                let members = members.iter().map(|(id, moved)| member(id.to_string(), *moved));
                item["resourceData"]["members@delta"] = members.collect();
            }
            item
        }
    }
}

/// A lifecycle notification of the users subscription that Lockstep is taken to have.
pub fn lifecycle(setup: &Setup, event: Lifecycle) -> Value {
    lifecycle_to(setup, event, &Addressee::assumed(setup, USERS_SUBSCRIPTION))
}

/// A lifecycle notification of a real subscription.
pub(crate) fn lifecycle_of(setup: &Setup, subscription: &Subscription, event: Lifecycle) -> Value {
    lifecycle_to(setup, event, &Addressee::of(subscription))
}

fn lifecycle_to(setup: &Setup, event: Lifecycle, addressee: &Addressee<'_>) -> Value {
    let mut item = json!({
        "subscriptionId": addressee.subscription,
        "subscriptionExpirationDateTime": addressee.expires.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string(),
        "tenantId": setup.tenant_id,
        "lifecycleEvent": match event {
            Lifecycle::ReauthorizationRequired => "reauthorizationRequired",
            Lifecycle::SubscriptionRemoved => "subscriptionRemoved",
            Lifecycle::Missed => "missed",
        },
    });
    state_client(&mut item, addressee);
    item
}

/// The client state is repeated if the subscription has one.
fn state_client(item: &mut Value, addressee: &Addressee<'_>) {
    if let Some(client_state) = addressee.client_state {
        item["clientState"] = client_state.into();
    }
}

/// The body of one POST.
pub fn envelope(items: Vec<Value>) -> Value {
    json!({ "value": items })
}

fn directory_object(setup: &Setup, kind: &str, id: &str, change: Change, addressee: &Addressee<'_>) -> Value {
    let resource = format!("{kind}s/{id}");
    let mut item = json!({
        "changeType": change.word(),
        "resource": resource,
        "resourceData": {
            "@odata.type": format!("#Microsoft.Graph.{kind}"),
            "@odata.id": resource,
            "id": id,
            "organizationId": setup.tenant_id,
        },
        "subscriptionExpirationDateTime": addressee.expires.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        "subscriptionId": addressee.subscription,
        "tenantId": setup.tenant_id,
    });
    state_client(&mut item, addressee);
    item
}
