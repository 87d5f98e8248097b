//! One person's ledger, and how it is compared with what the store holds.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::anyhow;

use super::super::{Deps, record};
use crate::audit::{Actor, Entry};
use crate::case::{AccountId, Case};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, Subject};
use crate::policy::Policy;
use crate::store::{self, Owed, SaveCase, Store};

/// Entries kept of one person: some twenty times locked out anew. The audit tells that there were more.
pub(super) const ENTRIES_OF_ONE_MAX: usize = 200;
/// Saves of one case of which it may be unknown whether they came through.
const IN_DOUBT_MAX: usize = 8;
/// A store that is locked or stalls must not hold up whoever is to be locked out; what becomes of the save shows later.
const SAVE_WAIT_MAX: Duration = Duration::from_secs(2);

/// What a write answers, or that it did not in time: then it may still come through.
pub(in crate::worker) async fn within_reason(
    write: impl Future<Output = Result<(), store::Error>>,
) -> Result<(), store::Error> {
    let answered = tokio::time::timeout(SAVE_WAIT_MAX, write).await;
    answered.unwrap_or_else(|_| Err(store::Error::Unavailable(anyhow!("it does not answer in time"))))
}

/// One person's case as it stands, and what is still to be written down.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Ledger {
    /// What the store holds, as far as is known.
    stored: Option<Case>,
    pub case: Option<Case>,
    pub(super) entries: Vec<Entry>,
    links: BTreeSet<AccountId>,
    in_doubt: Vec<Doubt>,
    /// Events of which everything has been done, but for the record.
    answered: Vec<EventId>,
}

/// A save that perhaps came through.
#[derive(Debug, Clone)]
struct Doubt {
    case: Case,
    /// How many of the ledger's entries went with it.
    entries: usize,
    /// The ledger went on as if it had not been tried.
    given_up: bool,
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

