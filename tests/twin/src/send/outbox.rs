//! What Graph still has to tell the subscribers: gathered into POSTs, kept back, tried again, given up.
//!
//! Plain bookkeeping behind a mutex; [`super::deliverer`] moves it. Nothing here is promised an order, and nothing is
//! exactly once: so little does Graph promise (Change notifications by webhooks).

use crate::faults::Mishap;
use crate::setup::Patience;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Notifications in one POST. Graph batches without naming a number.
const BATCH_MAX: usize = 100;
/// POSTs under way at once.
const FLYING_MAX: usize = 8;
/// Attempts kept for tests to look at; the oldest go first.
const DELIVERIES_MAX: usize = 10_000;
/// How long a notification that is to be overtaken waits for another one to do so.
const OVERTAKING: Duration = Duration::from_millis(200);

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub url: String,
    /// Change or lifecycle notifications.
    pub items: Vec<Value>,
    /// From 1.
    pub attempt: u32,
    /// The status answered; `None` when nobody answered in time.
    pub answer: Option<u16>,
    /// It was the last attempt, and it failed.
    pub given_up: bool,
}

/// One notification for one address.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub subscription: String,
    pub url: String,
    /// The change that it tells; 0 for lifecycle notifications.
    pub number: u64,
    pub item: Value,
}

/// Notifications that go together, and together again.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub url: String,
    pub items: Vec<Value>,
    /// Attempts before this one.
    pub failed: u32,
    /// When it was first sent; from then on Graph's patience runs.
    first: Instant,
    /// The newest change in it.
    number: u64,
}

#[derive(Default)]
pub(crate) struct Outbox {
    kept: Mutex<Kept>,
    wake: Notify,
}

#[derive(Default)]
struct Kept {
    /// The newest change that has been looked at.
    told: u64,
    paused: bool,
    serial: u64,
    fresh: BTreeMap<String, VecDeque<Note>>,
    /// Doubles, delayed ones and retries, each a POST of its own.
    timed: BTreeMap<(Instant, u64), Post>,
    overtaken: Vec<(Instant, Note)>,
    held: Vec<Note>,
    /// Waiting for their subscription to be reauthorized.
    lapsed: Vec<Note>,
    flying: usize,
    deliveries: VecDeque<Delivery>,
}

