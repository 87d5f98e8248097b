//! SQLite on the bench, and what it promises beyond the trait.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use lockstep::audit::Broken;
use lockstep::case::CaseState;
use lockstep::clock::Timestamp;
use lockstep::snapshot::sync::Mail;
use lockstep::store::sqlite::{Settings, Sqlite};
use lockstep::store::{Error, Owed, SaveCase, SavePerson, Store, Topic};
use rusqlite::Connection;

use super::{
    Bench, account, at, case, entry, group, morning, next, person, remembered, save, save_of, verify,
};
use crate::conformance::resident_kib;

super::hold_to_every_promise!(bench);

/// Files as the released layouts left them, with a row of every kind.
const SAMPLE_1: &str = include_str!("sample_0001.sql");
const SAMPLE_2: &str = include_str!("sample_0002.sql");

async fn bench() -> Option<Bench> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let open = move || {
        let store: Arc<dyn Store> = Arc::new(open(&file).unwrap());
        async { store }.boxed()
    };
    Some(Bench { open: Box::new(open), _keep: Box::new(dir) })
}

fn open(file: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(&Settings { file: PathBuf::from(file) })
}

/// Five records, then `tampering` by somebody who knows SQL, then a verification.
async fn verified_after(tampering: &str) -> Result<u64, Broken> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.record((1..=5).map(|n| entry(&format!("step.{n}"))).collect()).await.unwrap();
    drop(store);
    let copy = dir.path().join("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    Connection::open(&copy).unwrap().execute_batch(tampering).unwrap();
    verify(&open(&copy).unwrap()).await
}

#[tokio::test]
async fn tampering_with_the_audit_is_found() {
    let unlock = "DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted;";
    let edit = "UPDATE audit SET entry = replace(entry, 'step.2', 'step.9') WHERE number = 2";
    let gap = "DELETE FROM audit WHERE number = 3";
    let tail = "DELETE FROM audit WHERE number > 3";
    let closed_gap = "DELETE FROM audit WHERE number = 3;
        UPDATE audit SET number = 3 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5";
    let swap = "UPDATE audit SET number = -1 WHERE number = 1; UPDATE audit SET number = 1 WHERE number = 2;
        UPDATE audit SET number = 2 WHERE number = -1";

    assert_eq!(verified_after("SELECT 1").await, Ok(5));
    let after = async |tampering: &str| verified_after(&format!("{unlock} {tampering}")).await;
    assert_eq!(after(edit).await, Err(Broken::Edited { number: 2 }));
    assert_eq!(after(gap).await, Err(Broken::Gap { expected: 3, found: 4 }));
    assert_eq!(after(tail).await, Err(Broken::TailCut { head: 5, found: 3, missing: 2 }));
    assert_eq!(after(closed_gap).await, Err(Broken::Edited { number: 3 }));
    assert_eq!(after(swap).await, Err(Broken::Edited { number: 1 }));
}

#[tokio::test]
async fn the_audit_refuses_to_be_changed_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.record(vec![entry("a"), entry("b")]).await.unwrap();
    let stranger = Connection::open(&file).unwrap();
    for attempt in [
        "UPDATE audit SET entry = '{}' WHERE number = 1",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (number, entry, hash) VALUES (1, '{}', x'00')",
        "UPDATE audit_head SET records = 1",
        "INSERT OR REPLACE INTO audit_head (id, records, hash) VALUES (1, 0, x'00')",
        "DELETE FROM audit_head",
    ] {
        let refused = stranger.execute(attempt, []);
        assert!(refused.is_err(), "{attempt}");
    }
    assert_eq!(verify(&store).await, Ok(2));
}

#[tokio::test]
async fn an_audit_without_a_usable_head_asks_for_a_person_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.record(vec![entry("a")]).await.unwrap();
    let stranger = Connection::open(&file).unwrap();
    stranger.execute_batch("DROP TRIGGER audit_head_is_never_deleted; DELETE FROM audit_head").unwrap();
    let refused = store.save_case(SaveCase { audit: vec![entry("b")], ..save(&case(1)) }).await;
    assert!(matches!(refused, Err(Error::Unreadable(_))), "{refused:?}");
    assert_eq!(store.case(case(1).id).await.unwrap(), None);
}

#[tokio::test]
async fn a_second_process_reads_and_writes_beside_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let (server, command) = (open(&file).unwrap(), open(&file).unwrap());
    server.save_case(save(&case(1))).await.unwrap();
    assert_eq!(command.open_case(person(1)).await.unwrap(), Some(case(1)));
    let (ours, theirs) = tokio::join!(
        async {
            for _ in 0..20 {
                server.record(vec![entry("server")]).await.unwrap();
            }
        },
        async {
            for _ in 0..20 {
                command.record(vec![entry("command")]).await.unwrap();
            }
        }
    );
    let ((), ()) = (ours, theirs);
    assert_eq!(verify(&server).await, Ok(40));
    assert_eq!(verify(&command).await, Ok(40));
}

