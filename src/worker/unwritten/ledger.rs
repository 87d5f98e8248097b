//! One person's ledger, and how it is compared with what the store holds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{Deps, record};
use crate::audit::{Actor, Entry};
use crate::case::{AccountId, Case};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, Subject};
use crate::policy::Policy;
use crate::store::{self, SaveCase, Store};

/// Entries kept of one person: some twenty times locked out anew. The audit tells that there were more.
pub(super) const ENTRIES_OF_ONE_MAX: usize = 200;
/// Saves of one case of which it may be unknown whether they came through.
const IN_DOUBT_MAX: usize = 8;
/// A store that is locked or stalls must not hold up whoever is to be locked out; what becomes of the save shows later.
const SAVE_WAIT_MAX: Duration = Duration::from_secs(2);

/// One person's case as it stands, and what is still to be written down.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Ledger {
    /// What the store holds, as far as is known.
    stored: Option<Case>,
    pub case: Option<Case>,
    pub(super) entries: Vec<Entry>,
    links: BTreeSet<AccountId>,
    /// Saves that perhaps came through, with the number of entries that went with each.
    in_doubt: Vec<(Case, usize)>,
    /// Events of which everything has been done, but for the record.
    answered: Vec<EventId>,
}

impl Ledger {
    pub(in crate::worker) fn of(stored: Option<Case>) -> Ledger {
        Ledger { case: stored.clone(), stored, ..Ledger::default() }
    }

    pub(in crate::worker) fn note(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries);
    }

    /// The case stands like this now, for the reasons that `decided` tells.
    pub(in crate::worker) fn advance(
        &mut self,
        case: Case,
        decided: Vec<Entry>,
        links: Vec<AccountId>,
        now: Timestamp,
    ) {
        self.entries.extend(record::changed(self.case.as_ref(), &case, now));
        self.entries.extend(record::reasons_added(self.case.as_ref(), &case, now));
        self.entries.extend(decided);
        self.links.extend(links);
        self.case = Some(case);
    }

    pub(in crate::worker) fn is_written(&self) -> bool {
        let same = match (&self.stored, &self.case) {
            (Some(stored), Some(case)) => same_but_version(stored, case),
            (stored, case) => stored.is_none() && case.is_none(),
        };
        same && self.entries.is_empty()
    }

    /// Whether it is a case that blocks since `since` and that the store does not count yet.
    pub(super) fn begins_to_block(&self, since: Timestamp) -> bool {
        let counted = self.stored.as_ref().is_some_and(Case::is_blocking);
        let case = self.case.as_ref().filter(|case| case.is_blocking() && !counted);
        case.is_some_and(|case| case.escalated_at.unwrap_or(case.opened_at) >= since)
    }

    pub(in crate::worker) fn has_answered(&self, asks: &[Event]) -> bool {
        asks.iter().all(|ask| self.answered.contains(&ask.id))
    }

    pub(in crate::worker) fn answer(&mut self, asks: &[Event]) {
        let new = asks.iter().map(|ask| ask.id).filter(|id| !self.answered.contains(id)).collect::<Vec<_>>();
        self.answered.extend(new);
    }

    pub(in crate::worker) fn answer_nothing(&mut self) {
        self.answered.clear();
    }

    /// `other` could not be saved and is given up; perhaps it came through all the same.
    pub(in crate::worker) fn doubt(&mut self, other: Ledger) {
        self.in_doubt = other.in_doubt;
    }

    /// Writes everything down in one transaction, with what people are owed for it.
    pub(in crate::worker) async fn write(
        &mut self,
        deps: &Deps,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        if self.is_written() {
            return Ok(());
        }
        let Some(case) = &self.case else {
            deps.store.record(self.entries.clone()).await?;
            self.entries.clear();
            return Ok(());
        };
        let stored = self.stored.as_ref();
        let case = Case { version: stored.map_or(1, |stored| stored.version + 1), ..case.clone() };
        let news = stored.is_none_or(|stored| !same_for_people(stored, &case));
        let owed = if news { record::owed(&deps.channels, stored, &case, policy, now) } else { Vec::new() };
        let (links, audit) = (self.links.iter().cloned().collect(), self.entries.clone());
        let save = deps.store.save_case(SaveCase { case: case.clone(), audit, owed, links });
        let saved = tokio::time::timeout(SAVE_WAIT_MAX, save).await;
        match saved
            .unwrap_or_else(|_| Err(store::Error::Unavailable(anyhow::anyhow!("it does not answer in time"))))
        {
            Ok(()) => {
                record::measure(&deps.metrics, stored, &case);
                record::log_change(stored, &case, case.subject);
                deps.owed.notify_one();
                *self = Ledger::of(Some(case));
                Ok(())
            }
            Err(error) => {
                if matches!(error, store::Error::Unavailable(_)) && self.in_doubt.len() < IN_DOUBT_MAX {
                    self.in_doubt.push((case, self.entries.len()));
                }
                Err(error)
            }
        }
    }

    /// Compares with what the store holds now. A save that came through is taken for that; where somebody else has
    /// changed the case, theirs stands, and what was done here is still to be recorded.
    pub(super) async fn meet(
        mut self,
        store: &dyn Store,
        open: Option<Case>,
    ) -> Result<Ledger, store::Error> {
        let Some(case) = &self.case else { return Ok(self) };
        let held = store.case(case.id).await?;
        if let Some((_, entries)) = self.in_doubt.iter().find(|(saved, _)| held.as_ref() == Some(saved)) {
            self.entries.drain(..(*entries).min(self.entries.len()));
            (self.stored, self.links, self.in_doubt) = (held, BTreeSet::new(), Vec::new());
        }
        if version(self.stored.as_ref()) != version(open.as_ref()) {
            self = Ledger { entries: self.entries, ..Ledger::of(open) };
        }
        Ok(self)
    }

    /// Keeps the first entries, and says that there were more.
    pub(super) fn cut(&mut self, subject: Subject, now: Timestamp) {
        if self.entries.len() <= ENTRIES_OF_ONE_MAX {
            return;
        }
        self.entries.truncate(ENTRIES_OF_ONE_MAX);
        self.entries.push(Entry {
            at: now,
            actor: Actor::Lockstep,
            subject: Some(subject),
            case: self.case.as_ref().map(|case| case.id),
            event: self.case.as_ref().map(|case| case.event),
            account: None,
            what: "audit.cut".into(),
            sentence: "More was done than could be kept while the store could not be written".into(),
            before: None,
            after: None,
            outcome: None,
        });
        // How many entries went with a save is no longer known; one that came through is somebody else's then.
        self.in_doubt.clear();
    }
}

fn version(case: Option<&Case>) -> Option<(crate::case::CaseId, u64)> {
    case.map(|case| (case.id, case.version))
}

fn same_but_version(stored: &Case, case: &Case) -> bool {
    Case { version: stored.version, ..case.clone() } == *stored
}

/// Nothing that people read has changed: how new the evidence of a known reason is, they are not told.
fn same_for_people(stored: &Case, case: &Case) -> bool {
    let causes = stored.causes.clone();
    stored.why() == case.why() && same_but_version(stored, &Case { causes, ..case.clone() })
}
