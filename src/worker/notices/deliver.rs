//! One attempt at one notice: what to say, whether it was said already, say it, write down how it ended.

use std::time::Duration;

use anyhow::Context;

use super::Deps;
use super::pace::Call;
use crate::clock::{self, SignedDuration, Timestamp};
use crate::notify::text::{self, Stage};
use crate::notify::{Certainty, Error, FollowUp, Handle, Message};
use crate::outbound::Trouble;
use crate::retry::{BackOff, WhatNow};
use crate::store::{Notice, NoticeFailed, PostOutcome, Topic};
use crate::worker::record::news::Channels;

/// The vendor or the network is in trouble.
const TROUBLE: BackOff = BackOff { first: Duration::from_secs(1), most: Duration::from_secs(60) };
/// Nobody knows whether it was said, and who is told by messages alone cannot look: said again it may come twice, so it is
/// said ever more rarely.
const IN_DOUBT: BackOff = BackOff { first: Duration::from_secs(1), most: Duration::from_secs(600) };
/// Only a person can mend it: look now and then whether somebody has.
const REFUSED: BackOff = BackOff { first: Duration::from_secs(30), most: Duration::from_secs(300) };
/// How far the vendor's clock and ours may differ when looking for a message by its time.
const CLOCKS_DIFFER_MAX: SignedDuration = SignedDuration::from_secs(300);

/// How one attempt ended, for the loop.
pub(super) struct Report {
    pub topic: Topic,
    pub ended: Ended,
}

pub(super) enum Ended {
    Told {
        at: Timestamp,
    },
    /// The newest state is one that this notifier does not tell apart from what was said.
    NothingToTell,
    /// Another process has taken it since it was read.
    InOtherHands,
    Throttled {
        call: Call,
        until: Timestamp,
    },
    Failed(anyhow::Error),
    StoreFailed(anyhow::Error),
}

/// Delivers `notice` in the newest version of its topic and records the outcome.
pub(super) async fn deliver(deps: &Deps, notice: Notice) -> Report {
    let topic = notice.topic.clone();
    let ended = match attempt(deps, notice).await {
        Ok(ended) => ended,
        Err(error) => Ended::StoreFailed(error),
    };
    Report { topic, ended }
}

/// `Err` is the store's: nothing more can be written down.
async fn attempt(deps: &Deps, mut notice: Notice) -> anyhow::Result<Ended> {
    let news = news(deps, &notice).await?;
    // A change of a message is made again; only a post must be looked for. Who cannot update keeps no real handle.
    let posted = notice.handle.is_none() || deps.notifier.follow_up() == FollowUp::NewMessage;
    if let Some(since) = notice.sending_since.filter(|_| posted) {
        match look(deps, &mut notice, &news, since).await? {
            Looked::SaidAlready => return Ok(Ended::Told { at: deps.clock.now() }),
            Looked::GoOn => {}
            Looked::Failed(error) => return failed(deps, &notice, Call::Look, error).await,
        }
    }
    match (deps.notifier.follow_up(), notice.handle.clone()) {
        (FollowUp::Update, Some(handle)) => update(deps, notice, &news, Handle::new(handle)).await,
        (FollowUp::NewMessage, Some(told)) if !is_news(&news, &told) => {
            record(deps, &notice, news.tag.version, Some(told)).await?;
            Ok(Ended::NothingToTell)
        }
        _ => post(deps, notice, &news).await,
    }
}

async fn news(deps: &Deps, notice: &Notice) -> anyhow::Result<Message> {
    let now = deps.clock.now();
    match &notice.topic {
        Topic::Case(id) => {
            let case = deps.store.case(*id).await.context("the case to tell about cannot be read")?;
            let case = case.with_context(|| format!("{id} is owed to people and not in the store"))?;
            Ok(text::case(&case, now))
        }
        Topic::Notice(key) => {
            let sentence = notice.text.as_deref().unwrap_or(key);
            Ok(text::notice(key, notice.owed_version, sentence, notice.owed_at))
        }
    }
}

enum Looked {
    SaidAlready,
    GoOn,
    Failed(Error),
}

/// After a lost reply or a crash: adopts the message if it is there.
async fn look(deps: &Deps, notice: &mut Notice, news: &Message, since: Timestamp) -> anyhow::Result<Looked> {
    let since = since.saturating_sub(CLOCKS_DIFFER_MAX).unwrap_or(since);
    let tag = &news.tag;
    let found = match deps.notifier.find(tag, since).await {
        Ok(Some(found)) => found,
        // Who cannot look must choose: a message twice is better than none.
        Ok(None) | Err(Error::Unsupported(_)) => return Ok(Looked::GoOn),
        Err(error) => return Ok(Looked::Failed(error)),
    };
    record(deps, notice, found.version, Some(found.handle.to_string())).await?;
    notice.handle = Some(found.handle.to_string());
    (notice.sent_version, notice.sending_since) = (found.version, None);
    Ok(if found.version >= tag.version { Looked::SaidAlready } else { Looked::GoOn })
}

async fn update(deps: &Deps, mut notice: Notice, news: &Message, handle: Handle) -> anyhow::Result<Ended> {
    let stands = notice.handle.clone();
    if !take(deps, &mut notice, stands.clone()).await? {
        return Ok(Ended::InOtherHands);
    }
    let mut ended = deps.notifier.update(&handle, news).await;
    if let Err(error @ Error::Unfit { .. }) = &ended {
        say_unfit(&notice, error);
        if !take(deps, &mut notice, stands).await? {
            return Ok(Ended::InOtherHands);
        }
        ended = deps.notifier.update(&handle, &news.plain()).await;
    }
    match ended {
        Ok(()) => told(deps, &notice, news, handle.to_string()).await,
        Err(Error::Gone(_) | Error::Unsupported(_)) => post(deps, notice, news).await,
        Err(error) => failed(deps, &notice, Call::Update, error).await,
    }
}

