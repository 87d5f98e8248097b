//! The delta sweep: what notifications have missed. Graph's delta queries tell what has changed since the last time; what
//! they tell becomes events, and nothing is concluded from what they do not tell.
//!
//! The links that Graph gives are stored and replayed as they are. Where a link is no longer accepted (410,
//! `syncStateNotFound`, seven days without a sweep) or is refused, and on a schedule, everybody is swept: every user that
//! the listing names, and everybody who is known and was not named, is looked at by id. Absence from a listing is never a
//! deletion.
//!
//! A page is stored only after its events are durable, so a kill repeats a page and loses none.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::due::swept;
use super::{AGAIN, Job, Wish, pause};
use crate::clock::{self, Timestamp};
use crate::entra::{self, Change, DeltaFrom, DeltaRow, Link, Then, Tracked};
use crate::event::{
    About, Event, EventId, EventKind, GROUP_MEMBER_HINTS_MAX, Lane, ObjectId, Source, Subject, SweepDepth,
};
use crate::store::{self, Store};
use crate::worker::picture;

/// How often the schedule is looked at, and so how late a wished-for sweep may start.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Events that wait in the bulk lane before a sweep waits for them; they are on disk, not in memory, but not for ever.
const BACKLOG_MAX: u64 = 20_000;
/// Events of one enqueue: one durable write.
const BATCH: usize = 500;
/// Pages of one sweep; at Graph's smallest pages still millions of people.
const PAGES_MAX: usize = 100_000;
/// Ids of one whole sweep that are remembered, to find who is known and was not named.
const NAMED_MAX: usize = 2_000_000;
const STORED_PAGE: u32 = 1000;
/// Everybody is swept without Graph having asked for it at most this often: whatever it refuses, it is not read from end to
/// end over and over.
const UNASKED_EVERY: Duration = Duration::from_secs(3600);
const UNASKED_AT: &str = "sweep.unasked_at";
const USERS: &str = "sweep.users";
const GROUPS: &str = "sweep.groups";
const WHOLE_AT: &str = "sweep.whole_at";

/// Where the sweep of the users stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    depth: SweepDepth,
    /// The next page, or where the next sweep begins.
    link: String,
    /// What the link tracks; another policy needs another link.
    properties: BTreeSet<String>,
    /// Of these, what Graph has refused to track.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    untracked: BTreeSet<String>,
}

pub(super) async fn run(job: Job) {
    let mut swept_at: Option<Timestamp> = None;
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        match due(&job, swept_at).await {
            Ok(Some(due)) => {
                let started = job.deps.clock.now();
                match due.sweep(&job).await {
                    Ok(()) => (swept_at, failures) = (Some(started), 0),
                    Err(why) => {
                        failures += 1;
                        tracing::warn!("the directory could not be swept: {why}");
                        pause(AGAIN.delay(failures, fastrand::f64()), &job.shutdown).await;
                    }
                }
            }
            Ok(None) => {}
            Err(why) => tracing::warn!("whether a sweep is due cannot be told: {why}"),
        }
        pause(LOOK_EVERY, &job.shutdown).await;
    }
}

/// A sweep that is due now.
struct Due {
    depth: SweepDepth,
    /// When it was wished for.
    wished: Option<String>,
    /// When a whole one, from the start, was wished for.
    wished_whole: Option<String>,
}

impl Due {
    /// The wish is granted when the sweep has ended: a failure costs a turn, not the wish.
    async fn sweep(self, job: &Job) -> anyhow::Result<()> {
        sweep(job, &self).await?;
        if let Some(made_at) = self.wished {
            Wish::Sweep.grant(job.deps.store.as_ref(), &made_at).await?;
        }
        Ok(())
    }
}

async fn due(job: &Job, swept_at: Option<Timestamp>) -> anyhow::Result<Option<Due>> {
    let (store, policy) = (job.deps.store.as_ref(), job.deps.policy.borrow().clone());
    let now = job.deps.clock.now();
    let wished_whole = Wish::WholeSweep.made_at(store).await?;
    let wished = Wish::Sweep.made_at(store).await?;
    let whole_at = whole_at(store).await?;
    let whole_every = Duration::from_secs(u64::from(policy.sweep.whole_every_hours) * 3600);
    let begun = store.note(USERS).await?.is_some();
    if !begun
        || wished_whole.is_some()
        || policy.manages_directory() && whole_at.is_none_or(|at| clock::elapsed(at, now) >= whole_every)
    {
        return Ok(Some(Due { depth: SweepDepth::Whole, wished, wished_whole }));
    }
    let every = Duration::from_secs(u64::from(policy.sweep.every_seconds));
    let due = wished.is_some() || swept_at.is_none_or(|at| clock::elapsed(at, now) >= every);
    Ok(due.then_some(Due { depth: SweepDepth::Changed, wished, wished_whole }))
}

