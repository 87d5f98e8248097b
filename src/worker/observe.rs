//! Reads both sides afresh for one person: store, Entra and Auth0, side by side.
//!
//! What cannot be read is said in the snapshot. Trouble that must delay the look is reported beside it, because a
//! containment acts on what it has: Graph being down never stops one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;

use super::look::{Looker, Scope, Trouble};
use crate::auth0;
use crate::case::also::Extra;
use crate::case::{AccountId, AccountProgress, BlockProgress, Case, Means};
use crate::entra;
use crate::event::{Event, EventId, EventKind, Lane, Subject};
use crate::plan;
use crate::retry::WhatNow;
use crate::snapshot::{Access, Account, AccountsSeen, Count, Directory, RELEASED_MAX, RiskView, Snapshot};
use crate::store;

/// How long a containment waits for Graph before it acts on the alert's own evidence.
const GRAPH_PATIENCE: Duration = Duration::from_millis(500);

/// A snapshot, and what stood in the way of a full one.
pub(super) struct Observed {
    pub snapshot: Snapshot,
    /// Auth0 could not be read, or not fully.
    pub auth0: Option<Trouble>,
    /// Graph was asked and did not tell.
    pub graph: Option<Trouble>,
}

/// What a look has heard from Entra. The rounds of one look ask once: the read-back is Auth0's, and risk may be read
/// once a second for the whole tenant.
#[derive(Default)]
pub(super) struct Heard(Option<Entra>);

/// People of whom more is not remembered; more of them waiting for a read-back at once ask Entra again.
const READ_BACKS_MAX: usize = 10_000;

/// What Entra told of people whose containment waits for its read-back only. The same events come back for that, and ask
/// Entra nothing again; whatever is news comes as another event.
#[derive(Default)]
pub(super) struct ReadBacks(Mutex<HashMap<Subject, (Vec<EventId>, Entra)>>);

impl ReadBacks {
    /// What was heard for these very events; nothing, when there is another among them.
    pub(super) fn take(&self, subject: Subject, asks: &[Event]) -> Heard {
        let kept = self.0.lock().expect("no holder of this lock panics").remove(&subject);
        let same = kept.filter(|(events, _)| asks.iter().all(|ask| events.contains(&ask.id)));
        Heard(same.map(|(_, entra)| entra))
    }

    pub(super) fn keep(&self, subject: Subject, asks: &[Event], heard: Heard) {
        let Some(entra) = heard.0 else { return };
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        if kept.len() < READ_BACKS_MAX {
            kept.insert(subject, (asks.iter().map(|ask| ask.id).collect(), entra));
        }
    }
}

/// What Auth0 told about the person's accounts. One that cannot be read keeps nobody from acting on the others.
struct Accounts {
    found: BTreeMap<AccountId, Account>,
    unread: BTreeMap<AccountId, auth0::Error>,
    /// Why there may be more of them than are known.
    search: Option<auth0::Error>,
}

/// Reads everything. The brake's count is left at zero: it is read under the lock that makes it exact.
pub(super) async fn observe(
    looker: &Looker,
    subject: Subject,
    asks: &[Event],
    case: Option<&Case>,
    means: Means,
    heard: &mut Heard,
) -> Result<Observed, store::Error> {
    let links = looker.deps.store.links(subject).await?;
    let last_not_acted = looker.deps.store.last_not_acted_case(subject).await?;
    let released = looker.deps.store.released_cases(subject, RELEASED_MAX).await?;
    let known: BTreeSet<AccountId> =
        links.into_iter().chain(case.iter().flat_map(|case| case.accounts.keys().cloned())).collect();
    let (entra, accounts, token_lifetime_seconds) = tokio::join!(
        hear_entra(looker, subject, asks, case, heard),
        accounts(looker, subject, known, case, means),
        token_lifetime(looker, case),
    );
    let auth0_trouble = accounts.trouble();
    let snapshot = Snapshot {
        subject,
        asks: asks.to_vec(),
        directory: entra.directory,
        risk: entra.risk,
        accounts_seen: accounts.seen(),
        accounts: accounts.found,
        look_alikes: None,
        case: case.cloned(),
        last_not_acted,
        released,
        recent_containments: 0,
        token_lifetime_seconds,
        means,
    };
    Ok(Observed { snapshot, auth0: auth0_trouble, graph: entra.trouble })
}

