//! Commands that change something ask the running server; here its admin listener runs inside the test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

use lockstep::case::{CaseId, CaseState};
use lockstep::event::{EventKind, Lane};
use lockstep::store::Store;

use super::program::Place;
use super::samples::{ANN, case, event_id, letter, save};
use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn contain_enqueues_the_request_with_who_and_why() {
    let server = Server::start().await;
    let person = ANN.to_string();
    let ran = server.run(&["contain", &person, "--reason", "phished", "--yes", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    let event = server.next(Lane::Contain).await;
    assert_eq!(ran.json()["event"], event.id.to_string());
    assert_eq!(ran.json()["case"], CaseId::opened_by(event.id).to_string());
    let EventKind::ContainRequested { by, reason } = event.kind else { panic!("{event:?}") };
    assert!(by.starts_with("eve@") && reason == "phished", "{by}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn release_enqueues_waits_and_is_done_when_done_before() {
    let server = Server::start().await;
    let open = case(1, CaseState::Verified);
    let id = open.id.to_string();
    save(&server.store, open.clone()).await;
    let waiting = server.spawn(&["release", &id, "--reason", "false alarm", "--yes", "--wait"]);
    let event = server.next(Lane::Contain).await;
    let EventKind::ReleaseRequested { by, case: asked, reason } = event.kind else { panic!("{event:?}") };
    assert!(by.starts_with("eve@") && asked == open.id && reason == "false alarm");
    save(&server.store, lockstep::case::Case { version: 2, ..case(1, CaseState::Released) }).await;
    let ran = waiting.await.unwrap();
    assert_eq!(ran.code, 0, "{ran:#?}");

    let again = server.run(&["release", &id, "--reason", "false alarm", "--yes"]).await;
    assert_eq!(again.code, 0, "{again:#?}");
    assert!(again.talk.contains("released already"));
    let unknown =
        server.run(&["release", "case_00000000000000000000000000000009", "--reason", "x", "--yes"]).await;
    assert_eq!(unknown.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_and_dropped_with_a_trace_in_the_audit() {
    let server = Server::start().await;
    for number in [7, 8] {
        server.store.bury(letter(number)).await.unwrap();
    }
    let (seven, eight) = (event_id(7).to_string(), event_id(8).to_string());
    let ran = server.run(&["dead", "replay", &seven]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(server.next(Lane::Sync).await.id, event_id(7));
    assert_eq!(
        server.run(&["dead", "drop", &eight, "--reason", "left in May"]).await.code,
        64,
        "needs --yes"
    );
    assert_eq!(server.run(&["dead", "drop", &eight, "--reason", "left in May", "--yes"]).await.code, 0);
    assert_eq!(
        server.run(&["dead", "drop", &eight, "--reason", "left in May", "--yes"]).await.code,
        1,
        "is gone"
    );
    assert_eq!(server.store.dead_letters(10).await.unwrap(), Vec::new());
    let trace = server.run(&["audit", "tail"]).await.out;
    assert!(
        trace.contains("dead_letter.replayed") && trace.contains("left in May") && trace.contains("eve@"),
        "{trace}"
    );
    assert_eq!(server.run(&["audit", "verify"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_wishes_for_what_was_asked_and_who_asked_is_on_record() {
    let server = Server::start().await;
    // Everybody is not all: who was purged is in no listing.
    for (arguments, wishes_whole) in
        [(&["sweep", "--json"][..], false), (&["sweep", "--whole", "--json"], true)]
    {
        let ran = server.run(arguments).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        let asked_at = ran.json()["asked_at"].as_str().map(str::to_owned);
        assert_eq!((asked_at.is_some(), &ran.json()["done"]), (true, &false.into()));
        for (wish, is_wished) in [("wish.sweep", true), ("wish.whole_sweep", wishes_whole)] {
            let wished = server.store.note(wish).await.unwrap();
            assert_eq!(wished, asked_at.clone().filter(|_| is_wished), "{arguments:?}: {wish}");
            server.store.set_note(wish, None).await.unwrap();
        }
    }
    let trace = server.run(&["audit", "tail"]).await.out;
    assert!(trace.contains("eve@") && trace.contains("look at everybody now"), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_is_0_when_queue_and_store_can_be_used() {
    let server = Server::start().await;
    let ran = server.run(&["healthcheck"]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "ready"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_and_nothing_is_done_without_a_terminal() {
    let server = Server::start().await;
    save(&server.store, case(1, CaseState::Verified)).await;
    let (person, id) = (ANN.to_string(), case(1, CaseState::Verified).id.to_string());
    for arguments in [["contain", &person, "--reason", "x"], ["release", &id, "--reason", "x"]] {
        let ran = server.run(&arguments).await;
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{ran:#?}");
        assert!(ran.talk.contains("add --yes"), "{}", ran.talk);
    }
    assert_eq!(server.queue.depths().await.unwrap()[&Lane::Contain].events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_a_person_is_asked_and_only_y_goes_on() {
    let server = Server::start().await;
    let contain = ["contain", &ANN.to_string(), "--reason", "x"];
    for (typed, code, events) in [("\n", 1, 0), ("n\n", 1, 0), ("y\n", 0, 1)] {
        let mut command = server.place.command(&contain);
        let (code_seen, said) =
            tokio::task::spawn_blocking(move || answer(&mut command, typed)).await.unwrap();
        assert_eq!(code_seen, code, "{typed:?}: {said}");
        assert!(said.contains(&format!("Lock {ANN} out of Auth0? [y/N]")), "{said}");
        assert_eq!(server.queue.depths().await.unwrap()[&Lane::Contain].events, events, "{typed:?}");
    }
}

/// Runs `command` on a terminal of its own and types `text`; tells how it ended and what was on the screen.
fn answer(command: &mut std::process::Command, text: &str) -> (i32, String) {
    let (mut person, program) = terminal();
    command.stdin(program.try_clone().unwrap()).stderr(program.try_clone().unwrap()).stdout(program);
    let mut child = command.spawn().unwrap();
    // The command keeps the program's side open as long as it lives.
    *command = std::process::Command::new("true");
    person.write_all(text.as_bytes()).unwrap();
    let mut screen = Vec::new();
    // When the last program leaves a terminal, Linux answers the reader with EIO instead of an end.
    let _ = person.read_to_end(&mut screen);
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&screen).into_owned())
}

/// A new terminal: the person's side and the program's.
fn terminal() -> (File, File) {
    let (mut person, mut program) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: both pointers are valid for one descriptor each; the optional arguments may be null.
    let made = unsafe { libc::openpty(&mut person, &mut program, none, none.cast(), none.cast()) };
    assert_eq!(made, 0, "no terminal can be made");
    // SAFETY: both descriptors were just made and belong to nobody else.
    unsafe { (File::from_raw_fd(person), File::from_raw_fd(program)) }
}

#[test]
fn a_server_that_is_away_is_75() {
    let mut place = Place::new();
    let person = ANN.to_string();
    let contain = ["contain", &person, "--reason", "x", "--yes"];
    let ran = place.run(&contain);
    assert_eq!(ran.code, 75, "{ran:#?}");
    assert!(ran.talk.contains("admin.token") && ran.talk.contains("lockstep serve"), "{}", ran.talk);

    place.write("data/admin.token", &"0".repeat(64)).path("data");
    place.set("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:9");
    let ran = place.run(&contain);
    assert_eq!(ran.code, 75, "{ran:#?}");
    assert!(ran.talk.contains("127.0.0.1:9 cannot be reached"), "{}", ran.talk);
    assert!(!ran.talk.contains(&"0".repeat(64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_server_is_refused_and_explained() {
    let server = Server::start().await;
    server.place.write("data/admin.token", &"0".repeat(64));
    let ran = server.run(&["contain", &ANN.to_string(), "--reason", "x", "--yes"]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.talk.contains("another data directory"), "{}", ran.talk);
}
