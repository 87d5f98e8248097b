//! Commands that change something ask the running server; here its admin listener runs inside the test.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockstep::case::{Case, CaseId, CaseState, Cause, Reason, Response};
use lockstep::clock::{Clock, SystemClock};
use lockstep::event::{Event, EventKind, Lane, SweepDepth};
use lockstep::queue::{Body, Delivery, Queue, Settlement};
use lockstep::server::{self, AdminDeps, AdminToken};
use lockstep::store::Store;
use lockstep::store::sqlite::Sqlite;
use tokio_util::sync::CancellationToken;

use super::program::{Place, Ran};
use super::samples::{ANN, TENANT, case, event, event_id, letter, save, store};

const DEADLINE: Duration = Duration::from_secs(20);

/// The admin listener over a queue and a store in the place's data directory.
struct Server {
    place: Arc<Place>,
    queue: Arc<dyn Queue>,
    store: Arc<Sqlite>,
    shutdown: CancellationToken,
}

impl Server {
    async fn start() -> Server {
        let mut place = Place::new();
        let data = place.path("data");
        let store = Arc::new(store(place.dir.path()));
        let queue = queue(&data);
        let shutdown = CancellationToken::new();
        let settings = server::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            admin_token_file: data.join("admin.token"),
        };
        let deps = AdminDeps {
            queue: queue.clone(),
            store: store.clone(),
            clock: Arc::new(SystemClock),
            metrics: lockstep::telemetry::Metrics::new(),
            tenant: TENANT,
            token: AdminToken::load_or_create(&settings.admin_token_file).unwrap(),
            address: settings.admin_listen.ip(),
            unwritten: None,
        };
        let admin = server::admin_router(deps);
        let running = server::serve(&settings, axum::Router::new(), admin, shutdown.clone()).await.unwrap();
        listen_at(&mut place, running.admin_addr);
        Server { place: Arc::new(place), queue, store, shutdown }
    }

    /// Runs the program beside the server.
    async fn run(&self, arguments: &[&str]) -> Ran {
        self.spawn(arguments).await.unwrap()
    }

    fn spawn(&self, arguments: &[&str]) -> tokio::task::JoinHandle<Ran> {
        let (place, arguments) =
            (self.place.clone(), arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        tokio::task::spawn_blocking(move || {
            place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Waits until a whole sweep is wished for, and does as if everybody had been listed.
    async fn list_everybody(&self) {
        let wished = tokio::time::timeout(DEADLINE, async {
            while self.store.note("wish.whole_sweep").await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        wished.await.expect("nothing was wished for");
        let started = SystemClock.now().to_string();
        let notes = [("wish.whole_sweep", None), ("sweep.whole_at", Some(started))];
        let notes = notes.map(|(name, text)| (name.to_owned(), text));
        self.store.set_notes(notes.into()).await.unwrap();
    }

    /// The next event that was asked for.
    async fn next(&self, lane: Lane) -> Event {
        let leased = tokio::time::timeout(DEADLINE, self.queue.lease(lane)).await;
        let Delivery { receipt, body, .. } = leased.expect("nothing was asked for").unwrap();
        self.queue.settle(receipt, Settlement::Done).await.unwrap();
        match body {
            Body::Event(event) => event,
            Body::Unreadable { reason, .. } => panic!("{reason}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn queue(data: &Path) -> Arc<dyn Queue> {
    let settings = lockstep::queue::embedded::Settings { file: data.join("queue.db"), bytes_max: 1 << 26 };
    let opened = lockstep::queue::embedded::Embedded::open(&settings, 8, Arc::new(SystemClock));
    Arc::new(opened.unwrap())
}

fn listen_at(place: &mut Place, address: SocketAddr) {
    place.set("LOCKSTEP_ADMIN_LISTEN", &address.to_string());
    place.set("USER", "eve");
}

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
    for (arguments, wish) in
        [(&["sweep", "--json"][..], "wish.sweep"), (&["sweep", "--whole", "--json"], "wish.whole_sweep")]
    {
        let ran = server.run(arguments).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        let wished = server.store.note(wish).await.unwrap();
        assert_eq!(
            (wished.as_deref(), &ran.json()["done"]),
            (ran.json()["asked_at"].as_str(), &false.into())
        );
        server.store.set_note(wish, None).await.unwrap();
    }
    assert_eq!(server.store.note("wish.sweep").await.unwrap(), None, "one wish each");
    let trace = server.run(&["audit", "tail"]).await.out;
    assert!(trace.contains("eve@") && trace.contains("look at everybody now"), "{trace}");
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
