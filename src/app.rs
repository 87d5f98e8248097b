//! The composition root: the only file that names concrete stores, queues, clients and notifiers together.
//!
//! [`start`] puts one process together and says where it listens; [`run`] does so until a signal says to stop. What a
//! role does not need is not built: without the worker there is no Auth0 client in the process.

mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Role, Work};
use crate::notify;
use crate::outbound;
use crate::policy::notify::Channel;
use crate::policy::{Mode, Policy};
use crate::queue::{self, Backend, Queue};
use crate::server::{self, AdminDeps, AdminToken};
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use crate::worker::scheduler::{Schedule, SubscriptionSettings};
use crate::{auth0, entra, ingest, worker};

/// How long everything together may take to stop; the parts have shorter limits of their own.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A process that has been put together and runs.
#[derive(Debug)]
pub struct Running {
    pub public_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    queue: Shared<dyn Queue>,
}

/// An `Arc` whose inside is not printable.
struct Shared<T: ?Sized>(Arc<T>);

impl<T: ?Sized> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// What every part shares.
struct Common {
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    unwritten: Arc<worker::Unwritten>,
    shutdown: CancellationToken,
}

/// Runs until SIGTERM or SIGINT, then stops in order.
pub async fn run(config: Config) -> anyhow::Result<()> {
    // Listened for before anything runs: from the first line on, a signal ends the process in order.
    let stop = stop_signal()?;
    let running = start(config).await?;
    tracing::info!(public = %running.public_addr, admin = %running.admin_addr, "ready");
    stop.await;
    tracing::info!("stopping: finishing what is in hand");
    running.stop().await;
    Ok(())
}

/// Puts everything together and returns when both listeners listen.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    outbound::install_crypto();
    std::fs::create_dir_all(&config.local.data_dir)
        .with_context(|| format!("the data directory {} cannot be made", config.local.data_dir.display()))?;
    let clock: SharedClock = Arc::new(SystemClock);
    let common = Common {
        queue: open_queue(&config.queue, &clock)?,
        store: open_store(&config.local.store)?,
        metrics: Metrics::new(),
        unwritten: Arc::default(),
        shutdown: CancellationToken::new(),
        clock,
    };
    let mut tasks = JoinSet::new();
    let public = match &config.ingest {
        Some(settings) => public_router(settings, &common, &mut tasks).await?,
        None => axum::Router::new(),
    };
    let scheduler = match &config.work {
        Some(work) => start_worker(work, &config, &common, &mut tasks)?,
        None => None,
    };
    let server =
        server::serve(&config.local.server, public, admin(&config, &common)?, common.shutdown.clone())
            .await?;
    let (public_addr, admin_addr, join) = (server.public_addr, server.admin_addr, server.join);
    tasks.spawn(async move {
        if let Err(error) = join.await {
            tracing::error!("the listeners ended badly: {error}");
        }
    });
    // Not before the listeners: a new subscription is validated by a request to them.
    if let Some(scheduler) = scheduler {
        tasks.spawn(scheduler);
    }
    let queue = Shared(common.queue);
    Ok(Running { public_addr, admin_addr, shutdown: common.shutdown, tasks, queue })
}

impl Running {
    /// Stops taking requests and work, finishes what is in hand, gives the rest back to the queue.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            tracing::warn!("not everything stopped within {} s; the rest is cut off", STOP_WITHIN.as_secs());
            self.tasks.shutdown().await;
        }
        self.queue.0.close().await;
    }
}