impl Outbox {
    /// Something has happened that the deliverer should look at.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    pub fn told(&self) -> u64 {
        self.lock().told
    }

    pub fn set_told(&self, number: u64) {
        self.lock().told = number;
    }

    /// Takes a notification in, with what happens to it on its way.
    pub fn add(&self, note: Note, mishaps: &[Mishap], now: Instant) {
        self.lock().add(note, mishaps, now);
    }

    /// Keeps a notification until its subscription is reauthorized.
    pub fn add_lapsed(&self, note: Note) {
        self.lock().lapsed.push(note);
    }

    /// Lets go what waited for these subscriptions, and forgets what waited for subscriptions that are gone.
    pub fn cure(&self, mut has_lapsed: impl FnMut(&str) -> Option<bool>) {
        let mut kept = self.lock();
        for note in std::mem::take(&mut kept.lapsed) {
            match has_lapsed(&note.subscription) {
                Some(true) => kept.lapsed.push(note),
                Some(false) => kept.queue(note),
                None => {}
            }
        }
    }

    /// The next POST that may go now. Every one that is taken is to be settled.
    pub fn take(&self, now: Instant) -> Option<Post> {
        self.lock().take(now)
    }

    /// When there is something to take, if nothing else happens before.
    pub fn next_due(&self) -> Option<Instant> {
        let kept = self.lock();
        if kept.paused || kept.flying >= FLYING_MAX {
            return None;
        }
        let timed = kept.timed.keys().next().map(|(due, _)| *due);
        timed.into_iter().chain(kept.overtaken.iter().map(|(due, _)| *due)).min()
    }

    /// An attempt has ended. Any 2xx is a success; everything else is tried again until patience ends (Change
    /// notifications by webhooks, 2026-04-22).
    pub fn settle(&self, post: Post, answer: Option<u16>, patience: &Patience, now: Instant) {
        let mut kept = self.lock();
        kept.flying -= 1;
        let delivered = answer.is_some_and(|status| (200..300).contains(&status));
        let pause = patience.pause.saturating_mul(1 << post.failed.min(20));
        let given_up = !delivered && now + pause > post.first + patience.horizon;
        kept.keep(Delivery {
            url: post.url.clone(),
            items: post.items.clone(),
            attempt: post.failed + 1,
            answer,
            given_up,
        });
        if delivered {
            kept.overtake(post.number);
        } else if !given_up {
            kept.schedule(now + pause, Post { failed: post.failed + 1, ..post });
        }
    }

    /// Nothing on its way and nothing due; held and lapsed ones stay where they are.
    pub fn is_quiet(&self) -> bool {
        let kept = self.lock();
        kept.flying == 0 && kept.fresh.is_empty() && kept.timed.is_empty() && kept.overtaken.is_empty()
    }

    pub fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.wake();
    }

    pub fn held(&self) -> usize {
        self.lock().held.len()
    }

    /// Lets go what was held, and says how many.
    pub fn release(&self) -> usize {
        let mut kept = self.lock();
        let held = std::mem::take(&mut kept.held);
        let count = held.len();
        held.into_iter().for_each(|note| kept.queue(note));
        drop(kept);
        self.wake();
        count
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, mut note: Note, mishaps: &[Mishap], now: Instant) {
        if mishaps.contains(&Mishap::WithoutMembers)
            && let Some(data) = note.item["resourceData"].as_object_mut()
        {
            data.remove("members@delta");
        }
        if mishaps.contains(&Mishap::Double) {
            self.schedule(now, Post::alone(note.clone(), now));
        }
        let place = mishaps.iter().find(|mishap| !matches!(mishap, Mishap::WithoutMembers | Mishap::Double));
        match place {
            Some(Mishap::Lose) => {}
            Some(Mishap::Delay(by)) => self.schedule(now + *by, Post::alone(note, now + *by)),
            Some(Mishap::Hold) => self.held.push(note),
            Some(Mishap::Overtake) => self.overtaken.push((now + OVERTAKING, note)),
            Some(Mishap::WithoutMembers | Mishap::Double) | None => self.queue(note),
        }
    }

    fn queue(&mut self, note: Note) {
        self.fresh.entry(note.url.clone()).or_default().push_back(note);
    }

    fn schedule(&mut self, due: Instant, post: Post) {
        self.serial += 1;
        self.timed.insert((due, self.serial), post);
    }

    fn take(&mut self, now: Instant) -> Option<Post> {
        if self.paused || self.flying >= FLYING_MAX {
            return None;
        }
        // Those that waited in vain go backwards, so that they overtake each other at least.
        if self.overtaken.first().is_some_and(|(due, _)| *due <= now) {
            let waited = std::mem::take(&mut self.overtaken);
            waited.into_iter().rev().for_each(|(_, note)| self.queue(note));
        }
        let due = self.timed.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove());
        let post = due.or_else(|| self.gather(now))?;
        self.flying += 1;
        Some(post)
    }

    /// What is fresh for one address, as much as fits.
    fn gather(&mut self, now: Instant) -> Option<Post> {
        let mut entry = self.fresh.first_entry()?;
        let url = entry.key().clone();
        let waiting = entry.get_mut();
        let notes: Vec<Note> = waiting.drain(..waiting.len().min(BATCH_MAX)).collect();
        if waiting.is_empty() {
            entry.remove();
        }
        let number = notes.iter().map(|note| note.number).max().unwrap_or(0);
        let items = notes.into_iter().map(|note| note.item).collect();
        Some(Post { url, items, failed: 0, first: now, number })
    }

    /// A newer one has arrived: now they may go.
    fn overtake(&mut self, number: u64) {
        let passed: Vec<_> = self.overtaken.extract_if(.., |(_, note)| note.number < number).collect();
        passed.into_iter().for_each(|(_, note)| self.queue(note));
    }

    fn keep(&mut self, delivery: Delivery) {
        if self.deliveries.len() >= DELIVERIES_MAX {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }
}

impl Post {
    fn alone(note: Note, first: Instant) -> Post {
        Post { url: note.url, items: vec![note.item], failed: 0, first, number: note.number }
    }
}
