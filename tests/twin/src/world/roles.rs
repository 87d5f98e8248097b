//! Roles of the Auth0 tenant, and who has which by himself, outside organizations.

use super::World;
use super::accounts::AccountId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Roles that one user may have, and one member of an organization (Auth0, Entity Limit Policy).
pub(crate) const ROLES_OF_ONE_MAX: usize = 50;

/// A role. Its id is `rol_` and sixteen letters or digits (every recorded one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
}

/// Roles that cannot be given: a user would have more than [`ROLES_OF_ONE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyRoles;

/// All roles and their holders.
#[derive(Default)]
pub(super) struct Roles {
    by_id: BTreeMap<String, Role>,
    by_name: HashMap<String, String>,
    held: HashMap<AccountId, BTreeSet<String>>,
    holders: HashMap<String, BTreeSet<AccountId>>,
}

impl World {
    /// Somebody creates a role in the dashboard; returns its id. Panics if the name is taken.
    pub fn create_role(&mut self, name: &str) -> String {
        let id = format!("rol_{}", super::word(16));
        let role = Role { id: id.clone(), name: name.to_owned(), description: None };
        assert!(self.add_role(role), "there is a role {name} already");
        id
    }

    /// Adds a role and says whether its name was free.
    pub(crate) fn add_role(&mut self, role: Role) -> bool {
        if self.roles.by_name.contains_key(&role.name) {
            return false;
        }
        self.roles.by_name.insert(role.name.clone(), role.id.clone());
        self.roles.by_id.insert(role.id.clone(), role);
        true
    }

    /// Somebody deletes a role: whoever had it, in organizations too, has it no more. Says whether there was one.
    pub fn delete_role(&mut self, role: &str) -> bool {
        let Some(gone) = self.roles.by_id.remove(role) else {
            return false;
        };
        self.roles.by_name.remove(&gone.name);
        for account in self.roles.holders.remove(role).unwrap_or_default() {
            self.roles.drop_held(&account, role);
        }
        self.organizations.forget_role(role);
        true
    }

    /// Somebody deletes a role and creates one of the same name: a new id that nobody has yet. Panics if there is none.
    pub fn recreate_role(&mut self, role: &str) -> String {
        let name = self.role(role).name.clone();
        self.delete_role(role);
        self.create_role(&name)
    }

    /// Renames a role or describes it anew, and says whether the name was free.
    pub(crate) fn change_role(&mut self, id: &str, changed: Role) -> bool {
        if self.roles.by_name.get(&changed.name).is_some_and(|taken| taken != id) {
            return false;
        }
        if let Some(before) = self.roles.by_id.insert(id.to_owned(), changed.clone()) {
            self.roles.by_name.remove(&before.name);
        }
        self.roles.by_name.insert(changed.name, id.to_owned());
        true
    }

    /// The role. Panics if there is none.
    pub fn role(&self, id: &str) -> &Role {
        self.find_role(id).unwrap_or_else(|| panic!("there is no role {id}"))
    }

    /// The role with this id, if there is one.
    pub fn find_role(&self, id: &str) -> Option<&Role> {
        self.roles.by_id.get(id)
    }

    /// The role with this name, if there is one.
    pub fn role_named(&self, name: &str) -> Option<&Role> {
        self.roles.by_name.get(name).and_then(|id| self.find_role(id))
    }

    /// All roles, in the order of their ids.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.by_id.values()
    }

    /// Somebody gives the account a role by hand. Panics if either does not exist.
    pub fn grant_role(&mut self, account: &str, role: &str) {
        let (account, role) = (self.account(account).id.clone(), self.role(role).id.clone());
        self.roles.give(&account, role);
    }

    /// Somebody takes a role from the account by hand.
    pub fn revoke_role(&mut self, account: &str, role: &str) {
        self.roles.take(account, role);
    }

    /// Gives roles that all exist, or none of them if the user would have too many.
    pub(crate) fn grant_roles(&mut self, account: &str, roles: Vec<String>) -> Result<(), TooManyRoles> {
        let account = self.account(account).id.clone();
        let mut all = self.roles_of(&account);
        all.extend(roles.iter().cloned());
        if all.len() > ROLES_OF_ONE_MAX {
            return Err(TooManyRoles);
        }
        for role in roles {
            self.roles.give(&account, role);
        }
        Ok(())
    }

    /// Ids of the roles that the account has by itself.
    pub fn roles_of(&self, account: &str) -> BTreeSet<String> {
        self.roles.held.get(account).cloned().unwrap_or_default()
    }

    /// Names of the roles that the account has by itself.
    pub fn role_names_of(&self, account: &str) -> BTreeSet<String> {
        let held = self.roles.held.get(account).into_iter().flatten();
        held.filter_map(|role| self.find_role(role)).map(|role| role.name.clone()).collect()
    }

    /// Whether the account has this role by itself.
    pub fn has_role(&self, account: &str, role: &str) -> bool {
        self.roles.held.get(account).is_some_and(|held| held.contains(role))
    }

    /// Who has this role, in order.
    pub fn holders_of_role(&self, role: &str) -> impl Iterator<Item = &AccountId> {
        self.roles.holders.get(role).into_iter().flatten()
    }

    /// Like [`World::holders_of_role`], from behind this account on.
    pub(crate) fn holders_after(&self, role: &str, after: Option<&str>) -> impl Iterator<Item = &AccountId> {
        let holders = self.roles.holders.get(role).into_iter();
        holders.flat_map(move |holders| super::behind(holders, after))
    }
}

impl Roles {
    fn give(&mut self, account: &AccountId, role: String) {
        self.holders.entry(role.clone()).or_default().insert(account.clone());
        self.held.entry(account.clone()).or_default().insert(role);
    }

    fn take(&mut self, account: &str, role: &str) {
        if let Some(holders) = self.holders.get_mut(role) {
            holders.remove(account);
        }
        self.drop_held(account, role);
    }

    fn drop_held(&mut self, account: &str, role: &str) {
        if let Some(held) = self.held.get_mut(account) {
            held.remove(role);
            if held.is_empty() {
                self.held.remove(account);
            }
        }
    }

    /// The account is gone.
    pub(super) fn forget(&mut self, account: &str) {
        for role in self.held.remove(account).unwrap_or_default() {
            if let Some(holders) = self.holders.get_mut(&role) {
                holders.remove(account);
            }
        }
    }
}
