//! What the stories have in common: people in trouble, alerts about them, and what can be seen from outside.

use lockstep::audit::Entry as AuditEntry;
use lockstep::case::{Case, CaseState};
use lockstep_twin::send::Change;
use lockstep_twin::{AccountId, Entry, Hire, Match, Message, PersonId, Vendor};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Stage;

/// The two writes of a containment, as the twin's journal names them.
pub const BLOCK: &str = "PATCH /api/v2/users/{id}";
pub const REVOKE: &str = "POST /api/v2/users/{id}/revoke-access";

/// Every request to the Management API, logins excepted.
pub fn management() -> Match {
    Match::vendor(Vendor::Auth0).route("/api/v2/")
}

/// The request that blocks, or unblocks, an account.
pub fn blocking() -> Match {
    Match::vendor(Vendor::Auth0).method("PATCH")
}

impl Stage {
    /// Somebody with one enterprise account, signed in once.
    pub fn hire(&self, name: &str) -> (PersonId, AccountId) {
        let mut world = self.twin.world();
        let person = world.hire(Hire::named(name));
        let account = world.accounts_of(person).remove(0);
        world.sign_in(&account).expect("a new account may sign in");
        (person, account)
    }

    /// Somebody like that whom Entra holds to be at risk.
    pub fn at_risk(&self, name: &str, level: &str) -> (PersonId, AccountId) {
        let (person, account) = self.hire(name);
        self.twin.world().raise_risk(person, level, "leakedCredentials");
        (person, account)
    }

    /// Somebody at high risk who is contained, proven.
    pub async fn contained(&self, name: &str) -> (PersonId, AccountId, Case) {
        let (person, account) = self.at_risk(name, "high");
        self.alert(person, "high").await;
        let case = self.until_case(person, CaseState::Verified).await;
        (person, account, case)
    }

    /// A signed alert about this person, accepted.
    pub async fn alert(&self, person: PersonId, level: &str) {
        let answer = self.sender().signed_risk_alert(person, level).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// Any body as a signed alert, accepted.
    pub async fn alert_with(&self, body: &Value) {
        let answer = self.sender().signed(body).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// Graph says that something about this person has changed.
    pub async fn changed(&self, person: PersonId, change: Change) {
        let answer = self.sender().user_changed(person, change).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// Whether the account is blocked and has nothing left that lets anybody in.
    pub fn is_locked_out(&self, account: &AccountId) -> bool {
        let world = self.twin.world();
        world.account(account).blocked
            && world.sessions(account).is_empty()
            && world.refresh_tokens(account).is_empty()
    }

    pub fn is_blocked(&self, account: &AccountId) -> bool {
        self.twin.world().account(account).blocked
    }

    /// Writes to Auth0 that were carried out.
    pub fn writes(&self) -> u64 {
        self.twin.journal().writes(Vendor::Auth0)
    }

    /// The requests that took a route of a vendor, oldest first.
    pub fn requests(&self, vendor: Vendor, route: &str) -> Vec<Entry> {
        let all = self.twin.journal().requests().into_iter();
        all.filter(|entry| entry.vendor == vendor && entry.route == route).collect()
    }

    /// Requests that Auth0 refused because of a rate limit.
    pub fn throttled(&self) -> usize {
        let all = self.twin.journal().requests().into_iter();
        all.filter(|entry| entry.vendor == Vendor::Auth0 && entry.status == 429).count()
    }

    /// Waits until the vendor has failed (with any 4xx or 5xx) this many requests.
    pub async fn until_failed(&self, vendor: Vendor, times: usize) {
        self.until(&format!("{vendor:?} has failed {times} times"), async || {
            let failed = self.twin.journal().requests().into_iter();
            let failed = failed.filter(|entry| entry.vendor == vendor && entry.status >= 400).count();
            (failed >= times).then_some(())
        })
        .await;
    }

    /// What people see in the channel.
    pub fn messages(&self) -> Vec<Message> {
        self.twin.world().slack_messages(&self.twin.setup().slack_channel)
    }

    /// Waits until a message says `words`.
    pub async fn until_told(&self, words: &str) -> Message {
        self.until(&format!("people read {words:?}"), async || {
            self.messages().into_iter().find(|message| message.everything().contains(words))
        })
        .await
    }

    /// The audit entries of one kind, oldest first.
    pub async fn audited(&self, what: &str) -> Vec<AuditEntry> {
        let records = self.store().records(0, 10_000).await.unwrap().into_iter();
        let entries = records.map(|record| serde_json::from_slice::<AuditEntry>(&record.entry).unwrap());
        entries.filter(|entry| entry.what == what).collect()
    }

    /// Waits until a look has found nothing to do for this person, and says why.
    pub async fn until_left_alone(&self, person: PersonId) -> String {
        let subject = self.subject(person);
        self.until(&format!("{person} is left alone, on record"), async || {
            let left = self.audited("plan.left_alone").await;
            left.into_iter().rev().find(|entry| entry.subject == Some(subject)).map(|entry| entry.sentence)
        })
        .await
    }

    /// A line of `/metrics`, by its name and labels as they are shown.
    pub async fn metric(&self, line: &str) -> Option<f64> {
        let shown = reqwest::get(format!("{}/metrics", self.admin_url())).await.ok()?.text().await.ok()?;
        shown.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// An operator asks for a containment.
    pub async fn ask_to_contain(&self, person: PersonId) {
        let body = json!({ "user": person.to_string(), "by": "kim", "reason": "laptop stolen" });
        let (status, answer) = self.admin(Method::POST, "/contain", body).await;
        assert_eq!(status, 202, "{answer}");
    }

    /// An operator asks for a release.
    pub async fn ask_to_release(&self, case: &Case) {
        let body = json!({ "by": "kim", "reason": "false alarm" });
        let (status, answer) = self.admin(Method::POST, &format!("/cases/{}/release", case.id), body).await;
        assert_eq!(status, 202, "{answer}");
    }
}
