//! Roles and organizations: what the rules give, compared with what the account has. Only what the policy names is
//! managed. Losing a privileged role also ends the tokens that carry it.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::action::sync::{Named, SyncAction};
use crate::event::ObjectId;
use crate::policy::Policy;
use crate::policy::sync::{RoleRule, Switch};
use crate::snapshot::sync::{Groups, Holding, OrganizationId, Proven, RoleId, SyncSnapshot, Tenant};

/// Roles of one call; Auth0's schema states no maximum, fifty is also the most that a user may have (Auth0, Entity Limit
/// Policy).
const ROLES_PER_CALL: usize = 50;
const ROLES_PER_USER: usize = 50;

/// What the rules give to one person, by id with the policy's name; and what is managed at all.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub roles: Roles,
    pub organizations: BTreeMap<OrganizationId, WantedOrganization>,
    /// Names of the policy that the tenant does not know.
    pub unknown: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct WantedOrganization {
    pub name: String,
    pub member: bool,
    pub roles: Roles,
}

#[derive(Debug, Default)]
pub(super) struct Roles {
    pub given: BTreeMap<RoleId, String>,
    pub managed: BTreeMap<RoleId, String>,
    pub privileged: BTreeSet<RoleId>,
}

impl Roles {
    fn add(&mut self, rule: &RoleRule, tenant: &Tenant, unknown: &mut BTreeSet<String>, holds: bool) {
        let Some(id) = tenant.roles.get(&rule.role) else {
            unknown.insert(format!("role {}", rule.role));
            return;
        };
        self.managed.insert(id.clone(), rule.role.clone());
        if holds {
            self.given.insert(id.clone(), rule.role.clone());
        }
        if rule.privileged == Switch::Yes {
            self.privileged.insert(id.clone());
        }
    }
}

impl Wanted {
    pub(super) fn of(policy: &Policy, tenant: &Tenant, groups: &BTreeSet<ObjectId>) -> Wanted {
        Wanted::by(policy, tenant, |rule| rule.holds(groups))
    }

    /// Nothing is given; everything that the policy names is managed.
    fn nothing(policy: &Policy, tenant: &Tenant) -> Wanted {
        Wanted::by(policy, tenant, |_| false)
    }

    fn by(
        policy: &Policy,
        tenant: &Tenant,
        holds: impl Fn(&crate::policy::groups::GroupRule) -> bool,
    ) -> Wanted {
        let mut wanted = Wanted::default();
        for rule in &policy.roles {
            wanted.roles.add(rule, tenant, &mut wanted.unknown, holds(&rule.rule()));
        }
        for rule in &policy.organizations {
            let Some(id) = tenant.organizations.get(&rule.organization) else {
                wanted.unknown.insert(format!("organization {}", rule.organization));
                continue;
            };
            let organization = wanted.organizations.entry(id.clone()).or_default();
            organization.name = rule.organization.clone();
            let member = holds(&rule.rule());
            organization.member |= member;
            for role in &rule.roles {
                organization.roles.add(role, tenant, &mut wanted.unknown, member && holds(&role.rule()));
            }
        }
        wanted
    }

    fn manages_anything(&self) -> bool {
        !self.roles.managed.is_empty() || !self.organizations.is_empty()
    }

    /// What there will be once nothing is left to do.
    fn proven(&self) -> Proven {
        let members = self.organizations.iter().filter(|(_, organization)| organization.member);
        Proven {
            roles: self.roles.given.keys().cloned().collect(),
            organizations: members
                .map(|(id, organization)| (id.clone(), organization.roles.given.keys().cloned().collect()))
                .collect(),
        }
    }
}

pub(super) fn plan(snapshot: &SyncSnapshot, policy: &Policy, account: &Holding, draft: &mut Draft) {
    let groups = match &snapshot.groups {
        Groups::Known(groups) => groups,
        Groups::Unread(why) => {
            if !policy.roles.is_empty() || !policy.organizations.is_empty() {
                draft.find(format!("roles and organizations are kept, groups were not read: {why}"));
            }
            return;
        }
    };
    let wanted = Wanted::of(policy, &snapshot.tenant, groups);
    for unknown in &wanted.unknown {
        draft.find(format!("the policy names the {unknown}, which Auth0 does not have"));
    }
    align(snapshot, account, &wanted, draft);
}

/// Takes back what the policy names from somebody whom it no longer means.
pub(super) fn take_back(snapshot: &SyncSnapshot, policy: &Policy, account: &Holding, draft: &mut Draft) {
    align(snapshot, account, &Wanted::nothing(policy, &snapshot.tenant), draft);
}

