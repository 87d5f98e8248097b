//! What the stories about the directory have in common: a Lockstep that Graph can reach, people and groups of the world,
//! what accounts hold.

use std::collections::BTreeSet;

use lockstep::clock::{Clock, SystemClock};
use lockstep::snapshot::sync::Remembered;
use lockstep::store::SavePerson;
use lockstep::worker::scheduler::Wish;
use lockstep_twin::{AccountId, Entry, FaultId, GroupId, Hire, PersonId, Setup, Vendor, World};
use serde_json::Value;

use crate::command::program::{Place, Ran};
use crate::harness::{PATIENCE, Stage};

/// What the policy was when it was last followed.
const POLICY_FOLLOWED: &str = "policy.followed";
/// A sweep a second; a story that needs none leaves it out.
pub const SWEEPING: &str = "[sweep]\nevery_seconds = 1\n";

/// A line of roles in a policy.
pub fn role(name: &str, any_of: &[GroupId]) -> String {
    let groups: Vec<String> = any_of.iter().map(|group| format!("\"{group}\"")).collect();
    format!("[[roles]]\nrole = \"{name}\"\nany_of = [{}]\n", groups.join(", "))
}

/// A line of attributes in a policy.
pub fn attribute(to: &str, from: &str) -> String {
    format!("[[attributes]]\nto = \"{to}\"\nfrom = \"{from}\"\n")
}

impl Stage {
    /// Starts Lockstep where Graph can reach it, and waits until both subscriptions stand and everybody was swept.
    pub async fn start_subscribed(&mut self) {
        self.be_reachable();
        self.start().await;
        self.until_subscribed().await;
        self.until_swept().await;
    }

