//! What this process holds of one lane: messages that wait for a lease, that are leased, or that are not due yet.
//!
//! Everything on the shelf is unacknowledged on the broker and belongs to one session. When the session is lost, what
//! waits is forgotten (the broker gives it out again) and what is leased is marked, so that its settlement means
//! nothing; it still counts as in hand until its worker is done with it. One mutex, never held across a wait.

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
    session: Option<Session>,
    closed: bool,
    /// One queue per partition and one for what the broker gave up on, each in order of arrival.
    waiting: Vec<VecDeque<Item>>,
    /// Where the next lease looks first, so that every partition gets its turn.
    turn: usize,
    /// `None`: the session of this lease is lost.
    leased: BTreeMap<u64, Option<Item>>,
    /// Not due yet, by the time to look again.
    held: BTreeMap<(Timestamp, u64), Item>,
    next_receipt: u64,
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
            session: None,
            closed: false,
            waiting: std::iter::repeat_with(VecDeque::new).take(PARTITIONS + 1).collect(),
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

    /// Only messages of `session` are taken from now on.
    pub(super) fn open(&self, session: Session) {
        self.lock().session = Some(session);
    }

    /// The session is lost.
    pub(super) fn forget(&self) {
        let mut inner = self.lock();
        inner.session = None;
        inner.waiting.iter_mut().for_each(VecDeque::clear);
        inner.held.clear();
        inner.leased.values_mut().for_each(|item| *item = None);
    }

    /// No more leases, now or later; what is in hand goes back when the session ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.forget();
        self.arrived.notify_waiters();
        // Whoever was about to wait finds this one.
        self.arrived.notify_one();
    }

    /// Puts a message where a lease finds it, in its place.
    pub(super) fn put(&self, item: Item) {
        let mut inner = self.lock();
        if inner.session != Some(item.session) {
            return;
        }
        let queue = &mut inner.waiting[index(item.origin)];
        let place = queue.partition_point(|other| other.order < item.order);
        queue.insert(place, item);
        drop(inner);
        self.arrived.notify_one();
    }

    /// Keeps a message until `wake`.
    pub(super) fn hold(&self, item: Item, wake: Timestamp) {
        let mut inner = self.lock();
        if inner.session == Some(item.session) {
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
        if inner.leased.len() < self.in_hand_max && inner.waiting.iter().any(|queue| !queue.is_empty()) {
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
        let waiting = inner.waiting.iter().flatten();
        let all = || waiting.clone().chain(inner.leased.values().flatten()).chain(inner.held.values());
        Counts { events: all().count() as u64, oldest: all().filter_map(|item| item.enqueued_at).min() }
    }
}

impl Inner {
    fn take_in_turn(&mut self) -> Option<Item> {
        let queues = self.waiting.len();
        for step in 0..queues {
            let at = (self.turn + step) % queues;
            if let Some(item) = self.waiting[at].pop_front() {
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
