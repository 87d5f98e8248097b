//! A running twin: the handle that tests, the demo and the program hold.

use crate::faults::{Faults, Vendor};
use crate::journal::Journal;
use crate::send::{Deliveries, Sender};
use crate::setup::{Login, Ports, Setup, Urls, environment, environment_to_tell, environment_with};
use crate::wire::State;
use crate::wire::server::{Port, serve};
use crate::world::{World, WorldGuard};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A twin that is listening. Clones are handles to the same one; when the last is dropped it stops.
#[derive(Clone)]
pub struct Twin {
    running: Arc<Running>,
}

struct Running {
    state: Arc<State>,
    urls: Urls,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Twin {
    /// Listens on loopback, on free ports unless the setup fixes them. Panics if a fixed port is taken.
    pub async fn start(setup: Setup) -> Twin {
        let ports = setup.ports.unwrap_or(Ports { entra: 0, auth0: 0, slack: 0, smtp: 0, ticket: 0 });
        let state = Arc::new(State::new(setup));
        let mut tasks = Vec::new();
        let mut open = |number: u16, vendors: &'static [Vendor]| {
            let port = Port::reserve(number).unwrap_or_else(|e| panic!("port {number}: {e}"));
            let url = port.url();
            let listener = port.listen().unwrap_or_else(|e| panic!("port {number}: {e}"));
            tasks.push(tokio::spawn(serve(state.clone(), port, vendors, listener)));
            url
        };
        let entra = open(ports.entra, &[Vendor::Login, Vendor::Graph]);
        let auth0_url = open(ports.auth0, &[Vendor::Auth0]);
        let slack = open(ports.slack, &[Vendor::Slack]);
        let smtp = open(ports.smtp, &[Vendor::Mail]);
        let ticket = open(ports.ticket, &[Vendor::Ticket]);
        tasks.push(tokio::spawn(crate::send::deliverer::run(state.clone())));
        let urls = Urls {
            login_url: entra.clone(),
            imds_url: entra.clone(),
            identity_endpoint: format!("{entra}/msi/token"),
            graph_url: entra,
            auth0_url,
            slack_api_url: format!("{slack}/api/"),
            slack_webhook_url: format!("{slack}/services/T0TWIN00001/B0TWIN00001/twinwebhooksecret"),
            smtp_url: state.setup.mail_door.url(&smtp, &state.setup.mail_login),
            ticket_url: format!("{ticket}/hooks/lockstep?key={}", crate::wire::ticket::KEY),
        };
        Twin { running: Arc::new(Running { state, urls, tasks }) }
    }

    /// The world, for verbs and assertions. Hold it for single statements, never across an `await`.
    pub fn world(&self) -> WorldGuard<'_> {
        self.running.state.world()
    }

    /// What was asked of the twin.
    pub fn journal(&self) -> &Journal {
        &self.running.state.journal
    }

    /// How the world misbehaves.
    pub fn faults(&self) -> &Faults {
        &self.running.state.faults
    }

    /// What the twin was started with.
    pub fn setup(&self) -> &Setup {
        &self.running.state.setup
    }

    /// Where the twin listens.
    pub fn urls(&self) -> Urls {
        self.running.urls.clone()
    }

    /// Every environment variable that Lockstep needs to work against this twin.
    pub fn env(&self) -> BTreeMap<String, String> {
        environment(self.setup(), &self.running.urls)
    }

    /// What sets up mail and tickets besides: those of the example are told there too.
    pub fn env_to_tell(&self) -> BTreeMap<String, String> {
        environment_to_tell(self.setup(), &self.running.urls)
    }

    /// The same with another credential; the files that it names are the caller's to write.
    pub fn env_with(&self, login: Login<'_>) -> BTreeMap<String, String> {
        environment_with(self.setup(), &self.running.urls, login)
    }

    /// The certificate of the mail server, as one PEM text: trusted by nobody who is not given it.
    pub fn mail_certificate_pem(&self) -> &'static str {
        crate::wire::smtp::tls::certificate_pem()
    }

    /// Key and certificate of the client that [`Setup::default`] registers, as one PEM text.
    pub fn entra_certificate_pem(&self) -> &'static str {
        crate::certificate::checked_in()
    }

    /// The token that a platform writes into its federated token file for the first credential of the setup, valid for an
    /// hour like a kubelet's. Panics if the setup has none.
    pub fn federated_token(&self) -> String {
        let credentials = &self.setup().federated_credentials;
        let credential = credentials.first().expect("a setup with a federated credential");
        let now = jiff::Timestamp::now().as_second();
        self.entra_token(&json!({
            "iss": credential.issuer,
            "sub": credential.subject,
            "aud": [credential.audience],
            "iat": now,
            "nbf": now,
            "exp": now + 3_600,
        }))
    }

    /// A token signed by Entra's key, whose public half is at `/{tenant}/discovery/v2.0/keys` of the login host.
    pub fn entra_token(&self, claims: &Value) -> String {
        self.running.state.signing().sign(claims)
    }

    /// What Graph tells its subscribers by itself, to be watched and steered.
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries::new(self, &self.running.state)
    }

    /// The vendors' outgoing side, aimed at a Lockstep that listens at `lockstep_base_url`.
    pub fn sender(&self, lockstep_base_url: impl Into<String>) -> Sender {
        Sender::new(self.clone(), lockstep_base_url.into())
    }

    /// Every route that the twin plays: vendor, `METHOD template`, known query parameters.
    pub fn routes() -> impl Iterator<Item = (Vendor, &'static str, &'static [&'static str])> {
        Vendor::ALL.into_iter().flat_map(|vendor| {
            crate::wire::routes(vendor).iter().map(move |route| (vendor, route.label, route.query))
        })
    }

    /// Waits until the world is as `wanted`, and says whether it came to that before the deadline. Looks again after
    /// every request and, for what happens by the clock, every few milliseconds.
    pub async fn wait_until(&self, deadline: Duration, wanted: impl Fn(&World) -> bool) -> bool {
        let end = tokio::time::Instant::now() + deadline;
        loop {
            if wanted(&self.world()) {
                return true;
            }
            if tokio::time::Instant::now() >= end {
                return false;
            }
            // Whichever comes first; both only mean "look again".
            let _ = tokio::time::timeout(Duration::from_millis(5), self.journal().next()).await;
        }
    }
}