/// When the last sweep began that has listed everybody to the end.
pub(super) async fn whole_at(store: &dyn Store) -> Result<Option<Timestamp>, store::Error> {
    Ok(store.note(WHOLE_AT).await?.and_then(|text| text.parse().ok()))
}

async fn sweep(job: &Job, due: &Due) -> anyhow::Result<()> {
    let properties = picture::properties(&job.deps.policy.borrow());
    let position = position(job.deps.store.as_ref()).await?;
    let fits = position.as_ref().is_some_and(|position| position.properties == properties);
    let untracked = position.as_ref().filter(|_| fits).map(|at| at.untracked.clone()).unwrap_or_default();
    let mut users = Users { job, properties, untracked };
    let resync = match (position, due.depth) {
        // A whole sweep that was cut off goes on; whom its first part named is not known any more.
        (Some(at), _) if fits && at.depth == SweepDepth::Whole && due.wished_whole.is_none() => {
            users.whole(DeltaFrom::Link(Link::new(at.link)), &mut Named::Unknown).await?
        }
        (Some(at), SweepDepth::Changed) if fits => match groups(job).await {
            Ok(Some(_)) => last_changes(job, at).await?,
            // Groups that cannot be followed do not keep the users from being.
            followed => {
                let users = users.changes(at.link).await?;
                followed?;
                users
            }
        },
        (Some(at), _) => last_changes(job, at).await?,
        (None, _) => Some(Restart(None)),
    };
    let Some(Restart(link)) = resync else { return Ok(()) };
    tracing::info!("everybody is swept");
    // Before the groups are followed anew: whatever fails or is killed from here on, everybody is still to be swept.
    job.deps.store.set_note(USERS, None).await?;
    if let Some(made_at) = &due.wished_whole {
        Wish::WholeSweep.grant(job.deps.store.as_ref(), made_at).await?;
    }
    // From now on: whoever changes group meanwhile is found by it, and who is in which group is read with every person.
    groups_from_now(job).await?;
    let from = link.map_or(DeltaFrom::Start, DeltaFrom::Link);
    match users.whole(from, &mut Named::Those(HashSet::new())).await? {
        None => Ok(()),
        Some(Restart(_)) => anyhow::bail!("Graph asks for a new start in the middle of one"),
    }
}

async fn position(store: &dyn Store) -> Result<Option<Position>, store::Error> {
    let stored = store.note(USERS).await?;
    Ok(stored.as_deref().and_then(|text| serde_json::from_str(text).ok()))
}

/// Everybody is to be listed, and a listing does not name who was purged. Only the link that is about to be given up tells
/// of them, so it is followed to its end once more; unless Graph will never take it again.
async fn last_changes(job: &Job, at: Position) -> anyhow::Result<Option<Restart>> {
    if at.depth == SweepDepth::Changed {
        let mut users = Users { job, properties: at.properties, untracked: at.untracked };
        let from = DeltaFrom::Link(Link::new(at.link));
        match users.pages(from, SweepDepth::Changed, &mut Named::Unknown).await {
            Err(error) if error.downcast_ref().is_some_and(entra::Error::refuses_link) => {
                tracing::warn!("who was purged since the last sweep is not known: {error}");
            }
            followed => drop(followed?),
        }
    }
    Ok((!job.shutdown.is_cancelled()).then_some(Restart(None)))
}

/// Graph no longer accepts a link: everything from the start, or from where it says.
struct Restart(Option<Link>);

