//! Where the accounts are kept: by id, by e-mail address as written, by the Entra object id that they name, by each of
//! their identities, and by what signs one in to a database. All follow every change, so that nothing that the wire asks for costs a walk through everybody.

use super::accounts::{Account, AccountId, Identity};
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Register {
    by_id: HashMap<AccountId, Arc<Account>>,
    by_email: HashMap<String, BTreeSet<AccountId>>,
    by_object_id: HashMap<String, BTreeSet<AccountId>>,
    by_identity: HashMap<String, AccountId>,
    by_login: HashMap<Login, BTreeSet<AccountId>>,
    by_upn: HashMap<String, BTreeSet<AccountId>>,
}

/// A database connection and an e-mail address in lower case, or a user name.
type Login = (String, String);

impl Register {
    pub fn get(&self, id: &str) -> Option<&Arc<Account>> {
        self.by_id.get(id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_id.values()
    }

    /// Ids of the accounts with exactly this address, in order.
    pub fn with_email(&self, email: &str) -> impl Iterator<Item = &AccountId> {
        self.by_email.get(email).into_iter().flatten()
    }

    /// Ids of the accounts that name this object id, in order.
    pub fn naming(&self, object_id: &str) -> impl Iterator<Item = &AccountId> {
        self.by_object_id.get(object_id).into_iter().flatten()
    }

    /// The account that has this identity, as its own or linked.
    pub fn with_identity(&self, provider: &str, user_id: &str) -> Option<&AccountId> {
        self.by_identity.get(&format!("{provider}|{user_id}"))
    }

    /// Ids of the accounts with this user principal name, in any case.
    pub fn with_upn(&self, upn: &str) -> impl Iterator<Item = &AccountId> {
        self.by_upn.get(&upn.to_lowercase()).into_iter().flatten()
    }

    /// Ids of the accounts that sign in to this database by this address or name, linked identities included.
    pub fn signing_in_as(&self, connection: &str, name: &str) -> impl Iterator<Item = &AccountId> {
        self.by_login.get(&(connection.to_owned(), name.to_lowercase())).into_iter().flatten()
    }

    /// Adds an account and says whether its id was free.
    pub fn insert(&mut self, account: Account) -> bool {
        if self.by_id.contains_key(&account.id) {
            return false;
        }
        self.enter(&account);
        self.by_id.insert(account.id.clone(), Arc::new(account));
        true
    }

    pub fn remove(&mut self, id: &str) {
        if let Some(account) = self.by_id.remove(id) {
            self.strike(&account);
        }
    }

    /// Changes an account and says which one it was, if it exists.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Account)) -> Option<AccountId> {
        let mut account = self.by_id.remove(id)?;
        self.strike(&account);
        change(Arc::make_mut(&mut account));
        self.enter(&account);
        let id = account.id.clone();
        self.by_id.insert(id.clone(), account);
        Some(id)
    }

    fn enter(&mut self, account: &Account) {
        if let Some(email) = &account.email {
            self.by_email.entry(email.clone()).or_default().insert(account.id.clone());
        }
        for object_id in object_ids(account) {
            self.by_object_id.entry(object_id.to_owned()).or_default().insert(account.id.clone());
        }
        for identity in &account.identities {
            self.by_identity.insert(full_id(identity), account.id.clone());
        }
        for login in logins(account) {
            self.by_login.entry(login).or_default().insert(account.id.clone());
        }
        if let Some(upn) = upn(account) {
            self.by_upn.entry(upn).or_default().insert(account.id.clone());
        }
    }

    fn strike(&mut self, account: &Account) {
        if let Some(email) = &account.email {
            forget(&mut self.by_email, email.as_str(), &account.id);
        }
        for object_id in object_ids(account) {
            forget(&mut self.by_object_id, object_id, &account.id);
        }
        for identity in &account.identities {
            self.by_identity.remove(&full_id(identity));
        }
        for login in logins(account) {
            forget(&mut self.by_login, &login, &account.id);
        }
        if let Some(upn) = upn(account) {
            forget(&mut self.by_upn, upn.as_str(), &account.id);
        }
    }
}

fn upn(account: &Account) -> Option<String> {
    account.root.get("upn").and_then(Value::as_str).map(str::to_lowercase)
}

fn full_id(identity: &Identity) -> String {
    format!("{}|{}", identity.provider, identity.user_id)
}

/// What signs one in to the databases that the account has identities of.
fn logins(account: &Account) -> Vec<Login> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let databases =
        account.identities.iter().enumerate().filter(|(_, identity)| identity.provider == "auth0");
    databases
        .flat_map(|(at, identity)| {
            let (email, name) = match (at, &identity.profile) {
                (0, _) => (account.email.clone(), text(account.root.get("username"))),
                (_, Some(profile)) => (text(profile.get("email")), text(profile.get("username"))),
                (_, None) => (None, None),
            };
            let connection = identity.connection.clone();
            [email, name].into_iter().flatten().map(move |login| (connection.clone(), login.to_lowercase()))
        })
        .collect()
}

fn forget<K: Hash + Eq + Borrow<Q>, Q: Hash + Eq + ?Sized>(
    index: &mut HashMap<K, BTreeSet<AccountId>>,
    key: &Q,
    id: &AccountId,
) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The last segment of enterprise identities, and `app_metadata.external_id` (Auth0's default SCIM mapping for Entra).
fn object_ids(account: &Account) -> impl Iterator<Item = &str> {
    let enterprise = account.identities.iter().filter(|identity| identity.provider == "waad");
    let last = enterprise.filter_map(|identity| identity.user_id.rsplit('|').next());
    last.chain(account.app_metadata.get("external_id").and_then(Value::as_str))
}
