//! `GET /resource-servers`: the tenant's APIs with the lifetimes of their access tokens (API description; Auth0, Update
//! Access Token Lifetime).

use super::super::call::{Answer, Call};
use super::page::Offset;
use crate::world::ResourceServer;
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let offset = Offset::of(call)?;
    if call.query("include_fields").is_some() {
        call.complain("include_fields without fields is not played");
    }
    let wanted: Vec<&str> = call
        .query
        .iter()
        .filter(|(name, _)| name == "identifiers")
        .map(|(_, identifier)| identifier.as_str())
        .collect();
    let world = call.world();
    let servers = world.resource_servers.iter();
    let named: Vec<&ResourceServer> =
        servers.filter(|server| wanted.is_empty() || wanted.contains(&server.identifier.as_str())).collect();
    let page = named.iter().skip(offset.start()).take(offset.per_page);
    Ok(offset.reply(call, "resource_servers", named.len(), page.map(|server| shown(server)).collect()))
}

fn shown(server: &ResourceServer) -> Value {
    json!({
        "id": server.id,
        "name": server.name,
        "identifier": server.identifier,
        "is_system": server.is_system,
        "signing_alg": "RS256",
        "allow_offline_access": !server.is_system,
        "skip_consent_for_verifiable_first_party_clients": true,
        "token_lifetime": server.token_lifetime,
        "token_lifetime_for_web": server.token_lifetime_for_web,
    })
}