impl Restart {
    /// What it means that Graph did not go on from there.
    async fn after(error: entra::Error, from: &DeltaFrom, job: &Job) -> anyhow::Result<Restart> {
        if let entra::Error::ResyncNeeded { restart_at, .. } = error {
            return Ok(Restart(restart_at));
        }
        if !matches!(from, DeltaFrom::Link(_)) || !error.refuses_link() {
            return Err(error.into());
        }
        // The link will be refused for ever. So may be the ones that a new start brings.
        if !may_start_unasked(job).await? {
            let told = format!("{error}; for that, everybody is swept once an hour");
            return Err(anyhow::Error::new(error).context(told));
        }
        tracing::warn!("the link to go on from is refused, so everybody is swept: {error}");
        Ok(Restart(None))
    }
}

/// Whether everybody may be swept now without Graph asking for it. Counts as done when it may.
async fn may_start_unasked(job: &Job) -> anyhow::Result<bool> {
    let (store, now) = (&job.deps.store, job.deps.clock.now());
    let last: Option<Timestamp> = store.note(UNASKED_AT).await?.and_then(|text| text.parse().ok());
    if last.is_some_and(|at| clock::elapsed(at, now) < UNASKED_EVERY) {
        return Ok(false);
    }
    store.set_note(UNASKED_AT, Some(now.to_string())).await?;
    Ok(true)
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

struct Users<'a> {
    job: &'a Job,
    properties: BTreeSet<String>,
    untracked: BTreeSet<String>,
}

