//! The publishing side: one task, one connection, one channel with confirms, up to [`WINDOW`] messages in flight.
//!
//! [`Publisher::publish`] answers `Ok` when the broker has confirmed *each* message. It fails at once while there is no
//! session, and after [`PUBLISH_WAIT_MAX`] in any case; the outcome is unknown then. Nothing is sent again from here:
//! whoever asked comes again, and twice is harmless.
//!
//! A message without a confirm for [`CONFIRM_WAIT_MAX`] ends the session: a broker that had lost its quorum answers a
//! fresh connection long before it answers the old one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Future, FutureExt};
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection, Event};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dial::{self, Dialer};
use super::message::Message;
use super::topology::{self, Ensure, Names};
use crate::queue::Error;

/// Messages sent and not yet confirmed. 64 already give four fifths of the throughput of 512; more only adds latency.
const WINDOW: usize = 512;
/// Calls that may wait for their turn; beyond this the caller is told at once.
const REQUESTS_MAX: usize = 1024;
/// How long a caller waits. Graph counts an answer after three seconds as none (Change notifications, Publishing).
const PUBLISH_WAIT_MAX: Duration = Duration::from_millis(2500);
/// Not shorter than two heartbeats' worth of doubt (RabbitMQ, Reliable Publishing).
const CONFIRM_WAIT_MAX: Duration = Duration::from_secs(10);
/// While a memory or disk alarm blocks us, the connection is healthy and waiting is right; but not for ever.
const BLOCKED_WAIT_MAX: Duration = Duration::from_secs(600);
/// Unconfirmed for so long, the broker counts as not ready.
const STALLED_AFTER: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(250);
/// How long a caller waits for the very first session after the start, which declares the queues.
const START_WAIT_MAX: Duration = Duration::from_secs(2);

/// How it stands between us and the broker.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// The first attempt is under way.
    Starting,
    Up,
    /// Up, but messages have been waiting for their confirm.
    Stalled,
    /// The broker takes no messages: memory or disk alarm.
    Blocked(String),
    Down(String),
    Closed,
}

impl Link {
    fn usable(&self) -> Result<(), Error> {
        match self {
            Link::Up | Link::Stalled => Ok(()),
            Link::Starting => Err(Error::Unavailable("still connecting".into())),
            Link::Blocked(reason) => Err(Error::Full(reason.clone())),
            Link::Down(reason) => Err(Error::Unavailable(reason.clone())),
            Link::Closed => Err(Error::Closed),
        }
    }
}

/// The handle; clones share the task.
#[derive(Clone)]
pub(super) struct Publisher {
    requests: mpsc::Sender<Request>,
    link: watch::Receiver<Link>,
}

struct Request {
    messages: Vec<Message>,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<(), Error>>;

impl Publisher {
    /// The handle, and the task that [`Task::run`] is to drive.
    pub(super) fn new(dialer: Dialer, names: Names) -> (Publisher, Task) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let (link, watched) = watch::channel(Link::Starting);
        (
            Publisher { requests, link: watched },
            Task { dialer, names, requests: receiver, link, ensure: Ensure::Look },
        )
    }

    pub(super) async fn publish(&self, messages: Vec<Message>) -> Result<(), Error> {
        self.started().await.usable()?;
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request { messages, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::Unavailable("too many events wait to be sent".into())
            }
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        match tokio::time::timeout(PUBLISH_WAIT_MAX, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Unavailable(format!("no confirm within {PUBLISH_WAIT_MAX:?}"))),
        }
    }

    pub(super) async fn ready(&self) -> Result<(), Error> {
        match self.started().await {
            Link::Stalled => Err(Error::Unavailable(format!("no confirm for {STALLED_AFTER:?}"))),
            link => link.usable(),
        }
    }

    /// The state, once it is known.
    async fn started(&self) -> Link {
        let mut link = self.link.clone();
        let known = link.wait_for(|link| !matches!(link, Link::Starting));
        match tokio::time::timeout(START_WAIT_MAX, known).await {
            Ok(Ok(link)) => link.clone(),
            Ok(Err(_)) => Link::Closed,
            Err(_) => Link::Starting,
        }
    }
}

/// Why a session is over.
enum Ended {
    /// We were told to stop, and everything in flight has been answered.
    Stopped,
    Lost(String),
}

/// What ends a flight; everything in it is in doubt then.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Broker(#[from] lapin::Error),
    #[error("{0}")]
    Lost(String),
    #[error("a message had no queue to go to")]
    Unroutable,
}

pub(super) struct Task {
    dialer: Dialer,
    names: Names,
    requests: mpsc::Receiver<Request>,
    link: watch::Sender<Link>,
    ensure: Ensure,
}

