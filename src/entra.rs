//! Microsoft Graph: who a person is, and how risky Entra ID Protection holds them.
//!
//! A [`Client`] holds what all of its readers share: the token, the request budget, the pauses that Graph asked for and
//! the one-request-per-second pace of Identity Protection. A [`Reader`] belongs to a lane and has connections of its
//! own, so that a sync that hangs holds up no containment. Two types write to Graph: [`Writer`], which only ends sign-in
//! sessions, and [`Subscriptions`], which only says who is told of changes.
//!
//! Nothing here retries, except once with a new token after a 401. Lists are read page by page, one page a call, or
//! within a stated number of pages; memory does not grow with the tenant.

mod call;
mod cloud;
mod credential;
mod error;
pub mod expiry;
mod link;
mod pacing;
mod reader;
mod subscriptions;
mod token;
mod wire;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Lane, TenantId};
use crate::outbound::{self, Deps, Timeouts};

pub use self::cloud::{Cloud, NoSuchCloud};
pub use self::credential::{Credential, IMDS_URL, Identity, IdentityHost};
pub use self::error::Error;
pub use self::link::Link;
pub use self::reader::Reader;
pub use self::reader::applications::ClientSecret;
pub use self::reader::delta::{Change, DeltaFrom, DeltaPage, DeltaRow, Membership, Then, Tracked};
pub use self::reader::groups::{GroupSeen, Kind, NamedGroup, Page};
pub use self::reader::profile::Seen;
pub use self::subscriptions::{LIFETIME_MOST, Subscription, SubscriptionId, Subscriptions, Wanted};
pub use self::token::key::{NoKey, check_certificate};
pub use self::writer::Writer;

/// How to reach Graph.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    pub credential: Credential,
    /// `https://login.microsoftonline.com`
    pub login_url: reqwest::Url,
    /// `https://graph.microsoft.com`
    pub graph_url: reqwest::Url,
    /// Our share of what Graph's directory gives an application in a tenant.
    pub resource_units_per_second: u32,
}

/// A containment that has evidence does not wait longer than this for Graph's second opinion, token included.
const CONTAIN_TOTAL: Duration = Duration::from_secs(2);

/// Graph for one tenant. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    contain: Reader,
    sync: Reader,
    bulk: Reader,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// When an address is neither HTTPS nor loopback, or TLS cannot be set up.
    pub fn new(settings: &Settings, deps: &Deps) -> Result<Client, Error> {
        let shared = Arc::new(call::Shared::new(settings, deps)?);
        let reader = |lane, total| {
            let timeouts = Timeouts { total, ..Timeouts::default() };
            let http = outbound::client("ENTRA_GRAPH_URL", &settings.graph_url, timeouts)?;
            Ok::<_, Error>(Reader::new(call::Caller { shared: Arc::clone(&shared), http, lane, total }))
        };
        Ok(Client {
            contain: reader(Lane::Contain, CONTAIN_TOTAL)?,
            sync: reader(Lane::Sync, Timeouts::default().total)?,
            bulk: reader(Lane::Bulk, Timeouts::default().total)?,
        })
    }

    pub fn reader(&self, lane: Lane) -> Reader {
        match lane {
            Lane::Contain => self.contain.clone(),
            Lane::Sync => self.sync.clone(),
            Lane::Bulk => self.bulk.clone(),
        }
    }

    /// For the lane that contains: build it only where something may be written.
    pub fn writer(&self) -> Writer {
        self.contain.writer()
    }

    /// What creates and renews the subscriptions to changes: build it only where that is wanted.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn subscriptions(&self) -> Result<Subscriptions, Error> {
        Subscriptions::new(self.sync.shared())
    }
}
