//! The consuming side: one task, one connection, and on it, once somebody leases, one channel and one consumer per queue.
//!
//! The broker lets only one process read a partition at a time. What comes goes to the lane's [`Shelf`]; what comes
//! before its time, to the lane's [`Mover`]. A queue in trouble is subscribed to again and again by itself and leaves
//! the others alone, so that containment never waits for a broken queue of the sync lane; the session ends with its
//! connection. Channels are left by closing them, never by cancelling the consumer: after a cancel the next process
//! would get newer messages before the ones that we still hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, SelectAll, Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer, ErrorKind, Event};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::dial::{self, Dialer};
use super::message::{Item, Origin, Session};
use super::mover::Mover;
use super::shelf::Shelf;
use super::topology::{self, Ensure, Names, PARTITIONS};
use crate::clock::SharedClock;
use crate::event::Lane;
use crate::retry::BackOff;

/// Messages that the broker gave up on are rare; a few at a time are enough.
const DEAD_PREFETCH: u16 = 4;
/// A queue without a leader answers nothing, while a fresh channel is answered as soon as it has one.
const SUBSCRIBE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Each unanswered attempt costs a channel of the connection until it ends.
const SUBSCRIBE_AGAIN: BackOff = BackOff { first: Duration::from_millis(500), most: Duration::from_secs(60) };

/// What one lane's messages go to.
#[derive(Clone)]
pub(super) struct LaneEnds {
    pub(super) shelf: Arc<Shelf>,
    pub(super) mover: Mover,
}

/// The connection of the running session, for whoever wants to count.
pub(super) type Current = Arc<Mutex<Option<Arc<Connection>>>>;

pub(super) struct Task {
    pub(super) dialer: Dialer,
    pub(super) names: Names,
    pub(super) lanes: BTreeMap<Lane, LaneEnds>,
    /// Unacknowledged messages per partition.
    pub(super) prefetch: u16,
    pub(super) clock: SharedClock,
    pub(super) current: Current,
    /// Whether anybody leases: a partition that is read is kept from every other process.
    pub(super) leasing: watch::Receiver<bool>,
    /// Counts subscriptions and arrivals.
    pub(super) serial: u64,
}

/// One queue to read.
#[derive(Clone)]
struct Source {
    queue: ShortString,
    /// `None`: each message says by its routing key which lane it was on.
    lane: Option<Lane>,
    origin: Origin,
    prefetch: u16,
}

/// What happens on a queue.
enum News {
    Subscribed,
    Came(Box<Delivery>),
    Lost {
        reason: String,
        /// It was being read until now.
        first: bool,
    },
    /// The connection is of no more use.
    Over(String),
}

enum Ended {
    Stopped,
    Lost(String),
}

impl Task {
    /// Session after session until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut told = false;
        loop {
            let failed = |reason| tracing::debug!(reason, "the broker hands out no events");
            let connection = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                connection = self.dialer.connect(failed) => Arc::new(connection),
            };
            let ended = self.session(&connection, &mut told, &stop).await;
            *self.current.lock().expect("nothing panics while it holds the connection") = None;
            self.lanes.values().for_each(|lane| lane.shelf.forget_all());
            dial::hang_up(&connection).await;
            match ended {
                Ended::Stopped => return,
                Ended::Lost(reason) if told => {
                    tracing::debug!(reason, "the broker still hands out no events")
                }
                Ended::Lost(reason) => {
                    tracing::warn!(reason, "the broker hands out no events; trying again until it does");
                    told = true;
                }
            }
            self.dialer.lost();
        }
    }

    async fn session(
        &mut self,
        connection: &Arc<Connection>,
        told: &mut bool,
        stop: &CancellationToken,
    ) -> Ended {
        // One listener, made before anything happens: events are kept for nobody, and two would share them.
        let mut events = Box::pin(connection.events_listener());
        let ensured = tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            ensured = topology::ensure(connection, &self.names, Ensure::Look) => ensured,
        };
        if let Err(reason) = ensured {
            return Ended::Lost(reason);
        }
        *self.current.lock().expect("nothing panics while it holds the connection") =
            Some(connection.clone());
        self.dialer.served();
        if std::mem::take(told) {
            tracing::info!("the broker hands out events again");
        }
        let mut news = SelectAll::new();
        let ended = self.listen(connection, &mut news, &mut events, stop).await;
        // Before the readers are dropped, which would cancel their consumers one by one.
        dial::hang_up(connection).await;
        ended
    }

    async fn listen(
        &mut self,
        connection: &Arc<Connection>,
        news: &mut SelectAll<BoxStream<'static, Read>>,
        events: &mut (impl Stream<Item = Event> + Unpin),
        stop: &CancellationToken,
    ) -> Ended {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                event = events.next() => match event {
                    // Errors of channels come here too; the readers of those queues see to them.
                    Some(Event::Error(error)) if !connection.status().connected() => {
                        return Ended::Lost(error.to_string());
                    }
                    Some(_) => {}
                    None => return Ended::Lost("the connection is gone".into()),
                },
                () = asked(&mut self.leasing), if news.is_empty() => *news = self.read_all(connection),
                next = news.next(), if !news.is_empty() => match next {
                    Some((_, _, News::Over(reason))) => return Ended::Lost(reason),
                    Some((source, session, news)) => self.hear(&source, session, news),
                    None => return Ended::Lost("nothing is read any more".into()),
                },
            }
        }
    }

    fn read_all(&mut self, connection: &Arc<Connection>) -> SelectAll<BoxStream<'static, Read>> {
        let partitions = Lane::ALL.into_iter().flat_map(|lane| (0..PARTITIONS).map(move |n| (lane, n)));
        let mut sources: Vec<Source> = partitions
            .map(|(lane, partition)| Source {
                queue: self.names.work(lane, partition),
                lane: Some(lane),
                origin: Origin::Partition(partition),
                prefetch: self.prefetch,
            })
            .collect();
        sources.push(Source {
            queue: self.names.dead(),
            lane: None,
            origin: Origin::Dead,
            prefetch: DEAD_PREFETCH,
        });
        stream::select_all(sources.into_iter().map(|source| {
            self.serial += 1;
            read(connection.clone(), source, Session(self.serial)).boxed()
        }))
    }

    fn hear(&mut self, source: &Source, session: Session, news: News) {
        match news {
            News::Subscribed => self.shelves(source).for_each(|shelf| shelf.open(source.origin, session)),
            News::Came(delivery) => self.arrived(source, *delivery, session),
            News::Lost { reason, first } => {
                self.shelves(source).for_each(|shelf| shelf.forget(source.origin));
                if first {
                    tracing::warn!(reason, queue = %source.queue, "a queue cannot be read; trying again");
                } else {
                    tracing::debug!(reason, queue = %source.queue, "a queue still cannot be read");
                }
            }
            News::Over(_) => {}
        }
    }

    fn shelves(&self, source: &Source) -> impl Iterator<Item = &Shelf> {
        let lane = source.lane;
        self.lanes
            .iter()
            .filter(move |(l, _)| lane.is_none_or(|lane| lane == **l))
            .map(|(_, ends)| &*ends.shelf)
    }

    fn arrived(&mut self, source: &Source, delivery: Delivery, session: Session) {
        // What has lost its routing key is shown where it is seen soonest.
        let named = || topology::lane_of(delivery.routing_key.as_str());
        let lane = source.lane.or_else(named).unwrap_or(Lane::Contain);
        self.serial += 1;
        let item = Item::new(delivery, session, source.origin, self.serial);
        let ends = &self.lanes[&lane];
        match item.due {
            Some(due) if due > self.clock.now() => ends.mover.arrived_early(item),
            _ => ends.shelf.put(item),
        }
    }
}

