//! Inbound SCIM of an enterprise connection (Auth0, Configure Inbound SCIM; RFC 7643 and 7644): users made before their
//! first sign-in, changed, and locked out by `active: false`.
//!
//! It stands beside the Management API on the same host, with its own tokens, its own limit and its own errors.

mod errors;
mod filter;
mod operations;
mod path;
mod resource;
mod users;

pub(crate) use errors::failure;
pub(crate) use users::{create, delete, get, list, patch, replace};

use super::call::{Answer, Call, Reply};
use crate::bucket::Bucket;
use crate::setup::RateLimit;
use errors::error;

/// The content type of every answer (RFC 7644, section 3.1).
const MEDIA: &str = "application/scim+json; charset=utf-8";

/// Entra's own SCIM client marks its requests so (Auth0, Inbound SCIM for New Azure AD Connections).
pub(crate) const ENTRA_FLAG: &str = "aadOptscim062020";

/// Whether a path belongs to SCIM and not to the Management API.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with("/scim/")
}

/// The connection's limit, its token, the token's scopes, in this order.
pub(crate) fn guard(call: &Call<'_>) -> Answer {
    check_limit(call)?;
    let token = call.bearer().ok_or_else(|| error(401, None, "Missing authentication"))?;
    let mut world = call.world();
    let known = world.use_scim_token(token).filter(|token| token.connection_id == call.id());
    let known = known.ok_or_else(|| error(401, None, "Invalid token"))?;
    let needs = call.route.map_or(&[][..], |route| route.needs);
    if !needs.iter().all(|scope| known.scopes.contains(*scope)) {
        return Err(error(403, None, &format!("Insufficient scope, expected: {}", needs.join(","))));
    }
    let sent: Vec<&str> = call.query.iter().map(|(name, _)| name.as_str()).collect();
    let takes = call.route.map_or(&[][..], |route| route.query);
    for name in sent.into_iter().filter(|name| !takes.contains(name) && *name != ENTRA_FLAG) {
        call.complain(format!("unknown query parameter {name}"));
    }
    Ok(Reply::empty(200))
}

/// A bucket for each connection (Auth0, Rate Limit Configurations: requests per second and connection).
fn check_limit(call: &Call<'_>) -> Answer {
    match with_bucket(call, |bucket| bucket.take(1.0, call.now)) {
        Some(Err(_)) => Err(failure(429)),
        _ => Ok(Reply::empty(200)),
    }
}

fn with_bucket<T>(call: &Call<'_>, ask: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
    let RateLimit { burst, per_second } = call.state.setup.scim_rate_limit?;
    let mut limits = call.state.limits();
    let full = || Bucket::full(f64::from(burst), per_second, call.now);
    Some(ask(limits.scim.entry(call.id().to_owned()).or_insert_with(full)))
}

/// What [`tell`] shows when nothing is enforced: a paid plan's limit.
const SHOWN: u64 = 25;

/// The Management API's headers; that SCIM sends them too is what its public clients rely on, and no page says so.
pub(crate) fn tell(call: &Call<'_>) -> (u64, u64) {
    with_bucket(call, |bucket| (bucket.size(), bucket.remaining(call.now))).unwrap_or((SHOWN, SHOWN - 1))
}
