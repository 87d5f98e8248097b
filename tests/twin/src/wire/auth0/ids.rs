//! Bodies that are one array of ids: roles to give or take, members to add or remove.

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, type_of};
use super::patch;
use crate::world::World;
use serde_json::Value;

/// The ids under `field`, which has at least one (schema: `minItems` 1) and no other beside it.
pub(super) fn of(call: &Call<'_>, field: &str) -> Result<Vec<String>, Reply> {
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &[field])?;
    let items = match body.get(field) {
        None => {
            let text = format!("'Missing required property: {field}' on property {field}");
            return Err(invalid_body(&text));
        }
        Some(Value::Array(items)) => items,
        Some(other) => {
            let found = type_of(other);
            return Err(invalid_body(&format!(
                "'Expected type array but found type {found}' on property {field}"
            )));
        }
    };
    if items.is_empty() {
        return Err(invalid_body(&format!("'Array is too short (0), minimum 1' on property {field}")));
    }
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
    texts
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| invalid_body(&format!("'Expected type string' on property {field}[]")))
}

/// Roles that a body names: each looks like the id of a role (400 in the recorded form of a failed format) and exists (the
/// recorded 404 of a role that is gone; no source shows what assigning one answers).
pub(super) fn roles(call: &Call<'_>) -> Result<Vec<String>, Reply> {
    let named = of(call, "roles")?;
    if let Some((at, id)) = named.iter().enumerate().find(|(_, id)| !id.starts_with("rol_")) {
        let text =
            format!("'Object didn't pass validation for format role-id: {id}' on property roles[{at}]");
        return Err(invalid_body(&text));
    }
    Ok(named)
}

pub(super) fn known_roles(world: &World, named: &[String]) -> Answer {
    match named.iter().all(|id| world.find_role(id).is_some()) {
        true => Ok(Reply::empty(200)),
        false => Err(no_such_role()),
    }
}

/// Recorded for `GET` and `DELETE /roles/{gone}`: there is no `errorCode`.
pub(super) fn no_such_role() -> Reply {
    error(404, "The role does not exist.", None)
}
