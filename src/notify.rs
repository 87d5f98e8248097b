//! Telling people: what is said ([`text`]), and how it gets there ([`slack`], [`mail`], [`ticket`]). Each way is a channel
//! of its own.
//!
//! A [`Notifier`] makes one attempt at a time and keeps nothing between attempts: what is owed, what was posted and when
//! to try again is the worker's outbox. All its methods may be called from many tasks at once, wait at most the
//! default [`crate::outbound::Timeouts`], and answer a failure with [`Error::what_now`] and with whether the message may have
//! been posted all the same ([`Error::certainty`]). Nothing here decides *whether* people are told.

pub mod mail;
pub mod message;
pub mod slack;
pub mod text;
pub mod ticket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::outbound::{Deps, SetupError, Timeouts, Trouble};
use crate::policy::notify::Channel;
use crate::retry::WhatNow;

pub use message::{Message, Severity, Tag};

/// Where to tell people; nowhere is allowed, and said at start.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub slack: Option<slack::Settings>,
    pub mail: Option<mail::Settings>,
    pub ticket: Option<ticket::Settings>,
}

/// One way to tell people.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Which way this is; its word is the name under which the store keeps what is owed.
    fn channel(&self) -> Channel;

    /// How a newer version of something already told reaches people.
    fn follow_up(&self) -> FollowUp;

    /// How long a post may be under way: until then nobody knows what becomes of one whose sender was killed.
    fn answers_within(&self) -> Duration {
        Timeouts::default().total
    }

    /// Says it anew. The handle changes the message later; `None` when there is no such thing.
    async fn post(&self, message: &Message) -> Result<Option<Handle>, Error>;

    /// Replaces what was said under `handle`. Repeating it is harmless.
    async fn update(&self, handle: &Handle, message: &Message) -> Result<(), Error>;

    /// Looks whether a message about `tag`'s topic was posted after `since`, in any version.
    async fn find(&self, tag: &Tag, since: Timestamp) -> Result<Option<Found>, Error>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUp {
    /// The message is changed in place.
    Update,
    /// What was said stays; news is a message of its own.
    NewMessage,
}

/// The vendor's name of a posted message, as the store keeps it (Slack: `channel/ts`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    /// Any text; a notifier that cannot make sense of it answers [`Error::Gone`].
    pub fn new(text: impl Into<String>) -> Handle {
        Handle(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of ours that was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub handle: Handle,
    /// The version it says.
    pub version: u64,
}

/// Why people could not be told. Never carries a token, a webhook's URL or the text of a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our credentials, our rights or the address: only a person can mend it. `advice` says where to look.
    #[error("refused with `{word}`: {advice}")]
    Refused { word: Word, advice: &'static str },
    /// Not now, says the server, and surely not taken.
    #[error("put off (`{0}`)")]
    PutOff(Word),
    /// The message itself; the same message will be refused again.
    #[error("the message was refused with `{word}`{}", pointer.as_ref().map(|p| format!(" at {p}")).unwrap_or_default())]
    Unfit { word: Word, pointer: Option<String> },
    /// The message to change is not there any more, or may not be changed any more.
    #[error("the posted message cannot be changed any more (`{0}`)")]
    Gone(Word),
    #[error("asked to wait until {0}")]
    Throttled(Timestamp),
    /// The way there or back: nothing was sent, or the reply was lost.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The vendor failed half-way: "some aspect of the operation may have succeeded".
    #[error("the vendor failed (`{0}`)")]
    Failed(Word),
    /// This way of telling, or this token, cannot do that at all.
    #[error("cannot {0}")]
    Unsupported(&'static str),
}

/// Whether the message may have been posted although the attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    NotPosted,
    Unknown,
}

impl Error {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Error::Refused { .. } => WhatNow::AskHuman,
            Error::Unfit { .. } | Error::Gone(_) | Error::Unsupported(_) => WhatNow::GiveUp,
            Error::Throttled(until) => WhatNow::RetryAt(*until),
            Error::Trouble(_) | Error::Failed(_) | Error::PutOff(_) => WhatNow::BackOff,
        }
    }

    pub fn certainty(&self) -> Certainty {
        match self {
            Error::Trouble(Trouble::NotSent(_)) => Certainty::NotPosted,
            Error::Trouble(_) | Error::Failed(_) => Certainty::Unknown,
            _ => Certainty::NotPosted,
        }
    }
}

/// A vendor's error word or HTTP status, bounded, so that it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// The longest error word known has 40 characters.
    const CHARS_MAX: usize = 64;

    /// Keeps what looks like an error word; anything else could be a page of a proxy or a name.
    pub fn read(text: &str) -> Word {
        let looks = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        match !text.is_empty() && text.len() <= Word::CHARS_MAX && text.chars().all(looks) {
            true => Word(text.to_owned()),
            false => Word("unreadable".to_owned()),
        }
    }

    pub fn status(status: u16) -> Word {
        Word(format!("status_{status}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the notifiers that the settings name, each with a channel of its own.
///
/// # Errors
/// When an address is neither HTTPS nor on this machine.
pub fn connect(settings: &Settings, deps: &Deps) -> Result<Vec<Arc<dyn Notifier>>, SetupError> {
    let mut notifiers: Vec<Arc<dyn Notifier>> = Vec::new();
    if let Some(slack) = &settings.slack {
        notifiers.push(slack::connect(slack, deps)?);
    }
    if let Some(mail) = &settings.mail {
        notifiers.push(Arc::new(mail::Mail::new(mail, deps)?));
    }
    if let Some(ticket) = &settings.ticket {
        notifiers.push(Arc::new(ticket::Webhook::new(ticket, deps)?));
    }
    Ok(notifiers)
}
