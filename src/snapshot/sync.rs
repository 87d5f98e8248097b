//! What Entra and Auth0 look like right now for one person, as far as keeping the directory in step needs it; and what
//! is remembered of the person between looks.
//!
//! What was not read is `None` or `Unread`, never empty: absence is not evidence.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AccountsSeen, Blocked, Directory, Stamp};
use crate::case::{AccountId, CaseId, Means};
use crate::clock::Timestamp;
use crate::event::{ObjectId, Subject};

/// Everything [`crate::plan::sync::plan`] may know about one person.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncSnapshot {
    pub subject: Subject,
    pub depth: Depth,
    pub directory: Directory,
    pub profile: Profile,
    pub groups: Groups,
    pub groups_told: GroupsTold,
    pub accounts: BTreeMap<AccountId, Holding>,
    pub accounts_seen: AccountsSeen,
    /// Accounts with the person's e-mail that nothing else ties to the person: shown, never acted on by themselves.
    pub look_alikes: BTreeMap<AccountId, LookAlike>,
    pub tenant: Tenant,
    /// The open case of this person: nothing is made or given while it lasts.
    pub case: Option<OpenCase>,
    pub remembered: Option<Remembered>,
    /// When the oldest of what asks for this look arrived.
    pub asked_at: Timestamp,
    /// What the plan is known to allow for ending access.
    pub means: Means,
}

/// The open case of a person, as far as the directory cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCase {
    pub id: CaseId,
    /// What the grace counts from: when the deletion was first told, else when the case was opened.
    pub counts_from: Timestamp,
    pub about: CaseAbout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseAbout {
    /// The person was deleted in Entra, and the accounts are proven to be locked.
    DeletionVerified,
    Other,
}

/// How much was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The accounts that are known, without a search; roles and organizations only where they may have to change.
    Known,
    /// Everything.
    Full,
}

/// Properties of the Entra user as Graph told them, nulls included; empty unless the person is present.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile(pub Map<String, Value>);

impl Profile {
    pub fn text(&self, property: &str) -> Option<&str> {
        self.0.get(property).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// Groups that the person is in, nested ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// Not read, or not to be believed (a lost permission shows as objects without properties); says why.
    Unread(String),
    Known(BTreeSet<ObjectId>),
}

/// How far the groups are borne out. A list that names too few of them looks like any other: what is missing from it is
/// believed only when Graph, asked in another way, does not know it either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupsTold {
    /// By the list alone.
    Once,
    /// Both answers agree on all that the policy names, or it names no group.
    Twice,
    /// The other answer has groups that the list left out; the groups are unread then.
    Differently,
}

/// One Auth0 account of the person, as read by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    pub id: AccountId,
    pub kind: AccountKind,
    pub blocked: Blocked,
    pub stamp: Option<Stamp>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub root: BTreeMap<RootField, String>,
    pub app_metadata: Map<String, Value>,
    pub user_metadata: Map<String, Value>,
    /// Accounts that were linked into this one, in the form of their own ids.
    pub absorbed: BTreeSet<AccountId>,
    /// Roles that the account has by itself; `None` when not read.
    pub roles: Option<BTreeSet<RoleId>>,
    /// Organizations that it is a member of, with the roles there; `None` when not read.
    pub organizations: Option<BTreeMap<OrganizationId, BTreeSet<RoleId>>>,
}

/// Root attributes of an Auth0 user that Lockstep may own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RootField {
    Name,
    GivenName,
    FamilyName,
    Nickname,
    Picture,
    Email,
    PhoneNumber,
    /// Only where the database connection has names (`requires_username`), which Auth0's refusal tells.
    Username,
}

impl RootField {
    pub const ALL: [RootField; 8] = [
        RootField::Name,
        RootField::GivenName,
        RootField::FamilyName,
        RootField::Nickname,
        RootField::Picture,
        RootField::Email,
        RootField::PhoneNumber,
        RootField::Username,
    ];
    /// What exists for database accounts only (Management API v2, `PATCH /users/{id}`).
    pub const OF_DATABASES: [RootField; 3] = [RootField::Email, RootField::PhoneNumber, RootField::Username];

    pub fn word(self) -> &'static str {
        match self {
            RootField::Name => "name",
            RootField::GivenName => "given_name",
            RootField::FamilyName => "family_name",
            RootField::Nickname => "nickname",
            RootField::Picture => "picture",
            RootField::Email => "email",
            RootField::PhoneNumber => "phone_number",
            RootField::Username => "username",
        }
    }

    /// The most characters that Auth0 takes (Management API v2, `PATCH /users/{id}`).
    pub fn chars_max(self) -> usize {
        match self {
            RootField::GivenName | RootField::FamilyName => 150,
            RootField::Name | RootField::Nickname => 300,
            RootField::Picture => 2000,
            RootField::Email => 254,
            RootField::PhoneNumber => 16,
            RootField::Username => 128,
        }
    }

    /// What Auth0 takes there and this text is not; `None` when it fits (Management API v2, Create a user: `phone_number`;
    /// Event Streams, user objects: `username`).
    pub fn misfit(self, text: &str) -> Option<&'static str> {
        let (fits, expected) = match self {
            RootField::PhoneNumber => {
                let digits = text.strip_prefix('+').unwrap_or_default();
                let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                (fits, "a plus sign and digits only, such as +4930123456")
            }
            RootField::Username => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "_+-.!#$^`~@'".contains(c);
                (text.chars().all(fits), "letters, digits and _ + - . ! # $ ^ ` ~ @ ' only")
            }
            _ => return None,
        };
        (!fits).then_some(expected)
    }
}

