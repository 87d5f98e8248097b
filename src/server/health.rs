//! Liveness and readiness. Alive means that we answer. Ready means that a webhook would be stored: the queue and the
//! store, not Auth0 or Graph, whose absence must not take us out of the load balancer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;

use super::admin::Admin;
use crate::problem::Problem;

/// A part that has not answered by then is not ready; probes commonly wait a second or more.
const TIME_MAX: Duration = Duration::from_millis(900);

pub(super) async fn live() -> &'static str {
    "alive\n"
}

pub(super) async fn ready(State(admin): State<Arc<Admin>>) -> Result<&'static str, Problem> {
    let (queue, store) =
        tokio::join!(asked("queue", admin.deps.queue.ready()), asked("store", admin.deps.store.ready()));
    queue.and(store).map(|()| "ready\n")
}

async fn asked<E: std::error::Error + 'static>(
    part: &'static str,
    ready: impl Future<Output = Result<(), E>>,
) -> Result<(), Problem> {
    match tokio::time::timeout(TIME_MAX, ready).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(part, error, "not ready");
        }
        Err(_) => tracing::debug!(part, "not ready: no answer in time"),
    }
    Err(Problem::NotReady)
}
