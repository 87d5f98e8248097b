//! `GET /applications`: our own registration with its client secrets (Graph, List applications; passwordCredential resource
//! type). Certificates are not shown: nobody asks for them.

use super::super::call::{Answer, Call};
use super::{collection, error, select};
use crate::world::stamp;
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let setup = &call.state.setup;
    let ours = format!("appId eq '{}'", setup.entra_client_id);
    if call.query("$filter").is_none_or(|filter| filter != ours) {
        call.complain("applications are played for our own appId only".to_owned());
        return Err(error(call, 400, "Request_UnsupportedQuery", "Unsupported Query."));
    }
    let secret = json!({
        "customKeyIdentifier": null,
        "displayName": "lockstep",
        "endDateTime": stamp(setup.entra_client_secret_ends),
        "hint": setup.entra_client_secret.get(..3),
        "keyId": "5d1c8e07-93b4-4a6f-8e20-c7f19a64d3b5",
        "secretText": null,
        "startDateTime": "2026-01-05T08:00:00Z",
    });
    let mut shown = json!({
        "id": "b84e6f12-70d9-4c3a-9f58-21a7e0d6c943",
        "appId": setup.entra_client_id,
        "displayName": "Lockstep",
        "passwordCredentials": [secret],
        "keyCredentials": [],
    });
    if let (Some(wanted), Value::Object(properties)) = (call.query("$select"), &mut shown) {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        if let Some(unknown) = wanted.iter().find(|name| !properties.contains_key(**name)) {
            call.complain(format!("unknown application property {unknown}"));
            return Err(select::no_such_property(call, unknown, "microsoft.graph.application"));
        }
        properties.retain(|name, _| wanted.contains(&name.as_str()));
    }
    Ok(collection("applications", vec![shown], None, None))
}
