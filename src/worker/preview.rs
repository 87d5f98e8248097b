//! What would be done for one person, and why: the look of the sync lane without anything that writes, and the decision of
//! the contain lane where that look would hand the person over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::picture::{self, Eyes, Known};
use crate::action::Action;
use crate::action::sync::SyncAction;
use crate::auth0;
use crate::clock::Timestamp;
use crate::entra;
use crate::event::{About, Event, EventKind, ObjectId, Subject};
use crate::plan::sync::explain::{Explanation, explain};
use crate::plan::sync::{Next, SyncPlan};
use crate::plan::{self, Plan};
use crate::policy::{Mode, Policy};
use crate::snapshot::sync::{Depth, Groups, SyncSnapshot};
use crate::store::Store;

/// Groups whose parents are asked for while looking for the way to a policy's group.
const STEPS_MAX: usize = 200;

/// One person, seen whole.
#[derive(Debug)]
pub struct Preview {
    pub snapshot: SyncSnapshot,
    pub plan: SyncPlan,
    /// Whoever has to be contained is locked, and not kept in step.
    pub containment: Option<Plan>,
    pub explanation: Explanation,
}

/// An action that would be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Would {
    pub action: &'static str,
    pub sentence: String,
}

impl Preview {
    pub fn would(&self) -> Vec<Would> {
        match &self.containment {
            Some(plan) => {
                let would = |action: &Action| Would { action: action.word(), sentence: action.sentence() };
                plan.actions.iter().map(would).collect()
            }
            None => {
                let would =
                    |action: &SyncAction| Would { action: action.word(), sentence: action.sentence() };
                self.plan.actions.iter().map(would).collect()
            }
        }
    }

    /// What would not be done, and why.
    pub fn held(&self) -> Vec<String> {
        let by_containment = self.containment.iter().flat_map(|plan| &plan.held);
        by_containment.chain(&self.plan.held).cloned().collect()
    }
}

/// A group on the way from a person to a group of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub group: ObjectId,
    pub name: Option<String>,
}

/// Reads everything about the person and plans. `store` is `None` where none was ever written: then accounts are found
/// by search alone.
///
/// # Errors
/// When either side cannot be read: half a picture explains nothing.
pub async fn preview(
    entra: &entra::Reader,
    auth0: &auth0::Reader,
    store: Option<&dyn Store>,
    policy: &Policy,
    subject: Subject,
    now: Timestamp,
) -> anyhow::Result<Preview> {
    let known = match store {
        Some(store) => Known::read(store, subject).await?,
        None => Known { case: None, links: Vec::new(), remembered: None },
    };
    let eyes = Eyes { entra, auth0 };
    let read = picture::read(eyes, subject, policy, &known, Depth::Full, now).await;
    let read = read.map_err(|trouble| anyhow::anyhow!(trouble.why))?;
    if let Some(missing) = read.missing {
        anyhow::bail!(missing.why);
    }
    let mut snapshot = read.snapshot;
    let mut decided = plan::sync::plan(&snapshot, policy, now);
    if decided.next == Next::AskForGroups {
        let asked = picture::ask_for_groups(eyes, policy, &mut snapshot).await;
        asked.map_err(|trouble| anyhow::anyhow!(trouble.why))?;
        decided = plan::sync::plan(&snapshot, policy, now);
    }
    let explanation = explain(&snapshot, policy);
    let containment = containment(&snapshot, store, policy, now).await?;
    Ok(Preview { snapshot, plan: decided, containment, explanation })
}

/// What containment would do of somebody whom it does not know yet, if a sweep had asked just now; what is shown of a
/// person is what would be done in enforce mode.
async fn containment(
    snapshot: &SyncSnapshot,
    store: Option<&dyn Store>,
    policy: &Policy,
    now: Timestamp,
) -> anyhow::Result<Option<Plan>> {
    if snapshot.case.is_some() {
        return Ok(None);
    }
    let asked = Event::of_ours(About::Person(snapshot.subject), EventKind::Escalated, now);
    let mut seen = picture::as_containment(snapshot, vec![asked]);
    if let Some(store) = store {
        let since = now.checked_sub(policy.contain.brake.window()).unwrap_or(Timestamp::MIN);
        seen.recent_containments = store.blocking_cases_since(since, snapshot.subject).await?;
    }
    let plan = plan::plan(&seen, &Policy { mode: Mode::Enforce, ..policy.clone() }, now);
    Ok(plan.case.is_some().then_some(plan))
}

/// For each group that gives something: the way from a group that the person is a direct member of, outermost last.
/// Empty for a group to which no way was found within the steps that are taken.
///
/// # Errors
/// When Graph cannot be read.
pub async fn paths(
    entra: &entra::Reader,
    preview: &Preview,
) -> Result<BTreeMap<ObjectId, Vec<Step>>, entra::Error> {
    let wanted: BTreeSet<ObjectId> =
        preview.explanation.given.iter().flat_map(|given| given.by.clone()).collect();
    let Groups::Known(within) = &preview.snapshot.groups else { return Ok(BTreeMap::new()) };
    // Nothing is given, or to nobody whom Entra knows: there is no way to look for.
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut ways = Ways { sought: wanted.clone(), found: BTreeMap::new(), open: VecDeque::new() };
    for group in entra.direct_groups(preview.snapshot.subject.object).await? {
        ways.reach(group, &[]);
    }
    for _ in 0..STEPS_MAX {
        let Some(group) = ways.open.pop_front().filter(|_| !ways.sought.is_empty()) else { break };
        let way = ways.found[&group].clone();
        for parent in entra.parents(group).await? {
            // Only groups that the person is in: nesting may run in circles.
            if within.contains(&parent.id) {
                ways.reach(parent, &way);
            }
        }
    }
    Ok(wanted.into_iter().map(|group| (group, ways.found.remove(&group).unwrap_or_default())).collect())
}

/// What a search has reached. A group is recognised as it is reached, not when its parents are asked for: somebody may be in
/// more groups than there are steps.
struct Ways {
    sought: BTreeSet<ObjectId>,
    found: BTreeMap<ObjectId, Vec<Step>>,
    /// Groups whose parents have not been asked for, in the order in which they were reached.
    open: VecDeque<ObjectId>,
}

impl Ways {
    /// Each once: the first way is the shortest.
    fn reach(&mut self, group: entra::NamedGroup, way: &[Step]) {
        if self.found.contains_key(&group.id) {
            return;
        }
        let step = Step { group: group.id, name: group.display_name };
        self.found.insert(group.id, way.iter().cloned().chain([step]).collect());
        self.sought.remove(&group.id);
        self.open.push_back(group.id);
    }
}