    /// From the next start on, Lockstep listens where it says that it does.
    pub fn be_reachable(&mut self) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // Bound and not listening: nobody else is given the port, and Lockstep may take it.
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        self.set_env("LOCKSTEP_LISTEN", &address.to_string());
        self.set_env("LOCKSTEP_PUBLIC_URL", &format!("http://{address}"));
        self.reserved = Some(socket);
    }

    pub async fn until_subscribed(&self) {
        self.until_world("both subscriptions stand", |world| world.subscriptions().count() == 2).await;
    }

    /// Waits until everybody was swept once and nothing of it is left.
    pub async fn until_swept(&self) {
        self.until("everybody was swept", async || {
            self.store().note("sweep.whole_at").await.unwrap().map(drop)
        })
        .await;
        self.until_idle().await;
    }

    /// Waits until a sweep that began after this call has ended, and what it asked for is done.
    pub async fn until_swept_anew(&self) {
        let (store, now) = (self.store(), SystemClock.now());
        Wish::make(store.as_ref(), &[Wish::Sweep], now).await.unwrap();
        self.until("a sweep has ended", async || {
            Wish::Sweep.is_done(store.as_ref(), now).await.unwrap().then_some(())
        })
        .await;
        self.until_idle().await;
    }

    /// Waits until the names of the policy have been compared with what Auth0 has: from then on it is noticed when one of
    /// them is made, or made anew.
    pub async fn until_catalogue_seen(&self) {
        self.until("the catalogue was seen", async || {
            self.store().note("catalogue.seen").await.unwrap().map(drop)
        })
        .await;
    }

    /// Waits until an injected fault has struck as often as it was told to.
    pub async fn until_struck(&self, fault: FaultId) {
        self.until("the fault has struck", async || self.twin.faults().is_spent(fault).then_some(())).await;
    }

    pub async fn until_world(&self, what: &str, wanted: impl Fn(&World) -> bool) {
        self.until(what, async || wanted(&self.twin.world()).then_some(())).await;
    }

    /// Waits until Graph has delivered what it has to tell, and Lockstep has worked on it.
    pub async fn until_told_and_done(&self) {
        assert!(self.twin.deliveries().settled(PATIENCE).await, "Graph could not deliver");
        self.until_idle().await;
    }

    /// Waits until the account has exactly these roles.
    pub async fn until_roles(&self, account: &AccountId, roles: &[&str]) {
        let wanted: BTreeSet<String> = roles.iter().map(|&role| role.to_owned()).collect();
        self.until_world(&format!("{account} has the roles {roles:?}"), |world| {
            world.role_names_of(account) == wanted
        })
        .await;
    }

    /// Waits until the key of `app_metadata` holds this; null for nothing.
    pub async fn until_app_metadata(&self, account: &AccountId, key: &str, value: Value) {
        self.until_world(&format!("app_metadata.{key} of {account} is {value}"), |world| {
            world.account(account).app_metadata.get(key).cloned().unwrap_or_default() == value
        })
        .await;
    }

    /// Waits until the person has an account.
    pub async fn until_account(&self, person: PersonId) -> AccountId {
        self.until(&format!("{person} has an account"), async || {
            self.twin.world().accounts_of(person).into_iter().next()
        })
        .await
    }

    pub async fn remembered(&self, person: PersonId) -> Option<Remembered> {
        self.store().person(self.subject(person)).await.unwrap()
    }

    /// Waits until something is remembered of the person that a person should know, with these words in it.
    pub async fn until_finding(&self, person: PersonId, words: &str) -> String {
        self.until(&format!("a finding about {person} says {words:?}"), async || {
            let findings = self.remembered(person).await?.findings;
            findings.into_iter().find(|finding| finding.contains(words))
        })
        .await
    }

    /// Waits until a look has found nothing that a person should know.
    pub async fn until_nothing_is_found(&self, person: PersonId) {
        self.until(&format!("nothing is found about {person}"), async || {
            self.remembered(person).await.is_some_and(|known| known.findings.is_empty()).then_some(())
        })
        .await;
    }

    /// Lets the time pass until the person is to be looked at again; says whether that was so many minutes away.
    pub async fn until_due_in_minutes(
        &self,
        person: PersonId,
        minutes: std::ops::RangeInclusive<i64>,
    ) -> bool {
        let now = SystemClock.now();
        let mut known = self.remembered(person).await.unwrap();
        let away = known.look_at.expect("nobody looks again").duration_since(now).as_mins();
        known.look_at = Some(now);
        self.save_remembered(known).await;
        minutes.contains(&away)
    }

    pub async fn save_remembered(&self, person: Remembered) {
        let (audit, owed, links, gone_links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        self.store().save_person(SavePerson { person, audit, owed, links, gone_links }).await.unwrap();
    }

    /// Changes the policy of a running Lockstep and waits until whoever it concerns has been asked for.
    pub async fn change_policy(&self, toml: &str) {
        let followed = async || self.store().note(POLICY_FOLLOWED).await.unwrap();
        let before = followed().await;
        self.policy(toml);
        self.until("the policy is followed", async || (followed().await != before).then_some(())).await;
    }

    /// Waits until no day is remembered on which the person is to be looked at.
    pub async fn until_nobody_waits_for(&self, person: PersonId) {
        self.until(&format!("nothing is waited for about {person}"), async || {
            self.remembered(person).await.is_some_and(|known| known.look_at.is_none()).then_some(())
        })
        .await;
    }

    /// Everything that the vendors were asked since `clear`, logins and Slack excepted.
    pub fn calls(&self) -> Vec<Entry> {
        let all = self.twin.journal().requests().into_iter();
        all.filter(|entry| matches!(entry.vendor, Vendor::Graph | Vendor::Auth0))
            .filter(|entry| !entry.route.contains("/token"))
            .collect()
    }

    /// `lockstep sweep` beside the running server, until it is over.
    pub fn sweep(&mut self, arguments: &[&str]) -> Ran {
        let address = self.admin_url().replace("http://", "");
        self.set_env("LOCKSTEP_ADMIN_LISTEN", &address);
        let patience = PATIENCE.as_secs().to_string();
        self.run(&[&["sweep", "--wait", "--timeout", &patience], arguments].concat())
    }

    /// The built program, with the environment of this stage.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut place = Place::new();
        for (name, value) in &self.env {
            place.set(name, value);
        }
        place.run(arguments)
    }
}

/// Somebody without an account in Auth0.
pub fn unprovisioned(name: &str) -> Hire {
    Hire { auth0_enterprise: false, ..Hire::named(name) }
}

/// A tenant in which our application lacks these scopes.
pub fn without(scopes: &[&str]) -> Setup {
    let mut setup = Setup::unlimited();
    setup.auth0_scopes.retain(|scope| !scopes.contains(&scope.as_str()));
    setup
}