impl Users<'_> {
    /// Whoever has changed since the last time.
    async fn changes(&mut self, link: String) -> anyhow::Result<Option<Restart>> {
        if self.could_track_more().await? && may_start_unasked(self.job).await? {
            tracing::info!("Graph tracks properties that it has refused before");
            return Ok(Some(Restart(None)));
        }
        let ended =
            self.pages(DeltaFrom::Link(Link::new(link)), SweepDepth::Changed, &mut Named::Unknown).await?;
        self.end(ended).await
    }

    /// Everybody who is listed, and everybody who is known.
    async fn whole(&mut self, from: DeltaFrom, named: &mut Named) -> anyhow::Result<Option<Restart>> {
        let started = self.job.deps.clock.now();
        let ended = self.pages(from, SweepDepth::Whole, named).await?;
        if let Ended::At(_) = &ended {
            known_but_not_named(self.job, named).await?;
            self.job.deps.store.set_note(WHOLE_AT, Some(started.to_string())).await?;
        }
        self.end(ended).await
    }

    /// A link never tracks more than when it was given out, also when an extension that was missing is registered.
    async fn could_track_more(&self) -> anyhow::Result<bool> {
        if self.untracked.is_empty() {
            return Ok(false);
        }
        match self.job.looker.entra.tells(self.properties.clone()).await {
            Ok(()) => Ok(true),
            Err(entra::Error::Refused { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn end(&self, ended: Ended) -> anyhow::Result<Option<Restart>> {
        match ended {
            Ended::At(link) => self.keep(SweepDepth::Changed, link).await.map(|()| None),
            Ended::Restart(restart) => Ok(Some(restart)),
            Ended::CutOff => Ok(None),
        }
    }

    /// Follows the pages; each is kept when its events are durable.
    async fn pages(
        &mut self,
        from: DeltaFrom,
        depth: SweepDepth,
        named: &mut Named,
    ) -> anyhow::Result<Ended> {
        let tracked = Tracked::Users { properties: self.properties.clone() };
        let mut from = from;
        for _ in 0..PAGES_MAX {
            room(self.job).await?;
            let page = match self.job.looker.entra.delta(&tracked, &from).await {
                Ok(page) => page,
                Err(error) => return Restart::after(error, &from, self.job).await.map(Ended::Restart),
            };
            if !matches!(from, DeltaFrom::Link(_)) {
                self.untracked = page.untracked;
            }
            page.rows.iter().for_each(|row| named.add(row.id));
            let now = self.job.deps.clock.now();
            let events = page.rows.iter().map(|row| self.event(row, depth, now)).collect();
            enqueue(self.job, events).await?;
            match page.then {
                Then::Done(link) => return Ok(Ended::At(link.as_str().to_owned())),
                Then::More(link) => {
                    self.keep(depth, link.as_str().to_owned()).await?;
                    from = DeltaFrom::Link(link);
                }
            }
            if self.job.shutdown.is_cancelled() {
                return Ok(Ended::CutOff);
            }
        }
        anyhow::bail!("more than {PAGES_MAX} pages of changes")
    }

    /// A row that says "purged" is Graph's own word, as a notification of it would be.
    fn event(&self, row: &DeltaRow, depth: SweepDepth, now: Timestamp) -> Event {
        let subject = Subject { tenant: self.job.schedule.tenant, object: row.id };
        match row.change {
            Change::Purged => Event { kind: EventKind::UserDeleted, ..swept(subject, depth, now) },
            Change::Changed | Change::SoftDeleted => swept(subject, depth, now),
        }
    }

    async fn keep(&self, depth: SweepDepth, link: String) -> anyhow::Result<()> {
        let (properties, untracked) = (self.properties.clone(), self.untracked.clone());
        let position = Position { depth, link, properties, untracked };
        self.job.deps.store.set_note(USERS, Some(serde_json::to_string(&position)?)).await?;
        Ok(())
    }
}

enum Ended {
    /// Everything was read; the link for the next time.
    At(String),
    Restart(Restart),
    /// Somebody else goes on.
    CutOff,
}

/// Absence from a listing is not a deletion: each is looked at by id, and what the look finds counts.
async fn known_but_not_named(job: &Job, named: &Named) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = job.deps.store.people_known(after, STORED_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        let now = job.deps.clock.now();
        let unnamed = page.iter().filter(|subject| !named.has(subject.object));
        enqueue(job, unnamed.map(|subject| swept(*subject, SweepDepth::Whole, now)).collect()).await?;
        room(job).await?;
    }
}

async fn groups_from_now(job: &Job) -> anyhow::Result<()> {
    let latest = job.looker.entra.delta(&Tracked::Groups, &DeltaFrom::Latest).await?;
    let (Then::Done(link) | Then::More(link)) = latest.then;
    job.deps.store.set_note(GROUPS, Some(link.as_str().to_owned())).await?;
    Ok(())
}

/// Groups whose members have changed. One that was only renamed affects nobody.
async fn groups(job: &Job) -> anyhow::Result<Option<Restart>> {
    let Some(mut link) = job.deps.store.note(GROUPS).await? else { return Ok(Some(Restart(None))) };
    for _ in 0..PAGES_MAX {
        let from = DeltaFrom::Link(Link::new(link));
        let page = match job.looker.entra.delta(&Tracked::Groups, &from).await {
            Ok(page) => page,
            Err(error) => return Restart::after(error, &from, job).await.map(Some),
        };
        let now = job.deps.clock.now();
        enqueue(job, page.rows.iter().flat_map(|row| group_events(job, row, now)).collect()).await?;
        let (next, more) = match page.then {
            Then::Done(link) => (link, false),
            Then::More(link) => (link, true),
        };
        link = next.as_str().to_owned();
        job.deps.store.set_note(GROUPS, Some(link.clone())).await?;
        if !more || job.shutdown.is_cancelled() {
            return Ok(None);
        }
    }
    anyhow::bail!("more than {PAGES_MAX} pages of groups")
}

fn group_events(job: &Job, row: &DeltaRow, now: Timestamp) -> Vec<Event> {
    let event = |kind| Event {
        id: EventId::new(),
        source: Source::Sweep,
        about: About::Group { tenant: job.schedule.tenant, group: row.id },
        kind,
        signal_at: None,
        received_at: now,
    };
    if row.change != Change::Changed {
        return vec![event(EventKind::GroupDeleted)];
    }
    let members: Vec<ObjectId> = row.members.iter().map(|(id, _)| *id).collect();
    let hints = members.chunks(GROUP_MEMBER_HINTS_MAX);
    hints.map(|hint| event(EventKind::GroupUpdated { members: hint.to_vec() })).collect()
}

async fn enqueue(job: &Job, events: Vec<Event>) -> anyhow::Result<()> {
    for batch in events.chunks(BATCH) {
        job.deps.queue.enqueue(batch).await?;
    }
    Ok(())
}

/// Waits while the bulk lane is full of earlier pages.
async fn room(job: &Job) -> anyhow::Result<()> {
    while !job.shutdown.is_cancelled() {
        let waiting = job.deps.queue.depths().await?.get(&Lane::Bulk).map_or(0, |depth| depth.events);
        if waiting < BACKLOG_MAX {
            return Ok(());
        }
        pause(LOOK_EVERY, &job.shutdown).await;
    }
    Ok(())
}
