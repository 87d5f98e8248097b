//! Which deliveries were accepted, so that a copied request is refused and a sender's own retry is not worked twice.
//!
//! Kept in memory, at most [`IDS_MAX`] ids as 16-byte hashes, and written behind to the store about once a second, so
//! that a restart remembers all but the last second. There is never a second durable write before the 202:
//! forgetting costs little, because an event only says "look". For the same reason processes beside each other share
//! nothing while they run: a copy that another one gets is one more look.
//!
//! Of requests with the same id that arrive at the same time exactly one goes on. One that was not accepted
//! (queue down, timeout, client gone) is forgotten, whatever way it ended. Safe from many tasks at once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, SharedClock, Timestamp};
use crate::event::Source;
use crate::store::{self, SeenDelivery, Store};

/// Ids remembered; the oldest are forgotten first. About 12 MB when full.
const IDS_MAX: usize = 200_000;
/// How far back a start reads. A request is valid for ten minutes at most (five either way); the rest of the hour
/// spares a slow sender's retry a second look.
const REMEMBERED: Duration = Duration::from_secs(3600);
const FLUSH_EVERY: Duration = Duration::from_secs(1);

type Id = [u8; 16];
/// An id is a piece of SHA-256 already: no sender can make two of them collide, and no second hash is needed.
type Spread = BuildHasherDefault<FirstBytes>;

#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length of an array says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The memory of deliveries, shared by the routes that have delivery ids.
pub struct ReplayGuard {
    store: Arc<dyn Store>,
    clock: SharedClock,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When the accepted attempt was signed, in seconds.
    accepted: HashMap<Id, i64, Spread>,
    /// Accepted ids, oldest first.
    order: VecDeque<Id>,
    in_hand: HashSet<Id, Spread>,
    unwritten: Vec<SeenDelivery>,
}

/// What is known about an attempt.
pub(super) enum Attempt {
    /// Never accepted: go on.
    First(InHand),
    /// Accepted before, this is the sender's retry after a lost answer: nothing to do.
    Duplicate,
    /// Accepted before with this very signature, or a later one: somebody repeats it.
    Replayed,
    /// An earlier attempt is being stored right now.
    InHand,
}

impl ReplayGuard {
    /// Remembers what an earlier run accepted within the last hour.
    pub async fn load(store: Arc<dyn Store>, clock: SharedClock) -> Result<Arc<ReplayGuard>, store::Error> {
        let since = hour_before(clock.now());
        let mut seen = Seen::default();
        for delivery in store.deliveries_since(since, IDS_MAX as u32).await? {
            seen.accept(delivery.id, delivery.signed_at.as_second());
        }
        Ok(Arc::new(ReplayGuard { store, clock, seen: Mutex::new(seen) }))
    }

    /// Judges one attempt; to be asked only after its signature was verified.
    pub(super) fn begin(self: &Arc<Self>, source: Source, delivery: &str, signed_at: Timestamp) -> Attempt {
        let id = hash(source, delivery);
        let mut seen = self.seen();
        match seen.accepted.get(&id).copied() {
            Some(accepted) if signed_at.as_second() <= accepted => Attempt::Replayed,
            Some(_) => {
                seen.remember(id, signed_at);
                Attempt::Duplicate
            }
            None if seen.in_hand.insert(id) => Attempt::First(InHand { guard: self.clone(), id, signed_at }),
            None => Attempt::InHand,
        }
    }

    /// Writes what was accepted since the last call to the store. What cannot be written waits for the next call.
    pub async fn flush(&self) -> Result<(), store::Error> {
        let unwritten = std::mem::take(&mut self.seen().unwritten);
        if unwritten.is_empty() {
            return Ok(());
        }
        let written = self.store.remember_deliveries(unwritten.clone(), hour_before(self.clock.now())).await;
        if written.is_err() {
            self.seen().owe(unwritten);
        }
        written
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards sound data.
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ReplayGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayGuard").field("remembered", &self.seen().order.len()).finish_non_exhaustive()
    }
}

/// Runs [`ReplayGuard::flush`] about once a second until `shutdown`, and once more then.
pub fn spawn_flush(guard: Arc<ReplayGuard>, shutdown: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut was_failing = false;
        loop {
            let last = tokio::time::timeout(FLUSH_EVERY, shutdown.cancelled()).await.is_ok();
            let failed = guard.flush().await.err();
            if let (Some(error), false) = (&failed, was_failing) {
                let error: &dyn std::error::Error = error;
                tracing::warn!(error, "delivery ids cannot be written down: a restart now would forget them");
            }
            was_failing = failed.is_some();
            if last {
                return;
            }
        }
    })
}

/// The right to handle a delivery. Dropped without [`InHand::accepted`], the delivery was never seen.
pub(super) struct InHand {
    guard: Arc<ReplayGuard>,
    id: Id,
    signed_at: Timestamp,
}

impl InHand {
    /// The event is durable: from now on this delivery is known.
    pub(super) fn accepted(self) {
        self.guard.seen().remember(self.id, self.signed_at);
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.guard.seen().in_hand.remove(&self.id);
    }
}

impl Seen {
    fn remember(&mut self, id: Id, signed_at: Timestamp) {
        self.accept(id, signed_at.as_second());
        self.owe([SeenDelivery { id, signed_at }]);
    }

    fn accept(&mut self, id: Id, second: i64) {
        if self.accepted.insert(id, second).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.accepted.remove(&oldest);
        }
    }

    fn owe(&mut self, deliveries: impl IntoIterator<Item = SeenDelivery>) {
        self.unwritten.extend(deliveries);
        let over = self.unwritten.len().saturating_sub(IDS_MAX);
        self.unwritten.drain(..over);
    }
}

fn hash(source: Source, delivery: &str) -> Id {
    let mut hash = Sha256::new();
    hash.update(source.word());
    hash.update([0]);
    hash.update(delivery);
    let whole: [u8; 32] = hash.finalize().into();
    *whole.first_chunk().expect("a SHA-256 hash has more than 16 bytes")
}

fn hour_before(now: Timestamp) -> Timestamp {
    let back = clock::SignedDuration::try_from(REMEMBERED).unwrap_or_default();
    now.saturating_sub(back).unwrap_or(Timestamp::MIN)
}
