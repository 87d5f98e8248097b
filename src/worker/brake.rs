//! Keeps the brake's gauge true between containments: it must go out when the window has passed, although nobody opens
//! a case. The brake itself is decided in the plan, under the lock that makes its count exact.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Deps;
use crate::clock::Timestamp;
use crate::event::{ObjectId, Subject, TenantId};

/// Scrapes come every 15 to 60 seconds.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn watch(deps: Deps, shutdown: CancellationToken) {
    let nobody = Subject { tenant: TenantId(Uuid::nil()), object: ObjectId(Uuid::nil()) };
    loop {
        let brake = deps.policy.borrow().contain.brake;
        let since = deps.clock.now().checked_sub(brake.window()).unwrap_or(Timestamp::MIN);
        // A store that cannot be read is told by `/readyz`; the gauge keeps its last value.
        if let Ok(recent) = deps.store.blocking_cases_since(since, nobody).await {
            let recent = recent.saturating_add(deps.unwritten.blocking_since(since, nobody));
            deps.metrics.brake_held(u32::from(recent >= brake.containments));
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
