//! The contain lane's look: rounds of observe, plan, check, save, apply, until the plan has nothing left.
//!
//! The round after a write is the read-back. The case and the decision are saved before anything is applied; how each
//! action ended is saved with the next round. If the store cannot be written, containment goes on, and what was done is
//! kept until it can; the events are not settled before. A release waits for the store.

mod look_alikes;

use std::time::Duration;

use super::super::observe::{Heard, Observed, observe};
use super::super::record;
use super::super::unwritten::{Ledger, Room, within_reason};
use super::{Counted, Hands, Looker, Scope, Trouble, Verdict, stranger};
use crate::action::{Action, Outcome};
use crate::apply::{self, Applied};
use crate::audit::Entry;
use crate::case::also::AlsoState;
use crate::case::{AccountId, Case, CaseId, CaseState, Response};
use crate::clock::{self, Timestamp};
use crate::event::{About, Event, EventId, EventKind, Subject, SweepDepth};
use crate::plan::check::{self, Checked};
use crate::plan::{self, Next, Plan};
use crate::policy::Policy;
use crate::retry::WhatNow;
use crate::snapshot::{Directory, Snapshot};
use crate::store;

/// Rounds of one look. Three are usual (decide, read back, done); each refusal by the tenant's plan adds one.
const ROUNDS_MAX: u32 = 8;
/// Rounds of one look that may end in doubt before Auth0 is taken to be away.
const IN_DOUBT_MAX: u32 = 1;
/// Somebody else changed the case first: look again at once.
const CONFLICT: Duration = Duration::from_millis(50);
/// How soon an event comes again that is answered but for the record, and one of whom nothing could be kept: that one is
/// contained anew each time.
const RECORD_AGAIN: Duration = Duration::from_secs(5);
const RECORD_AGAIN_WITHOUT_ROOM: Duration = Duration::from_secs(60);

pub(super) async fn look(looker: &Looker, subject: Subject, asks: Vec<Event>) -> Verdict {
    let _turn = looker.deps.unwritten.turn(subject).await;
    if let Some(handed_over) = stranger::hand_over(looker, subject, &asks).await {
        return handed_over;
    }
    let first = asks.first().map(Event::correlation);
    match Rounds::begin(looker, subject, asks).await {
        Ok(Some(rounds)) => rounds.run().await,
        // Perhaps the look that answered them could not hand the person back any more.
        Ok(None) => keep_in_step_again(looker, subject, first).await,
        Err(error) => looker.later(&Trouble::from_store(&error)),
    }
}

/// A case on its way through the rounds.
struct Rounds<'a> {
    looker: &'a Looker,
    subject: Subject,
    asks: Vec<Event>,
    ledger: Ledger,
    heard: Heard,
    /// Rounds of this look after which nobody knows whether a write arrived.
    in_doubt: u32,
    /// What the last round saw.
    seen: Option<look_alikes::Seen>,
}

/// What a round leads to.
enum Round {
    /// Something was written: look whether it holds.
    ReadBack,
    Ended(Verdict),
}

