//! Who was disabled, deleted, enabled or restored, asked every few seconds.
//!
//! A notification says only that somebody has changed, and waits in the sync lane like any other; behind ten thousand of them
//! a leaver would keep their access for as long as these take. Graph tells this one property by itself, so whoever it concerns
//! goes straight to the contain lane, if Lockstep knows them: whoever it has never seen an account of has none to lock, and a
//! thousand of them must not stand before an alert. Nothing rests on it: what it misses, the notification and the other sweeps
//! find.

use std::time::Duration;

use super::link::{Ended, Followed, Position};
use crate::case::{Case, Reason};
use crate::clock::Timestamp;
use crate::entra::{Change, DeltaRow, Tracked};
use crate::event::{Event, EventKind, Subject};
use crate::worker::look;
use crate::worker::picture::Known;
use crate::worker::scheduler::{AGAIN, Job, about, pause};

/// Failures in a row from one line in the log to the next: about an hour.
const SAID_EVERY: u32 = 60;

pub(super) async fn run(job: &Job) {
    let mut failures = 0;
    while !job.shutdown.is_cancelled() {
        match turn(job).await {
            Ok(()) => {
                failures = 0;
                let every = job.deps.policy.borrow().sweep.disabled_every_seconds;
                pause(Duration::from_secs(every.into()), &job.shutdown).await;
            }
            Err(why) => {
                failures += 1;
                if failures % SAID_EVERY == 1 {
                    tracing::warn!("who was disabled cannot be asked: {why:#}");
                }
                pause(AGAIN.delay(failures, fastrand::f64()), &job.shutdown).await;
            }
        }
    }
}

async fn turn(job: &Job) -> anyhow::Result<()> {
    let store = job.deps.store.as_ref();
    if let Some(at) = Position::stored(store, &Switches).await? {
        match at.follow(job, &Switches).await? {
            Ended::AtItsEnd | Ended::CutOff => return Ok(()),
            Ended::Lost => {
                tracing::info!("who was disabled is asked by a new link: Graph has dropped the old one")
            }
            Ended::Refused(error) => tracing::info!("who was disabled is asked by a new link: {error}"),
        }
    }
    let new = Position::from_now(job, &Switches).await?;
    store.set_notes(vec![new.note(&Switches)?]).await?;
    Ok(())
}

struct Switches;

impl Followed for Switches {
    const NOTE: &'static str = "sweep.switches";

    fn tracked(&self) -> Tracked {
        Tracked::Switches
    }

    async fn events(&self, job: &Job, rows: &[DeltaRow], now: Timestamp) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for row in rows {
            let subject = Subject { tenant: job.schedule.tenant, object: row.id };
            let known = Known::read(job.deps.store.as_ref(), subject).await?;
            if known.is_somebody() && is_news(row, known.case.as_ref()) {
                let event = about(subject, ask(row), now);
                look::log_asked(&event, &[]);
                events.push(event);
            }
        }
        Ok(events)
    }
}

/// "Purged" is Graph's own word, as a notification of it would be.
fn ask(row: &DeltaRow) -> EventKind {
    match row.change {
        Change::Purged => EventKind::UserDeleted,
        Change::Changed | Change::SoftDeleted => EventKind::Escalated,
    }
}

/// Whether containment has something to learn from it: a reason to lock, or one that may be over.
fn is_news(row: &DeltaRow, case: Option<&Case>) -> bool {
    let knows = |reason: &Reason| {
        case.is_some_and(|case| case.every_cause().iter().any(|cause| cause.reason == *reason))
    };
    match (row.change, row.enabled) {
        (Change::SoftDeleted | Change::Purged, _) => !case.is_some_and(Case::is_about_deletion),
        (Change::Changed, Some(false)) => !knows(&Reason::Disabled),
        (Change::Changed, Some(true)) => knows(&Reason::Disabled) || knows(&Reason::Deleted),
        (Change::Changed, None) => false,
    }
}
