//! `GET /users/{id}` and `POST /users/{id}/revokeSignInSessions`.

use super::super::call::{Answer, Call};
use super::{entity, not_found, odata, select};
use crate::world::{Person, PersonId, World};
use serde_json::json;

/// By object id or user principal name. A soft-deleted user answers 404 (Graph, Get a user; the deleted items know it).
pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let person = find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?;
    let wanted = select::wanted(call);
    let mut user = select::user(call, person, &wanted)?;
    let mut context = wanted.join(",");
    if let Some(expand) = call.query("$expand") {
        context.push_str(",manager()");
        if let Some(manager) = select::manager(call, &world, person, expand)? {
            user.insert("manager".into(), manager);
        }
    }
    let context = match (call.query("$select"), call.query("$expand")) {
        (None, None) => "users/$entity".to_owned(),
        _ => format!("users({context})/$entity"),
    };
    Ok(entity(&context, user.into()))
}

/// The page says 204; the live answer is 200 with a boolean (Graph, known issues; the service's own metadata).
pub(super) fn revoke_sessions(call: &Call<'_>) -> Answer {
    if !call.body.is_empty() {
        call.complain("revokeSignInSessions takes no body");
    }
    let mut world = call.world();
    let found: Option<PersonId> = find(&world, call.id()).map(|person| person.id);
    let id = found.ok_or_else(|| not_found(call, call.id()))?;
    world.revoke_entra_sessions(id);
    Ok(odata(json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean",
        "value": true,
    })))
}

fn find<'a>(world: &'a World, key: &str) -> Option<&'a Person> {
    let person = match key.parse() {
        Ok(id) => world.find_person(id),
        Err(_) => world.find_person_by_upn(key),
    };
    person.filter(|person| person.deleted.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_people_are_not_found_by_id() {
        let mut world = World::new(&crate::setup::Setup::default());
        let id = world.hire(crate::world::Hire::named("Adele Vance"));
        assert!(find(&world, &id.to_string()).is_some());
        assert!(find(&world, "Adele.Vance@contoso.example").is_some());
        world.soft_delete(id);
        assert!(find(&world, &id.to_string()).is_none());
        assert!(find(&world, "adele.vance@contoso.example").is_none());
    }
}
