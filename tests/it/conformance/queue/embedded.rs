//! The embedded queue on the bench, and what it promises beyond the trait.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lockstep::clock::SystemClock;
use lockstep::event::Lane;
use lockstep::queue::embedded::{Embedded, Settings};
use lockstep::queue::{Error, Queue, Receipt, Settlement};

use super::{Bench, drain, event, event_of, ids, lease, now, settle, within};
use crate::conformance::resident_kib;

super::hold_to_every_promise!(bench);

async fn bench() -> Option<Bench> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let open = {
        let file = file.clone();
        move |in_hand_max| {
            let queue: Arc<dyn Queue> = Arc::new(open(&file, in_hand_max));
            async { queue }.boxed()
        }
    };
    let inject = move |lane, bytes| {
        inject(&file, lane, bytes);
        async {}.boxed()
    };
    Some(Bench { open: Box::new(open), inject: Box::new(inject), _keep: Box::new(dir) })
}

fn settings(file: &Path) -> Settings {
    Settings { file: PathBuf::from(file), bytes_max: 1 << 30 }
}

fn open(file: &Path, in_hand_max: usize) -> Embedded {
    Embedded::open(&settings(file), in_hand_max, Arc::new(SystemClock)).unwrap()
}

fn inject(file: &Path, lane: Lane, bytes: Vec<u8>) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection
        .execute(
            "INSERT INTO event (lane, attempt, due_at, enqueued_at, body) VALUES (?1, 1, 0, 0, ?2)",
            (lane.word(), bytes),
        )
        .unwrap();
}

/// A limit of a few dozen pages, soon reached.
fn small(file: &Path) -> Embedded {
    let settings = Settings { bytes_max: 256 * 1024, ..settings(file) };
    Embedded::open(&settings, 256, Arc::new(SystemClock)).unwrap()
}

fn file_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("queue.db")
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&file_in(&dir), 1);
    let refused = Embedded::open(&settings(&file_in(&dir)), 1, Arc::new(SystemClock));
    let Err(Error::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("another Lockstep process has"), "{why}");
    first.close().await;
    let second = open(&file_in(&dir), 1);
    drop(second);
    open(&file_in(&dir), 1);
}

