//! RabbitMQ through lapin: quorum queues, publisher confirms, one active reader per partition, retry queues.
//!
//! ```text
//!              ┌ {p}.events ┐  contain.0…7  ┌ {p}.contain.0 … 7 ┐
//! enqueue ────▶│   direct   │──────────────▶│  {p}.sync.0 … 7   │── one reader each ──▶ shelf ──▶ lease
//!              └────────────┘  sync.0…7     │  {p}.bulk.0 … 7   │                         │
//!                    ▲         bulk.0…7     └───────────────────┘                         │ later
//!                    │ expired                 │ 1000 returns                             │
//!                    │                         ▼                                          ▼
//!              {p}.retry.1s … 256s          {p}.dead                  {p}.retry (headers: lockstep-tier)
//! ```
//!
//! The hash of a subject picks one of eight partitions, and the broker lets one process read a partition at a time: so
//! one subject's events stay in order across machines. Two connections, so that an alarm that blocks publishing does
//! not stop the settling of what is in hand; each belongs to one task that builds session after session
//! (`publisher`, `consumer`). Works on RabbitMQ 3.10 and later; docs/queue.md has the permissions.
//!
//! Beyond the promises of [`super::Queue`]: [`RabbitMq::open`] returns at once whatever the broker does; an enqueue
//! fails at once while there is no session and after 2.5 seconds in any case. After a lost session everything in hand
//! comes again, so one event may be worked on twice at a time. Delayed events are not counted in the depths. A message
//! held longer than the broker's consumer timeout (30 minutes by default) costs the session. Nothing is read before the
//! first lease: a process that only enqueues would get every partition if it came first, and keep it from the workers.

mod address;
mod consumer;
mod dial;
mod message;
mod mover;
mod publisher;
mod shelf;
mod topology;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedClock;
use crate::event::{Event, Lane};
use crate::queue::{Delivery, Depth, Error, Queue, Receipt, Settlement};

use consumer::LaneEnds;
use dial::Dialer;
use message::Message;
use mover::Mover;
use publisher::Publisher;
use shelf::{Leased, Shelf};
use topology::{Names, PARTITIONS};

/// Events of one call that share an answer; more are sent one chunk after the other.
const CHUNK: usize = 256;
/// The smallest prefetch of a partition: one message in hand and others that may pass it.
const PREFETCH_MIN: usize = 4;
/// The broker's own ceiling (RabbitMQ, Quorum Queues, Consumer Prefetch).
const PREFETCH_MAX: usize = 2000;
const DEPTHS_WAIT_MAX: Duration = Duration::from_secs(5);
/// What an orderly end may take before the tasks are left to end by themselves.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How to reach the broker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One or more `amqp(s)://` URLs with credentials, tried in turn.
    pub urls: Vec<SecretString>,
    /// Prefix of every queue and exchange name; `lockstep` unless several installations share a virtual host.
    pub prefix: String,
}

/// The queue on RabbitMQ. Dropping it ends its tasks and its connections soon after.
pub struct RabbitMq {
    names: Names,
    publisher: Publisher,
    lanes: BTreeMap<Lane, LaneEnds>,
    current: consumer::Current,
    /// Whether anybody has ever asked for a delivery.
    leasing: watch::Sender<bool>,
    stop: Stop,
}

/// Two steps, so that what is published while closing still goes out.
struct Stop {
    consuming: CancellationToken,
    publishing: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.consuming.cancel();
        self.publishing.cancel();
    }
}

