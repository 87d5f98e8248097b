//! The world: people and groups in Entra, accounts in Auth0, what they hold (sessions, tokens, grants), and the messages in Slack.
//!
//! Plain state with verbs, no I/O. It sits behind one mutex that the wire and the tests share; hold the guard for
//! single statements only, never across an `await`. Verbs panic on ids that never existed, because a test that names
//! the wrong person is wrong itself; the wire asks with the `find_…` accessors instead.

mod access;
mod accounts;
pub mod changes;
mod channels;
mod connections;
mod enterprise;
mod groups;
mod guard;
mod lag;
mod lucene;
mod members;
mod movers;
mod notes;
mod organizations;
mod people;
mod register;
mod roles;
mod search;
mod state;
mod subscriptions;
mod tokens;
mod told;

pub use access::{DeviceCredential, Grant, RefreshToken, Session, SignIn, TokenSet};
pub use accounts::{Account, AccountId, AccountSeed, Identity};
pub use changes::{Change, Changed, Moved, Touched};
pub use channels::{Message, Posted, Version};
pub use connections::{Connection, ScimConfiguration, ScimToken};
pub use groups::{Group, GroupId, ObjectId};
pub use guard::WorldGuard;
pub use lag::Lag;
pub use notes::{Mail, MailKind, Ticket, TicketKind, Write};
pub use organizations::{EnabledConnection, Organization};
pub use people::{Hire, Person, PersonId, Risk};
pub use roles::Role;
pub use state::AccountState;
pub use subscriptions::Subscription;
pub use told::{Hook, Letter};

pub(crate) use access::Reach;
pub(crate) use connections::{SCIM_TOKENS_MAX, SCIM_USER_SCOPES};

pub(crate) use guard::Shared;
pub(crate) use search::Hits;
pub(crate) use subscriptions::{Kind, Watched, fresh_id, words};
pub(crate) use tokens::Refusal;

use crate::setup::Setup;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

/// An API of the Auth0 tenant with its token lifetimes, as `GET /api/v2/resource-servers` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServer {
    pub id: String,
    pub name: String,
    pub identifier: String,
    pub is_system: bool,
    /// Seconds that an access token lives.
    pub token_lifetime: u32,
    /// Seconds that an access token from a browser flow lives.
    pub token_lifetime_for_web: u32,
}

/// Everything the vendors know.
pub struct World {
    tenant_id: String,
    connection: String,
    deletion_delay: Duration,
    people: BTreeMap<PersonId, Person>,
    by_upn: HashMap<String, PersonId>,
    groups: groups::Groups,
    changes: changes::Log,
    subscriptions: Vec<Subscription>,
    replica: lag::Replica,
    /// Names of the directory extensions that an application has registered.
    extensions: BTreeSet<String>,
    accounts: register::Register,
    /// Keys of `app_metadata` whose values Auth0 keeps otherwise than they are written.
    kept_as: BTreeMap<String, accounts::KeptAs>,
    access: access::Holdings,
    roles: roles::Roles,
    organizations: organizations::Organizations,
    connections: connections::Connections,
    notes: notes::Notes,
    search: search::Index,
    tokens: tokens::Issued,
    channels: channels::Channels,
    told: told::Told,
    /// The tenant's APIs; tests may add to them and change lifetimes.
    pub resource_servers: Vec<ResourceServer>,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> World {
        World {
            tenant_id: setup.tenant_id.clone(),
            connection: setup.auth0_connection.clone(),
            deletion_delay: setup.deletion_delay,
            people: BTreeMap::new(),
            by_upn: HashMap::new(),
            groups: groups::Groups::default(),
            changes: changes::Log::default(),
            subscriptions: Vec::new(),
            replica: lag::Replica::default(),
            extensions: BTreeSet::new(),
            accounts: register::Register::default(),
            kept_as: BTreeMap::new(),
            access: access::Holdings::default(),
            roles: roles::Roles::default(),
            organizations: organizations::Organizations::default(),
            connections: connections::Connections::new(setup),
            notes: notes::Notes::default(),
            search: search::Index::new(setup.search_lag),
            tokens: tokens::Issued::new(setup),
            channels: channels::Channels::with(&setup.slack_channel),
            told: told::Told::default(),
            resource_servers: resource_servers(setup),
        }
    }

    /// The Entra tenant id.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// From now on, how long deleted sessions and refresh tokens stay visible and usable after the 202 (Auth0, Manage
    /// User Sessions with the Management API: deletion is asynchronous and eventually consistent).
    pub fn set_deletion_delay(&mut self, delay: Duration) {
        self.deletion_delay = delay;
    }
}

/// The Management API itself and one API of the company (Auth0, Access Token Lifetime: the defaults are 86,400 s, and
/// 7,200 s for browser flows).
fn resource_servers(setup: &Setup) -> Vec<ResourceServer> {
    vec![
        ResourceServer {
            id: "5f00000000000000000000a1".into(),
            name: "Auth0 Management API".into(),
            identifier: setup.auth0_audience(),
            is_system: true,
            token_lifetime: 86_400,
            token_lifetime_for_web: 7_200,
        },
        ResourceServer {
            id: "5f00000000000000000000a2".into(),
            name: "Orders".into(),
            identifier: "https://orders.contoso.example/".into(),
            is_system: false,
            token_lifetime: 3_600,
            token_lifetime_for_web: 1_800,
        },
    ]
}

/// The accounts behind `after`, in order.
fn behind<'a>(
    accounts: &'a BTreeSet<AccountId>,
    after: Option<&str>,
) -> impl Iterator<Item = &'a AccountId> + use<'a> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    accounts.range::<str, _>((from, Bound::Unbounded))
}

/// `2026-03-10T06:01:11.380Z`, the form of every recorded Auth0 and Graph time.
pub(crate) fn stamp(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}

/// A string of `length` random lower-case hex digits.
pub(crate) fn hex(length: usize) -> String {
    (0..length).map(|_| char::from(b"0123456789abcdef"[fastrand::usize(..16)])).collect()
}

/// A string of `length` random letters and digits.
pub(crate) fn word(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}
