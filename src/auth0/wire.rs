//! The shapes of the Management API's answers, reduced to what is used.
//!
//! Lenient on purpose: real answers carry fields that Auth0's own schemas forbid, and lists come bare or wrapped.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::auth0::UserIds;
use crate::case::{AccountId, CaseId};
use crate::clock::{self, Timestamp};
use crate::event::ObjectId;
use crate::outbound::http::Answer;
use crate::snapshot::sync::RootWritable;
use crate::snapshot::{Blocked, Email, Stamp};

/// First-level key of `app_metadata` that Lockstep alone writes: nested objects are replaced whole, and there is no
/// conditional write (Auth0, Manage Metadata Using the Management API).
pub(super) const OUR_KEY: &str = "lockstep";

/// A user as far as blocking goes.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) user_id: String,
    /// Absent until an administrator has blocked or unblocked the user once.
    #[serde(default)]
    blocked: Option<bool>,
    #[serde(default)]
    app_metadata: Value,
    #[serde(default)]
    identities: Vec<Identity>,
    #[serde(default)]
    email: Option<String>,
}

/// One of the identities that are linked into a user; the first is the user's own.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) provider: String,
    #[serde(default)]
    pub(super) connection: String,
    /// Without the provider in front. Numbers occur with social providers.
    user_id: Value,
}

/// Our mark in `app_metadata`.
pub(super) fn stamp_in(app_metadata: &Value) -> Option<Stamp> {
    let case: CaseId = app_metadata.get(OUR_KEY)?.get("case")?.as_str()?.parse().ok()?;
    Some(Stamp { case })
}

impl User {
    pub(super) fn blocked(&self) -> Blocked {
        if self.blocked == Some(true) { Blocked::Yes } else { Blocked::No }
    }

    pub(super) fn email(&self) -> Option<Email> {
        self.email.as_deref().and_then(Email::read)
    }

    /// Our mark of a block. What we leave behind after a release names no case and is none.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        stamp_in(&self.app_metadata)
    }

    /// Whether this account belongs to the Entra object: by what SCIM or we have written, or by a `waad` identity.
    pub(super) fn is_of(&self, object: ObjectId) -> bool {
        let named =
            |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| names(text, object));
        let ours = self.app_metadata.get(OUR_KEY).and_then(|ours| ours.get("entra_object_id"));
        named(self.app_metadata.get("external_id"))
            || named(ours)
            || self.identities.iter().any(|identity| identity.is_entra_object(object))
    }

    /// Whether another account was linked into this one.
    pub(super) fn has_absorbed(&self, id: &AccountId) -> bool {
        self.user_id != id.as_str()
            && self.identities.iter().any(|identity| identity.full_id() == id.as_str())
    }
}

impl Identity {
    /// Both forms that were seen: `waad|{object id}` and `waad|{connection}|{object id}`.
    fn is_entra_object(&self, object: ObjectId) -> bool {
        let own = self.own_id();
        let last = own.rsplit('|').next().unwrap_or_default();
        self.provider == "waad" && names(last, object)
    }

    pub(super) fn full_id(&self) -> String {
        format!("{}|{}", self.provider, self.own_id())
    }