/// What Entra told about the person.
#[derive(Clone)]
pub(super) struct Entra {
    directory: Directory,
    risk: RiskView,
    trouble: Option<Trouble>,
}

async fn hear_entra(
    looker: &Looker,
    subject: Subject,
    asks: &[Event],
    case: Option<&Case>,
    heard: &mut Heard,
) -> Entra {
    if let Some(entra) = &heard.0 {
        return entra.clone();
    }
    let entra = entra(looker, subject, asks, case).await;
    if entra.trouble.is_none() {
        heard.0 = Some(entra.clone());
    }
    entra
}

async fn entra(looker: &Looker, subject: Subject, asks: &[Event], case: Option<&Case>) -> Entra {
    let both = ask_entra(looker, subject, asks, case);
    if !acts_on_evidence(looker.lane, asks) {
        return both.await;
    }
    tokio::time::timeout(GRAPH_PATIENCE, both).await.unwrap_or_else(|_| {
        let why = format!("Graph did not answer within {} ms", GRAPH_PATIENCE.as_millis());
        let trouble = Some(Trouble { why: why.clone(), now: WhatNow::BackOff, scope: Scope::Graph });
        Entra { directory: Directory::Unread(why.clone()), risk: RiskView::Unread(why), trouble }
    })
}

fn acts_on_evidence(lane: Lane, asks: &[Event]) -> bool {
    let evidence =
        |ask: &Event| matches!(ask.kind, EventKind::RiskReported(_) | EventKind::ContainRequested { .. });
    lane == Lane::Contain && asks.iter().any(evidence)
}

async fn ask_entra(looker: &Looker, subject: Subject, asks: &[Event], case: Option<&Case>) -> Entra {
    let wants_risk = looker.lane == Lane::Contain && plan::risk_can_matter(asks, case);
    let risk = async {
        match wants_risk {
            true => Some(looker.entra.risk(subject.object).await),
            false => None,
        }
    };
    let (directory, risk) = tokio::join!(looker.entra.person(subject.object), risk);
    let mut trouble = None;
    let mut unread = |error: entra::Error| {
        let why = error.to_string();
        trouble = Some(Trouble { why: why.clone(), now: error.what_now(), scope: Scope::Graph });
        why
    };
    let risk = match risk {
        Some(risk) => risk.unwrap_or_else(|error| RiskView::Unread(unread(error))),
        None => RiskView::Unread("not asked".into()),
    };
    let directory = directory.unwrap_or_else(|error| Directory::Unread(unread(error)));
    Entra { directory, risk, trouble }
}

async fn accounts(
    looker: &Looker,
    subject: Subject,
    known: BTreeSet<AccountId>,
    case: Option<&Case>,
    means: Means,
) -> Accounts {
    let known = join_all(known.into_iter().map(|id| read_known(looker, id, case, means)));
    let (searched, known) = tokio::join!(looker.auth0.accounts_of(subject.object), known);
    let mut accounts = Accounts { found: BTreeMap::new(), unread: BTreeMap::new(), search: None };
    known.into_iter().for_each(|read| accounts.take(read));
    let new = match searched {
        Ok(ids) => ids.into_iter().filter(|id| !accounts.has(id)).collect(),
        Err(error) => {
            accounts.search = Some(error);
            Vec::new()
        }
    };
    let new = join_all(new.into_iter().map(|id| read_one(looker, id, case, means))).await;
    new.into_iter().for_each(|read| accounts.take(read));
    accounts
}

