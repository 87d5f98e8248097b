//! What has changed among users and groups since the last time, every few minutes and when it is wished for.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::Notify;

use super::link::{Ended, Followed, Position};
use super::{LOOK_EVERY, LOST_AT, is_over, may_start_unasked, purged, unasked_now};
use crate::clock::Timestamp;
use crate::entra::{self, Change, DeltaRow, Tracked};
use crate::event::{About, Event, EventKind, GROUP_MEMBER_HINTS_MAX, ObjectId, Subject};
use crate::worker::picture;
use crate::worker::scheduler::{AGAIN, Job, Wish, about, pause};

pub(super) async fn run(job: &Job, link_lost: &Notify) {
    let mut swept_at: Option<Timestamp> = None;
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        let started = job.deps.clock.now();
        match turn(job, swept_at).await {
            Ok(Turn::NotDue) => {}
            Ok(Turn::Swept) => (swept_at, failures) = (Some(started), 0),
            Err(why) => {
                failures += 1;
                tracing::warn!("what has changed in Entra could not be read: {why:#}");
                pause(AGAIN.delay(failures, fastrand::f64()), &job.shutdown).await;
            }
        }
        // A listing waits for links that fit; it need not wait longer.
        link_lost.notify_one();
        pause(LOOK_EVERY, &job.shutdown).await;
    }
}

enum Turn {
    /// Or somebody else goes on.
    NotDue,
    Swept,
}

/// How far a link was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    End,
    CutOff,
}

/// Why a link is given up, which says whether everybody may be swept for it at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Graph, or a policy, asks for it.
    Asked,
    Unasked,
}

async fn turn(job: &Job, swept_at: Option<Timestamp>) -> anyhow::Result<Turn> {
    let (store, now) = (job.deps.store.as_ref(), job.deps.clock.now());
    let wished = Wish::Sweep.made_at(store).await?;
    let every = Duration::from_secs(job.deps.policy.borrow().sweep.every_seconds.into());
    let is_time = swept_at.is_none_or(|at| is_over(at, every, now));
    let has_groups = !job.deps.policy.borrow().groups().is_empty();
    if !is_time && wished.is_none() && users_fit(job).await? && (!has_groups || groups_fit(job).await?) {
        return Ok(Turn::NotDue);
    }
    // Groups that cannot be followed do not keep the users from being.
    let groups = if has_groups { follow(job, &Groups).await } else { Ok(Reach::End) };
    let users = follow(job, &Users::of(job)).await?;
    if groups? == Reach::CutOff || users == Reach::CutOff {
        return Ok(Turn::NotDue);
    }
    // The wish is granted when the sweep has ended: a failure costs a turn, not the wish.
    if let Some(made_at) = wished {
        Wish::Sweep.grant(store, &made_at).await?;
    }
    Ok(Turn::Swept)
}

/// Whether the link of the users is there and tracks what the policy wants: then whatever changes from now on is told.
pub(super) async fn users_fit(job: &Job) -> anyhow::Result<bool> {
    let users = Users::of(job);
    Ok(Position::stored(job.deps.store.as_ref(), &users).await?.is_some_and(|at| at.fits(&users)))
}

async fn groups_fit(job: &Job) -> anyhow::Result<bool> {
    Ok(Position::stored(job.deps.store.as_ref(), &Groups).await?.is_some())
}

async fn follow<F: Followed>(job: &Job, what: &F) -> anyhow::Result<Reach> {
    let at = match Position::stored(job.deps.store.as_ref(), what).await? {
        None => return anew(job, what, None, Because::Asked).await,
        Some(at) if !at.fits(what) => return anew(job, what, Some(at), Because::Asked).await,
        Some(at) if could_track_more(job, what, &at).await? && may_start_unasked(job, F::NOTE).await? => {
            tracing::info!("Graph tracks properties that it has refused before");
            return anew(job, what, Some(at), Because::Unasked).await;
        }
        Some(at) => at,
    };
    match at.follow(job, what).await? {
        Ended::AtItsEnd => Ok(Reach::End),
        Ended::CutOff => Ok(Reach::CutOff),
        Ended::Lost => anew(job, what, None, Because::Asked).await,
        // The link will be refused for ever. So may be the one that follows it.
        Ended::Refused(error) if !may_start_unasked(job, F::NOTE).await? => {
            let told = format!("{error}; for that, everybody is swept once an hour");
            Err(anyhow::Error::new(error).context(told))
        }
        Ended::Refused(error) => {
            tracing::warn!("the link to go on from is refused, so everybody is swept: {error}");
            anew(job, what, None, Because::Unasked).await
        }
    }
}