impl Task {
    /// Session after session until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let connection = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                connection = self.dialer.connect(|reason| down(&self.link, reason)) => connection,
                never = refuse(&mut self.requests, &self.link) => match never {},
            };
            let ended = self.session(&connection, &stop).await;
            if let Ended::Lost(reason) = &ended {
                down(&self.link, reason.clone());
            }
            dial::hang_up(&connection).await;
            match ended {
                Ended::Stopped => break,
                Ended::Lost(_) => self.dialer.lost(),
            }
        }
        self.link.send_replace(Link::Closed);
    }

    async fn session(&mut self, connection: &Connection, stop: &CancellationToken) -> Ended {
        // One listener, made before anything happens: events are kept for nobody, and two would share them.
        let mut events = Box::pin(connection.events_listener());
        let opening = open(connection, &self.names, self.ensure);
        let channel = tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            opened = opening => match opened {
                Ok(channel) => channel,
                Err(reason) => return Ended::Lost(reason),
            },
            never = refuse(&mut self.requests, &self.link) => match never {},
        };
        self.ensure = Ensure::Look;
        self.dialer.served();
        up(&self.link);
        let mut flight = Flight::new(channel);
        match flight.fly(&mut self.requests, &mut events, &self.link, stop).await {
            Ok(()) => Ended::Stopped,
            Err(fault) => {
                if let Fault::Unroutable = fault {
                    self.ensure = Ensure::Declare;
                }
                let reason = fault.to_string();
                // First, so that whoever learns of the failure does not find us ready.
                down(&self.link, reason.clone());
                flight.fail_all(&reason);
                Ended::Lost(reason)
            }
        }
    }
}

async fn open(connection: &Connection, names: &Names, ensure: Ensure) -> Result<Channel, String> {
    topology::ensure(connection, names, ensure).await?;
    let opening = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    };
    match tokio::time::timeout(topology::LOOK_WAIT_MAX, opening).await {
        Ok(result) => result.map_err(|error: lapin::Error| error.to_string()),
        Err(_) => Err("the broker did not open a channel in time".into()),
    }
}

fn up(link: &watch::Sender<Link>) {
    if matches!(link.send_replace(Link::Up), Link::Down(_)) {
        tracing::info!("the broker takes events again");
    }
}

/// Logs the loss once, not every attempt that follows.
fn down(link: &watch::Sender<Link>, reason: String) {
    match link.send_replace(Link::Down(reason.clone())) {
        Link::Down(_) => tracing::debug!(reason, "the broker still takes no events"),
        _ => tracing::warn!(reason, "the broker takes no events; trying again until it does"),
    }
}

/// Answers everybody who asks while there is no session.
async fn refuse(requests: &mut mpsc::Receiver<Request>, link: &watch::Sender<Link>) -> Infallible {
    while let Some(request) = requests.recv().await {
        let refusal = link.borrow().usable().err();
        let refusal = refusal.unwrap_or_else(|| Error::Unavailable("not connected".into()));
        // Nobody waits any more: fine.
        let _ = request.reply.send(Err(refusal));
    }
    std::future::pending().await
}

type Confirming = Pin<Box<dyn Future<Output = (u64, Result<Confirmation, lapin::Error>)> + Send>>;

/// What is under way in one session.
struct Flight {
    channel: Channel,
    confirms: FuturesUnordered<Confirming>,
    /// By serial number, so that the first is the oldest.
    waiting: BTreeMap<u64, Waiting>,
    serial: u64,
    /// Since when the broker blocks us.
    blocked_since: Option<Instant>,
    /// No wait for a confirm is counted from before this: the broker was blocking us.
    counting_from: Instant,
}

struct Waiting {
    since: Instant,
    messages_left: usize,
    reply: Reply,
}

impl Flight {
    fn new(channel: Channel) -> Flight {
        Flight {
            channel,
            confirms: FuturesUnordered::new(),
            waiting: BTreeMap::new(),
            serial: 0,
            blocked_since: None,
            counting_from: Instant::now(),
        }
    }

    async fn fly(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        events: &mut (impl Stream<Item = Event> + Unpin),
        link: &watch::Sender<Link>,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut batch = Vec::with_capacity(WINDOW);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(stop.cancelled());
        // Told to stop, we send what was accepted, wait for the confirms, and leave.
        let (mut stopping, mut drained) = (false, false);
        while !(drained && self.confirms.is_empty()) {
            let room = WINDOW.saturating_sub(self.confirms.len());
            let step = tokio::select! {
                biased;
                () = &mut stopped, if !stopping => {
                    stopping = true;
                    requests.close();
                    Ok(())
                }
                event = events.next() => self.hear(event, link),
                Some(first) = self.confirms.next() => self.conclude(first),
                received = requests.recv_many(&mut batch, room), if room > 0 && !drained => {
                    drained = received == 0;
                    batch.drain(..).for_each(|request| self.send(request));
                    Ok(())
                }
                _ = tick.tick() => self.check_waits(link),
            };
            step?;
        }
        Ok(())
    }

