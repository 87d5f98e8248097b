//! The tenant's roles and organizations by the names of the policy. One that was deleted and made anew has the same name
//! and another id, and one that was missing may have been made: nobody has it yet, and nobody tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{AGAIN, Job, Wish, pause};
use crate::event::ObjectId;
use crate::policy::Policy;
use crate::worker::look::{Looker, Trouble, group};
use crate::worker::picture;

const LOOK_EVERY: Duration = Duration::from_secs(300);
/// Names and ids as they were last seen.
const NOTE: &str = "catalogue.seen";

pub(super) async fn run(job: Job) {
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        let wait = match turn(&job).await {
            Ok(()) => {
                failures = 0;
                LOOK_EVERY
            }
            Err(why) => {
                failures += 1;
                tracing::warn!("roles and organizations could not be compared: {why}");
                AGAIN.delay(failures, fastrand::f64())
            }
        };
        pause(wait, &job.shutdown).await;
    }
}

async fn turn(job: &Job) -> anyhow::Result<()> {
    let policy = job.deps.policy.borrow().clone();
    if policy.roles.is_empty() && policy.organizations.is_empty() {
        return Ok(());
    }
    let mut now = read(&job.looker, &policy).await.map_err(|trouble| anyhow::anyhow!(trouble.why))?;
    let text = job.deps.store.note(NOTE).await?.unwrap_or_default();
    let before: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
    let absent = named(&policy).into_iter().map(|name| (name, String::new()));
    for (name, none) in absent {
        now.entry(name).or_insert(none);
    }
    let renewed: BTreeSet<&str> = now
        .iter()
        .filter(|(name, id)| !id.is_empty() && before.get(*name).is_some_and(|before| before != *id))
        .map(|(name, _)| name.as_str())
        .collect();
    if reaches_strangers(&policy, &renewed) {
        Wish::make(job.deps.store.as_ref(), &[Wish::WholeSweep], job.deps.clock.now()).await?;
    }
    for id in groups_of(&policy, &renewed) {
        let asked = group::look_at_all_of(&job.looker, job.schedule.tenant, id).await;
        asked.map_err(|trouble| anyhow::anyhow!(trouble.why))?;
    }
    if !renewed.is_empty() {
        tracing::warn!(
            count = renewed.len(),
            "roles or organizations of the policy were made in Auth0, or made anew under the same names"
        );
    }
    if now != before {
        job.deps.store.set_note(NOTE, Some(serde_json::to_string(&now)?)).await?;
    }
    Ok(())
}

async fn read(looker: &Looker, policy: &Policy) -> Result<BTreeMap<String, String>, Trouble> {
    let tenant = picture::tenant(looker.eyes(), policy).await.map_err(|error| Trouble::from_auth0(&error))?;
    let roles = tenant.roles.into_iter().map(|(name, id)| (format!("role {name}"), id.0));
    let organizations =
        tenant.organizations.into_iter().map(|(name, id)| (format!("organization {name}"), id.0));
    Ok(roles.chain(organizations).collect())
}

/// Everything that the policy names, as [`read`] writes it; what the tenant does not have is remembered as absent, so that
/// it is noticed when it is made.
fn named(policy: &Policy) -> Vec<String> {
    let names = picture::names(policy);
    let roles = names.roles.into_iter().map(|name| format!("role {name}"));
    roles.chain(names.organizations.into_iter().map(|name| format!("organization {name}"))).collect()
}

/// Whether a rule that names something new may hold for people who are in none of its groups.
fn reaches_strangers(policy: &Policy, renewed: &BTreeSet<&str>) -> bool {
    let is_new = |kind: &str, name: &str| renewed.contains(format!("{kind} {name}").as_str());
    let roles = policy.roles.iter().any(|role| is_new("role", &role.role) && role.rule().reach().is_none());
    let organizations = policy.organizations.iter().any(|organization| {
        let inside = organization.roles.iter().any(|role| is_new("role", &role.role));
        (inside || is_new("organization", &organization.organization))
            && organization.rule().reach().is_none()
    });
    roles || organizations
}

/// The groups of the rules that name something that was made anew.
fn groups_of(policy: &Policy, renewed: &BTreeSet<&str>) -> BTreeSet<ObjectId> {
    let is_new = |kind: &str, name: &str| renewed.contains(format!("{kind} {name}").as_str());
    let mut groups = BTreeSet::new();
    for role in policy.roles.iter().filter(|role| is_new("role", &role.role)) {
        groups.extend(role.rule().groups());
    }
    for organization in &policy.organizations {
        let inside = organization.roles.iter().any(|role| is_new("role", &role.role));
        if inside || is_new("organization", &organization.organization) {
            groups.extend(organization.rule().groups());
        }
    }
    groups
}
