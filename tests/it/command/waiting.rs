//! What `--wait` ends with: by the case, the dead letter, or the sweep that came of the request.

use lockstep::case::{Case, CaseState, Cause, Reason, Response};
use lockstep::event::{Event, EventKind, Lane, SweepDepth};
use lockstep::store::Store;

use super::samples::{ANN, case, event, letter, save};
use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_ends_with_0_when_the_case_is_verified() {
    let server = Server::start().await;
    let waiting =
        server.spawn(&["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait", "--timeout", "20"]);
    let event = server.next(Lane::Contain).await;
    save(&server.store, case(event.id.0.as_u128(), CaseState::Verified)).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("verified") && ran.out.contains("waad|contoso|ann blocked"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_ends_with_4_and_says_what_is_open() {
    let server = Server::start().await;
    // The case's own deadline for the read-back has passed long ago.
    save(&server.store, case(1, CaseState::Accepted)).await;
    let waiting = server.spawn(&["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait"]);
    let asked = server.next(Lane::Contain).await;
    save(&server.store, taken_up(case(1, CaseState::Accepted), &asked)).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(
        ran.talk.contains("not verified: Auth0 cannot be reached; waad|contoso|ann: 1 session"),
        "{}",
        ran.talk
    );
}

/// The open case, looked at for what was asked.
fn taken_up(case: Case, asked: &Event) -> Case {
    let reason = Reason::Operator { by: "eve".into(), reason: "x".into() };
    let (source, response, as_of) = (asked.source, Response::Contain, asked.received_at);
    Case { version: 2, causes: vec![Cause { reason, source, response, as_of }], ..case }
}

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_takes_no_earlier_proof_for_one_of_now() {
    let server = Server::start().await;
    let contain = ["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait"];
    // Proven long ago; whether the block was lifted since, nobody has looked.
    save(&server.store, case(1, CaseState::Verified)).await;
    let ran = server.run(&[&contain[..], &["--timeout", "1"]].concat()).await;
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.talk.contains("nobody has looked at it in time"), "{}", ran.talk);
    server.next(Lane::Contain).await;

    // Looked at, and Auth0 could not be read.
    let waiting = server.spawn(&contain);
    let asked = server.next(Lane::Contain).await;
    let mut unread = taken_up(case(1, CaseState::Verified), &asked);
    unread.open = vec!["Auth0 could not be read: down".into()];
    save(&server.store, unread).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.talk.contains("not verified: Auth0 could not be read"), "{}", ran.talk);

    let waiting = server.spawn(&contain);
    let asked = server.next(Lane::Contain).await;
    let read = Case { version: 3, ..taken_up(case(1, CaseState::Verified), &asked) };
    save(&server.store, read).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_another_process_works_and_the_store_is_full_nobody_waits_for_what_cannot_be_known() {
    let server = Server::start().await;
    // Nobody can write while it is locked, and so nothing comes on record.
    let beside = rusqlite::Connection::open(server.place.path("data/lockstep.db")).unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let contain = ["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait", "--timeout", "600"];
    let ran = server.run(&contain).await;
    assert_eq!(ran.code, 4, "{ran:#?}");
    for told in ["the store cannot be written", "no worker", "contained, but not on record yet"] {
        assert!(ran.talk.contains(told), "{told}: {}", ran.talk);
    }
    beside.execute_batch("COMMIT").unwrap();
    let unknown = ["release", "case_00000000000000000000000000000009", "--reason", "x", "--yes"];
    let ran = server.run(&unknown).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.talk.contains("only the worker that opened it knows it"), "{}", ran.talk);
}

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_ends_with_4_when_observe_mode_held_it_back() {
    let server = Server::start().await;
    let waiting = server.spawn(&["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait"]);
    let event = server.next(Lane::Contain).await;
    let mut held = case(event.id.0.as_u128(), CaseState::NotActed);
    held.restraint = Some(lockstep::case::Restraint::ObserveMode);
    save(&server.store, held).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.talk.contains("observe mode: nothing was written"), "{}", ran.talk);
}

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_ends_with_0_when_there_is_no_account_to_contain() {
    let server = Server::start().await;
    let waiting = server.spawn(&["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait"]);
    let event = server.next(Lane::Contain).await;
    let mut nothing = case(event.id.0.as_u128(), CaseState::NotActed);
    nothing.accounts.clear();
    save(&server.store, nothing).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("Nothing to contain"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn contain_wait_ends_with_1_when_the_request_became_a_dead_letter() {
    let server = Server::start().await;
    let waiting = server.spawn(&["contain", &ANN.to_string(), "--reason", "x", "--yes", "--wait"]);
    let event = server.next(Lane::Contain).await;
    let dead = lockstep::store::DeadLetter { id: event.id, lane: Lane::Contain, ..letter(1) };
    server.store.bury(dead).await.unwrap();
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.talk.contains("dead letter: Graph refused"), "{}", ran.talk);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_wait_ends_with_0_when_everybody_is_listed_and_nobody_is_left() {
    let server = Server::start().await;
    let ran = server.run(&["sweep", "--wait", "--timeout", "1"]).await;
    assert_eq!(ran.code, 75, "{ran:#?}");
    assert!(ran.talk.contains("was not listed to its end"), "{}", ran.talk);

    server.store.set_note("sweep.whole_at", Some("2026-03-02T08:00:00Z".into())).await.unwrap();
    let swept = Event { kind: EventKind::Swept { depth: SweepDepth::Whole }, ..event(1) };
    server.queue.enqueue(&[swept]).await.unwrap();
    for (timeout, code, told) in [("2", 75, "1 events wait"), ("20", 0, "done: everybody was looked at")] {
        let waiting = server.spawn(&["sweep", "--whole", "--wait", "--timeout", timeout]);
        server.list_everybody().await;
        if code == 0 {
            server.next(Lane::Bulk).await;
        }
        let ran = waiting.await.unwrap();
        assert_eq!(ran.code, code, "{ran:#?}");
        assert!(format!("{}{}", ran.out, ran.talk).contains(told), "{ran:#?}");
    }
}
