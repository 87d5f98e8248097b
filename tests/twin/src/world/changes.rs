//! The directory's change log: everything that happens to users and groups, in order. Delta queries and change
//! notifications are both told from it, so neither can know something that the other never will.
//!
//! What is told follows the notifications (Graph, Change notifications: supported resources): creation, change, soft
//! deletion and restoration are all *updated*; only the purge is *deleted*. A delta query says more by looking at what
//! the object is now.

use super::World;
use super::groups::{GroupId, ObjectId};
use super::people::PersonId;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// One change of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Position in the life of the directory, from 1, without gaps.
    pub number: u64,
    pub at: Timestamp,
    pub what: Changed,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Hired, changed, soft-deleted or restored.
    UserUpdated { id: PersonId, touched: Touched },
    /// Purged.
    UserDeleted(PersonId),
    /// Created, changed, soft-deleted or restored, or its direct members have changed.
    GroupUpdated { id: GroupId, touched: Touched, members: Vec<(ObjectId, Moved)> },
    /// Purged.
    GroupDeleted(GroupId),
}

/// What became of a direct member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    Added,
    Removed,
}

/// Which Graph properties a change has touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// The object came, went, or came back.
    Everything,
    /// These, by their names in Graph; empty when only members have changed.
    Properties(Box<[Box<str>]>),
}

impl Touched {
    pub(super) fn property(name: &str) -> Touched {
        Touched::properties(&[name])
    }

    pub(super) fn properties(names: &[&str]) -> Touched {
        Touched::Properties(names.iter().map(|&name| name.into()).collect())
    }

    pub(super) fn nothing() -> Touched {
        Touched::Properties(Box::default())
    }
}

/// Changes kept; several lives of the biggest tenant that a test makes. A delta token from before the oldest one is
/// expired, as it would be at Graph after seven days.
const CHANGES_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Log {
    kept: VecDeque<Change>,
    last: u64,
    /// How often all links to pages and rounds have aged.
    link_epoch: u64,
    written: Arc<Notify>,
}

impl Log {
    pub fn write(&mut self, what: Changed) {
        self.last += 1;
        if self.kept.len() >= CHANGES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Change { number: self.last, at: Timestamp::now(), what });
        self.written.notify_waiters();
    }
}

impl World {
    /// The number of the newest change, 0 before the first.
    pub fn last_change(&self) -> u64 {
        self.changes.last
    }

    /// The changes with a higher number than `number` that are still kept, oldest first.
    pub fn changes_since(&self, number: u64) -> impl Iterator<Item = &Change> {
        let kept = &self.changes.kept;
        let before_kept = self.changes.last - kept.len() as u64;
        let skipped = usize::try_from(number.saturating_sub(before_kept)).unwrap_or(usize::MAX);
        kept.range(skipped.min(kept.len())..)
    }

    /// Whether every change after `number` is still kept.
    pub(crate) fn remembers(&self, number: u64) -> bool {
        number <= self.changes.last && number >= self.changes.last - self.changes.kept.len() as u64
    }

    /// A week passes for every link that Graph has given out: nextLinks and deltaLinks are too old from now on (Graph,
    /// Delta query overview: directory tokens live seven days).
    pub fn expire_links(&mut self) {
        self.changes.link_epoch += 1;
    }

    pub(crate) fn link_epoch(&self) -> u64 {
        self.changes.link_epoch
    }

    /// Woken at every change.
    pub fn change_written(&self) -> Arc<Notify> {
        self.changes.written.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_numbered_and_read_from_any_point() {
        let mut world = World::new(&crate::setup::Setup::default());
        let ids: Vec<PersonId> = (0..3).map(|_| PersonId::nobody()).collect();
        ids.iter().for_each(|id| world.changes.write(Changed::UserDeleted(*id)));
        let since = |number| world.changes_since(number).map(|change| change.number).collect::<Vec<_>>();
        assert_eq!(since(0), [1, 2, 3]);
        assert_eq!(since(2), [3]);
        assert_eq!(since(3), [0; 0]);
        assert_eq!(since(9), [0; 0]);
        assert!(world.remembers(0) && world.remembers(3) && !world.remembers(4));
    }
}
