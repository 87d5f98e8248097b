//! A person in a line or two: what Entra and Auth0 show, what was asked, what the policy says, and what time it is.
//!
//! [`person`] starts from the plainest scene: enforce mode, enabled in Entra, no risk listed, Auth0 fully read, no
//! account, nothing asked. Each verb changes one thing. Every plan made here is made twice and passes its check.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::print::print;
use crate::action::Action;
use crate::case::also::{AlsoState, Extra};
use crate::case::look_alikes::LookAlikes;
use crate::case::{AccountId, Case, CaseId, CaseState, Means, Response};
use crate::clock::{self, Timestamp};
use crate::event::{
    About, Event, EventId, EventKind, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId,
};
use crate::plan::{Plan, check, plan};
use crate::policy::also::EntraSessions;
use crate::policy::{Mode, Policy, SourcePolicy};
use crate::snapshot::{
    Access, Account, AccountsSeen, Blocked, Count, Directory, Email, Enabled, Guest, Person, Risk, RiskView,
    Snapshot, Stamp,
};

#[derive(Debug, Clone)]
pub(in crate::plan) struct Scene {
    pub snapshot: Snapshot,
    pub policy: Policy,
    pub now: Timestamp,
}

pub(in crate::plan) fn person(name: &str) -> Scene {
    let subject = Subject { tenant: TenantId(Uuid::from_u128(1)), object: object(name) };
    let snapshot = Snapshot {
        subject,
        asks: Vec::new(),
        directory: Directory::Present(in_entra(name, Enabled::Yes)),
        risk: RiskView::NotListed,
        accounts: BTreeMap::new(),
        accounts_seen: AccountsSeen::All,
        look_alikes: None,
        case: None,
        last_not_acted: None,
        released: Vec::new(),
        recent_containments: 0,
        token_lifetime_seconds: None,
        means: Means::RevokeAccess,
    };
    let policy = Policy { mode: Mode::Enforce, ..Policy::default() };
    Scene { snapshot, policy, now: at("08:00:00") }
}

/// A time of the day on which every scene plays.
pub(in crate::plan) fn at(time: &str) -> Timestamp {
    format!("2026-03-02T{time}Z").parse().expect("a time of day")
}

pub(in crate::plan) fn id(account: &str) -> AccountId {
    AccountId::read(account).expect("an account id")
}

/// The case that the `number`th event of a scene opens.
pub(in crate::plan) fn case_of_event(number: u128) -> CaseId {
    CaseId::opened_by(EventId(Uuid::from_u128(number)))
}

/// An account that nobody has touched and whose access was not read.
pub(in crate::plan) fn untouched(account: &str) -> Account {
    Account { id: id(account), blocked: Blocked::No, stamp: None, access: Access::default(), email: None }
}

pub(in crate::plan) fn nothing_left() -> Access {
    counts(0, 0)
}

pub(in crate::plan) fn counts(sessions: u32, refresh_tokens: u32) -> Access {
    Access {
        sessions: Count::Is(sessions),
        refresh_tokens: Count::Is(refresh_tokens),
        grants: Count::Is(0),
        device_credentials: Count::Is(0),
        token_sets: Count::Is(0),
    }
}

pub(in crate::plan) fn evidence(level: RiskLevel, state: RiskState, detected_at: Timestamp) -> RiskEvidence {
    let detection = Some("leakedCredentials".to_owned());
    RiskEvidence { level, state, detection, detected_at: Some(detected_at) }
}

fn object(name: &str) -> ObjectId {
    ObjectId(Uuid::from_u128(name.bytes().fold(0, |number, byte| number << 8 | u128::from(byte))))
}

fn in_entra(name: &str, enabled: Enabled) -> Person {
    Person {
        object: object(name),
        enabled,
        guest: Guest::NotTold,
        display_name: Some(name.to_owned()),
        mail: None,
    }
}

/// What was asked.
impl Scene {
    /// Events are numbered from 1, all asks of a scene counted.
    pub fn ask(self, source: Source, kind: EventKind) -> Scene {
        let received_at = self.now;
        self.ask_received_at(source, kind, received_at)
    }

