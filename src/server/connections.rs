//! The open connections of one listener: never more than a number of them.
//!
//! When there is no room, the connection that has kept us waiting longest is cut off, instead of leaving the newcomer
//! before a shut door: whoever opens thousands and says nothing loses the oldest of them. One with a request in hand
//! is never cut off. Requests share nothing here but their own connection's state.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// While every connection has a request in hand, we look again this often for one that has not.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Being at the limit is said once per this time, not once per connection.
const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

// States of a connection; anything below is the microsecond since which it waits for a request.
const IN_HAND: u64 = u64::MAX;
const CUT_OFF: u64 = u64::MAX - 1;

pub(super) struct Connections {
    places: Arc<Semaphore>,
    born: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: BTreeMap<u64, Arc<Connection>>,
    next: u64,
    complained_at: Option<Instant>,
}

pub(super) struct Connection {
    born: Instant,
    state: AtomicU64,
    cut_off: CancellationToken,
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Connections> {
        let places = Arc::new(Semaphore::new(most));
        Arc::new(Connections { places, born: Instant::now(), table: Mutex::default() })
    }

    /// A place for one more. `all` cuts off every connection.
    pub(super) async fn admit(self: &Arc<Self>, all: &CancellationToken) -> Open {
        loop {
            if self.places.available_permits() == 0 {
                self.complain();
                self.cut_off_one();
            }
            let place = tokio::time::timeout(LOOK_AGAIN, self.places.clone().acquire_owned()).await;
            if let Ok(place) = place {
                return self.open(place.expect("the semaphore is never closed"), all);
            }
        }
    }

    /// Cuts off the connection that has waited longest for its peer. It is gone when its task has noticed.
    pub(super) fn cut_off_one(&self) {
        let mut table = self.table();
        let waiting = table.open.iter().filter_map(|(serial, connection)| {
            let state = connection.state.load(Ordering::Relaxed);
            (state < CUT_OFF).then_some((state, *serial))
        });
        let Some((since, serial)) = waiting.min() else { return };
        let connection = &table.open[&serial];
        // A request that began meanwhile wins.
        if connection.state.compare_exchange(since, CUT_OFF, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            connection.cut_off.cancel();
            table.open.remove(&serial);
        }
    }

    fn open(self: &Arc<Self>, place: OwnedSemaphorePermit, all: &CancellationToken) -> Open {
        let mut table = self.table();
        let serial = table.next;
        table.next += 1;
        let (born, cut_off) = (self.born, all.child_token());
        let connection = Arc::new(Connection { born, state: AtomicU64::new(waiting_since(born)), cut_off });
        table.open.insert(serial, connection.clone());
        Open { among: self.clone(), serial, connection, _place: place }
    }

    fn complain(&self) {
        let mut table = self.table();
        if table.complained_at.is_none_or(|at| at.elapsed() >= COMPLAINT_EVERY) {
            table.complained_at = Some(Instant::now());
            tracing::warn!("as many connections are open as we hold: the one that waits longest makes room");
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards sound data.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection's place; given back when dropped.
pub(super) struct Open {
    among: Arc<Connections>,
    serial: u64,
    connection: Arc<Connection>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Runs `work` until it is done or the connection is cut off.
    pub(super) async fn run(&self, work: impl Future<Output = ()>) {
        self.connection.cut_off.run_until_cancelled(work).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.among.table().open.remove(&self.serial);
    }
}

impl Connection {
    /// A request is in hand until `answer` is there. To be polled by the connection alone, so that a request which
    /// waits for its peer to read earlier answers does not count.
    pub(super) async fn serve<T>(&self, answer: impl Future<Output = T>) -> T {
        if self.state.swap(IN_HAND, Ordering::AcqRel) == CUT_OFF {
            // Nothing was begun; the connection ends at once.
            return std::future::pending().await;
        }
        let _waiting_again = Waiting(self);
        answer.await
    }
}

struct Waiting<'c>(&'c Connection);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.store(waiting_since(self.0.born), Ordering::Release);
    }
}

fn waiting_since(born: Instant) -> u64 {
    u64::try_from(born.elapsed().as_micros()).unwrap_or(CUT_OFF - 1)
}