async fn public_router(
    settings: &ingest::Settings,
    common: &Common,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<axum::Router> {
    let replays = ingest::ReplayGuard::load(common.store.clone(), common.clock.clone())
        .await
        .context("the delivery ids of the last run cannot be read")?;
    let flush = ingest::spawn_flush(replays.clone(), common.shutdown.clone());
    tasks.spawn(async move {
        if let Err(error) = flush.await {
            tracing::error!("writing delivery ids ended badly: {error}");
        }
    });
    let deps = ingest::Deps {
        queue: common.queue.clone(),
        replays,
        clock: common.clock.clone(),
        metrics: common.metrics.clone(),
        connections_max: server::connections_max(),
    };
    Ok(ingest::router(settings, deps))
}

fn admin(config: &Config, common: &Common) -> anyhow::Result<axum::Router> {
    let settings = &config.local.server;
    Ok(server::admin_router(AdminDeps {
        queue: common.queue.clone(),
        store: common.store.clone(),
        clock: common.clock.clone(),
        metrics: common.metrics.clone(),
        tenant: config.tenant,
        token: AdminToken::load_or_create(&settings.admin_token_file)?,
        address: settings.admin_listen.ip(),
        unwritten: config.roles.has(Role::Worker).then(|| common.unwritten.clone()),
    }))
}

fn start_worker(
    work: &Work,
    config: &Config,
    common: &Common,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Option<BoxFuture<'static, ()>>> {
    let out = outbound::Deps { clock: common.clock.clone(), metrics: common.metrics.clone() };
    let notifiers = notify::connect(&work.notify, &out)?;
    let channels: Vec<Channel> = notifiers.iter().map(|notifier| notifier.channel()).collect();
    let owed = worker::notices::Poke::default();
    let policy = Policy { mode: work.worker.mode, ..config.policy.clone() };
    let (publish, policy) = watch::channel(Arc::new(policy));
    let reload = reload::Reload {
        source: config.policy_source.clone(),
        mode: work.worker.mode,
        publish,
        metrics: common.metrics.clone(),
    };
    tasks.spawn(reload.run(common.shutdown.clone()));
    if let Some(file) = work.entra.credential.certificate() {
        tasks.spawn(entra::expiry::watch(file.to_owned(), out.clone(), common.shutdown.clone()));
    }
    let deps = worker::Deps {
        queue: common.queue.clone(),
        store: common.store.clone(),
        entra: entra::Client::new(&work.entra, &out)?,
        auth0: auth0::Client::new(&work.auth0, &out)?,
        policy: policy.clone(),
        clock: common.clock.clone(),
        metrics: common.metrics.clone(),
        owed: owed.clone(),
        channels: channels.clone(),
        unwritten: common.unwritten.clone(),
    };
    let schedule = schedule(work, config, &out)?;
    let scheduler =
        worker::scheduler::run(deps.clone(), work.worker.clone(), schedule, common.shutdown.clone());
    let scheduler = config.roles.has(Role::Scheduler).then(|| scheduler.boxed());
    if !config.roles.has(Role::Worker) {
        return Ok(scheduler);
    }
    tasks.spawn(worker::run(deps, work.worker.clone(), common.shutdown.clone()));
    for notifier in notifiers {
        let others = channels.iter().copied().filter(|channel| *channel != notifier.channel());
        let others = others.collect();
        let deps = worker::notices::Deps {
            store: common.store.clone(),
            notifier,
            clock: common.clock.clone(),
            poke: owed.clone(),
            policy: policy.clone(),
            others,
        };
        tasks.spawn(worker::notices::run(deps, common.shutdown.clone()));
    }
    Ok(scheduler)
}

/// Subscriptions are written to Entra: not in observe mode, and not without an address that Graph can reach.
fn schedule(work: &Work, config: &Config, out: &outbound::Deps) -> anyhow::Result<Schedule> {
    let wanted = match (&config.public_url, &config.client_state) {
        (Some(url), Some(state)) if work.worker.mode == Mode::Enforce => Some((url, state.clone())),
        _ => None,
    };
    let subscriptions = match wanted {
        None => None,
        Some((url, client_state)) => Some(SubscriptionSettings {
            client: entra::Client::new(&work.entra, out)?.subscriptions()?,
            notification_url: outbound::address(url, "/webhooks/graph"),
            client_state,
        }),
    };
    Ok(Schedule { tenant: config.tenant, subscriptions })
}

fn open_queue(settings: &queue::Settings, clock: &SharedClock) -> Result<Arc<dyn Queue>, queue::Error> {
    Ok(match &settings.backend {
        Backend::Embedded(embedded) => {
            Arc::new(queue::embedded::Embedded::open(embedded, settings.in_hand_max, clock.clone())?)
        }
        Backend::RabbitMq(broker) => {
            Arc::new(queue::rabbitmq::RabbitMq::open(broker, settings.in_hand_max, clock.clone())?)
        }
    })
}

fn open_store(settings: &store::Settings) -> Result<Arc<dyn Store>, store::Error> {
    Ok(match settings {
        store::Settings::Sqlite(sqlite) => Arc::new(store::sqlite::Sqlite::open(sqlite)?),
    })
}

/// From the call on, SIGTERM and SIGINT do not kill; what is returned ends when one of them came.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