    pub fn ask_received_at(mut self, source: Source, kind: EventKind, received_at: Timestamp) -> Scene {
        let before = self.snapshot.asks.iter().map(|ask| ask.id.0.as_u128()).max();
        let snapshot = &self.snapshot;
        let cases = snapshot.case.iter().chain(&snapshot.last_not_acted).chain(&snapshot.released);
        let opened = cases.map(|case| case.event.0.as_u128()).max();
        let number = before.max(opened).unwrap_or(0) + 1;
        let about = About::Person(self.snapshot.subject);
        let id = EventId(Uuid::from_u128(number));
        let (enqueued_at, caused_by) = (None, None);
        let event = Event { id, source, about, kind, signal_at: None, received_at, enqueued_at, caused_by };
        self.snapshot.asks.push(event);
        self
    }

    /// At risk at `level`, detected five seconds ago, told by a signed risk alert.
    pub fn alert(self, level: RiskLevel) -> Scene {
        self.alert_from(Source::Risk, level, RiskState::AtRisk)
    }

    pub fn alert_from(self, source: Source, level: RiskLevel, state: RiskState) -> Scene {
        let detected_at = self.ago(5);
        self.ask(source, EventKind::RiskReported(evidence(level, state, detected_at)))
    }

    pub fn operator_contains(self) -> Scene {
        let (by, reason) = ("ops@acme".to_owned(), "phished".to_owned());
        self.ask(Source::Operator, EventKind::ContainRequested { by, reason })
    }

    pub fn operator_releases(self, case: CaseId) -> Scene {
        let (by, reason) = ("ops@acme".to_owned(), "false alarm".to_owned());
        self.ask(Source::Operator, EventKind::ReleaseRequested { by, case, reason })
    }

    pub fn told_deleted(self) -> Scene {
        self.ask(Source::Graph, EventKind::UserDeleted)
    }

    /// A change notification that found something to look at.
    pub fn told_changed(self) -> Scene {
        self.ask(Source::Graph, EventKind::Escalated)
    }

    /// The asks so far have been answered.
    pub fn answered(mut self) -> Scene {
        self.snapshot.asks.clear();
        self
    }
}

/// What Entra shows.
impl Scene {
    pub fn disabled(self) -> Scene {
        self.with_enabled(Enabled::No)
    }

    pub fn enabled(self) -> Scene {
        self.with_enabled(Enabled::Yes)
    }

    pub fn with_enabled(mut self, enabled: Enabled) -> Scene {
        let name = self.name();
        self.snapshot.directory = Directory::Present(in_entra(&name, enabled));
        self
    }

    pub fn soft_deleted(mut self) -> Scene {
        self.snapshot.directory = Directory::SoftDeleted(in_entra(&self.name(), Enabled::No));
        self
    }

    pub fn with_mail(mut self) -> Scene {
        if let Directory::Present(person) = &mut self.snapshot.directory {
            person.mail = Email::read("anna@contoso.example");
        }
        self
    }

    pub fn missing(mut self) -> Scene {
        self.snapshot.directory = Directory::Missing;
        self
    }

    pub fn directory_unread(mut self) -> Scene {
        self.snapshot.directory = Directory::Unread("Graph answered 503".into());
        self
    }

    pub fn risk_unread(mut self) -> Scene {
        self.snapshot.risk = RiskView::Unread("Graph answered 503".into());
        self
    }

    pub fn graph_unread(self) -> Scene {
        self.directory_unread().risk_unread()
    }

    pub fn risk(mut self, level: RiskLevel, state: RiskState, updated_at: Timestamp) -> Scene {
        self.snapshot.risk = RiskView::Known(Risk { level, state, updated_at: Some(updated_at) });
        self
    }

    /// Entra says so since this very moment.
    pub fn dismissed(self) -> Scene {
        let now = self.now;
        self.risk(RiskLevel::None, RiskState::Dismissed, now)
    }

    fn name(&self) -> String {
        let bytes = self.snapshot.subject.object.0.into_bytes();
        bytes.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
    }
}

