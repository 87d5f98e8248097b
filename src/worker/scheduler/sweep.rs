//! The delta sweep: what notifications have missed. Graph's delta queries tell what has changed since the last time; what
//! they tell becomes events, and nothing is concluded from what they do not tell.
//!
//! Three things go on side by side, so that none waits for another:
//! * [`changes`] follows the links of users and of groups. A changed person waits in the sync lane like one who was notified.
//!   Whoever was purged and is known goes to the contain lane, where few of them may wait at a time.
//! * [`whole`] lists everybody, on a schedule, when it is wished for, and when a link was lost. These wait in the bulk lane.
//! * [`switches`] asks every few seconds who was disabled or deleted, and sends those straight to the contain lane.
//!
//! Links are stored and replayed as they are ([`link`]). One that is no longer accepted (410, `syncStateNotFound`, seven days
//! without a sweep) or that the policy has outgrown is replaced by one that begins now, and everybody is listed after that:
//! every user that the listing names, and everybody who is known and was not named, is looked at by id. Absence from a
//! listing is never a deletion.
//!
//! A page is stored only after its events are durable, so a kill repeats a page and loses none.

mod changes;
mod link;
mod switches;
mod whole;

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Job, pause};
use crate::clock::{self, Timestamp};
use crate::event::{Event, EventKind, Lane, Subject};
use crate::store::{self, Store};
use crate::worker::picture::Known;

/// How often the schedule is looked at, and so how late a wished-for sweep may start.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Events that wait in a lane before a sweep waits for them; they are on disk, not in memory, but not for ever.
const BACKLOG_MAX: u64 = 20_000;
/// Events of one enqueue: one durable write.
const BATCH: usize = 500;
/// The same in the contain lane, and at a time: an alert waits for few of them.
const CONTAIN_MAX: usize = 100;
/// How long a sweep waits for room in the contain lane.
const CONTAIN_PATIENCE: Duration = Duration::from_secs(60);
/// Pages of one listing; at Graph's smallest pages still millions of people.
const PAGES_MAX: usize = 100_000;
/// Everybody is swept without Graph having asked for it at most this often: whatever it refuses, it is not read from end to
/// end over and over.
const UNASKED_EVERY: Duration = Duration::from_secs(3600);
/// That a link was lost, and when: what had changed until then only a whole sweep finds that begins later, and that takes the
/// note away. It is compared with itself only: clocks are set back, and differ between machines.
const LOST_AT: &str = "sweep.lost_at";
const WHOLE_AT: &str = "sweep.whole_at";

pub(super) async fn run(job: Job) {
    let link_lost = Notify::new();
    tokio::join!(changes::run(&job, &link_lost), whole::run(&job, &link_lost), switches::run(&job));
}

/// When the last sweep began that has listed everybody to the end.
pub(super) async fn whole_at(store: &dyn Store) -> Result<Option<Timestamp>, store::Error> {
    time(store, WHOLE_AT).await
}

/// Whether a link was lost since everybody was swept.
pub(super) async fn owes_everybody(store: &dyn Store) -> Result<bool, store::Error> {
    Ok(store.note(LOST_AT).await?.is_some())
}

async fn time(store: &dyn Store, note: &str) -> Result<Option<Timestamp>, store::Error> {
    Ok(store.note(note).await?.and_then(|text| text.parse().ok()))
}

/// Whether everybody may be swept now because of this link without Graph asking for it. It counts as done when
/// [`unasked_now`] is stored, which belongs into one write with what comes of it.
async fn may_start_unasked(job: &Job, link: &str) -> anyhow::Result<bool> {
    let last = time(job.deps.store.as_ref(), &unasked_at(link)).await?;
    Ok(last.is_none_or(|at| is_over(at, UNASKED_EVERY, job.deps.clock.now())))
}

fn unasked_now(link: &str, now: Timestamp) -> (String, Option<String>) {
    (unasked_at(link), Some(now.to_string()))
}

fn unasked_at(link: &str) -> String {
    format!("{link}.unasked_at")
}

/// A time to come is over too: the clock was set back, and would otherwise have to catch up first.
fn is_over(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    since > now || clock::elapsed(since, now) >= time
}

/// Puts the events on the queue as there is room in their lanes; whoever waits for room in the contain lane waits last, and
/// not for ever: lockouts that cannot be proven stay there for days, and the sweep must go on.
/// `false` when somebody else goes on before all of them are there.
async fn enqueue(job: &Job, mut events: Vec<Event>) -> anyhow::Result<bool> {
    events.sort_by_key(|event| std::cmp::Reverse(event.lane()));
    for of_lane in events.chunk_by(|one, next| one.lane() == next.lane()) {
        let lane = of_lane[0].lane();
        let (most, batch) = match lane {
            Lane::Contain => (CONTAIN_MAX as u64, CONTAIN_MAX),
            Lane::Sync | Lane::Bulk => (BACKLOG_MAX, BATCH),
        };
        for batch in of_lane.chunks(batch) {
            let patience = (lane == Lane::Contain).then_some(CONTAIN_PATIENCE);
            if !room(job, lane, most, patience).await? {
                return Ok(false);
            }
            job.deps.queue.enqueue(batch).await?;
        }
    }
    Ok(true)
}

/// Waits while so many events are in the lane, as long as there is `patience`; `false` when the job is over before.
async fn room(job: &Job, lane: Lane, most: u64, patience: Option<Duration>) -> anyhow::Result<bool> {
    let since = Instant::now();
    while !job.shutdown.is_cancelled() {
        let waiting = job.deps.queue.depths().await?.get(&lane).map_or(0, |depth| depth.events);
        if waiting < most || patience.is_some_and(|patience| since.elapsed() >= patience) {
            return Ok(true);
        }
        pause(LOOK_EVERY, &job.shutdown).await;
    }
    Ok(false)
}

/// What asks for a look at somebody who was purged: that is Graph's own word, as a notification of it would be.
async fn purged(job: &Job, subject: Subject) -> Result<EventKind, store::Error> {
    let known = Known::read(job.deps.store.as_ref(), subject).await?;
    Ok(if known.is_somebody() { EventKind::UserDeleted } else { EventKind::StrangerDeleted })
}
