//! Random histories: whatever happens, in whatever order it is told, after the last whole sweep what the policy names is
//! as it says, and what it does not name is as hands have left it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_twin::{AccountId, Fault, GroupId, Match, Mishap, PersonId, Setup, Times, Vendor, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::directory::{attribute, unprovisioned};
use crate::harness::{Backend, PATIENCE, Stage};

const PEOPLE: usize = 4;
const GROUPS: usize = 3;
const DEPARTMENTS: [&str; 3] = ["Research", "Sales", ""];

#[derive(Debug, Clone)]
enum Step {
    Move(usize, usize),
    Rename(usize, u8),
    Disable(usize),
    Enable(usize),
    SoftDelete(usize),
    Restore(usize),
    Purge(usize),
    Join(usize, usize),
    Leave(usize, usize),
    Nest(usize, usize),
    Unnest(usize, usize),
    GrantByHand(usize, usize),
    RevokeByHand(usize, usize),
    ForgeDepartment(usize),
    Theirs(usize, u8),
    Mishap(u8),
    Fault(u8),
    Pause,
}

fn step() -> impl Strategy<Value = Step> {
    let (who, group) = (0..PEOPLE, 0..GROUPS);
    prop_oneof![
        3 => (who.clone(), 0..DEPARTMENTS.len()).prop_map(|(p, d)| Step::Move(p, d)),
        1 => (who.clone(), any::<u8>()).prop_map(|(p, n)| Step::Rename(p, n)),
        1 => who.clone().prop_map(Step::Disable),
        2 => who.clone().prop_map(Step::Enable),
        1 => who.clone().prop_map(Step::SoftDelete),
        2 => who.clone().prop_map(Step::Restore),
        1 => who.clone().prop_map(Step::Purge),
        4 => (group.clone(), who.clone()).prop_map(|(g, p)| Step::Join(g, p)),
        3 => (group.clone(), who.clone()).prop_map(|(g, p)| Step::Leave(g, p)),
        1 => (group.clone(), group.clone()).prop_map(|(a, b)| Step::Nest(a, b)),
        1 => (group.clone(), group).prop_map(|(a, b)| Step::Unnest(a, b)),
        1 => (who.clone(), 0..3usize).prop_map(|(p, r)| Step::GrantByHand(p, r)),
        1 => (who.clone(), 0..3usize).prop_map(|(p, r)| Step::RevokeByHand(p, r)),
        1 => who.clone().prop_map(Step::ForgeDepartment),
        1 => (who, any::<u8>()).prop_map(|(p, n)| Step::Theirs(p, n)),
        3 => any::<u8>().prop_map(Step::Mishap),
        2 => any::<u8>().prop_map(Step::Fault),
        2 => Just(Step::Pause),
    ]
}

/// The world by the numbers of the steps, and what hands have left.
struct Scene {
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
    /// Two that the policy names, and one that it does not.
    roles: Vec<String>,
    organization: String,
    theirs: BTreeMap<AccountId, Value>,
    unmanaged: BTreeMap<AccountId, bool>,
}

impl Scene {
    fn set(world: &mut World) -> Scene {
        Scene {
            people: (0..PEOPLE).map(|n| world.hire(unprovisioned(&format!("Person N{n}")))).collect(),
            groups: (0..GROUPS).map(|n| world.create_group(&format!("Group {n}"))).collect(),
            roles: ["Engineer", "Reader", "Unmanaged"].map(|name| world.create_role(name)).into(),
            organization: world.create_organization("acme"),
            theirs: BTreeMap::new(),
            unmanaged: BTreeMap::new(),
        }
    }

    fn policy(&self) -> String {
        let [first, second, third] = [self.groups[0], self.groups[1], self.groups[2]];
        format!(
            "[sweep]\nevery_seconds = 1\n[provision]\nmethod = \"scim\"\n{}\
             [[roles]]\nrole = \"Engineer\"\nany_of = [\"{first}\"]\nnone_of = [\"{third}\"]\n\
             [[roles]]\nrole = \"Reader\"\nall_of = [\"{first}\", \"{second}\"]\n\
             [[organizations]]\norganization = \"acme\"\nany_of = [\"{second}\"]\n",
            attribute("app_metadata.department", "department"),
        )
    }

