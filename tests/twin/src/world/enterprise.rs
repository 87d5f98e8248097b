//! Sign-ins through the enterprise connection: the first one makes the account, unless SCIM or an earlier one has.

use super::World;
use super::access::SignIn;
use super::accounts::{AccountId, AccountSeed};
use super::people::PersonId;

impl World {
    /// The person signs in through Entra. The account is the one that has the identity, as its own or linked; without one
    /// it is made now. Root attributes follow Entra at each login unless the connection's `set_user_root_attributes` says
    /// otherwise (Auth0, Configure Connection Sync with Auth0), and the organizations that assign membership on login
    /// gain a member. `None` if the sign-in is refused.
    pub fn sign_in_through_entra(&mut self, person: PersonId) -> Option<SignIn> {
        let known = self.account_with_identity("waad", &person.to_string()).cloned();
        if !self.can_enter(person) {
            return known.and_then(|id| self.sign_in(&id));
        }
        let id = match known {
            Some(id) => {
                self.follow_entra(&id, person);
                id
            }
            None => self.add_enterprise_account(person),
        };
        let left = self.sign_in(&id)?;
        self.assign_memberships(&id);
        Some(left)
    }

    fn can_enter(&self, id: PersonId) -> bool {
        self.find_person(id).is_some_and(|person| person.enabled && person.deleted.is_none())
    }

    fn follow_entra(&mut self, id: &AccountId, person: PersonId) {
        let connection = self.enterprise_connection();
        if !connection.syncs_each_login() || id.provider() != "waad" {
            return;
        }
        let (name, tenant_id) = (connection.name.clone(), self.tenant_id.clone());
        let person = self.person(person);
        let seed = AccountSeed::of(person, id, &name);
        let (upn, oid) = (person.upn.clone(), person.id.to_string());
        self.change_account(id, |account| {
            account.email = seed.email;
            account.root.extend(seed.root);
            for (key, value) in [("upn", upn), ("oid", oid), ("tid", tenant_id)] {
                account.root.insert(key.to_owned(), value.into());
            }
        });
    }

    fn assign_memberships(&mut self, id: &AccountId) {
        let connection = self.enterprise_connection().id.clone();
        let assigning = self.organizations().filter(|organization| {
            let enabled = &organization.connections;
            enabled.iter().any(|it| it.connection_id == connection && it.assign_membership_on_login)
        });
        for organization in assigning.map(|organization| organization.id.clone()).collect::<Vec<_>>() {
            self.join_organization(&organization, id);
        }
    }
}
