//! How long access tokens live: they cannot be revoked, so this bounds what a containment leaves behind.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request};
use crate::auth0::wire::{OffsetPage, ResourceServer};
use crate::clock::{self, Timestamp};

const LIST: Operation =
    Operation { word: "resource_servers.list", needs: "read:resource_servers", not_found: NotFound::Odd };

/// APIs of a tenant that are looked at; small pages, because each API lists up to a thousand permissions.
const PER_PAGE: usize = 20;
const PAGES_MAX: usize = 50;
/// Lifetimes change rarely; a case that is computed with a value this old is off by nothing that matters.
const KEPT: Duration = Duration::from_secs(600);
/// What Auth0 gives an API whose lifetime nobody has set (Auth0, Update Access Token Lifetime).
const DEFAULT_SECONDS: u64 = 86_400;

/// The last answer, shared by all readers.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    longest: Mutex<Option<(Timestamp, u64)>>,
}

impl Lifetimes {
    /// The longest `token_lifetime` among the tenant's own APIs, in seconds. Auth0's Management API is left out: its
    /// tokens go to programs, live a day by default, and would make every residual exposure say so.
    pub(super) async fn longest(&self, caller: &Caller) -> Result<u64, Error> {
        if let Some(known) = self.known(caller.shared.deps.clock.now()) {
            return Ok(known);
        }
        let longest = read(caller).await?;
        *self.lock() = Some((caller.shared.deps.clock.now(), longest));
        Ok(longest)
    }

    fn known(&self, now: Timestamp) -> Option<u64> {
        self.lock().filter(|(read_at, _)| clock::elapsed(*read_at, now) < KEPT).map(|(_, longest)| longest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, u64)>> {
        self.longest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(caller: &Caller) -> Result<u64, Error> {
    let (mut longest, mut seen) = (0, 0);
    for page in 0..PAGES_MAX {
        let request = Request::get(LIST, "/resource-servers")
            .query("page", page)
            .query("per_page", PER_PAGE)
            .query("include_totals", true);
        let answer = caller.call(&request).await?;
        let listed: OffsetPage<ResourceServer> = answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (servers, total) = listed.into_parts();
        seen += servers.len() as u64;
        let of_the_tenant = servers.iter().filter(|server| !server.is_system);
        let lifetimes = of_the_tenant.map(|server| server.token_lifetime.unwrap_or(DEFAULT_SECONDS));
        longest = lifetimes.fold(longest, u64::max);
        if servers.is_empty() || total.is_none_or(|total| seen >= total) {
            return Ok(longest);
        }
    }
    Err(Error::TooMany { operation: LIST.word, found: seen, most: PAGES_MAX * PER_PAGE })
}
