//! The Auth0 tenant: token endpoint and the part of the Management API that containment uses.
//!
//! The guard imitates, in this order: the tenant's rate limit (429 with the exact headers), the token (401), the scopes
//! (403), unknown query parameters (400). Every answer carries the `x-ratelimit-*` headers (Auth0, Rate Limit Policy).

mod access;
mod connections;
mod create;
mod devices;
mod errors;
mod grants;
mod identities;
mod ids;
pub(crate) mod limits;
mod members;
mod organizations;
mod page;
mod password;
mod patch;
mod profile;
mod resource_servers;
mod roles;
mod routes;
mod scim_configuration;
mod search;
mod tickets;
mod token;
mod token_sets;
mod users;

use super::call::{Answer, Call, Reply};
use super::scim;
use crate::faults::Vendor;
use crate::setup::{Plan, PlanRefusal};
use errors::error;

pub(crate) use routes::ROUTES;

pub(crate) fn guard(call: &Call<'_>) -> Answer {
    if is_authentication_api(call) {
        return Ok(Reply::empty(200));
    }
    if scim::owns(call.path) {
        return scim::guard(call);
    }
    limits::check(call)?;
    check_token(call)?;
    check_query(call)
}

/// The Authentication API, which asks for no token.
fn is_authentication_api(call: &Call<'_>) -> bool {
    call.path == "/oauth/token" || call.path.starts_with("/dbconnections/")
}

/// What does not exist and what fails is told in the shape of the API that was asked.
pub(crate) fn unknown_route(call: &Call<'_>) -> Reply {
    if scim::owns(call.path) { scim::failure(404) } else { errors::unknown_route() }
}

pub(crate) fn failure(call: &Call<'_>, status: u16) -> Reply {
    if scim::owns(call.path) { scim::failure(status) } else { errors::failure(status) }
}

fn check_token(call: &Call<'_>) -> Answer {
    let Some(token) = call.bearer() else {
        return Err(errors::missing_authentication());
    };
    let world = call.world();
    world.check_token(Vendor::Auth0, token).map_err(errors::bad_token)?;
    let needs = call.route.map_or(&[][..], |route| route.needs);
    let allows = |scope: &&str| world.token_allows(Vendor::Auth0, token, scope);
    let allowed = if needs_all(call) { needs.iter().all(allows) } else { needs.iter().any(allows) };
    if allowed { Ok(Reply::empty(200)) } else { Err(errors::insufficient_scope(needs)) }
}

/// Where sessions and refresh tokens end together and where roles meet users, the security blocks of the API description
/// ask for all scopes, although the text of the refusal says "any of" for some.
fn needs_all(call: &Call<'_>) -> bool {
    let label = call.label();
    label.contains("/revoke") || label.ends_with("/users/{id}/roles") || label.ends_with("/roles/{id}/users")
}

fn check_query(call: &Call<'_>) -> Answer {
    let known = call.route.map_or(&[][..], |route| route.query);
    match call.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(Reply::empty(200)),
        Some((name, _)) => {
            call.complain(format!("unknown query parameter {name}"));
            Err(errors::invalid_query(&format!("'Additional properties not allowed: {name}'")))
        }
    }
}

/// The session and refresh-token endpoints need the Enterprise plan (Auth0, Manage User Sessions with the Management
/// API; for `revoke-access` presumed). Both recorded forms of a plan's refusal can be asked for in the setup.
fn require_enterprise(call: &Call<'_>) -> Answer {
    if call.state.setup.plan == Plan::Enterprise {
        return Ok(Reply::empty(200));
    }
    let (text, code) = match call.state.setup.plan_refusal {
        PlanRefusal::Entitlement => {
            ("Please upgrade your subscription to use session management", "insufficient_entitlement")
        }
        PlanRefusal::Scope => {
            ("Please upgrade your subscription to enable session management.", "insufficient_scope")
        }
    };
    Err(error(403, text, Some(code)))
}

/// Headers of every recorded answer.
pub(crate) fn finish(call: &Call<'_>, reply: &mut Reply) {
    limits::tell(call, reply);
    reply.headers.push(("cache-control", "no-cache".to_owned()));
    reply.headers.push(("vary", "origin,accept-encoding".to_owned()));
}
