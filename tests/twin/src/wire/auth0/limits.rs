//! Rate limits of the Management API and the headers that tell them (Auth0, Rate Limit Policy and Rate Limit
//! Configurations): first the tenant's own bucket, then that of the endpoint's class: every endpoint has one on Essentials
//! and Professional, the organizations' on Enterprise. Never throttles unless the setup says so, but always tells.
//!
//! A 429 tells the limit that was exceeded (Auth0, Rate Limit Use Cases). Which of two limits another answer tells is not
//! documented; here it is the one with less left.

use super::super::call::{Answer, Call, Reply};
use super::{errors, is_authentication_api};
use crate::bucket::Bucket;
use crate::setup::Plan;
use crate::wire::scim;
use std::collections::BTreeMap;
use std::time::Instant;

/// Classes of endpoints that share a bucket.
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
    OrganizationByName,
    OrganizationConnections,
    OrganizationsOfUser,
    /// Roles, sessions, refresh tokens, grants, APIs and all the rest together.
    Everything,
}

/// Burst and refill per minute of each class (Auth0, Rate Limit Configurations: Essentials and Professional).
const ESSENTIALS: [(Class, u32, u32); 14] = [
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
    (Class::OrganizationByName, 10, 100),
    (Class::OrganizationConnections, 5, 50),
    (Class::OrganizationsOfUser, 40, 500),
    (Class::Everything, 10, 150),
];

/// The same on Enterprise, under the tenant's own limit (Auth0, Rate Limit Configurations: Enterprise). What is not
/// here has no limit of its own.
const ENTERPRISE: [(Class, u32, u32); 8] = [
    (Class::ListOrganizations, 10, 100),
    (Class::Organization, 10, 100),
    (Class::OrganizationByName, 20, 200),
    (Class::OrganizationConnections, 10, 100),
    (Class::OrganizationsOfUser, 40, 500),
    (Class::ReadMembers, 40, 500),
    (Class::WriteMembers, 20, 200),
    (Class::MemberRoles, 20, 200),
];

/// Bucket sizes shown when nothing is enforced: recorded on the token endpoint and on the Management API.
const SHOWN_TOKEN: u64 = 100;
const SHOWN_MANAGEMENT: u64 = 50;

/// Full buckets for every class that the plan limits.
pub(crate) fn endpoint_buckets(plan: Plan, now: Instant) -> BTreeMap<Class, Bucket> {
    let table: &[(Class, u32, u32)] = match plan {
        Plan::Enterprise => &ENTERPRISE,
        Plan::Essentials => &ESSENTIALS,
        // Its tenant-wide limit is smaller than any of an endpoint.
        Plan::Free => &[],
    };
    let full = |burst, minute| Bucket::full(f64::from(burst), f64::from(minute) / 60.0, now);
    table.iter().map(|(class, burst, minute)| (*class, full(*burst, *minute))).collect()
}

pub(super) fn check(call: &Call<'_>) -> Answer {
    let mut limits = call.state.limits();
    let limits = &mut *limits;
    let asked = [limits.auth0.as_mut(), limits.auth0_endpoints.get_mut(&class(call.label()))];
    for bucket in asked.into_iter().flatten() {
        if bucket.take(1.0, call.now).is_err() {
            return Err(told(errors::failure(429), Told::of(bucket, call.now)));
        }
    }
    Ok(Reply::empty(200))
}

/// The headers: bucket size, what is left, and the unix second at which tokens are next added (recorded: one second after
/// `Date`).
pub(super) fn tell(call: &Call<'_>, reply: &mut Reply) {
    if reply.headers.iter().any(|(name, _)| *name == LIMIT) {
        return;
    }
    let shown = shown(call);
    // A throttled answer says that nothing is left, also when it is a fault that throttles.
    let remaining = if reply.status == 429 { 0 } else { shown.remaining };
    *reply = told(reply.clone(), Told { remaining, ..shown });
}

const LIMIT: &str = "x-ratelimit-limit";

/// What the headers say of one bucket.
#[derive(Debug, Clone, Copy)]
struct Told {
    size: u64,
    remaining: u64,
    /// Seconds until tokens are added.
    next_in: f64,
}

impl Told {
    fn of(bucket: &mut Bucket, now: Instant) -> Told {
        Told { size: bucket.size(), remaining: bucket.remaining(now), next_in: bucket.next_in(now) }
    }

    /// A bucket of which one token is taken; nothing enforces it.
    fn unlimited(size: u64) -> Told {
        Told { size, remaining: size - 1, next_in: 0.0 }
    }
}

fn told(reply: Reply, told: Told) -> Reply {
    let in_seconds = (told.next_in.ceil() as i64).max(1);
    let reset = jiff::Timestamp::now().as_second() + in_seconds;
    reply
        .with(LIMIT, told.size.to_string())
        .with("x-ratelimit-remaining", told.remaining.to_string())
        .with("x-ratelimit-reset", reset.to_string())
}

/// The tightest bucket that the request took from.
fn shown(call: &Call<'_>) -> Told {
    if is_authentication_api(call) {
        return Told::unlimited(SHOWN_TOKEN);
    }
    if scim::owns(call.path) {
        let (size, remaining) = scim::tell(call);
        return Told { size, remaining, next_in: 0.0 };
    }
    let mut limits = call.state.limits();
    let limits = &mut *limits;
    let asked = [limits.auth0.as_mut(), limits.auth0_endpoints.get_mut(&class(call.label()))];
    let enforced = asked.into_iter().flatten().map(|bucket| Told::of(bucket, call.now));
    enforced.min_by_key(|told| told.remaining).unwrap_or(Told::unlimited(SHOWN_MANAGEMENT))
}

fn class(label: &str) -> Class {
    match label {
        "GET /api/v2/users" | "GET /api/v2/users/{id}" | "GET /api/v2/users-by-email" => Class::ReadUsers,
        "POST /api/v2/users" | "PATCH /api/v2/users/{id}" => Class::WriteUsers,
        "DELETE /api/v2/users/{id}" => Class::DeleteUsers,
        "DELETE /api/v2/device-credentials/{id}" => Class::WriteDeviceCredentials,
        "GET /api/v2/connections" | "GET /api/v2/connections/{id}" => Class::ReadConnections,
        "GET /api/v2/organizations" => Class::ListOrganizations,
        "GET /api/v2/organizations/{id}" => Class::Organization,
        "GET /api/v2/organizations/name/{name}" => Class::OrganizationByName,
        "GET /api/v2/organizations/{id}/enabled_connections" => Class::OrganizationConnections,
        "GET /api/v2/users/{id}/organizations" => Class::OrganizationsOfUser,
        "GET /api/v2/organizations/{id}/members" => Class::ReadMembers,
        label if label.ends_with("/organizations/{id}/members") => Class::WriteMembers,
        label if label.contains("/members/{user_id}/roles") => Class::MemberRoles,
        _ => Class::Everything,
    }
}
