//! Microsoft Graph: who a person is, and how risky Entra ID Protection holds them.
//!
//! A [`Client`] holds what all of its readers share: the token, the request budget, the pauses that Graph asked for and
//! the one-request-per-second pace of Identity Protection. A [`Reader`] belongs to a lane and has connections of its
//! own, so that a sync that hangs holds up no containment. There is no writer: nothing is written to Entra.
//!
//! Nothing here retries, except once with a new token after a 401.

mod call;
mod error;
mod pacing;
mod reader;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::event::{Lane, TenantId};
use crate::outbound::{self, Deps, Timeouts};

pub use self::error::Error;
pub use self::reader::Reader;

/// How to reach Graph.
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    pub client_id: String,
    pub client_secret: SecretString,
    /// `https://login.microsoftonline.com`
    pub login_url: reqwest::Url,
    /// `https://graph.microsoft.com`
    pub graph_url: reqwest::Url,
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
}