/// What Auth0 shows.
impl Scene {
    pub fn account(self, account: &str) -> Scene {
        self.with(untouched(account))
    }

    pub fn with(mut self, account: Account) -> Scene {
        self.snapshot.accounts.insert(account.id.clone(), account);
        self
    }

    pub fn without(mut self, account: &str) -> Scene {
        self.snapshot.accounts.remove(&id(account)).expect("an account that is there");
        self
    }

    /// Blocked, with nobody's stamp.
    pub fn blocked_by_somebody(self, account: &str) -> Scene {
        self.change(account, |account| (account.blocked, account.stamp) = (Blocked::Yes, None))
    }

    pub fn blocked_by_case(self, account: &str, case: CaseId) -> Scene {
        self.change(account, |account| {
            (account.blocked, account.stamp) = (Blocked::Yes, Some(Stamp { case }))
        })
    }

    /// As an administrator or a password reset by the Management API does it: the stamp stays.
    pub fn unblocked_by_somebody(self, account: &str) -> Scene {
        self.change(account, |account| account.blocked = Blocked::No)
    }

    pub fn left(self, account: &str, access: Access) -> Scene {
        self.change(account, |account| account.access = access)
    }

    fn change(mut self, account: &str, change: impl FnOnce(&mut Account)) -> Scene {
        change(self.snapshot.accounts.get_mut(&id(account)).expect("an account that is there"));
        self
    }

    /// Looked for, and these found.
    pub fn look_alikes(mut self, accounts: &[&str]) -> Scene {
        self.snapshot.look_alikes = Some(LookAlikes::of(accounts.iter().map(|account| id(account))));
        self
    }

    pub fn linked_only(mut self) -> Scene {
        self.snapshot.accounts_seen =
            AccountsSeen::Partly { unread: BTreeSet::new(), why: "Auth0 answered 503 to the search".into() };
        self
    }

    /// As the worker sees it: everything was read but this one, which is known.
    pub fn account_unread(mut self, account: &str) -> Scene {
        self.snapshot.accounts.remove(&id(account));
        let (unread, why) = (BTreeSet::from([id(account)]), "Auth0 answered 500".into());
        self.snapshot.accounts_seen = AccountsSeen::Partly { unread, why };
        self
    }

    /// As the worker sees it: no account is in the snapshot.
    pub fn auth0_unread(mut self) -> Scene {
        self.snapshot.accounts_seen = AccountsSeen::Unread("Auth0 answered 503".into());
        self.snapshot.accounts.clear();
        self
    }

    pub fn auth0_read(mut self) -> Scene {
        self.snapshot.accounts_seen = AccountsSeen::All;
        self
    }

    pub fn means(mut self, means: Means) -> Scene {
        self.snapshot.means = means;
        self
    }

    pub fn token_lifetime(mut self, seconds: u64) -> Scene {
        self.snapshot.token_lifetime_seconds = Some(seconds);
        self
    }
}

/// What the policy says, and what went before.
impl Scene {
    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Scene {
        change(&mut self.policy);
        self
    }

    pub fn observe(self) -> Scene {
        self.policy(|policy| policy.mode = Mode::Observe)
    }

    pub fn source(self, source: Source, risk_level: Option<RiskLevel>, response: Option<Response>) -> Scene {
        self.policy(|policy| {
            policy.contain.sources.insert(source, SourcePolicy { risk_level, response });
        })
    }

    pub fn also(self, extras: impl IntoIterator<Item = Extra>) -> Scene {
        self.policy(|policy| policy.contain.also.extras = extras.into_iter().collect())
    }

    pub fn ends_entra_sessions(self) -> Scene {
        self.policy(|policy| policy.contain.also.entra_sessions = EntraSessions::End)
    }

    pub fn protected_person(self) -> Scene {
        let object = self.snapshot.subject.object;
        self.policy(|policy| {
            policy.protected.people.insert(object);
        })
    }

    pub fn protected_account(self, account: &str) -> Scene {
        self.policy(|policy| {
            policy.protected.accounts.insert(id(account));
        })
    }