    fn own_id(&self) -> String {
        match &self.user_id {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn names(text: &str, object: ObjectId) -> bool {
    text.eq_ignore_ascii_case(&object.to_string())
}

/// A list by checkpoint (`sessions`, `tokens`).
#[derive(Debug, Deserialize)]
pub(super) struct CheckpointPage {
    #[serde(alias = "sessions", alias = "tokens")]
    pub(super) items: Vec<Value>,
    /// Absent on the last page.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A list by page number: wrapped with its total, or a bare array.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OffsetPage<T> {
    Wrapped {
        total: u64,
        #[serde(
            alias = "users",
            alias = "grants",
            alias = "device_credentials",
            alias = "resource_servers",
            alias = "roles",
            alias = "organizations",
            alias = "connections",
            alias = "enabled_connections"
        )]
        items: Vec<T>,
    },
    Bare(Vec<T>),
}

impl<T> OffsetPage<T> {
    /// The items of this page and, where told, how many there are in all.
    pub(super) fn into_parts(self) -> (Vec<T>, Option<u64>) {
        match self {
            OffsetPage::Wrapped { total, items } => (items, Some(total)),
            OffsetPage::Bare(items) => (items, None),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DeviceCredential {
    pub(super) id: String,
}

/// Of a token set nothing else is looked at: the rest is about tokens.
#[derive(Debug, Deserialize)]
pub(super) struct TokenSet {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourceServer {
    #[serde(default)]
    pub(super) token_lifetime: Option<u64>,
    /// Auth0's own API of the tenant.
    #[serde(default)]
    pub(super) is_system: bool,
}

/// A role or an organization.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
}

/// A connection that members of an organization may sign in with.
#[derive(Debug, Deserialize)]
pub(super) struct EnabledConnection {
    pub(super) connection_id: String,
    #[serde(default)]
    pub(super) connection: EnabledName,
}

/// What is told of it beside.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EnabledName {
    pub(super) name: String,
}

/// A connection, without its options but two: they hold its secret.
#[derive(Debug, Deserialize)]
pub(super) struct Connection {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    /// Absent where the application may read no options.
    #[serde(default)]
    options: Option<ConnectionOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConnectionOptions {
    set_user_root_attributes: Option<String>,
    userid_attribute: Option<String>,
}

impl Connection {
    /// Without the option Auth0 syncs at each login (Auth0, Configure Connection Sync with Auth0).
    pub(super) fn root(&self) -> RootWritable {
        let Some(options) = &self.options else { return RootWritable::NotTold };
        match options.set_user_root_attributes.as_deref() {
            None | Some("on_each_login") => RootWritable::No,
            Some("on_first_login" | "never_on_login") => RootWritable::Yes,
            Some(_) => RootWritable::NotTold,
        }
    }
}

impl Connection {
    /// Which claim an account's id is made of; `None` where the application may read no options.
    pub(super) fn user_ids(&self) -> Option<UserIds> {
        let told = self.options.as_ref()?.userid_attribute.clone();
        Some(match told {
            Some(claim) if claim == "oid" => UserIds::ObjectId,
            other => UserIds::Other(other),
        })
    }
}

/// An account that shares an e-mail address.
#[derive(Debug, Deserialize)]
pub(super) struct SameEmail {
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) email_verified: Value,
    #[serde(default)]
    pub(super) blocked: Value,
    #[serde(default)]
    pub(super) app_metadata: Value,
    #[serde(default)]
    pub(super) identities: Vec<Identity>,
}

impl SameEmail {
    /// Every directory id that SCIM, we or a `waad` identity tie the account to.
    pub(super) fn owners(&self) -> BTreeSet<String> {
        let ours = self.app_metadata.get(OUR_KEY).and_then(|ours| ours.get("entra_object_id"));
        let written = [self.app_metadata.get("external_id"), ours].into_iter().flatten();
        let written = written.filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let waad = self.identities.iter().filter(|identity| identity.provider == "waad");
        let last = |own: String| own.rsplit('|').next().unwrap_or_default().to_owned();
        written
            .chain(waad.map(|identity| last(identity.own_id())))
            .map(|id| id.to_ascii_lowercase())
            .collect()
    }
}

/// `{"statusCode":404,"error":"Not Found","message":"…","errorCode":"inexistent_user"}`; `errorCode` may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ErrorBody {
    status_code: Option<Value>,
    pub(super) error_code: Option<String>,
    message: String,
}

/// Root attributes that Auth0 names when it refuses to have them written.
const REFUSABLE: [&str; 9] = [
    "email_verified",
    "email",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "name",
    "phone_number",
    "username",
];
/// How Auth0 begins when it refuses what was sent and not how it was sent (Auth0 Management API v2, Update a user:
/// the texts of 400).
const REFUSALS: [&str; 7] = [
    "cannot update",
    "cannot change email or password",
    "cannot be updated",
    "cannot be removed",
    "not allowed to update",
    "not supported for enterprise users",
    "cannot set username",
];

impl ErrorBody {
    pub(super) fn of(answer: &Answer) -> ErrorBody {
        answer.json().unwrap_or_default()
    }

