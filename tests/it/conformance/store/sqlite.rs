//! SQLite on the bench, and what it promises beyond the trait.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use lockstep::audit::Broken;
use lockstep::case::CaseState;
use lockstep::store::sqlite::{Settings, Sqlite};
use lockstep::store::{Error, SaveCase, Store};
use rusqlite::Connection;

use super::{Bench, account, case, entry, next, person, save, verify};

super::hold_to_every_promise!(bench);

/// A file as the first released layout left it, with a row of every kind.
const SAMPLE_1: &str = include_str!("sample_0001.sql");

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
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lockstep.db");
    Connection::open(&file).unwrap().execute_batch(SAMPLE_1).unwrap();

    let store = open(&file).unwrap();

    let old = store.open_case(person(1)).await.unwrap().unwrap();
    assert_eq!((old.version, old.state), (2, CaseState::Verified));
    let causes = old.every_cause();
    assert_eq!((causes.len(), causes[0].as_of, causes[0].response), (1, old.received_at, old.response));
    store.save_case(save(&next(&old, CaseState::Released))).await.unwrap();
    assert_eq!(store.released_cases(person(1), 1).await.unwrap()[0].version, 3);
    assert_eq!(store.links(person(1)).await.unwrap(), [account("auth0|5f7c"), account("waad|con|3b1f")]);
    assert_eq!(verify(&store).await, Ok(2));
    let notices = store.due_notices(lockstep::clock::Timestamp::MAX, 10).await.unwrap();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0].handle.as_deref(), Some("C1/17.5"));
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    let seen = store.deliveries_since(lockstep::clock::Timestamp::UNIX_EPOCH, 10).await.unwrap();
    assert_eq!(seen.len(), 1);
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
