//! One answer that many ask for: read once for all who wait, kept for a while, forgotten on request.
//!
//! All who wait for one failed reading get the same error, so that a vendor that is away costs each of them one time
//! limit and not a queue of them. A reading goes on when those who wait for it are dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::auth0::Error;
use crate::clock::{self, SharedClock, Timestamp};

pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    known: Option<(Timestamp, T)>,
    flight: Option<Shared<BoxFuture<'static, Result<T, Error>>>>,
    /// A reading that began before something was forgotten must not bring it back.
    forgotten: u64,
}

impl<T: Clone + Send + Sync + 'static> Kept<T> {
    pub(super) fn new() -> Arc<Kept<T>> {
        Arc::new(Kept { state: Mutex::new(State { known: None, flight: None, forgotten: 0 }) })
    }

    /// What is known, when it is younger than `age`, or what `read` tells.
    pub(super) async fn get(
        self: &Arc<Self>,
        age: Duration,
        clock: &SharedClock,
        read: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let flight = {
            let mut state = self.state();
            match (&state.known, &state.flight) {
                (Some((at, known)), _) if clock::elapsed(*at, clock.now()) < age => return Ok(known.clone()),
                (_, Some(flight)) => flight.clone(),
                (_, None) => self.fly(&mut state, Arc::clone(clock), read),
            }
        };
        flight.await
    }

    pub(super) fn forget(&self) {
        let mut state = self.state();
        (state.known, state.flight) = (None, None);
        state.forgotten += 1;
    }

    fn fly(
        self: &Arc<Self>,
        state: &mut State<T>,
        clock: SharedClock,
        read: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Result<T, Error>>> {
        let (me, began) = (Arc::clone(self), state.forgotten);
        let flight = async move {
            let told = read.await;
            let mut state = me.state();
            if state.forgotten == began {
                state.flight = None;
                state.known = told.clone().ok().map(|known| (clock.now(), known));
            }
            told
        };
        let flight = flight.boxed().shared();
        // Ends within the time limits of the requests it makes.
        tokio::spawn(flight.clone());
        state.flight = Some(flight.clone());
        flight
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::SystemClock;

    const LONG: Duration = Duration::from_secs(3600);

    fn clock() -> SharedClock {
        Arc::new(SystemClock)
    }

    #[tokio::test]
    async fn many_who_ask_at_once_cause_one_reading() {
        let (kept, reads) = (Kept::new(), Arc::new(AtomicU32::new(0)));
        let ask = || {
            let reads = Arc::clone(&reads);
            let read = async move {
                tokio::task::yield_now().await;
                Ok(reads.fetch_add(1, Ordering::Relaxed))
            };
            let kept = Arc::clone(&kept);
            async move { kept.get(LONG, &clock(), read).await }
        };
        let told = futures_util::future::join_all((0..20).map(|_| ask())).await;
        assert!(told.into_iter().all(|one| one == Ok(0)));
        assert_eq!(ask().await, Ok(0));
        kept.forget();
        assert_eq!(ask().await, Ok(1));
    }

    #[tokio::test]
    async fn a_failure_is_told_and_not_kept() {
        let kept = Kept::<u32>::new();
        let failed = kept.get(LONG, &clock(), async { Err(Error::Stale { operation: "x" }) }).await;
        assert!(failed.is_err());
        assert_eq!(kept.get(LONG, &clock(), async { Ok(7) }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_was_being_read_when_it_was_forgotten_does_not_come_back() {
        let kept = Kept::<u32>::new();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let old = {
            let kept = Arc::clone(&kept);
            let read = async move {
                let _ = wait.await;
                Ok(1)
            };
            tokio::spawn(async move { kept.get(LONG, &clock(), read).await })
        };
        while kept.state().flight.is_none() {
            tokio::task::yield_now().await;
        }
        kept.forget();
        assert_eq!(kept.get(LONG, &clock(), async { Ok(2) }).await, Ok(2));
        go.send(()).unwrap();
        assert_eq!(old.await.unwrap(), Ok(1), "who asked before is told what was read");
        assert_eq!(kept.get(LONG, &clock(), async { Ok(3) }).await, Ok(2));
    }
}
