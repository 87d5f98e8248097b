//! The world by the numbers of the steps, what hands have left in it, and what is not as it should be.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_twin::{
    AccountId, DeltaExpiry, Fault, Group, GroupId, Match, Mishap, ObjectId, PageFault, Person, PersonId,
    Times, Vendor, World, Write,
};
use serde_json::{Value, json};

use super::super::directory::{attribute, unprovisioned};
use super::step::{Joiners, Leavers, Step};
use crate::harness::Stage;

const PEOPLE: usize = 4;
const GROUPS: usize = 3;
const DEPARTMENTS: [&str; 3] = ["Research", "Sales", ""];
/// Two that the policy names, and one that it does not.
const ROLES: [&str; 3] = ["Engineer", "Reader", UNMANAGED];
const UNMANAGED: &str = "Unmanaged";
/// Held inside the organization; losing it ends the tokens that carry it.
const ADMIN: &str = "Admin";
const MFA: &str = "require_mfa";

pub struct Scene {
    joiners: Joiners,
    leavers: Leavers,
    pub people: Vec<PersonId>,
    /// The first three are named by the policy.
    groups: Vec<GroupId>,
    roles: Vec<String>,
    organization: String,
    admin: String,
    /// Who was ever deleted in Entra.
    left: BTreeSet<PersonId>,
    theirs: BTreeMap<AccountId, Left<Value>>,
    unmanaged: BTreeMap<AccountId, Left<bool>>,
    /// Sweeps may have lost what they had to tell.
    sweeps_lost: bool,
}

/// What hands have left at an account, and how often it had been deleted by then: it goes with the account.
struct Left<T> {
    what: T,
    deletions: u64,
}

impl Scene {
    pub fn set(world: &mut World, joiners: Joiners, leavers: Leavers) -> Scene {
        let mut scene = Scene {
            joiners,
            leavers,
            people: Vec::new(),
            groups: (0..GROUPS).map(|n| world.create_group(&format!("Group {n}"))).collect(),
            roles: ROLES.map(|name| world.create_role(name)).into(),
            organization: world.create_organization("acme"),
            admin: world.create_role(ADMIN),
            left: BTreeSet::new(),
            theirs: BTreeMap::new(),
            unmanaged: BTreeMap::new(),
            sweeps_lost: false,
        };
        (0..PEOPLE).for_each(|_| scene.hire(world));
        scene
    }

    pub fn policy(&self) -> String {
        let [first, second, third] = [self.groups[0], self.groups[1], self.groups[2]];
        let joiners = match self.joiners {
            Joiners::Scim => "method = \"scim\"",
            Joiners::Database => "method = \"database\"\nconnection = \"Username-Password-Authentication\"",
        };
        let leavers = match self.leavers {
            Leavers::Kept => "delete = \"never\"",
            Leavers::DeletedAtOnce => "delete = \"after-grace\"\ngrace_days = 0",
            Leavers::DeletedWhenPurged => "delete = \"after-grace-or-purge\"\ngrace_days = 30",
        };
        format!(
            "[sweep]\nevery_seconds = 1\n[provision]\n{joiners}\n[leavers]\n{leavers}\n{}\
             [[roles]]\nrole = \"Engineer\"\nany_of = [\"{first}\"]\nnone_of = [\"{third}\"]\n\
             [[roles]]\nrole = \"Reader\"\nall_of = [\"{first}\", \"{second}\"]\n\
             [[organizations]]\norganization = \"acme\"\nany_of = [\"{second}\"]\n\
             [[organizations.roles]]\nrole = \"{ADMIN}\"\nany_of = [\"{first}\"]\nprivileged = true\n\
             [mfa]\nmetadata_key = \"{MFA}\"\nany_of = [\"{third}\"]\n",
            attribute("app_metadata.department", "department"),
        )
    }

