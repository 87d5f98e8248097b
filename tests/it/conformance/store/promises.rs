//! Each promise of a store, told once, for every back end.

use lockstep::case::{Case, CaseId, CaseState, Response, Restraint};
use lockstep::clock::{SignedDuration, Timestamp};
use lockstep::event::{EventId, Lane};
use lockstep::store::{
    DeadLetter, Notice, NoticeFailed, Owed, PostOutcome, SaveCase, SeenDelivery, Store, Topic, WhichCases,
};
use uuid::Uuid;

use super::{Bench, account, at, case, entry, is_conflict, morning, next, person, save, verify};

pub(super) async fn a_case_is_read_as_it_was_saved_also_after_a_restart(bench: &Bench) {
    let store = bench.open().await;
    let first = case(1);
    assert_eq!(store.case(first.id).await.unwrap(), None);
    store.save_case(save(&first)).await.unwrap();
    assert_eq!(store.case(first.id).await.unwrap(), Some(first.clone()));
    let second = next(&first, CaseState::Accepted);
    store.save_case(save(&second)).await.unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.case(first.id).await.unwrap(), Some(second.clone()));
    assert_eq!(store.open_case(person(1)).await.unwrap(), Some(second));
    assert_eq!(store.open_case(person(2)).await.unwrap(), None);
}

pub(super) async fn a_save_over_another_version_is_refused_whole(bench: &Bench) {
    let store = bench.open().await;
    let first = case(1);
    store.save_case(save(&first)).await.unwrap();
    for version in [0, 1, 3, 9] {
        let refused = SaveCase {
            case: Case { version, ..first.clone() },
            audit: vec![entry("case.requested")],
            owed: vec![owed(Topic::Case(first.id), 1)],
            links: vec![account("waad|x")],
        };
        assert!(is_conflict(&store.save_case(refused).await), "version {version}");
    }
    let unknown = Case { version: 2, ..case(2) };
    assert!(is_conflict(&store.save_case(save(&unknown)).await));

    assert_eq!(store.case(first.id).await.unwrap(), Some(first));
    assert_eq!(verify(&*store).await, Ok(0));
    assert_eq!(store.links(person(1)).await.unwrap(), []);
    assert_eq!(store.due_notices("slack", Timestamp::MAX, 10).await.unwrap(), []);
}

pub(super) async fn of_many_saves_of_one_version_one_wins(bench: &Bench) {
    let store = bench.open().await;
    let first = case(1);
    store.save_case(save(&first)).await.unwrap();
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (store, mut mine) = (store.clone(), next(&first, CaseState::Accepted));
        mine.open = vec![format!("saved by {n}")];
        racing.spawn(async move {
            let with_record = SaveCase { audit: vec![entry("case.accepted")], ..save(&mine) };
            (mine, store.save_case(with_record).await)
        });
    }
    let (won, lost): (Vec<_>, Vec<_>) =
        racing.join_all().await.into_iter().partition(|(_, result)| result.is_ok());
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|(_, result)| is_conflict(result)), "{lost:?}");
    assert_eq!(store.case(first.id).await.unwrap().as_ref(), Some(&won[0].0));
    assert_eq!(verify(&*store).await, Ok(1));
}

pub(super) async fn a_person_has_one_open_case_at_a_time(bench: &Bench) {
    let store = bench.open().await;
    let first = case(1);
    let rival = Case { subject: person(1), ..case(2) };
    store.save_case(save(&first)).await.unwrap();
    assert!(is_conflict(&store.save_case(save(&rival)).await));
    let beside = Case { state: CaseState::NotActed, subject: person(1), ..case(3) };
    store.save_case(save(&beside)).await.unwrap();
    let reopened = next(&beside, CaseState::Requested);
    assert!(is_conflict(&store.save_case(save(&reopened)).await));

    let released = next(&first, CaseState::Released);
    store.save_case(save(&released)).await.unwrap();
    assert_eq!(store.open_case(person(1)).await.unwrap(), None);
    store.save_case(save(&rival)).await.unwrap();
    assert_eq!(store.open_case(person(1)).await.unwrap(), Some(rival));
}

