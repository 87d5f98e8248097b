//! Microsoft Graph v1.0, as far as Lockstep reads it.
//!
//! The guard imitates, in this order: the token (401), the permission of the token (403), the limits (429). Limits are
//! the directory's ResourceUnits with a fractional `Retry-After`, and one request per second and tenant on Identity
//! Protection without one (Microsoft Graph, Throttling limits).

mod applications;
mod batch;
mod deleted;
mod delta;
mod filter;
mod group;
mod groups;
mod links;
mod memberships;
mod objects;
mod organization;
mod pages;
mod risk;
mod select;
pub(crate) mod subscriptions;
mod units;
mod users;

use super::call::{Answer, Call, Reply};
use super::route::{Route, route};
use crate::faults::Vendor;
use crate::world::World;
use serde_json::{Map, Value, json};
use units::resource_units;

const READ_USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
const READ_RISK: &[&str] = &["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"];
const REVOKE: &[&str] = &["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
const READ_APPLICATIONS: &[&str] =
    &["Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"];
const READ_ORGANIZATION: &[&str] = &["User.Read.All", "Organization.Read.All", "Directory.Read.All"];

/// Which of the two is decided by the resource, later.
const SUBSCRIBE: &[&str] = &["User.Read.All", "Group.Read.All"];
const READ_GROUPS: &[&str] =
    &["GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All"];
const READ_ROLES: &[&str] = &["RoleManagement.Read.Directory", "Directory.Read.All"];
/// The label of the one route whose requests are others.
const BATCH: &str = "POST /v1.0/$batch";

/// `needs` lists permissions of which one suffices (Microsoft Graph permissions reference).
pub(crate) const ROUTES: &[Route] = &[
    // Before the rows with a parameter, because the function looks like an id.
    route!("GET", "/v1.0/users/delta", query: DELTA, needs: READ_USERS, delta::users),
    route!("GET", "/v1.0/groups/delta", query: DELTA, needs: READ_GROUPS, delta::groups),
    route!("GET", "/v1.0/users", query: LIST, needs: READ_USERS, users::list),
    route!("GET", "/v1.0/users/{id}", query: &["$select", "$expand"], needs: READ_USERS, users::get),
    route!("POST", "/v1.0/users/{id}/revokeSignInSessions", query: &[], needs: REVOKE, users::revoke_sessions),
    route!(
        "GET",
        "/v1.0/identityProtection/riskyUsers",
        query: &["$filter", "$select", "$top", "$skip", "$count", "$orderby"],
        needs: READ_RISK,
        risk::list
    ),
    route!("GET", "/v1.0/identityProtection/riskyUsers/{id}", query: &["$select"], needs: READ_RISK, risk::get),
    // Before the row with a parameter, because the cast looks like an id.
    route!(
        "GET",
        "/v1.0/directory/deletedItems/microsoft.graph.user",
        query: &["$select", "$top", "$filter", "$count", "$orderby", "$skiptoken"],
        needs: READ_USERS,
        deleted::list_users
    ),
    route!(
        "GET",
        "/v1.0/directory/deletedItems/microsoft.graph.group",
        query: &["$select", "$top", "$filter", "$count", "$orderby", "$skiptoken"],
        needs: READ_GROUPS,
        deleted::list_groups
    ),
    // What the token may see of it is decided when it is clear what it is.
    route!("GET", "/v1.0/directory/deletedItems/{id}", query: &["$select"], needs: &[], deleted::get),
    route!("POST", "/v1.0/subscriptions", query: &[], needs: SUBSCRIBE, subscriptions::create),
    route!("GET", "/v1.0/subscriptions", query: &[], needs: SUBSCRIBE, subscriptions::list),
    route!("GET", "/v1.0/subscriptions/{id}", query: &[], needs: SUBSCRIBE, subscriptions::get),
    route!("PATCH", "/v1.0/subscriptions/{id}", query: &[], needs: SUBSCRIBE, subscriptions::update),
    route!("DELETE", "/v1.0/subscriptions/{id}", query: &[], needs: SUBSCRIBE, subscriptions::delete),
    route!(
        "POST",
        "/v1.0/subscriptions/{id}/reauthorize",
        query: &[],
        needs: SUBSCRIBE,
        subscriptions::reauthorize
    ),
    route!(
        "GET",
        "/v1.0/applications",
        query: &["$filter", "$select"],
        needs: READ_APPLICATIONS,
        applications::list
    ),
    route!("GET", "/v1.0/organization", query: &["$select"], needs: READ_ORGANIZATION, organization::list),
    route!("GET", "/v1.0/users/{id}/memberOf", query: LIST, needs: READ_USERS, memberships::direct_of_user),
    route!(
        "GET",
        "/v1.0/users/{id}/memberOf/microsoft.graph.group",
        query: LIST,
        needs: READ_USERS,
        memberships::direct_of_user
    ),
    route!(
        "GET",
        "/v1.0/users/{id}/transitiveMemberOf",
        query: LIST,
        needs: READ_USERS,
        memberships::transitive_of_user
    ),
    route!(
        "GET",
        "/v1.0/users/{id}/transitiveMemberOf/microsoft.graph.group",
        query: LIST,
        needs: READ_USERS,
        memberships::transitive_of_user
    ),
    route!("POST", "/v1.0/users/{id}/checkMemberGroups", query: &[], needs: READ_GROUPS, memberships::check),
    route!("POST", "/v1.0/users/{id}/getMemberGroups", query: &[], needs: READ_GROUPS, memberships::get),
    route!("GET", "/v1.0/groups", query: LIST, needs: READ_GROUPS, groups::list),
    route!("GET", "/v1.0/groups/{id}", query: &["$select"], needs: READ_GROUPS, groups::get),
    route!("GET", "/v1.0/groups/{id}/members", query: LIST, needs: READ_GROUPS, groups::members),
    route!(
        "GET",
        "/v1.0/groups/{id}/members/microsoft.graph.user",
        query: LIST,
        needs: READ_GROUPS,
        groups::members
    ),
    route!(
        "GET",
        "/v1.0/groups/{id}/transitiveMembers",
        query: LIST,
        needs: READ_GROUPS,
        groups::transitive_members
    ),
    route!(
        "GET",
        "/v1.0/groups/{id}/transitiveMembers/microsoft.graph.user",
        query: LIST,
        needs: READ_GROUPS,
        groups::transitive_members
    ),
    route!("GET", "/v1.0/groups/{id}/memberOf", query: LIST, needs: READ_GROUPS, memberships::direct_of_group),
    route!(
        "GET",
        "/v1.0/groups/{id}/transitiveMemberOf",
        query: LIST,
        needs: READ_GROUPS,
        memberships::transitive_of_group
    ),
    route!("POST", "/v1.0/directoryObjects/getByIds", query: &["$select"], needs: &[], objects::by_ids),
    route!("POST", "/v1.0/$batch", query: &[], needs: &[], batch::answer),
];

/// Query options of lists of directory objects; `$search`, `$filter` and `$orderby` are not played.
const LIST: &[&str] = &["$select", "$top", "$count", "$skiptoken"];
/// Query options of delta queries (user: delta; group: delta).
const DELTA: &[&str] = &["$select", "$filter", "$deltatoken", "$skiptoken"];

pub(crate) fn guard(call: &Call<'_>) -> Answer {
    check_token(call)?;
    check_query(call)?;
    check_limits(call)
}

fn check_token(call: &Call<'_>) -> Answer {
    let Some(token) = call.bearer() else {
        return Err(error(call, 401, "InvalidAuthenticationToken", "Access token is empty."));
    };
    let world = call.world();
    match world.check_token(Vendor::Graph, token) {
        Ok(()) => {}
        Err(crate::world::Refusal::Expired) => {
            let text = "Lifetime validation failed, the token is expired.";
            return Err(error(call, 401, "InvalidAuthenticationToken", text));
        }
        Err(crate::world::Refusal::Unknown) => {
            let text = "IDX14100: JWT is not well formed, there are no dots (.).";
            return Err(error(call, 401, "InvalidAuthenticationToken", text));
        }
    }
    let needs = call.route.map_or(&[][..], |route| route.needs);
    if needs.is_empty() || permits(call, &world, needs) {
        return Ok(Reply::empty(200));
    }
    Err(denied(call))
}

/// Whether the token has one of these permissions.
fn permits(call: &Call<'_>, world: &World, needs: &[&str]) -> bool {
    let token = call.bearer().unwrap_or_default();
    needs.iter().any(|permission| world.token_allows(Vendor::Graph, token, permission))
}

fn denied(call: &Call<'_>) -> Reply {
    let text = "Insufficient privileges to complete the operation.";
    error(call, 403, "Authorization_RequestDenied", text)
}

/// The body, if it has no other fields than these.
fn known_fields(call: &Call<'_>, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let body = call.json_object().ok_or_else(|| error(call, 400, "BadRequest", "Unable to read JSON."))?;
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(body),
        Some(unknown) => {
            call.complain(format!("unknown body field {unknown}"));
            let text = format!("The parameter '{unknown}' in the request payload is not a valid parameter.");
            Err(error(call, 400, "BadRequest", &text))
        }
    }
}

