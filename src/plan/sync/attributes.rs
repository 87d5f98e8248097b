//! What an account is made of: every attribute that the policy owns, cleared ones included. Nothing else is touched.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Draft, kept};
use crate::action::sync::SyncAction;
use crate::policy::Policy;
use crate::policy::mapping::Mapped;
use crate::policy::sync::Target;
use crate::snapshot::sync::RootField;
use crate::snapshot::sync::{AccountKind, Groups, Holding, RootWritable, SyncSnapshot};

/// The longest metadata value, as JSON (Auth0, Metadata Field Names and Data Types, advises this size).
const VALUE_BYTES_MAX: usize = 2048;
/// The largest profile that Auth0 supports; larger writes pass today and are logged as `wum` (same page).
const PROFILE_BYTES_MAX: usize = 10 * 1024;
/// More than what we write to `app_metadata` ourselves when an account is made: its object id, twice, under two keys.
const OWN_BYTES_MAX: usize = 160;

/// Changes of one account, in one write.
pub(super) fn plan(snapshot: &SyncSnapshot, policy: &Policy, account: &Holding, draft: &mut Draft) {
    let (mut values, mut kept_otherwise) = (BTreeMap::new(), BTreeMap::new());
    let known = draft.remembered.kept_otherwise.remove(&account.id).unwrap_or_default();
    for (target, wanted) in wanted(snapshot, policy, draft) {
        if let Some(why) = unwritable(&target, wanted.as_ref(), account) {
            draft.find(why);
        } else if differs(&target, wanted.as_ref(), account) {
            let mark = kept::mark(snapshot.subject, &target, wanted.as_ref(), account);
            if known.get(&target.to_string()) == Some(&mark) {
                draft.find(format!("{target} of {}: Auth0 keeps another value than was written", account.id));
                kept_otherwise.insert(target.to_string(), mark);
            } else {
                values.insert(target, wanted);
            }
        }
    }
    if !kept_otherwise.is_empty() {
        draft.remembered.kept_otherwise.insert(account.id.clone(), kept_otherwise);
    }
    if values.is_empty() {
        return;
    }
    if let Some(bytes) = too_large_after(&values, account) {
        draft.find(format!(
            "{}: its profile would be {bytes} bytes, Auth0 supports {PROFILE_BYTES_MAX}; attributes are kept as they are",
            account.id
        ));
        return;
    }
    for values in writes(values) {
        draft.actions.push(SyncAction::SetAttributes { account: account.id.clone(), values });
    }
}

/// One write, or two: a name may not travel with an address (Management API v2, `PATCH /users/{id}`: the texts of 400).
fn writes(mut values: BTreeMap<Target, Option<Value>>) -> Vec<BTreeMap<Target, Option<Value>>> {
    let [email, username] = [RootField::Email, RootField::Username].map(Target::Root);
    match values.contains_key(&email).then(|| values.remove_entry(&username)).flatten() {
        Some(name) => vec![values, BTreeMap::from([name])],
        None => vec![values],
    }
}

/// What each target should hold; `None` is "nothing". Targets that cannot be decided are left out and said.
pub(super) fn wanted(
    snapshot: &SyncSnapshot,
    policy: &Policy,
    draft: &mut Draft,
) -> BTreeMap<Target, Option<Value>> {
    let mut wanted = BTreeMap::new();
    for attribute in &policy.attributes {
        let to = &attribute.to;
        match attribute.from.evaluate(&snapshot.profile.0, &policy.tables) {
            Mapped::Value(value) => match misfit(to, &value) {
                Some(why) => draft.find(why),
                None => {
                    wanted.insert(to.clone(), Some(value));
                }
            },
            Mapped::Clear => {
                wanted.insert(to.clone(), None);
            }
            Mapped::NotTold(properties) => {
                draft.find(format!("{to} is kept: Graph does not tell {}", properties.join(", ")));
            }
            Mapped::Failed(why) => draft.find(format!("{to} is kept: its expression fails here ({why})")),
        }
    }
    if let Some(key) = &policy.mfa.metadata_key {
        let to = Target::AppMetadata(key.clone());
        match &snapshot.groups {
            Groups::Known(groups) => {
                wanted.insert(to, policy.mfa.rule().holds(groups).then_some(Value::Bool(true)));
            }
            Groups::Unread(why) => draft.hold(format!("{to} is kept, groups were not read: {why}")),
        }
    }
    wanted
}

/// What an account is made with. Where its profile would be larger than Auth0 supports it is made without metadata: the
/// look that follows finds the account and tells why.
pub(super) fn for_a_new_account(wanted: BTreeMap<Target, Option<Value>>) -> BTreeMap<Target, Value> {
    let mut values: BTreeMap<Target, Value> =
        wanted.into_iter().filter_map(|(target, value)| Some((target, value?))).collect();
    let (mut app, mut user) = (Map::new(), Map::new());
    for (target, value) in &values {
        match target {
            Target::Root(_) => None,
            Target::AppMetadata(key) => app.insert(key.clone(), value.clone()),
            Target::UserMetadata(key) => user.insert(key.clone(), value.clone()),
        };
    }
    if profile_bytes(app, user) + OWN_BYTES_MAX > PROFILE_BYTES_MAX {
        values.retain(|target, _| matches!(target, Target::Root(_)));
    }
    values
}

