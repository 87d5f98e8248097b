//! One look at a person at a time, also across the sync and bulk lanes. Lockouts take no turn in these: they never wait
//! for what keeps in step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Subject;

/// Whose turn it is. Cheap to clone; clones share everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    waiting: Arc<Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<()>>>>>,
}

/// A turn that lasts until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    subject: Subject,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else looks at the person.
    pub(super) async fn take(&self, subject: Subject) -> Turn {
        let turn = self.map().entry(subject).or_default().clone();
        let guard = Some(turn.lock_owned().await);
        Turn { turns: self.clone(), subject, guard }
    }

    /// The turn, when nobody has it or waits for it.
    pub(super) fn try_take(&self, subject: Subject) -> Option<Turn> {
        let mut map = self.map();
        let guard = map.entry(subject).or_default().clone().try_lock_owned().ok();
        drop(map);
        guard.map(|guard| Turn { turns: self.clone(), subject, guard: Some(guard) })
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, Arc<tokio::sync::Mutex<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard.take();
        let mut map = self.turns.map();
        // Whoever waits holds the other reference, and leaves in turn.
        if map.get(&self.subject).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            map.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{ObjectId, TenantId};

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let subject = Subject { tenant: TenantId(Uuid::nil()), object: ObjectId(Uuid::nil()) };
        let first = turns.take(subject).await;
        let second = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.take(subject).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        assert!(turns.try_take(subject).is_none());
        drop(first);
        second.await.unwrap();
        assert!(turns.try_take(subject).is_some());
        assert!(turns.map().is_empty());
    }
}
