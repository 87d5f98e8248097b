//! What the callers of the queue and the writer's thread share: one line per lane and what is settled but not deleted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::Lane;
use crate::queue::{Error, Receipt};

use super::line::{Line, Micros, Seq, Stored, Taken};

#[derive(Debug)]
pub(super) struct Shared {
    in_hand_max: usize,
    lanes: [InLane; Lane::ALL.len()],
    settled: Mutex<Settled>,
    /// Used by the writer's thread alone.
    last_seq: AtomicU64,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct InLane {
    line: Mutex<Line>,
    changed: Notify,
    loading: Arc<tokio::sync::Mutex<()>>,
}

/// Handled, but still in the file. If they cannot be deleted they are few: only what was in hand gets here.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) seqs: Vec<Seq>,
    /// Somebody is on the way to delete them.
    pub(super) deleting: bool,
}

impl Shared {
    pub(super) fn new(in_hand_max: usize) -> Shared {
        Shared {
            in_hand_max: in_hand_max.max(1),
            lanes: Default::default(),
            settled: Mutex::default(),
            last_seq: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn lane(&self, lane: Lane) -> &InLane {
        match lane {
            Lane::Contain => &self.lanes[0],
            Lane::Sync => &self.lanes[1],
            Lane::Bulk => &self.lanes[2],
        }
    }

    pub(super) fn line(&self, lane: Lane) -> MutexGuard<'_, Line> {
        self.lane(lane).line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self, lane: Lane) -> &Notify {
        &self.lane(lane).changed
    }

    /// Held while bodies of the lane are being read.
    pub(super) fn loading(&self, lane: Lane) -> Arc<tokio::sync::Mutex<()>> {
        self.lane(lane).loading.clone()
    }

    pub(super) fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_seq(&self) -> Seq {
        self.last_seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// At the start, in the order of the file.
    pub(super) fn remember(&self, lane: Lane, seq: Seq, due: Micros, enqueued_at: Micros) {
        self.last_seq.store(seq, Ordering::Relaxed);
        self.line(lane).remember(seq, due, enqueued_at);
    }

    pub(super) fn arrive(&self, lane: Lane, seq: Seq, enqueued_at: Micros, body: Vec<u8>) {
        self.line(lane).arrive(seq, enqueued_at, Stored { attempt: 1, body });
        self.changed(lane).notify_one();
    }

    /// One change wakes one lease; a lease that leaves something for others wakes the next.
    pub(super) fn take(&self, lane: Lane, now: Micros) -> Result<Taken, Error> {
        self.open()?;
        let mut line = self.line(lane);
        let taken = line.take(now, self.in_hand_max);
        if matches!(taken, Taken::Delivery(..)) && line.has_more(self.in_hand_max) {
            self.changed(lane).notify_one();
        }
        Ok(taken)
    }

    /// Whether the receipt still names a lease.
    pub(super) fn in_hand(&self, receipt: &Receipt) -> Result<(), Error> {
        self.open()?;
        match self.line(receipt.lane).is_in_hand(receipt.id) {
            true => Ok(()),
            false => Err(Error::Refused("the receipt names no lease of this queue".into())),
        }
    }

    pub(super) fn done(&self, receipt: &Receipt) {
        self.line(receipt.lane).done(receipt.id);
        self.settled().seqs.push(receipt.id);
        self.changed(receipt.lane).notify_one();
    }

    pub(super) fn give_back(&self, receipt: &Receipt) {
        self.line(receipt.lane).give_back(receipt.id);
        self.changed(receipt.lane).notify_one();
    }

    /// Wakes every waiting lease: each must reckon anew how long it sleeps.
    pub(super) fn delay(&self, receipt: &Receipt, due: Micros) {
        self.line(receipt.lane).delay(receipt.id, due);
        self.changed(receipt.lane).notify_waiters();
    }

    pub(super) fn open(&self) -> Result<(), Error> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for lane in Lane::ALL {
            self.changed(lane).notify_waiters();
        }
    }
}

/// Wakes the next waiting lease when it is dropped: held by a lease that was woken and may be dropped itself before it
/// takes anything.
pub(super) struct WakeNext {
    pub(super) shared: Arc<Shared>,
    pub(super) lane: Lane,
}

impl Drop for WakeNext {
    fn drop(&mut self) {
        self.shared.changed(self.lane).notify_one();
    }
}
