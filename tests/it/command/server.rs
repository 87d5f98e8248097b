//! A server's admin listener inside the test, over a queue and a store that the test sees into.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockstep::clock::{Clock, SystemClock};
use lockstep::event::{Event, Lane};
use lockstep::queue::{Body, Delivery, Queue, Settlement};
use lockstep::server::{self, AdminDeps, AdminToken};
use lockstep::store::Store;
use lockstep::store::sqlite::Sqlite;
use tokio_util::sync::CancellationToken;

use super::program::{Place, Ran};
use super::samples::{TENANT, store};

const DEADLINE: Duration = Duration::from_secs(20);

/// The admin listener over a queue and a store in the place's data directory.
pub struct Server {
    pub place: Arc<Place>,
    pub queue: Arc<dyn Queue>,
    pub store: Arc<Sqlite>,
    shutdown: CancellationToken,
}

impl Server {
    pub async fn start() -> Server {
        let mut place = Place::new();
        let data = place.path("data");
        let store = Arc::new(store(place.dir.path()));
        let queue = queue(&data);
        let shutdown = CancellationToken::new();
        let settings = server::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            admin_token_file: data.join("admin.token"),
        };
        let deps = AdminDeps {
            queue: queue.clone(),
            store: store.clone(),
            clock: Arc::new(SystemClock),
            metrics: lockstep::telemetry::Metrics::new(),
            tenant: TENANT,
            token: AdminToken::load_or_create(&settings.admin_token_file).unwrap(),
            address: settings.admin_listen.ip(),
            unwritten: None,
        };
        let admin = server::admin_router(deps);
        let running = server::serve(&settings, axum::Router::new(), admin, shutdown.clone()).await.unwrap();
        listen_at(&mut place, running.admin_addr);
        Server { place: Arc::new(place), queue, store, shutdown }
    }

    /// Runs the program beside the server.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.spawn(arguments).await.unwrap()
    }

    pub fn spawn(&self, arguments: &[&str]) -> tokio::task::JoinHandle<Ran> {
        let (place, arguments) =
            (self.place.clone(), arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        tokio::task::spawn_blocking(move || {
            place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Waits until a whole sweep is wished for, and does as if everybody had been listed.
    pub async fn list_everybody(&self) {
        let wished = tokio::time::timeout(DEADLINE, async {
            while self.store.note("wish.whole_sweep").await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        wished.await.expect("nothing was wished for");
        let started = SystemClock.now().to_string();
        let notes = [("wish.sweep", None), ("wish.whole_sweep", None), ("sweep.whole_at", Some(started))];
        let notes = notes.map(|(name, text)| (name.to_owned(), text));
        self.store.set_notes(notes.into()).await.unwrap();
    }

    /// The next event that was asked for.
    pub async fn next(&self, lane: Lane) -> Event {
        let leased = tokio::time::timeout(DEADLINE, self.queue.lease(lane)).await;
        let Delivery { receipt, body, .. } = leased.expect("nothing was asked for").unwrap();
        self.queue.settle(receipt, Settlement::Done).await.unwrap();
        match body {
            Body::Event(event) => event,
            Body::Unreadable { reason, .. } => panic!("{reason}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub fn queue(data: &Path) -> Arc<dyn Queue> {
    let settings = lockstep::queue::embedded::Settings { file: data.join("queue.db"), bytes_max: 1 << 26 };
    let opened = lockstep::queue::embedded::Embedded::open(&settings, 8, Arc::new(SystemClock));
    Arc::new(opened.unwrap())
}

pub fn listen_at(place: &mut Place, address: SocketAddr) {
    place.set("LOCKSTEP_ADMIN_LISTEN", &address.to_string());
    place.set("USER", "eve");
}
