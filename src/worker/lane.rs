//! One lane's dispatcher: who is looked at now, who waits, and how deliveries end.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::dead;
use super::look::{Counted, Looker, Verdict};
use crate::clock::{self, Timestamp};
use crate::event::{Event, Lane};
use crate::queue::{Body, Delivery, Receipt, Settlement};
use crate::store::DeadLetter;

/// How long looks that have begun may take to finish after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait before the queue is asked again after it failed.
const QUEUE_AGAIN: Duration = Duration::from_millis(500);
/// An event that nobody could work on for this long is given up on, whatever the vendor's trouble is.
const AGE_MAX: Duration = Duration::from_secs(72 * 3600);
/// How long to wait with a dead letter that could not be written down.
const BURY_AGAIN: Duration = Duration::from_secs(10);

/// A delivery whose event could be read.
struct InHand {
    receipt: Receipt,
    attempt: u32,
    event: Event,
}

/// A look that has ended.
struct Ended {
    key: String,
    deliveries: Vec<InHand>,
    verdict: Verdict,
}

pub(super) struct Dispatcher {
    lane: Lane,
    looker: Arc<Looker>,
    concurrency: usize,
    attempts_max: u32,
    /// Keys that are being looked at, with what has arrived for them since.
    busy: HashMap<String, Vec<InHand>>,
    looks: JoinSet<Ended>,
    /// Dead letters on their way into the store: while it does not answer, the lane goes on. Bounded by the deliveries
    /// that the queue hands out.
    burials: JoinSet<()>,
    /// A vendor is away: nobody new is looked at before this. Not a time of day: a clock that is set back must not stop
    /// the lane for hours.
    paused_until: Option<Instant>,
}

impl Dispatcher {
    pub(super) fn new(lane: Lane, looker: Looker, settings: &Settings) -> Dispatcher {
        Dispatcher {
            lane,
            looker: Arc::new(looker),
            concurrency: settings.concurrency,
            attempts_max: settings.attempts_max,
            busy: HashMap::new(),
            looks: JoinSet::new(),
            burials: JoinSet::new(),
            paused_until: None,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let looker = self.looker.clone();
        loop {
            let pause = self.pause_left();
            let has_room = self.looks.len() < self.concurrency && pause.is_none();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.looks.join_next() => self.take_ended(ended).await,
                Some(buried) = self.burials.join_next() => buried.expect("burials are neither aborted nor let panic"),
                leased = looker.deps.queue.lease(self.lane), if has_room => match leased {
                    Ok(delivery) => self.take(delivery),
                    Err(error) => {
                        tracing::warn!(lane = self.lane.word(), "the queue gives no work: {error}");
                        tokio::time::sleep(QUEUE_AGAIN).await;
                    }
                },
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => self.paused_until = None,
            }
        }
        self.finish().await;
    }

    fn pause_left(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        Some(left.max(Duration::from_millis(1)))
    }

    fn take(&mut self, delivery: Delivery) {
        let Delivery { receipt, attempt, body } = delivery;
        match body {
            Body::Event(event) => {
                let in_hand = InHand { receipt, attempt, event };
                let key = in_hand.event.about.key();
                match self.busy.get_mut(&key) {
                    Some(waiting) => waiting.push(in_hand),
                    None => self.start(key, vec![in_hand]),
                }
            }
            Body::Unreadable { reason, bytes } => {
                let letter = dead::unreadable(self.lane, reason, bytes, self.looker.deps.clock.now());
                self.bury(letter, receipt, attempt);
            }
        }
    }

    fn start(&mut self, key: String, deliveries: Vec<InHand>) {
        self.busy.insert(key.clone(), Vec::new());
        let looker = self.looker.clone();
        self.looks.spawn(async move {
            let asks = deliveries.iter().map(|in_hand| in_hand.event.clone()).collect();
            // A panic is an attempt that failed: it must neither stop the lane nor hold the person for ever.
            let look = AssertUnwindSafe(looker.look(asks)).catch_unwind().await;
            let verdict = look.unwrap_or_else(|_| looker.panicked());
            Ended { key, deliveries, verdict }
        });
    }

    async fn take_ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let Ended { key, deliveries, verdict } = ended.expect("looks are neither aborted nor let panic");
        if let Verdict::Later { pause_until: Some(until), .. } = &verdict {
            let left = clock::elapsed(self.looker.deps.clock.now(), *until);
            self.paused_until = self.paused_until.max(Some(Instant::now() + left));
        }
        for in_hand in deliveries {
            self.settle(in_hand, &verdict).await;
        }
        match self.busy.remove(&key) {
            Some(waiting) if !waiting.is_empty() => self.start(key, waiting),
            _ => {}
        }
    }

    async fn settle(&mut self, in_hand: InHand, verdict: &Verdict) {
        let now = self.looker.deps.clock.now();
        let InHand { receipt, attempt, event } = in_hand;
        let counted = |outcome| {
            self.looker.deps.metrics.event(event.source.word(), event.kind.word(), outcome);
        };
        match ending(verdict, &event, attempt, self.attempts_max, now) {
            Ending::Settled(settlement) => {
                if settlement == Settlement::Done {
                    counted("worked");
                }
                end_lease(&self.looker, receipt, settlement).await;
            }
            Ending::GivenUp(why) => {
                counted("dead");
                self.bury(dead::given_up(&event, why, attempt, now), receipt, attempt);
            }
        }
    }

    fn bury(&mut self, letter: DeadLetter, receipt: Receipt, attempt: u32) {
        let looker = self.looker.clone();
        self.burials.spawn(async move { bury(&looker, letter, receipt, attempt).await });
    }

    /// Finishes what has begun, within [`GRACE`]; what waits goes back when the queue is closed.
    async fn finish(mut self) {
        let finished = tokio::time::timeout(GRACE, async {
            while let Some(ended) = self.looks.join_next().await {
                let Ok(Ended { deliveries, verdict, .. }) = ended else { continue };
                for in_hand in deliveries {
                    self.settle(in_hand, &verdict).await;
                }
            }
            while self.burials.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(
                lane = self.lane.word(),
                "looks or dead letters did not finish in time; their events will come again"
            );
        }
    }
}

