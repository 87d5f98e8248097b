//! The embedded queue on the bench, and what it promises beyond the trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use lockstep::clock::SystemClock;
use lockstep::event::Lane;
use lockstep::queue::Queue;
use lockstep::queue::embedded::{Embedded, Settings};

use super::Bench;

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
