//! What memory knows of one lane: the order of what waits, the next few bodies, what is in hand, what is delayed.
//!
//! Plain data behind the lock of `Shared`; nothing here waits, reads the clock or touches the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::queue::Depth;

/// The place of an event in the file; never given twice while the process lives.
pub(super) type Seq = u64;
/// Microseconds since 1970.
pub(super) type Micros = i64;

/// Bodies kept ready per lane: at most 2 MiB, and what was just enqueued is handed out without reading it back.
const BODIES_KEPT: usize = 128;
/// Bodies read from the file at a time.
const BODIES_READ: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Line {
    /// What can be leased, in order, with the time it was enqueued.
    waiting: BTreeMap<Seq, Micros>,
    /// Bodies of some of the waiting.
    bodies: BTreeMap<Seq, Stored>,
    in_hand: BTreeMap<Seq, Micros>,
    delayed: BTreeSet<Delayed>,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) attempt: u32,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    due: Micros,
    seq: Seq,
    enqueued_at: Micros,
}

/// What a look for the next delivery found.
#[derive(Debug)]
pub(super) enum Taken {
    Delivery(Seq, Stored),
    /// There is one, but its body must be read first.
    BodyInFile,
    /// Nothing may be handed out now; with time alone, something may at `due`.
    Nothing {
        due: Option<Micros>,
    },
}

impl Line {
    /// Takes in what was just written.
    pub(super) fn arrive(&mut self, seq: Seq, enqueued_at: Micros, stored: Stored) {
        if self.waiting.len() < BODIES_KEPT {
            self.bodies.insert(seq, stored);
        }
        self.waiting.insert(seq, enqueued_at);
    }

    /// Takes in what was found in the file at the start.
    pub(super) fn remember(&mut self, seq: Seq, due: Micros, enqueued_at: Micros) {
        match due {
            0 => drop(self.waiting.insert(seq, enqueued_at)),
            due => drop(self.delayed.insert(Delayed { due, seq, enqueued_at })),
        }
    }

    pub(super) fn take(&mut self, now: Micros, in_hand_max: usize) -> Taken {
        self.let_in_what_is_due(now);
        if self.in_hand.len() >= in_hand_max {
            return Taken::Nothing { due: None };
        }
        let Some(next) = self.waiting.first_entry() else {
            return Taken::Nothing { due: self.delayed.first().map(|delayed| delayed.due) };
        };
        let Some(stored) = self.bodies.remove(next.key()) else {
            return Taken::BodyInFile;
        };
        let (seq, enqueued_at) = next.remove_entry();
        self.in_hand.insert(seq, enqueued_at);
        Taken::Delivery(seq, stored)
    }

    /// Whether another lease would find something.
    pub(super) fn has_more(&self, in_hand_max: usize) -> bool {
        !self.waiting.is_empty() && self.in_hand.len() < in_hand_max
    }

    fn let_in_what_is_due(&mut self, now: Micros) {
        while self.delayed.first().is_some_and(|delayed| delayed.due <= now) {
            if let Some(Delayed { seq, enqueued_at, .. }) = self.delayed.pop_first() {
                self.waiting.insert(seq, enqueued_at);
            }
        }
    }

    /// The next in line whose bodies are still in the file.
    pub(super) fn without_body(&self) -> Vec<Seq> {
        let next = self.waiting.keys().take(BODIES_READ);
        next.filter(|seq| !self.bodies.contains_key(seq)).copied().collect()
    }

    /// Takes in bodies from the file. What waits here but is not there was removed by a stranger: it is let go.
    pub(super) fn fill(&mut self, found: Vec<(Seq, Option<Stored>)>) {
        for (seq, stored) in found {
            match stored {
                Some(stored) if self.waiting.contains_key(&seq) => drop(self.bodies.insert(seq, stored)),
                Some(_) => {}
                None => drop(self.waiting.remove(&seq)),
            }
        }
    }

    pub(super) fn is_in_hand(&self, seq: Seq) -> bool {
        self.in_hand.contains_key(&seq)
    }

    pub(super) fn done(&mut self, seq: Seq) {
        self.in_hand.remove(&seq);
    }

    pub(super) fn give_back(&mut self, seq: Seq) {
        if let Some(enqueued_at) = self.in_hand.remove(&seq) {
            self.waiting.insert(seq, enqueued_at);
        }
    }

    pub(super) fn delay(&mut self, seq: Seq, due: Micros) {
        if let Some(enqueued_at) = self.in_hand.remove(&seq) {
            self.delayed.insert(Delayed { due, seq, enqueued_at });
        }
    }

    pub(super) fn depth(&self) -> Depth {
        let events = self.waiting.len() + self.in_hand.len() + self.delayed.len();
        let oldest = self.waiting.first_key_value();
        Depth {
            events: events as u64,
            oldest: oldest.and_then(|(_, enqueued_at)| Timestamp::from_microsecond(*enqueued_at).ok()),
        }
    }
}
