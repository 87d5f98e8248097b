//! Which connections members of the policy's organizations may sign in with: read once for all who ask, and kept for a
//! while. Whether that can be read decides nothing but what a person is told: what goes wrong is said once and is nobody's
//! error, and who asks waits for it only briefly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::auth0::call::Caller;
use crate::auth0::kept::Kept;
use crate::auth0::{Error, memberships};
use crate::retry::WhatNow;
use crate::snapshot::sync::{Entrance, OrganizationId};

/// How old an answer may be. It changes rarely, costs a request for each organization, and the smaller plans allow 150
/// such requests a minute in all (Auth0, Rate Limit Policy).
const AGE: Duration = Duration::from_secs(300);
/// How long who asks waits; the reading goes on, for whoever asks next.
const WAIT: Duration = Duration::from_secs(2);
/// Organizations that are asked about at a time.
const AT_A_TIME: usize = 4;

/// What members of each organization may sign in with.
type Found = BTreeMap<OrganizationId, BTreeSet<Entrance>>;

/// What one policy asks about.
#[derive(Debug)]
struct Asked {
    organizations: BTreeSet<OrganizationId>,
    kept: Arc<Kept<Found>>,
    /// What each told last. It stands in for what cannot be read now, or findings would come and go with Auth0's troubles.
    last: Mutex<Found>,
}

/// What was read last, shared by all.
#[derive(Debug, Default)]
pub(super) struct Entrances {
    /// Of the organizations of one policy: another one's replace them.
    asked: Mutex<Option<Arc<Asked>>>,
    /// That something could not be read has been said.
    is_said: Arc<AtomicBool>,
}

impl Entrances {
    /// Of each organization; one that is absent could not be read, or not yet.
    pub(super) async fn of(&self, caller: &Caller, organizations: BTreeSet<OrganizationId>) -> Found {
        if organizations.is_empty() {
            return Found::new();
        }
        let (asked, caller, is_said) = (self.asked(organizations), caller.clone(), Arc::clone(&self.is_said));
        let clock = Arc::clone(&caller.shared.deps.clock);
        let reading = Arc::clone(&asked);
        let read = async move { Ok(read(&caller, &reading, &is_said).await) };
        match tokio::time::timeout(WAIT, asked.kept.get(AGE, &clock, read)).await {
            Ok(Ok(found)) => found,
            _ => asked.last().clone(),
        }
    }

    pub(super) fn forget(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn asked(&self, organizations: BTreeSet<OrganizationId>) -> Arc<Asked> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match &*asked {
            Some(known) if known.organizations == organizations => Arc::clone(known),
            _ => {
                let new = Asked { organizations, kept: Kept::new(), last: Mutex::default() };
                Arc::clone(asked.insert(Arc::new(new)))
            }
        }
    }
}

impl Asked {
    fn last(&self) -> std::sync::MutexGuard<'_, Found> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, organization: OrganizationId, told: Option<BTreeSet<Entrance>>) {
        match told {
            Some(entrances) => self.last().insert(organization, entrances),
            None => self.last().remove(&organization),
        };
    }
}

async fn read(caller: &Caller, asked: &Asked, is_said: &AtomicBool) -> Found {
    let failed = Mutex::new(None::<Error>);
    let each = |organization: OrganizationId| {
        let failed = &failed;
        async move {
            if failed.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(is_of_all) {
                return;
            }
            match memberships::enabled_connections(caller, &organization).await {
                Ok(entrances) => asked.learn(organization, Some(entrances)),
                // Deleted in between.
                Err(Error::Refused { status: 404, .. }) => asked.learn(organization, None),
                Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
            }
        }
    };
    stream::iter(asked.organizations.clone()).map(each).buffer_unordered(AT_A_TIME).collect::<()>().await;
    say(failed.into_inner().unwrap_or_else(PoisonError::into_inner), is_said);
    asked.last().clone()
}

/// The next organization would be told the same: it is not asked about.
fn is_of_all(error: &Error) -> bool {
    error.what_now() != WhatNow::GiveUp
}

fn say(failed: Option<Error>, is_said: &AtomicBool) {
    let Some(error) = failed else { return is_said.store(false, Ordering::Relaxed) };
    if !is_said.swap(true, Ordering::Relaxed) {
        tracing::warn!("whether members can sign in to their organizations is not looked at: {error}");
    }
}
