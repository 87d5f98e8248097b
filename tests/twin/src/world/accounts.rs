//! Auth0 users: created, blocked, changed, linked, deleted.
//!
//! An account is kept behind an `Arc`, so that the lagging search index can go on showing an older version of it for
//! free. Whoever changes one goes through [`World::change_account`], which marks it for the index.

use super::World;
use super::people::{Person, PersonId};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// An Auth0 `user_id`, opaque except for the provider before the first `|`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// The provider in front of the first `|`.
    pub fn provider(&self) -> &str {
        self.0.split('|').next().unwrap_or_default()
    }
}

impl Deref for AccountId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AccountId {
    fn from(text: &str) -> AccountId {
        AccountId(text.into())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of `identities`. The first is the primary one.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub connection: String,
    pub provider: String,
    /// Without the provider prefix.
    pub user_id: String,
    /// The profile that a linked user brought along.
    pub profile: Option<Map<String, Value>>,
}

/// What becomes of a value that is written.
pub type KeptAs = fn(&Value) -> Value;

/// One Auth0 user.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub id: AccountId,
    /// Blocked by an administrator.
    pub blocked: bool,
    /// Users that were never blocked nor unblocked do not show the field at all (recorded answer of user creation).
    pub(crate) blocked_shown: bool,
    pub email: Option<String>,
    pub email_verified: bool,
    pub identities: Vec<Identity>,
    pub app_metadata: Map<String, Value>,
    pub user_metadata: Option<Map<String, Value>>,
    /// Root attributes: `name`, `nickname`, `given_name`, `username`, `phone_number`, `upn`, `oid`…
    pub root: Map<String, Value>,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub last_login: Option<Timestamp>,
    pub logins_count: u64,
    pub last_password_reset: Option<Timestamp>,
}

/// What an account is made from.
#[derive(Debug, Clone, Default)]
pub struct AccountSeed {
    /// The whole `user_id`, for example `auth0|64…` or `waad|…`.
    pub user_id: String,
    pub connection: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub blocked: Option<bool>,
    pub app_metadata: Map<String, Value>,
    pub user_metadata: Option<Map<String, Value>>,
    pub root: Map<String, Value>,
}

impl AccountSeed {
    pub(super) fn of(person: &Person, user_id: &str, connection: &str) -> AccountSeed {
        let email = person.mail.clone();
        let mut root = Map::new();
        root.insert("name".into(), person.display_name.clone().into());
        let nickname = email.as_deref().and_then(|email| email.split('@').next());
        for (key, value) in [
            ("given_name", person.text("givenName")),
            ("family_name", person.text("surname")),
            ("nickname", nickname),
        ] {
            if let Some(value) = value {
                root.insert(key.into(), value.into());
            }
        }
        AccountSeed {
            user_id: user_id.to_owned(),
            connection: connection.to_owned(),
            email,
            root,
            ..AccountSeed::default()
        }
    }
}

impl World {
    /// Adds an account exactly as described. Panics if the id is taken.
    pub fn add_account_raw(&mut self, seed: AccountSeed) -> AccountId {
        let id = AccountId::from(seed.user_id.as_str());
        let now = Timestamp::now();
        let (provider, local) = seed.user_id.split_once('|').unwrap_or(("auth0", &seed.user_id));
        let account = Account {
            id: id.clone(),
            blocked: seed.blocked.unwrap_or(false),
            blocked_shown: seed.blocked.is_some(),
            email: seed.email,
            email_verified: seed.email_verified,
            identities: vec![Identity {
                connection: seed.connection,
                provider: provider.to_owned(),
                user_id: local.to_owned(),
                profile: None,
            }],
            app_metadata: seed.app_metadata,
            user_metadata: seed.user_metadata,
            root: seed.root,
            created: now,
            updated: now,
            last_login: None,
            logins_count: 0,
            last_password_reset: None,
        };
        assert!(self.accounts.insert(account), "the account {id} exists already");
        self.touched(&id);
        id
    }

    /// The account. Panics if there is none.
    pub fn account(&self, id: &str) -> &Account {
        self.find_account(id).unwrap_or_else(|| panic!("there is no account {id}"))
    }

