//! The wire: the vendors' HTTP interfaces over one world.
//!
//! Each vendor is a table of [`Route`]s and a few answers in its own error shape; [`server`] reads a request, asks the
//! faults, finds the route, runs the vendor's guard (limits, token, permissions), then the handler. Handlers are plain
//! synchronous functions from [`Call`] to [`Reply`]; they lock the world for as long as they run and never wait. Where a
//! vendor calls back before it answers, [`reach`] has done so before.

pub(crate) mod auth0;
pub(crate) mod call;
pub(crate) mod graph;
pub(crate) mod login;
pub(crate) mod route;
pub(crate) mod scim;
pub(crate) mod server;
pub(crate) mod slack;
pub(crate) mod smtp;
pub(crate) mod ticket;

use crate::bucket::Bucket;
use crate::faults::{Faults, Vendor};
use crate::journal::Journal;
use crate::send::outbox::Outbox;
use crate::setup::Setup;
use crate::signing::SigningKey;
use crate::world::{Shared, World, WorldGuard};
use call::{Answer, Call, Reply};
use route::Route;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// What all listeners of one twin share.
pub(crate) struct State {
    pub setup: Setup,
    pub world: Shared,
    pub journal: Journal,
    pub faults: Faults,
    pub limits: Mutex<Limits>,
    /// What Graph still has to tell its subscribers.
    pub outbox: Outbox,
    signing: OnceLock<SigningKey>,
    outgoing: OnceLock<reqwest::Client>,
}

/// The vendors' token buckets. They live beside the world, so that a throttled request does not wait for it.
pub(crate) struct Limits {
    pub auth0: Option<Bucket>,
    pub auth0_endpoints: BTreeMap<auth0::limits::Class, Bucket>,
    /// By connection id.
    pub scim: BTreeMap<String, Bucket>,
    pub resource_units: Option<Bucket>,
    pub identity_protection: Option<Bucket>,
    /// By route; empty when they are lifted.
    pub subscriptions: BTreeMap<&'static str, Bucket>,
    pub slack: BTreeMap<String, Bucket>,
}

impl State {
    pub fn new(setup: Setup) -> State {
        let world = World::new(&setup);
        let journal = Journal::new(setup.journal_cap);
        let limits = Limits::new(&setup, Instant::now());
        State {
            setup,
            world: Shared::new(world),
            journal,
            faults: Faults::default(),
            limits: Mutex::new(limits),
            outbox: Outbox::default(),
            signing: OnceLock::new(),
            outgoing: OnceLock::new(),
        }
    }

    pub fn world(&self) -> WorldGuard<'_> {
        self.world.lock()
    }

    pub fn signing(&self) -> &SigningKey {
        self.signing.get_or_init(SigningKey::checked_in)
    }

    /// The client with which Graph calls its subscribers. It follows nothing: a redirect is no 2xx.
    pub fn outgoing(&self) -> &reqwest::Client {
        self.outgoing.get_or_init(|| {
            let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            client.build().expect("a client without certificates to load can be built")
        })
    }

    pub fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    fn new(setup: &Setup, now: Instant) -> Limits {
        Limits {
            auth0: setup.rate_limit.map(|limit| Bucket::full(f64::from(limit.burst), limit.per_second, now)),
            auth0_endpoints: match setup.endpoint_limits {
                true => auth0::limits::endpoint_buckets(setup.plan, now),
                false => BTreeMap::new(),
            },
            scim: BTreeMap::new(),
            resource_units: setup
                .resource_units_per_ten_seconds
                .map(|units| Bucket::full(f64::from(units), f64::from(units) / 10.0, now)),
            identity_protection: setup
                .identity_protection_per_second
                .map(|rate| Bucket::full(f64::from(rate), f64::from(rate), now)),
            subscriptions: match setup.subscription_limits {
                true => graph::subscriptions::buckets(now),
                false => BTreeMap::new(),
            },
            slack: BTreeMap::new(),
        }
    }
}

/// The routes of a vendor.
pub(crate) fn routes(vendor: Vendor) -> &'static [Route] {
    match vendor {
        Vendor::Login => login::ROUTES,
        Vendor::Graph => graph::ROUTES,
        Vendor::Auth0 => auth0::ROUTES,
        Vendor::Slack => slack::ROUTES,
        Vendor::Mail => &[],
        Vendor::Ticket => ticket::ROUTES,
    }
}

/// The row that matches a request, with its path parameters. Graph's own SDKs write type casts with the namespace alias
/// `graph` instead of `microsoft.graph`, and functions with their parentheses.
pub(crate) fn find_route(vendor: Vendor, method: &str, path: &str) -> Option<(&'static Route, Vec<String>)> {
    if vendor == Vendor::Graph && (path.contains("/graph.") || path.ends_with("()")) {
        let path = path.replace("/graph.", "/microsoft.graph.");
        return route::find(routes(vendor), method, path.trim_end_matches("()"));
    }
    route::find(routes(vendor), method, path)
}

/// Limits, token and permissions, in the vendor's order.
pub(crate) fn guard(call: &Call<'_>) -> Answer {
    match call.vendor {
        Vendor::Login => Ok(Reply::empty(200)),
        Vendor::Graph => graph::guard(call),
        Vendor::Auth0 => auth0::guard(call),
        Vendor::Slack => slack::guard(call),
        Vendor::Mail => unreachable!("mail is no HTTP"),
        Vendor::Ticket => ticket::guard(call),
    }
}

/// What a vendor does out there before it answers; it is the only part of an answer that takes time by itself.
pub(crate) async fn reach(call: &Call<'_>) -> Answer {
    match call.vendor {
        Vendor::Graph => graph::subscriptions::reach(call).await,
        Vendor::Login | Vendor::Auth0 | Vendor::Slack | Vendor::Mail | Vendor::Ticket => {
            Ok(Reply::empty(200))
        }
    }
}

/// The vendor's answer to a path that it does not have.
pub(crate) fn unknown_route(call: &Call<'_>) -> Reply {
    match call.vendor {
        Vendor::Login => login::unknown_route(),
        Vendor::Graph => graph::unknown_route(call),
        Vendor::Auth0 => auth0::unknown_route(call),
        Vendor::Slack => slack::unknown_route(call),
        Vendor::Mail | Vendor::Ticket => ticket::unknown_route(),
    }
}

/// The vendor's answer when it fails with `status` or throttles.
pub(crate) fn failure(call: &Call<'_>, status: u16) -> Reply {
    match call.vendor {
        Vendor::Login => login::failure(call, status),
        Vendor::Graph => graph::failure(call, status),
        Vendor::Auth0 => auth0::failure(call, status),
        Vendor::Slack => slack::failure(status),
        Vendor::Mail | Vendor::Ticket => ticket::failure(status),
    }
}

/// Headers that the vendor puts on every answer.
pub(crate) fn finish(call: &Call<'_>, reply: &mut Reply) {
    match call.vendor {
        Vendor::Login | Vendor::Slack | Vendor::Mail | Vendor::Ticket => {}
        Vendor::Graph => graph::finish(call, reply),
        Vendor::Auth0 => auth0::finish(call, reply),
    }
}