/// Waits for the first lease.
async fn asked(leasing: &mut watch::Receiver<bool>) {
    if leasing.wait_for(|leasing| *leasing).await.is_err() {
        // The queue was dropped, and nobody asks any more.
        std::future::pending().await
    }
}

type Read = (Source, Session, News);

/// One queue's reader.
struct Reader {
    connection: Arc<Connection>,
    source: Source,
    session: Session,
    /// The channel lives as long as what it delivers.
    open: Option<(Channel, Consumer)>,
    failures: u32,
}

/// Reads one queue for as long as somebody polls, subscribing again after every failure.
fn read(connection: Arc<Connection>, source: Source, session: Session) -> impl Stream<Item = Read> {
    let reader = Reader { connection, source, session, open: None, failures: 0 };
    stream::unfold(reader, async |mut reader| {
        let news = reader.next().await;
        Some(((reader.source.clone(), reader.session, news), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> News {
        let Some((_, consumer)) = &mut self.open else { return self.subscribe().await };
        let reason = match consumer.next().await {
            Some(Ok(delivery)) => return News::Came(Box::new(delivery)),
            // After its one error a stream may stay silent for ever: it is not asked again.
            Some(Err(error)) => error.to_string(),
            None => "the broker ended the consumer".to_owned(),
        };
        self.leave().await;
        self.failed(reason)
    }

    async fn subscribe(&mut self) -> News {
        if self.failures > 0 {
            tokio::time::sleep(SUBSCRIBE_AGAIN.delay(self.failures, fastrand::f64())).await;
        }
        match tokio::time::timeout(SUBSCRIBE_WAIT_MAX, subscribe(&self.connection, &self.source)).await {
            Ok(Ok(open)) => {
                self.open = Some(open);
                self.failures = 0;
                News::Subscribed
            }
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
                News::Over(error.to_string())
            }
            Ok(Err(error)) => self.failed(error.to_string()),
            Err(_) => self.failed(format!("no answer within {SUBSCRIBE_WAIT_MAX:?}")),
        }
    }

    fn failed(&mut self, reason: String) -> News {
        if !self.connection.status().connected() {
            return News::Over(reason);
        }
        self.failures += 1;
        News::Lost { reason, first: self.failures == 1 }
    }

    async fn leave(&mut self) {
        let Some((channel, _consumer)) = self.open.take() else { return };
        // An error means that it is closed already, and a broker that does not answer is left alone.
        let _ = tokio::time::timeout(dial::CLOSE_WAIT_MAX, channel.close(200, "again".into())).await;
    }
}

async fn subscribe(connection: &Connection, source: &Source) -> Result<(Channel, Consumer), lapin::Error> {
    let channel = connection.create_channel().await?;
    // Per consumer: a limit per channel is refused for quorum queues (RabbitMQ, Quorum Queues, Global QoS).
    channel.basic_qos(source.prefetch, BasicQosOptions { global: false }).await?;
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let consumer =
        channel.basic_consume(source.queue.clone(), ShortString::default(), options, arguments).await?;
    Ok((channel, consumer))
}