    /// The account, if it exists (a deleted or linked-away one does not).
    pub fn find_account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id).map(Arc::as_ref)
    }

    /// Ids of all accounts that are this person's, by enterprise identity or by `app_metadata.external_id`, in order.
    pub fn accounts_of(&self, person: PersonId) -> Vec<AccountId> {
        self.accounts.naming(&person.to_string()).cloned().collect()
    }

    /// Ids of the accounts that name this object id, by enterprise identity or by `app_metadata.external_id`, in order.
    pub(crate) fn accounts_naming(&self, object_id: &str) -> impl Iterator<Item = &AccountId> {
        self.accounts.naming(object_id)
    }

    /// Ids of the accounts whose `upn` is this one, in any case.
    pub(crate) fn accounts_with_upn(&self, upn: &str) -> impl Iterator<Item = &AccountId> {
        self.accounts.with_upn(upn)
    }

    /// Ids of the accounts with exactly this e-mail address, in order.
    pub fn accounts_with_email(&self, email: &str) -> Vec<AccountId> {
        self.accounts.with_email(email).cloned().collect()
    }

    /// How many accounts exist.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// All accounts, in no particular order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(Arc::as_ref)
    }

    /// From now on, `app_metadata.{key}` holds what `kept` makes of whatever a client writes there: a service may
    /// normalise what it stores (nothing of the kind is documented for metadata, and nothing excludes it).
    pub fn keep_app_metadata_as(&mut self, key: &str, kept: KeptAs) {
        self.kept_as.insert(key.to_owned(), kept);
    }

    /// The metadata that is stored where these are written.
    pub(crate) fn as_kept(&self, app_metadata: &Map<String, Value>) -> Map<String, Value> {
        let keep = |key: &String, value: &Value| {
            self.kept_as.get(key).map_or_else(|| value.clone(), |kept| kept(value))
        };
        app_metadata.iter().map(|(key, value)| (key.clone(), keep(key, value))).collect()
    }

    /// Somebody in the Auth0 dashboard blocks the account.
    pub fn block_account_by_admin(&mut self, id: &str) {
        self.set_blocked(id, Blocked::Yes);
    }

    /// Somebody in the Auth0 dashboard unblocks the account.
    pub fn unblock_account_by_admin(&mut self, id: &str) {
        self.set_blocked(id, Blocked::No);
    }

    /// A password reset through the Management API. It lifts the administrator's block without a word (Auth0, Block and
    /// Unblock Users) and ends the user's sessions (Auth0, Session Layers).
    pub fn reset_password(&mut self, id: &str) {
        let now = Timestamp::now();
        let existed = self.change_account(id, |account| {
            account.blocked = false;
            account.last_password_reset = Some(now);
        });
        assert!(existed, "there is no account {id}");
        self.end_sessions(id);
    }

    /// Deletes the account and all that it holds. A linked identity goes with its primary account (Auth0, User Account
    /// Linking). Deleting twice is no error, as recorded.
    pub fn delete_account(&mut self, id: &str) {
        self.accounts.remove(id);
        self.access.forget(id);
        self.roles.forget(id);
        self.organizations.forget(id);
        self.connections.forget(id);
        self.touched(&AccountId::from(id));
    }

    /// Links `secondary` into `primary`: the secondary id answers 404 from now on and lives on as an identity with its
    /// profile; its metadata, sessions and tokens are gone (Auth0, User Account Linking).
    pub fn link_accounts(&mut self, primary: &str, secondary: &str) {
        let gone = self.account(secondary).clone();
        let profile = gone.profile();
        self.delete_account(secondary);
        let existed = self.change_account(primary, |account| {
            for mut identity in gone.identities {
                identity.profile.get_or_insert_with(|| profile.clone());
                account.identities.push(identity);
            }
        });
        assert!(existed, "there is no account {primary}");
    }

    /// Takes a linked identity out again; it is a user of its own once more, without metadata and roles (Auth0, Unlink
    /// User Accounts). `None` if the account has no such identity, or only this one.
    pub fn unlink_account(&mut self, primary: &str, provider: &str, user_id: &str) -> Option<AccountId> {
        let identities = &self.find_account(primary)?.identities;
        let named = identities.iter().enumerate().skip(1);
        let (at, _) = named.into_iter().find(|(_, i)| i.provider == provider && i.user_id == user_id)?;
        let mut out = None;
        self.change_account(primary, |account| out = Some(account.identities.remove(at)));
        let identity = out?;
        let mut root = identity.profile.unwrap_or_default();
        let email = root.remove("email").and_then(|email| email.as_str().map(str::to_owned));
        let email_verified = root.remove("email_verified") == Some(Value::Bool(true));
        Some(self.add_account_raw(AccountSeed {
            user_id: format!("{provider}|{user_id}"),
            connection: identity.connection,
            email,
            email_verified,
            root,
            ..AccountSeed::default()
        }))
    }

    /// The account that has this identity (its id without the provider), as its own or linked.
    pub fn account_with_identity(&self, provider: &str, user_id: &str) -> Option<&AccountId> {
        self.accounts.with_identity(provider, user_id)
    }

    /// Whether somebody else than `but` signs in to this database by this address or name.
    pub(crate) fn is_login_taken(&self, connection: &str, name: &str, but: Option<&str>) -> bool {
        self.accounts.signing_in_as(connection, name).any(|id| Some(&**id) != but)
    }

    /// Ids of the accounts that sign in to this database by this address or name.
    pub(crate) fn accounts_signing_in_as(&self, connection: &str, name: &str) -> Vec<AccountId> {
        self.accounts.signing_in_as(connection, name).cloned().collect()
    }

    /// Sets a first-level `app_metadata` key, as another tool would.
    pub fn set_app_metadata(&mut self, id: &str, key: &str, value: Value) {
        let existed = self.change_account(id, |account| {
            account.app_metadata.insert(key.to_owned(), value);
        });
        assert!(existed, "there is no account {id}");
    }

    /// Changes the account and says whether it existed.
    pub(crate) fn change_account(&mut self, id: &str, change: impl FnOnce(&mut Account)) -> bool {
        let changed = self.accounts.change(id, |account| {
            change(account);
            account.updated = Timestamp::now();
        });
        let Some(id) = changed else {
            return false;
        };
        self.touched(&id);
        true
    }

    fn set_blocked(&mut self, id: &str, blocked: Blocked) {
        let existed = self.change_account(id, |account| {
            account.blocked = blocked == Blocked::Yes;
            account.blocked_shown = true;
        });
        assert!(existed, "there is no account {id}");
    }
}

