//! `GET /device-credentials` and `DELETE /device-credentials/{id}`: the refresh tokens again, seen by the older endpoint
//! that answers on every plan (recorded list; Auth0, Revoke Refresh Tokens).

use super::super::call::{Answer, Call, Reply};
use super::errors::invalid_query;
use super::page::{Offset, with_fields};
use serde_json::{Value, json};

/// All refresh tokens of the twin rotate; asking for another type finds nothing.
const TYPE: &str = "rotating_refresh_token";

pub(super) fn list(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    let paging = call.query("page").is_some() || call.query("per_page").is_some();
    let kind = call.query("type").or(paging.then_some("refresh_token"));
    if let Some(kind) = kind.filter(|kind| !["public_key", "refresh_token", TYPE].contains(kind)) {
        return Err(invalid_query(&format!("'No enum match for: {kind}' on property type")));
    }
    let world = call.world();
    let users = match call.query("user_id") {
        Some(user) => vec![user.into()],
        None => world.holders(),
    };
    let mut shown: Vec<Value> = Vec::new();
    for user in users.iter().filter(|_| kind.is_none_or(|kind| kind == TYPE)) {
        for device in world.device_credentials(user) {
            if call.query("client_id").is_some_and(|client| client != device.client_id) {
                continue;
            }
            let object = json!({
                "id": device.id,
                "device_name": "Mozilla/5.0",
                "type": TYPE,
                "user_id": &**user,
                "client_id": device.client_id,
            });
            shown.extend(object.as_object().map(|object| with_fields(call, object.clone())));
        }
    }
    let total = shown.len();
    let page = shown.into_iter().skip(offset.start()).take(offset.per_page).collect();
    Ok(offset.reply(call, "device_credentials", total, page))
}

/// 204 also for an id that is gone (recorded twice in a row); the refresh token dies with it.
pub(super) fn delete(call: &Call<'_>) -> Answer {
    call.world().delete_device_credential(call.id());
    Ok(Reply::empty(204))
}
