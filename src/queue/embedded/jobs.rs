//! What the queue asks of the writer: to store events, to delete settled ones, to put one off.
//!
//! Memory follows the file: a job changes it when it ends, on the writer's thread and so in the order of the file,
//! whether or not its caller still waits.

use std::sync::Arc;

use rusqlite::{Transaction, params};
use tokio::sync::oneshot;

use crate::event::Lane;
use crate::queue::Receipt;
use crate::sqlite::{Error, Job, Place, Verdict};

use super::line::{Micros, Seq};
use super::shared::Shared;

type Reply = oneshot::Sender<Result<(), Error>>;

/// Stores events, all or none.
pub(super) struct Enqueue {
    shared: Arc<Shared>,
    bodies: Vec<(Lane, Vec<u8>)>,
    enqueued_at: Micros,
    /// Where the last run put them.
    seqs: Vec<Seq>,
    failure: Option<Error>,
    reply: Reply,
    _place: Place,
}

impl Enqueue {
    pub(super) fn new(
        shared: Arc<Shared>,
        bodies: Vec<(Lane, Vec<u8>)>,
        enqueued_at: Micros,
        reply: Reply,
        place: Place,
    ) -> Enqueue {
        Enqueue { shared, bodies, enqueued_at, seqs: Vec::new(), failure: None, reply, _place: place }
    }

    fn insert(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO event (seq, lane, attempt, due_at, enqueued_at, body) VALUES (?1, ?2, 1, 0, ?3, ?4)",
        )?;
        self.seqs.clear();
        for (lane, body) in &self.bodies {
            let seq = self.shared.next_seq();
            insert.execute(params![seq, lane.word(), self.enqueued_at, body])?;
            self.seqs.push(seq);
        }
        Ok(())
    }
}

impl Job for Enqueue {
    fn run(&mut self, transaction: &Transaction<'_>) -> Verdict {
        let inserted = self.insert(transaction);
        verdict(inserted, &mut self.failure)
    }

    fn end(self: Box<Self>, committed: Result<(), Error>) {
        let answer = outcome(self.failure, committed);
        if answer.is_ok() {
            for (seq, (lane, body)) in self.seqs.into_iter().zip(self.bodies) {
                self.shared.arrive(lane, seq, self.enqueued_at, body);
            }
        }
        // A caller that no longer waits has its events stored all the same.
        let _ = self.reply.send(answer);
    }
}

/// Deletes what is settled by the time it runs. One at a time is on its way.
pub(super) struct Forget {
    shared: Arc<Shared>,
    seqs: Vec<Seq>,
    failure: Option<Error>,
}

impl Forget {
    /// A job, if there is something to delete and none is on its way.
    pub(super) fn wanted(shared: &Arc<Shared>) -> Option<Box<Forget>> {
        let mut settled = shared.settled();
        if settled.seqs.is_empty() || settled.deleting {
            return None;
        }
        settled.deleting = true;
        Some(Box::new(Forget { shared: shared.clone(), seqs: Vec::new(), failure: None }))
    }

    fn delete(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.seqs.is_empty() {
            let mut settled = self.shared.settled();
            self.seqs = std::mem::take(&mut settled.seqs);
            settled.deleting = false;
        }
        let mut delete = transaction.prepare_cached("DELETE FROM event WHERE seq = ?1")?;
        for seq in &self.seqs {
            delete.execute([seq])?;
        }
        Ok(())
    }
}

impl Job for Forget {
    fn run(&mut self, transaction: &Transaction<'_>) -> Verdict {
        let deleted = self.delete(transaction);
        verdict(deleted, &mut self.failure)
    }

    /// What could not be deleted waits for the next enqueue, settlement or look at readiness to try again.
    fn end(self: Box<Self>, committed: Result<(), Error>) {
        if outcome(self.failure, committed).is_err() {
            let mut settled = self.shared.settled();
            settled.seqs.extend(self.seqs);
            settled.deleting = false;
        }
    }
}

/// Writes down when an event in hand comes again, and as which attempt.
pub(super) struct Delay {
    shared: Arc<Shared>,
    receipt: Receipt,
    due: Micros,
    attempt: u32,
    failure: Option<Error>,
    reply: Reply,
}

impl Delay {
    pub(super) fn new(
        shared: Arc<Shared>,
        receipt: Receipt,
        due: Micros,
        attempt: u32,
        reply: Reply,
    ) -> Delay {
        Delay { shared, receipt, due, attempt, failure: None, reply }
    }

    fn update(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut update =
            transaction.prepare_cached("UPDATE event SET due_at = ?2, attempt = ?3 WHERE seq = ?1")?;
        update.execute(params![self.receipt.id, self.due, self.attempt]).map(drop)
    }
}

impl Job for Delay {
    fn run(&mut self, transaction: &Transaction<'_>) -> Verdict {
        let updated = self.update(transaction);
        verdict(updated, &mut self.failure)
    }

    /// The event is put off in memory also when that could not be written: it must neither stay in hand for ever nor
    /// come again at once.
    fn end(self: Box<Self>, committed: Result<(), Error>) {
        self.shared.delay(&self.receipt, self.due);
        let _ = self.reply.send(outcome(self.failure, committed));
    }
}

fn verdict(result: rusqlite::Result<()>, failure: &mut Option<Error>) -> Verdict {
    *failure = result.err().map(Error::from);
    match failure {
        None => Verdict::Keep,
        Some(_) => Verdict::Undo,
    }
}

fn outcome(failure: Option<Error>, committed: Result<(), Error>) -> Result<(), Error> {
    match failure {
        Some(own) => Err(own),
        None => committed,
    }
}
