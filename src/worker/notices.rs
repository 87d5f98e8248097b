//! The outbox: what is owed to people, delivered once, however often it is tried.
//!
//! The worker writes what it owes in the transaction that changes the case; this loop takes it from there, so a vendor
//! that is down delays no action and loses no message. Promises:
//! * One message per topic. A post leaves only after the store knows that it is about to; if its outcome is unknown
//!   (lost reply, crash), the vendor is asked for the message before it is posted again.
//! * What is said is always the case's newest state: versions in between may be skipped, and one topic is handled by one
//!   attempt at a time, so an older version never replaces a newer one; should that happen all the same (a process that was
//!   frozen with its request in hand), the newest is told again.
//! * Nothing owed is dropped: a refusal that only a person can mend is retried slowly for ever, logged once, and told on
//!   the other channels once a day.
//! * Where the vendor can neither update nor look ([`FollowUp::NewMessage`]), news is told by stage, and a message whose
//!   outcome is unknown is sent again: twice is better than never.
//!
//! One loop tells on one channel; several run side by side on one store, and nothing that goes wrong on one channel reaches
//! another: what is due, who has taken it, the vendor's patience and the trouble are all kept by channel.
//!
//! Topics are delivered side by side. Several processes may run it on one store: who takes a notice first tells it, and
//! whatever has taken it and died lets go of it after [`Notifier::answers_within`]. It decides no wording and writes to nothing but the
//! outbox.

mod deliver;
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, SharedClock, Timestamp};
use crate::notify::{FollowUp, Notifier};
use crate::policy::Policy;
use crate::policy::notify::Channel;
use crate::store::{Notice, Store, Topic};

use deliver::{Ended, Report};
use pace::{Call, Paces};

/// Attempts under way at a time: enough to fill Slack's rate through a slow minute, few enough to be no burst.
const IN_HAND_MAX: usize = 8;
/// Owed notices read at a time; what is held back by pacing must not hide what could go.
const DUE_MAX: u32 = 256;
/// How often the store is asked when nobody pokes; also how late a retry may be.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A message is changed at most this often; states in between are skipped. `chat.update` is tier 3, 50 a minute
/// (docs.slack.dev/apis/web-api/rate-limits).
const SAME_MESSAGE_EVERY: Duration = Duration::from_secs(1);
/// How long one topic rests after the store failed in the middle of it.
const STORE_FAILED_REST: Duration = Duration::from_secs(5);

/// What the loop works with.
pub struct Deps {
    pub store: Arc<dyn Store>,
    pub notifier: Arc<dyn Notifier>,
    pub clock: SharedClock,
    pub poke: Poke,
    /// What is told where.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// The other channels: where people are told that this one refuses.
    pub others: Vec<Channel>,
}

/// Wakes the loops after something new is owed: each of them, however many there are. A missed poke costs a second,
/// nothing else.
#[derive(Debug, Clone, Default)]
pub struct Poke(watch::Sender<()>);

impl Poke {
    pub fn poke(&self) {
        self.0.send_replace(());
    }

    fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Delivers what is owed until `shutdown`, then waits for the attempts that have left. Dropping it at any point is
/// safe: it is what a crash does.
pub async fn run(deps: Deps, shutdown: CancellationToken) {
    let deps = Arc::new(deps);
    let mut outbox = Outbox::default();
    let mut poked = deps.poke.listen();
    // Tasks of their own, not futures of this one: an attempt that has been given the store's last reader must go on
    // while this loop waits for one.
    let mut attempts = JoinSet::new();
    while !shutdown.is_cancelled() {
        let (ready, look_again) = outbox.take_due(&deps).await;
        for notice in ready {
            let deps = deps.clone();
            attempts.spawn(async move { deliver::deliver(&deps, notice).await });
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = poked.changed() => {}
            () = tokio::time::sleep(look_again) => {}
            Some(ended) = attempts.join_next() => outbox.settle(report(ended), &deps),
        }
    }
    while let Some(ended) = attempts.join_next().await {
        outbox.settle(report(ended), &deps);
    }
}

/// A panic in an attempt is one of this loop: its topic would otherwise stay in hand for ever.
fn report(ended: Result<Report, JoinError>) -> Report {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// What the loop remembers between rounds; losing it costs nothing but pace.
#[derive(Default)]
struct Outbox {
    in_hand: BTreeSet<Topic>,
    /// Topics that rest until then: just told, or the store failed on them. At most as many as were touched lately.
    resting: BTreeMap<Topic, Timestamp>,
    paces: Paces,
    /// What was last logged as wrong, so that a day of the same trouble is one line.
    trouble: Option<String>,
}

impl Outbox {
    /// The notices to deliver now, and how long the rest may wait at most.
    async fn take_due(&mut self, deps: &Deps) -> (Vec<Notice>, Duration) {
        let now = deps.clock.now();
        self.resting.retain(|_, until| *until > now);
        if self.in_hand.len() >= IN_HAND_MAX {
            return (Vec::new(), LOOK_EVERY);
        }
        let due = match deps.store.due_notices(deps.notifier.channel().word(), now, DUE_MAX).await {
            Ok(due) => due,
            Err(error) => {
                self.note_trouble(
                    deps.notifier.channel().word(),
                    &anyhow::Error::new(error).context("what is owed to people cannot be read"),
                );
                return (Vec::new(), LOOK_EVERY);
            }
        };
        self.choose(due, deps, now)
    }

    fn choose(&mut self, due: Vec<Notice>, deps: &Deps, now: Timestamp) -> (Vec<Notice>, Duration) {
        let mut chosen = Vec::new();
        let mut wake_at = clock::after(now, LOOK_EVERY);
        for notice in due {
            if self.in_hand.len() >= IN_HAND_MAX {
                break;
            }
            if self.in_hand.contains(&notice.topic) {
                continue;
            }
            match self.held_until(&notice, deps, now) {
                Some(until) => wake_at = wake_at.min(until),
                None => {
                    self.in_hand.insert(notice.topic.clone());
                    chosen.push(notice);
                }
            }
        }
        (chosen, clock::elapsed(now, wake_at))
    }

    /// Until when `notice` must wait for its own last message or for the vendor's patience.
    fn held_until(&mut self, notice: &Notice, deps: &Deps, now: Timestamp) -> Option<Timestamp> {
        // How long a notice stays with whoever took it, when nobody knows what became of what left: it may still be under
        // way. A look that comes too early would make a second message, a change that comes too early might be changed back.
        // A killed process leaves requests behind that are carried out after its successor has started.
        let look_after = deps.notifier.answers_within();
        let in_doubt = notice.sending_since.map(|since| clock::after(since, look_after));
        let own = self.resting.get(&notice.topic).copied().max(in_doubt);
        if own.is_some_and(|until| until > now) {
            return own;
        }
        let call = first_call(notice, deps.notifier.follow_up());
        self.paces.admit(call, now).err()
    }

    fn settle(&mut self, report: Report, deps: &Deps) {
        let channel = deps.notifier.channel().word();
        self.in_hand.remove(&report.topic);
        match report.ended {
            Ended::Told { at } => {
                self.resting.insert(report.topic, clock::after(at, SAME_MESSAGE_EVERY));
                self.trouble_is_over(channel);
            }
            Ended::NothingToTell | Ended::InOtherHands => {}
            Ended::Throttled { call, until } => self.paces.throttled(call, until),
            Ended::Failed(error) => self.note_trouble(channel, &error),
            Ended::StoreFailed(error) => {
                self.resting.insert(report.topic, clock::after(deps.clock.now(), STORE_FAILED_REST));
                self.note_trouble(channel, &error);
            }
        }
    }

    fn note_trouble(&mut self, channel: &str, error: &anyhow::Error) {
        let words = format!("{error:#}");
        if self.trouble.as_ref() != Some(&words) {
            tracing::warn!(channel, error = words, "people cannot be told; it stays owed and is tried again");
            self.trouble = Some(words);
        }
    }

    fn trouble_is_over(&mut self, channel: &str) {
        if self.trouble.take().is_some() {
            tracing::info!(channel, "people can be told again");
        }
    }
}

/// The request that delivering `notice` begins with.
fn first_call(notice: &Notice, follow_up: FollowUp) -> Call {
    match (notice.sending_since, &notice.handle, follow_up) {
        (_, Some(_), FollowUp::Update) => Call::Update,
        (Some(_), None, FollowUp::Update) => Call::Look,
        _ => Call::Post,
    }
}