    /// Hands the messages to the socket in order; polling each publish once does that, and the rest of it waits.
    fn send(&mut self, request: Request) {
        self.serial += 1;
        let serial = self.serial;
        let waiting =
            Waiting { since: Instant::now(), messages_left: request.messages.len(), reply: request.reply };
        self.waiting.insert(serial, waiting);
        for message in request.messages {
            let mut confirming: Confirming = Box::pin(publish(self.channel.clone(), serial, message));
            let done = (&mut confirming).now_or_never();
            self.confirms.push(done.map_or(confirming, |done| Box::pin(std::future::ready(done))));
        }
    }

    /// Takes every confirm that is there before answering anybody: the client library may hang a returned message
    /// on a neighbour's confirm, so one return makes all of them doubtful.
    fn conclude(&mut self, first: (u64, Result<Confirmation, lapin::Error>)) -> Result<(), Fault> {
        let mut answered = vec![judge(first)?];
        // Twice in a row, because the set yields once when it has polled everything that it holds.
        let mut empty = 0;
        while empty < 2 {
            match self.confirms.next().now_or_never().flatten() {
                Some(next) => answered.push(judge(next)?),
                None => empty += 1,
            }
        }
        for (serial, result) in answered {
            self.answer(serial, result);
        }
        Ok(())
    }

    fn answer(&mut self, serial: u64, result: Result<(), Error>) {
        let Some(waiting) = self.waiting.get_mut(&serial) else { return };
        waiting.messages_left -= 1;
        if (result.is_err() || waiting.messages_left == 0)
            && let Some(waiting) = self.waiting.remove(&serial)
        {
            // The caller may have stopped waiting: fine.
            let _ = waiting.reply.send(result);
        }
    }

    fn hear(&mut self, event: Option<Event>, link: &watch::Sender<Link>) -> Result<(), Fault> {
        match event {
            // Errors of channels come here too, also of the one that looked for a queue that was not there yet.
            Some(Event::Error(_)) if self.channel.status().connected() => Ok(()),
            Some(Event::Error(error)) => Err(error.into()),
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(reason, "the broker takes no events: alarm");
                self.blocked_since = Some(Instant::now());
                link.send_replace(Link::Blocked(reason));
                Ok(())
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("the broker takes events again: the alarm is over");
                self.blocked_since = None;
                self.counting_from = Instant::now();
                link.send_replace(Link::Up);
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(Fault::Lost("the connection is gone".into())),
        }
    }

    fn check_waits(&mut self, link: &watch::Sender<Link>) -> Result<(), Fault> {
        if let Some(since) = self.blocked_since {
            return match since.elapsed() > BLOCKED_WAIT_MAX {
                true => Err(Fault::Lost(format!("blocked for {BLOCKED_WAIT_MAX:?}"))),
                false => Ok(()),
            };
        }
        let oldest = self.waiting.values().next();
        let waited = oldest.map_or(Duration::ZERO, |w| w.since.max(self.counting_from).elapsed());
        if waited > CONFIRM_WAIT_MAX {
            return Err(Fault::Lost(format!("no confirm within {CONFIRM_WAIT_MAX:?}")));
        }
        let stalled = waited > STALLED_AFTER;
        link.send_if_modified(|link| match (&link, stalled) {
            (Link::Up, true) => {
                *link = Link::Stalled;
                true
            }
            (Link::Stalled, false) => {
                *link = Link::Up;
                true
            }
            _ => false,
        });
        Ok(())
    }

    fn fail_all(&mut self, reason: &str) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let _ = waiting.reply.send(Err(Error::Unavailable(reason.to_owned())));
        }
    }
}

async fn publish(
    channel: Channel,
    serial: u64,
    message: Message,
) -> (u64, Result<Confirmation, lapin::Error>) {
    let Message { exchange, routing_key, properties, body } = message;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let result = match channel.basic_publish(exchange, routing_key, options, &body, properties).await {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    (serial, result)
}

/// What a confirm means for its request, or that it ends the session.
fn judge(confirm: (u64, Result<Confirmation, lapin::Error>)) -> Result<(u64, Result<(), Error>), Fault> {
    let (serial, result) = confirm;
    match result? {
        Confirmation::Ack(None) => Ok((serial, Ok(()))),
        Confirmation::Nack(None) => Ok((serial, Err(Error::Full("the broker refused to store it".into())))),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(Fault::Unroutable),
        Confirmation::NotRequested => Err(Fault::Lost("the channel does not confirm".into())),
    }
}
