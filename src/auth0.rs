//! Auth0 Management API: which accounts a person has, whether they are blocked, what they could still use; and the
//! writes of containment.
//!
//! A [`Client`] holds what its readers and writers share: the token, the tenant's request budget and the pause that
//! Auth0 asked for. [`Reader`] and [`Writer`] are different types, so that what is given only a reader cannot write.
//! Each lane has connections of its own, and a part of the budget is containment's alone.
//!
//! Nothing here retries, except once with a new token after a 401, which means "not done". Every write has the same
//! effect twice as once. A write whose reply was lost says so: [`Error::is_outcome_unknown`].

mod call;
mod error;
mod lifetimes;
mod reader;
mod search;
mod token;
mod wire;
mod writer;

use std::sync::Arc;

use secrecy::SecretString;

use crate::event::Lane;
use crate::outbound::{self, Deps, Timeouts};

pub use self::error::Error;
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

    fn caller(&self, lane: Lane) -> call::Caller {
        match lane {
            Lane::Contain => self.contain.clone(),
            Lane::Sync => self.sync.clone(),
            Lane::Bulk => self.bulk.clone(),
        }
    }
}