    pub fn take(&mut self, stage: &Stage, step: &Step) {
        let mut world = stage.twin.world();
        match *step {
            Step::Mishap(n) => mishap(stage, n),
            Step::Fault(n) => fault(stage, n),
            Step::DeltaFault(n) => {
                delta_fault(stage, n);
                self.sweeps_lost = true;
            }
            Step::StaleSearch(true) => world.freeze_search(),
            Step::StaleSearch(false) => world.thaw_search(),
            Step::GrantByHand(..) | Step::RevokeByHand(..) | Step::ForgeDepartment(_) | Step::Theirs(..) => {
                self.by_hand(&mut world, step);
            }
            _ => self.in_entra(&mut world, step).unwrap_or_default(),
        }
    }

    /// `None` when there is nobody and nothing to which it could happen.
    fn in_entra(&mut self, world: &mut World, step: &Step) -> Option<()> {
        match *step {
            Step::Hire => self.hire(world),
            Step::Move(p, d) => match DEPARTMENTS[d % DEPARTMENTS.len()] {
                "" => world.clear_property(self.here(world, p)?, "department"),
                name => world.set_property(self.here(world, p)?, "department", name.into()),
            },
            Step::Rename(p, n) => world.rename(self.here(world, p)?, &format!("Name {n}")),
            Step::Disable(p) => world.disable(self.here(world, p)?),
            Step::Enable(p) => {
                world.enable(self.one(world, p, |person| person.deleted.is_none() && !person.enabled)?);
            }
            Step::SoftDelete(p) => {
                let person = self.here(world, p)?;
                world.soft_delete(person);
                self.left.insert(person);
            }
            Step::Restore(p) => world.restore(self.deleted(world, p)?),
            // The purge of somebody whose deletion was never told is told by nobody; only hands that delete twice purge.
            Step::Purge(p) => world.hard_delete(self.deleted(world, p)?),
            Step::Join(g, p) => world.add_member(self.standing(world, g)?, self.here(world, p)?),
            Step::Leave(g, p) => {
                let group = self.standing(world, g)?;
                let members: Vec<ObjectId> = world.members(group).collect();
                world.remove_member(group, *members.get(p % members.len().max(1))?);
            }
            Step::CreateGroup(inside) => {
                let group = world.create_group(&format!("Group {}", self.groups.len()));
                if let Some(outer) = inside.and_then(|outer| self.standing(world, outer)) {
                    world.add_member(outer, group);
                }
                self.groups.push(group);
            }
            Step::Nest(a, b) => {
                let (outer, inner) = (self.standing(world, a)?, self.standing(world, b)?);
                (outer != inner).then(|| world.add_member(outer, inner))?;
            }
            Step::DeleteGroup(g) => world.soft_delete_group(self.standing(world, g)?),
            Step::RestoreGroup(g) => world.restore_group(self.group(world, g, |one| one.deleted.is_some())?),
            _ => {}
        }
        Some(())
    }

    /// Somebody works in Auth0's dashboard.
    fn by_hand(&mut self, world: &mut World, step: &Step) {
        let (Step::GrantByHand(p, _)
        | Step::RevokeByHand(p, _)
        | Step::ForgeDepartment(p)
        | Step::Theirs(p, _)) = *step
        else {
            return;
        };
        let accounts: Vec<AccountId> = self.people.iter().flat_map(|one| world.accounts_of(*one)).collect();
        let Some(id) = nth_of(&accounts, p) else { return };
        let deletions = deletions(world, &id);
        match *step {
            Step::GrantByHand(_, r) | Step::RevokeByHand(_, r) => {
                let (name, role) = (ROLES[r % ROLES.len()], &self.roles[r % ROLES.len()]);
                let grant = matches!(step, Step::GrantByHand(..));
                if grant {
                    world.grant_role(&id, role)
                } else {
                    world.revoke_role(&id, role)
                }
                if name == UNMANAGED {
                    self.unmanaged.insert(id, Left { what: grant, deletions });
                }
            }
            Step::Theirs(_, n) => {
                world.set_app_metadata(&id, "theirs", json!({ "n": n }));
                self.theirs.insert(id, Left { what: json!({ "n": n }), deletions });
            }
            _ => world.set_app_metadata(&id, "department", json!("Forged")),
        }
    }

