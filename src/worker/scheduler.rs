//! What has to happen although nobody tells: subscriptions are kept, the directory is swept, people whose time has come
//! are looked at, and a changed policy or catalogue is followed.
//!
//! Of several processes one does this: it holds a lease in the store and renews it; another takes over when it ends. All
//! of it only asks: it puts events on the queue, which the lanes work on like any other.
//!
//! A failure costs one turn and is told in the log; nothing is lost, because every step starts from what is stored.

mod catalogue;
mod due;
mod policy;
mod subscriptions;
mod sweep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::look::Looker;
use super::{Deps, Settings};
use crate::clock::{self, Timestamp};
use crate::event::{About, Event, EventKind, Lane, Subject, TenantId};
use crate::retry::BackOff;
use crate::store::{self, Store};

/// How long a lease lasts when its holder vanishes.
const LEASE: Duration = Duration::from_secs(30);
const LEASE_NAME: &str = "scheduler";
/// How long a task waits after a failure: what was due stays due, also where the broker is only slow to be reached.
const AGAIN: BackOff = BackOff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// What is kept in order, and for whom.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub tenant: TenantId,
    /// Subscriptions are kept only where Graph can reach us, and where something may be written.
    pub subscriptions: Option<SubscriptionSettings>,
}

pub use subscriptions::{
    Done, Kept, LEASE as SUBSCRIPTIONS_LEASE, Renew, Settings as SubscriptionSettings,
    keep as keep_subscriptions,
};

/// Something that is to be done at the next opportunity, by whoever holds the lease. It is asked for in the store, so that
/// it survives, and is done once however often it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Subscriptions,
    /// What has changed in Entra.
    Sweep,
    /// Everybody, whole.
    WholeSweep,
}

impl Wish {
    fn note(self) -> &'static str {
        match self {
            Wish::Subscriptions => "wish.subscriptions",
            Wish::Sweep => "wish.sweep",
            Wish::WholeSweep => "wish.whole_sweep",
        }
    }

    /// # Errors
    /// When the store cannot be written.
    pub async fn make(store: &dyn Store, wishes: &[Wish], now: Timestamp) -> Result<(), store::Error> {
        store.set_notes(wishes.iter().map(|wish| wish.note_of(now)).collect()).await
    }

    /// The note that makes the wish, for whoever writes others with it.
    fn note_of(self, now: Timestamp) -> (String, Option<String>) {
        (self.note().to_owned(), Some(now.to_string()))
    }

    /// Whether what was wished for at `made_at` has been done; for a sweep: whether the events that it makes are on the
    /// queue. A whole sweep's wish is taken when it begins, so its end is told by the sweep; a link that was lost can tell
    /// only with a whole sweep what had changed until then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_done(self, store: &dyn Store, made_at: Timestamp) -> Result<bool, store::Error> {
        match self {
            Wish::WholeSweep => Ok(sweep::whole_at(store).await?.is_some_and(|at| at >= made_at)
                && Wish::Sweep.made_at(store).await?.is_none()),
            Wish::Sweep => Ok(self.made_at(store).await?.is_none() && !sweep::owes_everybody(store).await?),
            Wish::Subscriptions => Ok(self.made_at(store).await?.is_none()),
        }
    }

    /// When it was wished for last, if it is not granted yet.
    async fn made_at(self, store: &dyn Store) -> Result<Option<String>, store::Error> {
        store.note(self.note()).await
    }

    /// What was wished for at `made_at` has been done; a wish made since then stays.
    async fn grant(self, store: &dyn Store, made_at: &str) -> Result<(), store::Error> {
        if store.note(self.note()).await?.as_deref() == Some(made_at) {
            store.set_note(self.note(), None).await?;
        }
        Ok(())
    }
}

/// What every job works with.
#[derive(Clone)]
struct Job {
    deps: Deps,
    schedule: Schedule,
    /// Reads in the bulk lane: what is scheduled yields to what was told.
    looker: std::sync::Arc<Looker>,
    shutdown: CancellationToken,
}

/// Keeps the schedule until `shutdown`.
pub async fn run(deps: Deps, settings: Settings, schedule: Schedule, shutdown: CancellationToken) {
    let holder = Uuid::now_v7().to_string();
    let looker = std::sync::Arc::new(Looker::new(&deps, &settings, Lane::Bulk, Default::default()));
    while !shutdown.is_cancelled() {
        if take_lease(&deps, &holder).await {
            tracing::info!("this process keeps the schedule");
            let lost = shutdown.child_token();
            let job = Job {
                deps: deps.clone(),
                schedule: schedule.clone(),
                looker: looker.clone(),
                shutdown: lost.clone(),
            };
            tokio::join!(keep_lease(&deps, &holder, &lost), work(job));
        }
        pause(LEASE / 3, &shutdown).await;
    }
    if let Err(error) = deps.store.drop_lease(LEASE_NAME, &holder).await {
        tracing::debug!("the lease could not be given back: {error}");
    }
}

async fn work(job: Job) {
    tokio::join!(
        subscriptions::run(job.clone()),
        sweep::run(job.clone()),
        due::run(job.clone()),
        policy::run(job.clone()),
        catalogue::run(job),
    );
}

async fn take_lease(deps: &Deps, holder: &str) -> bool {
    let now = deps.clock.now();
    let taken = deps.store.take_lease(LEASE_NAME, holder, now, clock::after(now, LEASE)).await;
    taken.unwrap_or_else(|error| {
        tracing::warn!("the schedule's lease cannot be asked for: {error}");
        false
    })
}

/// Renews the lease; when that fails, somebody else may hold it, and everything here stops.
async fn keep_lease(deps: &Deps, holder: &str, lost: &CancellationToken) {
    while !lost.is_cancelled() {
        pause(LEASE / 3, lost).await;
        if !lost.is_cancelled() && !take_lease(deps, holder).await {
            tracing::warn!("another process keeps the schedule from now on");
            lost.cancel();
        }
    }
}

/// A look at somebody for whom nobody else has asked.
fn about(subject: Subject, kind: EventKind, now: Timestamp) -> Event {
    Event::of_ours(About::Person(subject), kind, now)
}

/// Waits, or stops waiting when it is over.
async fn pause(time: Duration, over: &CancellationToken) {
    tokio::select! {
        () = over.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
