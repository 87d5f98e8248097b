//! Subscriptions to change notifications (Graph, subscription resource type): who wants to be told what, and until when.
//!
//! An expired subscription is simply not there any more; for users and groups nobody is told (Graph, Change
//! notifications lifecycle events). What is delivered to whom is the sending side's business.

use super::World;
use super::changes::{Change, Changed};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Instant;

/// One subscription of any application of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: String,
    /// The application that made it; no other one sees it.
    pub application_id: String,
    /// As sent.
    pub resource: String,
    /// As sent: a comma list.
    pub change_type: String,
    pub notification_url: String,
    pub lifecycle_url: Option<String>,
    pub client_state: Option<String>,
    pub tls_version: String,
    pub expires: Timestamp,
    /// The access token bound to it has lapsed: nothing is delivered until it is reauthorized or renewed.
    pub lapsed: bool,
    /// The newest change when it was made: only later ones are told.
    pub(crate) since: u64,
    /// When it was last renewed, and when reauthorized: the two may not come within ten minutes of each other.
    pub(crate) renewed: Option<Instant>,
    pub(crate) reauthorized: Option<Instant>,
}

/// What a resource path of a subscription means (Graph, Change notifications: supported resources).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub kind: Kind,
    /// One object instead of all.
    id: Option<String>,
    /// Only changes of the members.
    members: bool,
}

/// What kind of directory object is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Users,
    Groups,
}

impl Watched {
    /// `None` for a resource that the twin does not play. Owners never change in it.
    pub fn parse(resource: &str) -> Option<Watched> {
        let lower = resource.trim_matches('/').to_lowercase();
        let mut parts = lower.split('/');
        let kind = match parts.next()? {
            "users" => Kind::Users,
            "groups" => Kind::Groups,
            _ => return None,
        };
        let id = parts.next().map(str::to_owned);
        let members = match (kind, parts.next()) {
            (_, None) => false,
            (Kind::Groups, Some("members")) => true,
            _ => return None,
        };
        parts.next().is_none().then_some(Watched { kind, id, members })
    }

    fn matches(&self, kind: Kind, id: &str, members_changed: bool) -> bool {
        self.kind == kind
            && self.id.as_deref().is_none_or(|wanted| wanted == id)
            && (!self.members || members_changed)
    }
}

impl Subscription {
    /// Whether this change is to be told to it.
    pub(crate) fn wants(&self, change: &Change) -> bool {
        let (kind, id, word, members_changed) = match &change.what {
            Changed::UserUpdated { id, .. } => (Kind::Users, id.to_string(), "updated", false),
            Changed::UserDeleted(id) => (Kind::Users, id.to_string(), "deleted", false),
            Changed::GroupUpdated { id, members, .. } => {
                (Kind::Groups, id.to_string(), "updated", !members.is_empty())
            }
            Changed::GroupDeleted(id) => (Kind::Groups, id.to_string(), "deleted", false),
        };
        self.since < change.number
            && words(&self.change_type).contains(word)
            && Watched::parse(&self.resource).is_some_and(|one| one.matches(kind, &id, members_changed))
    }

    /// Whether both ask for the same: what Graph calls the combination.
    pub(crate) fn is_like(&self, application: &str, resource: &str, change_type: &str) -> bool {
        self.application_id == application
            && Watched::parse(&self.resource) == Watched::parse(resource)
            && words(&self.change_type) == words(change_type)
    }
}

/// The words of a change type, in any order and case.
pub(crate) fn words(change_type: &str) -> BTreeSet<String> {
    change_type.split(',').map(|word| word.trim().to_lowercase()).collect()
}

impl World {
    /// The subscriptions that have not expired, oldest first.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        let now = Timestamp::now();
        self.subscriptions.iter().filter(move |one| one.expires > now)
    }

    /// A subscription that has not expired.
    pub fn find_subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions().find(|one| one.id == id)
    }

    /// From now on it ends then.
    pub fn set_subscription_expiry(&mut self, id: &str, expires: Timestamp) {
        self.subscription_mut(id).expires = expires;
    }

    /// It is over, and nobody is told.
    pub fn expire_subscription(&mut self, id: &str) {
        self.subscription_mut(id);
        self.remove_subscription(id);
    }

    /// The access token bound to it lapses (Graph, Change notifications by webhooks): nothing is delivered until it is
    /// reauthorized or renewed, and what came in between is delivered then.
    pub fn lapse_subscription(&mut self, id: &str) {
        self.subscription_mut(id).lapsed = true;
    }

    /// Another application of the tenant subscribes; it counts against the tenant's quota and is nobody else's business.
    pub fn subscribe_elsewhere(&mut self, resource: &str, change_type: &str) -> String {
        let lifetime = SignedDuration::from_hours(24);
        let id = fresh_id();
        self.add_subscription(Subscription {
            id: id.clone(),
            application_id: "9d4e7b15-0c38-4f6a-b2d9-63a81e50f7c4".into(),
            resource: resource.to_owned(),
            change_type: change_type.to_owned(),
            notification_url: "EventHub:https://elsewhere.servicebus.windows.net/eventhubname/graph".into(),
            lifecycle_url: None,
            client_state: None,
            tls_version: "v1_2".into(),
            expires: Timestamp::now().saturating_add(lifetime).unwrap_or(Timestamp::MAX),
            lapsed: false,
            since: 0,
            renewed: None,
            reauthorized: None,
        });
        id
    }

    /// Takes it in; expired ones go, so that nothing but the quota bounds them. From here on it is told what changes.
    pub(crate) fn add_subscription(&mut self, mut subscription: Subscription) {
        let now = Timestamp::now();
        self.subscriptions.retain(|one| one.expires > now);
        subscription.since = self.last_change();
        self.subscriptions.push(subscription);
    }

    pub(crate) fn remove_subscription(&mut self, id: &str) {
        self.subscriptions.retain(|one| one.id != id);
    }

    /// Panics on an id that is not there.
    pub(crate) fn subscription_mut(&mut self, id: &str) -> &mut Subscription {
        let found = self.subscriptions.iter_mut().find(|one| one.id == id);
        found.unwrap_or_else(|| panic!("there is no subscription {id}"))
    }
}

/// An id that no subscription has.
pub(crate) fn fresh_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_paths_in_any_case() {
        let users = Watched::parse("/Users").expect("users");
        assert!(users.matches(Kind::Users, "a", false) && !users.matches(Kind::Groups, "a", false));
        let one = Watched::parse("groups/ABC").expect("a group");
        assert!(one.matches(Kind::Groups, "abc", false) && !one.matches(Kind::Groups, "b", false));
        let members = Watched::parse("groups/abc/members").expect("members");
        assert!(members.matches(Kind::Groups, "abc", true) && !members.matches(Kind::Groups, "abc", false));
        for unplayed in ["", "me/messages", "users/a/messages", "groups/a/members/b", "security/alerts_v2"] {
            assert_eq!(Watched::parse(unplayed), None, "{unplayed}");
        }
    }
}
