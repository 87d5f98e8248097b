//! The one writer: a thread that takes what waits, runs it as one transaction, and answers when it is on disk.
//!
//! Each job runs in a savepoint of its own, so one that fails takes nothing back but its own work. When the whole
//! transaction is lost for want of room, the jobs run again one by one: what frees room must not fail with what needs it.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{ANSWER_WAIT_MAX, Error};

/// Jobs in one transaction at most: enough to share a sync among everybody who waits, few enough to answer in time.
const GROUP_JOBS_MAX: usize = 256;
/// Jobs that may wait for the writer; more wait for a [`Place`].
const PLACES: usize = 1024;
/// How long a job that does not mind waits for company.
const LAZY_WAIT_MAX: Duration = Duration::from_millis(20);
/// After a group of this many jobs others are surely on their way: the next one waits a moment for them. Without that, the
/// first of them would start a sync of its own, and the others wait for two. Whoever writes alone never waits.
const COMPANY: usize = 4;
/// That moment: well below what a sync takes on most disks (the idea of `commit_delay`, PostgreSQL, Write Ahead Log).
const COMPANY_WAIT: Duration = Duration::from_micros(150);

/// Pages (of 4 KiB) that must be left for a file to count as able to take more: one large write.
const SPARE_PAGES: i64 = 8;

/// What the writer does for somebody.
pub trait Job: Send {
    /// Does the work. May be called again, in another transaction, when the first one was lost.
    fn run(&mut self, transaction: &Transaction<'_>) -> Verdict;

    /// Told once, in the order of the file, on the writer's thread (so: be quick): whether what [`Job::run`] did is on
    /// disk. `Ok` after [`Verdict::Undo`] says only that the job itself was undone.
    fn end(self: Box<Self>, committed: Result<(), Error>);
}

/// What a job wants to become of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Undo,
}

/// How soon a job must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Now,
    /// With the next job that is urgent, or after a few milliseconds.
    Lazy,
}

/// A place among those who wait for the writer; given back when it is dropped.
pub type Place = OwnedSemaphorePermit;

/// The way to the writer's thread. Dropping it, like [`Writer::close`], finishes what was submitted and closes the file.
#[derive(Debug)]
pub struct Writer {
    messages: Sender<Message>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Do(Box<dyn Job>, Urgency),
    Stop,
}

