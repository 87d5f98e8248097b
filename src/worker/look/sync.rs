//! The look of the sync and bulk lanes: keep one person in step, and hand whoever must be contained to the contain lane.
//!
//! It has no writer that locks or releases. Rounds of plan, check, write down, apply, until the plan has nothing left:
//! the round after a write is its read-back, and an answer that shows the account as it is now is one. What was decided
//! is in the audit before it is done; if the store cannot be written, nothing is done. What became of it goes on record
//! also where the look ends before its time. After something was given the groups are read anew: where several processes
//! share the store, another may have been told meanwhile that they are lost, and have found nothing to take.

mod outcomes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::picture::{self, Known, Picture};
use super::super::record::sync as record;
use super::sole::Sole;
use super::{Counted, Hands, Looker, Scope, Trouble, Verdict, stranger};
use crate::action::sync::SyncAction;
use crate::apply::sync as apply;
use crate::audit::Entry;
use crate::case::{AccountId, Case, Reason, Response};
use crate::clock;
use crate::event::{About, Event, EventKind, Source, Subject, SweepDepth};
use crate::plan;
use crate::plan::sync::check::check;
use crate::plan::sync::{Next, SyncPlan};
use crate::policy::Policy;
use crate::queue;
use crate::retry::WhatNow;
use crate::snapshot::sync::{Depth, Groups, Remembered};
use crate::snapshot::{Blocked, Directory, Enabled};
use crate::store::{self, SavePerson};

/// Rounds of one look. Four are usual for a joiner (read, make, fill, done).
const ROUNDS_MAX: u32 = 10;
/// How soon to look again when another process is at work on the same person.
const TAKEN_AGAIN: Duration = Duration::from_secs(2);

pub(super) async fn look(looker: &Looker, subject: Subject, asks: Vec<Event>) -> Verdict {
    let _turn = looker.turns.take(subject).await;
    let mut look = match Look::begin(looker, subject, asks).await {
        Ok(look) => look,
        Err(trouble) => return looker.later(&trouble),
    };
    let ended = match look.run().await {
        Ok(verdict) => look.write_down_the_rest().await.map(|()| verdict),
        Err(trouble) => look.write_down_the_rest().await.and(Err(trouble)),
    };
    look.sole.give_back().await;
    ended.unwrap_or_else(|trouble| looker.later(&trouble))
}

/// One person on the way through the rounds.
struct Look<'a> {
    looker: &'a Looker,
    subject: Subject,
    asks: Vec<Event>,
    policy: Arc<Policy>,
    known: Known,
    picture: Picture,
    /// What was done and is not in the audit yet.
    unwritten: Vec<Entry>,
    /// What Auth0 refused in this look; not tried again before the next.
    refused: BTreeSet<String>,
    /// Rounds of this look after which nobody knows whether a write arrived.
    in_doubt: u32,
    /// What stays unknown for good, for a person to see.
    unproven: BTreeSet<String>,
    has_provisioned: bool,
    /// Something was given since the groups were read.
    has_given: bool,
    sole: Sole<'a>,
}