/// A value that the target cannot take, whoever the account is.
fn misfit(to: &Target, value: &Value) -> Option<String> {
    match (to, value) {
        (Target::Root(field), Value::String(text)) => {
            let chars = text.chars().count();
            let most = field.chars_max();
            if chars > most {
                return Some(format!("{to} is kept: the value has {chars} characters, at most {most} fit"));
            }
            field.misfit(text).map(|expected| format!("{to} is kept: the value has to be {expected}"))
        }
        (Target::Root(_), _) => Some(format!("{to} is kept: the value is no text")),
        (Target::AppMetadata(_) | Target::UserMetadata(_), value) => {
            let bytes = value.to_string().len();
            (bytes > VALUE_BYTES_MAX)
                .then(|| format!("{to} is kept: the value has {bytes} bytes, at most {VALUE_BYTES_MAX} fit"))
        }
    }
}

/// Root attributes of an enterprise account are Auth0's while it synchronises them at each login; what one signs in with can
/// be written in a database only (Management API v2, `PATCH /users/{id}`).
fn unwritable(to: &Target, wanted: Option<&Value>, account: &Holding) -> Option<String> {
    let Target::Root(field) = to else { return None };
    let id = &account.id;
    match (&account.kind, field) {
        (AccountKind::Database { .. }, RootField::Email) if wanted.is_none() => {
            Some(format!("email of {id} is kept: an address cannot be cleared"))
        }
        (AccountKind::Database { .. }, RootField::Username) if wanted.is_none() => {
            Some(format!("username of {id} is kept: a name to sign in with cannot be cleared"))
        }
        (AccountKind::Database { .. }, _) => None,
        (_, field) if RootField::OF_DATABASES.contains(field) => {
            Some(format!("{to} of {id} is kept: only a database account's can be written"))
        }
        (AccountKind::Enterprise { root: RootWritable::Yes }, _) => None,
        (AccountKind::Enterprise { root: RootWritable::No }, _) => Some(format!(
            "{to} of {id} is kept: the connection overwrites it at each login (set_user_root_attributes)"
        )),
        (AccountKind::Enterprise { root: RootWritable::NotTold }, _) => {
            Some(format!("{to} of {id} is kept: whether the connection lets it be written was not read"))
        }
        (AccountKind::Other, _) => Some(format!("{to} of {id} is kept: its identity provider owns it")),
    }
}

/// What the account holds now; absent and null are the same.
pub(super) fn current(to: &Target, account: &Holding) -> Option<Value> {
    let held = match to {
        Target::Root(RootField::Email) => account.email.clone().map(Value::String),
        Target::Root(field) => account.root.get(field).cloned().map(Value::String),
        Target::AppMetadata(key) => account.app_metadata.get(key).cloned(),
        Target::UserMetadata(key) => account.user_metadata.get(key).cloned(),
    };
    held.filter(|value| !value.is_null())
}

pub(super) fn differs(to: &Target, wanted: Option<&Value>, account: &Holding) -> bool {
    let now = current(to, account);
    match (to, &now, wanted) {
        // Database addresses are kept in lower case; names are so too, or are at least not told apart by it (assumed).
        (
            Target::Root(RootField::Email | RootField::Username),
            Some(Value::String(now)),
            Some(Value::String(wanted)),
        ) => !now.eq_ignore_ascii_case(wanted),
        (_, Some(now), Some(wanted)) => !is_same(now, wanted),
        (_, now, wanted) => now.as_ref() != wanted,
    }
}

/// JSON knows one kind of number: what was written as 5.0 comes back as 5.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        (one, other) => one == other,
    }
}

/// The size of both metadata after the write, when it grows past what is supported; a write that only shrinks passes.
fn too_large_after(values: &BTreeMap<Target, Option<Value>>, account: &Holding) -> Option<usize> {
    let (mut app, mut user) = (account.app_metadata.clone(), account.user_metadata.clone());
    for (target, value) in values {
        let (map, key) = match target {
            Target::Root(_) => continue,
            Target::AppMetadata(key) => (&mut app, key),
            Target::UserMetadata(key) => (&mut user, key),
        };
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
    let before = profile_bytes(account.app_metadata.clone(), account.user_metadata.clone());
    let after = profile_bytes(app, user);
    (after > PROFILE_BYTES_MAX && after > before).then_some(after)
}

fn profile_bytes(app_metadata: Map<String, Value>, user_metadata: Map<String, Value>) -> usize {
    Value::Object(app_metadata).to_string().len() + Value::Object(user_metadata).to_string().len()
}