pub(super) async fn cases_are_listed_newest_first(bench: &Bench) {
    let store = bench.open().await;
    assert_eq!(store.cases(WhichCases::All, 10).await.unwrap(), []);
    for (n, state) in [(1, CaseState::Requested), (2, CaseState::Released), (3, CaseState::Verified)] {
        let opened_at = at(&format!("2026-03-0{n}T08:00:00Z"));
        store.save_case(save(&Case { state, opened_at, ..case(n) })).await.unwrap();
    }
    let listed = async |which, limit| -> Vec<CaseId> {
        store.cases(which, limit).await.unwrap().iter().map(|case| case.id).collect()
    };
    assert_eq!(listed(WhichCases::All, 10).await, [case(3).id, case(2).id, case(1).id]);
    assert_eq!(listed(WhichCases::All, 2).await, [case(3).id, case(2).id]);
    assert_eq!(listed(WhichCases::Open, 10).await, [case(3).id, case(1).id]);
}

pub(super) async fn the_closed_cases_of_a_person_are_found_by_how_they_ended(bench: &Bench) {
    let store = bench.open().await;
    assert_eq!(store.last_not_acted_case(person(1)).await.unwrap(), None);
    assert_eq!(store.released_cases(person(1), 8).await.unwrap(), []);
    let closed = |n, state, day| Case {
        subject: person(1),
        state,
        opened_at: at(&format!("2026-03-0{day}T08:00:00Z")),
        ..case(n)
    };
    let (first, second) = (closed(1, CaseState::Released, 2), closed(4, CaseState::Released, 4));
    let told = closed(3, CaseState::NotActed, 5);
    let others = [
        closed(2, CaseState::NotActed, 3),
        closed(5, CaseState::Verified, 6),
        Case { subject: person(9), ..closed(6, CaseState::Released, 7) },
        Case { subject: person(9), ..closed(7, CaseState::NotActed, 7) },
    ];
    for case in others.iter().chain([&first, &second, &told]) {
        store.save_case(save(case)).await.unwrap();
    }
    assert_eq!(store.last_not_acted_case(person(1)).await.unwrap(), Some(told));
    assert_eq!(store.released_cases(person(1), 8).await.unwrap(), [second.clone(), first]);
    assert_eq!(store.released_cases(person(1), 1).await.unwrap(), [second]);
}

pub(super) async fn only_cases_that_block_count_for_the_brake(bench: &Bench) {
    let store = bench.open().await;
    let saves = [
        case(1),
        Case { state: CaseState::Released, ..case(2) },
        Case { response: Response::EndSessions, ..case(3) },
        Case { restraint: Some(Restraint::ContainBrake), ..case(4) },
        Case { restraint: Some(Restraint::ObserveMode), state: CaseState::NotActed, ..case(5) },
        Case { restraint: Some(Restraint::Protected), state: CaseState::NotActed, ..case(6) },
        Case { opened_at: at("2026-03-02T07:00:00Z"), ..case(7) },
        Case { opened_at: at("2026-03-02T05:00:00Z"), escalated_at: Some(morning()), ..case(8) },
    ];
    for case in &saves {
        store.save_case(save(case)).await.unwrap();
    }
    let count = async |since, except| store.blocking_cases_since(since, except).await.unwrap();
    assert_eq!(count(morning(), person(99)).await, 3);
    assert_eq!(count(morning(), person(1)).await, 2);
    assert_eq!(count(at("2026-03-02T06:00:00Z"), person(99)).await, 4);
    assert_eq!(count(at("2026-03-02T09:00:00Z"), person(99)).await, 0);
}

