//! `GET /users`, `GET /users/{id}` and `POST /users/{id}/revokeSignInSessions`.

use super::super::call::{Answer, Call};
use super::links::{self, Listed};
use super::{entity, not_found, objects, odata, pages, select};
use crate::world::{ObjectId, Person, PersonId, World};
use serde_json::json;

/// By object id or user principal name. A soft-deleted user answers 404 (Graph, Get a user; the deleted items know it).
pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let person = find(&world, call.id()).ok_or_else(|| not_found(call, call.id()))?;
    let wanted = select::wanted(call);
    let mut user = select::user(call, &world, person, &wanted)?;
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

/// Everybody who is not deleted, page by page (Graph, List users). `$filter` and `$search` are not played.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let world = call.world();
    let wanted = select::wanted(call);
    select::check(call, &world, &wanted)?;
    let context = match call.query("$select") {
        Some(_) => format!("users({})", wanted.join(",")),
        None => "users".to_owned(),
    };
    let after = links::place(call, world.link_epoch())?;
    let after = match after.as_ref().and_then(Listed::object) {
        Some(ObjectId::Person(id)) => Some(id),
        _ => None,
    };
    let alive = || world.people_after(after).filter(|person| person.deleted.is_none());
    let all = alive().map(|person| Listed::Object(person.id.into()));
    let count = || world.people().filter(|person| person.deleted.is_none()).count();
    pages::page(call, &world, &context, all, count, |item| objects::bare(call, &world, item, &wanted))
}

/// The page says 204; the live answer is 200 with a boolean (Graph, known issues; the service's own metadata).
pub(super) fn revoke_sessions(call: &Call<'_>) -> Answer {
    if !call.body.is_empty() {
        call.complain("revokeSignInSessions takes no body");
    }
    // Assumed of Microsoft's front ends: an empty POST says that it is empty (RFC 9110, section 8.6), or is answered 411.
    if call.header("content-length").is_none() {
        call.complain("an empty POST without content-length");
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

/// The person as reads see them now, by object id or user principal name.
pub(super) fn find<'a>(world: &'a World, key: &str) -> Option<&'a Person> {
    let id = key.parse().ok().or_else(|| world.find_person_by_upn(key).map(|person| person.id));
    let person = id.and_then(|id| world.seen_person(id));
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
