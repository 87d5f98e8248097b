//! Delays: moves a message that is not due to the retry queue that brings it nearest, and holds the last second of
//! the wait in memory.
//!
//! One task per lane. A move is a new message, confirmed before the old one is acknowledged; killed in between, both
//! come, and twice is harmless. While nothing can be published a message stays in our hand and is tried again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::Acker;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::message::Item;
use super::publisher::Publisher;
use super::shelf::Shelf;
use super::topology::{Names, TIERS};
use crate::clock::{self, SharedClock, Timestamp};
use crate::queue::Error;

/// After a move that failed.
const MOVE_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The clock is an argument and may be stepped by hand, so it is asked at least this often while something is held.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_millis(250);
/// An acknowledgement is written at once or the session is in trouble.
const ACK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The handle. What it is given is bounded by the broker: nobody can hand over more than the prefetch.
#[derive(Clone)]
pub(super) struct Mover(mpsc::UnboundedSender<Move>);

struct Move {
    item: Item,
    /// Told when the copy is durable; `None` when nobody waits.
    done: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Mover {
    pub(super) fn new() -> (Mover, Inbox) {
        let (moves, inbox) = mpsc::unbounded_channel();
        (Mover(moves), Inbox(inbox))
    }

    /// A message that came before its time.
    pub(super) fn arrived_early(&self, item: Item) {
        // Without the task we are closing, and the message goes back by itself.
        let _ = self.0.send(Move { item, done: None });
    }

    /// Answers `Ok` when the delayed copy is durable. Dropping the call does not stop the move.
    pub(super) async fn delay(&self, item: Item) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.0.send(Move { item, done: Some(done) }).map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

pub(super) struct Inbox(mpsc::UnboundedReceiver<Move>);

pub(super) struct Task {
    pub(super) shelf: Arc<Shelf>,
    pub(super) publisher: Publisher,
    pub(super) names: Names,
    pub(super) clock: SharedClock,
}

/// What to do with a message that is due in a while.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Due,
    Hold,
    Tier(Duration),
}

impl Task {
    pub(super) async fn run(self, Inbox(mut inbox): Inbox, stop: CancellationToken) {
        let mut moving = FuturesUnordered::new();
        let relay = |(item, tier)| self.publish(item, Some(tier), None);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = moving.next() => self.conclude(ended),
                received = inbox.recv() => match received {
                    // A delay that somebody asked for must be durable before we say so: it always moves.
                    Some(Move { item, done: Some(done) }) => {
                        let tier = tier_for(self.remaining(&item));
                        moving.push(self.publish(item, tier, Some(done)));
                    }
                    Some(Move { item, done: None }) => moving.extend(self.place(item).map(relay)),
                    None => return,
                },
                () = self.next_wake() => {
                    let woken = self.shelf.woken(self.clock.now());
                    moving.extend(woken.into_iter().filter_map(|item| self.place(item)).map(relay));
                }
            }
        }
    }

    /// Puts or holds the message, unless it has to move.
    fn place(&self, item: Item) -> Option<(Item, Duration)> {
        match way(self.remaining(&item), self.shelf.has_room_to_hold(item.origin)) {
            Way::Tier(tier) => return Some((item, tier)),
            Way::Due => self.shelf.put(item),
            Way::Hold => {
                let wake = item.due.unwrap_or(Timestamp::MIN);
                self.shelf.hold(item, wake);
            }
        }
        None
    }

    fn remaining(&self, item: &Item) -> Duration {
        item.due.map_or(Duration::ZERO, |due| clock::elapsed(self.clock.now(), due))
    }

    async fn publish(
        &self,
        item: Item,
        tier: Option<Duration>,
        done: Option<oneshot::Sender<Result<(), Error>>>,
    ) -> Moved {
        let due = item.due.unwrap_or_else(|| self.clock.now());
        let result = self.publisher.publish(vec![item.delayed(&self.names, due, tier)]).await;
        if result.is_ok() {
            acknowledge(&item.acker).await;
        }
        Moved { item, result, done }
    }

    fn conclude(&self, moved: Moved) {
        let Moved { item, result, done } = moved;
        if let Err(error) = &result {
            tracing::debug!(%error, event.id = %item.message_id, "a delayed event stays in hand for now");
            let again = clock::after(self.clock.now(), MOVE_AGAIN_AFTER);
            let wake = item.due.map_or(again, |due| due.min(again));
            self.shelf.hold(item, wake);
        }
        if let Some(done) = done {
            // The worker may have gone: fine.
            let _ = done.send(result);
        }
    }

    /// Returns when a held message may be due; never while nothing is held.
    async fn next_wake(&self) {
        let Some(wake) = self.shelf.next_wake() else { return std::future::pending().await };
        let wait = clock::elapsed(self.clock.now(), wake).min(LOOK_AT_CLOCK_EVERY);
        tokio::time::sleep(wait).await;
    }
}

struct Moved {
    item: Item,
    result: Result<(), Error>,
    done: Option<oneshot::Sender<Result<(), Error>>>,
}

/// `Ok(false)` and errors mean that the session is gone and the message comes again: nothing to be done about it.
pub(super) async fn acknowledge(acker: &Acker) {
    match tokio::time::timeout(ACK_WAIT_MAX, acker.ack(BasicAckOptions::default())).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!("a message of a lost session was settled: it comes again"),
        Ok(Err(error)) => tracing::debug!(%error, "an acknowledgement was lost: its message comes again"),
        Err(_) => tracing::debug!("an acknowledgement could not be written: its message may come again"),
    }
}

/// The largest tier that does not overshoot; `None` below the smallest.
fn tier_for(remaining: Duration) -> Option<Duration> {
    TIERS.into_iter().rev().find(|tier| *tier <= remaining)
}

fn way(remaining: Duration, room_to_hold: bool) -> Way {
    match tier_for(remaining) {
        _ if remaining.is_zero() => Way::Due,
        Some(tier) => Way::Tier(tier),
        None if room_to_hold => Way::Hold,
        // Up to a second late rather than in the way of the others.
        None => Way::Tier(TIERS[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_tier_that_fits_is_taken_and_the_last_second_is_held() {
        let ms = Duration::from_millis;
        assert_eq!(way(ms(0), true), Way::Due);
        assert_eq!(way(ms(1), true), Way::Hold);
        assert_eq!(way(ms(999), true), Way::Hold);
        assert_eq!(way(ms(999), false), Way::Tier(ms(1000)));
        assert_eq!(way(ms(3999), true), Way::Tier(ms(1000)));
        assert_eq!(way(ms(4000), true), Way::Tier(ms(4000)));
        assert_eq!(way(ms(3_600_000), true), Way::Tier(ms(256_000)));
    }

    #[test]
    fn an_hour_is_never_overshot_and_takes_few_hops() {
        let mut remaining = Duration::from_secs(3600) - Duration::from_millis(1);
        let mut hops = 0;
        while let Some(tier) = tier_for(remaining) {
            remaining -= tier;
            hops += 1;
        }
        assert!(remaining < Duration::from_secs(1) && hops <= 26, "{hops} hops, {remaining:?} left");
    }
}