pub(super) async fn links_are_added_once_and_removed(bench: &Bench) {
    let store = bench.open().await;
    let (one, two) = (account("auth0|1"), account("waad|c|2"));
    store.add_links(person(1), vec![two.clone(), one.clone(), two.clone()]).await.unwrap();
    store.add_links(person(1), vec![one.clone()]).await.unwrap();
    store.add_links(person(2), vec![account("auth0|3")]).await.unwrap();
    assert_eq!(store.links(person(1)).await.unwrap(), [one.clone(), two.clone()]);
    store.remove_link(person(1), one.clone()).await.unwrap();
    store.remove_link(person(1), one).await.unwrap();
    let with_link = SaveCase { links: vec![account("auth0|4")], ..save(&case(1)) };
    store.save_case(with_link).await.unwrap();
    assert_eq!(store.links(person(1)).await.unwrap(), [account("auth0|4"), two]);
    assert_eq!(store.links(person(2)).await.unwrap(), [account("auth0|3")]);
    assert_eq!(store.links(person(3)).await.unwrap(), []);
}

pub(super) async fn the_audit_is_one_chain_however_many_write_at_once(bench: &Bench) {
    let store = bench.open().await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 1..=30 {
        let store = store.clone();
        writers.spawn(async move {
            let two = vec![entry("action.block"), entry("action.end_access")];
            store.record(two).await.unwrap();
            let case = case(n);
            store.save_case(SaveCase { audit: vec![entry("case.requested")], ..save(&case) }).await.unwrap();
            let refused = SaveCase { audit: vec![entry("case.never")], ..save(&case) };
            assert!(is_conflict(&store.save_case(refused).await));
        });
    }
    writers.join_all().await;
    assert_eq!(verify(&*store).await, Ok(90));
    drop(store);
    let store = bench.open().await;
    store.record(vec![entry("case.released")]).await.unwrap();
    store.record(vec![]).await.unwrap();
    assert_eq!(verify(&*store).await, Ok(91));
}

pub(super) async fn the_audit_is_read_page_by_page(bench: &Bench) {
    let store = bench.open().await;
    let entries: Vec<_> = (1..=5).map(|n| entry(&format!("step.{n}"))).collect();
    store.record(entries.clone()).await.unwrap();
    let page = store.records(2, 2).await.unwrap();
    let seen: Vec<_> = page.iter().map(|record| (record.number, record.entry.clone())).collect();
    assert_eq!(seen, [(3, entries[2].to_bytes()), (4, entries[3].to_bytes())]);
    assert_eq!(store.records(5, 10).await.unwrap(), []);
    assert_eq!(store.records(u64::MAX, 10).await.unwrap(), []);
    assert_eq!(store.audit_head().await.unwrap(), 5);
}

fn owed(topic: Topic, version: u64) -> Owed {
    Owed { topic, channel: "slack".into(), version, text: None, due_at: morning() }
}

fn brake() -> Topic {
    Topic::Notice("brake/2026-03-02T08:00:00Z".into())
}

async fn due(store: &dyn Store, now: Timestamp) -> Vec<Notice> {
    store.due_notices("slack", now, 10).await.unwrap()
}

fn later(minutes: i64) -> Timestamp {
    morning() + SignedDuration::from_mins(minutes)
}

pub(super) async fn a_notice_is_due_until_its_version_was_sent(bench: &Bench) {
    let store = bench.open().await;
    let text = Some("the brake holds".to_owned());
    store.owe(vec![Owed { text: text.clone(), ..owed(brake(), 1) }]).await.unwrap();
    store.owe(vec![Owed { due_at: later(-9), ..owed(brake(), 1) }]).await.unwrap();
    assert_eq!(due(&*store, later(-1)).await, [], "the same version is owed once, at its first time");

    let notice = due(&*store, morning()).await.remove(0);
    let wanted = Notice {
        topic: brake(),
        channel: "slack".into(),
        owed_version: 1,
        sent_version: 0,
        handle: None,
        sending_since: None,
        attempts: 0,
        text,
        owed_at: morning(),
    };
    assert_eq!(notice, wanted);

    assert!(store.notice_sending(&notice, later(1), None).await.unwrap());
    let too_late = store.notice_sending(&notice, later(1), None).await.unwrap();
    assert!(!too_late, "somebody has read the same and was first");
    drop(store);
    let store = bench.open().await;
    let unknown = due(&*store, later(1)).await;
    assert_eq!(unknown, [Notice { sending_since: Some(later(1)), ..wanted }], "a crash is seen afterwards");
    assert!(
        store.notice_sending(&unknown[0], later(2), None).await.unwrap(),
        "whoever has seen it may go on"
    );

    store.notice_sent(&notice, 1, Some("C1/17.5".into())).await.unwrap();
    assert_eq!(due(&*store, Timestamp::MAX).await, []);
}