#[derive(PartialEq, Eq)]
enum Blocked {
    Yes,
    No,
}

impl Account {
    /// Whether the primary identity is one of an enterprise connection.
    pub(crate) fn is_enterprise(&self) -> bool {
        self.id.provider() == "waad"
    }

    pub(crate) fn profile(&self) -> Map<String, Value> {
        let mut profile = self.root.clone();
        if let Some(email) = &self.email {
            profile.insert("email".into(), email.clone().into());
        }
        profile.insert("email_verified".into(), self.email_verified.into());
        profile
    }

    /// The user as the Management API shows it (shape of the recorded `GET /users/{id}` answers; absent values are left
    /// out and never null).
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut user = self.root.clone();
        let mut set = |key: &str, value: Value| user.insert(key.to_owned(), value);
        set("user_id", (*self.id).into());
        set("created_at", super::stamp(self.created).into());
        set("updated_at", super::stamp(self.updated).into());
        set("identities", self.identities.iter().map(Identity::to_json).collect());
        set("email_verified", self.email_verified.into());
        if let Some(email) = &self.email {
            set("email", email.clone().into());
        }
        if self.blocked_shown {
            set("blocked", self.blocked.into());
        }
        // Emptied app_metadata disappears while emptied user_metadata stays as {} (recorded with both emptied).
        if !self.app_metadata.is_empty() {
            set("app_metadata", self.app_metadata.clone().into());
        }
        if let Some(user_metadata) = &self.user_metadata {
            set("user_metadata", user_metadata.clone().into());
        }
        if let Some(last_login) = self.last_login {
            set("last_login", super::stamp(last_login).into());
            set("last_ip", "203.0.113.10".into());
            set("logins_count", self.logins_count.into());
        }
        if let Some(reset) = self.last_password_reset {
            set("last_password_reset", super::stamp(reset).into());
        }
        user
    }
}

impl Identity {
    pub(crate) fn to_json(&self) -> Value {
        let mut identity = json!({
            "connection": self.connection,
            "provider": self.provider,
            "user_id": self.user_id,
            "isSocial": false,
        });
        if let Some(profile) = &self.profile {
            identity["profileData"] = profile.clone().into();
        }
        identity
    }
}
