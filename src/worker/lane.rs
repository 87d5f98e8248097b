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
use crate::clock;
use crate::event::{Event, Lane};
use crate::queue::{Body, Delivery, Receipt, Settlement};
use crate::store::DeadLetter;

/// How long looks that have begun may take to finish after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait before the queue is asked again after it failed.
const QUEUE_AGAIN: Duration = Duration::from_millis(500);
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
        let InHand { receipt, attempt, event } = in_hand;
        let (source, kind) = (event.source.word(), event.kind.word());
        let metrics = self.looker.deps.metrics.clone();
        match verdict {
            Verdict::Done => {
                metrics.event(source, kind, "worked");
                end_lease(&self.looker, receipt, Settlement::Done).await;
            }
            Verdict::Later { counted: Counted::Yes, why, .. } if attempt >= self.attempts_max => {
                let why = format!("given up after {attempt} attempts: {why}");
                metrics.event(source, kind, "dead");
                let letter = dead::given_up(&event, why, attempt, self.looker.deps.clock.now());
                self.bury(letter, receipt, attempt);
            }
            Verdict::Later { at, counted, .. } => {
                let attempt = match counted {
                    Counted::Yes => attempt + 1,
                    Counted::No => attempt,
                };
                end_lease(&self.looker, receipt, Settlement::Later { at: *at, attempt }).await;
            }
            Verdict::Dead { why } => {
                metrics.event(source, kind, "dead");
                let letter = dead::given_up(&event, why.clone(), attempt, self.looker.deps.clock.now());
                self.bury(letter, receipt, attempt);
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
