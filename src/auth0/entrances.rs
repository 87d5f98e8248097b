//! Which connections members of the policy's organizations may sign in with: read once for all who ask, and kept for a
//! while. Whether that can be read decides nothing but what a person is told, so a missing permission is said once and is
//! nobody's error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::auth0::call::Caller;
use crate::auth0::kept::Kept;
use crate::auth0::{Error, memberships};
use crate::retry::WhatNow;
use crate::snapshot::sync::{Entrance, OrganizationId};

/// How old an answer may be. It changes rarely, costs a request for each organization, and the smaller plans allow 150
/// such requests a minute in all (Auth0, Rate Limit Policy).
const AGE: Duration = Duration::from_secs(300);
/// Organizations that are asked about at a time.
const AT_A_TIME: usize = 4;

/// What members of each organization may sign in with.
type Found = BTreeMap<OrganizationId, BTreeSet<Entrance>>;

/// Which organizations, and what was read of them.
type Asked = (BTreeSet<OrganizationId>, Arc<Kept<Found>>);

/// What was read last, shared by all.
#[derive(Debug, Default)]
pub(super) struct Entrances {
    /// Of the organizations of one policy: another one's replace them.
    kept: Mutex<Option<Asked>>,
    /// That it cannot be read has been said.
    is_said: Arc<AtomicBool>,
}

impl Entrances {
    /// Of each organization; one that is absent could not be read.
    pub(super) async fn of(
        &self,
        caller: &Caller,
        organizations: BTreeSet<OrganizationId>,
    ) -> Result<Found, Error> {
        if organizations.is_empty() {
            return Ok(Found::new());
        }
        let (kept, asking, is_said) = (self.kept(&organizations), caller.clone(), Arc::clone(&self.is_said));
        let read = async move { read(&asking, &organizations, &is_said).await };
        kept.get(AGE, &caller.shared.deps.clock, read).await
    }

    pub(super) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn kept(&self, organizations: &BTreeSet<OrganizationId>) -> Arc<Kept<Found>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((known, found)) if known == organizations => Arc::clone(found),
            _ => Arc::clone(&kept.insert((organizations.clone(), Kept::new())).1),
        }
    }
}

async fn read(
    caller: &Caller,
    organizations: &BTreeSet<OrganizationId>,
    is_said: &AtomicBool,
) -> Result<Found, Error> {
    let each = |organization: OrganizationId| async move {
        match memberships::enabled_connections(caller, &organization).await {
            Ok(entrances) => Ok(Some((organization, entrances))),
            // Deleted in between.
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let told =
        stream::iter(organizations.clone()).map(each).buffered(AT_A_TIME).try_collect::<Vec<_>>().await;
    match told {
        Ok(told) => {
            is_said.store(false, Ordering::Relaxed);
            Ok(told.into_iter().flatten().collect())
        }
        Err(error) if matches!(error.what_now(), WhatNow::AskHuman | WhatNow::GiveUp) => {
            if !is_said.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "whether members can sign in to their organizations is not looked at: {error}"
                );
            }
            Ok(Found::new())
        }
        Err(error) => Err(error),
    }
}