impl Writer {
    /// Takes the connection, and the lock that is let go after the file was closed.
    pub(super) fn start(connection: Connection, lock: Option<File>) -> io::Result<Writer> {
        let (messages, inbox) = channel();
        let thread = std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            write_groups(connection, &inbox);
            drop(lock);
        })?;
        Ok(Writer { messages, places: Arc::new(Semaphore::new(PLACES)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `work` in a transaction and answers when it is on disk. Nothing of it is kept when it returns an error.
    /// [`Error::Busy`] leaves open whether it was done. `work` may be called twice; only the last call counts.
    pub async fn write<T, E>(
        &self,
        work: impl FnMut(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let place = self.place().await?;
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Closure { work, result: None, reply, _place: place }), Urgency::Now)?;
        await_answer(answer).await?
    }

    /// Whether a write would succeed now: there is room for a few pages, and a small one reaches the disk.
    pub async fn check(&self) -> Result<(), Error> {
        self.write(|transaction| {
            if pages_left(transaction)? < SPARE_PAGES {
                return Err(Error::full());
            }
            // Writes the first page, also when the number stays the same.
            let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(transaction.pragma_update(None, "user_version", version)?)
        })
        .await
    }

    /// Waits for a place among those who wait for the writer, to be held by a job until it ends.
    pub async fn place(&self) -> Result<Place, Error> {
        match tokio::time::timeout(ANSWER_WAIT_MAX, self.places.clone().acquire_owned()).await {
            Ok(place) => place.map_err(|_| Error::Closed),
            Err(_) => Err(Error::Busy),
        }
    }

    /// Hands a job over without waiting. The caller bounds how many it hands over, by a [`Place`] or otherwise.
    pub fn submit(&self, job: Box<dyn Job>, urgency: Urgency) -> Result<(), Error> {
        self.messages.send(Message::Do(job, urgency)).map_err(|_| Error::Closed)
    }

    /// Finishes what was submitted before, closes the file and lets go of its lock. Later jobs are refused.
    pub async fn close(&self) {
        if let Some(thread) = self.stop() {
            // The thread can only have panicked if a job did; the file is closed either way.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        let _ = self.messages.send(Message::Stop);
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// Waits for the last commit, so that whoever opens the file next finds it closed and unlocked.
    fn drop(&mut self) {
        if let Some(thread) = self.stop() {
            let _ = thread.join();
        }
    }
}

/// Waits for what a job sends when it ends.
pub async fn await_answer<T>(answer: oneshot::Receiver<T>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_WAIT_MAX, answer).await {
        Ok(answer) => answer.map_err(|_| Error::Closed),
        Err(_) => Err(Error::Busy),
    }
}

/// A job made of one closure.
struct Closure<F, T, E> {
    work: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    _place: Place,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: FnMut(&Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Verdict {
        match self.result.insert((self.work)(transaction)) {
            Ok(_) => Verdict::Keep,
            Err(_) => Verdict::Undo,
        }
    }

    fn end(self: Box<Self>, committed: Result<(), Error>) {
        let answer = match (committed, self.result) {
            (_, Some(Err(own))) => Err(own),
            (Err(error), _) => Err(error.into()),
            (Ok(()), result) => result.expect("what was committed has run"),
        };
        // Nobody listens any more when the caller was dropped; the work stands all the same.
        let _ = self.reply.send(answer);
    }
}

fn write_groups(mut connection: Connection, inbox: &Receiver<Message>) {
    let mut size = 0;
    loop {
        let (group, then) = gather(inbox, size);
        size = group.len();
        write_group(&mut connection, group);
        if then == Then::Stop {
            return;
        }
    }
}

type Group = Vec<Box<dyn Job>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Stop,
}

/// Waits for something to do, then takes what else is there. `before`: how many there were the last time.
fn gather(inbox: &Receiver<Message>, before: usize) -> (Group, Then) {
    let mut group = Group::with_capacity(before.min(GROUP_JOBS_MAX));
    let mut wait = Wait::ForAnything;
    while group.len() < GROUP_JOBS_MAX {
        match next(inbox, wait) {
            Next::Job(job, urgency) => {
                group.push(job);
                if urgency == Urgency::Now && !matches!(wait, Wait::NoLonger) && before >= COMPANY {
                    std::thread::sleep(COMPANY_WAIT);
                }
                wait = wait.after(urgency);
            }
            Next::NothingNow => break,
            Next::Stop => return (group, Then::Stop),
        }
    }
    (group, Then::GoOn)
}

/// How long a group that is being gathered stays open.
#[derive(Clone, Copy)]
enum Wait {
    ForAnything,
    Until(Instant),
    NoLonger,
}

impl Wait {
    fn after(self, urgency: Urgency) -> Wait {
        match (urgency, self) {
            (Urgency::Now, _) => Wait::NoLonger,
            (Urgency::Lazy, Wait::ForAnything) => Wait::Until(Instant::now() + LAZY_WAIT_MAX),
            (Urgency::Lazy, other) => other,
        }
    }
}

enum Next {
    Job(Box<dyn Job>, Urgency),
    NothingNow,
    Stop,
}

fn next(inbox: &Receiver<Message>, wait: Wait) -> Next {
    let message = match wait {
        Wait::ForAnything => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Wait::Until(end) => inbox.recv_timeout(end.saturating_duration_since(Instant::now())),
        Wait::NoLonger => inbox.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        }),
    };
    match message {
        Ok(Message::Do(job, urgency)) => Next::Job(job, urgency),
        Err(RecvTimeoutError::Timeout) => Next::NothingNow,
        Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => Next::Stop,
    }
}

fn write_group(connection: &mut Connection, mut group: Group) {
    match commit(connection, &mut group) {
        Ok(()) => end_all(group, Ok(())),
        Err(Lost::NoRoom(_)) if group.len() > 1 => {
            for job in group {
                write_group(connection, vec![job]);
            }
        }
        Err(Lost::NoRoom(error) | Lost::Failed(error)) => end_all(group, Err(error)),
    }
}

fn end_all(group: Group, committed: Result<(), Error>) {
    for job in group {
        job.end(committed.clone());
    }
}

/// Why a whole group came to nothing.
enum Lost {
    /// There was no room for all of them: some of the jobs may still fit.
    NoRoom(Error),
    Failed(Error),
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Lost {
        match Error::from(error) {
            full @ Error::Full(_) => Lost::NoRoom(full),
            other => Lost::Failed(other),
        }
    }
}

fn commit(connection: &mut Connection, group: &mut Group) -> Result<(), Lost> {
    if group.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group.iter_mut() {
        run_in_savepoint(&transaction, job.as_mut())?;
    }
    Ok(transaction.commit()?)
}

fn run_in_savepoint(transaction: &Transaction<'_>, job: &mut dyn Job) -> Result<(), Lost> {
    run(transaction, "SAVEPOINT job")?;
    let verdict = job.run(transaction);
    if transaction.is_autocommit() {
        // SQLite has rolled everything back (SQLite, Transaction, "Response To Errors Within A Transaction"); the job
        // knows why, the others only need to know that they may try again.
        return Err(Lost::NoRoom(Error::full()));
    }
    if verdict == Verdict::Undo {
        run(transaction, "ROLLBACK TO job")?;
    }
    Ok(run(transaction, "RELEASE job")?)
}

fn pages_left(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let pages = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(pages("max_page_count")? - pages("page_count")? + pages("freelist_count")?)
}

fn run(transaction: &Transaction<'_>, sql: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached(sql)?.execute([]).map(drop)
}