/// A required list of up to `max` texts.
fn strings(call: &Call<'_>, body: &Map<String, Value>, name: &str, max: usize) -> Result<Vec<String>, Reply> {
    let list = body.get(name).and_then(Value::as_array);
    let texts: Option<Vec<String>> =
        list.and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    let texts = texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
        error(
            call,
            400,
            "Request_BadRequest",
            &format!("{name} must be a list of text with something in it."),
        )
    })?;
    if texts.len() > max {
        call.complain(format!("{} {name}, at most {max} are taken", texts.len()));
        let text = format!("The number of {name} exceeds the maximum of {max}.");
        return Err(error(call, 400, "Request_BadRequest", &text));
    }
    Ok(texts)
}

/// OData options that a resource does not take are refused; other unknown parameters are ignored by Graph, and noted.
fn check_query(call: &Call<'_>) -> Answer {
    let known = call.route.map_or(&[][..], |route| route.query);
    for (name, _) in call.query.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        call.complain(format!("unknown query parameter {name}"));
        if name.starts_with('$') {
            let text = format!("The query parameter '{name}' is not supported.");
            return Err(error(call, 400, "BadRequest", &text));
        }
    }
    Ok(Reply::empty(200))
}

fn check_limits(call: &Call<'_>) -> Answer {
    if is_subscription(call) {
        return subscriptions::check_limits(call);
    }
    let mut limits = call.state.limits();
    if is_identity_protection(call) {
        let refused = limits.identity_protection.as_mut().map(|bucket| bucket.take(1.0, call.now));
        return match refused {
            Some(Err(_)) => Err(too_many(call)),
            _ => Ok(Reply::empty(200)),
        };
    }
    let cost = f64::from(resource_units(call));
    match limits.resource_units.as_mut().map(|bucket| bucket.take(cost, call.now)) {
        Some(Err(seconds)) => {
            let scope = format!(
                "Tenant_Application/ReadWrite/{}/{}",
                call.state.setup.entra_client_id, call.state.setup.tenant_id
            );
            Err(too_many(call)
                .with("retry-after", format!("{seconds:.3}"))
                .with("x-ms-throttle-scope", scope)
                .with("x-ms-throttle-information", "ResourceUnitLimitExceeded"))
        }
        _ => Ok(Reply::empty(200)),
    }
}