    fn hire(&mut self, world: &mut World) {
        self.people.push(world.hire(unprovisioned(&format!("Person N{}", self.people.len()))));
    }

    /// One of those whom Entra shows.
    fn here(&self, world: &World, number: usize) -> Option<PersonId> {
        self.one(world, number, |person| person.deleted.is_none())
    }

    fn deleted(&self, world: &World, number: usize) -> Option<PersonId> {
        self.one(world, number, |person| person.deleted.is_some())
    }

    fn one(&self, world: &World, number: usize, fits: impl Fn(&Person) -> bool) -> Option<PersonId> {
        let those = self.people.iter().filter(|id| world.find_person(**id).is_some_and(&fits));
        nth_of(&those.copied().collect::<Vec<_>>(), number)
    }

    /// One of the groups that are not deleted.
    fn standing(&self, world: &World, number: usize) -> Option<GroupId> {
        self.group(world, number, |group| group.deleted.is_none())
    }

    fn group(&self, world: &World, number: usize, fits: impl Fn(&Group) -> bool) -> Option<GroupId> {
        let those = self.groups.iter().filter(|id| world.find_group(**id).is_some_and(&fits));
        nth_of(&those.copied().collect::<Vec<_>>(), number)
    }

    /// Who is gone from Entra and whose accounts are to follow when it has been so for ten minutes.
    pub fn purged(&self, world: &World) -> Vec<PersonId> {
        let deletes = self.leavers == Leavers::DeletedWhenPurged;
        let gone = |person: &PersonId| world.find_person(*person).is_none();
        let has_account = |person: &PersonId| !world.accounts_of(*person).is_empty();
        self.people.iter().filter(|_| deletes).filter(|one| gone(one) && has_account(one)).copied().collect()
    }

    /// Whether every word of this person's end may be lost: whom Entra has purged is told of by a sweep's next answer, or
    /// never again.
    fn may_be_untold(&self, world: &World, person: PersonId) -> bool {
        self.sweeps_lost && world.find_person(person).is_none()
    }

    /// What is not as it should be, computed from the world; `shown` are the people who are known to be missing.
    pub fn wrongs(&self, world: &World, shown: &BTreeSet<PersonId>) -> Vec<String> {
        let mut wrongs = Vec::new();
        for person in &self.people {
            let accounts = world.accounts_of(*person);
            match (present(world, *person), accounts.as_slice()) {
                (Some(found), [id]) if found.enabled => {
                    wrongs.extend(self.wrongs_of(world, *person, found.text("department"), id));
                }
                (Some(found), _) if found.enabled => {
                    wrongs.push(format!("{person} has the accounts {accounts:?}"));
                }
                (None, _) if shown.contains(person) && self.may_be_untold(world, *person) => {}
                (None, _) if self.is_deleted(world, *person) => {
                    wrongs.extend(accounts.iter().map(|id| format!("{id} of a leaver is not deleted")));
                }
                _ => {
                    let open = accounts.iter().filter(|id| !world.account(id).blocked);
                    wrongs.extend(open.map(|id| format!("{id} of a leaver is not blocked")));
                }
            }
        }
        wrongs.extend(self.touched(world));
        wrongs
    }

    /// Whether the policy deletes the accounts of this leaver.
    fn is_deleted(&self, world: &World, person: PersonId) -> bool {
        match self.leavers {
            Leavers::Kept => false,
            Leavers::DeletedAtOnce => true,
            Leavers::DeletedWhenPurged => world.find_person(person).is_none(),
        }
    }