impl<'a> Rounds<'a> {
    /// `None` when every event has been answered already.
    async fn begin(
        looker: &'a Looker,
        subject: Subject,
        asks: Vec<Event>,
    ) -> Result<Option<Rounds<'a>>, store::Error> {
        let asks = still_asking(looker, strongest_first(asks)).await?;
        if asks.is_empty() {
            return Ok(None);
        }
        let ledger = looker.deps.unwritten.ledger(&looker.deps, subject).await?;
        let heard = looker.read_backs.take(subject, &asks);
        Ok(Some(Rounds { looker, subject, asks, ledger, heard, in_doubt: 0, seen: None }))
    }

    async fn run(mut self) -> Verdict {
        if self.ledger.has_answered(&self.asks) {
            return self.unrecorded(RECORD_AGAIN);
        }
        for _ in 0..ROUNDS_MAX {
            match self.round().await {
                Ok(Round::ReadBack) => {}
                Ok(Round::Ended(verdict)) | Err(verdict) => {
                    self.show_look_alikes(&verdict).await;
                    return self.end(verdict);
                }
            }
        }
        let why = format!("not settled after {ROUNDS_MAX} rounds");
        let verdict = self.looker.later(&Trouble { why, now: WhatNow::BackOff, scope: Scope::Person });
        self.end(verdict)
    }

    /// Nothing is settled before it is on record.
    fn end(mut self, verdict: Verdict) -> Verdict {
        self.remember(&verdict);
        let metrics = &self.looker.deps.metrics;
        if self.ledger.is_written() {
            self.looker.deps.unwritten.forget(self.subject, metrics);
            return verdict;
        }
        match verdict {
            Verdict::Done => self.ledger.answer(&self.asks),
            Verdict::Later { .. } | Verdict::Dead { .. } => self.ledger.answer_nothing(),
        }
        match (self.keep(), verdict) {
            (_, later @ Verdict::Later { .. }) => later,
            (Room::Found, Verdict::Done | Verdict::Dead { .. }) => self.unrecorded(RECORD_AGAIN),
            (Room::None, Verdict::Done | Verdict::Dead { .. }) => self.unrecorded(RECORD_AGAIN_WITHOUT_ROOM),
        }
    }

    fn keep(&self) -> Room {
        let deps = &self.looker.deps;
        deps.unwritten.keep(self.subject, self.ledger.clone(), &deps.metrics, deps.clock.now())
    }

    /// The store could not be written. The lane does not pause: others must be locked out meanwhile.
    fn unrecorded(&self, again: Duration) -> Verdict {
        Verdict::Later {
            at: clock::after(self.looker.deps.clock.now(), again),
            counted: Counted::No,
            why: "the store cannot be written".into(),
            pause_until: None,
        }
    }

    /// Every write was accepted and only Auth0 can tell more: when these events come back, Entra is not asked again.
    fn remember(&mut self, verdict: &Verdict) {
        let waits = self.ledger.case.as_ref().is_some_and(|case| case.state == CaseState::Accepted);
        if waits && matches!(verdict, Verdict::Later { .. }) {
            let heard = std::mem::take(&mut self.heard);
            self.looker.read_backs.keep(self.subject, &self.asks, heard);
        }
    }

    async fn round(&mut self) -> Result<Round, Verdict> {
        let policy = self.looker.deps.policy.borrow().clone();
        let means = self.looker.means();
        let observed =
            observe(self.looker, self.subject, &self.asks, self.ledger.case.as_ref(), means, &mut self.heard)
                .await;
        let Observed { snapshot, auth0, graph } = observed.map_err(|error| self.store_trouble(&error))?;
        self.seen = look_alikes::Seen::of(&snapshot);
        let is_gone = matches!(snapshot.directory, Directory::SoftDeleted(_) | Directory::Missing);
        let (plan, checked) = self.plan_and_save(snapshot, &policy).await?;
        let applied = match &self.looker.hands {
            Hands::Writers(writers) => {
                apply::apply(writers, checked, self.subject.object, &self.looker.deps.clock).await
            }
            Hands::None | Hands::Keeper(_) => Vec::new(),
        };
        if applied.is_empty() {
            let verdict = self.nothing_applied(&plan, auth0, graph);
            let handed_back = self.ledger.case.as_ref().filter(|case| hands_back(case, is_gone));
            return Ok(Round::Ended(match (verdict, handed_back) {
                (Verdict::Done, Some(case)) => {
                    keep_in_step_again(self.looker, self.subject, Some(case.event)).await
                }
                (other, _) => other,
            }));
        }
        match self.take_outcomes(&applied) {
            None => Ok(Round::ReadBack),
            Some(trouble) => self.end_in_trouble(&trouble, &policy).await,
        }
    }

    /// Plans, and writes the case and the decision down before anything is done. A case that may begin to block is counted
    /// against the brake and saved under one lock, so that the brake is exact. Whatever cannot block lets go of it before
    /// it is written down: the next lockout must not wait for the store's answer about that.
    async fn plan_and_save(
        &mut self,
        mut snapshot: Snapshot,
        policy: &Policy,
    ) -> Result<(Plan, Checked), Verdict> {
        let looker = self.looker;
        let mut turn = match &snapshot.case {
            Some(case) if case.response == Response::Contain => None,
            Some(_) | None => Some(looker.opening.lock().await),
        };
        let now = looker.deps.clock.now();
        if turn.is_some() {
            snapshot.recent_containments = self.recent_containments(policy, now).await?;
        }
        let mut plan = plan::plan(&snapshot, policy, now);
        if plan.next == Next::AskForLookAlikes {
            // Nothing is opened that could block: others need not wait for this.
            turn = None;
            snapshot.look_alikes = Some(self.read_look_alikes().await.unwrap_or_default());
            plan = plan::plan(&snapshot, policy, now);
        }
        let checked = check::check(&plan, &snapshot, policy).map_err(|refused| {
            tracing::error!(subject.id = %self.subject, "{refused}");
            Verdict::Dead { why: refused.to_string() }
        })?;
        turn = turn.filter(|_| plan.case.as_ref().is_some_and(Case::is_blocking));
        match &plan.case {
            Some(case) => {
                let decided = record::decided(&plan, &snapshot, self.ledger.case.as_ref(), now);
                let links = snapshot.accounts.keys().cloned().collect();
                self.save(case.clone(), decided, links, policy, now).await?;
            }
            None => self.record_left_alone(&plan, &snapshot, now).await?,
        }
        drop(turn);
        Ok((plan, checked))
    }

    async fn recent_containments(&self, policy: &Policy, now: Timestamp) -> Result<u32, Verdict> {
        let brake = policy.contain.brake;
        let since = now.checked_sub(brake.window()).unwrap_or(Timestamp::MIN);
        // Memory first: what is written down between the two is counted twice, never not at all.
        let unwritten = self.looker.deps.unwritten.blocking_since(since, self.subject);
        let counted = self.looker.deps.store.blocking_cases_since(since, self.subject).await;
        let counted = counted.map_err(|error| self.store_trouble(&error))?;
        Ok(counted.saturating_add(unwritten))
    }

    async fn record_left_alone(
        &self,
        plan: &Plan,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(), Verdict> {
        let entries = record::left_alone(snapshot, plan, now);
        if entries.is_empty() {
            return Ok(());
        }
        if self.looker.deps.unwritten.others_wait(self.subject) {
            // Standing in line for a store that does not take it would hold a place in the lane.
            return Err(self.unrecorded(RECORD_AGAIN));
        }
        let recorded = within_reason(self.looker.deps.store.record(entries)).await;
        recorded.map_err(|error| self.not_saved(&error))
    }

    /// Containment goes on when the store cannot be written; anything else waits for it.
    async fn save(
        &mut self,
        case: Case,
        decided: Vec<Entry>,
        links: Vec<AccountId>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(), Verdict> {
        let contains = matches!(case.state, CaseState::Requested | CaseState::Accepted | CaseState::Verified);
        let mut ledger = self.ledger.clone();
        ledger.advance(case, decided, links, now);
        if contains && self.looker.deps.unwritten.others_wait(self.subject) {
            // Whoever stands in line for a store that does not take it is locked out later.
            self.ledger = ledger;
            self.keep();
            return Ok(());
        }
        match ledger.write(&self.looker.deps, policy, now).await {
            Ok(()) => {
                self.ledger = ledger;
                Ok(())
            }
            Err(store::Error::Full(_) | store::Error::Unavailable(_)) if contains => {
                self.ledger = ledger;
                // Kept at once: the brake counts it, and a look that panics loses nothing of it.
                self.keep();
                Ok(())
            }
            Err(error) => {
                self.ledger.doubt(ledger);
                Err(self.not_saved(&error))
            }
        }
    }

    fn not_saved(&self, error: &store::Error) -> Verdict {
        match error {
            store::Error::Full(_) | store::Error::Unavailable(_) => self.unrecorded(RECORD_AGAIN),
            store::Error::Unreadable(_) => self.store_trouble(error),
            store::Error::Conflict => Verdict::Later {
                at: clock::after(self.looker.deps.clock.now(), CONFLICT),
                counted: Counted::No,
                why: error.to_string(),
                pause_until: None,
            },
        }
    }

    /// Nothing was written in this round: it is settled, or something is still awaited.
    fn nothing_applied(&self, plan: &Plan, auth0: Option<Trouble>, graph: Option<Trouble>) -> Verdict {
        if let Some(trouble) = &auth0 {
            return self.looker.later(trouble);
        }
        if !plan.actions.is_empty() {
            tracing::warn!(
                "observe mode: an open case needs {} actions, none was applied",
                plan.actions.len()
            );
            return Verdict::Done;
        }
        let why = plan.held.first().cloned().unwrap_or_else(|| "waiting for the read-back".into());
        match plan.next {
            Next::Settled | Next::AskForLookAlikes => Verdict::Done,
            Next::Again(after) => Verdict::Later {
                at: clock::after(self.looker.deps.clock.now(), after),
                counted: self.wait_counts(),
                why,
                pause_until: None,
            },
            Next::WhenGraphAnswers => {
                let unheard = Trouble { why, now: WhatNow::BackOff, scope: Scope::Graph };
                self.looker.later(&graph.unwrap_or(unheard))
            }
        }
    }

    fn wait_counts(&self) -> Counted {
        let state = self.ledger.case.as_ref().map(|case| case.state);
        if state == Some(CaseState::Accepted) { Counted::ForProof } else { Counted::No }
    }

    /// What was accepted is noted in the case; whether it holds is for the read-back to say.
    fn take_outcomes(&mut self, applied: &[Applied]) -> Option<Trouble> {
        let now = self.looker.deps.clock.now();
        let case = self.ledger.case.as_ref().expect("the check lets no action through without a case");
        self.ledger.note(record::applied(case, applied, now));
        let case = self.ledger.case.as_mut().expect("it was there a line before");
        let (mut trouble, mut doubt) = (None, None);
        for Applied { action, outcome } in applied {
            match (action, outcome) {
                (Action::EndAccess { account, means }, Outcome::Accepted) => {
                    if let Some(progress) = case.accounts.get_mut(account) {
                        (progress.ended_by, progress.ended_at) = (Some(*means), Some(now));
                    }
                }
                (Action::EndExtra { account, extra }, outcome) => {
                    let progress = case.accounts.get_mut(account);
                    if let Some(also) = progress.and_then(|progress| progress.also.get_mut(extra)) {
                        also.state = ended(outcome, now);
                    }
                }
                (Action::EndEntraSessions { .. }, outcome) => {
                    if let Some(also) = &mut case.entra_sessions {
                        also.state = match outcome {
                            // Nobody is there to have sessions.
                            Outcome::AccountGone => AlsoState::Ended { at: now },
                            outcome => ended(outcome, now),
                        };
                    }
                }
                (Action::EndAccess { means, .. }, Outcome::NotInPlan) if means.next().is_some() => {
                    self.looker.learn_refusal_of(*means);
                }
                (_, Outcome::NotInPlan | Outcome::Refused(_)) => {
                    let why =
                        format!("{}: refused by the tenant's plan or our permissions", action.sentence());
                    trouble = Some(Trouble::from_action(why, WhatNow::AskHuman));
                }
                (_, Outcome::Failed { why, now }) => trouble = Some(Trouble::from_action(why.clone(), *now)),
                (_, Outcome::Unknown(why)) => doubt = Some(why),
                (_, Outcome::Accepted | Outcome::AccountGone) => {}
            }
        }
        trouble.or_else(|| self.too_doubtful(doubt?))
    }

    /// One lost reply is read back at once. A vendor that goes on like that is away: the lane pauses, nobody's fault.
    fn too_doubtful(&mut self, why: &str) -> Option<Trouble> {
        self.in_doubt += 1;
        let why = why.to_owned();
        (self.in_doubt > IN_DOUBT_MAX).then_some(Trouble {
            why,
            now: WhatNow::BackOff,
            scope: Scope::Everybody,
        })
    }

    /// What was done so far goes on record, and people are told what stands in the way.
    async fn end_in_trouble(&mut self, trouble: &Trouble, policy: &Policy) -> Result<Round, Verdict> {
        if let Some(mut case) = self.ledger.case.clone() {
            if !case.open.contains(&trouble.why) {
                case.open = vec![trouble.why.clone()];
            }
            let now = self.looker.deps.clock.now();
            self.save(case, Vec::new(), Vec::new(), policy, now).await?;
        }
        Ok(Round::Ended(self.looker.later(trouble)))
    }

    fn store_trouble(&self, error: &store::Error) -> Verdict {
        self.looker.later(&Trouble::from_store(error))
    }
}

/// What the policy also wants ended is worth trying again and holds up nobody: the lane does not pause for it.
fn ended(outcome: &Outcome, at: Timestamp) -> AlsoState {
    match outcome {
        Outcome::Accepted => AlsoState::Ended { at },
        Outcome::Refused(why) => AlsoState::Refused { at, why: why.clone() },
        // Twice is as good as once, and what may not be listed is told by no read-back: a lost reply is a failure.
        Outcome::Failed { why, .. } | Outcome::Unknown(why) => AlsoState::Failed { at, why: why.clone() },
        Outcome::AccountGone | Outcome::NotInPlan => AlsoState::Failed { at, why: outcome.word().to_owned() },
    }
}

/// After a release the person is kept in step again; after a proven deletion the grace begins.
fn hands_back(case: &Case, is_gone: bool) -> bool {
    match case.state {
        CaseState::Released => !is_gone,
        CaseState::Verified => case.is_about_deletion(),
        _ => false,
    }
}

/// While the case was open nothing was followed, and nobody will tell of it again. The door is open already: what the
/// person has lost meanwhile goes at once, by the sync lane; what was changed by hand in Auth0 may stand behind a sweep.
async fn keep_in_step_again(looker: &Looker, subject: Subject, caused_by: Option<EventId>) -> Verdict {
    if !looker.deps.policy.borrow().manages_directory() {
        return Verdict::Done;
    }
    let now = looker.deps.clock.now();
    let events = [EventKind::UserUpdated, EventKind::Swept { depth: SweepDepth::Whole }]
        .map(|kind| Event { caused_by, ..Event::of_ours(About::Person(subject), kind, now) });
    match looker.deps.queue.enqueue(&events).await {
        Ok(()) => Verdict::Done,
        Err(error) => {
            looker.later(&Trouble { why: error.to_string(), now: error.what_now(), scope: Scope::Everybody })
        }
    }
}

/// Events whose case is over have been answered: a repetition must not contain again.
async fn still_asking(looker: &Looker, asks: Vec<Event>) -> Result<Vec<Event>, store::Error> {
    let mut still = Vec::with_capacity(asks.len());
    for ask in asks {
        let case = match &ask.kind {
            EventKind::ReleaseRequested { case, .. } => *case,
            _ => CaseId::opened_by(ask.id),
        };
        if looker.deps.store.case(case).await?.is_none_or(|case| case.state.is_open()) {
            still.push(ask);
        }
    }
    Ok(still)
}

/// What people asked for, then the strongest and newest alerts: of equal reasons the first names the case. All of them
/// are weighed, because all of them are settled by this look: a low or hidden level may be a compromise that somebody has
/// confirmed, or a dismissal. What the lane has in hand ([`crate::queue::IN_HAND_MAX`]) bounds them.
fn strongest_first(mut asks: Vec<Event>) -> Vec<Event> {
    let rank = |ask: &Event| match &ask.kind {
        EventKind::ReleaseRequested { .. } | EventKind::ContainRequested { .. } => (0, 0),
        EventKind::UserDeleted => (1, 0),
        EventKind::RiskReported(evidence) => (2, -(evidence.level as i32)),
        _ => (3, 0),
    };
    asks.sort_by_key(|ask| (rank(ask), std::cmp::Reverse(ask.received_at)));
    asks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_reply_is_no_end() {
        let at: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let why = "auth0 grants.delete: no reply".to_owned();
        assert_eq!(ended(&Outcome::Unknown(why.clone()), at), AlsoState::Failed { at, why });
        assert_eq!(ended(&Outcome::Accepted, at), AlsoState::Ended { at });
    }
}
