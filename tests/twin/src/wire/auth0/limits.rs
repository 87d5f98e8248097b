//! Rate limits of the Management API and the headers that tell them (Auth0, Rate Limit Policy and Rate Limit
//! Configurations): first the tenant's own bucket, then, on Essentials and Professional, the bucket of the endpoint's
//! class. Never throttles unless the setup says so, but always tells.

use super::super::call::{Answer, Call, Reply};
use super::{errors, is_authentication_api};
use crate::bucket::Bucket;
use crate::wire::scim;
use std::collections::BTreeMap;
use std::time::Instant;

/// Classes of endpoints that share a bucket on Essentials and Professional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    ReadUsers,
    WriteUsers,
    DeleteUsers,
    WriteDeviceCredentials,
    ReadConnections,
    ReadMembers,
    WriteMembers,
    MemberRoles,
    ListOrganizations,
    Organization,
    /// Roles, sessions, refresh tokens, grants, APIs and all the rest together.
    Everything,
}

/// Burst and refill per minute of each class (Auth0, Rate Limit Configurations: Essentials and Professional).
const TABLE: [(Class, u32, u32); 11] = [
    (Class::ReadUsers, 40, 500),
    (Class::WriteUsers, 20, 200),
    (Class::DeleteUsers, 20, 200),
    (Class::WriteDeviceCredentials, 5, 100),
    (Class::ReadConnections, 5, 50),
    (Class::ReadMembers, 40, 500),
    (Class::WriteMembers, 20, 200),
    (Class::MemberRoles, 20, 200),
    (Class::ListOrganizations, 5, 50),
    (Class::Organization, 20, 200),
    (Class::Everything, 10, 150),
];

/// Bucket sizes shown when nothing is enforced: recorded on the token endpoint and on the Management API.
const SHOWN_TOKEN: u32 = 100;
const SHOWN_MANAGEMENT: u32 = 50;

/// Full buckets for every class.
pub(crate) fn endpoint_buckets(now: Instant) -> BTreeMap<Class, Bucket> {
    TABLE
        .into_iter()
        .map(|(class, burst, minute)| (class, Bucket::full(f64::from(burst), f64::from(minute) / 60.0, now)))
        .collect()
}

pub(super) fn check(call: &Call<'_>) -> Answer {
    let mut limits = call.state.limits();
    let spent =
        |bucket: Option<&mut Bucket>| bucket.is_some_and(|bucket| bucket.take(1.0, call.now).is_err());
    if spent(limits.auth0.as_mut()) || spent(limits.auth0_endpoints.get_mut(&class(call.label()))) {
        return Err(errors::failure(429));
    }
    Ok(Reply::empty(200))
}

/// The headers: bucket size, what is left, and the unix second at which tokens are next added (recorded: one second after
/// `Date`).
pub(super) fn tell(call: &Call<'_>, reply: &mut Reply) {
    let (limit, remaining) = shown(call);
    // A throttled answer says that nothing is left, also when it is a fault that throttles.
    let remaining = if reply.status == 429 { 0 } else { remaining };
    let reset = jiff::Timestamp::now().as_second() + 1;
    reply.headers.push(("x-ratelimit-limit", limit.to_string()));
    reply.headers.push(("x-ratelimit-remaining", remaining.to_string()));
    reply.headers.push(("x-ratelimit-reset", reset.to_string()));
}

/// The tightest bucket that the request took from.
fn shown(call: &Call<'_>) -> (u64, u64) {
    if is_authentication_api(call) {
        return (u64::from(SHOWN_TOKEN), u64::from(SHOWN_TOKEN) - 1);
    }
    if scim::owns(call.path) {
        return scim::tell(call);
    }
    let mut limits = call.state.limits();
    let tenant = limits.auth0.as_mut().map(|bucket| (bucket.size(), bucket.remaining(call.now)));
    let endpoint = limits.auth0_endpoints.get_mut(&class(call.label()));
    let endpoint = endpoint.map(|bucket| (bucket.size(), bucket.remaining(call.now)));
    let enforced = tenant.into_iter().chain(endpoint).min_by_key(|(_, remaining)| *remaining);
    enforced.unwrap_or((u64::from(SHOWN_MANAGEMENT), u64::from(SHOWN_MANAGEMENT) - 1))
}

fn class(label: &str) -> Class {
    match label {
        "GET /api/v2/users" | "GET /api/v2/users/{id}" | "GET /api/v2/users-by-email" => Class::ReadUsers,
        "POST /api/v2/users" | "PATCH /api/v2/users/{id}" => Class::WriteUsers,
        "DELETE /api/v2/users/{id}" => Class::DeleteUsers,
        "DELETE /api/v2/device-credentials/{id}" => Class::WriteDeviceCredentials,
        "GET /api/v2/connections" | "GET /api/v2/connections/{id}" => Class::ReadConnections,
        "GET /api/v2/organizations" => Class::ListOrganizations,
        "GET /api/v2/organizations/{id}" | "GET /api/v2/organizations/name/{name}" => Class::Organization,
        "GET /api/v2/organizations/{id}/members" => Class::ReadMembers,
        label if label.ends_with("/organizations/{id}/members") => Class::WriteMembers,
        label if label.contains("/members/{user_id}/roles") => Class::MemberRoles,
        _ => Class::Everything,
    }
}
