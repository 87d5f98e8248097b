//! Identity Protection answers one request per second and tenant, for all applications together, and its 429 names no
//! time (Microsoft Graph, Throttling limits). So we keep the pace ourselves.
//!
//! Sync leaves the first moments of every second to containment, which never queues behind it: it either takes the
//! slot now or is told when the next one opens.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Lane;

/// A little more than the second, because the vendor's second does not start with ours.
const PER_REQUEST: Duration = Duration::from_millis(1050);
/// How long a free slot is containment's alone.
const CONTAIN_FIRST: Duration = Duration::from_millis(250);
/// The longest that sync waits for a slot.
const SYNC_WAIT_MOST: Duration = Duration::from_secs(5);

/// The pace of one tenant.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    last: Mutex<Option<Instant>>,
    sync_turn: tokio::sync::Mutex<()>,
}

impl Pacing {
    /// Takes the slot of this second.
    ///
    /// # Errors
    /// How long until the next slot opens for this lane.
    pub(super) async fn take(&self, lane: Lane) -> Result<(), Duration> {
        match lane {
            Lane::Contain => self.try_take(lane),
            Lane::Sync | Lane::Bulk => self.take_in_turn().await,
        }
    }

    async fn take_in_turn(&self) -> Result<(), Duration> {
        let give_up_at = Instant::now() + SYNC_WAIT_MOST;
        let Ok(_turn) = tokio::time::timeout_at(give_up_at, self.sync_turn.lock()).await else {
            return Err(PER_REQUEST);
        };
        while let Err(wait) = self.try_take(Lane::Sync) {
            if Instant::now() + wait > give_up_at {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn try_take(&self, lane: Lane) -> Result<(), Duration> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let pause = match lane {
            Lane::Contain => PER_REQUEST,
            Lane::Sync | Lane::Bulk => PER_REQUEST + CONTAIN_FIRST,
        };
        let wait = last.map_or(Duration::ZERO, |last| pause.saturating_sub(now.duration_since(last)));
        if !wait.is_zero() {
            return Err(wait);
        }
        *last = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn containment_is_told_the_next_slot_at_once_and_gets_it_before_sync() {
        let pacing = Arc::new(Pacing::default());
        assert_eq!(pacing.take(Lane::Sync).await, Ok(()));
        let start = Instant::now();
        assert_eq!(pacing.take(Lane::Contain).await, Err(PER_REQUEST));
        assert_eq!(start.elapsed(), Duration::ZERO);
        let sync = tokio::spawn({
            let pacing = Arc::clone(&pacing);
            async move { (pacing.take(Lane::Sync).await, Instant::now()) }
        });
        tokio::time::sleep(PER_REQUEST).await;
        assert_eq!(pacing.take(Lane::Contain).await, Ok(()));
        let (taken, at) = sync.await.unwrap();
        assert_eq!(taken, Ok(()));
        assert!(at - start >= PER_REQUEST * 2, "{:?}", at - start);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_sync_reads_keeps_the_pace_and_none_waits_for_ever() {
        let pacing = Arc::new(Pacing::default());
        let start = Instant::now();
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let pacing = Arc::clone(&pacing);
                tokio::spawn(async move { pacing.take(Lane::Sync).await })
            })
            .collect();
        let mut served = 0;
        for one in crowd {
            served += u32::from(one.await.unwrap().is_ok());
        }
        assert!(start.elapsed() <= SYNC_WAIT_MOST);
        assert_eq!(served, 4, "one at once, then one every 1.3 s within five seconds");
    }
}