pub(super) async fn a_newer_version_makes_a_notice_due_at_its_own_time(bench: &Bench) {
    let store = bench.open().await;
    let topic = Topic::Case(case(1).id);
    store.owe(vec![owed(topic.clone(), 1), owed(brake(), 1)]).await.unwrap();
    let notice = due(&*store, morning()).await.into_iter().find(|notice| notice.topic == topic).unwrap();
    let notice = taken(&*store, &notice, morning(), None).await;
    store.owe(vec![Owed { due_at: later(2), ..owed(topic.clone(), 3) }]).await.unwrap();
    store.notice_sent(&notice, 1, Some("C1/17.5".into())).await.unwrap();
    store.owe(vec![Owed { due_at: later(-2), ..owed(topic.clone(), 2) }]).await.unwrap();

    assert_eq!(due(&*store, later(1)).await.len(), 1, "only the brake");
    let again = due(&*store, later(2)).await;
    assert_eq!(
        again.iter().map(|notice| &notice.topic).collect::<Vec<_>>(),
        [&brake(), &topic],
        "oldest first"
    );
    let again = &again[1];
    assert_eq!((again.owed_version, again.sent_version, again.sending_since), (3, 1, None));
    assert_eq!(again.handle.as_deref(), Some("C1/17.5"));

    store.notice_sent(again, 3, None).await.unwrap();
    assert_eq!(due(&*store, later(9)).await.len(), 1, "it was told");
    store.owe(vec![owed(topic, 4)]).await.unwrap();
    let kept = due(&*store, later(9)).await;
    assert!(kept.iter().any(|notice| notice.handle.as_deref() == Some("C1/17.5")), "{kept:?}");
    assert_eq!(store.due_notices("slack", later(9), 1).await.unwrap().len(), 1);
}

/// The notice as it is with whoever has taken it.
async fn taken(store: &dyn Store, read: &Notice, at: Timestamp, handle: Option<&str>) -> Notice {
    let handle = handle.map(str::to_owned);
    assert!(store.notice_sending(read, at, handle.clone()).await.unwrap(), "it was free");
    Notice { sending_since: Some(at), handle, ..read.clone() }
}

pub(super) async fn a_change_of_a_message_is_made_by_one_and_its_successor_is_heard_last(bench: &Bench) {
    let store = bench.open().await;
    let handle = Some("C1/17.5");
    store.owe(vec![owed(brake(), 1)]).await.unwrap();
    let notice = due(&*store, morning()).await.remove(0);
    store.notice_sent(&notice, 1, handle.map(str::to_owned)).await.unwrap();
    store.owe(vec![owed(brake(), 2)]).await.unwrap();

    let read = due(&*store, morning()).await.remove(0);
    let first = taken(&*store, &read, later(1), handle).await;
    assert!(
        !store.notice_sending(&read, later(1), read.handle.clone()).await.unwrap(),
        "one change at a time"
    );
    store.owe(vec![owed(brake(), 3)]).await.unwrap();
    let read = due(&*store, morning()).await.remove(0);
    assert_eq!(
        (read.sending_since, read.handle.as_deref()),
        (Some(later(1)), handle),
        "a killed one is seen"
    );
    let second = taken(&*store, &read, later(2), handle).await;

    // The first one was not dead.
    let failed = NoticeFailed { next_at: later(60), why: "503".into(), outcome: PostOutcome::NotPosted };
    store.notice_failed(&first, failed).await.unwrap();
    assert_eq!(
        due(&*store, morning()).await,
        std::slice::from_ref(&second),
        "who was overtaken lets go of nothing"
    );
    store.notice_sent(&second, 3, None).await.unwrap();
    assert_eq!(due(&*store, Timestamp::MAX).await, []);
    store.notice_sent(&first, 2, None).await.unwrap();
    let again = due(&*store, later(3)).await.remove(0);
    assert_eq!((again.owed_version, again.sent_version), (3, 2), "who was heard last is unknown: once more");

    let anew = taken(&*store, &again, later(3), None).await;
    let kept = due(&*store, later(3)).await.remove(0);
    assert_eq!((kept.handle, kept.sending_since), (None, anew.sending_since), "a message of its own leaves");
}

