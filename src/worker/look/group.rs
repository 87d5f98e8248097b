//! The look at a group: who is affected when it changes. It changes nobody itself; it asks for looks at people.
//!
//! Only groups that the policy names matter, and groups nested in those. With Graph's hint the people that it names are
//! affected, and the members of the groups that it names. Without one, the current members of every named group above are
//! compared with those that were last seen in it, so that a renamed group of fifty thousand costs its pages and nobody's
//! look. Where a deleted group was nested is not told any more: whoever was seen in a named group and is not listed there
//! now is affected, and one comparison answers for every deletion that was told before it began. Members come in pages,
//! and leave as events in pages: memory holds ids only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Looker, Scope, Trouble, Verdict};
use crate::clock::{self, Timestamp};
use crate::entra::{GroupSeen, Kind, Link, Page};
use crate::event::{About, Event, EventId, EventKind, ObjectId, Subject, SweepDepth, TenantId};
use crate::queue;
use crate::retry::WhatNow;

/// Events of one enqueue: one durable write.
const BATCH: usize = 500;
/// People of one group that are held in memory as ids; beyond it the group is looked at without comparing.
const COMPARED_MAX: usize = 1_000_000;
/// Rows of one question to the store.
const STORED_PAGE: u32 = 1000;
/// Pages of one group's members; 999 people each.
const PAGES_MAX: usize = 2000;
/// How soon to look again at a deleted group while a comparison for another is under way.
const COMPARED_AGAIN: Duration = Duration::from_secs(5);

/// Since when each named group has been compared with those who were seen in it. One comparison at a time.
pub(super) type Compared = tokio::sync::Mutex<BTreeMap<ObjectId, Timestamp>>;

pub(super) async fn look(looker: &Looker, tenant: TenantId, group: ObjectId, asks: &[Event]) -> Verdict {
    match FanOut::new(looker, tenant, asks).run(group, asks).await {
        Ok(()) => Verdict::Done,
        Err(trouble) => looker.later(&trouble),
    }
}

/// Everybody who is in `group`, or was when last seen: for a rule that has changed.
pub(in crate::worker) async fn look_at_all_of(
    looker: &Looker,
    tenant: TenantId,
    group: ObjectId,
) -> Result<(), Trouble> {
    let mut fan_out = FanOut::new(looker, tenant, &[]);
    let before = fan_out.seen_in(group).await?;
    fan_out.those_seen_in(group).await?;
    // Each is asked for once; a group that does not fit into memory costs some of them a second look.
    fan_out.members_of(group, &before).await?;
    fan_out.flush().await
}

struct FanOut<'a> {
    looker: &'a Looker,
    tenant: TenantId,
    signal_at: Option<Timestamp>,
    received_at: Timestamp,
    caused_by: Option<EventId>,
    waiting: Vec<Event>,
}