/// What may be written to an account depends on where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKind {
    /// In the Entra enterprise connection.
    Enterprise { root: RootWritable },
    /// In a database connection.
    Database { connection: String },
    /// Social, passwordless, another enterprise connection: only metadata, roles and organizations.
    Other,
}

/// Whether root attributes of enterprise accounts may be written: `set_user_root_attributes` of the connection (Auth0,
/// Configure Connection Sync with Auth0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootWritable {
    /// `on_first_login` or `never_on_login`.
    Yes,
    /// `on_each_login`: Auth0 refuses the write, and every login overwrites it.
    No,
    /// Not read.
    NotTold,
}

/// An account that shares the e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAlike {
    pub id: AccountId,
    /// In a database connection, which is where a link policy looks.
    pub is_database: bool,
    pub email_verified: bool,
    pub blocked: Blocked,
    pub stamp: Option<Stamp>,
    /// Ids of the directory that the account is tied to, in lower case: anybody's but the person's own make it
    /// somebody else's.
    pub owners: BTreeSet<String>,
}

/// An Auth0 role id (`rol_…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(pub String);

/// An Auth0 organization id (`org_…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrganizationId(pub String);

impl std::fmt::Display for RoleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the policy names, as it exists in the Auth0 tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenant {
    /// Role name or id, as the policy writes it, to the role's id; one that does not exist is absent.
    pub roles: BTreeMap<String, RoleId>,
    /// Organization name or id, as the policy writes it, to the organization's id.
    pub organizations: BTreeMap<String, OrganizationId>,
    /// The enterprise connection's id (`con_…`), where it was read.
    pub connection: Option<String>,
    /// By which connections members sign in to each organization; one that is absent was not read.
    pub entrances: BTreeMap<OrganizationId, BTreeSet<Entrance>>,
}

/// A connection that is enabled in an organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entrance {
    pub id: String,
    pub name: String,
}

/// What is remembered of a person between looks: what was proven last, so that an unchanged person costs no reads, and
/// what has to happen later although nobody will tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub subject: Subject,
    /// The policy's groups that the person was in at the last look.
    pub groups: BTreeSet<ObjectId>,
    /// What was last read back or written, per account.
    pub proven: BTreeMap<AccountId, Proven>,
    /// Accounts whose roles and organizations are being changed: what was proven last need not be what they have.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unsettled: BTreeSet<AccountId>,
    /// Digests of what was written and kept otherwise, per account and attribute: not written again as long as they hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept_otherwise: BTreeMap<AccountId, BTreeMap<String, String>>,
    /// The change-password link of an account that we make.
    #[serde(default)]
    pub password_mail: Mail,
    #[serde(default)]
    pub enrolment_mail: Mail,
    /// Look again then, whatever comes: the grace is over, or something could not be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// Since when something that decides could not be read, so that the person is held; `look_at` says when it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_since: Option<Timestamp>,
    /// Since when Entra has known nobody by this id, neither among the users nor among the deleted: a leaver's only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// The last look that read everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_whole_at: Option<Timestamp>,
    /// What a person should know: not managed, refused, contradictory. One sentence each, no personal data but ids.
    #[serde(default)]
    pub findings: BTreeSet<String>,
}

/// A mail that a person gets once, or twice where nobody knows whether the first has left. Owed is written down before
/// what makes it owed is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mail {
    #[default]
    NotOwed,
    Owed,
    /// Asked for once, without an answer: it may be on its way.
    Doubted {
        since: Timestamp,
    },
    Sent,
}

/// Managed roles and organizations of one account as they were last proven.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Proven {
    pub roles: BTreeSet<RoleId>,
    pub organizations: BTreeMap<OrganizationId, BTreeSet<RoleId>>,
}

impl Remembered {
    /// Nothing is known yet.
    pub fn new(subject: Subject) -> Remembered {
        Remembered {
            subject,
            groups: BTreeSet::new(),
            proven: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            kept_otherwise: BTreeMap::new(),
            password_mail: Mail::NotOwed,
            enrolment_mail: Mail::NotOwed,
            look_at: None,
            unread_since: None,
            missing_since: None,
            seen_whole_at: None,
            findings: BTreeSet::new(),
        }
    }

    /// Nobody looks again without being told to.
    pub fn wait_for_nothing(&mut self) {
        (self.look_at, self.unread_since) = (None, None);
    }
}
