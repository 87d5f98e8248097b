//! Organizations of the Auth0 tenant: their connections, their members, and the roles that members have there.
//!
//! Who is a member is known at once; the list of an organization's members lags behind (Auth0, Retrieve Organization
//! Members: eventually consistent) and is what the list was when it is frozen.

use super::World;
use super::accounts::AccountId;
use super::roles::{ROLES_OF_ONE_MAX, TooManyRoles};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// An organization. Its id is `org_` and sixteen letters or digits (every recorded one).
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub display_name: String,
    pub metadata: Map<String, Value>,
    /// Connections that let people in here.
    pub connections: Vec<EnabledConnection>,
}

/// A connection that an organization uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledConnection {
    pub connection_id: String,
    /// Whoever signs in through it becomes a member.
    pub assign_membership_on_login: bool,
}

/// All organizations and their members.
#[derive(Default)]
pub(super) struct Organizations {
    by_id: BTreeMap<String, Organization>,
    by_name: HashMap<String, String>,
    rosters: HashMap<String, Roster>,
    /// Where an account is a member or has roles.
    of_account: HashMap<AccountId, BTreeSet<String>>,
    lag: Duration,
    frozen: bool,
}

/// The people of one organization.
#[derive(Default)]
struct Roster {
    members: BTreeSet<AccountId>,
    /// Roles can be given before somebody is a member (recorded order of calls: TestOrganizationManager_Members).
    roles: BTreeMap<AccountId, BTreeSet<String>>,
    listed: BTreeSet<AccountId>,
    /// What the list does not show yet.
    unlisted: VecDeque<(Instant, AccountId)>,
}

impl World {
    /// Somebody creates an organization in the dashboard; returns its id. Panics if the name is taken.
    pub fn create_organization(&mut self, name: &str) -> String {
        let id = format!("org_{}", super::word(16));
        let taken = self.organizations.by_name.insert(name.to_owned(), id.clone());
        assert!(taken.is_none(), "there is an organization {name} already");
        let organization = Organization {
            id: id.clone(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            metadata: Map::new(),
            connections: Vec::new(),
        };
        self.organizations.by_id.insert(id.clone(), organization);
        id
    }

    /// Somebody deletes an organization with all memberships. Says whether there was one.
    pub fn delete_organization(&mut self, id: &str) -> bool {
        let Some(gone) = self.organizations.by_id.remove(id) else {
            return false;
        };
        self.organizations.by_name.remove(&gone.name);
        let roster = self.organizations.rosters.remove(id).unwrap_or_default();
        for account in roster.members.iter().chain(roster.roles.keys()) {
            self.organizations.unlink(account, id);
        }
        true
    }

    /// The organization. Panics if there is none.
    pub fn organization(&self, id: &str) -> &Organization {
        self.find_organization(id).unwrap_or_else(|| panic!("there is no organization {id}"))
    }

    /// The organization with this id, if there is one.
    pub fn find_organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.by_id.get(id)
    }

    /// The organization with this name, if there is one.
    pub fn organization_named(&self, name: &str) -> Option<&Organization> {
        self.organizations.by_name.get(name).and_then(|id| self.find_organization(id))
    }

