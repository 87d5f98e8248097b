//! The loop: lease, observe, plan, check, apply, read back, audit, ack.
//!
//! One dispatcher per lane (`lane`) leases deliveries and starts looks: one person at a time, many people at once,
//! and what arrives for a person who is being looked at waits and becomes the next single look. A look (`look`)
//! reads both sides afresh (`observe`), plans, writes the case down *before* the first write to Auth0, applies, and
//! looks again until the plan has nothing left: the read-back is the same path as the decision.
//!
//! * The sync and bulk lanes keep people in step. They have no writer that locks or releases: whoever must be contained
//!   is handed to the contain lane.
//! * A delivery is settled only when what it asked for is done, or written down as a dead letter, or put back with a
//!   time. So a kill at any instruction leads to another look, and another look is harmless.
//! * Trouble with a vendor costs no attempts: the lane pauses. Trouble with an event does: past
//!   [`Settings::attempts_max`] it becomes a dead letter with the reason.
//! * If the store cannot be written, containment goes on; what was done is kept (`unwritten`) until the store takes it,
//!   and the delivery comes again until then. Releases and the other lanes wait.

mod brake;
mod dead;
mod lane;
mod look;
pub mod notices;
mod observe;
mod picture;
pub mod preview;
mod record;
pub mod scheduler;
mod turns;
mod unwritten;

pub use picture::names;
pub use unwritten::{Unrecorded, Unwritten};

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth0;
use crate::clock::SharedClock;
use crate::entra;
use crate::event::Lane;
use crate::policy::notify::Channel;
use crate::policy::{Mode, Policy};
use crate::queue::Queue;
use crate::store::Store;
use crate::telemetry::Metrics;

/// How the worker is run.
#[derive(Debug, Clone)]
pub struct Settings {
    pub mode: Mode,
    /// People looked at at a time, in each lane.
    pub concurrency: usize,
    /// Attempts that fail by the event's own fault before it becomes a dead letter.
    pub attempts_max: u32,
}

/// What every look shares.
#[derive(Clone)]
pub struct Deps {
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    pub entra: entra::Client,
    pub auth0: auth0::Client,
    pub policy: watch::Receiver<Arc<Policy>>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    /// Poked when something is newly owed to people.
    pub owed: notices::Poke,
    /// The ways of telling people that are set up.
    pub channels: Vec<Channel>,
    /// What was contained and could not be put on record yet.
    pub unwritten: Arc<Unwritten>,
}

impl Deps {
    /// Who is told what, as `policy` says.
    fn telling<'a>(&'a self, policy: &'a Policy) -> record::news::Channels<'a> {
        record::news::Channels { set_up: &self.channels, policy: &policy.notify }
    }
}

/// Works every lane until `shutdown`, then finishes what is in hand.
pub async fn run(deps: Deps, settings: Settings, shutdown: CancellationToken) {
    let turns = turns::Turns::default();
    let looker = |lane| look::Looker::new(&deps, &settings, lane, turns.clone());
    let work =
        |looker: look::Looker| lane::Dispatcher::new(looker.lane, looker, &settings).run(shutdown.clone());
    let lanes = (work(looker(Lane::Contain)), work(looker(Lane::Sync)), work(looker(Lane::Bulk)));
    let brake = brake::watch(deps.clone(), shutdown.clone());
    let write_down = unwritten::write_down(deps.clone(), shutdown.clone());
    tokio::join!(lanes.0, lanes.1, lanes.2, brake, write_down);
}
