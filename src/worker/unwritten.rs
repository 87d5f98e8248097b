//! Containments that are not on record yet: the store cannot be written, and locking people out does not wait for it.
//!
//! A [`Ledger`] is one person's case as it stands, beside what the store holds of it and what is still to be written
//! down. A look that cannot write leaves its ledger here, and the next look at the person goes on from it. Every second
//! the oldest ledger is tried; when the store takes it, all of them are written, each whole and in its order. What
//! cannot be told from a save that came through after all is compared with the store first, so nothing is doubled.
//!
//! It is memory, and bounded: see [`ENTRIES_MAX`]. No event is settled before its containment is on record, so after a
//! restart, or beyond the bound, it comes again and the read-back records what stands.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::turns::{Turn, Turns};
use super::{Deps, record};
use crate::audit::{Actor, Entry};
use crate::case::{AccountId, Case};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, Subject};
use crate::policy::Policy;
use crate::store::{self, SaveCase, Store};
use crate::telemetry::Metrics;

/// Entries kept for everybody together, some 20 MB: the containments of thousands of people. Whoever comes when it is
/// full is contained all the same, but only the log tells of it.
const ENTRIES_MAX: usize = 30_000;
/// Entries kept of one person: some twenty times locked out anew. The audit tells that there were more.
const ENTRIES_OF_ONE_MAX: usize = 200;
/// Saves of one case of which it may be unknown whether they came through.
const IN_DOUBT_MAX: usize = 8;
/// A store that is locked or stalls must not hold up whoever is to be locked out; what becomes of the save shows later.
const SAVE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How often the store is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// One person's case as it stands, and what is still to be written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// What the store holds, as far as is known.
    stored: Option<Case>,
    pub case: Option<Case>,
    entries: Vec<Entry>,
    links: BTreeSet<AccountId>,
    /// Saves that perhaps came through, with the number of entries that went with each.
    in_doubt: Vec<(Case, usize)>,
    /// Events of which everything has been done, but for the record.
    answered: Vec<EventId>,
}

impl Ledger {
    pub(super) fn of(stored: Option<Case>) -> Ledger {
        Ledger { case: stored.clone(), stored, ..Ledger::default() }
    }