/// A link that begins now. What had changed before it, the listing finds that is owed from here on; but a listing does not
/// name who was purged. Only the link that is about to be given up tells of them, so it is followed to its end once more.
async fn anew<F: Followed>(
    job: &Job,
    what: &F,
    old: Option<Position>,
    because: Because,
) -> anyhow::Result<Reach> {
    let new = Position::from_now(job, what).await?;
    if let Some(old) = old {
        match old.follow(job, what).await? {
            Ended::AtItsEnd => {}
            Ended::CutOff => return Ok(Reach::CutOff),
            Ended::Lost => tracing::warn!("who was purged since the last sweep is not known"),
            Ended::Refused(error) => {
                tracing::warn!("who was purged since the last sweep is not known: {error}");
            }
        }
    }
    let now = job.deps.clock.now();
    let mut notes = vec![new.note(what)?, (LOST_AT.to_owned(), Some(now.to_string()))];
    if because == Because::Unasked {
        notes.push(unasked_now(F::NOTE, now));
    }
    job.deps.store.set_notes(notes).await?;
    Ok(Reach::End)
}

/// A link never tracks more than when it was given out, also when an extension that was missing is registered.
async fn could_track_more(job: &Job, what: &impl Followed, at: &Position) -> anyhow::Result<bool> {
    let Tracked::Users { properties } = what.tracked() else { return Ok(false) };
    if at.untracked.is_empty() {
        return Ok(false);
    }
    match job.looker.entra.tells(properties).await {
        Ok(()) => Ok(true),
        Err(entra::Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

struct Users {
    properties: BTreeSet<String>,
}

impl Users {
    fn of(job: &Job) -> Users {
        Users { properties: picture::properties(&job.deps.policy.borrow()) }
    }
}

impl Followed for Users {
    const NOTE: &'static str = "sweep.users";

    fn tracked(&self) -> Tracked {
        Tracked::Users { properties: self.properties.clone() }
    }

    async fn events(&self, job: &Job, rows: &[DeltaRow], now: Timestamp) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for row in rows {
            let subject = Subject { tenant: job.schedule.tenant, object: row.id };
            let kind = match row.change {
                Change::Purged => purged(job, subject).await?,
                Change::Changed | Change::SoftDeleted => EventKind::UserUpdated,
            };
            events.push(about(subject, kind, now));
        }
        Ok(events)
    }
}

/// Groups whose members have changed. One that was only renamed affects nobody.
struct Groups;

impl Followed for Groups {
    const NOTE: &'static str = "sweep.groups";

    fn tracked(&self) -> Tracked {
        Tracked::Groups
    }

    async fn events(&self, job: &Job, rows: &[DeltaRow], now: Timestamp) -> anyhow::Result<Vec<Event>> {
        Ok(rows.iter().flat_map(|row| group_events(job, row, now)).collect())
    }
}

fn group_events(job: &Job, row: &DeltaRow, now: Timestamp) -> Vec<Event> {
    let about = About::Group { tenant: job.schedule.tenant, group: row.id };
    let event = |kind| Event::of_ours(about, kind, now);
    if row.change != Change::Changed {
        return vec![event(EventKind::GroupDeleted)];
    }
    let members: Vec<ObjectId> = row.members.iter().map(|(id, _)| *id).collect();
    let hints = members.chunks(GROUP_MEMBER_HINTS_MAX);
    hints.map(|hint| event(EventKind::GroupUpdated { members: hint.to_vec() })).collect()
}