pub(super) async fn a_failed_notice_waits_and_an_unknown_one_keeps_its_mark(bench: &Bench) {
    let store = bench.open().await;
    store.owe(vec![owed(brake(), 1)]).await.unwrap();
    let notice = due(&*store, morning()).await.remove(0);
    let failed = |outcome, next_at| NoticeFailed { next_at, why: "503".into(), outcome };

    let notice = taken(&*store, &notice, morning(), None).await;
    store.notice_failed(&notice, failed(PostOutcome::Unknown, later(1))).await.unwrap();
    assert_eq!(due(&*store, morning()).await, []);
    let unknown = due(&*store, later(1)).await.remove(0);
    assert_eq!((unknown.attempts, unknown.sending_since), (1, Some(morning())));

    store.notice_failed(&notice, failed(PostOutcome::NotPosted, later(2))).await.unwrap();
    assert_eq!(due(&*store, later(1)).await, []);
    let not_posted = due(&*store, later(2)).await.remove(0);
    assert_eq!((not_posted.attempts, not_posted.sending_since), (2, None));

    store.owe(vec![owed(brake(), 2)]).await.unwrap();
    let newer = due(&*store, morning()).await.remove(0);
    assert_eq!((newer.attempts, newer.owed_version), (0, 2));
}

pub(super) async fn a_case_and_what_is_owed_for_it_are_saved_together(bench: &Bench) {
    let store = bench.open().await;
    let topic = Topic::Case(case(1).id);
    let all = SaveCase {
        case: case(1),
        audit: vec![entry("case.requested")],
        owed: vec![owed(topic.clone(), 1), Owed { channel: "mail".into(), ..owed(topic.clone(), 1) }],
        links: vec![account("waad|c|1")],
    };
    store.save_case(all).await.unwrap();
    for channel in ["mail", "slack"] {
        let owed = store.due_notices(channel, morning(), 10).await.unwrap();
        let owed: Vec<_> = owed.into_iter().map(|notice| (notice.topic, notice.channel)).collect();
        assert_eq!(owed, [(topic.clone(), channel.to_owned())]);
    }
    assert_eq!(verify(&*store).await, Ok(1));
}

pub(super) async fn what_piles_up_on_one_channel_is_not_in_the_way_of_another(bench: &Bench) {
    let store = bench.open().await;
    let by_mail = |n: u128| Owed { channel: "mail".into(), ..owed(Topic::Case(case(n).id), 1) };
    store.owe((1..=20).map(by_mail).collect()).await.unwrap();
    store.owe(vec![Owed { due_at: later(1), ..owed(brake(), 1) }]).await.unwrap();
    let one = store.due_notices("slack", later(1), 1).await.unwrap();
    assert_eq!(one.iter().map(|notice| &notice.topic).collect::<Vec<_>>(), [&brake()]);

    let mail = store.due_notices("mail", later(1), 1).await.unwrap().remove(0);
    let topic = mail.topic.clone();
    store.owe(vec![owed(topic.clone(), 1)]).await.unwrap();
    let mail = taken(&*store, &mail, later(1), None).await;
    store.notice_sent(&mail, 1, None).await.unwrap();
    let chat = due(&*store, later(1)).await.into_iter().find(|notice| notice.topic == topic).unwrap();
    assert_eq!((chat.sent_version, chat.sending_since), (0, None), "nobody has taken or told it there");
}

pub(super) async fn a_newer_version_has_its_own_time(bench: &Bench) {
    let store = bench.open().await;
    store.owe(vec![owed(brake(), 1)]).await.unwrap();
    let notice = due(&*store, morning()).await.remove(0);
    let failed = NoticeFailed { next_at: later(5), why: "503".into(), outcome: PostOutcome::NotPosted };
    store.notice_failed(&notice, failed).await.unwrap();
    assert_eq!(
        due(&*store, later(5)).await.remove(0).owed_at,
        morning(),
        "trying again does not make it newer"
    );
    store.owe(vec![Owed { due_at: later(7), ..owed(brake(), 2) }]).await.unwrap();
    assert_eq!(due(&*store, later(7)).await.remove(0).owed_at, later(7));
}

