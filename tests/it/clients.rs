//! The clients of Graph and Auth0 against the twin, over HTTP: every call, every class of failure, and what the budget
//! keeps for containment.
//!
//! Time that decides anything (pauses, token lifetimes) comes from a clock that the tests set; nothing here sleeps to
//! let something happen.

mod auth0;
mod auth0_directory;
mod auth0_extras;
mod auth0_holdings;
mod auth0_keeper;
mod auth0_scim;
mod budget;
mod entra;
mod failures;
mod script;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep::case::{AccountId, CaseId};
use lockstep::clock::{self, Clock, Timestamp};
use lockstep::event::{EventId, Lane, ObjectId, TenantId};
use lockstep::outbound::Deps;
use lockstep::telemetry::Metrics;
use lockstep_twin::{Hire, PersonId, Setup, Twin, Vendor};

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Hands {
    fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap() = at;
    }

    fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = clock::after(*now, by);
    }

    fn after(&self, by: Duration) -> Timestamp {
        clock::after(self.now(), by)
    }
}

/// A twin and the clients that talk to it.
pub struct Vendors {
    pub twin: Twin,
    pub clock: Arc<Hands>,
    pub metrics: Arc<Metrics>,
    pub entra: lockstep::entra::Client,
    pub auth0: lockstep::auth0::Client,
}

/// The twin's tenant without limits that matter.
pub async fn vendors() -> Vendors {
    with(Setup::unlimited(), |_| {}, |_| {}).await
}

pub async fn with_setup(setup: Setup) -> Vendors {
    with(setup, |_| {}, |_| {}).await
}

pub async fn with(
    setup: Setup,
    entra: impl FnOnce(&mut lockstep::entra::Settings),
    auth0: impl FnOnce(&mut lockstep::auth0::Settings),
) -> Vendors {
    let twin = Twin::start(setup).await;
    let clock = Arc::new(Hands(Mutex::new("2026-03-02T08:00:00Z".parse().unwrap())));
    let metrics = Metrics::new();
    let deps = Deps { clock: clock.clone(), metrics: metrics.clone() };
    let (mut graph, mut tenant) = (entra_settings(&twin), auth0_settings(&twin));
    entra(&mut graph);
    auth0(&mut tenant);
    Vendors {
        entra: lockstep::entra::Client::new(&graph, &deps).unwrap(),
        auth0: lockstep::auth0::Client::new(&tenant, &deps).unwrap(),
        twin,
        clock,
        metrics,
    }
}

fn entra_settings(twin: &Twin) -> lockstep::entra::Settings {
    let (setup, urls) = (twin.setup(), twin.urls());
    lockstep::entra::Settings {
        tenant: TenantId(setup.tenant_id.parse().unwrap()),
        credential: lockstep::entra::Credential::Secret {
            client_id: setup.entra_client_id.clone(),
            secret: setup.entra_client_secret.clone().into(),
        },
        login_url: urls.login_url.parse().unwrap(),
        graph_url: urls.graph_url.parse().unwrap(),
        resource_units_per_second: 1000,
    }
}

fn auth0_settings(twin: &Twin) -> lockstep::auth0::Settings {
    let (setup, urls) = (twin.setup(), twin.urls());
    lockstep::auth0::Settings {
        domain: setup.auth0_domain.clone(),
        client_id: setup.auth0_client_id.clone(),
        client_secret: setup.auth0_client_secret.clone().into(),
        url: urls.auth0_url.parse().unwrap(),
        connection: Some(setup.auth0_connection.clone()),
        scim_token: Some(setup.auth0_scim_token.clone().into()),
        requests_per_second: 1000.0,
        burst: 1000,
    }
}

impl Vendors {
    pub fn graph(&self) -> lockstep::entra::Reader {
        self.entra.reader(Lane::Contain)
    }

    pub fn reader(&self) -> lockstep::auth0::Reader {
        self.auth0.reader(Lane::Contain)
    }

    pub fn writer(&self) -> lockstep::auth0::Writer {
        self.auth0.writer(Lane::Contain)
    }

    /// A person with an enterprise account that has signed in once.
    pub fn hire(&self, name: &str) -> (ObjectId, AccountId) {
        let mut world = self.twin.world();
        let person = world.hire(Hire::named(name));
        let account = match world.accounts_of(person).first() {
            Some(account) => account.clone(),
            None => world.add_enterprise_account(person),
        };
        assert!(world.sign_in(&account).is_some());
        (object(person), id(&account))
    }

    /// Requests of any kind that reached Auth0's Management API.
    pub fn management_requests(&self) -> u64 {
        self.twin.journal().total(Vendor::Auth0)
            - self.twin.journal().count(Vendor::Auth0, "POST /oauth/token")
    }

    /// Nothing was sent that the twin does not know, and everything was named.
    pub fn done(self) {
        assert_eq!(self.twin.journal().complaints(), []);
        crate::harness::named::assert_named(&self.twin);
    }
}

pub fn object(person: PersonId) -> ObjectId {
    ObjectId(person.to_string().parse().unwrap())
}

pub fn id(text: &str) -> AccountId {
    AccountId::read(text).unwrap()
}

pub fn stamp(object: ObjectId) -> lockstep::auth0::StampToWrite {
    lockstep::auth0::StampToWrite {
        object,
        case: CaseId::opened_by(EventId::new()),
        reason: "risk high, at risk: leakedCredentials".into(),
        at: "2026-03-02T08:00:00Z".parse().unwrap(),
    }
}
