//! The worker's loop without its I/O: take what waits, observe, plan, check, save, apply, read back.
//!
//! Follows `crate::worker`: events that wait become one look; Entra is heard once per look; the case is saved before the
//! first write; an accepted end of access is remembered in the case; a kill forgets what was not saved. Each round
//! asserts what must hold of every plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::world::{Auth0, Graph, World};
use crate::action::{Action, Outcome};
use crate::case::also::AlsoState;
use crate::case::{
    AccountId, BlockProgress, Case, CaseId, CaseState, Cause, Means, Reason, Releaser, Response,
};
use crate::clock::Timestamp;
use crate::event::{About, Event, EventId, EventKind, Source};
use crate::plan::{Next, Plan, check, plan};
use crate::snapshot::{Blocked, Directory, RiskView, Snapshot};

const ROUNDS_MAX: u32 = 8;
/// Looks within which a history must come to rest once nothing is wrong any more.
const LOOKS_MAX: u32 = 100;

#[derive(Debug)]
pub(super) struct Worker {
    pub waiting: Vec<Event>,
    /// Every event there ever was, so that one can come again.
    pub told: Vec<Event>,
    pub cases: BTreeMap<CaseId, Case>,
    pub last_closed: Option<CaseId>,
    last_not_acted: Option<CaseId>,
    /// Newest first.
    released: Vec<CaseId>,
    links: BTreeSet<AccountId>,
    means: Means,
    in_hand: Option<Look>,
}

#[derive(Debug)]
struct Look {
    asks: Vec<Event>,
    case: Option<Case>,
    /// Entra is asked once per look.
    heard: Option<(Directory, RiskView)>,
    rounds: u32,
}

/// What a round leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// Nothing waits.
    Idle,
    /// Something was written: look whether it holds.
    ReadBack,
    Done,
    Later(Duration),
}

impl Worker {
    pub fn new() -> Worker {
        Worker {
            waiting: Vec::new(),
            told: Vec::new(),
            cases: BTreeMap::new(),
            last_closed: None,
            last_not_acted: None,
            released: Vec::new(),
            links: BTreeSet::new(),
            means: Means::RevokeAccess,
            in_hand: None,
        }
    }

    /// No two events arrive at the same instant.
    pub fn tell(&mut self, world: &mut World, source: Source, kind: EventKind) {
        world.wait(Duration::from_millis(1));
        let id = EventId(Uuid::from_u128(1 + self.told.len() as u128));
        let about = About::Person(world.scene.snapshot.subject);
        let event = Event {
            id,
            source,
            about,
            kind,
            signal_at: None,
            received_at: world.now,
            enqueued_at: None,
            caused_by: None,
        };
        self.told.push(event.clone());
        self.waiting.push(event);
    }

    pub fn open_case(&self) -> Option<&Case> {
        self.cases.values().find(|case| case.state.is_open())
    }

    /// The process dies between two rounds: what was not saved is forgotten, and the events come again.
    pub fn killed(&mut self) {
        if let Some(look) = self.in_hand.take() {
            self.waiting.extend(look.asks);
        }
    }

    /// Looks until nothing waits, letting time pass as the plans ask for.
    pub fn drain(&mut self, world: &mut World) {
        for _ in 0..LOOKS_MAX * ROUNDS_MAX {
            match self.round(world) {
                Led::Idle => return,
                Led::Done => {}
                Led::ReadBack => world.wait(Duration::from_millis(10)),
                Led::Later(wait) => world.wait(wait),
            }
        }
        panic!("not at rest after {LOOKS_MAX} looks: {:#?}", self.waiting);
    }

    pub fn round(&mut self, world: &mut World) -> Led {
        let Some(mut look) = self.in_hand.take().or_else(|| self.take_what_waits()) else { return Led::Idle };
        look.rounds += 1;
        let snapshot = self.observe(world, &mut look);
        let planned = planned(&snapshot, world);
        self.save(&planned, &snapshot, &mut look);
        let outcomes: Vec<(Action, Outcome)> =
            planned.actions.iter().map(|action| (action.clone(), world.write(action))).collect();
        if outcomes.is_empty() {
            return self.nothing_applied(planned.next, world, look);
        }
        self.take_outcomes(outcomes, world, look)
    }

