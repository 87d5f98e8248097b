//! A delta link that is followed from turn to turn: where it stands is in the store, and is moved on page by page.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{PAGES_MAX, enqueue};
use crate::clock::Timestamp;
use crate::entra::{DeltaFrom, DeltaRow, Error, Link, Then, Tracked};
use crate::event::Event;
use crate::store::{self, Store};
use crate::worker::scheduler::Job;

/// Something that has a link of its own.
pub(super) trait Followed {
    /// Where the store keeps the link.
    const NOTE: &'static str;

    fn tracked(&self) -> Tracked;

    /// What a page of changes asks for.
    async fn events(&self, job: &Job, rows: &[DeltaRow], now: Timestamp) -> anyhow::Result<Vec<Event>>;
}

/// Where a link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// The next page, or where the next turn begins.
    link: String,
    /// What the link tracks; another policy needs another link.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    properties: BTreeSet<String>,
    /// Of these, what Graph has refused to track.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) untracked: BTreeSet<String>,
}

/// How following a link has ended.
pub(super) enum Ended {
    AtItsEnd,
    /// Graph does not know the link any more.
    Lost,
    /// Graph refuses the link, and will for ever.
    Refused(Error),
    /// Somebody else goes on.
    CutOff,
}

impl Position {
    pub(super) async fn stored<F: Followed>(
        store: &dyn Store,
        _: &F,
    ) -> Result<Option<Position>, store::Error> {
        let stored = store.note(F::NOTE).await?;
        Ok(stored.as_deref().and_then(|text| serde_json::from_str(text).ok()))
    }

    /// Changes from now on, and nothing of what there is.
    pub(super) async fn from_now<F: Followed>(job: &Job, what: &F) -> anyhow::Result<Position> {
        let tracked = what.tracked();
        let page = job.looker.entra.delta(&tracked, &DeltaFrom::Latest).await?;
        let (Then::Done(link) | Then::More(link)) = page.then;
        let untracked = page.untracked;
        Ok(Position { link: link.as_str().to_owned(), properties: properties(tracked), untracked })
    }

    pub(super) fn fits<F: Followed>(&self, what: &F) -> bool {
        self.properties == properties(what.tracked())
    }

    pub(super) fn note<F: Followed>(&self, _: &F) -> anyhow::Result<(String, Option<String>)> {
        Ok((F::NOTE.to_owned(), Some(serde_json::to_string(self)?)))
    }

    /// Follows the pages; each is left behind when its events are durable.
    pub(super) async fn follow<F: Followed>(mut self, job: &Job, what: &F) -> anyhow::Result<Ended> {
        let tracked = what.tracked();
        for _ in 0..PAGES_MAX {
            let from = DeltaFrom::Link(Link::new(self.link.clone()));
            let page = match job.looker.entra.delta(&tracked, &from).await {
                Ok(page) => page,
                Err(Error::ResyncNeeded { .. }) => return Ok(Ended::Lost),
                Err(error) if error.refuses_link() => return Ok(Ended::Refused(error)),
                Err(error) => return Err(error.into()),
            };
            let events = what.events(job, &page.rows, job.deps.clock.now()).await?;
            if !enqueue(job, events).await? {
                return Ok(Ended::CutOff);
            }
            let (link, is_last) = match page.then {
                Then::Done(link) => (link, true),
                Then::More(link) => (link, false),
            };
            self.link = link.as_str().to_owned();
            job.deps.store.set_notes(vec![self.note(what)?]).await?;
            if is_last {
                return Ok(Ended::AtItsEnd);
            }
            if job.shutdown.is_cancelled() {
                return Ok(Ended::CutOff);
            }
        }
        anyhow::bail!("more than {PAGES_MAX} pages of changes")
    }
}

fn properties(tracked: Tracked) -> BTreeSet<String> {
    match tracked {
        Tracked::Users { properties } => properties,
        Tracked::Switches | Tracked::Presence | Tracked::Groups => BTreeSet::new(),
    }
}
