//! What must be remembered: cases, links, the audit chain, notices still owed, delivery ids, dead letters; of every
//! person what was proven last; notes for the next life of a task, and leases that say which process does it.
//!
//! One trait, SQLite now; written so that PostgreSQL is a second implementation of the same thing
//! (`tests/it/conformance/store.rs` is the suite). Every method is one transaction, durable when it returns, and may be
//! called from many tasks at once. The audit is append-only: numbering and hashing happen inside the transaction.

pub mod sqlite;

use async_trait::async_trait;

use crate::audit::{Entry, Hash};
use crate::case::{AccountId, Case, CaseId};
use crate::clock::Timestamp;
use crate::event::{EventId, Lane, ObjectId, Subject};
use crate::retry::WhatNow;
use crate::snapshot::sync::Remembered;

#[async_trait]
pub trait Store: Send + Sync + 'static {
    async fn case(&self, id: CaseId) -> Result<Option<Case>, Error>;
    /// The one open case of a person.
    async fn open_case(&self, subject: Subject) -> Result<Option<Case>, Error>;
    /// The newest case of a person in which nothing was done.
    async fn last_not_acted_case(&self, subject: Subject) -> Result<Option<Case>, Error>;
    /// The released cases of a person, newest first, at most `limit`.
    async fn released_cases(&self, subject: Subject, limit: u32) -> Result<Vec<Case>, Error>;
    /// Newest first, at most `limit`.
    async fn cases(&self, which: WhichCases, limit: u32) -> Result<Vec<Case>, Error>;
    /// Cases opened or escalated since `since` whose response blocks, other than those of `except`.
    async fn blocking_cases_since(&self, since: Timestamp, except: Subject) -> Result<u32, Error>;
    /// Saves a case with its audit entries and what is owed to people, all or nothing.
    /// [`Error::Conflict`] when the stored version is not `case.version - 1` (a new case has version 1), or when the
    /// person has another open case.
    async fn save_case(&self, save: SaveCase) -> Result<(), Error>;

    async fn links(&self, subject: Subject) -> Result<Vec<AccountId>, Error>;
    /// Adds to the link index; what is known already stays.
    async fn add_links(&self, subject: Subject, accounts: Vec<AccountId>) -> Result<(), Error>;
    async fn remove_link(&self, subject: Subject, account: AccountId) -> Result<(), Error>;

    /// What is remembered of a person.
    async fn person(&self, subject: Subject) -> Result<Option<Remembered>, Error>;
    /// Saves what is remembered of a person with its audit entries, what is owed to people and the links that were found
    /// or are gone, all or nothing. What is known already is not written again. The last save wins.
    async fn save_person(&self, save: SavePerson) -> Result<(), Error>;
    /// Forgets a person and records who and why; of nobody known nothing is recorded. The link index stays as it is.
    async fn forget_person(&self, subject: Subject, entries: Vec<Entry>) -> Result<(), Error>;
    /// People who were in `group` at their last look, in their own order, those after `after`, at most `limit`.
    async fn people_in(
        &self,
        group: ObjectId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Subject>, Error>;
    /// Everybody of whom something is remembered, page by page like [`Store::people_in`].
    async fn people_known(&self, after: Option<Subject>, limit: u32) -> Result<Vec<Subject>, Error>;
    /// People who must be looked at again by `now`, whom it was promised for longest first.
    async fn people_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Subject>, Error>;
    /// People about whom somebody should know something, page by page like [`Store::people_in`].
    async fn people_with_findings(
        &self,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Remembered>, Error>;
    async fn people_count(&self) -> Result<u64, Error>;

    /// What a task wrote down for its next run: a delta link, a policy's fingerprint, a role's id.
    async fn note(&self, name: &str) -> Result<Option<String>, Error>;
    /// Writes several notes, all or nothing; `None` takes one away.
    async fn set_notes(&self, notes: Vec<(String, Option<String>)>) -> Result<(), Error>;
    async fn set_note(&self, name: &str, text: Option<String>) -> Result<(), Error> {
        self.set_notes(vec![(name.to_owned(), text)]).await
    }

    /// Whether the lease is `holder`'s until `until`: it was free, expired by `now`, or `holder`'s already. Of several
    /// processes that try at the same time one gets it.
    async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error>;
    /// Lets go of a lease; somebody else's stays.
    async fn drop_lease(&self, name: &str, holder: &str) -> Result<(), Error>;

    /// Appends to the audit.
    async fn record(&self, entries: Vec<Entry>) -> Result<(), Error>;
    /// Stored records after number `after`, in order, at most `limit`.
    async fn records(&self, after: u64, limit: u32) -> Result<Vec<StoredRecord>, Error>;
    /// How many records the head says there are.
    async fn audit_head(&self) -> Result<u64, Error>;

    /// Notices that are owed on `channel` and due at `now`, oldest first. What piles up on one channel hides nothing of
    /// another.
    async fn due_notices(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<Notice>, Error>;
    /// Adds or renews what is owed outside a case (the brake, an unreadable policy). The same topic is owed once.
    async fn owe(&self, owed: Vec<Owed>) -> Result<(), Error>;
    /// Takes a notice before anything about it leaves: after a crash nobody knows what became of that. `handle` is what
    /// still stands meanwhile, none when a message of its own leaves. `false`, and nothing is changed, when somebody else has
    /// taken the notice since it was read. Whoever has it goes on with `sending_since` and `handle` as they are now.
    async fn notice_sending(
        &self,
        notice: &Notice,
        at: Timestamp,
        handle: Option<String>,
    ) -> Result<bool, Error>;
    /// Records that `version` was delivered as `handle` (the vendor's message id), and lets go of the notice. Whoever answers
    /// so late that another has taken it or told a newer version leaves it taken, and the newest is owed again: nobody knows
    /// who was the last to be heard.
    async fn notice_sent(&self, notice: &Notice, version: u64, handle: Option<String>) -> Result<(), Error>;
    /// Puts the next try to `next_at`. [`PostOutcome::Unknown`] keeps the mark of [`Store::notice_sending`]. Of a notice that
    /// another has taken meanwhile nothing is changed.
    async fn notice_failed(&self, notice: &Notice, failed: NoticeFailed) -> Result<(), Error>;

    /// Webhook delivery ids seen lately, to refuse replays across a restart. Old ones may be dropped at will.
    async fn remember_deliveries(
        &self,
        seen: Vec<SeenDelivery>,
        forget_before: Timestamp,
    ) -> Result<(), Error>;
    async fn deliveries_since(&self, since: Timestamp, limit: u32) -> Result<Vec<SeenDelivery>, Error>;

    /// Writes a dead letter down; the same event is there once, with the newest reason.
    async fn bury(&self, letter: DeadLetter) -> Result<(), Error>;
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, Error>;
    async fn dead_letter(&self, id: EventId) -> Result<Option<DeadLetter>, Error>;
    /// Removes a dead letter (after it was enqueued again, or because a person dropped it) and records who and why.
    async fn remove_dead_letter(&self, id: EventId, entry: Entry) -> Result<(), Error>;
    async fn dead_letter_counts(&self) -> Result<Vec<(Lane, u64)>, Error>;

    /// Whether a write would succeed now.
    async fn ready(&self) -> Result<(), Error>;
}

/// What every store is told.
#[derive(Debug, Clone)]
pub enum Settings {
    Sqlite(sqlite::Settings),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichCases {
    Open,
    All,
}

/// One save of a case.
#[derive(Debug, Clone)]
pub struct SaveCase {
    pub case: Case,
    pub audit: Vec<Entry>,
    /// Owed to people for this version; empty when nothing changed for them.
    pub owed: Vec<Owed>,
    /// Accounts now known to belong to the person.
    pub links: Vec<AccountId>,
}

/// One save of what is remembered of a person.
#[derive(Debug, Clone)]
pub struct SavePerson {
    pub person: Remembered,
    pub audit: Vec<Entry>,
    pub owed: Vec<Owed>,
    /// Accounts now known to belong to the person.
    pub links: Vec<AccountId>,
    /// Accounts that are no longer there; one that is also among `links` stays.
    pub gone_links: Vec<AccountId>,
}

/// Something people must be told, once per topic and channel, updated when a newer version is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub topic: Topic,
    /// The notifier's name: `slack`, `mail`, `ticket`.
    pub channel: String,
    pub version: u64,
    /// The text of a notice without a case; a case's text is made from the case when it is sent.
    pub text: Option<String>,
    pub due_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Case(CaseId),
    /// A notice of its own, by a key that makes it unique (`brake/2026-03-02T08:00:00Z`).
    Notice(String),
}

/// A row of what is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub topic: Topic,
    pub channel: String,
    pub owed_version: u64,
    pub sent_version: u64,
    /// The vendor's message id once posted (Slack: `channel/ts`).
    pub handle: Option<String>,
    /// Set while something may have left without its outcome being known: a change of the message where there is a handle,
    /// else a message of its own.
    pub sending_since: Option<Timestamp>,
    pub attempts: u32,
    pub text: Option<String>,
    /// When the owed version came about.
    pub owed_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeFailed {
    pub next_at: Timestamp,
    /// Without secrets; shown to operators.
    pub why: String,
    pub outcome: PostOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostOutcome {
    /// What left surely was not carried out.
    NotPosted,
    /// It may have been, or still be: nothing leaves before that is over, and a post is looked for.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDelivery {
    /// SHA-256 of source and delivery id, first 16 bytes.
    pub id: [u8; 16],
    /// The sender's signed timestamp of the attempt that was accepted.
    pub signed_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: EventId,
    pub lane: Lane,
    /// The envelope as it lay on the queue.
    pub envelope: Vec<u8>,
    pub reason: String,
    pub attempts: u32,
    pub died_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub number: u64,
    pub entry: Vec<u8>,
    pub hash: Hash,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("somebody else changed the case first")]
    Conflict,
    #[error("the store's disk is full")]
    Full(#[source] anyhow::Error),
    #[error("the store cannot be used")]
    Unavailable(#[source] anyhow::Error),
    #[error("the store holds something that this program cannot read: {0}")]
    Unreadable(String),
}

impl Error {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Error::Conflict | Error::Full(_) | Error::Unavailable(_) => WhatNow::BackOff,
            Error::Unreadable(_) => WhatNow::AskHuman,
        }
    }
}
