//! `GET /organization`: the tenant (Graph, Get organization).

use super::super::call::{Answer, Call};
use super::{collection, select};
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let setup = &call.state.setup;
    let mut shown = json!({
        "id": setup.tenant_id,
        "displayName": "Contoso",
        "countryLetterCode": "DE",
        "verifiedDomains": [{
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": true,
            "isInitial": true,
            "name": setup.tenant_domain,
            "type": "Managed",
        }],
    });
    if let (Some(wanted), Value::Object(properties)) = (call.query("$select"), &mut shown) {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        if let Some(unknown) = wanted.iter().find(|name| !properties.contains_key(**name)) {
            call.complain(format!("unknown organization property {unknown}"));
            return Err(select::no_such_property(call, unknown, "microsoft.graph.organization"));
        }
        properties.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
    }
    Ok(collection("organization", vec![shown], None, None))
}
