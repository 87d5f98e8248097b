//! The promises of `lockstep::store::Store`, and the bench that holds each back end to them.
//!
//! A back end plugs in by a module below with a `bench()` and one line, `hold_to_every_promise!(bench)`.

mod people;
mod promises;
mod sqlite;
mod tasks;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use lockstep::audit::{Actor, Broken, Entry, Verifier};
use lockstep::case::{
    AccountId, AccountProgress, BlockProgress, Case, CaseId, CaseState, Means, Reason, Response,
};
use lockstep::clock::Timestamp;
use lockstep::event::{EventId, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId};
use lockstep::snapshot::sync::Remembered;
use lockstep::store::{Error, SaveCase, SavePerson, Store};
use uuid::Uuid;

/// One `#[tokio::test]` per promise for the back end that `$bench` sets up.
macro_rules! hold_to_every_promise {
    ($bench:path) => {
        $crate::conformance::store::hold_to_every_promise! { @ $bench: promises:
            a_case_is_read_as_it_was_saved_also_after_a_restart,
            a_save_over_another_version_is_refused_whole,
            of_many_saves_of_one_version_one_wins,
            a_person_has_one_open_case_at_a_time,
            cases_are_listed_newest_first,
            the_closed_cases_of_a_person_are_found_by_how_they_ended,
            only_cases_that_block_count_for_the_brake,
            links_are_added_once_and_removed,
            the_audit_is_one_chain_however_many_write_at_once,
            the_audit_is_read_page_by_page,
            a_notice_is_due_until_its_version_was_sent,
            a_newer_version_makes_a_notice_due_at_its_own_time,
            a_change_of_a_message_is_made_by_one_and_its_successor_is_heard_last,
            a_failed_notice_waits_and_an_unknown_one_keeps_its_mark,
            a_case_and_what_is_owed_for_it_are_saved_together,
            what_piles_up_on_one_channel_is_not_in_the_way_of_another,
            a_newer_version_has_its_own_time,
            deliveries_are_remembered_and_forgotten,
            a_dead_letter_is_there_once_with_the_newest_reason,
            a_removed_dead_letter_is_on_record,
            a_store_that_works_says_that_it_is_ready,
        }
        $crate::conformance::store::hold_to_every_promise! { @ $bench: people:
            a_person_is_remembered_as_saved_also_after_a_restart,
            a_person_is_saved_with_records_debts_and_links,
            a_save_of_what_is_known_records_only_what_is_new,
            a_forgotten_person_is_on_record_once,
            people_are_found_by_the_groups_they_are_in_now,
            people_come_in_pages_of_their_own_order,
            people_who_are_due_come_oldest_first,
            people_with_findings_are_told_whole,
            the_groups_turned_round_agree_after_any_saves,
            saves_of_many_people_at_once_do_not_mix,
            a_hundred_thousand_people_are_paged_without_a_gap,
        }
        $crate::conformance::store::hold_to_every_promise! { @ $bench: tasks:
            a_note_holds_until_it_is_taken_away_also_after_a_restart,
            notes_are_set_together,
            a_lease_is_its_holders_until_it_ends_or_is_let_go,
            of_many_who_try_for_a_lease_one_gets_it,
        }
    };
    (@ $bench:path: $topic:ident: $($promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let Some(bench) = $bench().await else { return };
                $crate::conformance::store::$topic::$promise(&bench).await;
            }
        )*
    };
}
use hold_to_every_promise;

/// A place where one store lives, empty at first, that can be opened again and again.
struct Bench {
    open: Box<dyn Fn() -> BoxFuture<'static, Arc<dyn Store>> + Send + Sync>,
    /// What must live as long as the bench: a directory, a database.
    _keep: Box<dyn Any + Send + Sync>,
}

impl Bench {
    async fn open(&self) -> Arc<dyn Store> {
        (self.open)().await
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn morning() -> Timestamp {
    at("2026-03-02T08:00:00.123456Z")
}

fn person(n: u128) -> Subject {
    Subject { tenant: TenantId(Uuid::from_u128(1)), object: ObjectId(Uuid::from_u128(n)) }
}

fn account(text: &str) -> AccountId {
    AccountId::read(text).unwrap()
}

/// A first version of case number `n` about person number `n`: requested, blocking.
fn case(n: u128) -> Case {
    let event = EventId(Uuid::from_u128(n));
    let progress = AccountProgress {
        block: BlockProgress::Ours,
        ended_by: Some(Means::RevokeAccess),
        ended_at: Some(morning()),
        also: BTreeMap::new(),
        open: vec!["one session".into()],
    };
    Case {
        id: CaseId::opened_by(event),
        version: 1,
        subject: person(n),
        display_name: Some("Zo\u{eb} \"Z\" M\u{fc}ller".into()),
        state: CaseState::Requested,
        reason: Reason::Risk(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: None,
            detected_at: None,
        }),
        source: Source::Risk,
        response: Response::Contain,
        restraint: None,
        entra_sessions: None,
        look_alikes: None,
        accounts: BTreeMap::from([(account("waad|con|3b1f"), progress)]),
        open: vec![],
        event,
        signal_at: Some(at("2026-03-02T07:59:59.999999999Z")),
        received_at: morning(),
        opened_at: morning(),
        accepted_at: None,
        verified_at: None,
        released_at: None,
        causes: Vec::new(),
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: None,
        verify_by: at("2026-03-02T08:01:00Z"),
        exposed_until: None,
    }
}

/// The next version, in another state.
fn next(case: &Case, state: CaseState) -> Case {
    Case { version: case.version + 1, state, ..case.clone() }
}

fn save(case: &Case) -> SaveCase {
    SaveCase { case: case.clone(), audit: vec![], owed: vec![], links: vec![] }
}

fn group(n: u128) -> ObjectId {
    ObjectId(Uuid::from_u128(0xa0 + n))
}

/// Person number `n`, who was in these groups.
fn remembered<const N: usize>(n: u128, groups: [u128; N]) -> Remembered {
    Remembered { groups: groups.map(group).into(), ..Remembered::new(person(n)) }
}

fn save_of(person: Remembered) -> SavePerson {
    SavePerson { person, audit: vec![], owed: vec![], links: vec![], gone_links: vec![] }
}

fn entry(what: &str) -> Entry {
    Entry {
        at: morning(),
        actor: Actor::Operator("ops".into()),
        subject: Some(person(1)),
        case: Some(case(1).id),
        event: None,
        account: None,
        what: what.into(),
        sentence: format!("{what} \u{2713}"),
        before: None,
        after: Some("blocked".into()),
        outcome: None,
    }
}

/// Walks the whole audit and says how many records there are, or what is wrong.
async fn verify(store: &dyn Store) -> Result<u64, Broken> {
    let mut verifier = Verifier::default();
    let mut after = 0;
    loop {
        let page = store.records(after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.number;
        for record in &page {
            verifier.take(record.number, &record.entry, &record.hash.0)?;
        }
    }
    verifier.finish(store.audit_head().await.unwrap())
}

fn is_conflict(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Conflict))
}
