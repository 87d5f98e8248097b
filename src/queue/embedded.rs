//! The embedded queue: one SQLite file, every event on disk before "yes".
//!
//! Producers that enqueue at the same time share one fsync (`crate::sqlite`). Memory holds the order (some forty bytes
//! per waiting event, two megabytes for fifty thousand) and the bodies of the next few; the rest stays in the file. A call
//! is one transaction, however many events it brings. Events come out in the order in which they went in, whatever their
//! key; one that was put back comes at its old place.
//!
//! [`super::Settlement::Done`] is answered before it is on disk: a crash within the next moment delivers the event once
//! more. The file grows to its limit and is reused within; it does not shrink. A second process is refused.

mod jobs;
mod line;
mod shared;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use crate::clock::{self, SharedClock, Timestamp};
use crate::event::{Event, Lane};
use crate::sqlite::{Database, Options, Sharing, Urgency, await_answer};

use super::{Body, Delivery, Depth, Error, Queue, Receipt, Settlement};
use jobs::{Delay, Enqueue, Forget};
use line::{Seq, Stored, Taken};
use shared::{Shared, WakeNext};

/// The layout of the file, step by step. Times are microseconds since 1970; `due_at` 0 means at once.
const MIGRATIONS: &[&str] = &["CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    body BLOB NOT NULL
)"];

/// A waiting lease looks at the clock at least this often while something is delayed, so that a clock that was set
/// forward is noticed.
const CLOCK_LOOK: Duration = Duration::from_millis(250);

/// Where the embedded queue lives and how large it may grow.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `queue.db` in the data directory.
    pub file: PathBuf,
    /// The file may not grow beyond this; a full queue answers [`super::Error::Full`]. Its log takes some 20 MB more.
    pub bytes_max: u64,
}

/// The embedded queue, open.
#[derive(Debug)]
pub struct Embedded {
    database: Database,
    shared: Arc<Shared>,
    clock: SharedClock,
}

impl Embedded {
    /// Opens the file and reads the order of what waits in it. Blocks on the disk: for the start of a process.
    pub fn open(settings: &Settings, in_hand_max: usize, clock: SharedClock) -> Result<Embedded, Error> {
        let database = Database::open(&Options {
            file: &settings.file,
            sharing: Sharing::OneProcess,
            bytes_max: Some(settings.bytes_max),
            readers: 1,
            migrations: MIGRATIONS,
        })?;
        let shared = Shared::new(in_hand_max);
        database.readers.read_at_start(|connection| {
            remember_all(connection, &shared).map_err(crate::sqlite::Error::from)
        })?;
        Ok(Embedded { database, shared: Arc::new(shared), clock })
    }

    /// Reads the bodies of the next waiting events. The turn is held until the reading has ended, even when the caller
    /// is dropped: an older reading must not overwrite what a newer one found.
    async fn load(&self, lane: Lane) -> Result<(), Error> {
        let next = WakeNext { shared: self.shared.clone(), lane };
        let turn = self.shared.loading(lane).lock_owned().await;
        let reading = self.database.readers.read(move |connection| {
            let wanted = next.shared.line(lane).without_body();
            let found = read_bodies(connection, &wanted)?;
            next.shared.line(lane).fill(found);
            drop(turn);
            Ok(())
        });
        reading.await.map_err(|error: crate::sqlite::Error| error.into())
    }

    /// Deletes what was settled, with the next write or a few milliseconds later.
    fn forget(&self, urgency: Urgency) -> Result<(), Error> {
        match Forget::wanted(&self.shared) {
            Some(job) => Ok(self.database.writer.submit(job, urgency)?),
            None => Ok(()),
        }
    }

    async fn delay(&self, receipt: Receipt, at: Timestamp, attempt: u32) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let job = Delay::new(self.shared.clone(), receipt, micros_not_before(at), attempt, reply);
        self.database.writer.submit(Box::new(job), Urgency::Now)?;
        Ok(await_answer(answer).await??)
    }

    async fn wait(&self, changed: impl Future<Output = ()>, due: Option<i64>) {
        let Some(due) = due else { return changed.await };
        let due = Timestamp::from_microsecond(due).unwrap_or(Timestamp::MAX);
        let rest = clock::elapsed(self.clock.now(), due).min(CLOCK_LOOK);
        // Either way the caller looks again.
        let _ = tokio::time::timeout(rest, changed).await;
    }
}