async fn post(deps: &Deps, mut notice: Notice, news: &Message) -> anyhow::Result<Ended> {
    // What stands in a handle's place where nothing can be updated still says what was told.
    let stands = notice.handle.clone().filter(|_| deps.notifier.follow_up() == FollowUp::NewMessage);
    if !take(deps, &mut notice, stands.clone()).await? {
        return Ok(Ended::InOtherHands);
    }
    let mut ended = deps.notifier.post(news).await;
    if let Err(error @ Error::Unfit { .. }) = &ended {
        say_unfit(&notice, error);
        if !take(deps, &mut notice, stands).await? {
            return Ok(Ended::InOtherHands);
        }
        ended = deps.notifier.post(&news.plain()).await;
    }
    match ended {
        Ok(handle) => {
            let handle = handle.map_or_else(|| what_was_told(news), |handle| handle.to_string());
            told(deps, &notice, news, handle).await
        }
        Err(error) => failed(deps, &notice, Call::Post, error).await,
    }
}

/// Before each request, so that each has the whole time for which a notice stays with whoever took it.
async fn take(deps: &Deps, notice: &mut Notice, stands: Option<String>) -> anyhow::Result<bool> {
    let at = deps.clock.now();
    let taken = deps.store.notice_sending(notice, at, stands.clone()).await;
    let taken = taken.context("that a message is about to leave cannot be written down")?;
    (notice.sending_since, notice.handle) = (Some(at), stands);
    Ok(taken)
}

async fn told(deps: &Deps, notice: &Notice, news: &Message, handle: String) -> anyhow::Result<Ended> {
    let at = deps.clock.now();
    record(deps, notice, news.tag.version, Some(handle)).await?;
    Ok(Ended::Told { at })
}

async fn record(deps: &Deps, notice: &Notice, version: u64, handle: Option<String>) -> anyhow::Result<()> {
    let recorded = deps.store.notice_sent(notice, version, handle).await;
    recorded.context("that a message was delivered cannot be written down")
}

async fn failed(deps: &Deps, notice: &Notice, call: Call, error: Error) -> anyhow::Result<Ended> {
    let now = deps.clock.now();
    let is_in_doubt = deps.notifier.follow_up() == FollowUp::NewMessage
        && matches!(error, Error::Trouble(Trouble::NoReply(_)));
    let trouble = if is_in_doubt { IN_DOUBT } else { TROUBLE };
    let next_at = next_try(error.what_now(), trouble, notice.attempts, now);
    let failure = NoticeFailed { next_at, why: error.to_string(), outcome: outcome(call, &error) };
    let written = deps.store.notice_failed(notice, failure).await;
    written.context("that a message could not be delivered cannot be written down")?;
    if error.what_now() == WhatNow::AskHuman {
        tell_elsewhere(deps, &error, now).await?;
    }
    Ok(match error {
        Error::Throttled(until) => Ended::Throttled { call, until },
        error => Ended::Failed(anyhow::Error::new(error).context(deps.notifier.channel().word())),
    })
}

/// Whoever relies on this channel alone would never know that it is shut.
async fn tell_elsewhere(deps: &Deps, error: &Error, now: Timestamp) -> anyhow::Result<()> {
    let policy = deps.policy.borrow().clone();
    let day = now.as_second() / (24 * 3600);
    let channel = deps.notifier.channel().word();
    let text = format!(
        "People cannot be told by {channel}: {error}. What is owed there stays owed and is tried again every few minutes. \
         Next: mend it; `lockstep doctor` tries a mail server."
    );
    let others = Channels { set_up: &deps.others, policy: &policy.notify };
    let owed = others.page(format!("channel/{channel}/{day}"), &text, now);
    if owed.is_empty() {
        return Ok(());
    }
    let owed = deps.store.owe(owed).await;
    owed.context("that a channel refuses cannot be owed to another")?;
    deps.poke.poke();
    Ok(())
}

fn next_try(what_now: WhatNow, trouble: BackOff, attempts: u32, now: Timestamp) -> Timestamp {
    let wait = |back_off: BackOff| back_off.delay(attempts.saturating_add(1), fastrand::f64());
    match what_now {
        WhatNow::RetryAt(at) => at,
        WhatNow::BackOff | WhatNow::TryAgain => clock::after(now, wait(trouble)),
        // A message that is refused even in plain words is our mistake: the next version may fare better.
        WhatNow::AskHuman | WhatNow::GiveUp => clock::after(now, wait(REFUSED)),
    }
}

/// Whether something that left may have been carried out, or still be. A failed look proves nothing.
fn outcome(call: Call, error: &Error) -> PostOutcome {
    match (call, error.certainty()) {
        (Call::Look, _) | (_, Certainty::Unknown) => PostOutcome::Unknown,
        (Call::Update | Call::Post, Certainty::NotPosted) => PostOutcome::NotPosted,
    }
}

fn say_unfit(notice: &Notice, error: &Error) {
    let channel = notice.channel.as_str();
    tracing::warn!(channel, topic = ?notice.topic, %error, "told in plain words instead");
}

/// What a notifier without handles keeps in the handle's place. It tells a case's stages apart, and every version of
/// anything else.
fn what_was_told(news: &Message) -> String {
    match news.stage {
        Some(stage) => format!("told/{}", stage.word()),
        None => format!("told/{}", news.tag.version),
    }
}

/// The way from requested to accepted is not worth a second message; how it ended is.
fn is_news(news: &Message, told: &str) -> bool {
    !news.stage.is_some_and(Stage::is_passing) && what_was_told(news) != told
}