    fn wrongs_of(
        &self,
        world: &World,
        person: PersonId,
        department: Option<&str>,
        id: &AccountId,
    ) -> Vec<String> {
        let state = world.account_state(id);
        let groups: BTreeSet<GroupId> = world.transitive_groups_of(person);
        let within = |n: usize| groups.contains(&self.groups[n]);
        let has = |n: usize| state.roles.contains(&self.roles[n]);
        let inside = state.organizations.get(&self.organization);
        let is_flagged = state.app_metadata.get(MFA) == Some(&json!(true));
        let facts = [
            ("is blocked", !state.blocked),
            ("department", state.app_metadata.get("department").and_then(Value::as_str) == department),
            ("Engineer", has(0) == (within(0) && !within(2))),
            ("Reader", has(1) == (within(0) && within(1))),
            ("acme", inside.is_some() == within(1)),
            ("Admin", inside.is_some_and(|roles| roles.contains(&self.admin)) == (within(0) && within(1))),
            ("the second factor", is_flagged == within(2)),
        ];
        let wrong = facts.into_iter().filter(|(_, holds)| !holds);
        wrong.map(|(what, _)| format!("{id}: {what} is not as the policy says")).collect()
    }

    /// What the policy does not name, and is not as hands have left it.
    fn touched(&self, world: &World) -> Vec<String> {
        let mut touched = Vec::new();
        for person in self.people.iter().filter(|one| !self.left.contains(one)) {
            let deleted = deletions(world, &format!("waad|{person}")) > 0;
            touched.extend(deleted.then(|| format!("the account of {person} was deleted, who never left")));
        }
        for (id, left) in self.theirs.iter().filter(|(id, left)| left.deletions == deletions(world, id)) {
            let kept = world.account(id).app_metadata.get("theirs") == Some(&left.what);
            touched.extend((!kept).then(|| format!("{id}: what is theirs was touched")));
        }
        for (id, left) in self.unmanaged.iter().filter(|(id, left)| left.deletions == deletions(world, id)) {
            let kept = world.has_role(id, &self.roles[2]) == left.what;
            touched.extend((!kept).then(|| format!("{id}: the unmanaged role was touched")));
        }
        touched
    }
}

/// The person, if Entra shows them among its users.
pub fn present(world: &World, person: PersonId) -> Option<&Person> {
    world.find_person(person).filter(|one| one.deleted.is_none())
}

fn deletions(world: &World, account: &str) -> u64 {
    world.writes_to(account).get(&Write::Deleted).copied().unwrap_or_default()
}

fn nth_of<T: Clone>(those: &[T], number: usize) -> Option<T> {
    those.get(number % those.len().max(1)).cloned()
}

fn mishap(stage: &Stage, n: u8) {
    let mishaps = [Mishap::Lose, Mishap::Double, Mishap::Overtake, Mishap::WithoutMembers];
    stage.twin.faults().mishap("", nth_of(&mishaps, usize::from(n)).unwrap(), Times::N(2));
}

fn fault(stage: &Stage, n: u8) {
    let vendor = if n & 1 == 0 { Vendor::Auth0 } else { Vendor::Graph };
    let faults = [
        Fault::Status(503),
        Fault::LoseReply,
        Fault::Refuse,
        Fault::Throttle { retry_after: None },
        Fault::ExpireToken,
    ];
    stage.twin.faults().inject(
        Match::vendor(vendor),
        nth_of(&faults, usize::from(n >> 1)).unwrap(),
        Times::N(2),
    );
}

fn delta_fault(stage: &Stage, n: u8) {
    let route = if n & 1 == 0 { "/users/delta" } else { "/groups/delta" };
    let faults = [
        Fault::ExpireDelta(DeltaExpiry::Gone),
        Fault::ExpireDelta(DeltaExpiry::SyncStateNotFound),
        Fault::Page(PageFault::Missing),
        Fault::Page(PageFault::CutShort),
        Fault::Page(PageFault::Repeated),
        Fault::Page(PageFault::Replayed(5)),
    ];
    let wanted = Match::vendor(Vendor::Graph).route(route);
    stage.twin.faults().inject(wanted, nth_of(&faults, usize::from(n >> 1)).unwrap(), Times::N(1));
}
