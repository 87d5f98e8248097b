//! Token Vault: the upstream tokens of a user's connected accounts (API description; recorded lists and deletions).

use super::super::call::{Answer, Call, Reply};
use super::errors::no_such_user;
use crate::world::stamp;
use serde_json::{Value, json};

/// Always a bare array.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    world.find_account(call.id()).ok_or_else(no_such_user)?;
    let sets = world.token_sets(call.id()).into_iter().map(|set| {
        json!({
            "id": set.id,
            "connection": set.connection,
            "scope": "openid profile offline_access",
            "issued_at": stamp(set.issued),
            "expires_at": null,
            "last_used_at": null,
        })
    });
    Ok(Reply::json(200, &sets.collect::<Value>()))
}

/// 204 also for a set that is not there (recorded).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let set = call.parameters.get(1).map_or("", String::as_str);
    call.world().delete_token_set(call.id(), set);
    Ok(Reply::empty(204))
}