fn align(snapshot: &SyncSnapshot, account: &Holding, wanted: &Wanted, draft: &mut Draft) {
    let known = snapshot.remembered.as_ref().and_then(|remembered| remembered.proven.get(&account.id));
    if !wanted.manages_anything() {
        draft.remembered.proven.remove(&account.id);
        draft.remembered.unsettled.remove(&account.id);
        return;
    }
    let proven = wanted.proven();
    let (Some(roles), Some(organizations)) = (&account.roles, &account.organizations) else {
        if known != Some(&proven) || draft.remembered.unsettled.contains(&account.id) {
            draft.need_whole();
        }
        return;
    };
    let before = draft.actions.len();
    let lost = roles_of(account, roles, known.map(|known| &known.roles), &wanted.roles, draft);
    let mut lost: BTreeSet<String> = lost;
    for (id, organization) in &wanted.organizations {
        let there = organizations.get(id);
        let known = known.and_then(|known| known.organizations.get(id));
        lost.extend(organization_of(account, id, organization, there, known, draft));
    }
    if !lost.is_empty() {
        let (account, means) = (account.id.clone(), snapshot.means);
        draft.actions.push(SyncAction::EndAccess { account, means, lost });
    }
    if draft.actions.len() == before {
        draft.remembered.unsettled.remove(&account.id);
        draft.remembered.proven.insert(account.id.clone(), proven);
    } else {
        // Whoever looks meanwhile, from another process, must not take what was proven for what there is.
        draft.remembered.unsettled.insert(account.id.clone());
    }
}

/// Takes before it gives. Returns the names of privileged roles that were lost, here or since they were last proven.
fn roles_of(
    account: &Holding,
    has: &BTreeSet<RoleId>,
    known: Option<&BTreeSet<RoleId>>,
    wanted: &Roles,
    draft: &mut Draft,
) -> BTreeSet<String> {
    let taken = named(has.iter().filter(|id| !wanted.given.contains_key(*id)), &wanted.managed);
    let mut given = named(wanted.given.keys().filter(|id| !has.contains(*id)), &wanted.managed);
    let room = ROLES_PER_USER.saturating_sub(has.len() - taken.len());
    if given.len() > room {
        let count = has.len() - taken.len() + given.len();
        draft.find(format!("{}: {count} roles, Auth0 allows {ROLES_PER_USER}; the rest is held", account.id));
        given.truncate(room);
    }
    for roles in taken.chunks(ROLES_PER_CALL) {
        draft.actions.push(SyncAction::RemoveRoles { account: account.id.clone(), roles: roles.to_vec() });
    }
    for roles in given.chunks(ROLES_PER_CALL) {
        draft.actions.push(SyncAction::AssignRoles { account: account.id.clone(), roles: roles.to_vec() });
    }
    lost_privileges(has, known, wanted)
}

fn organization_of(
    account: &Holding,
    id: &OrganizationId,
    wanted: &WantedOrganization,
    there: Option<&BTreeSet<RoleId>>,
    known: Option<&BTreeSet<RoleId>>,
    draft: &mut Draft,
) -> BTreeSet<String> {
    let organization = Named { id: id.clone(), name: wanted.name.clone() };
    let none = BTreeSet::new();
    let has = there.unwrap_or(&none);
    match (there.is_some(), wanted.member) {
        (false, false) => {}
        (true, false) => {
            let account = account.id.clone();
            draft.actions.push(SyncAction::LeaveOrganization { account, organization });
        }
        (is_member, true) => {
            if !is_member {
                let (account, organization) = (account.id.clone(), organization.clone());
                draft.actions.push(SyncAction::JoinOrganization { account, organization });
            }
            let taken =
                named(has.iter().filter(|id| !wanted.roles.given.contains_key(*id)), &wanted.roles.managed);
            let given =
                named(wanted.roles.given.keys().filter(|id| !has.contains(*id)), &wanted.roles.managed);
            for roles in taken.chunks(ROLES_PER_CALL) {
                draft.actions.push(SyncAction::RemoveOrganizationRoles {
                    account: account.id.clone(),
                    organization: organization.clone(),
                    roles: roles.to_vec(),
                });
            }
            for roles in given.chunks(ROLES_PER_CALL) {
                draft.actions.push(SyncAction::AssignOrganizationRoles {
                    account: account.id.clone(),
                    organization: organization.clone(),
                    roles: roles.to_vec(),
                });
            }
        }
    }
    lost_privileges(has, known, &wanted.roles)
}

/// Also those that are gone already but were proven last: whoever took them, their tokens may still be out.
fn lost_privileges(
    has: &BTreeSet<RoleId>,
    known: Option<&BTreeSet<RoleId>>,
    wanted: &Roles,
) -> BTreeSet<String> {
    let had = has.iter().chain(known.into_iter().flatten());
    had.filter(|id| wanted.privileged.contains(*id) && !wanted.given.contains_key(*id))
        .filter_map(|id| wanted.managed.get(id).cloned())
        .collect()
}

/// Those among `ids` that are managed.
fn named<'a>(
    ids: impl Iterator<Item = &'a RoleId>,
    managed: &BTreeMap<RoleId, String>,
) -> Vec<Named<RoleId>> {
    ids.filter_map(|id| Some(Named { id: id.clone(), name: managed.get(id)?.clone() })).collect()
}
