//! A running door: both listeners, the embedded queue and SQLite in a directory of their own, a clock that is set by
//! hand, and a gate in front of the queue that can be shut.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lockstep::clock::{Clock, SharedClock, SignedDuration, Timestamp};
use lockstep::event::{About, Event, EventKind, Lane, TenantId};
use lockstep::ingest::{self, ReplayGuard};
use lockstep::queue::embedded::Embedded;
use lockstep::queue::{Body, Delivery, Depth, Error, Queue, Receipt, Settlement};
use lockstep::server::{self, AdminDeps, AdminToken, Running};
use lockstep::store::sqlite::Sqlite;
use lockstep::telemetry::Metrics;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::signing::{OLD_SECRET, SECRET, sign};

pub const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
pub const USER: &str = "87d349ed-44d7-43e1-9a83-5f2406dee5bd";
pub const GROUP: &str = "0bc7d487-fd6f-41a0-8362-71ec81074f11";
pub const CLIENT_STATE: &str = "9f6c1e0a-secret-client-state";
pub const OTHER_CLIENT_STATE: &str = "<secretClientState>";
pub const MONITOR_SECRET: &str = "monitor+secret/with=signs";
/// Old and new, while it is being rotated.
pub const OTHER_GRID_SECRET: &str = "grid-secret-of-last-year";
pub const GRID_SECRET: &str = "grid+secret/with=signs";
pub const NOW: &str = "2026-07-18T16:00:00Z";

#[derive(Debug)]
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// How the gate in front of the queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Enqueues wait until it opens.
    Shut,
    /// Enqueues fail as if the broker were gone.
    Broken,
    /// Enqueues panic, as code with a mistake would.
    Mined,
}

/// The real queue behind a gate.
pub struct Gated {
    queue: Embedded,
    gate: watch::Sender<Gate>,
    /// Enqueues that have arrived at the gate.
    arrived: watch::Sender<usize>,
}

#[async_trait]
impl Queue for Gated {
    async fn enqueue(&self, events: &[Event]) -> Result<(), Error> {
        self.arrived.send_modify(|arrived| *arrived += 1);
        let mut gate = self.gate.subscribe();
        let stands = *gate.wait_for(|gate| *gate != Gate::Shut).await.unwrap();
        match stands {
            Gate::Broken => Err(Error::Unavailable("amqp://user:hunter2@broker is gone".into())),
            Gate::Mined => panic!("stepped on a mine"),
            Gate::Open | Gate::Shut => self.queue.enqueue(events).await,
        }
    }

