//! What the queue and the store rely on, on real files.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use rusqlite::Connection;

use super::{Database, Error, Options, Sharing};

const LAYOUT: &[&str] = &["CREATE TABLE t (n INTEGER PRIMARY KEY)"];

fn options<'a>(file: &'a std::path::Path, migrations: &'a [&'a str]) -> Options<'a> {
    Options { file, sharing: Sharing::ManyProcesses, bytes_max: None, readers: 1, migrations }
}

async fn numbers(database: &Database) -> Vec<i64> {
    let read = database.readers.read(|connection| -> Result<_, Error> {
        let mut select = connection.prepare("SELECT n FROM t ORDER BY n")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    read.await.unwrap()
}

/// An error of whoever uses the writer.
#[derive(Debug)]
enum Own {
    Odd,
    Sqlite,
}

impl From<Error> for Own {
    fn from(_: Error) -> Own {
        Own::Sqlite
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_takes_back_its_own_work_alone() {
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&options(&dir.path().join("t.db"), LAYOUT)).unwrap());
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..100i64 {
        let database = database.clone();
        writes.spawn(async move {
            let written = database.writer.write(move |transaction| {
                transaction.execute("INSERT INTO t VALUES (?1)", [n]).map_err(Error::from)?;
                if n % 2 == 0 { Ok(n) } else { Err(Own::Odd) }
            });
            (n, written.await)
        });
    }
    for (n, result) in writes.join_all().await {
        match n % 2 {
            0 => assert_eq!(result.unwrap(), n),
            _ => assert!(matches!(result, Err(Own::Odd)), "{n}: {result:?}"),
        }
    }
    assert_eq!(numbers(&database).await, (0..100).step_by(2).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_committed_together() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    let database = Arc::new(Database::open(&options(&file, LAYOUT)).unwrap());
    let stranger = Arc::new(Mutex::new(Connection::open(&file).unwrap()));

    // The first write holds the writer until the others wait.
    let (started, has_started) = channel();
    let (release, released) = channel();
    let mut writes = tokio::task::JoinSet::new();
    let first = database.clone();
    writes.spawn(async move {
        let written = first.writer.write(move |_| {
            started.send(()).unwrap();
            released.recv().unwrap();
            Ok::<i64, Error>(0)
        });
        written.await.unwrap()
    });
    tokio::task::block_in_place(|| has_started.recv().unwrap());
    let (about_to_wait, waiting) = channel();
    for n in 1..=50i64 {
        let (database, stranger, about_to_wait) = (database.clone(), stranger.clone(), about_to_wait.clone());
        writes.spawn(async move {
            let written = database.writer.write(move |transaction| {
                transaction.execute("INSERT INTO t VALUES (?1)", [n])?;
                let count = "SELECT COUNT(*) FROM t";
                let seen: i64 = stranger.lock().unwrap().query_row(count, [], |row| row.get(0))?;
                Ok::<_, Error>(seen)
            });
            let mut written = std::pin::pin!(written);
            // Polled once, it is on its way to the writer.
            let first_look = std::future::poll_fn(|context| Poll::Ready(written.as_mut().poll(context)));
            assert!(first_look.await.is_pending());
            about_to_wait.send(()).unwrap();
            written.await.unwrap()
        });
    }
    tokio::task::block_in_place(|| (0..50).for_each(|_| waiting.recv().unwrap()));
    release.send(()).unwrap();

    let seen_from_outside = writes.join_all().await;
    assert_eq!(seen_from_outside, vec![0; 51], "each of them ran before any of them was committed");
    assert_eq!(numbers(&database).await, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_closed_file_refuses_writes() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(&options(&dir.path().join("t.db"), LAYOUT)).unwrap();
    database.writer.close().await;
    database.writer.close().await;
    let refused = database.writer.write(|_| Ok::<_, Error>(())).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
}

#[tokio::test]
async fn each_step_of_the_layout_is_made_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    let steps = [LAYOUT[0], "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"];
    drop(Database::open(&options(&file, &steps[..2])).unwrap());
    let database = Database::open(&options(&file, &steps)).unwrap();
    assert_eq!(numbers(&database).await, [1, 2]);
    drop(database);

    let with_a_mistake = [steps[0], steps[1], steps[2], "INSERT INTO t VALUES (3); INSERT INTO t VALUES (1)"];
    let refused = Database::open(&options(&file, &with_a_mistake));
    assert!(matches!(refused, Err(Error::Unusable(_))), "{refused:?}");
    let refused = Database::open(&options(&file, &steps[..1]));
    assert!(matches!(refused, Err(Error::Newer { found: 3, known: 1, .. })), "{refused:?}");
    let database = Database::open(&options(&file, &steps)).unwrap();
    assert_eq!(numbers(&database).await, [1, 2]);
}