impl RabbitMq {
    /// Starts the tasks that connect, on the current tokio runtime, and returns without waiting for them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the settings cannot be used.
    pub fn open(settings: &Settings, in_hand_max: usize, clock: SharedClock) -> Result<RabbitMq, Error> {
        let addresses = address::read_all(&settings.urls).map_err(|why| Error::Unavailable(why.into()))?;
        let names = Names::new(&settings.prefix).map_err(|why| Error::Unavailable(why.into()))?;
        let stop = Stop {
            consuming: CancellationToken::new(),
            publishing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };

        let dialer = Dialer::new("lockstep publishes", addresses.clone());
        let (publisher, task) = Publisher::new(dialer, names.clone());
        stop.tasks.spawn(task.run(stop.publishing.clone()));

        let prefetch = (in_hand_max / PARTITIONS).clamp(PREFETCH_MIN, PREFETCH_MAX);
        let mut lanes = BTreeMap::new();
        for lane in Lane::ALL {
            let shelf = Arc::new(Shelf::new(lane, in_hand_max, prefetch / 2));
            let (mover, inbox) = Mover::new();
            let task = mover::Task {
                shelf: shelf.clone(),
                publisher: publisher.clone(),
                names: names.clone(),
                clock: clock.clone(),
            };
            let stopped = stop.consuming.clone();
            stop.tasks.spawn(async move { task.run(inbox, stopped).await });
            lanes.insert(lane, LaneEnds { shelf, mover });
        }

        let current = Arc::new(Mutex::new(None));
        let (leasing, asked) = watch::channel(false);
        let task = consumer::Task {
            dialer: Dialer::new("lockstep consumes", addresses),
            names: names.clone(),
            lanes: lanes.clone(),
            prefetch: u16::try_from(prefetch).expect("clamped to 2000"),
            clock,
            current: current.clone(),
            leasing: asked,
            serial: 0,
        };
        stop.tasks.spawn(task.run(stop.consuming.clone()));
        stop.tasks.close();
        Ok(RabbitMq { names, publisher, lanes, current, leasing, stop })
    }

    async fn count(&self) -> Result<BTreeMap<Lane, Depth>, Error> {
        let gone = |error: lapin::Error| Error::Unavailable(error.to_string());
        let connection = self.current.lock().expect("nothing panics while it holds the connection").clone();
        let connection = connection.ok_or_else(|| Error::Unavailable("not connected".into()))?;
        let channel = connection.create_channel().await.map_err(gone)?;
        let mut depths = BTreeMap::new();
        for (lane, ends) in &self.lanes {
            let ready = topology::ready_count(&channel, &self.names, *lane).await.map_err(gone)?;
            let here = ends.shelf.counts();
            depths.insert(*lane, Depth { events: ready + here.events, oldest: here.oldest });
        }
        channel.close(200, "counted".into()).await.map_err(gone)?;
        Ok(depths)
    }
}

#[async_trait]
impl Queue for RabbitMq {
    async fn enqueue(&self, events: &[Event]) -> Result<(), Error> {
        for chunk in events.chunks(CHUNK) {
            let messages: Result<Vec<Message>, _> =
                chunk.iter().map(|event| Message::new(&self.names, event)).collect();
            let messages = messages.map_err(|error| Error::Refused(error.to_string()))?;
            self.publisher.publish(messages).await?;
        }
        Ok(())
    }

    async fn lease(&self, lane: Lane) -> Result<Delivery, Error> {
        if !*self.leasing.borrow() {
            self.leasing.send_replace(true);
        }
        self.lanes[&lane].shelf.lease().await
    }

    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let ends = &self.lanes[&receipt.lane];
        let Leased::Here(mut item) = ends.shelf.end_lease(&receipt)? else { return Ok(()) };
        match settlement {
            Settlement::Done => mover::acknowledge(&item.acker).await,
            Settlement::Return => ends.shelf.put(*item),
            Settlement::Later { at, attempt } => {
                item.attempt = attempt;
                item.due = Some(at);
                ends.mover.delay(*item).await?;
            }
        }
        Ok(())
    }

    async fn depths(&self) -> Result<BTreeMap<Lane, Depth>, Error> {
        tokio::time::timeout(DEPTHS_WAIT_MAX, self.count())
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable("the broker does not count".into())))
    }

    async fn ready(&self) -> Result<(), Error> {
        self.publisher.ready().await
    }

    async fn close(&self) {
        self.lanes.values().for_each(|ends| ends.shelf.close());
        self.stop.consuming.cancel();
        self.stop.publishing.cancel();
        if tokio::time::timeout(CLOSE_WAIT_MAX, self.stop.tasks.wait()).await.is_err() {
            tracing::debug!("the broker is slow to say goodbye; leaving without waiting");
        }
    }
}
