//! `GET /identityProtection/riskyUsers` and `/{id}` (Graph, riskyUser resource type). People that Identity Protection
//! has never looked at are not in it.

use super::super::call::{Answer, Call};
use super::{collection, entity, error, filter, select};
use crate::world::{Person, stamp};
use serde_json::{Map, Value, json};

/// Largest page (Graph, List riskDetections states 500; riskyUsers is taken to be the same).
const TOP_MAX: usize = 500;

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.world();
    let person = call.id().parse().ok().and_then(|id| world.find_person(id));
    let risky = person.and_then(risky_user).ok_or_else(|| {
        let text = format!("Resource '{}' does not exist.", call.id());
        error(call, 404, "ResourceNotFound", &text)
    })?;
    Ok(entity("identityProtection/riskyUsers/$entity", selected(call, risky)?.into()))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    if let Some(order) = call.query("$orderby") {
        call.complain(format!("$orderby={order} is not played"));
    }
    let top = number(call, "$top")?.unwrap_or(TOP_MAX).min(TOP_MAX);
    let skip = number(call, "$skip")?.unwrap_or(0);
    let risky: Vec<Map<String, Value>> = call.world().people().filter_map(risky_user).collect();
    let matching = filter::apply(call, risky)?;
    let total = matching.len();
    let page = matching.into_iter().skip(skip).take(top);
    let items: Result<Vec<Value>, _> = page.map(|risky| Ok(selected(call, risky)?.into())).collect();
    let next = (skip + top < total).then(|| next_link(call, skip + top));
    let count = (call.query("$count") == Some("true")).then_some(total);
    Ok(collection("identityProtection/riskyUsers", items?, next, count))
}

fn risky_user(person: &Person) -> Option<Map<String, Value>> {
    let risk = person.risk.as_ref()?;
    let shown = json!({
        "id": person.id.to_string(),
        "isDeleted": person.deleted.is_some(),
        "isProcessing": false,
        "riskLevel": risk.level,
        "riskState": risk.state,
        "riskDetail": risk.detail,
        "riskLastUpdatedDateTime": stamp(risk.updated),
        "userDisplayName": person.display_name,
        "userPrincipalName": person.upn,
    });
    match shown {
        Value::Object(shown) => Some(shown),
        _ => None,
    }
}

fn selected(call: &Call<'_>, mut risky: Map<String, Value>) -> Result<Map<String, Value>, super::Reply> {
    let Some(wanted) = call.query("$select") else {
        return Ok(risky);
    };
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    if let Some(unknown) = wanted.iter().find(|name| !risky.contains_key(**name)) {
        call.complain(format!("unknown riskyUser property {unknown}"));
        return Err(select::no_such_property(call, unknown, "microsoft.graph.riskyUser"));
    }
    risky.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
    Ok(risky)
}

fn number(call: &Call<'_>, name: &str) -> Result<Option<usize>, super::Reply> {
    let Some(text) = call.query(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        error(call, 400, "BadRequest", &format!("Invalid value '{text}' for {name} query option found."))
    })
}

/// The same query with the next `$skip`, on the host that was asked, as the real one is opaque but absolute.
fn next_link(call: &Call<'_>, skip: usize) -> String {
    let host = call.header("host").unwrap_or("graph.microsoft.com");
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in call.query.iter().filter(|(name, _)| name != "$skip") {
        query.append_pair(name, value);
    }
    query.append_pair("$skip", &skip.to_string());
    format!("http://{host}{}?{}", call.path, query.finish())
}