    /// `other`, which went on from here, could not be saved and is given up; perhaps it came through all the same.
    pub(in crate::worker) fn doubt(&mut self, other: Ledger) {
        let (known, entries) = (self.in_doubt.len(), self.entries.len());
        let new = other.in_doubt.into_iter().skip(known);
        self.in_doubt.extend(new.map(|doubt| Doubt { entries, given_up: true, ..doubt }));
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
            let recorded = deps.store.record(self.entries.clone()).await;
            deps.unwritten.heard(&recorded);
            recorded?;
            self.entries.clear();
            return Ok(());
        };
        let stored = self.stored.as_ref();
        let case = Case { version: stored.map_or(1, |stored| stored.version + 1), ..case.clone() };
        let news = stored.is_none_or(|stored| !same_for_people(stored, &case));
        let owed = match news {
            true => record::owed(deps.telling(policy), stored, &case, policy.contain.brake, now),
            false => Vec::new(),
        };
        let before = self.stored.clone();
        let put = self.put(deps.store.as_ref(), case, owed).await;
        deps.unwritten.heard(&put);
        put?;
        if let Some(case) = &self.case {
            record::measure(&deps.metrics, before.as_ref(), case);
            record::log_change(before.as_ref(), case, case.subject);
        }
        deps.owed.poke();
        Ok(())
    }

    async fn put(&mut self, store: &dyn Store, case: Case, owed: Vec<Owed>) -> Result<(), store::Error> {
        let (links, audit) = (self.links.iter().cloned().collect(), self.entries.clone());
        let save = store.save_case(SaveCase { case: case.clone(), audit, owed, links });
        match within_reason(save).await {
            Ok(()) => {
                *self = Ledger::of(Some(case));
                Ok(())
            }
            Err(error) => {
                let is_known = self.in_doubt.iter().any(|doubt| doubt.case == case);
                let is_in_doubt = matches!(error, store::Error::Unavailable(_)) && !is_known;
                if is_in_doubt && self.in_doubt.len() < IN_DOUBT_MAX {
                    self.in_doubt.push(Doubt { case, entries: self.entries.len(), given_up: false });
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
        mut open: Option<Case>,
    ) -> Result<Ledger, store::Error> {
        if let Some(id) = self.case.as_ref().map(|case| case.id) {
            // A save may come through between two reads: `open` is asked again only where it is not this case.
            let held = match &open {
                Some(open) if open.id == id => Some(open.clone()),
                _ => store.case(id).await?,
            };
            if let Some(held) = held {
                self.came_through(&held);
                open = Some(held).filter(|held| held.state.is_open()).or(open);
            }
        }
        if version(self.stored.as_ref()) != version(open.as_ref()) {
            self = Ledger { entries: self.entries, ..Ledger::of(open) };
        }
        Ok(self)
    }

    /// A save in doubt that the store holds now was none of somebody else's. The ledger is what followed it; but one
    /// that was given up had no successor, and the case must not go back to what it was before.
    fn came_through(&mut self, held: &Case) {
        let Some(doubt) = self.in_doubt.iter().find(|doubt| doubt.case == *held) else { return };
        self.entries.drain(..doubt.entries.min(self.entries.len()));
        if doubt.given_up {
            self.case = Some(held.clone());
        }
        self.stored = Some(held.clone());
        self.in_doubt.clear();
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
        // What went with a save beyond those is not here any more; that there was more is told all the same.
        for doubt in &mut self.in_doubt {
            doubt.entries = doubt.entries.min(ENTRIES_OF_ONE_MAX);
        }
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
    // That nobody looks alike is no news.
    let look_alikes = match (&stored.look_alikes, &case.look_alikes) {
        (None, Some(found)) if found.is_empty() => None,
        (_, found) => found.clone(),
    };
    stored.why() == case.why() && same_but_version(stored, &Case { causes, look_alikes, ..case.clone() })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::json;

    use super::*;
    use crate::case::CaseState;
    use crate::store::sqlite::{Settings, Sqlite};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A store that answers late: as long as somebody else has its file locked, saves wait and come through afterwards.
    struct Late {
        store: Sqlite,
        beside: Connection,
        _dir: tempfile::TempDir,
    }

    impl Late {
        fn new() -> Late {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("lockstep.db");
            let store = Sqlite::open(&Settings { file: file.clone() }).unwrap();
            Late { store, beside: Connection::open(file).unwrap(), _dir: dir }
        }

        fn lock(&self) {
            self.beside.execute_batch("BEGIN IMMEDIATE").unwrap();
        }

        async fn unlock_until(&self, saved: &Case) {
            self.beside.execute_batch("COMMIT").unwrap();
            let comes_through = async {
                while self.store.case(saved.id).await.unwrap().as_ref() != Some(saved) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, comes_through).await.expect("the save did not come through");
        }

        async fn open(&self, case: &Case) -> Option<Case> {
            self.store.open_case(case.subject).await.unwrap()
        }

        async fn told(&self) -> Vec<String> {
            let records = self.store.records(0, 100).await.unwrap().into_iter();
            records.map(|record| serde_json::from_slice::<Entry>(&record.entry).unwrap().what).collect()
        }
    }

    fn case(state: CaseState) -> Case {
        let id = uuid::Uuid::from_u128(7);
        let case = json!({
            "id": format!("case_{}", id.simple()), "version": 1, "subject": { "tenant": id, "object": id },
            "state": state, "reason": "disabled", "source": "graph", "response": "contain", "accounts": {}, "open": [],
            "event": id, "received_at": NOW, "opened_at": NOW, "verify_by": NOW,
        });
        serde_json::from_value(case).unwrap()
    }

    fn advanced(from: &Ledger, state: CaseState) -> Ledger {
        let mut ledger = from.clone();
        ledger.advance(case(state), Vec::new(), Vec::new(), NOW);
        ledger
    }

    async fn save(late: &Late, ledger: &mut Ledger) -> (Case, Result<(), store::Error>) {
        let version = ledger.stored.as_ref().map_or(1, |stored| stored.version + 1);
        let case = Case { version, ..ledger.case.clone().unwrap() };
        (case.clone(), ledger.put(&late.store, case, Vec::new()).await)
    }

    #[tokio::test]
    async fn a_save_that_was_given_up_and_comes_through_is_not_taken_back() {
        let late = Late::new();
        let mut ledger = advanced(&Ledger::default(), CaseState::Verified);
        late.lock();
        let mut releasing = advanced(&ledger, CaseState::Releasing);
        let (saved, answer) = save(&late, &mut releasing).await;
        assert!(matches!(answer, Err(store::Error::Unavailable(_))), "{answer:?}");
        ledger.doubt(releasing);
        // Something is done meanwhile that did not go with it.
        ledger.note(record::changed(None, &case(CaseState::Accepted), NOW));
        late.unlock_until(&saved).await;

        let ledger = ledger.meet(&late.store, late.open(&saved).await).await.unwrap();
        assert_eq!(ledger.case.as_ref(), Some(&saved));
        let left: Vec<_> = ledger.entries.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(left, ["case.accepted"], "what went with the save is not recorded again, and the rest is");
        assert_eq!(late.told().await, ["case.verified", "case.releasing"]);
    }

    #[tokio::test]
    async fn what_was_done_after_a_save_in_doubt_stands_when_that_comes_through() {
        let late = Late::new();
        let mut ledger = advanced(&Ledger::default(), CaseState::Requested);
        late.lock();
        let (saved, answer) = save(&late, &mut ledger).await;
        assert!(matches!(answer, Err(store::Error::Unavailable(_))), "{answer:?}");
        let ledger = advanced(&ledger, CaseState::Verified);
        let not_yet = late.open(&saved).await;
        late.unlock_until(&saved).await;

        // It comes through after the open case was read, or before: no difference.
        for open in [not_yet, late.open(&saved).await] {
            let ledger = ledger.clone().meet(&late.store, open).await.unwrap();
            assert_eq!(ledger.case.as_ref().map(|case| case.state), Some(CaseState::Verified));
            assert_eq!((ledger.stored, ledger.entries.len()), (Some(saved.clone()), 1));
        }
        assert_eq!(late.told().await, ["case.requested"]);
    }

    #[tokio::test]
    async fn a_save_that_comes_through_is_known_again_after_entries_had_to_be_cut() {
        let late = Late::new();
        let mut ledger = advanced(&Ledger::default(), CaseState::Requested);
        late.lock();
        let (saved, _) = save(&late, &mut ledger).await;
        let mut ledger = advanced(&ledger, CaseState::Verified);
        let more = record::changed(None, &case(CaseState::Accepted), NOW).unwrap();
        ledger.note(vec![more; ENTRIES_OF_ONE_MAX]);
        ledger.cut(saved.subject, NOW);
        late.unlock_until(&saved).await;

        let ledger = ledger.meet(&late.store, late.open(&saved).await).await.unwrap();
        assert_eq!(ledger.case.as_ref().map(|case| case.state), Some(CaseState::Verified));
        assert_eq!(ledger.entries.len(), ENTRIES_OF_ONE_MAX, "without the one that went with the save");
    }

    #[tokio::test]
    async fn entries_of_a_case_that_is_over_do_not_hide_the_next_one() {
        let late = Late::new();
        let mut next = advanced(&Ledger::default(), CaseState::Verified);
        let (saved, answer) = save(&late, &mut next).await;
        answer.unwrap();
        let mut left = Ledger::default();
        left.note(record::changed(None, &case(CaseState::Accepted), NOW));
        let ledger = left.meet(&late.store, late.open(&saved).await).await.unwrap();
        assert_eq!((ledger.case, ledger.entries.len()), (Some(saved), 1));
    }
}