#[tokio::test]
async fn what_was_stored_by_an_earlier_layout_is_still_read() {
    for sample in [SAMPLE_1, SAMPLE_2] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_sample(dir.path(), sample);

        let old = store.open_case(person(1)).await.unwrap().unwrap();
        assert_eq!((old.version, old.state), (2, CaseState::Verified));
        let causes = old.every_cause();
        assert_eq!((causes.len(), causes[0].as_of, causes[0].response), (1, old.received_at, old.response));
        store.save_case(save(&next(&old, CaseState::Released))).await.unwrap();
        assert_eq!(store.released_cases(person(1), 1).await.unwrap()[0].version, 3);
        assert_eq!(store.links(person(1)).await.unwrap(), [account("auth0|5f7c"), account("waad|con|3b1f")]);
        assert_eq!(verify(&store).await, Ok(2));
        let notices = store.due_notices("slack", Timestamp::MAX, 10).await.unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!(notices[0].handle.as_deref(), Some("C1/17.5"));
        assert_eq!(notices[0].owed_at, at("2026-03-02T08:00:00Z"), "as far as it is known");
        assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
        let seen = store.deliveries_since(Timestamp::UNIX_EPOCH, 10).await.unwrap();
        assert_eq!(seen.len(), 1);

        store.save_person(save_of(remembered(9, [9]))).await.unwrap();
        assert_eq!(store.people_in(group(9), None, 10).await.unwrap(), [person(9)]);
    }
}

#[tokio::test]
async fn what_was_remembered_by_layout_2_is_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_sample(dir.path(), SAMPLE_2);

    let whole = store.person(person(1)).await.unwrap().unwrap();
    assert_eq!(whole.groups, [group(1), group(2)].into());
    assert_eq!(whole.proven[&account("waad|con|3b1f")].organizations.len(), 1);
    assert_eq!((whole.password_mail, whole.enrolment_mail), (Mail::Owed, Mail::Sent));
    assert_eq!(whole.seen_whole_at, Some(at("2026-03-02T08:00:03Z")));
    assert_eq!(store.person(person(2)).await.unwrap(), Some(remembered(2, [1])));
    assert_eq!(store.people_in(group(1), None, 10).await.unwrap(), [person(1), person(2)]);
    assert_eq!(store.people_due(at("2026-03-02T08:00:02Z"), 10).await.unwrap(), [person(1)]);
    assert_eq!(store.people_with_findings(None, 10).await.unwrap(), [whole]);
    let delta = store.note("delta/users").await.unwrap().unwrap();
    assert!(delta.ends_with("$deltatoken=x"), "{delta}");
    let (before, after) = (at("2026-03-02T07:59:59Z"), at("2026-03-02T08:01:00Z"));
    assert!(!store.take_lease("sweep", "another", before, after).await.unwrap());
    assert!(store.take_lease("sweep", "host-1/17", before, after).await.unwrap());
}

fn open_sample(dir: &Path, sample: &str) -> Sqlite {
    let file = dir.join("lockstep.db");
    Connection::open(&file).unwrap().execute_batch(sample).unwrap();
    open(&file).unwrap()
}

#[tokio::test]
async fn what_is_known_already_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    let person = SavePerson {
        links: vec![account("auth0|1")],
        gone_links: vec![account("auth0|2"), account("auth0|1")],
        ..save_of(remembered(1, [1, 2]))
    };
    let owed = Owed {
        topic: Topic::Notice("finding/1".into()),
        channel: "slack".into(),
        version: 1,
        text: None,
        due_at: morning(),
    };
    let person = SavePerson { owed: vec![owed], ..person };
    let note = || vec![("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)];
    store.save_person(person.clone()).await.unwrap();
    store.set_notes(note()).await.unwrap();
    assert!(store.take_lease("sweep", "one", morning(), Timestamp::MAX).await.unwrap());

    let stranger = Connection::open(&file).unwrap();
    // Rises with every commit of somebody else that changed the file (SQLite, PRAGMA data_version).
    let version = || stranger.pragma_query_value::<i64, _>(None, "data_version", |row| row.get(0)).unwrap();
    let log_bytes = || std::fs::metadata(dir.path().join("lockstep.db-wal")).unwrap().len();
    let before = (version(), log_bytes());
    store.save_person(person.clone()).await.unwrap();
    store.set_notes(note()).await.unwrap();
    store.forget_person(super::person(9), vec![entry("person.forgotten")]).await.unwrap();
    assert!(!store.take_lease("sweep", "two", morning(), Timestamp::MAX).await.unwrap());
    store.drop_lease("sweep", "two").await.unwrap();
    assert_eq!((version(), log_bytes()), before);

    let told = SavePerson { audit: vec![entry("person.held")], ..person };
    store.save_person(told).await.unwrap();
    assert!(version() > before.0, "the counter counts");
}

#[tokio::test]
async fn a_save_of_a_person_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.save_person(save_of(remembered(1, [1]))).await.unwrap();
    store.add_links(person(1), vec![account("auth0|1")]).await.unwrap();
    let stranger = Connection::open(&file).unwrap();
    stranger.execute_batch("DROP TRIGGER audit_head_is_never_deleted; DELETE FROM audit_head").unwrap();
    let save = SavePerson {
        audit: vec![entry("person.roles")],
        links: vec![account("auth0|2")],
        gone_links: vec![account("auth0|1")],
        ..save_of(remembered(1, [2]))
    };
    let refused = store.save_person(save).await;
    assert!(matches!(refused, Err(Error::Unreadable(_))), "{refused:?}");
    let refused = store.forget_person(person(1), vec![entry("person.forgotten")]).await;
    assert!(matches!(refused, Err(Error::Unreadable(_))), "{refused:?}");

    assert_eq!(store.person(person(1)).await.unwrap(), Some(remembered(1, [1])));
    assert_eq!(store.people_in(group(1), None, 10).await.unwrap(), [person(1)]);
    assert_eq!(store.people_in(group(2), None, 10).await.unwrap(), []);
    assert_eq!(store.links(person(1)).await.unwrap(), [account("auth0|1")]);
}