/// How a delivery ends.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Settled(Settlement),
    GivenUp(String),
}

/// What a look's verdict means for one of the events that it answered: each has attempts and an age of its own.
fn ending(verdict: &Verdict, event: &Event, attempt: u32, attempts_max: u32, now: Timestamp) -> Ending {
    let is_old = clock::elapsed(event.waits_since(), now) > AGE_MAX;
    match verdict {
        Verdict::Done => Ending::Settled(Settlement::Done),
        Verdict::Dead { why } => Ending::GivenUp(why.clone()),
        Verdict::Later { counted: Counted::Yes, why, .. } if attempt >= attempts_max => {
            Ending::GivenUp(format!("given up after {attempt} attempts: {why}"))
        }
        Verdict::Later { counted: Counted::Yes | Counted::No, why, .. } if is_old => {
            Ending::GivenUp(format!("nobody could work on it for three days: {why}"))
        }
        Verdict::Later { at, counted, .. } => {
            let attempt = attempt + u32::from(*counted == Counted::Yes);
            Ending::Settled(Settlement::Later { at: *at, attempt })
        }
    }
}

/// Written down first, settled afterwards: between the two it is there twice, never not at all.
async fn bury(looker: &Looker, letter: DeadLetter, receipt: Receipt, attempt: u32) {
    let settlement = match dead::bury(&looker.deps, letter).await {
        Ok(()) => Settlement::Done,
        Err(error) => {
            tracing::error!(lane = looker.lane.word(), "a dead letter could not be written down: {error}");
            Settlement::Later { at: clock::after(looker.deps.clock.now(), BURY_AGAIN), attempt }
        }
    };
    end_lease(looker, receipt, settlement).await;
}

/// A settlement that fails leaves the event on the queue: it comes again, which is harmless.
async fn end_lease(looker: &Looker, receipt: Receipt, settlement: Settlement) {
    if let Err(error) = looker.deps.queue.settle(receipt, settlement).await {
        tracing::warn!(
            lane = looker.lane.word(),
            "an event could not be settled and will come again: {error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{About, EventKind, TenantId};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const ATTEMPTS_MAX: u32 = 3;

    fn received(hours_ago: u64) -> Event {
        let received_at = NOW - Duration::from_secs(hours_ago * 3600);
        Event::of_ours(About::Tenant(TenantId(Uuid::nil())), EventKind::Escalated, received_at)
    }

    fn later(counted: Counted) -> Verdict {
        Verdict::Later { at: NOW, counted, why: "Auth0 is away".into(), pause_until: None }
    }

    fn comes_again(verdict: &Verdict, event: &Event, attempt: u32) -> Option<u32> {
        match ending(verdict, event, attempt, ATTEMPTS_MAX, NOW) {
            Ending::Settled(Settlement::Later { attempt, .. }) => Some(attempt),
            Ending::Settled(Settlement::Done | Settlement::Return) => panic!("it is settled"),
            Ending::GivenUp(_) => None,
        }
    }

    #[test]
    fn an_event_is_given_up_by_its_own_age_whomever_it_was_looked_at_with() {
        let verdict = later(Counted::No);
        let [old, fresh] = [received(73), received(1)].map(|event| comes_again(&verdict, &event, 1));
        assert_eq!((old, fresh), (None, Some(1)));
    }

    #[test]
    fn what_was_replayed_has_its_time_anew() {
        let replayed = |hours_ago: u64| {
            let enqueued_at = NOW - Duration::from_secs(hours_ago * 3600);
            Event { enqueued_at: Some(enqueued_at), ..received(200) }
        };
        assert_eq!(comes_again(&later(Counted::No), &replayed(1), 1), Some(1));
        assert_eq!(comes_again(&later(Counted::No), &replayed(73), 1), None);
    }

    #[test]
    fn waiting_for_the_proof_costs_neither_an_attempt_nor_the_event() {
        assert_eq!(comes_again(&later(Counted::ForProof), &received(73), ATTEMPTS_MAX), Some(ATTEMPTS_MAX));
    }

    #[test]
    fn what_fails_by_its_own_fault_has_so_many_attempts() {
        assert_eq!(comes_again(&later(Counted::Yes), &received(1), ATTEMPTS_MAX - 1), Some(ATTEMPTS_MAX));
        assert_eq!(comes_again(&later(Counted::Yes), &received(1), ATTEMPTS_MAX), None);
    }
}