impl<'a> FanOut<'a> {
    fn new(looker: &'a Looker, tenant: TenantId, asks: &[Event]) -> FanOut<'a> {
        let now = looker.deps.clock.now();
        let received_at = asks.iter().map(|ask| ask.received_at).min().unwrap_or(now);
        let signal_at = asks.first().and_then(|ask| ask.signal_at);
        let caused_by = asks.first().map(Event::correlation);
        FanOut { looker, tenant, signal_at, received_at, caused_by, waiting: Vec::new() }
    }

    async fn run(mut self, group: ObjectId, asks: &[Event]) -> Result<(), Trouble> {
        let named = self.looker.deps.policy.borrow().groups();
        if named.is_empty() {
            return Ok(());
        }
        let seen = self.looker.entra.group_above(group).await.map_err(|error| Trouble::from_graph(&error))?;
        match seen {
            GroupSeen::Present { above, .. } => {
                let here = [group].into_iter().chain(above);
                let relevant: BTreeSet<ObjectId> = here.filter(|id| named.contains(id)).collect();
                if !relevant.is_empty() {
                    self.changed(&relevant, asks).await?;
                }
            }
            GroupSeen::Gone => self.gone(&named, asks).await?,
        }
        self.flush().await
    }

    /// A deletion takes people out of the groups above, and brings nobody in.
    async fn gone(&mut self, named: &BTreeSet<ObjectId>, asks: &[Event]) -> Result<(), Trouble> {
        let looker = self.looker;
        let now = || looker.deps.clock.now();
        let Ok(mut compared) = looker.compared.try_lock() else {
            // Nobody's place in the lane is held meanwhile: teams are deleted by the hundred.
            let why = "another deleted group is being looked at".into();
            let again_at = clock::after(now(), COMPARED_AGAIN);
            return Err(Trouble { why, now: WhatNow::RetryAt(again_at), scope: Scope::Person });
        };
        compared.retain(|group, _| named.contains(group));
        let told_at = asks.iter().map(|ask| ask.received_at).max().unwrap_or(now());
        let (mut lost, mut done, mut trouble) = (BTreeSet::new(), Vec::new(), None);
        for group in named {
            if compared.get(group).is_some_and(|began| *began > told_at) {
                continue;
            }
            let began = now();
            match self.lost_from(*group).await {
                Ok(people) => {
                    lost.extend(people);
                    done.push((*group, began));
                }
                // One that cannot be listed keeps nobody in the others' roles.
                Err(found) => trouble = trouble.or(Some(found)),
            }
        }
        for id in lost {
            self.person(id, swept()).await?;
        }
        self.flush().await?;
        compared.extend(done);
        trouble.map_or(Ok(()), Err)
    }

    /// Who was seen in the group and is not in it any more.
    async fn lost_from(&mut self, group: ObjectId) -> Result<BTreeSet<ObjectId>, Trouble> {
        let mut lost = self.seen_in(group).await?;
        if lost.len() >= COMPARED_MAX {
            self.those_seen_in(group).await?;
            return Ok(BTreeSet::new());
        }
        let mut next = None;
        for _ in 0..PAGES_MAX {
            if lost.is_empty() {
                return Ok(lost);
            }
            let Some(page) = self.members_page(group, next.as_ref()).await? else { return Ok(lost) };
            for id in &page.items {
                lost.remove(id);
            }
            let Some(link) = page.next else { return Ok(lost) };
            next = Some(link);
        }
        Err(too_many_pages(group))
    }

    /// `None` when the group is gone.
    async fn members_page(
        &self,
        group: ObjectId,
        next: Option<&Link>,
    ) -> Result<Option<Page<ObjectId>>, Trouble> {
        match self.looker.entra.members_page(group, next).await {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(Trouble::from_graph(&error)),
        }
    }

    async fn changed(&mut self, relevant: &BTreeSet<ObjectId>, asks: &[Event]) -> Result<(), Trouble> {
        let (mut hinted, mut all_hint) = (BTreeSet::new(), true);
        for ask in asks {
            match &ask.kind {
                EventKind::GroupUpdated { members } if !members.is_empty() => {
                    hinted.extend(members.iter().copied())
                }
                _ => all_hint = false,
            }
        }
        self.hinted(&hinted).await?;
        if !all_hint {
            for named in relevant {
                self.compare(*named).await?;
            }
        }
        Ok(())
    }

    /// A hint does not say what it names: people are looked at, groups opened.
    async fn hinted(&mut self, hinted: &BTreeSet<ObjectId>) -> Result<(), Trouble> {
        let hinted: Vec<ObjectId> = hinted.iter().copied().collect();
        for chunk in hinted.chunks(BATCH) {
            let kinds =
                self.looker.entra.kinds_of(chunk).await.map_err(|error| Trouble::from_graph(&error))?;
            for id in chunk {
                match kinds.get(id) {
                    Some(Kind::Group) => drop(self.members_of(*id, &BTreeSet::new()).await?),
                    Some(Kind::Other) => {}
                    // Whoever is not there any more was a person, or is found missing.
                    Some(Kind::User) | None => self.person(*id, EventKind::UserUpdated).await?,
                }
            }
        }
        Ok(())
    }

    /// Who is in the group and was not, or was and is not.
    async fn compare(&mut self, group: ObjectId) -> Result<(), Trouble> {
        let before = self.seen_in(group).await?;
        if before.len() >= COMPARED_MAX {
            self.those_seen_in(group).await?;
            return self.members_of(group, &BTreeSet::new()).await.map(drop);
        }
        let now = self.members_of(group, &before).await?;
        for id in before.difference(&now) {
            self.person(*id, swept()).await?;
        }
        Ok(())
    }

    /// Asks for a look at every member who is not among `known`; returns all of them.
    async fn members_of(
        &mut self,
        group: ObjectId,
        known: &BTreeSet<ObjectId>,
    ) -> Result<BTreeSet<ObjectId>, Trouble> {
        let (mut members, mut next): (BTreeSet<ObjectId>, Option<Link>) = (BTreeSet::new(), None);
        for _ in 0..PAGES_MAX {
            let Some(page) = self.members_page(group, next.as_ref()).await? else { return Ok(members) };
            for id in page.items {
                if !known.contains(&id) {
                    self.person(id, swept()).await?;
                }
                if !known.is_empty() {
                    members.insert(id);
                }
            }
            let Some(link) = page.next else { return Ok(members) };
            next = Some(link);
        }
        Err(too_many_pages(group))
    }

    async fn seen_in(&self, group: ObjectId) -> Result<BTreeSet<ObjectId>, Trouble> {
        let (mut seen, mut after) = (BTreeSet::new(), None);
        while seen.len() < COMPARED_MAX {
            let page = self.looker.deps.store.people_in(group, after, STORED_PAGE).await;
            let page = page.map_err(|error| Trouble::from_store(&error))?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page.iter().map(|subject| subject.object));
        }
        Ok(seen)
    }

    async fn those_seen_in(&mut self, group: ObjectId) -> Result<(), Trouble> {
        let mut after: Option<Subject> = None;
        loop {
            let page = self.looker.deps.store.people_in(group, after, STORED_PAGE).await;
            let page = page.map_err(|error| Trouble::from_store(&error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for subject in &page {
                self.person(subject.object, swept()).await?;
            }
        }
    }

    async fn person(&mut self, object: ObjectId, kind: EventKind) -> Result<(), Trouble> {
        let about = About::Person(Subject { tenant: self.tenant, object });
        let event = Event {
            signal_at: self.signal_at,
            enqueued_at: Some(self.looker.deps.clock.now()),
            caused_by: self.caused_by,
            ..Event::of_ours(about, kind, self.received_at)
        };
        super::log_asked(&event, &[]);
        self.waiting.push(event);
        if self.waiting.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Trouble> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.waiting);
        self.looker.deps.queue.enqueue(&events).await.map_err(|error: queue::Error| Trouble {
            why: error.to_string(),
            now: error.what_now(),
            scope: Scope::Everybody,
        })
    }
}

fn too_many_pages(group: ObjectId) -> Trouble {
    let why = format!("group {group} has more than {PAGES_MAX} pages of members");
    Trouble { why, now: WhatNow::GiveUp, scope: Scope::Person }
}

fn swept() -> EventKind {
    EventKind::Swept { depth: SweepDepth::Changed }
}
