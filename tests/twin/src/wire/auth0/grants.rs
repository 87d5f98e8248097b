//! `GET` and `DELETE /grants` (recorded list: `clientID` with a capital ID, `scope` as an array).

use super::super::call::{Answer, Call, Reply};
use super::errors::invalid_query;
use super::page::Offset;
use crate::world::Write;
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    let world = call.world();
    let users = match call.query("user_id") {
        Some(user) => vec![user.into()],
        None => world.holders(),
    };
    let of_user = |user| world.grants(user).into_iter().map(move |grant| (user, grant));
    let mut shown: Vec<Value> = Vec::new();
    for (user, grant) in users.iter().flat_map(|user| of_user(user)) {
        let wanted = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
        if wanted("client_id", &grant.client_id) && wanted("audience", &grant.audience) {
            shown.push(json!({
                "id": grant.id,
                "clientID": grant.client_id,
                "user_id": user,
                "audience": grant.audience,
                "scope": ["openid", "profile", "offline_access"],
            }));
        }
    }
    let total = shown.len();
    let page = shown.into_iter().skip(offset.start()).take(offset.per_page).collect();
    Ok(offset.reply(call, "grants", total, page))
}

/// 204, also without anything to delete; refresh tokens that hang on the grants are invalidated, sessions stay (Auth0,
/// Revoke Refresh Tokens).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let Some(user) = call.query("user_id") else {
        return Err(invalid_query("'Missing required property: user_id' on property user_id"));
    };
    let mut world = call.world();
    world.delete_grants(user);
    world.wrote(user, Write::AccessEnded);
    Ok(Reply::empty(204))
}
