//! The Auth0 tenant: token endpoint and the part of the Management API that containment uses.
//!
//! The guard imitates, in this order: the tenant's rate limit (429 with the exact headers), the token (401), the scopes
//! (403), unknown query parameters (400). Every answer carries the `x-ratelimit-*` headers (Auth0, Rate Limit Policy).

mod access;
mod devices;
mod errors;
mod grants;
pub(crate) mod limits;
mod page;
mod patch;
mod resource_servers;
mod search;
mod token;
mod token_sets;
mod users;

use super::call::{Answer, Call, Reply};
use super::route::{Route, route};
use crate::faults::Vendor;
use crate::setup::{Plan, PlanRefusal};
use errors::error;

pub(crate) use errors::{failure, unknown_route};

/// `needs` lists scopes of which one suffices, except where [`needs_all`] says otherwise.
pub(crate) const ROUTES: &[Route] = &[
    route!("POST", "/oauth/token", query: &[], needs: &[], token::issue),
    route!(
        "GET",
        "/api/v2/users",
        query: &[
            "page",
            "per_page",
            "include_totals",
            "sort",
            "connection",
            "fields",
            "include_fields",
            "q",
            "search_engine",
            "primary_order",
        ],
        needs: &["read:users"],
        search::list
    ),
    route!("POST", "/api/v2/users", query: &[], needs: &["create:users"], users::create),
    route!(
        "GET",
        "/api/v2/users-by-email",
        query: &["email", "fields", "include_fields"],
        needs: &["read:users"],
        search::by_email
    ),
    route!(
        "GET",
        "/api/v2/users/{id}",
        query: &["fields", "include_fields"],
        needs: &["read:users"],
        users::get
    ),
    route!(
        "PATCH",
        "/api/v2/users/{id}",
        query: &[],
        needs: &["update:users", "update:users_app_metadata"],
        patch::update
    ),
    route!("DELETE", "/api/v2/users/{id}", query: &[], needs: &["delete:users"], users::delete),
    route!(
        "POST",
        "/api/v2/users/{id}/revoke-access",
        query: &[],
        needs: &["delete:sessions", "delete:refresh_tokens"],
        access::revoke_access
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/sessions",
        query: &["take", "from", "include_totals"],
        needs: &["read:sessions"],
        access::list_sessions
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/sessions",
        query: &[],
        needs: &["delete:sessions"],
        access::delete_sessions
    ),
    // The SDK's page size rides along in the recorded exchanges and is taken without a word.
    route!(
        "GET",
        "/api/v2/users/{id}/refresh-tokens",
        query: &["take", "from", "include_totals", "per_page"],
        needs: &["read:refresh_tokens"],
        access::list_refresh_tokens
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/refresh-tokens",
        query: &[],
        needs: &["delete:refresh_tokens"],
        access::delete_refresh_tokens
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/federated-connections-tokensets",
        query: &[],
        needs: &["read:federated_connections_tokens"],
        token_sets::list
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/federated-connections-tokensets/{tokenset_id}",
        query: &[],
        needs: &["delete:federated_connections_tokens"],
        token_sets::delete
    ),
    route!("GET", "/api/v2/sessions/{id}", query: &[], needs: &["read:sessions"], access::get_session),
    route!(
        "DELETE",
        "/api/v2/sessions/{id}",
        query: &[],
        needs: &["delete:sessions"],
        access::delete_session
    ),
    route!(
        "POST",
        "/api/v2/sessions/{id}/revoke",
        query: &[],
        needs: &["delete:sessions", "delete:refresh_tokens"],
        access::revoke_session
    ),
    route!(
        "GET",
        "/api/v2/refresh-tokens/{id}",
        query: &[],
        needs: &["read:refresh_tokens"],
        access::get_refresh_token
    ),
    route!(
        "DELETE",
        "/api/v2/refresh-tokens/{id}",
        query: &[],
        needs: &["delete:refresh_tokens"],
        access::delete_refresh_token
    ),
    route!(
        "GET",
        "/api/v2/grants",
        query: &["per_page", "page", "include_totals", "user_id", "client_id", "audience"],
        needs: &["read:grants"],
        grants::list
    ),
    route!("DELETE", "/api/v2/grants", query: &["user_id"], needs: &["delete:grants"], grants::delete),
    route!(
        "GET",
        "/api/v2/device-credentials",
        query: &[
            "page",
            "per_page",
            "include_totals",
            "fields",
            "include_fields",
            "user_id",
            "client_id",
            "type",
        ],
        needs: &["read:device_credentials"],
        devices::list
    ),
    route!(
        "DELETE",
        "/api/v2/device-credentials/{id}",
        query: &[],
        needs: &["delete:device_credentials"],
        devices::delete
    ),
    route!(
        "GET",
        "/api/v2/resource-servers",
        query: &["identifiers", "page", "per_page", "include_totals", "include_fields"],
        needs: &["read:resource_servers"],
        resource_servers::list
    ),
];

pub(crate) fn guard(call: &Call<'_>) -> Answer {
    if is_token_endpoint(call) {
        return Ok(Reply::empty(200));
    }
    limits::check(call)?;
    check_token(call)?;
    check_query(call)
}

fn is_token_endpoint(call: &Call<'_>) -> bool {
    call.path == "/oauth/token"
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

/// Where sessions and refresh tokens end together, the security blocks of the API description ask for both scopes,
/// although the text of the refusal says "any of".
fn needs_all(call: &Call<'_>) -> bool {
    call.label().contains("/revoke")
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
