//! The consuming side: one task, one connection, one channel per lane and one for what the broker gave up on.
//!
//! Every partition has a consumer of its own with a small prefetch; the broker lets only one process read a partition
//! at a time. What comes goes to the lane's [`Shelf`]; what comes before its time, to the lane's [`Mover`].
//! The session ends at the first error of any channel. It is left by closing the connection, never by cancelling a
//! consumer: after a cancel the next process would get newer messages before the ones that we still hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Event};
use tokio_util::sync::CancellationToken;

use super::dial::{self, Dialer};
use super::message::{Item, Origin, Session};
use super::mover::Mover;
use super::shelf::Shelf;
use super::topology::{self, Ensure, Names, PARTITIONS};
use crate::clock::SharedClock;
use crate::event::Lane;

/// Unreadable messages are rare; a few at a time are enough.
const DEAD_PREFETCH: u16 = 4;

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
}

/// Where a message came from.
type Source = (Option<Lane>, Origin);
type Arrivals = SelectAll<BoxStream<'static, Result<(Source, Delivery), String>>>;

enum Ended {
    Stopped,
    Lost(String),
}

impl Task {
    /// Session after session until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut sessions = 0;
        let mut told = false;
        loop {
            let failed = |reason| tracing::debug!(reason, "the broker hands out no events");
            let connection = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                connection = self.dialer.connect(failed) => Arc::new(connection),
            };
            sessions += 1;
            let ended = self.session(&connection, Session(sessions), &mut told, &stop).await;
            *self.current.lock().expect("nothing panics while it holds the connection") = None;
            self.lanes.values().for_each(|lane| lane.shelf.forget());
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
        session: Session,
        told: &mut bool,
        stop: &CancellationToken,
    ) -> Ended {
        let mut events = Box::pin(connection.events_listener());
        self.lanes.values().for_each(|lane| lane.shelf.open(session));
        let opening = tokio::time::timeout(topology::ENSURE_WAIT_MAX, self.subscribe(connection));
        let (mut arrivals, _channels) = tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            opened = opening => match opened {
                Ok(Ok(open)) => open,
                Ok(Err(error)) => return Ended::Lost(error.to_string()),
                Err(_) => return Ended::Lost("the broker did not get to its queues in time".into()),
            },
        };
        *self.current.lock().expect("nothing panics while it holds the connection") =
            Some(connection.clone());
        self.dialer.served();
        if std::mem::take(told) {
            tracing::info!("the broker hands out events again");
        }
        let mut order = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                event = events.next() => match event {
                    Some(Event::Error(error)) => return Ended::Lost(error.to_string()),
                    Some(_) => {}
                    None => return Ended::Lost("the connection is gone".into()),
                },
                arrival = arrivals.next() => match arrival {
                    Some(Ok((source, delivery))) => {
                        order += 1;
                        self.arrived(source, delivery, session, order);
                    }
                    Some(Err(reason)) => return Ended::Lost(reason),
                    None => return Ended::Lost("every consumer has ended".into()),
                },
            }
        }
    }

    fn arrived(&self, source: Source, delivery: Delivery, session: Session, order: u64) {
        let (lane, origin) = source;
        // What has lost its routing key is shown where it is seen soonest.
        let lane = lane.or_else(|| topology::lane_of(delivery.routing_key.as_str())).unwrap_or(Lane::Contain);
        let item = Item::new(delivery, session, origin, order);
        let ends = &self.lanes[&lane];
        match item.due {
            Some(due) if due > self.clock.now() => ends.mover.arrived_early(item),
            _ => ends.shelf.put(item),
        }
    }

    /// The channels live as long as what they deliver.
    async fn subscribe(&self, connection: &Connection) -> Result<(Arrivals, Vec<Channel>), lapin::Error> {
        topology::ensure(connection, &self.names, Ensure::Look).await?;
        let mut arrivals = SelectAll::new();
        let mut channels = Vec::new();
        for lane in Lane::ALL {
            let channel = channel_with(connection, self.prefetch).await?;
            for partition in 0..PARTITIONS {
                let source = (Some(lane), Origin::Partition(partition));
                arrivals.push(consume(&channel, self.names.work(lane, partition), source).await?);
            }
            channels.push(channel);
        }
        let channel = channel_with(connection, DEAD_PREFETCH).await?;
        arrivals.push(consume(&channel, self.names.dead(), (None, Origin::Dead)).await?);
        channels.push(channel);
        Ok((arrivals, channels))
    }
}

async fn channel_with(connection: &Connection, prefetch: u16) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    // Per consumer: a limit per channel is refused for quorum queues (RabbitMQ, Quorum Queues, Global QoS).
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    Ok(channel)
}

async fn consume(
    channel: &Channel,
    queue: ShortString,
    source: Source,
) -> Result<BoxStream<'static, Result<(Source, Delivery), String>>, lapin::Error> {
    let ended = format!("the broker ended the consumer of {queue}");
    let consumer = channel
        .basic_consume(queue, ShortString::default(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    let deliveries =
        consumer.map(move |next| next.map(|delivery| (source, delivery)).map_err(|error| error.to_string()));
    // A set of streams drops one that has ended without a word.
    Ok(deliveries.chain(stream::once(async { Err(ended) })).boxed())
}