impl<'a> Look<'a> {
    async fn begin(looker: &'a Looker, subject: Subject, asks: Vec<Event>) -> Result<Look<'a>, Trouble> {
        let policy = looker.deps.policy.borrow().clone();
        let known = Known::read(looker.deps.store.as_ref(), subject)
            .await
            .map_err(|error| Trouble::from_store(&error))?;
        let depth = depth(&asks, &known, &policy);
        let asked_at = asks.iter().map(|ask| ask.received_at).min().unwrap_or(looker.deps.clock.now());
        let mut picture = picture::read(looker.eyes(), subject, &policy, &known, depth, asked_at).await?;
        picture.snapshot.means = looker.means();
        let (unwritten, refused, unproven) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let sole = Sole::new(looker.deps.store.as_ref(), &looker.deps.clock, subject);
        let (in_doubt, has_provisioned, has_given) = (0, false, false);
        Ok(Look {
            looker,
            subject,
            asks,
            policy,
            known,
            picture,
            unwritten,
            refused,
            in_doubt,
            unproven,
            has_provisioned,
            has_given,
            sole,
        })
    }

    async fn run(&mut self) -> Result<Verdict, Trouble> {
        if self.must_be_contained() {
            let handed_over = self.escalate().await?;
            // A case that was verified or released asks for a look; without one nothing is to come.
            self.wait_for_nothing().await?;
            return Ok(handed_over);
        }
        if stranger::has_left_nothing(&self.asks, &self.picture.snapshot) {
            self.wait_for_nothing().await?;
            return Ok(Verdict::Done);
        }
        if !self.policy.manages_directory() {
            self.wait_for_nothing().await?;
            return self.keep_links().await;
        }
        if let Some(missing) = self.picture.missing.take() {
            return Err(missing);
        }
        for _ in 0..ROUNDS_MAX {
            if let Some(verdict) = self.round().await? {
                return Ok(verdict);
            }
        }
        let why = format!("not settled after {ROUNDS_MAX} rounds");
        Err(Trouble { why, now: WhatNow::BackOff, scope: Scope::Person })
    }

    async fn round(&mut self) -> Result<Option<Verdict>, Trouble> {
        let now = self.looker.deps.clock.now();
        let mut plan = plan::sync::plan(&self.picture.snapshot, &self.policy, now);
        if plan.next == Next::ReadWhole {
            picture::widen(self.looker.eyes(), &self.policy, &self.known, &mut self.picture).await?;
            return Ok(None);
        }
        if plan.next == Next::AskForGroups {
            let (eyes, snapshot) = (self.looker.eyes(), &mut self.picture.snapshot);
            picture::ask_for_groups(eyes, &self.policy, snapshot).await?;
            return Ok(None);
        }
        plan.actions.retain(|action| !self.refused.contains(&action.sentence()));
        let checked = match check(&plan, &self.picture.snapshot, &self.policy, now) {
            Ok(checked) => checked,
            Err(refused) => {
                tracing::error!(subject.id = %self.subject, "{refused}");
                return Ok(Some(Verdict::Dead { why: refused.to_string() }));
            }
        };
        let Hands::Keeper(keeper) = &self.looker.hands else { return self.end(plan).await.map(Some) };
        if plan.actions.is_empty() {
            if std::mem::take(&mut self.has_given) {
                let (eyes, snapshot) = (self.looker.eyes(), &mut self.picture.snapshot);
                picture::see_again(eyes, &self.policy, snapshot).await?;
                return Ok(None);
            }
            return self.end(plan).await.map(Some);
        }
        if plan.actions.iter().any(SyncAction::is_felt_twice) && !self.is_alone().await? {
            return Ok(Some(Verdict::Later {
                at: clock::after(now, TAKEN_AGAIN),
                counted: Counted::No,
                why: "another process is at work on this person".into(),
                pause_until: None,
            }));
        }
        self.write_down(&plan).await?;
        let applied = apply::apply(keeper, checked).await;
        self.take_outcomes(applied).await?;
        Ok(None)
    }

    /// Whether no other process makes the account or sends the mails that this look is about to, and none has since it
    /// began.
    async fn is_alone(&mut self) -> Result<bool, Trouble> {
        let alone = self.sole.take(self.picture.snapshot.remembered.as_ref()).await;
        alone.map_err(|error| Trouble::from_store(&error))
    }

    /// The decision, and what it makes owed, are on record before anything is done.
    async fn write_down(&mut self, plan: &SyncPlan) -> Result<(), Trouble> {
        let now = self.looker.deps.clock.now();
        self.unwritten.extend(record::decided(plan, &self.asks, self.subject, now));
        self.picture.snapshot.remembered = plan.remembered.clone();
        self.save_what_is_known().await
    }

    /// A look that ends before its time has done what it has done.
    async fn write_down_the_rest(&mut self) -> Result<(), Trouble> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.save_what_is_known().await
    }

    async fn save_what_is_known(&mut self) -> Result<(), Trouble> {
        let remembered = self.picture.snapshot.remembered.clone();
        self.save(remembered.unwrap_or_else(|| Remembered::new(self.subject)), Vec::new()).await
    }

