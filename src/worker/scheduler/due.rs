//! People whose time has come: a grace is over, a look was put off.

use std::collections::HashMap;
use std::time::Duration;

use super::{Job, about, pause};
use crate::clock::{self, Timestamp};
use crate::event::{Event, EventKind, Subject, SweepDepth};

/// How late a look may be.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// People asked for at a time.
const BATCH: u32 = 500;
/// A look that was asked for and has not happened is asked for again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(600);

pub(super) async fn run(job: Job) {
    let mut asked: HashMap<Subject, Timestamp> = HashMap::new();
    while !job.shutdown.is_cancelled() {
        if let Err(why) = turn(&job, &mut asked).await {
            tracing::warn!("people who are due could not be asked for: {why}");
        }
        pause(LOOK_EVERY, &job.shutdown).await;
    }
}

async fn turn(job: &Job, asked: &mut HashMap<Subject, Timestamp>) -> anyhow::Result<()> {
    let now = job.deps.clock.now();
    asked.retain(|_, at| clock::elapsed(*at, now) < ASK_AGAIN);
    let due = job.deps.store.people_due(now, BATCH).await?;
    let due: Vec<Subject> = due.into_iter().filter(|subject| !asked.contains_key(subject)).collect();
    let events: Vec<Event> = due
        .iter()
        .map(|subject| about(*subject, EventKind::Swept { depth: SweepDepth::Changed }, now))
        .collect();
    if !events.is_empty() {
        job.deps.queue.enqueue(&events).await?;
    }
    // Not before it is durable: what could not be asked for is asked for at the next turn.
    asked.extend(due.into_iter().map(|subject| (subject, now)));
    Ok(())
}
