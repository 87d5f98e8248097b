//! Everybody, from one end to the other: on a schedule, when it is wished for, and when a link was lost.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    BACKLOG_MAX, LOOK_EVERY, LOST_AT, PAGES_MAX, WHOLE_AT, changes, enqueue, is_over, may_start_unasked,
    owes_everybody, purged, room, unasked_now, whole_at,
};
use crate::clock::Timestamp;
use crate::entra::{Change, DeltaFrom, DeltaRow, Error, Link, Then, Tracked};
use crate::event::{Event, EventKind, Lane, ObjectId, Subject, SweepDepth};
use crate::worker::scheduler::{AGAIN, Job, Wish, about, pause};

/// A listing that has begun and not ended.
const LISTING: &str = "sweep.listing";
/// Ids of one listing that are remembered, to find who is known and was not named.
const NAMED_MAX: usize = 2_000_000;
const STORED_PAGE: u32 = 1000;

pub(super) async fn run(job: &Job, link_lost: &Notify) {
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        match turn(job).await {
            Ok(()) => failures = 0,
            Err(why) => {
                failures += 1;
                tracing::warn!("not everybody could be swept: {why:#}");
                pause(AGAIN.delay(failures, fastrand::f64()), &job.shutdown).await;
            }
        }
        tokio::select! {
            () = pause(LOOK_EVERY, &job.shutdown) => {}
            () = link_lost.notified() => {}
        }
    }
}

async fn turn(job: &Job) -> anyhow::Result<()> {
    // Whoever changes while everybody is listed must be told of. A link of groups that begins later owes another listing, so
    // groups that Graph refuses do not keep everybody from being listed.
    if !changes::users_fit(job).await? {
        return Ok(());
    }
    let store = job.deps.store.as_ref();
    let wished = Wish::WholeSweep.made_at(store).await?;
    if wished.is_none()
        && let Some(begun) = Listing::stored(job).await?
    {
        // Whom its first part named is not known any more.
        return begun.go_on(job, &mut Named::Unknown).await;
    }
    if wished.is_none() && !owes_everybody(store).await? && !is_time(job).await? {
        return Ok(());
    }
    tracing::info!("everybody is swept");
    let answers = store.note(LOST_AT).await?;
    let listing = Listing { link: None, started_at: job.deps.clock.now(), answers };
    store.set_notes(vec![listing.note()?]).await?;
    if let Some(made_at) = wished {
        Wish::WholeSweep.grant(store, &made_at).await?;
    }
    listing.go_on(job, &mut Named::Those(HashSet::new())).await
}

async fn is_time(job: &Job) -> anyhow::Result<bool> {
    let policy = job.deps.policy.borrow().clone();
    let every = Duration::from_secs(u64::from(policy.sweep.whole_every_hours) * 3600);
    let last = whole_at(job.deps.store.as_ref()).await?;
    let now = job.deps.clock.now();
    Ok(policy.manages_directory() && last.is_none_or(|at| is_over(at, every, now)))
}

#[derive(Debug, Serialize, Deserialize)]
struct Listing {
    /// The next page; none before the first.
    link: Option<String>,
    started_at: Timestamp,
    /// The loss of a link that it makes good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
}

impl Listing {
    async fn stored(job: &Job) -> anyhow::Result<Option<Listing>> {
        let stored = job.deps.store.note(LISTING).await?;
        Ok(stored.as_deref().and_then(|text| serde_json::from_str(text).ok()))
    }

    fn note(&self) -> anyhow::Result<(String, Option<String>)> {
        Ok((LISTING.to_owned(), Some(serde_json::to_string(self)?)))
    }