    /// Nothing is left to do, or nothing may be done: what is known is remembered.
    async fn end(&mut self, plan: SyncPlan) -> Result<Verdict, Trouble> {
        let now = self.looker.deps.clock.now();
        let observe_only = matches!(self.looker.hands, Hands::None);
        let next = plan.next;
        let held_by_policy = plan.actions.iter().map(|action| format!("would {}", action.sentence()));
        let would: BTreeSet<String> = if observe_only { held_by_policy.collect() } else { BTreeSet::new() };
        let refused = self.refused.iter().map(|what| format!("Auth0 refused: {what}"));
        match plan.remembered {
            Some(mut remembered) => {
                remembered.findings.extend(would.into_iter().chain(refused).chain(self.unproven.clone()));
                if self.picture.snapshot.depth == Depth::Full {
                    remembered.seen_whole_at = Some(now);
                }
                let owed = self.pages(next, now);
                self.save(remembered, owed).await?;
            }
            None => self.forget().await?,
        }
        self.then(next, now).await
    }

    async fn then(&mut self, next: Next, now: clock::Timestamp) -> Result<Verdict, Trouble> {
        if self.has_provisioned && self.case_was_opened_meanwhile().await? {
            return self.escalate().await;
        }
        match next {
            Next::Settled | Next::ReadWhole | Next::AskForGroups => Ok(Verdict::Done),
            // It waits on the queue: neither a place in the lane nor the person's turn is held meanwhile.
            Next::Again(after) => Ok(Verdict::Later {
                at: clock::after(now, after),
                counted: Counted::No,
                why: "Entra may not have caught up with its own news".into(),
                pause_until: None,
            }),
            Next::CloseCase => self.close_case().await,
        }
    }

    /// An account that was made while a case was opened has not been seen by it.
    async fn case_was_opened_meanwhile(&self) -> Result<bool, Trouble> {
        let case = self.looker.deps.store.open_case(self.subject).await;
        Ok(case.map_err(|error| Trouble::from_store(&error))?.is_some())
    }

    async fn close_case(&mut self) -> Result<Verdict, Trouble> {
        if let Some(case) = &self.known.case {
            // Newer than whatever told of the deletion: it answers all of that.
            self.asks.clear();
            let reason = "the accounts were deleted after the grace".to_owned();
            let kind = EventKind::ReleaseRequested { by: "lockstep".into(), case: case.id, reason };
            self.enqueue(kind, Source::Sweep).await?;
        }
        Ok(Verdict::Done)
    }

    async fn save(&mut self, remembered: Remembered, owed: Vec<store::Owed>) -> Result<(), Trouble> {
        let links: Vec<AccountId> = self.picture.snapshot.accounts.keys().cloned().collect();
        let save = SavePerson {
            person: remembered,
            audit: std::mem::take(&mut self.unwritten),
            owed,
            links,
            gone_links: self.picture.gone_links.iter().cloned().collect(),
        };
        let is_owed = !save.owed.is_empty();
        self.looker.deps.store.save_person(save).await.map_err(|error| Trouble::from_store(&error))?;
        if is_owed {
            self.looker.deps.owed.poke();
        }
        Ok(())
    }

    async fn forget(&mut self) -> Result<(), Trouble> {
        let entries = std::mem::take(&mut self.unwritten);
        if self.known.remembered.is_none() && entries.is_empty() {
            return self.keep_links().await.map(drop);
        }
        let store = &self.looker.deps.store;
        for gone in &self.picture.gone_links {
            let removed = store.remove_link(self.subject, gone.clone()).await;
            removed.map_err(|error| Trouble::from_store(&error))?;
        }
        let forgotten = store.forget_person(self.subject, entries).await;
        forgotten.map_err(|error| Trouble::from_store(&error))
    }

    /// A source that answers with less than it has is for a person to mend; told once an hour. Of somebody who is deleted
    /// or disabled it has nothing to answer, and what may be only late is asked again first.
    fn pages(&self, next: Next, now: clock::Timestamp) -> Vec<store::Owed> {
        let snapshot = &self.picture.snapshot;
        let is_waited_for = matches!(&snapshot.directory, Directory::Present(person) if person.enabled != Enabled::No)
            && !self.policy.groups().is_empty()
            && !matches!(next, Next::Again(_));
        match &snapshot.groups {
            Groups::Unread(why) if is_waited_for => {
                record::groups_unread(self.looker.deps.telling(&self.policy), why, now)
            }
            _ => Vec::new(),
        }
    }