    async fn lease(&self, lane: Lane) -> Result<Delivery, Error> {
        self.queue.lease(lane).await
    }

    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        self.queue.settle(receipt, settlement).await
    }

    async fn depths(&self) -> Result<BTreeMap<Lane, Depth>, Error> {
        self.queue.depths().await
    }

    async fn ready(&self) -> Result<(), Error> {
        match *self.gate.borrow() {
            Gate::Open => {}
            _ => return Err(Error::Unavailable("the gate is not open".into())),
        }
        self.queue.ready().await
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

pub struct World {
    pub clock: Arc<SetClock>,
    pub queue: Arc<Gated>,
    pub store: Arc<Sqlite>,
    pub metrics: Arc<Metrics>,
    pub replays: Arc<ReplayGuard>,
    pub settings: ingest::Settings,
    pub running: Running,
    pub shutdown: CancellationToken,
    pub token: String,
    pub http: reqwest::Client,
    _dir: Arc<tempfile::TempDir>,
}

pub fn settings() -> ingest::Settings {
    ingest::Settings {
        tenant: TenantId(TENANT.parse().unwrap()),
        graph_client_states: vec![CLIENT_STATE.into(), OTHER_CLIENT_STATE.into()],
        risk_secrets: vec![SecretString::from(OLD_SECRET), SecretString::from(SECRET)],
        azure_monitor_secrets: vec![MONITOR_SECRET.into()],
        azure_monitor_jwt: None,
        event_grid_secrets: vec![OTHER_GRID_SECRET.into(), GRID_SECRET.into()],
        requests_max: 64,
    }
}

impl World {
    pub async fn start() -> World {
        World::with(settings()).await
    }

    pub async fn with(settings: ingest::Settings) -> World {
        World::at(NOW, settings, Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// A door whose files are in `dir`, which may be those of an earlier one.
    pub async fn at(now: &str, settings: ingest::Settings, dir: Arc<tempfile::TempDir>) -> World {
        let file = |name: &str| -> PathBuf { dir.path().join(name) };
        let clock = Arc::new(SetClock(Mutex::new(now.parse().unwrap())));
        let shared: SharedClock = clock.clone();
        let limits = lockstep::queue::embedded::Settings { file: file("queue.db"), bytes_max: 64 << 20 };
        let queue = Arc::new(Gated {
            queue: Embedded::open(&limits, 256, shared.clone()).unwrap(),
            gate: watch::Sender::new(Gate::Open),
            arrived: watch::Sender::new(0),
        });
        let at = lockstep::store::sqlite::Settings { file: file("lockstep.db") };
        let store = Arc::new(Sqlite::open(&at).unwrap());
        let metrics = Metrics::new();
        let replays = ReplayGuard::load(store.clone(), shared.clone()).await.unwrap();
        let deps = ingest::Deps {
            queue: queue.clone(),
            replays: replays.clone(),
            clock: shared.clone(),
            metrics: metrics.clone(),
            connections_max: lockstep::server::connections_max(),
        };
        let public = ingest::router(&settings, deps);
        let at = server::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            admin_token_file: file("admin-token"),
        };
        let admin = server::admin_router(AdminDeps {
            queue: queue.clone(),
            store: store.clone(),
            clock: shared,
            metrics: metrics.clone(),
            tenant: settings.tenant,
            token: AdminToken::load_or_create(&at.admin_token_file).unwrap(),
            address: at.admin_listen.ip(),
            unwritten: None,
        });
        let shutdown = CancellationToken::new();
        let running = server::serve(&at, public, admin, shutdown.clone()).await.unwrap();
        let token = std::fs::read_to_string(&at.admin_token_file).unwrap().trim().to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        World { clock, queue, store, metrics, replays, settings, running, shutdown, token, http, _dir: dir }
    }

    pub fn gate(&self, gate: Gate) {
        self.queue.gate.send_replace(gate);
    }

    /// Waits until `count` enqueues have reached the queue since the start.
    pub async fn enqueues(&self, count: usize) {
        let mut arrived = self.queue.arrived.subscribe();
        let wait = arrived.wait_for(|arrived| *arrived >= count);
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("no enqueue came").unwrap();
    }

    /// Everything that was stored, oldest first in each lane; takes it away.
    pub async fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (lane, depth) in self.queue.depths().await.unwrap() {
            for _ in 0..depth.events {
                let delivery = self.queue.lease(lane).await.unwrap();
                match delivery.body {
                    Body::Event(event) => events.push(event),
                    Body::Unreadable { reason, .. } => panic!("unreadable: {reason}"),
                }
                self.queue.settle(delivery.receipt, Settlement::Done).await.unwrap();
            }
        }
        events
    }

    /// What was stored, as one line each.
    pub async fn told(&self) -> Vec<String> {
        self.events().await.iter().map(tell).collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.public_addr)
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.admin_addr)
    }

    /// An unsigned JSON request.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    pub async fn graph(&self, body: impl Into<reqwest::Body>) -> u16 {
        self.post("/webhooks/graph", body).await.status().as_u16()
    }

    /// A correctly signed request to the risk route, not sent yet.
    pub fn signed(&self, id: &str, body: &[u8]) -> reqwest::RequestBuilder {
        let timestamp = self.clock.now().as_second().to_string();
        self.http
            .post(self.url("/webhooks/risk"))
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-signature", sign(SECRET, id, &timestamp, body))
            .header("webhook-timestamp", timestamp)
            .body(body.to_vec())
    }

    /// A correctly signed alert with an id that no other has.
    pub async fn alert(&self, body: &str) -> u16 {
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        self.signed(&id, body.as_bytes()).send().await.unwrap().status().as_u16()
    }

    /// How often `outcome` was counted for a request or item of `source` that became no event.
    pub fn counted(&self, source: &str, outcome: &str) -> u64 {
        self.metric(&format!(
            "lockstep_events_total{{source=\"{source}\",kind=\"none\",outcome=\"{outcome}\"}}"
        ))
    }

    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// One event as one line: what about, why, and when the source says that it happened.
pub fn tell(event: &Event) -> String {
    let about = match event.about {
        About::Person(subject) => format!("person {}", subject.object),
        About::Group { group, .. } => format!("group {group}"),
        About::Tenant(tenant) => format!("tenant {tenant}"),
    };
    let detail = match &event.kind {
        EventKind::RiskReported(risk) => {
            let detection = risk.detection.as_deref().unwrap_or("-");
            assert_eq!(risk.detected_at, event.signal_at);
            format!(" {}, {}, {detection}", risk.level.word(), risk.state.word())
        }
        EventKind::GroupUpdated { members } => {
            members.iter().map(|member| format!(" {member}")).collect::<String>()
        }
        EventKind::SubscriptionLifecycle { event } => format!(" {event:?}"),
        EventKind::ContainRequested { by, reason } => format!(" by {by}: {reason}"),
        EventKind::ReleaseRequested { by, case, reason } => format!(" {case} by {by}: {reason}"),
        _ => String::new(),
    };
    let at = event.signal_at.map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{} {about}: {}{detail}{at}", event.source.word(), event.kind.word())
}