    /// Everybody who is listed, and everybody who is known.
    async fn go_on(mut self, job: &Job, named: &mut Named) -> anyhow::Result<()> {
        // Who changes while this goes on is told by the links.
        let tracked = Tracked::Presence;
        let mut has_restarted = false;
        for _ in 0..PAGES_MAX {
            if !room(job, Lane::Bulk, BACKLOG_MAX, None).await? {
                return Ok(());
            }
            let from = self.link.clone().map_or(DeltaFrom::Start, |link| DeltaFrom::Link(Link::new(link)));
            let page = match job.looker.entra.delta(&tracked, &from).await {
                Ok(page) => page,
                Err(error) if has_restarted => return Err(error.into()),
                Err(error) => {
                    self.restart(job, error, &from).await?;
                    has_restarted = true;
                    continue;
                }
            };
            page.rows.iter().for_each(|row| named.add(row.id));
            if !enqueue(job, events(job, &page.rows).await?).await? {
                return Ok(());
            }
            let Then::More(link) = page.then else { return self.end(job, named).await };
            self.link = Some(link.as_str().to_owned());
            job.deps.store.set_notes(vec![self.note()?]).await?;
            if job.shutdown.is_cancelled() {
                return Ok(());
            }
        }
        anyhow::bail!("more than {PAGES_MAX} pages of users")
    }

    /// Begins again when Graph does not go on from there.
    async fn restart(&mut self, job: &Job, error: Error, from: &DeltaFrom) -> anyhow::Result<()> {
        let mut notes = Vec::new();
        self.link = match error {
            Error::ResyncNeeded { restart_at, .. } => restart_at.map(|link| link.as_str().to_owned()),
            refused
                if matches!(from, DeltaFrom::Link(_))
                    && refused.refuses_link()
                    && may_start_unasked(job, LISTING).await? =>
            {
                tracing::warn!("the listing begins anew, as its next page is refused: {refused}");
                notes.push(unasked_now(LISTING, job.deps.clock.now()));
                None
            }
            error => return Err(error.into()),
        };
        notes.push(self.note()?);
        job.deps.store.set_notes(notes).await?;
        Ok(())
    }

    async fn end(self, job: &Job, named: &Named) -> anyhow::Result<()> {
        known_but_not_named(job, named).await?;
        if job.shutdown.is_cancelled() {
            return Ok(());
        }
        let store = job.deps.store.as_ref();
        let whole_at = (WHOLE_AT.to_owned(), Some(self.started_at.to_string()));
        let mut notes = vec![whole_at, (LISTING.to_owned(), None)];
        // A link that was lost since owes another listing.
        if self.answers.is_some() && store.note(LOST_AT).await? == self.answers {
            notes.push((LOST_AT.to_owned(), None));
        }
        store.set_notes(notes).await?;
        Ok(())
    }
}

async fn events(job: &Job, rows: &[DeltaRow]) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for row in rows {
        let subject = Subject { tenant: job.schedule.tenant, object: row.id };
        let kind = match row.change {
            Change::Purged => purged(job, subject).await?,
            Change::Changed | Change::SoftDeleted => EventKind::Swept { depth: SweepDepth::Whole },
        };
        events.push(about(subject, kind, job.deps.clock.now()));
    }
    Ok(events)
}

/// Absence from a listing is not a deletion: each is looked at by id, and what the look finds counts.
async fn known_but_not_named(job: &Job, named: &Named) -> anyhow::Result<()> {
    let mut after = None;
    while !job.shutdown.is_cancelled() {
        let page = job.deps.store.people_known(after, STORED_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        let now = job.deps.clock.now();
        let unnamed = page.iter().filter(|subject| !named.has(subject.object));
        let look = |subject: &Subject| about(*subject, EventKind::Swept { depth: SweepDepth::Whole }, now);
        enqueue(job, unnamed.map(look).collect()).await?;
    }
    Ok(())
}

/// Whom a listing has named, as far as that is known.
enum Named {
    Those(HashSet<ObjectId>),
    /// Not kept, or no longer.
    Unknown,
}

impl Named {
    fn add(&mut self, id: ObjectId) {
        if let Named::Those(ids) = self {
            ids.insert(id);
            if ids.len() > NAMED_MAX {
                *self = Named::Unknown;
            }
        }
    }

    fn has(&self, id: ObjectId) -> bool {
        matches!(self, Named::Those(ids) if ids.contains(&id))
    }
}
