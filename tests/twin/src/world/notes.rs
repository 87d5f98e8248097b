//! What the vendor remembers about its calls and nobody reads by the API: writes by account and kind, mails that left,
//! tickets that were made, profiles that are too big.

use super::World;
use super::accounts::AccountId;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// A kind of write that one account has received over HTTP. What hands do in the dashboard is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    Created,
    /// `PATCH /users/{id}`.
    Updated,
    Deleted,
    /// Something was linked into this account, or unlinked from it.
    Linked,
    RolesGranted,
    RolesRevoked,
    Joined,
    Left,
    MemberRolesGranted,
    MemberRolesRevoked,
    /// `POST`, `PUT` and `PATCH` of SCIM.
    Scim,
    /// Sessions, refresh tokens, grants and the like.
    AccessEnded,
    Ticket,
}

/// Why a mail left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailKind {
    /// Verify your address.
    Verification,
    /// Choose a password.
    PasswordChange,
    /// Enrol a second factor.
    Enrolment,
}

/// A mail that Auth0 has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub kind: MailKind,
    pub to: String,
    pub account: AccountId,
    pub sent: Timestamp,
}

/// What a ticket is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketKind {
    PasswordChange,
    EmailVerification,
    Enrolment,
}

/// A ticket that Auth0 has handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub kind: TicketKind,
    pub account: AccountId,
    /// What the answer showed.
    pub url: String,
    /// Seconds that it is good for; `None` where the call has no such word.
    pub seconds: Option<u64>,
    pub mark_email_as_verified: bool,
    pub made: Timestamp,
}

/// Mails, tickets and remarks kept, each; a run that makes more has seen enough of them.
const KEPT_MAX: usize = 100_000;

#[derive(Default)]
pub(super) struct Notes {
    writes: HashMap<AccountId, BTreeMap<Write, u64>>,
    mails: Vec<Mail>,
    tickets: Vec<Ticket>,
    oversized: Vec<AccountId>,
}

impl World {
    /// How often the account was written to over HTTP, by kind; it may be gone meanwhile. Writes that changed nothing
    /// count, refused ones do not.
    pub fn writes_to(&self, account: &str) -> BTreeMap<Write, u64> {
        self.notes.writes.get(account).cloned().unwrap_or_default()
    }

    /// Every account that was written to over HTTP, with the number of its writes.
    pub fn written_accounts(&self) -> impl Iterator<Item = (&AccountId, u64)> {
        self.notes.writes.iter().map(|(account, writes)| (account, writes.values().sum()))
    }

    /// Forgets how often accounts were written to.
    pub fn forget_writes(&mut self) {
        self.notes.writes.clear();
    }

    /// The mails that have left, oldest first.
    pub fn mails(&self) -> &[Mail] {
        &self.notes.mails
    }

    /// The tickets that were handed out, oldest first.
    pub fn tickets(&self) -> &[Ticket] {
        &self.notes.tickets
    }

    /// Accounts whose profile was written beyond 10 KB, once for each such write. Auth0 takes it and logs `wum` (Auth0,
    /// Metadata Field Names and Data Types).
    pub fn oversized(&self) -> &[AccountId] {
        &self.notes.oversized
    }

    pub(crate) fn wrote(&mut self, account: &str, write: Write) {
        let account = AccountId::from(account);
        *self.notes.writes.entry(account).or_default().entry(write).or_default() += 1;
    }

    pub(crate) fn send_mail(&mut self, kind: MailKind, account: &AccountId, to: &str) {
        if self.notes.mails.len() < KEPT_MAX {
            let mail = Mail { kind, to: to.to_owned(), account: account.clone(), sent: Timestamp::now() };
            self.notes.mails.push(mail);
        }
    }

    pub(crate) fn hand_out(&mut self, ticket: Ticket) {
        if self.notes.tickets.len() < KEPT_MAX {
            self.notes.tickets.push(ticket);
        }
    }

    pub(crate) fn remark_size(&mut self, account: &AccountId) {
        if self.notes.oversized.len() < KEPT_MAX {
            self.notes.oversized.push(account.clone());
        }
    }
}