#[tokio::test]
async fn a_full_queue_says_so_loses_nothing_and_takes_more_after_it_was_drained() {
    let dir = tempfile::tempdir().unwrap();
    let queue = small(&file_in(&dir));
    let accepted = fill(&queue, 0).await;
    assert!(accepted.len() > 100, "only {} fitted", accepted.len());
    assert!(matches!(queue.ready().await, Err(Error::Full(_))));
    drop(queue);

    let queue = small(&file_in(&dir));
    assert!(matches!(queue.enqueue(&[event(Lane::Sync, 1, 1 << 64)]).await, Err(Error::Full(_))));
    assert_eq!(ids(&drain(&queue, Lane::Sync, accepted.len()).await), accepted);
    within("room again", async {
        while queue.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(std::fs::metadata(file_in(&dir)).unwrap().len() <= 256 * 1024);

    let again = fill(&queue, 1 << 65).await;
    assert_eq!(again.len(), accepted.len(), "all the room is there again");
    assert_eq!(ids(&drain(&queue, Lane::Sync, again.len()).await), again);
}

/// Enqueues one by one until the queue says that it is full; answers what it took.
async fn fill(queue: &Embedded, first: u128) -> Vec<u128> {
    let mut accepted = Vec::new();
    for serial in first.. {
        match queue.enqueue(&[event(Lane::Sync, serial, serial)]).await {
            Ok(()) => accepted.push(serial),
            Err(Error::Full(_)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_is_made_while_producers_keep_knocking_at_a_full_queue() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Arc::new(small(&file_in(&dir)));
    let mut expected = fill(&queue, 0).await;
    let mut producers = tokio::task::JoinSet::new();
    for producer in 1..=16 {
        let queue = queue.clone();
        producers.spawn(async move {
            let mut accepted = Vec::new();
            for serial in (producer << 32)..(producer << 32) + 30 {
                let event = event(Lane::Sync, serial, serial);
                while queue.enqueue(std::slice::from_ref(&event)).await.is_err() {
                    tokio::task::yield_now().await;
                }
                accepted.push(serial);
            }
            accepted
        });
    }
    let count = expected.len() + 16 * 30;
    let mut came = ids(&drain(&*queue, Lane::Sync, count).await);
    expected.extend(within("the producers", producers.join_all()).await.into_iter().flatten());
    came.sort_unstable();
    expected.sort_unstable();
    assert_eq!(came, expected);
}

#[tokio::test]
async fn the_oldest_waiting_event_is_known_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&file_in(&dir), 8);
    assert_eq!(queue.depths().await.unwrap()[&Lane::Sync].oldest, None);
    let before = now();
    queue.enqueue(&[event(Lane::Sync, 1, 1)]).await.unwrap();
    let between = now();
    queue.enqueue(&[event(Lane::Sync, 2, 2)]).await.unwrap();
    drop(queue);
    let queue = open(&file_in(&dir), 8);
    let oldest = async || queue.depths().await.unwrap()[&Lane::Sync].oldest.unwrap();
    // Kept to the microsecond.
    let slack = Duration::from_micros(1);
    assert!((before - slack..=between).contains(&oldest().await));
    let in_hand = lease(&queue, Lane::Sync).await;
    assert!(oldest().await >= between - slack);
    settle(&queue, in_hand, Settlement::Return).await;
    assert!(oldest().await <= between);
}

#[tokio::test]
async fn a_returned_event_comes_before_those_that_went_in_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&file_in(&dir), 256);
    let events: Vec<_> = (0..300).map(|serial| event(Lane::Sync, serial, serial)).collect();
    queue.enqueue(&events).await.unwrap();
    let first = lease(&queue, Lane::Sync).await;
    let second = lease(&queue, Lane::Sync).await;
    settle(&queue, first, Settlement::Return).await;
    settle(&queue, second, Settlement::Return).await;
    assert_eq!(ids(&drain(&queue, Lane::Sync, 300).await), (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_that_does_not_fit_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let queue = small(&file_in(&dir));
    let batch: Vec<_> = (0..1000).map(|serial| event(Lane::Bulk, serial, serial)).collect();
    assert!(matches!(queue.enqueue(&batch).await, Err(Error::Full(_))));
    assert_eq!(queue.depths().await.unwrap()[&Lane::Bulk].events, 0);
    queue.enqueue(&batch[..100]).await.unwrap();
    drop(queue);
    let queue = small(&file_in(&dir));
    assert_eq!(ids(&drain(&queue, Lane::Bulk, 100).await), (0..100).collect::<Vec<_>>());
    assert_eq!(queue.depths().await.unwrap()[&Lane::Bulk].events, 0);
}

/// A file of the program that knew two lanes. Frozen: it must still be read.
const TWO_LANES: &str = include_str!("sample_two_lanes.sql");

#[tokio::test]
async fn a_file_of_a_program_with_two_lanes_takes_a_third() {
    let dir = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(file_in(&dir)).unwrap().execute_batch(TWO_LANES).unwrap();
    let queue = open(&file_in(&dir), 8);
    let depths = queue.depths().await.unwrap();
    assert_eq!(Lane::ALL.map(|lane| depths[&lane].events), [1, 2, 0]);
    queue.enqueue(&[event(Lane::Bulk, 1, 9), event(Lane::Contain, 1, 10)]).await.unwrap();
    assert_eq!(ids(&drain(&queue, Lane::Bulk, 1).await), [9]);
    assert_eq!(ids(&drain(&queue, Lane::Contain, 2).await), [1, 10]);
    let waiting = lease(&queue, Lane::Sync).await;
    assert_eq!((event_of(&waiting), waiting.attempt), (event(Lane::Sync, 1, 2), 1));
    let delayed = lease(&queue, Lane::Sync).await;
    assert_eq!((event_of(&delayed), delayed.attempt), (event(Lane::Sync, 2, 3), 4));
}

const BURST_CHILD: &str = "LOCKSTEP_TEST_QUEUE_OF_A_CHILD_THAT_TAKES_A_BURST";
const BURST: u128 = 50_000;
/// What the child may grow by: the order of what waits, some bodies, and the caches and the log's index of SQLite. All
/// bodies at once would be fifteen megabytes and more.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// The other half of the next test: takes a burst in batches and says by how much it grew. Alone it does nothing.
#[tokio::test]
async fn child_that_takes_a_burst() {
    let Some(file) = std::env::var_os(BURST_CHILD) else { return };
    let queue = open(Path::new(&file), 256);
    let batch = |first| -> Vec<_> { (first..first + 1000).map(|n| event(Lane::Bulk, n, n)).collect() };
    queue.enqueue(&batch(0)).await.unwrap();
    let before = resident_kib("VmRSS");
    for first in (1000..BURST).step_by(1000) {
        queue.enqueue(&batch(first)).await.unwrap();
    }
    assert_eq!(queue.depths().await.unwrap()[&Lane::Bulk].events, BURST as u64);
    println!("grown {} at most {}", resident_kib("VmRSS") - before, resident_kib("VmHWM") - before);
}

#[tokio::test]
async fn memory_holds_the_order_of_a_burst_but_not_its_bodies() {
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::queue::embedded::child_that_takes_a_burst", "--nocapture"])
        .env(BURST_CHILD, file_in(&dir))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let grown = said.lines().find_map(|line| line.split_once("at most ")).unwrap_or_else(|| panic!("{said}"));
    let grown: u64 = grown.1.parse().unwrap();
    assert!(grown < GROWTH_KIB_MAX, "grew by {grown} KiB");
    let queue = open(&file_in(&dir), 256);
    assert_eq!(queue.depths().await.unwrap()[&Lane::Bulk].events, BURST as u64);
    assert_eq!(ids(&drain(&queue, Lane::Bulk, 300).await), (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&file_in(&dir), 1);
    queue.enqueue(&[event(Lane::Sync, 1, 1)]).await.unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?} has mode {mode:o}");
    }
}

#[tokio::test]
async fn the_receipt_of_another_lease_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(&file_in(&dir), 1);
    let made_up = Receipt { lane: Lane::Contain, id: 77 };
    assert!(matches!(queue.settle(made_up, Settlement::Done).await, Err(Error::Refused(_))));
}

const KILLED_CHILD: &str = "LOCKSTEP_TEST_QUEUE_OF_A_CHILD_THAT_IS_KILLED";

/// The other half of the next test: enqueues from eight tasks and says so, until it is killed. Alone it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Some(file) = std::env::var_os(KILLED_CHILD) else { return };
    let queue = Arc::new(open(Path::new(&file), 256));
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..8u128 {
        let queue = queue.clone();
        producers.spawn(async move {
            for serial in (producer << 32).. {
                queue.enqueue(&[event(Lane::Contain, producer, serial)]).await.unwrap();
                // One write each, so that a line is whole or not there.
                std::io::stderr().write_all(format!("stored {serial}\n").as_bytes()).unwrap();
            }
        });
    }
    producers.join_all().await;
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    for lines_before_the_kill in [1, 50, 400] {
        let dir = tempfile::tempdir().unwrap();
        let stored = run_child_and_kill_it(&file_in(&dir), lines_before_the_kill);
        assert!(stored.len() >= lines_before_the_kill);
        let queue = open(&file_in(&dir), 256);
        let waiting = queue.depths().await.unwrap()[&Lane::Contain].events as usize;
        let found: BTreeSet<_> = ids(&drain(&queue, Lane::Contain, waiting).await).into_iter().collect();
        let lost: Vec<_> = stored.iter().filter(|serial| !found.contains(serial)).collect();
        assert!(lost.is_empty(), "said to be stored, but lost: {lost:?}");
    }
}

fn run_child_and_kill_it(file: &Path, lines: usize) -> Vec<u128> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::queue::embedded::child_that_is_killed", "--nocapture"])
        .env(KILLED_CHILD, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut stored: Vec<String> = said.by_ref().take(lines).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    stored.extend(said);
    stored.iter().map(|line| line.strip_prefix("stored ").expect(line).parse().unwrap()).collect()
}