    /// Plan refusals come as `insufficient_entitlement` or, from older parts, as `insufficient_scope` with an
    /// invitation to upgrade; both are recorded (docs/vendors.md).
    pub(super) fn is_plan_refusal(&self) -> bool {
        match self.error_code.as_deref() {
            Some("insufficient_entitlement") => true,
            Some("insufficient_scope") => self.message.to_ascii_lowercase().contains("upgrade"),
            _ => false,
        }
    }

    /// Whether this is Auth0's own way of refusing, and not a proxy's.
    pub(super) fn is_auth0s(&self) -> bool {
        self.status_code.is_some()
    }

    /// Which of the attributes that were sent Auth0 will not have written: those that its text names, or all that can
    /// be refused when it names none. `None` when the refusal is about something else.
    pub(super) fn unwritable(&self, sent: &Value) -> Option<String> {
        let text = self.message.to_ascii_lowercase();
        let of_validation = text.starts_with("payload validation error") && text.contains("on property");
        let of_attributes = REFUSALS.iter().any(|refusal| text.contains(refusal));
        let sent: Vec<&str> = REFUSABLE.into_iter().filter(|name| sent.get(*name).is_some()).collect();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut words: BTreeSet<&str> = match text.split_once("on property ") {
            // What follows the property's name is its description, in many words.
            Some((_, property)) if of_validation => property.split(|c| !is_word(c)).take(1).collect(),
            // What follows the first sentence explains, and names other things.
            _ => text.split(". ").take(1).flat_map(|told| told.split(|c| !is_word(c))).collect(),
        };
        if text.contains("email verification") {
            words.insert("email_verified");
        }
        let named: Vec<&str> = sent.iter().copied().filter(|name| words.contains(name)).collect();
        match (of_attributes, of_validation) {
            (true, _) if named.is_empty() && !sent.is_empty() => Some(sent.join(", ")),
            (true, _) | (_, true) if !named.is_empty() => Some(named.join(", ")),
            _ => None,
        }
    }

    pub(super) fn says_no_such_user(&self) -> bool {
        self.error_code.as_deref() == Some("inexistent_user")
    }
}

/// When a throttled answer says to come back: `Retry-After` where it is sent, else the second in which the bucket gets
/// its next token (Auth0, Rate Limit Policy). The latter is read against the answer's own date, so that a clock that
/// is off does not matter, and spread over half a second, so that not everybody comes at once.
pub(super) fn come_back_at(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    if let Some(told) = answer.header("retry-after").and_then(|value| crate::retry::retry_after(value, now)) {
        return Some(told);
    }
    let reset = Timestamp::from_second(answer.header("x-ratelimit-reset")?.trim().parse().ok()?).ok()?;
    let sent = answer.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let sent = sent.map_or(now, |date| date.timestamp());
    let wait = clock::elapsed(sent, reset).min(crate::retry::RETRY_AFTER_MOST);
    let spread = std::time::Duration::from_millis(fastrand::u64(0..500));
    Some(clock::after(now, wait + spread))
}

/// What is left in the tenant's bucket; on every answer (Auth0, Rate Limit Policy).
pub(super) fn remaining(answer: &Answer) -> Option<u32> {
    answer.header("x-ratelimit-remaining")?.trim().parse().ok()
}

/// The size of that bucket.
pub(super) fn limit(answer: &Answer) -> Option<u32> {
    answer.header("x-ratelimit-limit")?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