#[tokio::test]
async fn a_person_that_cannot_be_read_is_told_without_the_contents() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.save_person(save_of(remembered(1, [1]))).await.unwrap();
    let stranger = Connection::open(&file).unwrap();
    stranger.execute("UPDATE people SET body = '{\"name\":\"Ada\"}'", []).unwrap();
    let Err(Error::Unreadable(why)) = store.person(person(1)).await else { panic!("it was read") };
    assert!(why.contains(&person(1).to_string()) && !why.contains("Ada"), "{why}");
    // What is learnt anew takes its place, and it can be forgotten.
    store.save_person(save_of(remembered(1, [2]))).await.unwrap();
    assert_eq!(store.person(person(1)).await.unwrap(), Some(remembered(1, [2])));
    assert_eq!(store.people_in(group(1), None, 10).await.unwrap(), []);
}

const PAGING_CHILD: &str = "LOCKSTEP_TEST_STORE_OF_A_CHILD_THAT_PAGES";
/// What the child may grow by from its first page to its last: some pages, the caches of SQLite, and what each thread that
/// reads keeps for itself. A quarter of what everybody at once would take.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// The other half of the next test: pages through everybody and says by how much it grew. Alone it does nothing.
#[tokio::test]
async fn child_that_pages() {
    let Some(file) = std::env::var_os(PAGING_CHILD) else { return };
    let store = open(Path::new(&file)).unwrap();
    let mut page = store.people_with_findings(None, 100).await.unwrap();
    let before = resident_kib("VmRSS");
    let mut seen = 0;
    while let Some(last) = page.last().map(|known| known.subject) {
        seen += page.len();
        page = store.people_with_findings(Some(last), 100).await.unwrap();
    }
    println!("seen {seen} grown {}", resident_kib("VmHWM") - before);
}

#[tokio::test]
async fn memory_does_not_grow_with_the_people_that_are_paged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    drop(open(&file).unwrap());
    // A kilobyte each: all of them at once would be a hundred megabytes and more.
    let people = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000),
        ids (id) AS (SELECT '00000000-0000-0000-0000-' || substr('000000000000' || n, -12) FROM n)
        INSERT INTO people SELECT '00000000-0000-0000-0000-000000000001/' || id, NULL, 1,
        '{\"subject\":{\"tenant\":\"00000000-0000-0000-0000-000000000001\",\"object\":\"' || id
        || '\"},\"groups\":[],\"proven\":{},\"findings\":[\"' || hex(zeroblob(512)) || '\"]}' FROM ids";
    Connection::open(&file).unwrap().execute_batch(people).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::store::sqlite::child_that_pages", "--nocapture"])
        .env(PAGING_CHILD, &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let grown = said.lines().find_map(|line| line.split_once("seen 100000 grown "));
    let grown: u64 = grown.unwrap_or_else(|| panic!("{said}")).1.parse().unwrap();
    assert!(grown < GROWTH_KIB_MAX, "grew by {grown} KiB");
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    drop(open(&file).unwrap());
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let refused = open(&file).unwrap_err();
    let Error::Unavailable(cause) = refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("newer Lockstep"), "{cause}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    std::fs::write(
        &file,
        "a note somebody left here, quite long enough to be read as a header, and then some",
    )
    .unwrap();
    assert!(matches!(open(&file), Err(Error::Unavailable(_))));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("a note"));
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("made/on/the/way");
    let store = open(&data.join("lockstep.db")).unwrap();
    store.save_case(save(&case(1))).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 3, "the file, its log and its index: {files:?}");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?} has mode {mode:o}");
    }
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o077, 0);
}

#[tokio::test]
async fn a_case_that_cannot_be_read_is_told_without_its_contents() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    let store = open(&file).unwrap();
    store.save_case(save(&case(1))).await.unwrap();
    Connection::open(&file).unwrap().execute("UPDATE cases SET body = '{\"name\":\"Ada\"}'", []).unwrap();
    let Err(Error::Unreadable(why)) = store.case(case(1).id).await else { panic!("it was read") };
    assert!(why.contains(&case(1).id.to_string()) && !why.contains("Ada"), "{why}");
}