    /// All organizations, in the order of their ids.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.by_id.values()
    }

    /// Lets people in through a connection. Panics if either does not exist.
    pub fn enable_connection(&mut self, organization: &str, connection_id: &str, assign_membership: bool) {
        assert!(self.find_connection(connection_id).is_some(), "there is no connection {connection_id}");
        let named = self.organizations.by_id.get_mut(organization);
        let connections = &mut named.unwrap_or_else(|| panic!("no organization {organization}")).connections;
        connections.retain(|enabled| enabled.connection_id != connection_id);
        connections.push(EnabledConnection {
            connection_id: connection_id.to_owned(),
            assign_membership_on_login: assign_membership,
        });
    }

    /// Makes the account a member, which it may be already. Panics if either does not exist.
    pub fn join_organization(&mut self, organization: &str, account: &str) {
        let (organization, account) = self.pair(organization, account);
        self.organizations.link(&account, &organization);
        let listing = self.organizations.listing();
        let roster = self.organizations.roster(&organization);
        if roster.members.insert(account.clone()) {
            roster.changed(account, listing);
        }
    }

    /// Ends a membership and the roles that came with it.
    pub fn leave_organization(&mut self, organization: &str, account: &str) {
        self.organizations.remove_member(organization, account);
    }

    /// Gives a member a role by hand. Panics if anything named does not exist.
    pub fn grant_member_role(&mut self, organization: &str, account: &str, role: &str) {
        let role = self.role(role).id.clone();
        let given = self.grant_member_roles(organization, account, vec![role]);
        given.expect("a hand knows the limits");
    }

    /// Gives roles that all exist, or none of them if the member would have too many.
    pub(crate) fn grant_member_roles(
        &mut self,
        organization: &str,
        account: &str,
        roles: Vec<String>,
    ) -> Result<(), TooManyRoles> {
        let (organization, account) = self.pair(organization, account);
        let mut all = self.member_roles(&organization, &account);
        all.extend(roles);
        if all.len() > ROLES_OF_ONE_MAX {
            return Err(TooManyRoles);
        }
        self.organizations.link(&account, &organization);
        self.organizations.roster(&organization).roles.insert(account, all);
        Ok(())
    }

    /// Takes a role from a member by hand.
    pub fn revoke_member_role(&mut self, organization: &str, account: &str, role: &str) {
        self.organizations.take_role(organization, account, role);
    }

    /// Ids of the roles that the account has in this organization.
    pub fn member_roles(&self, organization: &str, account: &str) -> BTreeSet<String> {
        let roster = self.organizations.rosters.get(organization);
        roster.and_then(|roster| roster.roles.get(account)).cloned().unwrap_or_default()
    }

    /// Whether the account is a member.
    pub fn is_member(&self, organization: &str, account: &str) -> bool {
        self.organizations.rosters.get(organization).is_some_and(|roster| roster.members.contains(account))
    }

    /// Ids of the organizations that the account is a member of.
    pub fn organizations_of(&self, account: &str) -> BTreeSet<String> {
        let linked = self.organizations.of_account.get(account).into_iter().flatten();
        linked.filter(|organization| self.is_member(organization, account)).cloned().collect()
    }

    /// The members as they are, in order.
    pub fn organization_members(&self, organization: &str) -> impl Iterator<Item = &AccountId> {
        self.organizations.rosters.get(organization).into_iter().flat_map(|roster| &roster.members)
    }

    /// The members as the list shows them, from behind `after` on.
    pub(crate) fn listed_members(&mut self, organization: &str, after: Option<&str>) -> Vec<AccountId> {
        let listing = self.organizations.listing();
        let roster = self.organizations.roster(organization);
        roster.catch_up(listing);
        super::behind(&roster.listed, after).cloned().collect()
    }

    /// From now on, how far lists of members lag behind memberships.
    pub fn set_member_list_lag(&mut self, lag: Duration) {
        self.organizations.lag = lag;
    }

    /// Lists of members stay as they are now until [`World::thaw_member_lists`].
    pub fn freeze_member_lists(&mut self) {
        let listing = self.organizations.listing();
        self.organizations.rosters.values_mut().for_each(|roster| roster.catch_up(listing));
        self.organizations.frozen = true;
    }

    /// Lists of members catch up again.
    pub fn thaw_member_lists(&mut self) {
        self.organizations.frozen = false;
    }

    fn pair(&self, organization: &str, account: &str) -> (String, AccountId) {
        (self.organization(organization).id.clone(), self.account(account).id.clone())
    }
}

/// How lists follow: by how much, or not at all.
#[derive(Clone, Copy)]
enum Listing {
    Behind(Duration),
    Frozen,
}

impl Organizations {
    fn listing(&self) -> Listing {
        if self.frozen { Listing::Frozen } else { Listing::Behind(self.lag) }
    }

    fn roster(&mut self, organization: &str) -> &mut Roster {
        self.rosters.entry(organization.to_owned()).or_default()
    }

    fn link(&mut self, account: &AccountId, organization: &str) {
        self.of_account.entry(account.clone()).or_default().insert(organization.to_owned());
    }

    fn unlink(&mut self, account: &str, organization: &str) {
        if let Some(linked) = self.of_account.get_mut(account) {
            linked.remove(organization);
            if linked.is_empty() {
                self.of_account.remove(account);
            }
        }
    }

    fn remove_member(&mut self, organization: &str, account: &str) {
        let listing = self.listing();
        if let Some(roster) = self.rosters.get_mut(organization) {
            roster.roles.remove(account);
            if let Some(member) = roster.members.take(account) {
                roster.changed(member, listing);
            }
        }
        self.unlink(account, organization);
    }

    pub(super) fn take_role(&mut self, organization: &str, account: &str, role: &str) {
        let Some(roster) = self.rosters.get_mut(organization) else {
            return;
        };
        if let Some(roles) = roster.roles.get_mut(account) {
            roles.remove(role);
            if roles.is_empty() {
                roster.roles.remove(account);
            }
        }
        if !roster.members.contains(account) && !roster.roles.contains_key(account) {
            self.unlink(account, organization);
        }
    }

    /// The role is gone.
    pub(super) fn forget_role(&mut self, role: &str) {
        for roster in self.rosters.values_mut() {
            roster.roles.retain(|_, roles| {
                roles.remove(role);
                !roles.is_empty()
            });
        }
    }

    /// The account is gone.
    pub(super) fn forget(&mut self, account: &str) {
        for organization in self.of_account.get(account).cloned().unwrap_or_default() {
            self.remove_member(&organization, account);
        }
    }
}

impl Roster {
    fn changed(&mut self, account: AccountId, listing: Listing) {
        self.unlisted.push_back((Instant::now(), account));
        self.catch_up(listing);
    }

    fn catch_up(&mut self, listing: Listing) {
        let Listing::Behind(lag) = listing else {
            return;
        };
        let now = Instant::now();
        while let Some((_, account)) = self.unlisted.pop_front_if(|(since, _)| *since + lag <= now) {
            match self.members.contains(&account) {
                true => self.listed.insert(account),
                false => self.listed.remove(&account),
            };
        }
    }
}
