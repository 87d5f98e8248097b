//! A changed policy is followed: exactly the people whom the change concerns are looked at again, also when the change
//! came while nobody ran.

use super::{AGAIN, Job, Wish, pause};
use crate::policy::affected::{Affected, PolicyPrint};
use crate::worker::look::group;

/// What the policy was when it was last followed.
const NOTE: &str = "policy.followed";

pub(super) async fn run(job: Job) {
    let mut policy = job.deps.policy.clone();
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        if let Err(why) = turn(&job).await {
            tracing::warn!("a changed policy could not be followed yet: {why}");
            failures += 1;
            pause(AGAIN.delay(failures, fastrand::f64()), &job.shutdown).await;
            continue;
        }
        failures = 0;
        tokio::select! {
            () = job.shutdown.cancelled() => return,
            changed = policy.changed() => if changed.is_err() { return },
        }
    }
}

async fn turn(job: &Job) -> anyhow::Result<()> {
    let store = &job.deps.store;
    let print = PolicyPrint::of(&job.deps.policy.borrow());
    let followed = store.note(NOTE).await?;
    let is_first = followed.is_none() && super::sweep::whole_at(store.as_ref()).await?.is_none();
    match print.changes_since(followed.as_deref().and_then(PolicyPrint::from_text).as_ref()) {
        Affected::Nobody => {}
        // Nobody was looked at by another policy, and everybody is about to be by this one. While the first sweep runs,
        // that is not so any more.
        Affected::Everybody if is_first => {}
        Affected::Everybody => {
            Wish::make(store.as_ref(), &[Wish::WholeSweep], job.deps.clock.now()).await?;
            tracing::info!("the policy has changed: everybody is looked at again");
        }
        Affected::Members(groups) => {
            tracing::info!(
                groups = groups.len(),
                "the policy has changed: members of its groups are looked at"
            );
            for id in groups {
                let asked = group::look_at_all_of(&job.looker, job.schedule.tenant, id).await;
                asked.map_err(|trouble| anyhow::anyhow!(trouble.why))?;
            }
        }
    }
    store.set_note(NOTE, Some(print.to_text())).await?;
    Ok(())
}