fn is_subscription(call: &Call<'_>) -> bool {
    call.label().contains("/v1.0/subscriptions")
}

fn is_identity_protection(call: &Call<'_>) -> bool {
    call.label().contains("/identityProtection/")
}

/// The 429 body printed on the Throttling page, whose `innerError` has strings `code` and `status`.
fn too_many(call: &Call<'_>) -> Reply {
    Reply::json(
        429,
        &json!({"error": {
            "code": "TooManyRequests",
            "innerError": {
                "code": "429",
                "date": now(),
                "message": "Please retry after",
                "request-id": call.request_id.to_string(),
                "status": "429",
            },
            "message": "Please retry again later.",
        }}),
    )
}

/// The error body of every Graph service (Microsoft Graph, Error responses).
pub(crate) fn error(call: &Call<'_>, status: u16, code: &str, text: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": {
            "code": code,
            "message": text,
            "innerError": {
                "date": now(),
                "request-id": call.request_id.to_string(),
                "client-request-id": client_request_id(call),
            },
        }}),
    )
}

/// What a directory object that is not there answers; a soft-deleted user looks the same.
fn not_found(call: &Call<'_>, id: &str) -> Reply {
    let text = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    error(call, 404, "Request_ResourceNotFound", &text)
}

pub(crate) fn failure(call: &Call<'_>, status: u16) -> Reply {
    match status {
        429 => too_many(call),
        503 => error(call, status, "serviceNotAvailable", "The service is temporarily unavailable."),
        _ => error(call, status, "UnknownError", "An unknown error has occurred."),
    }
}