    fn take_what_waits(&mut self) -> Option<Look> {
        if self.waiting.is_empty() {
            return None;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut asks: Vec<Event> = waiting.into_iter().filter(|ask| self.still_asks(ask)).collect();
        asks.sort_by_key(|ask| (rank(ask), std::cmp::Reverse(ask.received_at)));
        let case = self.open_case().cloned();
        (!asks.is_empty()).then_some(Look { asks, case, heard: None, rounds: 0 })
    }

    /// An event whose case is over has been answered.
    fn still_asks(&self, ask: &Event) -> bool {
        let case = match &ask.kind {
            EventKind::ReleaseRequested { case, .. } => self.cases.get(case),
            _ => self.cases.get(&CaseId::opened_by(ask.id)),
        };
        case.is_none_or(|case| case.state.is_open())
    }

    fn observe(&self, world: &World, look: &mut Look) -> Snapshot {
        let (directory, risk) = hear_entra(world, look);
        let of_case = look.case.iter().flat_map(|case| &case.accounts);
        let ended = of_case
            .clone()
            .filter(|(_, progress)| progress.block != BlockProgress::Gone && progress.ended_by.is_some());
        let ended: Vec<AccountId> = ended.map(|(id, _)| id.clone()).collect();
        let known: Vec<AccountId> = self.links.iter().chain(of_case.map(|(id, _)| id)).cloned().collect();
        Snapshot {
            asks: look.asks.clone(),
            directory,
            risk,
            case: look.case.clone(),
            last_not_acted: self.last_not_acted.map(|id| self.cases[&id].clone()),
            released: self.released.iter().map(|id| self.cases[id].clone()).collect(),
            means: self.means,
            ..world.observe(&known, &ended)
        }
    }

    fn save(&mut self, planned: &Plan, snapshot: &Snapshot, look: &mut Look) {
        let Some(case) = planned.case.clone() else { return };
        if look.case.is_none() {
            assert!(!self.cases.contains_key(&case.id), "{} is opened a second time", case.id);
        }
        if !case.state.is_open() {
            self.last_closed = Some(case.id);
        }
        let by_operator = |cause: &Cause| matches!(cause.reason, Reason::Operator { .. });
        if case.released_by == Some(Releaser::Entra) {
            assert!(!case.causes.iter().any(by_operator), "Entra releases what an operator holds: {case:#?}");
        }
        assert!(case.causes.len() <= 4, "one of a kind: {case:#?}");
        match case.state {
            CaseState::Released => self.released.insert(0, case.id),
            CaseState::NotActed => self.last_not_acted = Some(case.id),
            _ => {}
        }
        self.links.extend(snapshot.accounts.keys().cloned());
        self.cases.insert(case.id, case.clone());
        assert!(self.cases.values().filter(|case| case.state.is_open()).count() <= 1, "two open cases");
        look.case = Some(case);
    }

    fn nothing_applied(&mut self, next: Next, world: &World, look: Look) -> Led {
        if world.auth0 != Auth0::Answers {
            return self.put_back(look, Duration::from_millis(200));
        }
        match next {
            Next::Settled | Next::AskForLookAlikes => Led::Done,
            Next::Again(wait) => self.put_back(look, wait),
            Next::WhenGraphAnswers => self.put_back(look, Duration::from_secs(10)),
        }
    }

    fn take_outcomes(&mut self, outcomes: Vec<(Action, Outcome)>, world: &World, mut look: Look) -> Led {
        let case = look.case.as_mut().expect("actions have a case");
        let mut failed = false;
        for (action, outcome) in outcomes {
            match (action, outcome) {
                (Action::EndAccess { account, means }, Outcome::Accepted) => {
                    let progress = case.accounts.get_mut(&account).expect("an account of the case");
                    (progress.ended_by, progress.ended_at) = (Some(means), Some(world.now));
                }
                (Action::EndExtra { account, extra }, outcome) => {
                    let progress = case.accounts.get_mut(&account).expect("an account of the case");
                    progress.also.get_mut(&extra).expect("asked for").state = ended(outcome, world.now);
                }
                (Action::EndEntraSessions { .. }, Outcome::Unknown(why)) => {
                    let at = world.now;
                    case.entra_sessions.as_mut().expect("asked for").state = AlsoState::Failed { at, why };
                }
                (Action::EndEntraSessions { .. }, outcome) => {
                    case.entra_sessions.as_mut().expect("asked for").state = ended(outcome, world.now);
                }
                (Action::EndAccess { means, .. }, Outcome::NotInPlan) => {
                    self.means = self.means.max(means.next().expect("grants are in every plan"));
                }
                (_, Outcome::Failed { .. }) => failed = true,
                _ => {}
            }
        }
        if failed {
            self.cases.insert(case.id, case.clone());
        }
        if failed || look.rounds >= ROUNDS_MAX {
            return self.put_back(look, Duration::from_secs(1));
        }
        self.in_hand = Some(look);
        Led::ReadBack
    }

    fn put_back(&mut self, look: Look, wait: Duration) -> Led {
        self.waiting.extend(look.asks);
        Led::Later(wait)
    }
}

fn ended(outcome: Outcome, at: Timestamp) -> AlsoState {
    match outcome {
        Outcome::Accepted | Outcome::Unknown(_) => AlsoState::Ended { at },
        Outcome::Refused(why) => AlsoState::Refused { at, why },
        other => AlsoState::Failed { at, why: other.word().to_owned() },
    }
}

fn hear_entra(world: &World, look: &mut Look) -> (Directory, RiskView) {
    if let Some(heard) = &look.heard {
        return heard.clone();
    }
    let heard = world.entra();
    if world.graph == Graph::Answers {
        look.heard = Some(heard.clone());
    }
    heard
}

/// As the worker orders what waits: people first, then deletions, then the strongest and newest alerts.
fn rank(ask: &Event) -> (u8, i32) {
    match &ask.kind {
        EventKind::ReleaseRequested { .. } | EventKind::ContainRequested { .. } => (0, 0),
        EventKind::UserDeleted => (1, 0),
        EventKind::RiskReported(evidence) => (2, -(evidence.level as i32)),
        _ => (3, 0),
    }
}

/// Plans, and asserts what must hold of every plan, whatever the history.
fn planned(snapshot: &Snapshot, world: &World) -> Plan {
    let planned = plan(snapshot, world.policy(), world.now);
    assert_eq!(planned, plan(snapshot, world.policy(), world.now), "same input, same plan");
    if let Err(refused) = check::check(&planned, snapshot, world.policy()) {
        panic!("{refused}\n{planned:#?}\n{snapshot:#?}");
    }
    let contains = planned.case.as_ref().is_some_and(|case| case.response == Response::Contain);
    for (index, action) in planned.actions.iter().enumerate() {
        let Action::EndAccess { account, .. } = action else { continue };
        let before = &planned.actions[..index];
        let blocks = |earlier: &Action| matches!(earlier, Action::Block { account: id, .. } if id == account);
        let blocked = snapshot.accounts[account].blocked == Blocked::Yes || before.iter().any(blocks);
        assert!(blocked || !contains, "access is ended before the block: {planned:#?}");
    }
    planned
}