    async fn keep_links(&mut self) -> Result<Verdict, Trouble> {
        let accounts: Vec<AccountId> = self.picture.snapshot.accounts.keys().cloned().collect();
        if !accounts.is_empty() {
            let added = self.looker.deps.store.add_links(self.subject, accounts).await;
            added.map_err(|error| Trouble::from_store(&error))?;
        }
        Ok(Verdict::Done)
    }

    /// Nothing is planned in this look: a day that has come must not be asked about for ever.
    async fn wait_for_nothing(&mut self) -> Result<(), Trouble> {
        let now = self.looker.deps.clock.now();
        let Some(known) =
            self.known.remembered.as_ref().filter(|known| known.look_at.is_some_and(|at| at <= now))
        else {
            return Ok(());
        };
        let mut remembered = known.clone();
        remembered.wait_for_nothing();
        self.save(remembered, Vec::new()).await
    }

    /// Whether containment has something to do: a case to open, or an open one to which this look brings news.
    fn must_be_contained(&self) -> bool {
        let now = self.looker.deps.clock.now();
        match &self.known.case {
            None => {
                let seen = picture::as_containment(&self.picture.snapshot, stranger::as_told(&self.asks));
                plan::plan(&seen, &self.policy, now).case.is_some()
            }
            Some(case) => self.is_news_to(case),
        }
    }

    /// A change may be what ends a risk. A sweep brings news only where the directory contradicts the case: a reason it does
    /// not know, a reason that is over, or an account that is not locked any more.
    fn is_news_to(&self, case: &Case) -> bool {
        let snapshot = &self.picture.snapshot;
        let swept = |ask: &Event| ask.source == Source::Sweep;
        let knows = |reason: &Reason| case.every_cause().iter().any(|cause| cause.reason == *reason);
        let contradicts = match &snapshot.directory {
            Directory::SoftDeleted(_) => !case.is_about_deletion(),
            Directory::Missing => !knows(&Reason::Deleted),
            Directory::Present(person) if person.enabled == Enabled::No => !knows(&Reason::Disabled),
            Directory::Present(_) => knows(&Reason::Deleted) || knows(&Reason::Disabled),
            Directory::Unread(_) => false,
        };
        // One that is protected by now stays as it is, and would be news for ever.
        let protected = &self.policy.protected.accounts;
        let mut unprotected = snapshot.accounts.values().filter(|account| !protected.contains(&account.id));
        let unlocked =
            case.response == Response::Contain && unprotected.any(|account| account.blocked == Blocked::No);
        !self.asks.iter().all(swept) || contradicts || unlocked
    }

    async fn escalate(&mut self) -> Result<Verdict, Trouble> {
        let (kind, source) = stranger::escalation(&self.asks);
        self.enqueue(kind, source).await?;
        Ok(Verdict::Done)
    }

    async fn enqueue(&self, kind: EventKind, source: Source) -> Result<(), Trouble> {
        let now = self.looker.deps.clock.now();
        // The newest of them: an older release must not answer what came after it.
        let received_at = self.asks.iter().map(|ask| ask.received_at).max().unwrap_or(now);
        let asked = Event::of_ours(About::Person(self.subject), kind, received_at).because_of(&self.asks);
        let signal_at = self.asks.first().and_then(|ask| ask.signal_at);
        let event = Event { source, signal_at, enqueued_at: Some(now), ..asked };
        let enqueued = self.looker.deps.queue.enqueue(std::slice::from_ref(&event)).await;
        enqueued.map_err(|error: queue::Error| Trouble {
            why: error.to_string(),
            now: error.what_now(),
            scope: Scope::Everybody,
        })?;
        super::log_asked(&event, &self.asks);
        Ok(())
    }
}

/// Somebody who has never been seen whole is; so is everybody when a whole sweep asks.
fn depth(asks: &[Event], known: &Known, policy: &Policy) -> Depth {
    let whole = |ask: &Event| matches!(ask.kind, EventKind::Swept { depth: SweepDepth::Whole });
    let seen_whole = known.remembered.as_ref().is_some_and(|remembered| remembered.seen_whole_at.is_some());
    if policy.manages_directory() && (asks.iter().any(whole) || !seen_whole) {
        Depth::Full
    } else {
        Depth::Known
    }
}
