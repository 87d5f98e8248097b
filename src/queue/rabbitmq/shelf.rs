//! What this process holds of one lane: messages that wait for a lease, that are leased, or that are not due yet.
//!
//! Everything on the shelf is unacknowledged on the broker and belongs to the session in which its queue is read. When
//! that is lost, what waits is forgotten (the broker gives it out again) and what is leased is marked, so that its
//! settlement means nothing; it still counts as in hand until its worker is done with it. One mutex, never held across
//! a wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::message::{Item, Origin, Session};
use super::topology::PARTITIONS;
use crate::clock::Timestamp;
use crate::event::Lane;
use crate::queue::{Delivery, Error, Receipt};

pub(super) struct Shelf {
    lane: Lane,
    in_hand_max: usize,
    /// Held messages of one partition; they take up its prefetch, and others of the partition must get past them.
    held_max: usize,
    inner: Mutex<Inner>,
    /// One permit for whoever waits in [`Shelf::lease`] when there may be something for it.
    arrived: Notify,
}

struct Inner {
    closed: bool,
    /// One per partition and one for what the broker gave up on.
    queues: Vec<Waiting>,
    /// Where the next lease looks first, so that every partition gets its turn.
    turn: usize,
    /// `None`: the session of this lease is lost.
    leased: BTreeMap<u64, Option<Item>>,
    /// Not due yet, by the time to look again.
    held: BTreeMap<(Timestamp, u64), Item>,
    next_receipt: u64,
}

/// One queue of the broker, as far as it is here.
#[derive(Default)]
struct Waiting {
    /// The session in which it is read; nothing of another one is taken.
    session: Option<Session>,
    /// In order of arrival.
    items: VecDeque<Item>,
}

/// What a receipt stands for.
pub(super) enum Leased {
    Here(Box<Item>),
    /// Its session is lost, or it was never given: the broker gives the message out again by itself.
    Lost,
}

/// What is here, for the depth of the lane.
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) oldest: Option<Timestamp>,
}

impl Shelf {
    pub(super) fn new(lane: Lane, in_hand_max: usize, held_max: usize) -> Shelf {
        let inner = Inner {
            closed: false,
            queues: std::iter::repeat_with(Waiting::default).take(PARTITIONS + 1).collect(),
            turn: 0,
            leased: BTreeMap::new(),
            held: BTreeMap::new(),
            next_receipt: 1,
        };
        Shelf { lane, in_hand_max, held_max, inner: Mutex::new(inner), arrived: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the shelf")
    }

    /// The queue `origin` is being read; only what comes in `session` is taken from now on.
    pub(super) fn open(&self, origin: Origin, session: Session) {
        self.forget(origin);
        self.lock().queues[index(origin)].session = Some(session);
    }

    /// The queue `origin` is not read any more.
    pub(super) fn forget(&self, origin: Origin) {
        let mut inner = self.lock();
        inner.queues[index(origin)] = Waiting::default();
        inner.held.retain(|_, item| item.origin != origin);
        for lease in inner.leased.values_mut() {
            if lease.as_ref().is_some_and(|item| item.origin == origin) {
                *lease = None;
            }
        }
    }

    /// No queue is read any more.
    pub(super) fn forget_all(&self) {
        (0..PARTITIONS).map(Origin::Partition).for_each(|origin| self.forget(origin));
        self.forget(Origin::Dead);
    }

    /// No more leases, now or later; what is in hand goes back when the session ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.forget_all();
        self.arrived.notify_waiters();
        // Whoever was about to wait finds this one.
        self.arrived.notify_one();
    }

    /// Puts a message where a lease finds it, in its place.
    pub(super) fn put(&self, item: Item) {
        let mut inner = self.lock();
        let queue = &mut inner.queues[index(item.origin)];
        if queue.session != Some(item.session) {
            return;
        }
        let place = queue.items.partition_point(|other| other.order < item.order);
        queue.items.insert(place, item);
        drop(inner);
        self.arrived.notify_one();
    }

    /// Keeps a message until `wake`.
    pub(super) fn hold(&self, item: Item, wake: Timestamp) {
        let mut inner = self.lock();
        if inner.queues[index(item.origin)].session == Some(item.session) {
            inner.held.insert((wake, item.order), item);
        }
    }

    /// Whether one more message of `origin` may be held without getting in the way of the others.
    pub(super) fn has_room_to_hold(&self, origin: Origin) -> bool {
        self.lock().held.values().filter(|item| item.origin == origin).count() < self.held_max
    }

    /// The next time at which a held message is to be looked at.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.lock().held.keys().next().map(|(wake, _)| *wake)
    }

    /// Takes the held messages whose time to look has come.
    pub(super) fn woken(&self, now: Timestamp) -> Vec<Item> {
        let mut inner = self.lock();
        let later = inner.held.split_off(&(now, u64::MAX));
        std::mem::replace(&mut inner.held, later).into_values().collect()
    }

    /// Waits for a message and lends it out. Cancel-safe: nothing is taken before the call returns.
    pub(super) async fn lease(&self) -> Result<Delivery, Error> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(delivery) = self.try_lease()? {
                return Ok(delivery);
            }
            arrived.await;
        }
    }

    fn try_lease(&self) -> Result<Option<Delivery>, Error> {
        let mut inner = self.lock();
        if inner.closed {
            // The next waiter learns it from this one.
            self.arrived.notify_one();
            return Err(Error::Closed);
        }
        if inner.leased.len() >= self.in_hand_max {
            return Ok(None);
        }
        let Some(item) = inner.take_in_turn() else { return Ok(None) };
        let id = inner.next_receipt;
        inner.next_receipt += 1;
        let (attempt, body) = (item.attempt, item.body());
        inner.leased.insert(id, Some(item));
        if inner.leased.len() < self.in_hand_max && inner.queues.iter().any(|queue| !queue.items.is_empty()) {
            self.arrived.notify_one();
        }
        Ok(Some(Delivery { receipt: Receipt { lane: self.lane, id }, attempt, body }))
    }

    /// Ends a lease; its place in the hand is free again.
    pub(super) fn end_lease(&self, receipt: &Receipt) -> Result<Leased, Error> {
        let mut inner = self.lock();
        let item = inner.leased.remove(&receipt.id).flatten();
        if inner.closed {
            return Err(Error::Closed);
        }
        drop(inner);
        self.arrived.notify_one();
        Ok(item.map_or(Leased::Lost, |item| Leased::Here(Box::new(item))))
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.lock();
        let waiting = inner.queues.iter().flat_map(|queue| &queue.items);
        let all = || waiting.clone().chain(inner.leased.values().flatten()).chain(inner.held.values());
        Counts { events: all().count() as u64, oldest: all().filter_map(|item| item.enqueued_at).min() }
    }
}

impl Inner {
    fn take_in_turn(&mut self) -> Option<Item> {
        let queues = self.queues.len();
        for step in 0..queues {
            let at = (self.turn + step) % queues;
            if let Some(item) = self.queues[at].items.pop_front() {
                self.turn = (at + 1) % queues;
                return Some(item);
            }
        }
        None
    }
}

fn index(origin: Origin) -> usize {
    match origin {
        Origin::Partition(partition) => partition,
        Origin::Dead => PARTITIONS,
    }
}
