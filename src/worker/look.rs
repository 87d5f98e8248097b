//! One look at one person, for all the events that wait for it.
//!
//! What a look does depends on the lane: [`contain`] locks and releases; [`sync`] keeps in step. A look at a group
//! ([`group`]) asks for looks at people. Each ends with a [`Verdict`] for the deliveries that it answered.

mod contain;
pub(super) mod group;
mod learned;
mod sole;
mod stranger;
mod sync;
mod tenant;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use self::learned::Learned;
use super::observe::ReadBacks;
use super::picture::Eyes;
use super::turns::Turns;
use super::{Deps, Settings};
use crate::apply::Writers;
use crate::auth0;
use crate::case::Means;
use crate::clock::{self, Timestamp};
use crate::entra;
use crate::event::{About, Event, EventId, Lane};
use crate::policy::Mode;
use crate::retry::{BackOff, WhatNow};
use crate::store;

/// How long a lane pauses when a vendor is away: soon again, because a lockout waits.
const AWAY: BackOff = BackOff { first: Duration::from_millis(200), most: Duration::from_secs(5) };
/// How long an event waits that only a person can help (a permission, a secret); each wait is an attempt.
const FOR_A_PERSON: Duration = Duration::from_secs(60);
/// How long an event waits after it failed by its own fault, or something else than the vendor answered; each wait is an
/// attempt.
const OWN_FAULT: Duration = Duration::from_secs(10);
/// How long an event of the contain lane waits for what only Graph can tell.
const GRAPH_AGAIN: Duration = Duration::from_secs(2);

/// A look asks for another: from here on the new one is found by what began it. Whatever else was answered by the same
/// look is named once.
pub(super) fn log_asked(event: &Event, asks: &[Event]) {
    let (id, kind) = (event.id, event.kind.word());
    let first: BTreeSet<EventId> = asks.iter().chain([event]).map(Event::correlation).collect();
    for first in first {
        match (event.lane(), event.about) {
            (Lane::Contain, About::Person(subject)) => tracing::info!(
                event.id = %first, event.asked = %id, subject.id = %subject, kind, "handed to the contain lane"
            ),
            _ => tracing::debug!(event.id = %first, event.asked = %id, kind, "a look was asked for"),
        }
    }
}

/// How a look ends for its deliveries.
#[derive(Debug)]
pub(super) enum Verdict {
    Done,
    Later {
        at: Timestamp,
        counted: Counted,
        why: String,
        /// A vendor is away: the lane looks at nobody before this.
        pause_until: Option<Timestamp>,
    },
    Dead {
        why: String,
    },
}

/// Whether a wait costs an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Yes,
    /// It is nobody's fault; but nothing is worked on meanwhile, and that ends.
    No,
    /// Nor is it ever given up on: all was done, and the proof takes as long as it takes.
    ForProof,
}

/// What stands in the way of a look, and what now.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub why: String,
    pub now: WhatNow,
    pub scope: Scope,
}

/// Whom a trouble concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// This person or event: trying again costs an attempt.
    Person,
    /// Everybody in this lane (Auth0, the store): the lane pauses, no attempt is lost.
    Everybody,
    /// Graph: no attempt is lost; only the sync lane, which can do nothing without it, pauses.
    Graph,
    /// A limit of Auth0's that may be one kind of request's alone: no attempt is lost. Containment goes on with what it
    /// can do meanwhile, others' lockouts above all; the directory lanes pause, because half a look is a look wasted.
    Limit,
}

impl Trouble {
    pub(super) fn from_store(error: &store::Error) -> Trouble {
        Trouble { why: error.to_string(), now: error.what_now(), scope: Scope::Everybody }
    }

    pub(super) fn from_action(why: String, now: WhatNow) -> Trouble {
        let scope = match now {
            WhatNow::RetryAt(_) => Scope::Limit,
            WhatNow::BackOff => Scope::Everybody,
            WhatNow::TryAgain | WhatNow::GiveUp | WhatNow::AskHuman => Scope::Person,
        };
        Trouble { why, now, scope }
    }
}

/// What may write. Observe mode has none; what locks and releases is the contain lane's alone.
enum Hands {
    None,
    Writers(Writers),
    Keeper(auth0::Keeper),
}