pub(crate) fn unknown_route(call: &Call<'_>) -> Reply {
    let segment = call.path.rsplit('/').next().unwrap_or_default();
    error(call, 400, "BadRequest", &format!("Resource not found for the segment '{segment}'."))
}

/// The ids that Graph puts on every answer, and the price of the request.
pub(crate) fn finish(call: &Call<'_>, reply: &mut Reply) {
    reply.headers.push(("request-id", call.request_id.to_string()));
    reply.headers.push(("client-request-id", client_request_id(call)));
    if is_identity_protection(call) || is_subscription(call) || call.label() == BATCH {
        return;
    }
    reply.headers.push(("x-ms-resource-unit", resource_units(call).to_string()));
    // The share of the limit is shown from 80 % on (Throttling limits page).
    let spent = call.state.limits().resource_units.as_ref().map_or(0.0, |bucket| bucket.spent());
    if spent >= 0.8 {
        reply.headers.push(("x-ms-throttle-limit-percentage", format!("{spent:.2}")));
    }
}

fn client_request_id(call: &Call<'_>) -> String {
    call.header("client-request-id").map_or_else(|| call.request_id.to_string(), str::to_owned)
}

/// An answer with its OData context.
fn entity(context: &str, value: Value) -> Reply {
    let mut body = serde_json::Map::new();
    body.insert("@odata.context".into(), context_url(context).into());
    if let Value::Object(properties) = value {
        body.extend(properties);
    }
    odata(Value::Object(body))
}

/// A page of a delta query, with its link by name.
fn collection_with(context: &str, items: Vec<Value>, link: Option<(&str, String)>) -> Reply {
    let mut body = Map::from_iter([("@odata.context".to_owned(), context_url(context).into())]);
    body.extend(link.map(|(name, link)| (name.to_owned(), link.into())));
    body.insert("value".into(), items.into());
    odata(Value::Object(body))
}

/// A page of a collection.
fn collection(context: &str, items: Vec<Value>, next: Option<String>, count: Option<usize>) -> Reply {
    let mut body = serde_json::Map::new();
    body.insert("@odata.context".into(), context_url(context).into());
    if let Some(count) = count {
        body.insert("@odata.count".into(), count.into());
    }
    if let Some(next) = next {
        body.insert("@odata.nextLink".into(), next.into());
    }
    body.insert("value".into(), items.into());
    odata(Value::Object(body))
}

fn odata(body: Value) -> Reply {
    let mut reply = Reply::json(200, &body);
    reply.content_type =
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    reply
}

fn context_url(context: &str) -> String {
    format!("https://graph.microsoft.com/v1.0/$metadata#{context}")
}

/// Error times carry no zone and no fraction, as recorded.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Times in Graph entities.
fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