    pub(super) fn note(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries);
    }

    /// The case stands like this now, for the reasons that `decided` tells.
    pub(super) fn advance(&mut self, case: Case, decided: Vec<Entry>, links: Vec<AccountId>, now: Timestamp) {
        self.entries.extend(record::changed(self.case.as_ref(), &case, now));
        self.entries.extend(record::reasons_added(self.case.as_ref(), &case, now));
        self.entries.extend(decided);
        self.links.extend(links);
        self.case = Some(case);
    }

    pub(super) fn is_written(&self) -> bool {
        let same = match (&self.stored, &self.case) {
            (Some(stored), Some(case)) => same_but_version(stored, case),
            (stored, case) => stored.is_none() && case.is_none(),
        };
        same && self.entries.is_empty()
    }

    pub(super) fn has_answered(&self, asks: &[Event]) -> bool {
        asks.iter().all(|ask| self.answered.contains(&ask.id))
    }

    pub(super) fn answer(&mut self, asks: &[Event]) {
        let new = asks.iter().map(|ask| ask.id).filter(|id| !self.answered.contains(id)).collect::<Vec<_>>();
        self.answered.extend(new);
    }

    pub(super) fn answer_nothing(&mut self) {
        self.answered.clear();
    }

    /// `other` could not be saved and is given up; perhaps it came through all the same.
    pub(super) fn doubt(&mut self, other: Ledger) {
        self.in_doubt = other.in_doubt;
    }

    /// Writes everything down in one transaction, with what people are owed for it.
    pub(super) async fn write(
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
    async fn meet(mut self, store: &dyn Store, open: Option<Case>) -> Result<Ledger, store::Error> {
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
    fn cut(&mut self, subject: Subject, now: Timestamp) {
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

/// Everybody whose containment is not on record yet. Shared by the looks of one lane and by [`write_down`].
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    kept: Mutex<Kept>,
    /// One look or write of a person's ledger at a time.
    turns: Turns,
}

#[derive(Debug, Default)]
struct Kept {
    ledgers: HashMap<Subject, (Timestamp, Ledger)>,
    /// Whose wait began first.
    oldest: BTreeSet<(Timestamp, Subject)>,
    entries: usize,
}

/// Whether a ledger found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Found,
    None,
}

impl Unwritten {
    /// Waits while the person's ledger is being written.
    pub(super) async fn turn(&self, subject: Subject) -> Turn {
        self.turns.take(subject).await
    }

    /// The ledger to go on from, as it compares with what the store holds. It stays here until it is written.
    pub(super) async fn ledger(&self, deps: &Deps, subject: Subject) -> Result<Ledger, store::Error> {
        let open = deps.store.open_case(subject).await?;
        let kept = self.kept().ledgers.get(&subject).map(|(_, ledger)| ledger.clone());
        match kept {
            Some(ledger) => ledger.meet(deps.store.as_ref(), open).await,
            None => Ok(Ledger::of(open)),
        }
    }

    /// Keeps what the store did not take.
    pub(super) fn keep(
        &self,
        subject: Subject,
        mut ledger: Ledger,
        metrics: &Metrics,
        now: Timestamp,
    ) -> Room {
        ledger.cut(subject, now);
        let mut kept = self.kept();
        let (since, before) =
            kept.ledgers.get(&subject).map_or((now, 0), |(since, before)| (*since, before.entries.len()));
        let entries = kept.entries - before + ledger.entries.len();
        if entries > ENTRIES_MAX {
            tracing::error!(subject.id = %subject, "too much waits for the store: what was done is not kept");
            return Room::None;
        }
        if !kept.ledgers.contains_key(&subject) {
            let case = ledger.case.as_ref().map(|case| tracing::field::display(case.id));
            tracing::error!(subject.id = %subject, case.id = case, "contained, but not on record yet");
        }
        kept.entries = entries;
        kept.oldest.insert((since, subject));
        kept.ledgers.insert(subject, (since, ledger));
        kept.measure(metrics);
        Room::Found
    }

    /// It is on record.
    pub(super) fn forget(&self, subject: Subject, metrics: &Metrics) {
        let mut kept = self.kept();
        let Some((since, ledger)) = kept.ledgers.remove(&subject) else { return };
        kept.oldest.remove(&(since, subject));
        kept.entries -= ledger.entries.len();
        kept.measure(metrics);
        if kept.ledgers.is_empty() {
            tracing::info!("everything is on record again");
        }
    }

    /// Cases that block since `since` and that the store does not count yet, other than the one of `except`.
    pub(super) fn blocking_since(&self, since: Timestamp, except: Subject) -> u32 {
        let begins_to_block = |ledger: &Ledger| {
            let counted = ledger.stored.as_ref().is_some_and(Case::is_blocking);
            let case = ledger.case.as_ref().filter(|case| case.is_blocking() && !counted);
            case.is_some_and(|case| case.escalated_at.unwrap_or(case.opened_at) >= since)
        };
        let kept = self.kept();
        let others = kept.ledgers.iter().filter(|(subject, _)| **subject != except);
        let count = others.filter(|(_, (_, ledger))| begins_to_block(ledger)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the store is known not to take what others have waiting: it is tried for them every second.
    pub(super) fn others_wait(&self, subject: Subject) -> bool {
        self.kept().ledgers.keys().any(|other| *other != subject)
    }

    fn oldest_first(&self) -> Vec<Subject> {
        self.kept().oldest.iter().map(|(_, subject)| *subject).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn measure(&self, metrics: &Metrics) {
        metrics.audit_waits_since(self.oldest.first().map(|(since, _)| *since));
    }
}

/// Writes down what is kept, as soon as the store takes it. Whoever is being looked at writes for themselves.
pub(super) async fn write_down(deps: Deps, unwritten: Arc<Unwritten>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TRY_EVERY) => {}
        }
        for subject in unwritten.oldest_first() {
            let Some(_turn) = unwritten.turns.try_take(subject) else { continue };
            match write_one(&deps, &unwritten, subject).await {
                // In the middle of somebody else's change: the next time tells.
                Ok(()) | Err(store::Error::Conflict) => {}
                Err(error) => {
                    tracing::debug!("the store can still not be written: {error}");
                    break;
                }
            }
        }
    }
}

async fn write_one(deps: &Deps, unwritten: &Unwritten, subject: Subject) -> Result<(), store::Error> {
    let now = deps.clock.now();
    let policy = deps.policy.borrow().clone();
    let mut ledger = unwritten.ledger(deps, subject).await?;
    match ledger.write(deps, &policy, now).await {
        Ok(()) => {
            unwritten.forget(subject, &deps.metrics);
            Ok(())
        }
        Err(error) => {
            unwritten.keep(subject, ledger, &deps.metrics, now);
            Err(error)
        }
    }
}

fn same_but_version(stored: &Case, case: &Case) -> bool {
    Case { version: stored.version, ..case.clone() } == *stored
}

/// Nothing that people read has changed: how new the evidence of a known reason is, they are not told.
fn same_for_people(stored: &Case, case: &Case) -> bool {
    let causes = stored.causes.clone();
    stored.why() == case.why() && same_but_version(stored, &Case { causes, ..case.clone() })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{ObjectId, TenantId};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn person(number: u128) -> Subject {
        Subject { tenant: TenantId(Uuid::nil()), object: ObjectId(Uuid::from_u128(number)) }
    }

    fn ledger(subject: Subject, entries: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0..entries {
            let entry = Entry {
                at: NOW,
                actor: Actor::Lockstep,
                subject: Some(subject),
                case: None,
                event: None,
                account: None,
                what: "action.block".into(),
                sentence: number.to_string(),
                before: None,
                after: None,
                outcome: None,
            };
            ledger.note([entry]);
        }
        ledger
    }

    fn sentences(unwritten: &Unwritten, subject: Subject) -> Vec<String> {
        unwritten.kept().ledgers[&subject].1.entries.iter().map(|entry| entry.sentence.clone()).collect()
    }

    #[test]
    fn of_one_person_the_first_entries_are_kept_and_the_audit_will_tell_that_there_were_more() {
        let (unwritten, metrics) = (Unwritten::default(), Metrics::new());
        let mut much = ledger(person(1), ENTRIES_OF_ONE_MAX + 7);
        assert_eq!(unwritten.keep(person(1), much.clone(), &metrics, NOW), Room::Found);
        much.note(ledger(person(1), 1).entries);
        assert_eq!(unwritten.keep(person(1), much, &metrics, NOW), Room::Found);
        let kept = sentences(&unwritten, person(1));
        assert_eq!(kept.len(), ENTRIES_OF_ONE_MAX + 1);
        assert_eq!(kept[ENTRIES_OF_ONE_MAX - 1], (ENTRIES_OF_ONE_MAX - 1).to_string());
        assert!(kept[ENTRIES_OF_ONE_MAX].contains("More was done"), "{kept:?}");
    }

    #[test]
    fn whoever_comes_when_it_is_full_finds_no_room_until_somebody_is_written() {
        let (unwritten, metrics) = (Unwritten::default(), Metrics::new());
        let people = (ENTRIES_MAX / ENTRIES_OF_ONE_MAX) as u128;
        for number in 0..people {
            let full = ledger(person(number), ENTRIES_OF_ONE_MAX);
            assert_eq!(unwritten.keep(person(number), full, &metrics, NOW), Room::Found);
        }
        let late = ledger(person(people), 1);
        assert_eq!(unwritten.keep(person(people), late.clone(), &metrics, NOW), Room::None);
        unwritten.forget(person(0), &metrics);
        assert_eq!(unwritten.keep(person(people), late, &metrics, NOW), Room::Found);
        assert_eq!(unwritten.oldest_first().len(), people as usize);
    }
}
