//! Containments that are not on record yet: the store cannot be written, and locking people out does not wait for it.
//!
//! A [`Ledger`] is one person's case as it stands, beside what the store holds of it and what is still to be written
//! down. A look that cannot write leaves its ledger here, and the next look at the person goes on from it. Every second
//! the oldest ledger is tried; when the store takes it, all of them are written, each whole and in its order. What
//! cannot be told from a save that came through after all is compared with the store first, so nothing is doubled.
//!
//! It is memory, and bounded: see [`ENTRIES_MAX`]. No event is settled before its containment is on record, so after a
//! restart, or beyond the bound, it comes again and the read-back records what stands.

mod ledger;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Deps;
use super::turns::{Turn, Turns};
use crate::case::{Case, CaseId, CaseState};
use crate::clock::Timestamp;
use crate::event::Subject;
use crate::store;
use crate::telemetry::Metrics;

pub(super) use ledger::{Ledger, within_reason};

/// Entries kept for everybody together, some 20 MB: the containments of thousands of people. Whoever comes when it is
/// full is contained all the same, but only the log tells of it.
const ENTRIES_MAX: usize = 30_000;
/// How often the store is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Everybody whose containment is not on record yet. Shared by the looks of one lane and by `write_down`; operators
/// are told of it.
#[derive(Debug, Default)]
pub struct Unwritten {
    kept: Mutex<Kept>,
    /// What the store said when it did not take the last save.
    refusal: Mutex<Option<String>>,
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

/// A case as it stands, of which the store does not know all.
#[derive(Debug, Clone)]
pub struct Unrecorded {
    pub case: Case,
    /// When the store first did not take it.
    pub since: Timestamp,
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
        let kept = self.kept();
        let others = kept.ledgers.iter().filter(|(subject, _)| **subject != except);
        let count = others.filter(|(_, (_, ledger))| ledger.begins_to_block(since)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the store is known not to take what others have waiting: it is tried for them every second.
    pub(super) fn others_wait(&self, subject: Subject) -> bool {
        self.kept().ledgers.keys().any(|other| *other != subject)
    }

    /// A person's case.
    pub fn case_of(&self, subject: Subject) -> Option<Unrecorded> {
        let kept = self.kept();
        let (since, ledger) = kept.ledgers.get(&subject)?;
        Some(Unrecorded { case: ledger.case.clone()?, since: *since })
    }

    pub fn case(&self, id: CaseId) -> Option<Unrecorded> {
        let kept = self.kept();
        let mut cases =
            kept.ledgers.values().filter_map(|(since, ledger)| Some((since, ledger.case.as_ref()?)));
        cases
            .find(|(_, case)| case.id == id)
            .map(|(since, case)| Unrecorded { case: case.clone(), since: *since })
    }

    /// Where everybody's case stands.
    pub fn states(&self) -> HashMap<Subject, CaseState> {
        let kept = self.kept();
        let state = |ledger: &Ledger| ledger.case.as_ref().map(|case| case.state);
        let states =
            kept.ledgers.iter().filter_map(|(subject, (_, ledger))| Some((*subject, state(ledger)?)));
        states.collect()
    }

    /// Why the store did not take the last save; `None` when it did.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn heard(&self, answer: &Result<(), store::Error>) {
        let refusal = match answer {
            Ok(()) => None,
            Err(error @ (store::Error::Full(_) | store::Error::Unavailable(_))) => Some(error.to_string()),
            Err(store::Error::Conflict | store::Error::Unreadable(_)) => return,
        };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
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
pub(super) async fn write_down(deps: Deps, shutdown: CancellationToken) {
    let unwritten = &deps.unwritten;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TRY_EVERY) => {}
        }
        for subject in unwritten.oldest_first() {
            let Some(_turn) = unwritten.turns.try_take(subject) else { continue };
            match write_one(&deps, subject).await {
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

async fn write_one(deps: &Deps, subject: Subject) -> Result<(), store::Error> {
    let unwritten = &deps.unwritten;
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::ledger::ENTRIES_OF_ONE_MAX;
    use super::*;
    use crate::audit::{Actor, Entry};
    use crate::event::{ObjectId, TenantId};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn person(number: u128) -> Subject {
        Subject { tenant: TenantId(Uuid::nil()), object: ObjectId(Uuid::from_u128(number)) }
    }

    fn entry(subject: Subject, number: usize) -> Entry {
        Entry {
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
        }
    }

    fn ledger(subject: Subject, entries: usize) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.note((0..entries).map(|number| entry(subject, number)));
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
        much.note([entry(person(1), 0)]);
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
