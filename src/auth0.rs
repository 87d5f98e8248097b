//! Auth0: which accounts a person has, whether they are blocked, what they could still use, what they hold; the writes of
//! containment; and the writes that keep the directory in step. The Management API, and what only its inbound SCIM
//! endpoint and its Authentication API can do.
//!
//! A [`Client`] holds what its readers and writers share: the token, the tenant's request budget and the pause that
//! Auth0 asked for. [`Reader`], [`Writer`] and [`Keeper`] are different types, so that what is given only a reader cannot
//! write, and what is given only a keeper cannot block or unblock.
//! Each lane has connections of its own, and a part of the budget is containment's alone.
//!
//! Nothing here retries, except once with a new token after a 401, which means "not done". Every write has the same
//! effect twice as once, mails aside. A write whose reply was lost says so: [`Error::is_outcome_unknown`].

mod call;
mod catalogue;
mod ending;
mod entrances;
mod error;
mod holding;
mod keeper;
mod kept;
mod lifetimes;
mod limit;
mod limits;
mod mail;
mod memberships;
mod pages;
mod reader;
mod scim;
mod search;
mod token;
mod wire;
mod writer;

use std::sync::Arc;

use secrecy::SecretString;

use crate::event::Lane;
use crate::outbound::{self, Deps, Timeouts};

pub use self::catalogue::{Names, UserIds};
pub use self::error::Error;
pub use self::keeper::Keeper;
pub use self::reader::Reader;
pub use self::writer::{StampToWrite, Writer};

/// How to reach the Management API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The canonical tenant domain; the token's audience is made of it.
    pub domain: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// `https://{domain}` unless a test or a proxy stands in between.
    pub url: reqwest::Url,
    /// The `waad` enterprise connection.
    pub connection: Option<String>,
    /// The token of that connection's SCIM endpoint; without it nothing goes by SCIM.
    pub scim_token: Option<SecretString>,
    /// Requests per second that Lockstep allows itself, and the burst; the answer headers may lower it at run time.
    pub requests_per_second: f64,
    pub burst: u32,
}

/// One Auth0 tenant. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    contain: call::Caller,
    sync: call::Caller,
    bulk: call::Caller,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// When the address is neither HTTPS nor loopback, or TLS cannot be set up.
    pub fn new(settings: &Settings, deps: &Deps) -> Result<Client, Error> {
        let shared = Arc::new(call::Shared::new(settings, deps)?);
        let caller = |lane| {
            let http = outbound::client("AUTH0_URL", &settings.url, Timeouts::default())?;
            Ok::<_, Error>(call::Caller { shared: Arc::clone(&shared), http, lane })
        };
        Ok(Client { contain: caller(Lane::Contain)?, sync: caller(Lane::Sync)?, bulk: caller(Lane::Bulk)? })
    }

    pub fn reader(&self, lane: Lane) -> Reader {
        Reader::new(self.caller(lane))
    }

    pub fn writer(&self, lane: Lane) -> Writer {
        Writer::new(self.caller(lane))
    }

    /// For the lanes that keep the directory in step.
    pub fn keeper(&self, lane: Lane) -> Keeper {
        Keeper::new(self.caller(lane))
    }

    fn caller(&self, lane: Lane) -> call::Caller {
        match lane {
            Lane::Contain => self.contain.clone(),
            Lane::Sync => self.sync.clone(),
            Lane::Bulk => self.bulk.clone(),
        }
    }
}
