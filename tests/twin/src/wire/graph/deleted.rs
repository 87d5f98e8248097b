//! `GET /directory/deletedItems/{id}` and `/microsoft.graph.user` (Graph, List deleted items): soft-deleted users stay
//! there, restorable, until they are purged.

use super::super::call::{Answer, Call};
use super::{collection, entity, filter, not_found, select};
use serde_json::Value;

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let person = call.id().parse().ok().and_then(|id| world.find_person(id));
    let person = person.filter(|p| p.deleted.is_some()).ok_or_else(|| not_found(call, call.id()))?;
    let mut shown = select::user(call, person, &wanted(call))?;
    // The set is of directory objects, so the answer names the type.
    shown.insert("@odata.type".into(), "#microsoft.graph.user".into());
    Ok(entity("directoryObjects/$entity", shown.into()))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    if let Some(order) = call.query("$orderby") {
        call.complain(format!("$orderby={order} is not played"));
    }
    let world = call.world();
    let wanted = wanted(call);
    let deleted = world.people().filter(|person| person.deleted.is_some());
    let shown: Result<Vec<_>, _> = deleted.map(|p| select::user(call, p, &wanted)).collect();
    let matching = filter::apply(call, shown?)?;
    let top = call.query("$top").and_then(|top| top.parse().ok()).unwrap_or(100);
    let count = (call.query("$count") == Some("true")).then_some(matching.len());
    if matching.len() > top {
        call.complain("more deleted users than one page: paging of deleted items is not played");
    }
    let items: Vec<Value> = matching.into_iter().take(top).map(Value::from).collect();
    Ok(collection("users", items, None, count))
}

/// Deleted users show `deletedDateTime` beside the default properties.
fn wanted<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    let mut wanted = select::wanted(call);
    if call.query("$select").is_none() {
        wanted.push("deletedDateTime");
    }
    wanted
}
