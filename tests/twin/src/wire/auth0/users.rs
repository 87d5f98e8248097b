//! `GET` and `DELETE` of users. `GET /users/{id}` is immediate, unlike the search.

use super::super::call::{Answer, Call, Reply};
use super::errors::no_such_user;
use super::page::with_fields;
use crate::world::Write;

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let account = world.find_account(call.id()).ok_or_else(no_such_user)?;
    Ok(Reply::json(200, &with_fields(call, account.to_json())))
}

/// 204 also when the user is gone already (recorded twice in a row).
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.world();
    world.delete_account(call.id());
    world.wrote(call.id(), Write::Deleted);
    Ok(Reply::empty(204))
}