pub(super) async fn deliveries_are_remembered_and_forgotten(bench: &Bench) {
    let store = bench.open().await;
    let seen = |n: u8, minutes| SeenDelivery { id: [n; 16], signed_at: later(minutes) };
    store.remember_deliveries(vec![seen(1, 1), seen(2, 2), seen(3, 3)], later(0)).await.unwrap();
    store.remember_deliveries(vec![seen(1, 4), seen(3, 1)], later(0)).await.unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.deliveries_since(later(0), 10).await.unwrap(), [seen(1, 4), seen(3, 3), seen(2, 2)]);
    assert_eq!(store.deliveries_since(later(3), 10).await.unwrap(), [seen(1, 4), seen(3, 3)]);
    assert_eq!(store.deliveries_since(later(0), 1).await.unwrap(), [seen(1, 4)]);
    store.remember_deliveries(vec![seen(4, 5)], later(3)).await.unwrap();
    assert_eq!(store.deliveries_since(later(0), 10).await.unwrap(), [seen(4, 5), seen(1, 4), seen(3, 3)]);
}

fn letter(n: u128, lane: Lane, minutes: i64) -> DeadLetter {
    DeadLetter {
        id: EventId(Uuid::from_u128(n)),
        lane,
        envelope: b"{\"v\":9}\xff\0".to_vec(),
        reason: "envelope version 9".into(),
        attempts: 3,
        died_at: later(minutes),
    }
}

pub(super) async fn a_dead_letter_is_there_once_with_the_newest_reason(bench: &Bench) {
    let store = bench.open().await;
    let again = DeadLetter { reason: "still".into(), attempts: 6, ..letter(1, Lane::Contain, 9) };
    store.bury(letter(1, Lane::Contain, 1)).await.unwrap();
    store.bury(letter(2, Lane::Sync, 2)).await.unwrap();
    store.bury(letter(3, Lane::Sync, 3)).await.unwrap();
    store.bury(again.clone()).await.unwrap();
    drop(store);
    let store = bench.open().await;
    let (two, three) = (letter(2, Lane::Sync, 2), letter(3, Lane::Sync, 3));
    assert_eq!(store.dead_letters(10).await.unwrap(), [again.clone(), three.clone(), two]);
    assert_eq!(store.dead_letters(2).await.unwrap(), [again.clone(), three]);
    assert_eq!(store.dead_letter(again.id).await.unwrap(), Some(again));
    assert_eq!(store.dead_letter(EventId(Uuid::from_u128(4))).await.unwrap(), None);
    let mut counts = store.dead_letter_counts().await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [(Lane::Contain, 1), (Lane::Sync, 2), (Lane::Bulk, 0)]);
}

pub(super) async fn a_removed_dead_letter_is_on_record(bench: &Bench) {
    let store = bench.open().await;
    let letter = letter(1, Lane::Contain, 1);
    store.bury(letter.clone()).await.unwrap();
    store.remove_dead_letter(letter.id, entry("dead_letter.replayed")).await.unwrap();
    store.remove_dead_letter(letter.id, entry("dead_letter.replayed")).await.unwrap();
    assert_eq!(store.dead_letter(letter.id).await.unwrap(), None);
    assert_eq!(store.records(0, 10).await.unwrap()[0].entry, entry("dead_letter.replayed").to_bytes());
    assert_eq!(verify(&*store).await, Ok(1), "what was not there was not removed, and not recorded");
    let mut counts = store.dead_letter_counts().await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [(Lane::Contain, 0), (Lane::Sync, 0), (Lane::Bulk, 0)]);
}

pub(super) async fn a_store_that_works_says_that_it_is_ready(bench: &Bench) {
    bench.open().await.ready().await.unwrap();
}