    pub fn recent_containments(mut self, number: u32) -> Scene {
        self.snapshot.recent_containments = number;
        self
    }

    pub fn ago(&self, seconds: u64) -> Timestamp {
        let by = clock::SignedDuration::from_secs(i64::try_from(seconds).expect("a few seconds"));
        self.now.checked_sub(by).expect("a time in our era")
    }

    pub fn later(mut self, wait: Duration) -> Scene {
        self.now = clock::after(self.now, wait);
        self
    }
}

/// What happens.
impl Scene {
    /// Plans twice, and has the plan checked.
    pub fn plan(&self) -> Plan {
        let planned = plan(&self.snapshot, &self.policy, self.now);
        assert_eq!(planned, plan(&self.snapshot, &self.policy, self.now), "same input, same plan");
        let checked = check::check(&planned, &self.snapshot, &self.policy).expect("a plan that passes");
        assert_eq!(checked.into_actions(), planned.actions);
        planned
    }

    pub fn print(&self) -> String {
        print(&self.plan())
    }

    pub fn case(&self) -> &Case {
        self.snapshot.case.as_ref().expect("an open case")
    }

    /// The case is on record and nothing was written to Auth0: killed in between, or every write was lost.
    pub fn saved(&self) -> Scene {
        let mut scene = self.clone();
        match self.plan().case {
            Some(case) if case.state.is_open() => scene.snapshot.case = Some(case),
            Some(case) if case.state == CaseState::Released => {
                scene.snapshot.case = None;
                scene.snapshot.released.insert(0, case);
            }
            Some(case) => (scene.snapshot.case, scene.snapshot.last_not_acted) = (None, Some(case)),
            None => {}
        }
        scene
    }

    /// Auth0 accepts everything that is planned and has deleted everything by the next look.
    pub fn applied(&self) -> Scene {
        let mut scene = self.saved();
        for action in self.plan().actions {
            scene.apply(&action);
        }
        scene
    }

    pub fn entra_answered_with(mut self, state: AlsoState) -> Scene {
        let case = self.snapshot.case.as_mut().expect("an open case");
        case.entra_sessions.as_mut().expect("something that was asked for").state = state;
        self
    }

    /// How Auth0 answered to what the policy also wants ended.
    pub fn answered_with(mut self, account: &str, extra: Extra, state: AlsoState) -> Scene {
        let case = self.snapshot.case.as_mut().expect("an open case");
        let progress = case.accounts.get_mut(&id(account)).expect("an account of the case");
        progress.also.get_mut(&extra).expect("something that was asked for").state = state;
        self
    }

    /// Verified by the look after the writes.
    pub fn verified(&self) -> Scene {
        self.applied().later(Duration::from_millis(100)).saved()
    }

    fn apply(&mut self, action: &Action) {
        let now = self.now;
        let Some(id) = action.account() else {
            let case = self.snapshot.case.as_mut().expect("an open case");
            case.entra_sessions.as_mut().expect("asked for").state = AlsoState::Ended { at: now };
            return;
        };
        let account = self.snapshot.accounts.get_mut(id).expect("an account that is there");
        match action {
            Action::EndEntraSessions { .. } => {}
            Action::Block { case, .. } => {
                (account.blocked, account.stamp) = (Blocked::Yes, Some(Stamp { case: *case }));
            }
            Action::Unblock { .. } => (account.blocked, account.stamp) = (Blocked::No, None),
            Action::EndAccess { account: id, means } => {
                account.access = nothing_left();
                let case = self.snapshot.case.as_mut().expect("an open case");
                let progress = case.accounts.get_mut(id).expect("an account of the case");
                (progress.ended_by, progress.ended_at) = (Some(*means), Some(self.now));
            }
            Action::EndExtra { account: id, extra } => {
                account.access.set_extra(*extra, Count::Is(0));
                let case = self.snapshot.case.as_mut().expect("an open case");
                let progress = case.accounts.get_mut(id).expect("an account of the case");
                let also = progress.also.get_mut(extra).expect("something that was asked for");
                also.state = AlsoState::Ended { at: self.now };
            }
        }
    }
}