#[async_trait]
impl Queue for Embedded {
    async fn enqueue(&self, events: &[Event]) -> Result<(), Error> {
        let bodies = envelopes(events)?;
        if bodies.is_empty() {
            return Ok(());
        }
        let place = self.database.writer.place().await?;
        let (reply, answer) = oneshot::channel();
        let job = Enqueue::new(self.shared.clone(), bodies, self.clock.now().as_microsecond(), reply, place);
        self.forget(Urgency::Lazy)?;
        self.database.writer.submit(Box::new(job), Urgency::Now)?;
        Ok(await_answer(answer).await??)
    }

    async fn lease(&self, lane: Lane) -> Result<Delivery, Error> {
        loop {
            let changed = self.shared.changed(lane).notified();
            tokio::pin!(changed);
            // Registered before looking: what changes from here on wakes us.
            changed.as_mut().enable();
            match self.shared.take(lane, self.clock.now().as_microsecond())? {
                Taken::Delivery(seq, stored) => return Ok(delivery(lane, seq, stored)),
                Taken::BodyInFile => self.load(lane).await?,
                Taken::Nothing { due } => self.wait(changed, due).await,
            }
        }
    }

    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        self.shared.in_hand(&receipt)?;
        match settlement {
            Settlement::Done => {
                self.shared.done(&receipt);
                self.forget(Urgency::Lazy)
            }
            Settlement::Later { at, attempt } => self.delay(receipt, at, attempt).await,
            Settlement::Return => {
                self.shared.give_back(&receipt);
                Ok(())
            }
        }
    }

    async fn depths(&self) -> Result<BTreeMap<Lane, Depth>, Error> {
        self.shared.open()?;
        Ok(Lane::ALL.into_iter().map(|lane| (lane, self.shared.line(lane).depth())).collect())
    }

    async fn ready(&self) -> Result<(), Error> {
        self.forget(Urgency::Lazy)?;
        Ok(self.database.writer.check().await?)
    }

    async fn close(&self) {
        self.shared.close();
        // A writer that has ended has nothing left to be told.
        let _ = self.forget(Urgency::Now);
        self.database.writer.close().await;
    }
}

fn envelopes(events: &[Event]) -> Result<Vec<(Lane, Vec<u8>)>, Error> {
    let envelope = |event: &Event| {
        let bytes = event.to_envelope().map_err(|error| Error::Refused(error.to_string()))?;
        Ok((event.lane(), bytes))
    };
    events.iter().map(envelope).collect()
}

fn delivery(lane: Lane, seq: Seq, stored: Stored) -> Delivery {
    let body = match Event::from_envelope(&stored.body) {
        Ok(event) => Body::Event(event),
        Err(error) => Body::Unreadable { reason: error.to_string(), bytes: stored.body },
    };
    Delivery { receipt: Receipt { lane, id: seq }, attempt: stored.attempt, body }
}

/// Rounded up, so that nothing comes a microsecond early.
fn micros_not_before(at: Timestamp) -> i64 {
    let micros = at.as_microsecond();
    if at.subsec_nanosecond() % 1000 == 0 { micros } else { micros + 1 }
}

fn remember_all(connection: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT seq, lane, due_at, enqueued_at FROM event ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let lane = read_lane(row.get_ref(1)?.as_str()?)?;
        shared.remember(lane, row.get(0)?, row.get(2)?, row.get(3)?);
    }
    Ok(())
}

fn read_lane(word: &str) -> rusqlite::Result<Lane> {
    let unknown = || {
        let why = "a lane that this program does not know";
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, why.into())
    };
    Lane::ALL.into_iter().find(|lane| lane.word() == word).ok_or_else(unknown)
}

fn read_bodies(connection: &Connection, wanted: &[Seq]) -> rusqlite::Result<Vec<(Seq, Option<Stored>)>> {
    let mut select = connection.prepare_cached("SELECT attempt, body FROM event WHERE seq = ?1")?;
    let mut read = |seq: &Seq| {
        let stored = select
            .query_row([seq], |row| Ok(Stored { attempt: row.get(0)?, body: row.get(1)? }))
            .optional()?;
        Ok((*seq, stored))
    };
    wanted.iter().map(&mut read).collect()
}

impl From<crate::sqlite::Error> for Error {
    fn from(error: crate::sqlite::Error) -> Error {
        match error {
            crate::sqlite::Error::Full(_) => Error::Full(error.with_cause()),
            crate::sqlite::Error::Closed => Error::Closed,
            other => Error::Unavailable(other.with_cause()),
        }
    }
}