    fn take(&mut self, stage: &Stage, step: &Step) {
        let mut world = stage.twin.world();
        let alive = |world: &World, p: usize| {
            world.find_person(self.people[p]).is_some_and(|one| one.deleted.is_none())
        };
        let account = |world: &World, p: usize| world.accounts_of(self.people[p]).into_iter().next();
        match *step {
            Step::Move(p, d) if alive(&world, p) => match DEPARTMENTS[d] {
                "" => world.clear_property(self.people[p], "department"),
                name => world.set_property(self.people[p], "department", name.into()),
            },
            Step::Rename(p, n) if alive(&world, p) => world.rename(self.people[p], &format!("Name {n}")),
            Step::Disable(p) if alive(&world, p) => world.disable(self.people[p]),
            Step::Enable(p) if alive(&world, p) => world.enable(self.people[p]),
            Step::SoftDelete(p) if alive(&world, p) => world.soft_delete(self.people[p]),
            Step::Restore(p) if !alive(&world, p) && world.find_person(self.people[p]).is_some() => {
                world.restore(self.people[p]);
            }
            // The purge of somebody whose deletion was never told is told by nobody; only hands that delete twice purge.
            Step::Purge(p) if !alive(&world, p) => world.hard_delete(self.people[p]),
            Step::Join(g, p) if alive(&world, p) => world.add_member(self.groups[g], self.people[p]),
            Step::Leave(g, p) => world.remove_member(self.groups[g], self.people[p]),
            Step::Nest(a, b) if a != b => world.add_member(self.groups[a], self.groups[b]),
            Step::Unnest(a, b) => world.remove_member(self.groups[a], self.groups[b]),
            Step::GrantByHand(p, r) => {
                if let Some(id) = account(&world, p) {
                    world.grant_role(&id, &self.roles[r]);
                    if r == 2 {
                        self.unmanaged.insert(id, true);
                    }
                }
            }
            Step::RevokeByHand(p, r) => {
                if let Some(id) = account(&world, p) {
                    world.revoke_role(&id, &self.roles[r]);
                    if r == 2 {
                        self.unmanaged.insert(id, false);
                    }
                }
            }
            Step::ForgeDepartment(p) => {
                if let Some(id) = account(&world, p) {
                    world.set_app_metadata(&id, "department", json!("Forged"));
                }
            }
            Step::Theirs(p, n) => {
                if let Some(id) = account(&world, p) {
                    world.set_app_metadata(&id, "theirs", json!({ "n": n }));
                    self.theirs.insert(id, json!({ "n": n }));
                }
            }
            Step::Mishap(n) => {
                let mishaps = [Mishap::Lose, Mishap::Double, Mishap::Overtake, Mishap::WithoutMembers];
                stage.twin.faults().mishap("", mishaps[usize::from(n) % mishaps.len()], Times::N(2));
            }
            Step::Fault(n) => {
                let vendor = if n & 1 == 0 { Vendor::Auth0 } else { Vendor::Graph };
                let faults = [
                    Fault::Status(503),
                    Fault::LoseReply,
                    Fault::Refuse,
                    Fault::Throttle { retry_after: None },
                    Fault::ExpireToken,
                ];
                let fault = faults[usize::from(n >> 1) % faults.len()].clone();
                stage.twin.faults().inject(Match::vendor(vendor), fault, Times::N(2));
            }
            _ => {}
        }
    }

    /// What is not as it should be, computed from the world alone.
    fn wrongs(&self, world: &World) -> Vec<String> {
        let mut wrongs = Vec::new();
        for person in &self.people {
            let accounts = world.accounts_of(*person);
            let found = world.find_person(*person).filter(|one| one.deleted.is_none());
            let Some(found) = found.filter(|one| one.enabled) else {
                let open = accounts.iter().filter(|id| !world.account(id).blocked);
                wrongs.extend(open.map(|id| format!("{id} of a leaver is not blocked")));
                continue;
            };
            let [id] = accounts.as_slice() else {
                wrongs.push(format!("{person} has the accounts {accounts:?}"));
                continue;
            };
            wrongs.extend(self.wrongs_of(world, *person, found.text("department"), id));
        }
        for (id, value) in &self.theirs {
            let kept = world.account(id).app_metadata.get("theirs") == Some(value);
            wrongs.extend((!kept).then(|| format!("{id}: what is theirs was touched")));
        }
        for (id, has) in &self.unmanaged {
            let kept = world.has_role(id, &self.roles[2]) == *has;
            wrongs.extend((!kept).then(|| format!("{id}: the unmanaged role was touched")));
        }
        wrongs
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
        let facts = [
            ("is blocked", !state.blocked),
            ("department", state.app_metadata.get("department").and_then(Value::as_str) == department),
            ("Engineer", has(0) == (within(0) && !within(2))),
            ("Reader", has(1) == (within(0) && within(1))),
            ("acme", state.organizations.contains_key(&self.organization) == within(1)),
        ];
        let wrong = facts.into_iter().filter(|(_, holds)| !holds);
        wrong.map(|(what, _)| format!("{id}: {what} is not as the policy says")).collect()
    }
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut stage = Stage::set(Backend::Embedded, Setup::unlimited()).await.unwrap();
    let mut scene = Scene::set(&mut stage.twin.world());
    stage.policy(&scene.policy());
    stage.start_subscribed().await;
    for step in &steps {
        match step {
            Step::Pause => drop(stage.twin.deliveries().settled(Duration::from_millis(300)).await),
            step => scene.take(&stage, step),
        }
    }
    stage.twin.faults().clear();
    stage.twin.deliveries().settled(PATIENCE).await;
    stage.store().set_note("sweep.whole_at", Some("2020-01-01T00:00:00Z".into())).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let wrongs = scene.wrongs(&stage.twin.world());
        if wrongs.is_empty() {
            break;
        }
        if tokio::time::Instant::now() > deadline {
            return Err(TestCaseError::fail(format!("{wrongs:#?}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.end().await;
    Ok(())
}

#[test]
fn after_the_last_sweep_managed_state_is_policy_and_the_rest_is_untouched() {
    // Few and short: each is a whole service over HTTP.
    let config = Config { cases: 5, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(step(), 5..40);
    let lived = TestRunner::new(config).run(&histories, |steps| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps))
    });
    lived.unwrap_or_else(|failure| panic!("{failure}"));
}
