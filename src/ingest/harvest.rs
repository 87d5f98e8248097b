//! What one request became: the events to store, and what was dropped and why.

use super::ITEMS_MAX;
use super::refusal::Refusal;
use crate::event::Event;

/// Why an item of an accepted request became no event. The words are `outcome`s of `lockstep_events_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A kind that we do not handle.
    Unhandled,
    /// A kind that we handle, with something in it that cannot be read.
    Unreadable,
    WrongTenant,
    WrongClientState,
    /// Nothing happened: a validation dummy, a resolved or metric alert.
    Nothing,
}

impl Dropped {
    pub(super) fn word(self) -> &'static str {
        match self {
            Dropped::Unhandled => "unhandled",
            Dropped::Unreadable => "unreadable_item",
            Dropped::WrongTenant => "wrong_tenant",
            Dropped::WrongClientState => "wrong_client_state",
            Dropped::Nothing => "nothing_happened",
        }
    }
}

/// At most [`ITEMS_MAX`] events, unless a route takes more; the items, and so the drops, are bounded by whoever reads the
/// body.
#[derive(Debug)]
pub(super) struct Harvest {
    pub(super) events: Vec<Event>,
    pub(super) dropped: Vec<Dropped>,
    events_max: usize,
}

impl Default for Harvest {
    fn default() -> Harvest {
        Harvest::of_at_most(ITEMS_MAX)
    }
}

impl Harvest {
    pub(super) fn of_at_most(events_max: usize) -> Harvest {
        Harvest { events: Vec::new(), dropped: Vec::new(), events_max }
    }

    pub(super) fn keep(&mut self, event: Event) -> Result<(), Refusal> {
        if self.events.len() >= self.events_max {
            return Err(Refusal::TooMany);
        }
        self.events.push(event);
        Ok(())
    }

    pub(super) fn drop(&mut self, why: Dropped) {
        self.dropped.push(why);
    }

    /// Nothing in the request could be read: its sender should hear of it.
    pub(super) fn is_all_unreadable(&self) -> bool {
        self.events.is_empty()
            && !self.dropped.is_empty()
            && self.dropped.iter().all(|why| *why == Dropped::Unreadable)
    }
}