/// Looks at people for one lane; shared by all looks of the lane.
pub(super) struct Looker {
    pub deps: Deps,
    pub lane: Lane,
    pub entra: entra::Reader,
    pub auth0: auth0::Reader,
    hands: Hands,
    /// Shared by the sync and bulk lanes.
    turns: Turns,
    /// Held from counting recent containments until the new case is saved, so that the brake is exact.
    opening: Mutex<()>,
    /// What is known of the named groups since a deletion was last told.
    compared: group::Compared,
    /// Entra's word for those who only wait for Auth0.
    read_backs: ReadBacks,
    /// What the tenant's plan allows.
    means: Learned,
    /// Looks in a row that failed because a vendor was away.
    away: AtomicU32,
}

impl Looker {
    pub(super) fn new(deps: &Deps, settings: &Settings, lane: Lane, turns: Turns) -> Looker {
        let hands = match (settings.mode, lane) {
            (Mode::Enforce, Lane::Contain) => {
                Hands::Writers(Writers { auth0: deps.auth0.writer(lane), entra: deps.entra.writer() })
            }
            (Mode::Enforce, Lane::Sync | Lane::Bulk) => Hands::Keeper(deps.auth0.keeper(lane)),
            (Mode::Observe, _) => Hands::None,
        };
        Looker {
            lane,
            entra: deps.entra.reader(lane),
            auth0: deps.auth0.reader(lane),
            hands,
            turns,
            opening: Mutex::new(()),
            compared: group::Compared::default(),
            read_backs: ReadBacks::default(),
            means: Learned::default(),
            away: AtomicU32::new(0),
            deps: deps.clone(),
        }
    }

    pub(super) fn eyes(&self) -> Eyes<'_> {
        Eyes { entra: &self.entra, auth0: &self.auth0 }
    }

    /// Looks at what the events are about. They are all about the same.
    pub(super) async fn look(&self, asks: Vec<Event>) -> Verdict {
        let Some(first) = asks.first() else { return Verdict::Done };
        let verdict = match (first.about, self.lane) {
            (About::Person(subject), Lane::Contain) => contain::look(self, subject, asks).await,
            (About::Person(subject), Lane::Sync | Lane::Bulk) => sync::look(self, subject, asks).await,
            (About::Group { tenant, group }, _) => group::look(self, tenant, group, &asks).await,
            (About::Tenant(_), _) => tenant::look(self, &asks).await,
        };
        self.remember_away(&verdict);
        verdict
    }

    /// The verdict on a look that panicked.
    pub(super) fn panicked(&self) -> Verdict {
        tracing::error!(lane = self.lane.word(), "a look panicked; this is a bug");
        let at = clock::after(self.deps.clock.now(), OWN_FAULT);
        Verdict::Later { at, counted: Counted::Yes, why: "the look panicked".into(), pause_until: None }
    }

    fn means(&self) -> Means {
        self.means.now(self.deps.clock.now())
    }

    fn learn_refusal_of(&self, refused: Means) {
        self.means.refused(refused, self.deps.clock.now());
    }

    /// When to come again, given the trouble.
    pub(super) fn later(&self, trouble: &Trouble) -> Verdict {
        let now = self.deps.clock.now();
        let pauses = match trouble.scope {
            Scope::Everybody => true,
            Scope::Graph | Scope::Limit => self.lane != Lane::Contain,
            Scope::Person => false,
        };
        let failures = self.away.load(Ordering::Relaxed) + 1;
        let (at, counted) = match (trouble.now, trouble.scope) {
            (WhatNow::RetryAt(at), _) => (at, Counted::No),
            (WhatNow::BackOff, _) if pauses => {
                (clock::after(now, AWAY.delay(failures, fastrand::f64())), Counted::No)
            }
            (WhatNow::BackOff, Scope::Graph) => (clock::after(now, GRAPH_AGAIN), Counted::No),
            (WhatNow::BackOff | WhatNow::TryAgain, _) => (clock::after(now, OWN_FAULT), Counted::Yes),
            (WhatNow::AskHuman, _) => (clock::after(now, FOR_A_PERSON), Counted::Yes),
            (WhatNow::GiveUp, _) => return Verdict::Dead { why: trouble.why.clone() },
        };
        let pause_until = (counted == Counted::No && pauses).then_some(at);
        Verdict::Later { at, counted, why: trouble.why.clone(), pause_until }
    }

    fn remember_away(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Later { pause_until: Some(until), why, .. } => {
                if self.away.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(lane = self.lane.word(), %until, "the lane pauses: {why}");
                }
            }
            Verdict::Done | Verdict::Dead { .. } => {
                if self.away.swap(0, Ordering::Relaxed) > 0 {
                    tracing::info!(lane = self.lane.word(), "the lane works again");
                }
            }
            Verdict::Later { pause_until: None, .. } => {}
        }
    }
}
