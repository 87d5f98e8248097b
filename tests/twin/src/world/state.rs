//! What an account is, as one value that can be compared: for tests that nothing was touched that nobody manages.

use super::World;
use super::accounts::Account;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Everything about an account that lasts, without times, logins and what lets it in.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    pub email: Option<String>,
    pub email_verified: bool,
    pub blocked: bool,
    /// Root attributes other than the above.
    pub root: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    pub user_metadata: Option<Map<String, Value>>,
    /// Provider, connection and id of each identity, the primary one first.
    pub identities: Vec<(String, String, String)>,
    /// Ids of its roles.
    pub roles: BTreeSet<String>,
    /// Ids of the organizations that it is a member of, with its roles there.
    pub organizations: BTreeMap<String, BTreeSet<String>>,
}

impl World {
    /// The account as it is now. Panics if there is none.
    pub fn account_state(&self, id: &str) -> AccountState {
        self.state_of(self.account(id))
    }

    /// Every account as it is now, by id.
    pub fn account_states(&self) -> BTreeMap<super::AccountId, AccountState> {
        self.accounts().map(|account| (account.id.clone(), self.state_of(account))).collect()
    }

    fn state_of(&self, account: &Account) -> AccountState {
        let identities = account.identities.iter().map(|identity| {
            (identity.provider.clone(), identity.connection.clone(), identity.user_id.clone())
        });
        let organizations = self.organizations_of(&account.id).into_iter().map(|organization| {
            let roles = self.member_roles(&organization, &account.id);
            (organization, roles)
        });
        AccountState {
            email: account.email.clone(),
            email_verified: account.email_verified,
            blocked: account.blocked,
            root: account.root.clone(),
            app_metadata: account.app_metadata.clone(),
            user_metadata: account.user_metadata.clone(),
            identities: identities.collect(),
            roles: self.roles_of(&account.id),
            organizations: organizations.collect(),
        }
    }
}
