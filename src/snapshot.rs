//! What Entra and Auth0 look like right now, for one person. Plain ordered data, read afresh for every look.
//!
//! What could not be read is said (`Unread`), never guessed: absence is not evidence.

pub mod sync;

use std::collections::{BTreeMap, BTreeSet};

use crate::case::also::Extra;
use crate::case::look_alikes::LookAlikes;
use crate::case::{AccountId, Case, CaseId, Means};
use crate::clock::Timestamp;
use crate::event::{Event, ObjectId, RiskLevel, RiskState, Subject};

/// Released cases of one person that are remembered against old alerts. One is usual; an alert that comes again after
/// this many further containments is as old as its evidence says.
pub const RELEASED_MAX: u32 = 8;

/// Everything [`crate::plan::plan`] may know about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub subject: Subject,
    /// Why we look: the events of this look, oldest first. Only a risk alert's evidence is acted on as it is.
    pub asks: Vec<Event>,
    pub directory: Directory,
    pub risk: RiskView,
    /// Every Auth0 account found by link index or by Entra object id.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Whether the look for accounts was complete.
    pub accounts_seen: AccountsSeen,
    /// Other accounts with the person's e-mail address; `None` where nobody has looked for them.
    pub look_alikes: Option<LookAlikes>,
    /// The open case of this person, if there is one.
    pub case: Option<Case>,
    /// The newest case of this person in which nothing was done on purpose.
    pub last_not_acted: Option<Case>,
    /// The newest cases of this person that were released, newest first; at most [`RELEASED_MAX`].
    pub released: Vec<Case>,
    /// Containments that blocked somebody within the brake's window, this person's own case not counted.
    pub recent_containments: u32,
    /// The longest lifetime of an access token among the tenant's APIs, in seconds; `None` when not read.
    pub token_lifetime_seconds: Option<u64>,
    /// What the plan is known to allow for ending access.
    pub means: Means,
}

/// The person in Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// Not asked, or Graph could not be reached; the text says why.
    Unread(String),
    Present(Person),
    /// In the directory's deleted items: restorable.
    SoftDeleted(Person),
    /// Neither among the users nor among the deleted items.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub object: ObjectId,
    pub enabled: Enabled,
    pub guest: Guest,
    pub display_name: Option<String>,
    pub mail: Option<Email>,
}

/// An e-mail address. Finds look-alikes and is not shown: neither printed nor kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// `None` of what is no address.
    pub fn read(text: &str) -> Option<Email> {
        let text = text.trim();
        (text.len() <= 320 && text.contains('@')).then(|| Email(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(…)")
    }
}

/// `accountEnabled`; a missing property (a lost permission) is not "disabled".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    Yes,
    No,
    NotTold,
}

/// Whether `userType` says Guest; a missing or empty property is not "no".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    Yes,
    No,
    NotTold,
}

/// What Entra ID Protection says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RiskView {
    Unread(String),
    /// Entra knows of no risk for this person (404 on riskyUsers).
    NotListed,
    Known(Risk),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Risk {
    pub level: RiskLevel,
    pub state: RiskState,
    pub updated_at: Option<Timestamp>,
}

impl Snapshot {
    /// Every account that is known, whether or not it could be read.
    pub fn known_accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.keys().chain(self.accounts_seen.unread())
    }

    /// The person's address: Entra's word, or an account's where Entra was not heard.
    pub fn email(&self) -> Option<&Email> {
        match &self.directory {
            Directory::Present(person) | Directory::SoftDeleted(person) => person.mail.as_ref(),
            Directory::Missing | Directory::Unread(_) => {
                self.accounts.values().find_map(|account| account.email.as_ref())
            }
        }
    }
}

/// Whether every account of the person is in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountsSeen {
    All,
    /// What is there was read whole. `unread` are known and could not be; where there are none of those, the search failed,
    /// and accounts that nobody knows of yet may be missing. Says why.
    Partly {
        unread: BTreeSet<AccountId>,
        why: String,
    },
    /// Auth0 could not be read at all: what is known of accounts is what the case says. Says why.
    Unread(String),
}

impl AccountsSeen {
    /// Accounts that are known, and of which nothing is known now.
    pub fn unread(&self) -> impl Iterator<Item = &AccountId> {
        let unread = match self {
            AccountsSeen::Partly { unread, .. } => Some(unread),
            AccountsSeen::All | AccountsSeen::Unread(_) => None,
        };
        unread.into_iter().flatten()
    }
}

/// One Auth0 account, as read by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub blocked: Blocked,
    /// Our mark in `app_metadata.lockstep`.
    pub stamp: Option<Stamp>,
    /// What could still be used; read only where a plan needs it.
    pub access: Access,
    pub email: Option<Email>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    Yes,
    No,
}

/// What `app_metadata.lockstep` says: whose block it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub case: CaseId,
}

/// What an account could still use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    pub sessions: Count,
    pub refresh_tokens: Count,
    pub grants: Count,
    pub device_credentials: Count,
    pub token_sets: Count,
}

impl Access {
    pub fn extra(&self, extra: Extra) -> Count {
        match extra {
            Extra::Grants => self.grants,
            Extra::DeviceCredentials => self.device_credentials,
            Extra::TokenVault => self.token_sets,
        }
    }

    pub fn set_extra(&mut self, extra: Extra, count: Count) {
        match extra {
            Extra::Grants => self.grants = count,
            Extra::DeviceCredentials => self.device_credentials = count,
            Extra::TokenVault => self.token_sets = count,
        }
    }
}

/// A number that was read, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Count {
    #[default]
    Unread,
    /// The tenant's plan, or a permission that we lack, does not let us list it.
    NotInPlan,
    Is(u32),
}
