//! What the disk can do: bytes appended to a file by many producers, one flush for all who wait.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

struct Append {
    bytes: Vec<u8>,
    durable: oneshot::Sender<()>,
}

/// Appends per second by `producers` tasks that each wait until their bytes are durable, over about `time`.
pub fn appends_per_second(
    file: &Path,
    bytes: &[u8],
    producers: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(file)?;
    let (appends, inbox) = mpsc::channel();
    let committer = std::thread::spawn(move || commit_groups(file, &inbox));
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| runtime.spawn(produce(appends.clone(), bytes.to_vec(), start + time)))
        .collect();
    drop(appends);
    let mut total = 0;
    for task in tasks {
        total += runtime.block_on(task)?;
    }
    let took = start.elapsed();
    committer.join().expect("the committer does not panic")?;
    Ok(total as f64 / took.as_secs_f64())
}

async fn produce(appends: mpsc::Sender<Append>, bytes: Vec<u8>, until: Instant) -> u64 {
    let mut done = 0;
    while Instant::now() < until {
        let (durable, answer) = oneshot::channel();
        if appends.send(Append { bytes: bytes.clone(), durable }).is_err() || answer.await.is_err() {
            break;
        }
        done += 1;
    }
    done
}

fn commit_groups(mut file: File, inbox: &mpsc::Receiver<Append>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = inbox.recv() {
        for append in std::iter::once(first).chain(inbox.try_iter()) {
            bytes.extend_from_slice(&append.bytes);
            waiting.push(append.durable);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        bytes.clear();
        // A producer that has ended does not mind.
        for durable in waiting.drain(..) {
            let _ = durable.send(());
        }
    }
    Ok(())
}

/// How long one append of these bytes takes until it is durable, by itself.
pub fn append_once(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}
