//! What every route shares: the body and a place to work on it, the durable write, the counting, the answer.
//!
//! A place is taken when a body is whole, never before: whoever does not finish one keeps no place from others, and a
//! stranger who does is refused before anything is waited for. Each route has places of its own, so that a storm at one
//! does not close the others. A request that panics is answered with 500 and counted; the others do not notice.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use tokio::time::Instant;

use super::harvest::Harvest;
use super::refusal::Refusal;
use super::unfinished::Unfinished;
use super::{Deps, ReplayGuard, Settings, body};
use crate::clock::Timestamp;
use crate::event::{About, Event, Lane, Source, TenantId};
use crate::queue;

/// The longest wait for the queue to say that an event is durable. Under Graph's three seconds ("Receive change
/// notifications through webhooks": an answer after 3 s is a failed delivery).
const ENQUEUE_WAIT: Duration = Duration::from_millis(2500);
/// A queue that is down is said once per this many seconds, not once per request.
const COMPLAINT_SECONDS: i64 = 5;

/// Of so many connections one may be a stranger's who is waited for with his request in hand.
const STRANGERS_SHARE: usize = 8;

pub(super) struct Door {
    pub(super) tenant: TenantId,
    deps: Deps,
    unfinished: Unfinished,
    complained_at: AtomicI64,
}

impl Door {
    pub(super) fn new(settings: &Settings, deps: Deps) -> Door {
        Door {
            tenant: settings.tenant,
            unfinished: Unfinished::among(deps.connections_max),
            deps,
            complained_at: AtomicI64::new(i64::MIN),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    pub(super) fn replays(&self) -> &Arc<ReplayGuard> {
        &self.deps.replays
    }

    /// Places for whoever proves nothing before something is waited for: few of the connections, and none of a route's own.
    pub(super) fn places_of_strangers(&self, settings: &Settings) -> Places {
        let most = settings.requests_max.min(self.deps.connections_max / STRANGERS_SHARE).max(1);
        Places { most, taken: AtomicUsize::new(0) }
    }

    /// Runs one request to its answer.
    pub(super) async fn attend(
        &self,
        source: Source,
        work: impl Future<Output = Result<Response, Refusal>>,
    ) -> Response {
        // A panic leaves nothing half done that another request could see: what is shared is the replay guard
        // (its tokens give themselves back) and counters.
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => self.refuse(source, refusal),
            Err(_) => {
                tracing::error!(
                    source = source.word(),
                    "a webhook request made us panic; it was answered with 500"
                );
                self.refuse(source, Refusal::Panicked)
            }
        }
    }

    /// The whole body, and one of `places` to work on it.
    pub(super) async fn receive<'p>(
        &self,
        places: &'p Places,
        body: Body,
        deadline: Instant,
    ) -> Result<(Bytes, Place<'p>), Refusal> {
        let body = body::read(body, &self.unfinished, deadline).await?;
        Ok((body, places.take()?))
    }

    /// Stores what was harvested durably, or refuses so that the sender comes again.
    pub(super) async fn store(
        &self,
        source: Source,
        harvest: &Harvest,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        if !harvest.events.is_empty() {
            let until = deadline.min(Instant::now() + ENQUEUE_WAIT);
            match tokio::time::timeout_at(until, self.deps.queue.enqueue(&harvest.events)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.complain(&error);
                    return Err(Refusal::from(&error));
                }
                Err(_) => {
                    self.complain(&queue::Error::Unavailable("it did not answer in time".into()));
                    return Err(Refusal::QueueSlow);
                }
            }
        }
        self.count(source, harvest);
        Ok(())
    }

    /// Counts and logs what was accepted and what was dropped.
    pub(super) fn count(&self, source: Source, harvest: &Harvest) {
        for event in &harvest.events {
            self.deps.metrics.event(source.word(), event.kind.word(), "accepted");
            log_accepted(event);
        }
        for dropped in &harvest.dropped {
            self.deps.metrics.event(source.word(), "none", dropped.word());
        }
    }

    /// Counts something about a request that is neither an event nor a refusal.
    pub(super) fn note(&self, source: Source, outcome: &'static str) {
        self.deps.metrics.event(source.word(), "none", outcome);
    }

    fn refuse(&self, source: Source, refusal: Refusal) -> Response {
        self.note(source, refusal.word());
        tracing::debug!(source = source.word(), cause = refusal.word(), "a webhook request was refused");
        refusal.problem().into_response()
    }

    fn complain(&self, error: &queue::Error) {
        let second = self.now().as_second();
        let last = self.complained_at.load(Ordering::Relaxed);
        let due = second.saturating_sub(last) >= COMPLAINT_SECONDS;
        // Of several requests that fail at once, the one that moves the time speaks.
        if due
            && self.complained_at.compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::error!(error = %error, "webhooks are answered with 503: nothing can be stored durably");
        }
    }
}

/// The answer to everything that was accepted.
pub(super) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// What may lock somebody out is worth a line; a directory change is not.
fn log_accepted(event: &Event) {
    let (id, source, kind) = (event.id, event.source.word(), event.kind.word());
    match (event.lane(), event.about) {
        (Lane::Contain, About::Person(subject)) => {
            tracing::info!(event.id = %id, subject.id = %subject, source, kind, "event accepted");
        }
        _ => tracing::debug!(event.id = %id, source, kind, "event accepted"),
    }
}

/// How many requests one route works on at a time.
pub(super) struct Places {
    most: usize,
    taken: AtomicUsize,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Places {
        Places { most: settings.requests_max, taken: AtomicUsize::new(0) }
    }

    pub(super) fn take(&self) -> Result<Place<'_>, Refusal> {
        let place = Place(&self.taken);
        // The place is taken before it is known to be free; dropping it gives it back either way.
        if self.taken.fetch_add(1, Ordering::Relaxed) < self.most { Ok(place) } else { Err(Refusal::Shed) }
    }
}

/// One request's place; given back when dropped.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