impl Accounts {
    fn take(&mut self, read: Read) {
        match read {
            Read::Found(account) => _ = self.found.insert(account.id.clone(), account),
            Read::Unread(id, error) => _ = self.unread.insert(id, error),
            Read::Gone(_) => {}
        }
    }

    fn has(&self, id: &AccountId) -> bool {
        self.found.contains_key(id) || self.unread.contains_key(id)
    }

    fn errors(&self) -> impl Iterator<Item = &auth0::Error> {
        self.unread.values().chain(&self.search)
    }

    fn seen(&self) -> AccountsSeen {
        match self.errors().next() {
            None => AccountsSeen::All,
            Some(error) if self.found.is_empty() && !self.unread.is_empty() => {
                AccountsSeen::Unread(error.to_string())
            }
            Some(error) => {
                AccountsSeen::Partly { unread: self.unread.keys().cloned().collect(), why: error.to_string() }
            }
        }
    }

    /// What stops everybody comes before what stops this one.
    fn trouble(&self) -> Option<Trouble> {
        let gravest = self.errors().find(|error| error.is_vendor_away()).or_else(|| self.errors().next());
        gravest.map(Trouble::from_auth0)
    }
}

/// What became of reading one account.
enum Read {
    Found(Account),
    Gone(AccountId),
    Unread(AccountId, auth0::Error),
}

/// An account known from the link index or the case. One that answers 404 may live on as an identity of another, which
/// is then the one to contain; otherwise it is gone and leaves the index.
async fn read_known(looker: &Looker, id: AccountId, case: Option<&Case>, means: Means) -> Read {
    match read_one(looker, id, case, means).await {
        Read::Gone(id) => match looker.auth0.holder_of(&id).await {
            Ok(Some(holder)) => read_one(looker, holder, case, means).await,
            Ok(None) => Read::Gone(id),
            Err(error) => Read::Unread(id, error),
        },
        read => read,
    }
}

/// Whole or not at all: half an account would be taken for what it is not.
async fn read_one(looker: &Looker, id: AccountId, case: Option<&Case>, means: Means) -> Read {
    let ended =
        case.and_then(|case| case.accounts.get(&id)).filter(|progress| progress.block != BlockProgress::Gone);
    let mut account = match looker.auth0.account(&id).await {
        Ok(Some(account)) => account,
        Ok(None) => return Read::Gone(id),
        Err(error) => return Read::Unread(id, error),
    };
    if let Some((progress, ended_by)) = ended.and_then(|progress| Some((progress, progress.ended_by?))) {
        account.access = match looker.auth0.access(&id, ended_by.max(means)).await {
            Ok(access) => access,
            Err(error) => return Read::Unread(id, error),
        };
        read_extras(looker, &id, progress, &mut account.access).await;
    }
    Read::Found(account)
}

/// What cannot be read stays unread: nothing beside the lockout keeps the lockout from being read back.
async fn read_extras(looker: &Looker, id: &AccountId, progress: &AccountProgress, access: &mut Access) {
    let ended = progress.also.iter().filter(|(_, also)| also.is_ended()).map(|(extra, _)| *extra);
    let read = ended.map(async |extra: Extra| (extra, looker.auth0.left_of(id, extra).await));
    for (extra, left) in join_all(read).await {
        access.set_extra(extra, left.unwrap_or(Count::Unread));
    }
}

/// Only the read-back needs it, so it never delays a block; without it the residual exposure is unknown and said so.
async fn token_lifetime(looker: &Looker, case: Option<&Case>) -> Option<u64> {
    case.filter(|case| case.exposed_until.is_none() && case.state.is_open())?;
    looker.auth0.longest_token_lifetime_seconds().await.ok()
}

impl Trouble {
    pub(super) fn from_auth0(error: &auth0::Error) -> Trouble {
        let scope = match error.is_vendor_away() {
            true => Scope::Everybody,
            false if error.is_kind_throttled() => Scope::Limit,
            false => Scope::Person,
        };
        Trouble { why: error.to_string(), now: error.what_now(), scope }
    }
}
